"""Losses of the raw outputs of a network: one class each.

``CLASSIFICATION_LOSSES`` and ``REGRESSION_LOSSES`` register them. The loss of a sample
is a sum over its outputs, and the objective the mean over samples.
"""

from sknn_notes._checks import Registry
from sknn_notes.losses._base import ClassificationLoss, Loss, RegressionLoss
from sknn_notes.losses._classification import Hinge, LogLoss, SquaredHinge
from sknn_notes.losses._distributions import Gamma, GaussianNLL, Tweedie
from sknn_notes.losses._hierarchical import HierarchicalSoftmax
from sknn_notes.losses._quantile import Quantile
from sknn_notes.losses._regression import (
    AbsoluteError,
    Huber,
    Poisson,
    SquaredError,
)
from sknn_notes.losses._sampled import SampledSoftmax

__all__ = [
    "CLASSIFICATION_LOSSES",
    "REGRESSION_LOSSES",
    "AbsoluteError",
    "ClassificationLoss",
    "Gamma",
    "GaussianNLL",
    "HierarchicalSoftmax",
    "Hinge",
    "Huber",
    "LogLoss",
    "Loss",
    "Poisson",
    "Quantile",
    "RegressionLoss",
    "SampledSoftmax",
    "SquaredError",
    "SquaredHinge",
    "Tweedie",
]

_CLASS_ALIASES = {
    "bce": "log_loss",
    "bce_with_logits": "log_loss",
    "bce_with_logits_loss": "log_loss",
    "binary_cross_entropy": "log_loss",
    "candidate_sampling": "sampled_softmax",
    "categorical_cross_entropy": "log_loss",
    "categorical_hinge": "hinge",
    "cross_entropy": "log_loss",
    "cross_entropy_loss": "log_loss",
    "deviance": "log_loss",
    "hierarchical": "hierarchical_softmax",
    "log": "log_loss",
    "logistic": "log_loss",
    "multi_margin": "hinge",
    "nce": "sampled_softmax",
    "negative_sampling": "sampled_softmax",
    "nll": "log_loss",
    "nll_loss": "log_loss",
    "sampled_softmax_loss": "sampled_softmax",
    "softmax": "log_loss",
    "sparse_categorical_cross_entropy": "log_loss",
    "svm": "hinge",
}
_NUMBER_ALIASES = {
    "compound_poisson": "tweedie",
    "gamma_deviance": "gamma",
    "gaussian": "gaussian_nll",
    "gaussian_nll_loss": "gaussian_nll",
    "heteroscedastic": "gaussian_nll",
    "huber_loss": "huber",
    "l1": "absolute_error",
    "l1_loss": "absolute_error",
    "l2": "squared_error",
    "lad": "absolute_error",
    "least_squares": "squared_error",
    "log_cosh": "huber",
    "ls": "squared_error",
    "mae": "absolute_error",
    "mean_absolute_error": "absolute_error",
    "mean_squared_error": "squared_error",
    "mse": "squared_error",
    "mse_loss": "squared_error",
    "multi_quantile": "Pass several quantiles as an object: Quantile([0.1, 0.9]).",
    "normal": "gaussian_nll",
    "pinball": "quantile",
    "pinball_loss": "quantile",
    "poisson_deviance": "poisson",
    "poisson_nll": "poisson",
    "quantile_loss": "quantile",
    "reg_gamma": "gamma",
    "reg_tweedie": "tweedie",
    "rmse": "squared_error",
    "smooth_l1": "huber",
    "smooth_l1_loss": "huber",
    "squared_loss": "squared_error",
    "tweedie_deviance": "tweedie",
}
_FOR_CLASSES: dict[str, type[ClassificationLoss]] = {
    "hierarchical_softmax": HierarchicalSoftmax,
    "hinge": Hinge,
    "log_loss": LogLoss,
    "sampled_softmax": SampledSoftmax,
    "squared_hinge": SquaredHinge,
}
_FOR_NUMBERS: dict[str, type[RegressionLoss]] = {
    "absolute_error": AbsoluteError,
    "gamma": Gamma,
    "gaussian_nll": GaussianNLL,
    "huber": Huber,
    "poisson": Poisson,
    "quantile": Quantile,
    "squared_error": SquaredError,
    "tweedie": Tweedie,
}

CLASSIFICATION_LOSSES = Registry(
    _FOR_CLASSES,
    aliases=dict.fromkeys(
        [*_FOR_NUMBERS, *_NUMBER_ALIASES],
        "This is a regression loss, for MLPRegressor. A classifier takes 'log_loss' or "
        "'hinge', for example.",
    )
    | {"focal": "It is not provided; class_weight='balanced' also helps rare classes."}
    | _CLASS_ALIASES,
    base=ClassificationLoss,
)

REGRESSION_LOSSES = Registry(
    _FOR_NUMBERS,
    aliases=dict.fromkeys(
        [*_FOR_CLASSES, *_CLASS_ALIASES],
        "This is a classification loss, for MLPClassifier. A regressor takes "
        "'squared_error' or 'absolute_error', for example.",
    )
    | _NUMBER_ALIASES,
    number="Pass hidden_layer_sizes={}; loss is the first parameter of a regressor.",
    base=RegressionLoss,
)
