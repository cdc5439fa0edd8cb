"""Hyperparameter searches that fit all their networks together."""

from sknn_notes.model_selection._search import GridSearchCV, RandomizedSearchCV

__all__ = ["GridSearchCV", "RandomizedSearchCV"]
