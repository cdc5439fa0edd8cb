"""Layer normalization, as a part and as a layer."""

from numbers import Real
from typing import Any

import numpy as np

from sknn_notes._checks import Interval
from sknn_notes._compile import Memory, cast, fill, matrix
from sknn_notes._part import Part
from sknn_notes._typing import Array, Arrays, Floats, Graph, Integers, Numbers
from sknn_notes.layers._base import Fitted, Flow, Layer, Parameter


class LayerNorm(Part):
    """Layer normalization before the activation of every hidden layer.

    The units of each sample are standardized with their mean and (biased) standard
    deviation. Each unit is then multiplied by a learned scale and shifted by a learned
    number. Samples do not depend on each other, so training and prediction compute the
    same for batches of any size.

    Parameters
    ----------
    eps : float, default=1e-5
        Added to the variance.

    References
    ----------
    Ba, J. L., Kiros, J. R. and Hinton, G. E. (2016). Layer normalization.
    arXiv:1607.06450.

    Examples
    --------
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.layers import LayerNorm
    >>> MLPClassifier(layer_norm=LayerNorm(eps=1e-3)).layer_norm
    LayerNorm(eps=0.001)
    """

    _parameter_constraints = {"eps": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, eps: float = 1e-5) -> None:
        self.eps = eps


class LayerNormLayer(Layer):
    """Layer normalization of the units of one layer.

    Parameters
    ----------
    part : LayerNorm
    n_units : int
    depth : int
    """

    def __init__(self, part: LayerNorm, n_units: int, depth: int) -> None:
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

    def start(self, p: Arrays) -> None:
        p["scale"][...] = 1

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        xp = flow.xp
        normalized = A - xp.mean(A, axis=-1, keepdims=True)
        normalized -= xp.mean(normalized, axis=-1, keepdims=True)
        var = xp.mean(normalized * normalized, axis=-1, keepdims=True)
        root = 1 / xp.sqrt(var + self.part.eps)
        normalized *= root
        out = normalized * p["scale"][..., None, :]
        out += p["shift"][..., None, :]
        return out, (normalized, root)

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        xp, (normalized, root) = flow.xp, kept
        g["shift"][...] = xp.sum(delta, axis=-2)
        g["scale"][...] = xp.sum(delta * normalized, axis=-2)
        delta *= p["scale"][..., None, :]
        pull = xp.mean(delta * normalized, axis=-1, keepdims=True)
        delta -= xp.mean(delta, axis=-1, keepdims=True)
        delta -= normalized * pull
        delta *= root
        return delta

    def fitted(self, arrays: Fitted) -> Arrays:
        norm: Arrays = arrays.layer_norms[self.depth]
        return norm

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        def mean(A: str) -> str:
            # A matrix product, since runtimes compute sums differently.
            return graph.add("MatMul", A, np.full((self.n_units, 1), 1 / self.n_units))

        A = graph.add("Sub", A, mean(A))
        var = graph.add("Add", mean(graph.add("Mul", A, A)), self.part.eps)
        A = graph.add("Div", A, graph.add("Sqrt", var))
        return graph.add("Add", graph.add("Mul", A, p["scale"]), p["shift"])

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        return largest * (float(self.n_units**0.5) + 1)

    def record(self, tape: Any, value: Any) -> Any:
        out = tape.value(self.n_units, delta=value.delta)
        at = (
            value.start,
            out.start,
            value.delta,
            self.n_units,
            tape.room(1),
            tape.place(self, "scale"),
            tape.place(self, "shift"),
        )
        tape.forward(forward, at=at, numbers=self._numbers)
        tape.backward(backward, at=at)
        return out

    def _numbers(self) -> Numbers:
        return (self.part.eps,)


def forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    width, roots = at[3], at[4]
    X, out = matrix(m.work, at[0], n, width), matrix(m.work, at[1], n, width)
    scale, shift = m.theta[at[5] : at[5] + width], m.theta[at[6] : at[6] + width]
    one, zero = cast(1, X[0, 0]), cast(0, X[0, 0])
    eps, share = cast(numbers[0], X[0, 0]), cast(1 / width, X[0, 0])
    for i in range(n):
        mean = zero
        for j in range(width):
            mean += X[i, j]
        mean *= share
        rest, squares = zero, zero
        for j in range(width):
            x = X[i, j] - mean
            X[i, j] = x
            rest += x
            squares += x * x
        # The rounding error of the mean.
        rest *= share
        var = squares * share - rest * rest
        root = one / np.sqrt((zero if var < 0 else var) + eps)
        m.work[roots + i] = root
        for j in range(width):
            x = (X[i, j] - rest) * root
            X[i, j] = x
            out[i, j] = x * scale[j] + shift[j]
    return 0.0


def backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    width, roots = at[3], at[4]
    normalized = matrix(m.work, at[0], n, width)
    delta = matrix(m.work, at[2], n, width)
    scale = m.theta[at[5] : at[5] + width]
    dscale, dshift = m.grad[at[5] : at[5] + width], m.grad[at[6] : at[6] + width]
    zero, share = cast(0, delta[0, 0]), cast(1 / width, delta[0, 0])
    fill(dscale, 0)
    fill(dshift, 0)
    for i in range(n):
        mean, pull = zero, zero
        for j in range(width):
            d = delta[i, j]
            dshift[j] += d
            dscale[j] += d * normalized[i, j]
            d *= scale[j]
            delta[i, j] = d
            mean += d
            pull += d * normalized[i, j]
        mean *= share
        pull *= share
        for j in range(width):
            d = delta[i, j] - mean - normalized[i, j] * pull
            delta[i, j] = d * m.work[roots + i]
    return 0.0
