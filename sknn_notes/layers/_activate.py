"""The activation layer, which adds the biases of the dense layer before it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sknn_notes._compile import Memory, cast, fill, matrix
from sknn_notes._part import form_of
from sknn_notes._typing import Array, Arrays, Floats, Graph, Integers, Numbers
from sknn_notes.activations import Activation
from sknn_notes.layers._base import Flow, Layer
from sknn_notes.layers._dropout import Mask


class Activate(Layer):
    """``A = activation(Z)``.

    Parameters
    ----------
    activation : Activation
    depth : int
    n_units : int
    mask : Mask or None, default=None
        Mask of the dropout layer that follows.
    """

    def __init__(
        self, activation: Activation, depth: int, n_units: int, mask: Mask | None = None
    ) -> None:
        self.activation: Activation = activation
        self.depth, self.n_units, self.mask = depth, n_units, mask

    @property
    def title(self) -> str:
        return repr(self.activation)

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        out = self.activation.forward(A, flow.xp)
        return out, (out, A if self.activation.keeps_input else None)

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        A, Z = kept
        return self.activation.backward(delta, A, Z, flow.xp)

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        out: str = form_of(self.activation, "onnx", "forward")(graph, A)
        return out

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        # No activation is larger than at the ends of the range, or than 1.
        ends = self.activation.forward(np.array([[-size, size]]), np)
        return max(float(np.max(np.abs(ends))), size, 1.0)

    def record(self, tape: Any, value: Any) -> Any:
        part, keeps = self.activation, self.activation.keeps_input
        if len(part.numbers()) > 2:
            raise TypeError(
                f"{type(part).__name__}.numbers returned {part.numbers()}, but loops "
                "take at most two numbers. Remove value and slope to train with "
                "forward and backward."
            )
        value_of = form_of(part, "value", "forward")
        slope_of = form_of(part, "slope", "backward")
        # A slope that depends on the input needs both input and output.
        start = tape.room(self.n_units) if keeps else value.start
        out = value._replace(
            start=start, bias=-1, is_flat_at_zero=self._is_flat and bool(self.mask)
        )
        at = value.start, start, value.delta, value.bias, self.n_units
        tape.forward(forward, value_of, at=at, numbers=self._numbers)
        tape.backward(backward, slope_of, at=at, numbers=self._numbers)
        return out

    @property
    def _is_flat(self) -> bool:
        """Whether the slope is 0 where the output is masked.

        A subclass that overrides ``slope`` has to set ``flat_at_zero`` again.
        """
        part = self.activation
        owner = next((c for c in type(part).__mro__ if "slope" in vars(c)), None)
        return vars(owner).get("flat_at_zero", False) and not part.keeps_input

    def _numbers(self) -> Numbers:
        """Return the numbers of the activation, and factors for the scale of a mask.

        Outputs are masked in place. If the slope of masked outputs is 0, the gradient
        lacks only the scale.
        """
        scale = 1.0 if self.mask is None else self.mask.training_scale
        flat = self._is_flat
        p = (*self.activation.numbers(), 0.0, 0.0)[:2]
        return *p, 1 / scale, scale if flat else 1.0


def forward(value_of: Callable[..., Any]) -> Callable[..., float]:
    def operation(
        m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
    ) -> float:
        width = at[4]
        Z, A = matrix(m.work, at[0], n, width), matrix(m.work, at[1], n, width)
        like = m.theta[0]
        p = cast(numbers[0], like), cast(numbers[1], like)
        # A loop in place is vectorized only if it uses a single array.
        if at[3] < 0 and at[0] == at[1]:
            for i in range(n):
                for j in range(width):
                    Z[i, j] = value_of(Z[i, j], p)
        elif at[3] < 0:
            for i in range(n):
                for j in range(width):
                    A[i, j] = value_of(Z[i, j], p)
        elif at[0] == at[1]:
            b = m.theta[at[3] : at[3] + width]
            for i in range(n):
                for j in range(width):
                    Z[i, j] = value_of(Z[i, j] + b[j], p)
        else:
            b = m.theta[at[3] : at[3] + width]
            for i in range(n):
                for j in range(width):
                    z = Z[i, j] + b[j]
                    Z[i, j] = z
                    A[i, j] = value_of(z, p)
        return 0.0

    return operation


def backward(slope_of: Callable[..., Any]) -> Callable[..., float]:
    def operation(
        m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
    ) -> float:
        width = at[4]
        Z, A = matrix(m.work, at[0], n, width), matrix(m.work, at[1], n, width)
        delta = matrix(m.work, at[2], n, width)
        like = m.theta[0]
        p = cast(numbers[0], like), cast(numbers[1], like)
        unscale, scale = cast(numbers[2], like), cast(numbers[3], like)
        if at[3] < 0:
            for i in range(n):
                for j in range(width):
                    delta[i, j] *= scale * slope_of(A[i, j] * unscale, Z[i, j], p)
        else:
            db = m.grad[at[3] : at[3] + width]
            fill(db, 0)
            for i in range(n):
                for j in range(width):
                    d = delta[i, j] * scale * slope_of(A[i, j] * unscale, Z[i, j], p)
                    delta[i, j] = d
                    db[j] += d
        return 0.0

    return operation
