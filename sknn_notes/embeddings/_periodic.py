"""Periodic embeddings: cosines of each feature, followed by a linear layer."""

from math import pi
from numbers import Integral, Real
from typing import Any

import numpy as np

from sknn_notes._arrays import beside, maximum, transpose
from sknn_notes._checks import Interval
from sknn_notes._compile import Memory, cast, math, matrix
from sknn_notes._sklearn import StrOptions
from sknn_notes._typing import Array, ArrayNamespace, Arrays, Floats, Graph, Integers
from sknn_notes.embeddings._base import Embedding


class Periodic(Embedding):
    r"""Cosines of each feature with learned frequencies, followed by a linear layer.

    A feature ``x`` becomes ``x`` itself and ``n_units`` functions of it, ``act(sum_k
    w_k cos(2 pi (c_k x + s_k)) + b)``. Each feature has separate frequencies ``c``,
    phases ``s``, weights ``w`` and biases ``b``, all of which are learned. With the
    defaults this is the PBLD embedding of RealMLP [2]_. With ``activation="relu"`` it
    is PLR [1]_ plus the feature itself, since a sine is a cosine with another phase.

    Initial frequencies are normally distributed, phases are uniform on [-pi, pi], and
    weights and biases uniform on ``[-a, a]`` with ``a = 1 / sqrt(n_frequencies)``,
    whatever ``init`` is. They are not penalized: a penalty on a frequency would flatten
    the function. RealMLP decays them, but with a tenth of the learning rate.

    Parameters
    ----------
    n_frequencies : int, default=16
        Number of cosines for each feature.
    n_units : int, default=3
        Number of learned functions of each feature, in addition to the feature itself.
    sigma : float, default=0.1
        Standard deviation of the initial frequencies, in periods per unit of the
        feature. Inputs should be standardized. A larger value fits steeper functions,
        and more noise.
    activation : {'relu'} or None, default=None
        Activation ``act`` of the functions.

    References
    ----------
    .. [1] Gorishniy, Y., Rubachev, I. and Babenko, A. (2022). On embeddings for
       numerical features in tabular deep learning. NeurIPS.
    .. [2] Holzmüller, D., Grinsztajn, L. and Steinwart, I. (2024). Better by default:
       strong pre-tuned MLPs and boosted trees on tabular data. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes import MLPRegressor
    >>> from sknn_notes.embeddings import Periodic
    >>> X = np.linspace(-2, 2, 400).reshape(-1, 1)
    >>> y = np.sin(6 * X[:, 0])
    >>> model = MLPRegressor(
    ...     hidden_layer_sizes=32, embedding=Periodic(sigma=0.5),
    ...     learning_rate_init=0.01, random_state=0)
    >>> round(model.fit(X, y).score(X, y), 1)
    1.0
    >>> model.coefs_[0].shape  # The feature and three functions of it
    (4, 32)
    """

    _parameter_constraints = {
        "n_frequencies": [Interval(Integral, 1, None, closed="left")],
        "n_units": [Interval(Integral, 1, None, closed="left")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
        "activation": [StrOptions({"relu"}), None],
    }

    def __init__(
        self,
        *,
        n_frequencies: int = 16,
        n_units: int = 3,
        sigma: float = 0.1,
        activation: str | None = None,
    ) -> None:
        self.n_frequencies = n_frequencies
        self.n_units = n_units
        self.sigma = sigma
        self.activation = activation

    def start(self, X: Floats, sample_weight: Floats | None = None) -> int:
        self.n_features_ = X.shape[1]
        self.n_outputs_ = self.n_features_ * (1 + self.n_units)
        return self.n_outputs_

    def parameters(self) -> dict[str, tuple[int, ...]]:
        d, k, h = self.n_features_, self.n_frequencies, self.n_units
        return {
            "frequencies": (d, k),
            "phases": (d, k),
            "weights": (d, k, h),
            "biases": (d, h),
        }

    def draw(self, p: Arrays, rng: np.random.Generator) -> None:
        c, s, a = p["frequencies"], p["phases"], self.n_frequencies**-0.5
        c[...] = self.sigma * rng.standard_normal(c.shape)
        s[...] = rng.uniform(-pi, pi, s.shape)
        for name in ("weights", "biases"):
            p[name][...] = rng.uniform(-a, a, p[name].shape)

    def forward(self, p: Arrays, X: Array, xp: ArrayNamespace) -> tuple[Array, Any]:
        # Features first: their matrices have the shape (n_samples, n_frequencies).
        x = transpose(X)[..., None]
        angle = x * p["frequencies"][..., None, :] + p["phases"][..., None, :]
        # Subtracting whole turns is exact.
        angle -= xp.round(angle)
        angle *= 2 * pi
        cos = xp.cos(angle)
        Z = cos @ p["weights"]
        Z += p["biases"][..., None, :]
        if self.activation == "relu":
            Z = maximum(Z, 0, xp)
        flat = (*Z.shape[:-3], self.n_features_ * self.n_units, Z.shape[-2])
        units = transpose(xp.reshape(transpose(Z), flat))
        return beside(X, units, xp), (x, angle, cos, Z)

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        xp: ArrayNamespace,
    ) -> None:
        x, angle, cos, Z = kept
        d, h = self.n_features_, self.n_units
        delta = transpose(delta[..., d:])
        delta = transpose(xp.reshape(delta, (*delta.shape[:-2], d, h, delta.shape[-1])))
        if self.activation == "relu":
            delta = xp.where(Z > 0, delta, xp.zeros_like(delta))
        g["biases"][...] = xp.sum(delta, axis=-2)
        g["weights"][...] = transpose(cos) @ delta
        pull = delta @ transpose(p["weights"])
        pull *= -2 * pi * xp.sin(angle)
        g["phases"][...] = xp.sum(pull, axis=-2)
        g["frequencies"][...] = xp.sum(pull * x, axis=-2)

    def bound(self, p: Arrays, size: float) -> float:
        sums = np.sum(np.abs(p["weights"]), axis=-2) + np.abs(p["biases"])
        return max(size, float(np.max(sums)))

    def table(self) -> tuple[int, ...]:
        is_relu = self.activation == "relu"
        return self.n_features_, self.n_frequencies, self.n_units, int(is_relu)

    @property
    def n_spare(self) -> int:
        return 3 + self.n_units

    @staticmethod
    def loops(
        m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
    ) -> float:
        n_features, k, h = at[8], at[9], at[10]
        width = n_features * (1 + h)
        X = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_features)
        out = matrix(m.work, at[1], n, width)
        # One feature at a time, with its samples contiguous.
        x, cos = m.work[at[3] : at[3] + n], m.work[at[3] + n : at[3] + 2 * n]
        Z = matrix(m.work, at[3] + 3 * n, h, n)
        zero = cast(0, m.theta[0])
        for f in range(n_features):
            for i in range(n):
                x[i] = X[i, f]
                out[i, f] = x[i]
            for u in range(h):
                bias = m.theta[at[7] + f * h + u]
                for i in range(n):
                    Z[u, i] = bias
            for j in range(f * k, (f + 1) * k):
                c, s = m.theta[at[4] + j], m.theta[at[5] + j]
                for i in range(n):
                    cos[i] = math.cos_sin_turns(x[i] * c + s)[0]
                for u in range(h):
                    w = m.theta[at[6] + j * h + u]
                    for i in range(n):
                        Z[u, i] += w * cos[i]
            for u in range(h):
                column = n_features + f * h + u
                if at[11]:
                    for i in range(n):
                        out[i, column] = zero if Z[u, i] < zero else Z[u, i]
                else:
                    for i in range(n):
                        out[i, column] = Z[u, i]
        return 0.0

    @staticmethod
    def backward_loops(
        m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
    ) -> float:
        n_features, k, h = at[8], at[9], at[10]
        width = n_features * (1 + h)
        X = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_features)
        out, delta = matrix(m.work, at[1], n, width), matrix(m.work, at[2], n, width)
        x, cos = m.work[at[3] : at[3] + n], m.work[at[3] + n : at[3] + 2 * n]
        pull = m.work[at[3] + 2 * n : at[3] + 3 * n]
        D = matrix(m.work, at[3] + 3 * n, h, n)
        zero, factor = cast(0, m.theta[0]), cast(-2 * pi, m.theta[0])
        for f in range(n_features):
            for i in range(n):
                x[i] = X[i, f]
            for u in range(h):
                column, total = n_features + f * h + u, zero
                for i in range(n):
                    d = delta[i, column]
                    # Dropout may have scaled the outputs, but keeps zeros.
                    if at[11] and not out[i, column] > zero:
                        d = zero
                    D[u, i] = d
                    total += d
                m.grad[at[7] + f * h + u] = total
            for j in range(f * k, (f + 1) * k):
                c, s = m.theta[at[4] + j], m.theta[at[5] + j]
                for i in range(n):
                    pull[i] = zero
                for u in range(h):
                    w = m.theta[at[6] + j * h + u]
                    for i in range(n):
                        pull[i] += w * D[u, i]
                dc, ds = zero, zero
                for i in range(n):
                    a, b = math.cos_sin_turns(x[i] * c + s)
                    cos[i] = a
                    b *= pull[i]
                    ds += b
                    dc += b * x[i]
                m.grad[at[4] + j], m.grad[at[5] + j] = factor * dc, factor * ds
                for u in range(h):
                    total = zero
                    for i in range(n):
                        total += D[u, i] * cos[i]
                    m.grad[at[6] + j * h + u] = total
        return 0.0

    def onnx(self, graph: Graph, p: Arrays, X: str) -> str:
        d, k, h = self.n_features_, self.n_frequencies, self.n_units
        repeated = graph.add("Gather", X, np.repeat(np.arange(d), k), axis=1)
        turns = graph.add("Mul", repeated, p["frequencies"].reshape(-1))
        turns = graph.add("Add", turns, p["phases"].reshape(-1))
        turns = graph.add("Sub", turns, graph.add("Round", turns))
        # A cosine is a sine shifted by a quarter turn.
        angle = graph.add("Mul", graph.add("Add", turns, 0.25), 2 * pi)
        cos = graph.add("Reshape", graph.add("Sin", angle), np.array([-1, d, k]))
        cos = graph.add("Transpose", cos, perm=[1, 0, 2])
        Z = graph.add("MatMul", cos, p["weights"])
        Z = graph.add("Add", Z, p["biases"][:, None, :])
        if self.activation == "relu":
            Z = graph.add("Relu", Z)
        Z = graph.add("Transpose", Z, perm=[1, 0, 2])
        return graph.concat(X, graph.add("Reshape", Z, np.array([-1, d * h])))
