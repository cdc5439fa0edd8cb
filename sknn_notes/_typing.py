"""Names of types for annotations."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "ArrayNamespace",
    "Arrays",
    "Floats",
    "Graph",
    "Integers",
    "MatrixLike",
    "Method",
    "Numbers",
    "RandomState",
    "Scalar",
]

# An array of any library that follows the array API; these share no base class.
Array: TypeAlias = Any
# What estimators take for X: an array, a frame, a list of rows or a sparse matrix.
MatrixLike: TypeAlias = Any
# What estimators take for ``random_state``.
RandomState: TypeAlias = int | np.random.RandomState | None
# A method that a decorator returns with the same signature.
Method = TypeVar("Method", bound=Callable[..., Any])
# Arrays of a part or layer, by their names.
Arrays: TypeAlias = dict[str, Array]
# The functions of such a library, ``xp``.
ArrayNamespace: TypeAlias = ModuleType
# Arrays of numpy.
Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]
# A number of any type, or an array that holds one for each model.
Scalar: TypeAlias = Any
# The numbers of a part that its loops take.
Numbers: TypeAlias = Sequence[Any]


class Graph(Protocol):
    """An ONNX graph that a part adds its nodes to; tensors are known by their names."""

    dtype: type

    def add(self, op_type: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node and return its output; inputs that are no names are constants."""

    def cast(self, tensor: str, dtype: Any) -> str:
        """Return a tensor cast to a dtype of numpy."""

    def concat(self, *tensors: str) -> str:
        """Return tensors side by side."""
