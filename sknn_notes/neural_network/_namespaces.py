"""Conversion of arrays of other libraries to and from what the networks take.

Arrays on the CPU become NumPy arrays, without a copy. Inputs on another device stay
there; targets, weights and predictions are NumPy arrays internally.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import numpy as np

from sknn_notes._arrays import fitted_elsewhere, input_namespace, to_numpy
from sknn_notes._sklearn import check_same_namespace
from sknn_notes._typing import ArrayNamespace, Method
from sknn_notes.layers._base import Fitted
from sknn_notes.neural_network import _devices
from sknn_notes.neural_network._inputs import is_tensor


def follows_input(method: Method) -> Method:
    """Decorate a method that takes X to return arrays of its namespace and device."""

    @wraps(method)
    def call(self: Any, X: Any, *args: Any, **options: Any) -> Any:
        self._check_is_fitted()
        xp = input_namespace(X, self)
        check_same_namespace(X, self, attribute="_first_array", method=method.__name__)
        if xp is np and _stays(self._first_array):
            raise fitted_elsewhere(self, self._first_array, method.__name__)
        results = method(self, as_inputs(X, xp), *args, **options)
        if xp is np:
            return results
        if isinstance(results, tuple):
            return tuple(like(result, X, xp) for result in results)
        return like(results, X, xp)

    return cast(Method, call)


def as_inputs(X: Any, xp: ArrayNamespace) -> Any:
    """Return the inputs as the networks take them.

    Without array API dispatch, arrays of other libraries are converted to NumPy arrays.
    """
    if not is_tensor(X):
        return X
    if xp is np:
        return np.asarray(X)
    return X if _stays(X) else to_numpy(X)


def _stays(array: Any) -> bool:
    """Whether an array is on a device, where NumPy can't read it."""
    if not is_tensor(array):
        return False
    return not _devices.is_host(getattr(array.device, "type", "cpu"))


def as_numpy(array: Any) -> Any:
    """Convert an array of any library to NumPy; return anything else as it is."""
    return to_numpy(array) if is_tensor(array) else array


def like(array: Any, X: Any, xp: ArrayNamespace) -> Any:
    """Convert a NumPy array to the namespace and the device of X.

    Arrays of strings, which other libraries do not have, are returned as they are.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        return array
    return xp.asarray(array, device=X.device, copy=True)


def mapped(function: Callable[[Any], Any], fitted: Fitted) -> Fitted:
    """Apply a function to all fitted arrays."""

    def of(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, list):
            return [of(each) for each in value]
        if isinstance(value, dict):
            return {name: of(each) for name, each in value.items()}
        return function(value)

    return Fitted(*map(of, fitted))
