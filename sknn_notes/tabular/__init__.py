"""Networks for tables: columns of numbers and categories in, nothing to set."""

from sknn_notes.tabular._classifier import TabularMLPClassifier
from sknn_notes.tabular._regressor import TabularMLPRegressor

__all__ = ["TabularMLPClassifier", "TabularMLPRegressor"]
