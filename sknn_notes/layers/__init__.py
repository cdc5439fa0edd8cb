"""Layers, each with its forward and backward pass and its compiled operations.

`BatchNorm` and `LayerNorm` are parts, which users can pass to the estimators.
"""

from sknn_notes.layers._batch_norm import BatchNorm
from sknn_notes.layers._layer_norm import LayerNorm

__all__ = ["BatchNorm", "LayerNorm"]
