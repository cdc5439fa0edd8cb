"""Dense layers: the matrix products of a network."""

import numpy as np
from scipy.sparse import issparse

from sknn_notes._arrays import transpose
from sknn_notes._compile import matrix
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
    ):
        self.n_inputs, self.n_units, self.depth = n_inputs, n_units, depth
        self.has_bias, self.is_output = has_bias, is_output
        self.dropconnect: Mask | None = dropconnect
        self.is_random = dropconnect is not None

    def parameters(self):
        learned = {"W": Parameter((self.n_inputs, self.n_units), "weights")}
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
            tape.forward(output_forward, at=at)
            tape.backward(output_backward, at=at)
            return out._replace(bias=-1)
        tape.forward(forward, at=at)
        tape.backward(backward, at=at)
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
    W = matrix(m.work if at[5] else m.theta, at[4], n_inputs, n_units)
    Z = matrix(m.work, at[1], n_units, n)
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
    np.dot(A.T, delta.T, matrix(m.grad, at[6], n_inputs, n_units))
    if at[3] >= 0:
        W = matrix(m.work if at[5] else m.theta, at[4], n_inputs, n_units)
        np.dot(delta.T, W.T, matrix(m.work, at[3], n, n_inputs))
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
