"""Names of types for annotations."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "ArrayNamespace",
    "Floats",
    "Integers",
    "MatrixLike",
    "Method",
    "RandomState",
    "Scalar",
]

# An array of any library that follows the array API; these share no base class.
Array: TypeAlias = Any
# What may be passed as X: an array or a sparse matrix, a data frame, nested lists.
MatrixLike: TypeAlias = Any
# What may be passed as ``random_state``.
RandomState: TypeAlias = int | np.random.RandomState | None
# A method that a decorator returns with the same signature.
Method = TypeVar("Method", bound=Callable[..., Any])
# The functions of such a library, ``xp``.
ArrayNamespace: TypeAlias = ModuleType
# Arrays of numpy.
Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]
# A number of any type, or an array that holds one for each model.
Scalar: TypeAlias = Any
