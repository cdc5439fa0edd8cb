"""Multi-layer perceptrons for classification and regression."""

from sknn_notes.neural_network._classifier import MLPClassifier
from sknn_notes.neural_network._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
