"""Backport for numpy before version 2."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import numpy as np

from sknn_notes._typing import Method

__all__ = ["errstate"]


def errstate(**kinds: Any) -> Callable[[Method], Method]:
    """Decorate a function with ``numpy.errstate``.

    Before version 2, numpy's own decorator keeps the settings from before a call in a
    single place. Calls on several threads, and nested calls, overwrite them.
    """

    def decorate(function: Method) -> Method:
        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            with np.errstate(**kinds):
                return function(*args, **options)

        return cast(Method, call)

    return decorate
