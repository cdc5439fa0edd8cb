"""Names of types for annotations."""

from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "ArrayNamespace",
    "Floats",
    "Integers",
    "MatrixLike",
    "RandomState",
    "Scalar",
]

# An array of any library that follows the array API; these share no base class.
Array: TypeAlias = Any
# What estimators take for X: an array, a frame, a list of rows or a sparse matrix.
MatrixLike: TypeAlias = Any
# What estimators take for ``random_state``.
RandomState: TypeAlias = int | np.random.RandomState | None
# The functions of such a library, ``xp``.
ArrayNamespace: TypeAlias = ModuleType
# Arrays of numpy.
Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]
# A number of any type, or an array that holds one for each model.
Scalar: TypeAlias = Any
