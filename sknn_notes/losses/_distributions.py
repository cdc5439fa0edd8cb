"""Losses that assume a distribution: negative log-likelihoods and deviances."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import concatenated
from sknn_notes._checks import Interval
from sknn_notes._compile import cast, fill, math
from sknn_notes._typing import Array, ArrayNamespace, Floats, Numbers, Scalar
from sknn_notes.links import Gaussian, Link, Log
from sknn_notes.losses._base import RegressionLoss


class GaussianNLL(RegressionLoss):
    """Gaussian negative log-likelihood; predicts mean and standard deviation.

    Each target has two raw outputs, the mean ``m`` and the logarithm ``s`` of the
    variance. The loss is the sum over targets j of
    ``1/2 * (s_j + (y_j - m_j)**2 * exp(-s_j))``, which omits the constant
    ``1/2 * ln(2 * pi)`` and may be negative. The means of all targets come first, then
    their log-variances.

    ``predict`` returns the mean, and ``predict(X, return_std=True)`` also the standard
    deviation.

    Notes
    -----
    The gradient with respect to the mean is ``(m - y) * exp(-s)``: samples with a large
    predicted variance count less. Variances are not clipped. If the network overfits,
    ``s`` falls without bound, and the learning rate becomes too high for such narrow
    distributions, so that the loss jumps. Use early stopping, a lower learning rate or
    dropout.

    References
    ----------
    Nix, D. A. and Weigend, A. S. (1994). Estimating the mean and variance of the target
    probability distribution. ICNN.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import GaussianNLL
    >>> raw, y = np.array([[1.0, np.log(4)]]), np.array([[5.0]])
    >>> losses, gradient = GaussianNLL().per_sample(raw, y, np)
    >>> losses.round(4)
    array([2.6931])
    >>> gradient.round(4)
    array([[-1. , -1.5]])
    """

    def n_raw(self, n_outputs: int) -> int:
        return 2 * n_outputs

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        n_outputs = y.shape[-1]
        residual, s = raw[..., :n_outputs] - y, raw[..., n_outputs:]
        # In logarithms, since exp(-s) may overflow even if the product does not.
        log = _log(xp.abs(residual), xp)
        ratio = xp.exp(log - 0.5 * s)
        square = 0.5 * ratio * ratio
        slopes = [xp.sign(residual) * xp.exp(log - s), 0.5 - square]
        return xp.sum(0.5 * s + square, axis=-1), concatenated(slopes, xp)

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        n_outputs, half, zero = y.shape[0], cast(0.5, raw[0, 0]), cast(0, raw[0, 0])
        fill(losses, 0)
        for j in range(n_outputs):
            for i in range(raw.shape[1]):
                residual, s = raw[j, i] - y[j, i], raw[n_outputs + j, i]
                log = math.log(abs(residual))
                ratio = math.exp(log - half * s)
                slope = math.exp(log - s)
                # Stored, so that the compiler does not square before it halves.
                spare[i] = half * ratio
                square = spare[i] * ratio
                losses[i] += half * s + square
                out[j, i] = slope if residual > zero else -slope
                out[n_outputs + j, i] = half - square

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        mean = np.average(y, axis=0, weights=sample_weight)
        variance = np.average((y - mean) ** 2, axis=0, weights=sample_weight)
        return np.concatenate([mean, Log().raw(variance)])

    def link(self, multiclass: bool = False) -> Link:
        return Gaussian()


class Gamma(RegressionLoss):
    """Half the gamma deviance with a log link; predicts the mean ``exp(f)``.

    ``sum_j f_j + y_j * exp(-f_j) - ln(y_j) - 1`` for targets ``y > 0`` with a standard
    deviation in proportion to their mean. It depends only on the ratio of target and
    mean.

    References
    ----------
    McCullagh, P. and Nelder, J. A. (1989). Generalized linear models. Chapman and Hall.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Gamma
    >>> losses, gradient = Gamma().per_sample(np.array([[0.0]]), np.array([[2.0]]), np)
    >>> losses.round(4)
    array([0.3069])
    >>> gradient
    array([[-1.]])
    """

    def check_targets(self, y: Floats) -> None:
        _check_positive(y, "loss='gamma'", "loss='tweedie' if some are 0, or ")

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        log = xp.log(y)
        # The ratio of target and mean, which does not overflow if both are large.
        ratio = xp.exp(log - raw)
        return xp.sum((raw - log) + (ratio - 1), axis=-1), 1 - ratio

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        one = cast(1, raw[0, 0])
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                log = math.log(y[k, i])
                ratio = math.exp(log - raw[k, i])
                losses[i] += (raw[k, i] - log) + (ratio - one)
                out[k, i] = one - ratio

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        return Log().raw(np.average(y, axis=0, weights=sample_weight))

    def link(self, multiclass: bool = False) -> Link:
        return Log()


class Tweedie(RegressionLoss):
    """Half the Tweedie deviance with a log link; predicts the mean ``exp(f)``.

    It assumes a variance in proportion to ``mean**power``. With the mean ``m`` and
    ``B(x, a) = (x**a - 1) / a``, or ``ln(x)`` for ``a = 0``, it is the sum over targets
    of ``B(m, 2 - power) - B(y, 2 - power) - y * (B(m, 1 - power) - B(y, 1 - power))``.

    Parameters
    ----------
    power : float, default=1.5
        1 is the Poisson deviance, 2 the gamma deviance, and 3 that of the inverse
        Gaussian distribution. Powers between 1 and 2 suit sums of a random number of
        gamma variables, such as insurance claims, many of which are exactly 0. Targets
        must be ``y >= 0`` for a power below 2, else ``y > 0``.

    References
    ----------
    Tweedie, M. C. K. (1984). An index which distinguishes between some important
    exponential families. Indian Statistical Institute Golden Jubilee Conference.

    Jorgensen, B. (1987). Exponential dispersion models. Journal of the Royal
    Statistical Society B 49.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Tweedie
    >>> raw, y = np.array([[0.0, 0.0]]), np.array([[0.0, 4.0]])
    >>> losses, gradient = Tweedie(power=1.5).per_sample(raw, y, np)
    >>> losses
    array([4.])
    >>> gradient
    array([[ 1., -3.]])
    """

    _parameter_constraints = {"power": [Interval(Real, 1, None, closed="left")]}

    def __init__(self, *, power: float = 1.5) -> None:
        self.power = power

    def check_targets(self, y: Floats) -> None:
        name = f"Tweedie(power={self.power:g})"
        if self.power >= 2:
            _check_positive(y, name, "a power below 2 if some are 0, or ")
        elif np.min(y) < 0:
            raise ValueError(
                f"{name} needs targets y >= 0, but the smallest is {np.min(y)}. Use "
                "loss='squared_error' for targets of both signs."
            )

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        a, b = 2 - self.power, 1 - self.power
        log = _log(y, xp)
        gap = raw - xp.where(y == 0, xp.zeros_like(y), log)
        # B(m, a) - B(y, a) and y (B(m, b) - B(y, b)) both start from y^a at m = y.
        start, up, down = xp.exp(a * log), xp.exp(a * raw), xp.exp(log + b * raw)
        losses = _growth(a, gap, start, up, xp) - _growth(b, gap, start, down, xp)
        return xp.sum(losses, axis=-1), up - down

    def numbers(self) -> Numbers:
        return (2 - self.power, 1 - self.power)

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        zero, one = cast(0, raw[0, 0]), cast(1, raw[0, 0])
        a, b = cast(numbers[0], raw[0, 0]), cast(numbers[1], raw[0, 0])
        over_a = one / (one if a == zero else a)
        over_b = one / (one if b == zero else b)
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                f, target = raw[k, i], y[k, i]
                log = math.log(target)
                gap = f - (log if target > zero else zero)
                start, up = math.exp(a * log), math.exp(a * f)
                down = math.exp(log + b * f)
                # As ``_growth`` computes it.
                near = one if start > zero else zero
                gain, pull = start * math.expm1(a * gap), start * math.expm1(b * gap)
                gain = gain if abs(a * gap) < near else up - start
                pull = pull if abs(b * gap) < near else down - start
                gain = start * gap if a == zero else over_a * gain
                pull = start * gap if b == zero else over_b * pull
                losses[i] += gain - pull
                out[k, i] = up - down

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        return Log().raw(np.average(y, axis=0, weights=sample_weight))

    def link(self, multiclass: bool = False) -> Link:
        return Log()


def _log(x: Array, xp: ArrayNamespace) -> Array:
    """Return the logarithms of numbers, with -inf for 0 and no warning."""
    zero = x == 0
    log = xp.log(xp.where(zero, xp.ones_like(x), x))
    return xp.where(zero, xp.full_like(log, -xp.inf), log)


def _growth(
    rate: Scalar, gap: Array, start: Array, end: Array, xp: ArrayNamespace
) -> Array:
    """Return ``(end - start) / rate`` where ``end = start * exp(rate * gap)``.

    It is ``start * gap`` for a rate of 0. The rate may be an array with a number for
    each model.
    """
    is_array = bool(getattr(rate, "ndim", 0))
    if not is_array and not rate:
        return start * gap
    power = xp.where(rate == 0, xp.ones_like(rate), rate) if is_array else rate
    # The difference is accurate if it is large, and start may be 0.
    near = (xp.abs(power * gap) < 1) & (start > 0)
    change = xp.where(near, start * xp.expm1(power * gap), end - start) / power
    return xp.where(rate == 0, start * gap, change) if is_array else change


def _check_positive(y: Floats, loss: str, otherwise: str) -> None:
    if np.min(y) <= 0:
        raise ValueError(
            f"{loss} needs targets y > 0, but the smallest is {np.min(y)}. Use "
            f"{otherwise}loss='squared_error' for targets of both signs."
        )
