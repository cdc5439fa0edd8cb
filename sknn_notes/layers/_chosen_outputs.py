"""An output layer in which a step computes and trains only some units."""

from typing import Any

import numpy as np

from sknn_notes._compile import Memory, cast, fill, matrix
from sknn_notes._typing import Array, Arrays, Floats, Integers
from sknn_notes.layers._base import Flow, Parameter
from sknn_notes.layers._dense import Dense


class ChosenOutputs(Dense):
    """``Z = A W + b`` for the outputs that a loss chooses.

    The raw outputs of a sample are first its own, then those that all samples of the
    batch share. They are defined by ``choice``, a ``Choice`` of the loss whose indices
    refer to places in this layer. The shared outputs come first there.

    Parameters
    ----------
    n_inputs : int
    capacity : int
        Maximum number of units that a step may choose.
    depth : int
    n_own, n_shared : int
        How many outputs a sample has for itself, and at most shares with others.
    """

    def __init__(
        self, n_inputs: int, capacity: int, depth: int, n_own: int, n_shared: int
    ) -> None:
        n_units = n_own + n_shared
        super().__init__(n_inputs, n_units, depth, is_output=True, transposed=True)
        self.capacity, self.n_own, self.n_shared = capacity, n_own, n_shared
        self.choice: Any = None

    def parameters(self) -> dict[str, Parameter]:
        W = Parameter((self.n_inputs, self.capacity), "weights", transposed=True)
        return {"W": W, "b": Parameter((self.capacity,), "biases")}

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        choice, W, b = self.choice, p["W"].T, p["b"]
        n_shared = np.count_nonzero(choice.shared >= 0)
        own = np.einsum("ik,ijk->ij", A, W[choice.own]) + b[choice.own]
        shared = A @ W[:n_shared].T + b[:n_shared] + choice.shift[:n_shared]
        return np.concatenate([own, shared], axis=1), A

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        choice, A, W = self.choice, kept, p["W"].T
        own, shared = delta[:, : self.n_own], delta[:, self.n_own :]
        n_shared = shared.shape[1]
        g["W"][...], g["b"][...] = 0, 0
        g["W"].T[:n_shared] = shared.T @ A
        g["b"][:n_shared] = shared.sum(axis=0)
        # Places without an output have a gradient of 0.
        np.add.at(g["b"], choice.own, own)
        for j in range(self.n_own):
            np.add.at(g["W"].T, choice.own[:, j], own[:, j, None] * A)
        if not needed:
            return None
        return shared @ W[:n_shared] + np.einsum("ij,ijk->ik", own, W[choice.own])

    def record(self, tape: Any, value: Any) -> Any:
        W, b = tape.place(self, "W"), tape.place(self, "b")
        out = tape.value(self.n_units)
        at = (
            value.start,
            value.delta,
            out.start,
            out.delta,
            W,
            b,
            self.n_inputs,
            self.n_own,
            tape.max_rows,
        )
        tape.forward(chosen_forward, at=at)
        tape.backward(chosen_backward, at=at)
        return out


# Operands: the places of the inputs, of their gradient, of the outputs, of their
# gradient, of the weights and of the biases; the numbers of inputs, of each sample's
# own outputs, and of rows that there is room for. The first n * n_own elements of
# ``classes`` are the places of each sample's own outputs, -1 for none. The shared
# outputs follow. ``targets`` has the same order.


def chosen_forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    n_inputs, n_own = at[6], at[7]
    A = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
    for i in range(n):
        for j in range(n_own):
            place, z = m.classes[i * n_own + j], cast(0, m.theta[0])
            if place >= 0:
                start = at[4] + place * n_inputs
                w = m.theta[start : start + n_inputs]
                for k in range(n_inputs):
                    z += A[i, k] * w[k]
                z += m.theta[at[5] + place]
            m.work[at[2] + i * n_own + j] = z
    n_shared = 0
    for j in range(n * n_own, len(m.classes)):
        n_shared += m.classes[j] >= 0
    if n_shared:
        Z = matrix(m.work, at[2] + at[8] * n_own, n_shared, n)
        np.dot(matrix(m.theta, at[4], n_shared, n_inputs), A.T, Z)
        for k in range(n_shared):
            b = m.theta[at[5] + k] + m.targets[n * n_own + k]
            for i in range(n):
                Z[k, i] += b
    return 0.0


def chosen_backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    n_inputs, n_own = at[6], at[7]
    A = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_inputs)
    n_shared, needed = 0, at[1] >= 0
    for j in range(n * n_own, len(m.classes)):
        n_shared += m.classes[j] >= 0
    pull = matrix(m.work, max(0, at[1]), n if needed else 0, n_inputs)
    if n_shared:
        delta = matrix(m.work, at[3] + at[8] * n_own, n_shared, n)
        np.dot(delta, A, matrix(m.grad, at[4], n_shared, n_inputs))
        for k in range(n_shared):
            total = cast(0, m.theta[0])
            for i in range(n):
                total += delta[k, i]
            m.grad[at[5] + k] = total
        if needed:
            np.dot(delta.T, matrix(m.theta, at[4], n_shared, n_inputs), pull)
    elif needed:
        fill(m.work[at[1] : at[1] + n * n_inputs], 0)
    for i in range(n):
        for j in range(n_own):
            place, delta_own = m.classes[i * n_own + j], m.work[at[3] + i * n_own + j]
            if place < 0:
                continue
            start = at[4] + place * n_inputs
            w, g = m.theta[start : start + n_inputs], m.grad[start : start + n_inputs]
            for k in range(n_inputs):
                g[k] += delta_own * A[i, k]
            m.grad[at[5] + place] += delta_own
            if needed:
                for k in range(n_inputs):
                    pull[i, k] += delta_own * w[k]
    return 0.0
