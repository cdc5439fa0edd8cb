"""Dense layers: the matrix products of a network."""

import numpy as np
from scipy.sparse import issparse

from sknn_notes._arrays import transpose
from sknn_notes._compile import fill, matrix
from sknn_notes._part import NoLoopsError
from sknn_notes.layers._base import Layer, Parameter
from sknn_notes.layers._dropout import Mask, mask_rows


class Dense(Layer):
    """``Z = A W + b``.

    Parameters
    ----------
    n_inputs, n_units : int
    depth : int
    has_bias : bool, default=True
        False where a norm follows, whose shift takes its place.
    is_output : bool, default=False
        Whether the outputs are those of the network. They are few, and losses reduce
        over each row of them, so that they lie units first in memory.
    dropconnect : Mask or None, default=None
        Drops weights, others in every batch.
    transposed : bool, default=False
        Whether the weights of a unit lie together, which makes single units cheap.
    """

    def __init__(
        self,
        n_inputs,
        n_units,
        depth,
        *,
        has_bias=True,
        is_output=False,
        dropconnect=None,
        transposed=False,
    ):
        self.transposed = transposed
        self.n_inputs, self.n_units, self.depth = n_inputs, n_units, depth
        self.has_bias, self.is_output = has_bias, is_output
        self.dropconnect: Mask | None = dropconnect
        self.is_random = dropconnect is not None

    @property
    def title(self):
        rate = "" if self.dropconnect is None else f"dropconnect={self.dropconnect}"
        return f"Dense({rate})"

    def parameters(self):
        shape = self.n_inputs, self.n_units
        learned = {"W": Parameter(shape, "weights", self.transposed)}
        if self.has_bias:
            learned["b"] = Parameter((self.n_units,), "biases")
        return learned

    def forward(self, p, A, flow):
        W, mask = p["W"], None
        if self.dropconnect is not None and flow.keys is not None:
            mask = self.dropconnect.draw(next(flow.keys), W.shape[-2:], W, flow.xp)
            W = W * mask
        return self._product(A, W, p), (A, W, mask)

    def _product(self, A, W, p):
        if self.is_output and not issparse(A):
            Z = transpose(transpose(W) @ transpose(A))
        else:
            Z = A @ W
        if self.has_bias:
            Z += p["b"][..., None, :]
        return Z

    def backward(self, p, g, delta, kept, flow, needed=True):
        A, W, mask = kept
        g["W"][...] = transpose(A) @ delta
        if mask is not None:
            g["W"][...] *= mask
        if self.has_bias:
            g["b"][...] = flow.xp.sum(delta, axis=-2)
        return delta @ transpose(W) if needed else None

    def predict(self, p, A, flow):
        W = p["W"]
        if self.dropconnect is not None:
            W = self.dropconnect.predict(W, W.shape[-2:], flow)
        return self._product(A, W, p)

    def fitted(self, arrays):
        learned = {"W": arrays.coefs[self.depth]}
        if self.has_bias:
            learned["b"] = arrays.intercepts[self.depth]
        return learned

    def onnx(self, graph, p, A, skips):
        W = p["W"].astype(np.float64)
        if self.dropconnect is not None:
            W *= self.dropconnect.prediction_scale
        if not self.has_bias:
            return graph.add("MatMul", A, W)
        return graph.add("Gemm", A, W, p["b"])

    def bound(self, p, size, largest):
        return (self.n_inputs * size + 1) * largest

    def record(self, tape, value):
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

    def _record_sparse(self, tape, W, b):
        # The gradient of rows that a step chooses is 0 when it starts.
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


def forward(m, at, numbers, n, key, t):
    n_inputs, n_units = at[8], at[9]
    A = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
    W = matrix(m.work if at[5] else m.theta, at[4], n_inputs, n_units)
    np.dot(A, W, matrix(m.work, at[1], n, n_units))
    return 0.0


def backward(m, at, numbers, n, key, t):
    n_inputs, n_units = at[8], at[9]
    A = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
    delta = matrix(m.work, at[2], n, n_units)
    np.dot(A.T, delta, matrix(m.grad, at[6], n_inputs, n_units))
    if at[3] >= 0:
        W = matrix(m.work if at[5] else m.theta, at[4], n_inputs, n_units)
        np.dot(delta, W.T, matrix(m.work, at[3], n, n_inputs))
    return 0.0


def output_forward(m, at, numbers, n, key, t):
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


def output_backward(m, at, numbers, n, key, t):
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


# Of sparse inputs. Operands: places of the outputs, of their gradient and of the
# weights; number of units; how many rows of the gradient are to be set to 0.


def sparse_forward(m, at, numbers, n, key, t):
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


def sparse_backward(m, at, numbers, n, key, t):
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


# Operands: places of rows of a batch and of their gradient, of the same units first;
# place of the biases; number of units.


def transpose_forward(m, at, numbers, n, key, t):
    rows, Z = matrix(m.work, at[0], n, at[5]), matrix(m.work, at[2], at[5], n)
    for k in range(at[5]):
        b = m.theta[at[4] + k]
        for i in range(n):
            Z[k, i] = rows[i, k] + b
    return 0.0


def transpose_backward(m, at, numbers, n, key, t):
    rows, delta = matrix(m.work, at[1], n, at[5]), matrix(m.work, at[3], at[5], n)
    for k in range(at[5]):
        total = m.grad.dtype.type(0)
        for i in range(n):
            total += delta[k, i]
            rows[i, k] = delta[k, i]
        m.grad[at[4] + k] = total
    return 0.0


def connect_forward(m, at, numbers, n, key, t):
    """Write the weights that are kept, scaled, to their place."""
    size = at[2] * at[3]
    W, kept = m.theta[at[1] : at[1] + size], m.work[at[0] : at[0] + size]
    mask_rows(key, at[2], at[3], m.bits, numbers, W, kept)
    return 0.0


def connect_backward(m, at, numbers, n, key, t):
    grad = m.grad[at[1] : at[1] + at[2] * at[3]]
    mask_rows(key, at[2], at[3], m.bits, numbers, grad[:0], grad)
    return 0.0
