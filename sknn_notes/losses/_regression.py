"""Losses for continuous targets and counts."""

from numbers import Real

import numpy as np
from scipy.special import xlogy

from sknn_notes._checks import Interval
from sknn_notes.losses._base import RegressionLoss


class SquaredError(RegressionLoss):
    """Half the squared error, ``1/2 * sum_j (f_j - y_j)**2``; predicts the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import SquaredError
    >>> raw = np.array([[1.0, 2.0]])
    >>> grad = np.empty_like(raw)
    >>> SquaredError().per_sample(raw, np.array([[0.0, 4.0]]), grad)
    array([2.5])
    >>> grad
    array([[ 1., -2.]])
    """

    def per_sample(self, raw, y, out):
        np.subtract(raw, y, out=out)
        return 0.5 * np.sum(out * out, axis=1)

    def constant(self, y, sample_weight, n_raw):
        return np.average(y, axis=0, weights=sample_weight)


class AbsoluteError(RegressionLoss):
    """The absolute error, ``sum_j abs(f_j - y_j)``; predicts the median.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import AbsoluteError
    >>> raw = np.array([[1.0, 2.0]])
    >>> grad = np.empty_like(raw)
    >>> AbsoluteError().per_sample(raw, np.array([[0.0, 4.0]]), grad)
    array([3.])
    >>> grad
    array([[ 1., -1.]])
    """

    def per_sample(self, raw, y, out):
        np.subtract(raw, y, out=out)
        losses = np.sum(np.abs(out), axis=1)
        np.sign(out, out=out)
        return losses

    def constant(self, y, sample_weight, n_raw):
        return _quantile(y, sample_weight, 0.5)


class Huber(RegressionLoss):
    """The squared error of small residuals, the absolute error of large ones.

    With ``r_j = f_j - y_j``, the sum over j of ``1/2 * r_j**2`` where
    ``abs(r_j) <= delta``, else ``delta * (abs(r_j) - delta / 2)``. Outliers pull no
    harder than ``delta``.

    Parameters
    ----------
    delta : float, default=1.0
        The residual at which the loss turns from a parabola into a line.

    References
    ----------
    Huber, P. J. (1964). Robust estimation of a location parameter. Annals of
    Mathematical Statistics 35.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Huber
    >>> raw = np.array([[1.5, 4.0]])
    >>> grad = np.empty_like(raw)
    >>> Huber().per_sample(raw, np.array([[1.0, 0.0]]), grad)
    array([3.625])
    >>> grad
    array([[0.5, 1. ]])
    """

    _parameter_constraints = {"delta": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, delta=1.0):
        self.delta = delta

    def per_sample(self, raw, y, out):
        delta = float(self.delta)
        residual = raw - y
        np.clip(residual, -delta, delta, out=out)
        # With c the clipped residual, both pieces are c (r - c / 2).
        residual -= 0.5 * out
        residual *= out
        return np.sum(residual, axis=1)

    def constant(self, y, sample_weight, n_raw):
        return _quantile(y, sample_weight, 0.5)


class Quantile(RegressionLoss):
    """The pinball loss; predicts a quantile.

    ``sum_j (1 - q) * (f_j - y_j)`` where ``f_j > y_j``, else ``q * (y_j - f_j)``. With
    ``q = 0.5`` it is half the absolute error.

    Parameters
    ----------
    quantile : float, default=0.5
        The quantile ``q`` to predict, in (0, 1).

    References
    ----------
    Koenker, R. and Bassett, G. (1978). Regression quantiles. Econometrica 46.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Quantile
    >>> raw = np.array([[1.0, 2.0]])
    >>> grad = np.empty_like(raw)
    >>> Quantile(quantile=0.75).per_sample(raw, np.array([[0.0, 4.0]]), grad)
    array([1.75])
    >>> grad
    array([[ 0.25, -0.75]])
    """

    _parameter_constraints = {"quantile": [Interval(Real, 0, 1, closed="neither")]}

    def __init__(self, *, quantile=0.5):
        self.quantile = quantile

    def per_sample(self, raw, y, out):
        q = float(self.quantile)
        np.subtract(raw, y, out=out)
        losses = np.sum(np.maximum((1 - q) * out, -q * out), axis=1)
        # The slope: 1 - q above the target, -q below, 0 on it.
        np.sign(out, out=out)
        out *= 0.5 + (0.5 - q) * out
        return losses

    def constant(self, y, sample_weight, n_raw):
        return _quantile(y, sample_weight, float(self.quantile))


class Poisson(RegressionLoss):
    """Half the Poisson deviance with a log link; predicts the mean ``exp(f)``.

    ``sum_j exp(f_j) - y_j f_j + y_j ln(y_j) - y_j`` for counts or rates ``y >= 0``.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Poisson
    >>> raw = np.array([[0.0]])
    >>> Poisson().per_sample(raw, np.array([[1.0]]), np.empty_like(raw))
    array([0.])
    """

    out_activation = "exp"

    def check_targets(self, y):
        if np.min(y) < 0:
            raise ValueError(
                f"loss='poisson' needs targets y >= 0, got a smallest y of {np.min(y)}."
                " Use loss='squared_error' for targets of both signs."
            )

    def per_sample(self, raw, y, out):
        np.exp(raw, out=out)
        losses = np.sum(out - y * raw + xlogy(y, y) - y, axis=1)
        out -= y
        return losses

    def constant(self, y, sample_weight, n_raw):
        mean = np.average(y, axis=0, weights=sample_weight)
        return np.log(np.maximum(mean, np.finfo(np.float32).tiny))

    @np.errstate(all="ignore")
    def predict(self, raw):
        return np.exp(raw)


def _quantile(y, sample_weight, q):
    """Return a quantile of every column, of the samples that have weight."""
    if sample_weight is not None:
        y = y[sample_weight > 0]
    return np.quantile(y, q, axis=0)
