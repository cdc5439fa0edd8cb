"""Losses, defined on the raw outputs of the network: one class each.

``CLASSIFICATION_LOSSES`` and ``REGRESSION_LOSSES`` register them. The loss of a sample
sums over outputs; samples are averaged.
"""

from sknn_notes.losses._base import ClassificationLoss, Loss, RegressionLoss
from sknn_notes.losses._classification import Hinge, LogLoss, SquaredHinge
from sknn_notes.losses._hierarchical import HierarchicalSoftmax
from sknn_notes.losses._regression import (
    AbsoluteError,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
)

__all__ = [
    "CLASSIFICATION_LOSSES",
    "REGRESSION_LOSSES",
    "AbsoluteError",
    "ClassificationLoss",
    "HierarchicalSoftmax",
    "Hinge",
    "Huber",
    "LogLoss",
    "Loss",
    "Poisson",
    "Quantile",
    "RegressionLoss",
    "SquaredError",
    "SquaredHinge",
]

CLASSIFICATION_LOSSES: dict[str, type[ClassificationLoss]] = {
    "hierarchical_softmax": HierarchicalSoftmax,
    "hinge": Hinge,
    "log_loss": LogLoss,
    "squared_hinge": SquaredHinge,
}

REGRESSION_LOSSES: dict[str, type[RegressionLoss]] = {
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
    "quantile": Quantile,
    "squared_error": SquaredError,
}
