"""Layers: each knows its forward and backward pass, and its compiled operations.

The parts among them, which users may pass, are `BatchNorm` and `LayerNorm`.
"""

from sknn_notes.layers._batch_norm import BatchNorm
from sknn_notes.layers._layer_norm import LayerNorm

__all__ = ["BatchNorm", "LayerNorm"]
