"""Names of types for annotations."""

from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "ArrayNamespace", "Floats", "Integers", "Scalar"]

# An array of any library that follows the array API; these share no base class.
Array: TypeAlias = Any
# The functions of such a library, ``xp``.
ArrayNamespace: TypeAlias = ModuleType
# Arrays of numpy.
Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]
# A number of any type, or an array that holds one for each model.
Scalar: TypeAlias = Any
