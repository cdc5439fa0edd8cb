"""Numerical embeddings: vectors that represent single features, one class each.

``EMBEDDINGS`` registers them. The estimators take them as ``embedding``, by name or as
an object.
"""

from sknn_notes._checks import Registry
from sknn_notes.embeddings._base import Embedding
from sknn_notes.embeddings._periodic import Periodic
from sknn_notes.embeddings._piecewise_linear import PiecewiseLinear

__all__ = ["EMBEDDINGS", "Embedding", "Periodic", "PiecewiseLinear"]

EMBEDDINGS: Registry[type[Embedding]] = Registry(
    {"periodic": Periodic, "piecewise_linear": PiecewiseLinear},
    aliases={
        "pbld": "periodic",
        "pl": "periodic",
        "plr": "Pass an object, Periodic(activation='relu').",
        "fourier": "periodic",
        "ple": "piecewise_linear",
        "quantile": "piecewise_linear",
        "none": "Pass None for no embedding.",
    },
    base=Embedding,
)
