"""Callbacks of a training, for scikit-learn's ``set_callbacks``."""

from sknn_notes.callbacks._checkpoint import Checkpoint

__all__ = ["Checkpoint"]
