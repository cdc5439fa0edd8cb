"""Residual connections: what enters a hidden layer is added to what leaves it."""

import numpy as np
from scipy.sparse import issparse

from sknn_notes._arrays import copied, transpose
from sknn_notes._compile import helper, matrix
from sknn_notes.layers._base import Layer, Parameter


class Fork(Layer):
    """Where the connection of a hidden layer begins.

    Parameters
    ----------
    depth : int
    n_inputs, n_units : int
        Of the hidden layer. Where they differ the connection has a matrix of weights.
    """

    def __init__(self, depth, n_inputs, n_units):
        self.depth, self.n_inputs, self.n_units = depth, n_inputs, n_units

    @property
    def title(self):
        return ""

    @property
    def has_weights(self):
        """Whether the widths differ."""
        return self.n_inputs != self.n_units

    def forward(self, p, A, flow):
        flow.stack.append(A)
        return A, None

    def backward(self, p, g, delta, kept, flow, needed=True):
        skipped = flow.stack.pop()
        if needed:
            delta += skipped
        return delta

    def onnx(self, graph, p, A, skips):
        skips.append(A)
        return A

    def bound(self, p, size, largest):
        self._size = size
        return size

    def record(self, tape, value):
        skipped = -1
        if value.delta >= 0:
            skipped = tape.room(self.n_inputs)
            tape.backward(add, at=(value.delta, skipped, self.n_inputs))
        tape.stack.append((value, skipped))
        return value


class Join(Layer):
    """Where the connection of a hidden layer ends.

    Parameters
    ----------
    fork : Fork
    """

    def __init__(self, fork):
        self.fork, self.depth = fork, fork.depth

    @property
    def title(self):
        return "Residual()"

    @property
    def n_outputs(self):
        return self.fork.n_units

    def parameters(self):
        if not self.fork.has_weights:
            return {}
        return {"W": Parameter((self.fork.n_inputs, self.fork.n_units), "weights")}

    def forward(self, p, A, flow):
        skipped = flow.stack.pop()
        if not p and issparse(skipped):
            skipped = skipped.toarray()  # As wide as what it is added to.
        out = A + (skipped @ p["W"] if p else skipped)
        return out, skipped

    def backward(self, p, g, delta, kept, flow, needed=True):
        if p:
            g["W"][...] = transpose(kept) @ delta
            flow.stack.append(delta @ transpose(p["W"]))
        else:
            # The layers between the ends change their gradient in place.
            flow.stack.append(copied(delta, flow.xp))
        return delta

    def fitted(self, arrays):
        return {"W": arrays.residuals[self.depth]} if self.fork.has_weights else {}

    def onnx(self, graph, p, A, skips):
        skipped = skips.pop()
        if p:
            skipped = graph.add("MatMul", skipped, p["W"])
        return graph.add("Add", A, skipped)

    def bound(self, p, size, largest):
        skipped = self.fork._size
        return size + (self.fork.n_inputs * skipped * largest if p else skipped)

    def record(self, tape, value):
        source, skipped = tape.stack.pop()
        n_inputs, n_units = self.fork.n_inputs, self.fork.n_units
        out = tape.value(n_units)
        W = tape.place(self, "W") if self.fork.has_weights else -1
        at = (
            source.start,
            value.start,
            out.start,
            out.delta,
            value.delta,
            skipped,
            W,
            n_inputs,
            n_units,
        )
        tape.forward(forward, at=at)
        tape.backward(backward, at=at)
        return out


@helper
def copy(source, target):
    """Copy a matrix."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


def forward(m, at, numbers, n, key, t):
    n_inputs, n_units = at[7], at[8]
    source = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
    A, out = matrix(m.work, at[1], n, n_units), matrix(m.work, at[2], n, n_units)
    if at[6] < 0:
        for i in range(n):
            for j in range(n_units):
                out[i, j] = A[i, j] + source[i, j]
    else:
        np.dot(source, matrix(m.theta, at[6], n_inputs, n_units), out)
        for i in range(n):
            for j in range(n_units):
                out[i, j] += A[i, j]
    return 0.0


def backward(m, at, numbers, n, key, t):
    n_inputs, n_units = at[7], at[8]
    delta = matrix(m.work, at[3], n, n_units)
    if at[6] >= 0:
        source = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
        np.dot(source.T, delta, matrix(m.grad, at[6], n_inputs, n_units))
    if at[5] >= 0:
        skipped = matrix(m.work, at[5], n, n_inputs)
        if at[6] < 0:
            copy(delta, skipped)
        else:
            W = matrix(m.theta, at[6], n_inputs, n_units)
            np.dot(delta, W.T, skipped)
    copy(delta, matrix(m.work, at[4], n, n_units))
    return 0.0


def add(m, at, numbers, n, key, t):
    """Add the gradient that came past the layer to the one that came through it."""
    delta, skipped = matrix(m.work, at[0], n, at[2]), matrix(m.work, at[1], n, at[2])
    for i in range(n):
        for j in range(at[2]):
            delta[i, j] += skipped[i, j]
    return 0.0
