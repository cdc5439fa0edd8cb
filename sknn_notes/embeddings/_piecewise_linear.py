"""Piecewise linear embeddings: the position of each feature within its bins."""

from numbers import Integral
from typing import Any

import numpy as np

from sknn_notes._arrays import beside
from sknn_notes._checks import Interval
from sknn_notes._compile import Memory, cast, matrix
from sknn_notes._encoding import bins_of, component_scales, components, quantile_edges
from sknn_notes._typing import Array, ArrayNamespace, Arrays, Floats, Graph, Integers
from sknn_notes.embeddings._base import Embedding


class PiecewiseLinear(Embedding):
    """Piecewise linear components of each feature, over bins of equal counts.

    A feature with the bin edges ``b_0 < ... < b_T`` becomes itself and ``T``
    components, ``clip((x - b_{t-1}) / (b_t - b_{t-1}), 0, 1)``, each of them
    standardized. Edges, means and standard deviations are those of the weighted
    training data (in ``partial_fit``, of the first call). There are no learned
    parameters. Features with one or two distinct values have no components.

    Parameters
    ----------
    n_bins : int, default=8
        Number of bins per feature. The edges are quantiles; equal edges are merged.

    See Also
    --------
    Periodic : Embedding with learned functions.

    References
    ----------
    Gorishniy, Y., Rubachev, I. and Babenko, A. (2022). On embeddings for numerical
    features in tabular deep learning. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes import MLPRegressor
    >>> from sknn_notes.embeddings import PiecewiseLinear
    >>> X = np.linspace(-2, 2, 400).reshape(-1, 1)
    >>> y = np.sin(6 * X[:, 0])
    >>> model = MLPRegressor(
    ...     hidden_layer_sizes=32, embedding=PiecewiseLinear(n_bins=16),
    ...     learning_rate_init=0.01, random_state=0)
    >>> round(model.fit(X, y).score(X, y), 1)
    1.0
    >>> model.coefs_[0].shape  # The feature and its components
    (17, 32)
    """

    _parameter_constraints = {"n_bins": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, *, n_bins: int = 8) -> None:
        self.n_bins = n_bins

    def start(self, X: Floats, sample_weight: Floats | None = None) -> int:
        # The weights of a chunk may all be 0.
        weight = sample_weight if np.any(sample_weight) else None
        edges = quantile_edges(X, self.n_bins, weight)
        self.features_, lower, width = bins_of(edges, X.dtype)
        mean, scale = component_scales(X, edges, weight)
        self._constants = {"lower": lower, "width": width, "mean": mean, "scale": scale}
        self.n_features_ = X.shape[1]
        self.n_outputs_ = self.n_features_ + len(self.features_)
        return self.n_outputs_

    def constants(self) -> dict[str, Floats]:
        return self._constants

    def forward(self, p: Arrays, X: Array, xp: ArrayNamespace) -> tuple[Array, Any]:
        rows = {name: array[..., None, :] for name, array in p.items()}
        Z = components(X, self.features_, rows["lower"], rows["width"], xp)
        Z -= rows["mean"]
        Z /= rows["scale"]
        return beside(X, Z, xp), None

    def bound(self, p: Arrays, size: float) -> float:
        ends = np.concatenate([-p["mean"], 1 - p["mean"]]).reshape(2, -1) / p["scale"]
        return max(size, float(np.max(np.abs(ends), initial=0)))

    def table(self) -> tuple[int, ...]:
        # Where the components of each feature begin, and where the last ones end.
        counts = np.bincount(self.features_, minlength=self.n_features_)
        return self.n_features_, *np.cumsum([0, *counts]).tolist()

    @staticmethod
    def loops(
        m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
    ) -> float:
        n_features, starts = at[8], at[9:]
        n_bins = starts[n_features]
        width = n_features + n_bins
        X = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, n_features)
        out = matrix(m.work, at[1], n, width)
        lower, widths = m.running[at[4] :][:n_bins], m.running[at[5] :][:n_bins]
        mean, scale = m.running[at[6] :][:n_bins], m.running[at[7] :][:n_bins]
        zero, one = cast(0, m.theta[0]), cast(1, m.theta[0])
        for i in range(n):
            row = out[i, n_features:]
            for f in range(n_features):
                x = X[i, f]
                out[i, f] = x
                for j in range(starts[f], starts[f + 1]):
                    row[j] = (x - lower[j]) / widths[j]
            for j in range(n_bins):
                z = row[j]
                z = zero if z < zero else one if z > one else z
                row[j] = (z - mean[j]) / scale[j]
        return 0.0

    def shown(self, p: Arrays) -> dict[str, Any]:
        return {"features": self.features_, **p}

    def onnx(self, graph: Graph, p: Arrays, X: str) -> str:
        if not len(self.features_):
            return X
        Z = graph.add("Gather", X, self.features_, axis=1)
        Z = graph.add("Div", graph.add("Sub", Z, p["lower"]), p["width"])
        Z = graph.add("Clip", Z, 0.0, 1.0)
        Z = graph.add("Div", graph.add("Sub", Z, p["mean"]), p["scale"])
        return graph.concat(X, Z)
