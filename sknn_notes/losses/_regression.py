"""Losses for continuous targets and counts."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import maximum, minimum
from sknn_notes._checks import Interval
from sknn_notes._compile import cast, fill, math
from sknn_notes._typing import Array, ArrayNamespace, Floats, Numbers
from sknn_notes.links import Link, Log
from sknn_notes.losses._base import RegressionLoss
from sknn_notes.losses._quantile import column_quantile


class SquaredError(RegressionLoss):
    """Half the squared error, ``1/2 * sum_j (f_j - y_j)**2``; predicts the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import SquaredError
    >>> raw = np.array([[1.0, 2.0]])
    >>> losses, gradient = SquaredError().per_sample(raw, np.array([[0.0, 4.0]]), np)
    >>> losses
    array([2.5])
    >>> gradient
    array([[ 1., -2.]])
    """

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        residual = raw - y
        return xp.sum(0.5 * residual * residual, axis=-1), residual

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        half = cast(0.5, raw[0, 0])
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                residual = raw[k, i] - y[k, i]
                # Stored, so that the compiler does not square before it halves.
                spare[i] = half * residual
                losses[i] += spare[i] * residual
                out[k, i] = residual

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        return np.average(y, axis=0, weights=sample_weight)


class AbsoluteError(RegressionLoss):
    """Absolute error, ``sum_j abs(f_j - y_j)``; predicts the median.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import AbsoluteError
    >>> raw = np.array([[1.0, 2.0]])
    >>> losses, gradient = AbsoluteError().per_sample(raw, np.array([[0.0, 4.0]]), np)
    >>> losses
    array([3.])
    >>> gradient
    array([[ 1., -1.]])
    """

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        residual = raw - y
        return xp.sum(xp.abs(residual), axis=-1), xp.sign(residual)

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        one, zero = cast(1, raw[0, 0]), cast(0, raw[0, 0])
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                residual = raw[k, i] - y[k, i]
                losses[i] += abs(residual)
                # Two independent choices compile without branches.
                above = one if residual > 0 else zero
                out[k, i] = above - (one if residual < 0 else zero)

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        return column_quantile(y, sample_weight, 0.5)


class Huber(RegressionLoss):
    """Huber loss: squared error of small residuals, absolute error of large ones.

    With ``r_j = f_j - y_j``, it is the sum over j of ``1/2 * r_j**2`` if
    ``abs(r_j) <= delta``, else ``delta * (abs(r_j) - delta / 2)``. The gradient of an
    outlier is at most ``delta``.

    Parameters
    ----------
    delta : float, default=1.0
        Residual at which the loss changes from quadratic to linear.

    References
    ----------
    Huber, P. J. (1964). Robust estimation of a location parameter. Annals of
    Mathematical Statistics 35.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Huber
    >>> raw = np.array([[1.5, 4.0]])
    >>> losses, gradient = Huber().per_sample(raw, np.array([[1.0, 0.0]]), np)
    >>> losses
    array([3.625])
    >>> gradient
    array([[0.5, 1. ]])
    """

    _parameter_constraints = {"delta": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, delta: float = 1.0) -> None:
        self.delta = delta

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        residual = raw - y
        slope = minimum(maximum(residual, -self.delta, xp), self.delta, xp)
        # With the clipped residual c, both cases are c (r - c / 2).
        residual -= 0.5 * slope
        residual *= slope
        return xp.sum(residual, axis=-1), slope

    def numbers(self) -> Numbers:
        return (self.delta,)

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        delta, half = cast(numbers[0], raw[0, 0]), cast(0.5, raw[0, 0])
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                residual = raw[k, i] - y[k, i]
                slope = -delta if residual < -delta else residual
                slope = delta if slope > delta else slope
                losses[i] += slope * (residual - half * slope)
                out[k, i] = slope

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        return column_quantile(y, sample_weight, 0.5)


class Poisson(RegressionLoss):
    """Half the Poisson deviance with a log link; predicts the mean ``exp(f)``.

    ``sum_j exp(f_j) - y_j f_j + y_j ln(y_j) - y_j`` for counts or rates ``y >= 0``.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Poisson
    >>> raw = np.array([[0.0]])
    >>> Poisson().per_sample(raw, np.array([[1.0]]), np)[0]
    array([0.])
    """

    def check_targets(self, y: Floats) -> None:
        if np.min(y) < 0:
            raise ValueError(
                f"loss='poisson' needs targets y >= 0, but the smallest is {np.min(y)}."
                " Use loss='squared_error' for targets of both signs."
            )

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        mean = xp.exp(raw)
        log = xp.log(xp.where(y == 0, xp.ones_like(y), y))
        return xp.sum(mean + y * (log - 1 - raw), axis=-1), mean - y

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        zero, one = cast(0, raw[0, 0]), cast(1, raw[0, 0])
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                target, mean = y[k, i], math.exp(raw[k, i])
                log = math.log(target) if target > zero else one
                losses[i] += mean + target * (log - one - raw[k, i])
                out[k, i] = mean - target

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        return Log().raw(np.average(y, axis=0, weights=sample_weight))

    def link(self, multiclass: bool = False) -> Link:
        return Log()
