"""Neural networks with tuned parameters for tables of numbers and categories."""

from sknn_notes.tabular._classifier import TabularMLPClassifier
from sknn_notes.tabular._regressor import TabularMLPRegressor

__all__ = ["TabularMLPClassifier", "TabularMLPRegressor"]
