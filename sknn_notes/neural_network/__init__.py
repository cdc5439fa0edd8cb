"""Multi-layer perceptrons as scikit-learn estimators."""

from sknn_notes.neural_network._classifier import MLPClassifier
from sknn_notes.neural_network._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
