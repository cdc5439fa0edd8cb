"""Neural networks and preprocessing for scikit-learn.

Multi-layer perceptrons with regularization, initialization, loss, optimizer and
learning rate schedule as hyperparameters, and preprocessing for their inputs.
"""

from sknn_notes._show_versions import show_versions
from sknn_notes._version import __version__ as __version__
from sknn_notes.neural_network import MLPClassifier, MLPRegressor
from sknn_notes.preprocessing import (
    Centerer,
    MinMaxNormalizer,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
)

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "Centerer",
    "Standardizer",
    "RobustStandardizer",
    "MinMaxNormalizer",
    "Whitener",
    "PiecewiseLinearEncoder",
    "show_versions",
]
