"""Backport for scipy before version 1.11."""

from typing import Any

import scipy.optimize
from scipy.optimize import OptimizeResult

__all__ = ["minimize"]

if tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 11):
    minimize = scipy.optimize.minimize
else:

    def minimize(fun: Any, x0: Any, *, callback: Any, **options: Any) -> Any:
        """Minimize ``fun``; the callback gets the loss and may raise StopIteration."""
        last = OptimizeResult()

        def remembered(x: Any) -> Any:
            last.fun, gradient = fun(x)
            return last.fun, gradient

        def record(x: Any) -> None:
            # The last evaluation of the objective is at the end of an iteration.
            callback(OptimizeResult(x=x, fun=last.fun))

        try:
            return scipy.optimize.minimize(remembered, x0, callback=record, **options)
        except StopIteration:
            return OptimizeResult(status=99, message="stopped by the callback")
