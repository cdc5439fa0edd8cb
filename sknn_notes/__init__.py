"""Neural networks and preprocessing for scikit-learn.

Multi-layer perceptrons whose regularization, initialization, loss, solver and schedule
are hyperparameters, and the preprocessing that belongs to them.
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
