"""The pinball loss for one or several quantiles."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import concatenated, expit, softplus
from sknn_notes._checks import Interval, plain, shown
from sknn_notes._compile import cast, fill, math
from sknn_notes._typing import Array, ArrayNamespace, Floats, Numbers
from sknn_notes.links import Quantiles
from sknn_notes.losses._base import RegressionLoss

_LEVEL = Interval(Real, 0, 1, closed="neither")


class Quantile(RegressionLoss):
    """Pinball loss; predicts a quantile, or several that never cross.

    With the predicted quantile ``u_j`` of target j at level ``q``, it is the sum over j
    of ``(1 - q) * (u_j - y_j)`` if ``u_j > y_j``, else ``q * (y_j - u_j)``. With
    ``q = 0.5`` it is half the absolute error.

    A single quantile is the raw output itself, ``u = f``. For several quantiles, the
    losses are added. The lowest quantile is a raw output; each of the others is the
    previous quantile plus the softplus ``ln(1 + exp(f))`` of another raw output, so
    that quantiles never cross. The raw outputs are the lowest quantiles of all targets,
    then the increments to the second quantiles, and so on.

    Parameters
    ----------
    quantile : float or sequence of float, default=0.5
        Level ``q`` of the quantile to predict, in (0, 1), or several in increasing
        order. ``predict`` returns the quantile closest to the median (the lower one in
        a tie), and ``predict_quantiles`` all of them.

    References
    ----------
    Koenker, R. and Bassett, G. (1978). Regression quantiles. Econometrica 46.

    Koenker, R. (2005). Quantile regression. Cambridge University Press.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Quantile
    >>> raw = np.array([[1.0, 2.0]])
    >>> y = np.array([[0.0, 4.0]])
    >>> losses, gradient = Quantile(quantile=0.75).per_sample(raw, y, np)
    >>> losses
    array([1.75])
    >>> gradient
    array([[ 0.25, -0.75]])

    Two quantiles of one target, 1 and ``1 + softplus(2)``:

    >>> losses, gradient = Quantile([0.25, 0.75]).per_sample(raw, y[:, 1:], np)
    >>> losses.round(3)
    array([1.405])
    """

    _parameter_constraints = {"quantile": [_LEVEL, list, tuple, np.ndarray]}

    def __init__(self, quantile: float | Sequence[float] | Floats = 0.5) -> None:
        self.quantile = quantile

    @property
    def levels(self) -> list[float]:
        """The levels of the quantiles, in a list."""
        q: Any = self.quantile
        several = isinstance(q, list | tuple | np.ndarray) and np.ndim(q) == 1
        return [plain(level) for level in q] if several else [q]

    def check(self) -> None:
        super().check()
        if isinstance(self.quantile, Real):
            return
        levels = self.levels
        valid = levels and all(_LEVEL.is_satisfied_by(level) for level in levels)
        if not (valid and all(low < high for low, high in pairwise(levels))):
            raise ValueError(
                "The 'quantile' parameter of Quantile must be a number in (0, 1), or "
                "several of them in strictly increasing order, such as [0.1, 0.5, 0.9]."
                f" Got {shown(self.quantile)} instead."
            )

    def n_raw(self, n_outputs: int) -> int:
        return len(self.levels) * n_outputs

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        levels, n_outputs = self.levels, y.shape[-1]
        parts = [
            raw[..., k * n_outputs : (k + 1) * n_outputs] for k in range(len(levels))
        ]
        value, losses, slopes = parts[0], 0, []
        for k, q in enumerate(levels):
            if k:
                value = value + softplus(parts[k], xp)
            residual = value - y
            losses = losses + xp.sum(
                xp.maximum((1 - q) * residual, -q * residual), axis=-1
            )
            # The slope is 1 - q above the target, -q below, and 0 at the target.
            slope = xp.sign(residual)
            slope *= 0.5 + (0.5 - q) * slope
            slopes.append(slope)
        if len(levels) == 1:
            return losses, slopes[0]
        # An increment moves its quantile and all higher ones.
        for k in reversed(range(1, len(levels))):
            slopes[k - 1] += slopes[k]
            slopes[k] *= expit(parts[k], xp)
        return losses, concatenated(slopes, xp)

    def numbers(self) -> Numbers:
        return tuple(self.levels)

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        n_outputs, n_levels, zero = y.shape[0], len(numbers), cast(0, raw[0, 0])
        fill(losses, 0)
        for j in range(n_outputs):
            for i in range(raw.shape[1]):
                spare[i] = raw[j, i]
            for k in range(n_levels):
                row = k * n_outputs + j
                q = cast(numbers[k], raw[0, 0])
                above = cast(1 - numbers[k], raw[0, 0])
                if k > 0:
                    for i in range(raw.shape[1]):
                        spare[i] += math.softplus(raw[row, i])
                for i in range(raw.shape[1]):
                    residual = spare[i] - y[j, i]
                    slope = above if residual > 0 else zero
                    slope -= q if residual < 0 else zero
                    # A NaN stays NaN, also if the slope is 0.
                    losses[i] += residual * slope
                    out[row, i] = slope
            fill(spare, 0)
            for k in range(n_levels - 1, 0, -1):
                row = k * n_outputs + j
                for i in range(raw.shape[1]):
                    spare[i] += out[row, i]
                    out[row, i] = spare[i] * math.logistic(raw[row, i])
            for i in range(raw.shape[1]):
                out[j, i] += spare[i]

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        levels = [float(level) for level in self.levels]
        values = [column_quantile(y, sample_weight, level) for level in levels]
        return self.link().raw_of_quantiles(np.stack(values))

    def link(self, multiclass: bool = False) -> Quantiles:
        return Quantiles(self.levels)


def column_quantile(y: Floats, sample_weight: Floats | None, q: float) -> Floats:
    """Return a quantile of each column, over the samples with a positive weight."""
    if sample_weight is not None:
        y = y[sample_weight > 0]
    return np.quantile(y, q, axis=0)
