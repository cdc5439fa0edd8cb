"""Elementary functions for compiled loops, found when numba compiles them."""

from typing import Any


def __getattr__(name: str) -> Any:
    from sknn_notes._compile import _math

    return getattr(_math, name)
