"""The layer of an activation, with the biases of the dense layer before it."""

import numpy as np

from sknn_notes._compile import cast, fill, matrix
from sknn_notes._part import form_of
from sknn_notes.activations import Activation
from sknn_notes.layers._base import Layer


class Activate(Layer):
    """``A = activation(Z)``.

    Parameters
    ----------
    activation : Activation
    depth : int
    n_units : int
    mask : Mask or None, default=None
        The dropout of the layer that follows.
    """

    def __init__(self, activation, depth, n_units, mask=None):
        self.activation: Activation = activation
        self.depth, self.n_units, self.mask = depth, n_units, mask

    @property
    def title(self):
        return repr(self.activation)

    def forward(self, p, A, flow):
        out = self.activation.forward(A, flow.xp)
        return out, (out, A if self.activation.keeps_input else None)

    def backward(self, p, g, delta, kept, flow, needed=True):
        A, Z = kept
        return self.activation.backward(delta, A, Z, flow.xp)

    def onnx(self, graph, p, A, skips):
        return form_of(self.activation, "onnx", "forward")(graph, A)

    def bound(self, p, size, largest):
        # The functions in use lie nowhere farther from 0 than at the ends, or than 1.
        ends = self.activation.forward(np.array([[-size, size]]), np)
        return max(float(np.max(np.abs(ends))), size, 1.0)

    def record(self, tape, value):
        part, keeps = self.activation, self.activation.keeps_input
        if len(part.numbers()) > 2:
            raise TypeError(
                f"{type(part).__name__}.numbers returned {part.numbers()}, and loops "
                "take two numbers at most. Leave the loops out to train by forward and "
                "backward."
            )
        value_of = form_of(part, "value", "forward")
        slope_of = form_of(part, "slope", "backward")
        # A slope that is computed from the input needs input and output.
        start = tape.room(self.n_units) if keeps else value.start
        out = value._replace(
            start=start, bias=-1, is_flat_at_zero=self._is_flat and bool(self.mask)
        )
        at = value.start, start, value.delta, value.bias, self.n_units
        tape.forward(forward, value_of, at=at, numbers=self._numbers)
        tape.backward(backward, slope_of, at=at, numbers=self._numbers)
        return out

    @property
    def _is_flat(self):
        """Whether masked outputs tell that the slope is 0 there.

        A subclass with another slope says so itself.
        """
        part = self.activation
        owner = next((c for c in type(part).__mro__ if "slope" in vars(c)), None)
        return vars(owner).get("flat_at_zero", False) and not part.keeps_input

    def _numbers(self):
        """Return the activation's numbers, and how to undo and to add a mask's scale.

        Outputs are masked in place. Where that shows in the slope, which is 0 then, the
        scale alone is missing from the gradient.
        """
        scale = 1.0 if self.mask is None else self.mask.training_scale
        flat = self._is_flat
        p = (*self.activation.numbers(), 0.0, 0.0)[:2]
        return *p, 1 / scale, scale if flat else 1.0


def forward(value_of):
    def operation(m, at, numbers, n, key, t):
        width = at[4]
        Z, A = matrix(m.work, at[0], n, width), matrix(m.work, at[1], n, width)
        like = m.theta[0]
        p = cast(numbers[0], like), cast(numbers[1], like)
        # A loop that reads and writes one place is vectorized where it names one array.
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


def backward(slope_of):
    def operation(m, at, numbers, n, key, t):
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
