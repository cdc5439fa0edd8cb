"""Feature scaling: a learned factor for each input of the first hidden layer."""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from sknn_notes._compile import Memory, fill, matrix
from sknn_notes._typing import Array, Arrays, Floats, Graph, Integers
from sknn_notes.layers._base import Fitted, Flow, Layer, Parameter


class FeatureScaling(Layer):
    """``A = X * factors``, with initial factors of 1.

    Parameters
    ----------
    n_units : int
        Number of inputs and outputs.
    """

    def __init__(self, n_units: int) -> None:
        self.n_units = n_units

    def parameters(self) -> dict[str, Parameter]:
        return {"factors": Parameter((self.n_units,), "others")}

    def start(self, p: Arrays) -> None:
        p["factors"][...] = 1

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        if issparse(A):
            return A.multiply(p["factors"]).tocsr(), A
        return A * p["factors"][..., None, :], A

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        if issparse(kept):
            g["factors"][...] = kept.multiply(delta).sum(axis=0)
        else:
            g["factors"][...] = flow.xp.sum(delta * kept, axis=-2)
        return delta * p["factors"][..., None, :] if needed else None

    def fitted(self, arrays: Fitted) -> Arrays:
        return {"factors": arrays.feature_scales}

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        return graph.add("Mul", A, p["factors"])

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        return size * float(np.max(np.abs(p["factors"])))

    def record(self, tape: Any, value: Any) -> Any:
        delta = value.delta if value.delta >= 0 else None
        out = tape.value(self.n_units, delta=delta)
        place = tape.place(self, "factors")
        at = value.start, out.start, out.delta, place, self.n_units, value.delta >= 0
        tape.forward(forward, at=at)
        tape.backward(backward, at=at)
        return out


def forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    width = at[4]
    X = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, width)
    out, factors = matrix(m.work, at[1], n, width), m.theta[at[3] : at[3] + width]
    for i in range(n):
        for j in range(width):
            out[i, j] = X[i, j] * factors[j]
    return 0.0


def backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    width = at[4]
    X = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, width)
    delta, factors = matrix(m.work, at[2], n, width), m.theta[at[3] : at[3] + width]
    grad = m.grad[at[3] : at[3] + width]
    fill(grad, 0)
    for i in range(n):
        for j in range(width):
            grad[j] += delta[i, j] * X[i, j]
    if at[5]:
        for i in range(n):
            for j in range(width):
                delta[i, j] *= factors[j]
    return 0.0
