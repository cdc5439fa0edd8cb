"""Residual connections: the inputs of a hidden layer are added to its outputs."""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from sknn_notes._arrays import copied, transpose
from sknn_notes._compile import Memory, helper, matrix
from sknn_notes._typing import Array, Arrays, Floats, Graph, Integers
from sknn_notes.layers._base import Fitted, Flow, Layer, Parameter


class Fork(Layer):
    """The start of the residual connection of a hidden layer.

    Parameters
    ----------
    depth : int
    n_inputs, n_units : int
        Numbers of inputs and units of the hidden layer. If they differ, the connection
        has a weight matrix.
    """

    def __init__(self, depth: int, n_inputs: int, n_units: int) -> None:
        self.depth, self.n_inputs, self.n_units = depth, n_inputs, n_units

    @property
    def title(self) -> str:
        return ""

    @property
    def has_weights(self) -> bool:
        """Whether the widths differ."""
        return self.n_inputs != self.n_units

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        flow.stack.append(A)
        return A, None

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        skipped = flow.stack.pop()
        if needed:
            delta += skipped
        return delta

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        skips.append(A)
        return A

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        self._size = size
        return size

    def record(self, tape: Any, value: Any) -> Any:
        skipped = -1
        if value.delta >= 0:
            skipped = tape.room(self.n_inputs)
            tape.backward(add, at=(value.delta, skipped, self.n_inputs))
        tape.stack.append((value, skipped))
        return value


class Join(Layer):
    """The end of the residual connection of a hidden layer.

    Parameters
    ----------
    fork : Fork
    """

    def __init__(self, fork: Fork) -> None:
        self.fork, self.depth = fork, fork.depth

    @property
    def title(self) -> str:
        return "Residual()"

    @property
    def n_outputs(self) -> int:
        return self.fork.n_units

    def parameters(self) -> dict[str, Parameter]:
        if not self.fork.has_weights:
            return {}
        return {"W": Parameter((self.fork.n_inputs, self.fork.n_units), "weights")}

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        skipped = flow.stack.pop()
        if not p and issparse(skipped):
            skipped = skipped.toarray()  # It has as many columns as A.
        out = A + (skipped @ p["W"] if p else skipped)
        return out, skipped

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        if p:
            g["W"][...] = transpose(kept) @ delta
            flow.stack.append(delta @ transpose(p["W"]))
        else:
            # The layers in between change the gradient in place.
            flow.stack.append(copied(delta, flow.xp))
        return delta

    def fitted(self, arrays: Fitted) -> Arrays:
        return {"W": arrays.residuals[self.depth]} if self.fork.has_weights else {}

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        skipped = skips.pop()
        if p:
            skipped = graph.add("MatMul", skipped, p["W"])
        return graph.add("Add", A, skipped)

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        skipped = self.fork._size
        return size + (self.fork.n_inputs * skipped * largest if p else skipped)

    def record(self, tape: Any, value: Any) -> Any:
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
def copy(source: Any, target: Any) -> None:
    """Copy a matrix."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


def forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
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


def backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
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


def add(m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int) -> float:
    """Add the gradient of the connection to the gradient of the layer."""
    delta, skipped = matrix(m.work, at[0], n, at[2]), matrix(m.work, at[1], n, at[2])
    for i in range(n):
        for j in range(at[2]):
            delta[i, j] += skipped[i, j]
    return 0.0
