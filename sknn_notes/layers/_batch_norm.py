"""Batch normalization, as a part and as a layer."""

from numbers import Real
from typing import Any

import numpy as np

from sknn_notes._arrays import of_rows
from sknn_notes._checks import Interval
from sknn_notes._compile import Memory, cast, fill, helper, matrix
from sknn_notes._part import Part
from sknn_notes._typing import Array, Arrays, Floats, Graph, Integers, Numbers
from sknn_notes.layers._base import Fitted, Flow, Layer, Parameter


class BatchNorm(Part):
    """Batch normalization before the activation of every hidden layer.

    In training, each unit is standardized with the mean and the (biased) variance of
    the batch, then multiplied by a learned scale and shifted by a learned number.
    Prediction uses running averages of the mean and of the (unbiased) variance.

    Parameters
    ----------
    momentum : float, default=0.1
        Weight of the latest batch in the running averages.
    eps : float, default=1e-5
        Added to the variance.

    References
    ----------
    Ioffe, S. and Szegedy, C. (2015). Batch normalization: accelerating deep network
    training by reducing internal covariate shift. ICML.

    Examples
    --------
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.layers import BatchNorm
    >>> MLPClassifier(batch_norm=BatchNorm(momentum=0.2)).batch_norm
    BatchNorm(momentum=0.2)
    """

    _parameter_constraints = {
        "momentum": [Interval(Real, 0, 1, closed="right")],
        "eps": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.momentum = momentum
        self.eps = eps


class BatchNormLayer(Layer):
    """Batch normalization of the units of one layer.

    Parameters
    ----------
    part : BatchNorm
    n_units : int
    depth : int
    """

    def __init__(self, part: BatchNorm, n_units: int, depth: int) -> None:
        self.part, self.n_units, self.depth = part, n_units, depth

    @property
    def title(self) -> str:
        return repr(self.part)

    def parameters(self) -> dict[str, Parameter]:
        shape = (self.n_units,)
        return {
            "scale": Parameter(shape, "others"),
            "shift": Parameter(shape, "others"),
        }

    def running(self) -> dict[str, tuple[int, ...]]:
        return {"mean": (self.n_units,), "var": (self.n_units,)}

    def start(self, p: Arrays) -> None:
        p["scale"][...] = 1
        p["var"][...] = 1

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        xp, n = flow.xp, A.shape[-2]
        mean = xp.mean(A, axis=-2, keepdims=True)
        normalized = A - mean
        # The rounding error of a mean far from 0 would add to the variance.
        rest = xp.mean(normalized, axis=-2, keepdims=True)
        normalized -= rest
        var = xp.sum(normalized * normalized, axis=-2, keepdims=True) / n
        root = 1 / xp.sqrt(var + self.part.eps)
        normalized *= root
        out = normalized * p["scale"][..., None, :]
        out += p["shift"][..., None, :]
        batch = (mean + rest)[..., 0, :], var[..., 0, :], n
        return out, (normalized, root, batch)

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        xp, (normalized, root, (_, _, n)) = flow.xp, kept
        g["shift"][...] = xp.sum(delta, axis=-2)
        g["scale"][...] = xp.sum(delta * normalized, axis=-2)
        normalized *= g["scale"][..., None, :] / n
        delta -= g["shift"][..., None, :] / n
        delta -= normalized
        delta *= p["scale"][..., None, :] * root
        return delta

    def predict(self, p: Arrays, A: Array, flow: Flow) -> Array:
        scale = p["scale"] / flow.xp.sqrt(p["var"] + of_rows(self.part.eps))
        A = A * scale[..., None, :]
        A += (p["shift"] - p["mean"] * scale)[..., None, :]
        return A

    def update_running(self, p: Arrays, kept: Any) -> None:
        mean, var, n = kept[2]
        momentum = of_rows(self.part.momentum)
        p["mean"] += momentum * (mean - p["mean"])
        p["var"] += momentum * (var * (n / (n - 1)) - p["var"])

    def set_running(self, p: Arrays, kept: Any) -> None:
        p["mean"][...], p["var"][...], _ = kept[2]

    def fitted(self, arrays: Fitted) -> Arrays:
        norm: Arrays = arrays.batch_norms[self.depth]
        return norm

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        scale = p["scale"] / np.sqrt(np.float64(1) * p["var"] + self.part.eps)
        A = graph.add("Mul", A, scale)
        return graph.add("Add", A, p["shift"] - p["mean"] * scale)

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        size += float(np.max(np.abs(p["mean"])))
        root = float(np.sqrt(np.min(p["var"]) + self.part.eps))
        return largest * (size / root + 1)

    def record(self, tape: Any, value: Any) -> Any:
        out, width = tape.value(self.n_units, delta=value.delta), self.n_units
        stats = tape.room(4 * width, per_row=False)
        places = [tape.place(self, name) for name in ("scale", "shift", "mean", "var")]
        at = value.start, out.start, value.delta, width, stats, *places
        numbers = self._numbers
        tape.forward(forward, at=at, numbers=numbers)
        tape.backward(backward, at=at, numbers=numbers)
        tape.average(update_running, at=at, numbers=numbers)
        return out

    def _numbers(self) -> Numbers:
        return self.part.eps, self.part.momentum


@helper
def subtract_mean(X: Any, mean: Any, rest: Any, var: Any) -> None:
    """Subtract the mean; compute its rounding error ``rest`` and the variance ``var``.

    The rounding error of a mean far from 0 would add to the variance. ``mean`` is
    corrected by it.
    """
    n, n_units = X.shape
    zero, share = cast(0, X[0, 0]), cast(1 / n, X[0, 0])
    fill(rest, 0)
    fill(var, 0)
    for i in range(n):
        for j in range(n_units):
            x = X[i, j] - mean[j]
            X[i, j] = x
            rest[j] += x
            var[j] += x * x
    for j in range(n_units):
        r = rest[j] * share
        v = var[j] * share - r * r
        rest[j] = r
        mean[j] += r
        # For a constant column, rounding may give a negative variance.
        var[j] = zero if v < 0 else v


def forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    width, stats, scale_at, shift_at, mean_at = at[3], at[4], at[5], at[6], at[7]
    X, out = matrix(m.work, at[0], n, width), matrix(m.work, at[1], n, width)
    mean, var = m.work[stats : stats + width], m.work[stats + width : stats + 2 * width]
    center = m.work[stats + 2 * width : stats + 3 * width]
    root = m.work[stats + 3 * width : stats + 4 * width]
    near = m.running[mean_at : mean_at + width]
    scale = m.theta[scale_at : scale_at + width]
    shift = m.theta[shift_at : shift_at + width]
    share = cast(1 / n, X[0, 0])
    # With a shift by the running mean, one pass gives both mean and variance.
    fill(mean, 0)
    fill(var, 0)
    for i in range(n):
        for j in range(width):
            x = X[i, j] - near[j]
            mean[j] += x
            var[j] += x * x
    far = False
    for j in range(width):
        r = mean[j] * share
        var[j] = var[j] * share - r * r
        far |= r * r > var[j]
        mean[j] = r + near[j]
        center[j] = mean[j]
    if far:
        # The squared difference of the means would swamp the variance.
        subtract_mean(X, mean, center, var)
    one, eps = cast(1, X[0, 0]), cast(numbers[0], X[0, 0])
    for j in range(width):
        root[j] = one / np.sqrt(var[j] + eps)
    for i in range(n):
        for j in range(width):
            x = (X[i, j] - center[j]) * root[j]
            X[i, j] = x
            out[i, j] = x * scale[j] + shift[j]
    return 0.0


def backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    width, stats, scale_at, shift_at = at[3], at[4], at[5], at[6]
    normalized = matrix(m.work, at[0], n, width)
    delta = matrix(m.work, at[2], n, width)
    factor = m.work[stats + 3 * width : stats + 4 * width]
    scale = m.theta[scale_at : scale_at + width]
    dscale = m.grad[scale_at : scale_at + width]
    dshift = m.grad[shift_at : shift_at + width]
    share = cast(1 / n, delta[0, 0])
    fill(dscale, 0)
    fill(dshift, 0)
    for i in range(n):
        for j in range(width):
            dshift[j] += delta[i, j]
            dscale[j] += delta[i, j] * normalized[i, j]
    for j in range(width):
        factor[j] *= scale[j]
    for i in range(n):
        for j in range(width):
            pull = share * (dshift[j] + normalized[i, j] * dscale[j])
            delta[i, j] = (delta[i, j] - pull) * factor[j]
    return 0.0


def update_running(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    width, stats = at[3], at[4]
    momentum = cast(numbers[1], m.theta[0])
    unbiased = cast(n / (n - 1), m.theta[0])
    for j in range(width):
        m.running[at[7] + j] += momentum * (m.work[stats + j] - m.running[at[7] + j])
        m.running[at[8] + j] += momentum * (
            unbiased * m.work[stats + width + j] - m.running[at[8] + j]
        )
    return 0.0
