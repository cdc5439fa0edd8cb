"""Dense layers: the matrix products of a network."""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from sknn_notes._arrays import transpose
from sknn_notes._compile import Memory, fill, matrix
from sknn_notes._part import NoLoopsError
from sknn_notes._typing import Array, Arrays, Floats, Graph, Integers
from sknn_notes.layers._base import Fitted, Flow, Layer, Parameter
from sknn_notes.layers._dropout import Mask, mask_rows


class Dense(Layer):
    """``Z = A W + b``.

    Parameters
    ----------
    n_inputs, n_units : int
    depth : int
    has_bias : bool, default=True
        False if a normalization layer follows, since that has a shift.
    is_output : bool, default=False
        Whether this is the output layer of the network. Its outputs are then stored
        units first, since losses reduce over the few outputs of each row.
    dropconnect : Mask or None, default=None
        Mask that drops different weights in each batch.
    transposed : bool, default=False
        Whether the weights of a unit are contiguous, so that single units are fast.
    """

    def __init__(
        self,
        n_inputs: int,
        n_units: int,
        depth: int,
        *,
        has_bias: bool = True,
        is_output: bool = False,
        dropconnect: Mask | None = None,
        transposed: bool = False,
    ) -> None:
        self.transposed = transposed
        self.n_inputs, self.n_units, self.depth = n_inputs, n_units, depth
        self.has_bias, self.is_output = has_bias, is_output
        self.dropconnect: Mask | None = dropconnect
        self.is_random = dropconnect is not None

    @property
    def title(self) -> str:
        rate = "" if self.dropconnect is None else f"dropconnect={self.dropconnect}"
        return f"Dense({rate})"

    def parameters(self) -> dict[str, Parameter]:
        shape = self.n_inputs, self.n_units
        learned = {"W": Parameter(shape, "weights", self.transposed)}
        if self.has_bias:
            learned["b"] = Parameter((self.n_units,), "biases")
        return learned

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        W, mask = p["W"], None
        if self.dropconnect is not None and flow.keys is not None:
            mask = self.dropconnect.draw(next(flow.keys), W.shape[-2:], W, flow.xp)
            W = W * mask
        return self._product(A, W, p), (A, W, mask)

    def _product(self, A: Array, W: Array, p: Arrays) -> Array:
        if self.is_output and not issparse(A):
            Z = transpose(transpose(W) @ transpose(A))
        else:
            Z = A @ W
        if self.has_bias:
            Z += p["b"][..., None, :]
        return Z

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        A, W, mask = kept
        g["W"][...] = transpose(A) @ delta
        if mask is not None:
            g["W"][...] *= mask
        if self.has_bias:
            g["b"][...] = flow.xp.sum(delta, axis=-2)
        return delta @ transpose(W) if needed else None

    def predict(self, p: Arrays, A: Array, flow: Flow) -> Array:
        W = p["W"]
        if self.dropconnect is not None:
            W = self.dropconnect.predict(W, W.shape[-2:], flow)
        return self._product(A, W, p)

    def fitted(self, arrays: Fitted) -> Arrays:
        learned = {"W": arrays.coefs[self.depth]}
        if self.has_bias:
            learned["b"] = arrays.intercepts[self.depth]
        return learned

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        W = p["W"].astype(np.float64)
        if self.dropconnect is not None:
            W *= self.dropconnect.prediction_scale
        if not self.has_bias:
            return graph.add("MatMul", A, W)
        return graph.add("Gemm", A, W, p["b"])

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        return (self.n_inputs * size + 1) * largest

    def record(self, tape: Any, value: Any) -> Any:
        W, b = tape.place(self, "W"), -1
        if self.has_bias:
            b = tape.place(self, "b")
        shape = self.n_inputs, self.n_units
        if tape.is_sparse and value.start < 0:
            return self._record_sparse(tape, W, b)
        if self.transposed and not (self.is_output and self.dropconnect is None):
            raise NoLoopsError(self)
        if self.dropconnect is not None:
            kept = tape.room(self.n_inputs * self.n_units, per_row=False)
            drops = kept, W, *shape
            key = tape.forward(
                connect_forward, at=drops, numbers=self.dropconnect.numbers, random=True
            )
            tape.backward(
                connect_backward, at=drops, numbers=self.dropconnect.numbers, key=key
            )
            W = kept
        out = tape.value(self.n_units, bias=b)
        at = (
            value.start,
            out.start,
            out.delta,
            value.delta,
            W,
            self.dropconnect is not None,
            tape.place(self, "W"),
            b,
            *shape,
        )
        if self.is_output:
            tape.forward(output_forward, at=(*at, self.transposed))
            tape.backward(output_backward, at=(*at, self.transposed))
            return out._replace(bias=-1)
        tape.forward(forward, at=at)
        tape.backward(backward, at=at)
        return out

    def _record_sparse(self, tape: Any, W: int, b: int) -> Any:
        # The gradient of the rows that a step chooses is already 0.
        n_zeros = 0 if tape.chooses_inputs else self.n_inputs
        out = tape.value(self.n_units, bias=b)
        rows = out.start, out.delta
        if self.is_output:
            rows = tape.room(self.n_units), tape.room(self.n_units)
        at = *rows, W, self.n_units, n_zeros
        tape.forward(sparse_forward, at=at)
        tape.backward(sparse_backward, at=at)
        if self.is_output:
            places = *rows, out.start, out.delta, b, self.n_units
            tape.forward(transpose_forward, at=places)
            tape.backward(transpose_backward, at=places)
            out = out._replace(bias=-1)
        return out


def forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    n_inputs, n_units = at[8], at[9]
    A = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
    W = matrix(m.work if at[5] else m.theta, at[4], n_inputs, n_units)
    np.dot(A, W, matrix(m.work, at[1], n, n_units))
    return 0.0


def backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    n_inputs, n_units = at[8], at[9]
    A = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
    delta = matrix(m.work, at[2], n, n_units)
    np.dot(A.T, delta, matrix(m.grad, at[6], n_inputs, n_units))
    if at[3] >= 0:
        W = matrix(m.work if at[5] else m.theta, at[4], n_inputs, n_units)
        np.dot(delta, W.T, matrix(m.work, at[3], n, n_inputs))
    return 0.0


def output_forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    n_inputs, n_units = at[8], at[9]
    A = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
    Z = matrix(m.work, at[1], n_units, n)
    if at[10]:
        np.dot(matrix(m.theta, at[4], n_units, n_inputs), A.T, Z)
    else:
        W = matrix(m.work if at[5] else m.theta, at[4], n_inputs, n_units)
        np.dot(W.T, A.T, Z)
    for k in range(n_units):
        b = m.theta[at[7] + k]
        for i in range(n):
            Z[k, i] += b
    return 0.0


def output_backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    n_inputs, n_units = at[8], at[9]
    A = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
    delta = matrix(m.work, at[2], n_units, n)
    for k in range(n_units):
        total = m.grad.dtype.type(0)
        for i in range(n):
            total += delta[k, i]
        m.grad[at[7] + k] = total
    if at[10]:
        np.dot(delta, A, matrix(m.grad, at[6], n_units, n_inputs))
    else:
        np.dot(A.T, delta.T, matrix(m.grad, at[6], n_inputs, n_units))
    if at[3] >= 0:
        out = matrix(m.work, at[3], n, n_inputs)
        if at[10]:
            np.dot(delta.T, matrix(m.theta, at[4], n_units, n_inputs), out)
        else:
            W = matrix(m.work if at[5] else m.theta, at[4], n_inputs, n_units)
            np.dot(delta.T, W.T, out)
    return 0.0


# For sparse inputs. Operands: the places of the outputs, of their gradient and of the
# weights; the number of units; how many rows of the gradient to set to 0.


def sparse_forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    n_units, e = at[3], m.entries
    for i in range(n):
        z = m.work[at[0] + i * n_units : at[0] + (i + 1) * n_units]
        fill(z, 0)
        for k in range(e[i] + i, e[i + 1] + i + 1):
            x, start = m.x[k - e[0]], at[2] + e[k] * n_units
            w = m.theta[start : start + n_units]
            for j in range(n_units):
                z[j] += x * w[j]
    return 0.0


def sparse_backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    n_units, e = at[3], m.entries
    fill(m.grad[at[2] : at[2] + at[4] * n_units], 0)
    for i in range(n):
        delta = m.work[at[1] + i * n_units : at[1] + (i + 1) * n_units]
        for k in range(e[i] + i, e[i + 1] + i + 1):
            x, start = m.x[k - e[0]], at[2] + e[k] * n_units
            g = m.grad[start : start + n_units]
            for j in range(n_units):
                g[j] += x * delta[j]
    return 0.0


# Operands: the places of the rows of a batch and of their gradient, and of both stored
# units first; the place of the biases; the number of units.


def transpose_forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    rows, Z = matrix(m.work, at[0], n, at[5]), matrix(m.work, at[2], at[5], n)
    for k in range(at[5]):
        b = m.theta[at[4] + k]
        for i in range(n):
            Z[k, i] = rows[i, k] + b
    return 0.0


def transpose_backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    rows, delta = matrix(m.work, at[1], n, at[5]), matrix(m.work, at[3], at[5], n)
    for k in range(at[5]):
        total = m.grad.dtype.type(0)
        for i in range(n):
            total += delta[k, i]
            rows[i, k] = delta[k, i]
        m.grad[at[4] + k] = total
    return 0.0


def connect_forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    """Write the scaled weights that are not dropped."""
    size = at[2] * at[3]
    W, kept = m.theta[at[1] : at[1] + size], m.work[at[0] : at[0] + size]
    mask_rows(key, at[2], at[3], m.bits, numbers, W, kept)
    return 0.0


def connect_backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    grad = m.grad[at[1] : at[1] + at[2] * at[3]]
    mask_rows(key, at[2], at[3], m.bits, numbers, grad[:0], grad)
    return 0.0
