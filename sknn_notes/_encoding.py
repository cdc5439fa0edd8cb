"""Piecewise linear encoding: the edges of bins, and the components of an array.

A feature with edges ``b_0 < ... < b_T`` has ``T`` components. Component ``t`` is
``clip((x - b_{t-1}) / (b_t - b_{t-1}), 0, 1)`` [1]_: 0 below its bin, 1 above it. A
feature with None in place of edges is passed through, and has no components.

References
----------
.. [1] Gorishniy, Y., Rubachev, I. and Babenko, A. (2022). On embeddings for numerical
   features in tabular deep learning. NeurIPS.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import from_numpy, maximum, minimum, numpy_dtype
from sknn_notes._typing import Array, ArrayNamespace, Floats, Integers

__all__ = [
    "bins_of",
    "component_limits",
    "component_scales",
    "components",
    "encode",
    "n_components",
    "quantile_edges",
    "quantiles",
]


# The edges of each feature, or None if it is passed through.
Edges: TypeAlias = list[Floats | None]


def quantile_edges(
    X: NDArray[Any], n_bins: int, sample_weight: Floats | None = None
) -> Edges:
    """Return the edges of bins that hold about equally many samples.

    The edges are the ``quantiles`` of the values that are not NaN. Equal edges are
    merged, so there may be fewer bins.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        It may contain NaN, but not infinity.
    n_bins : int
    sample_weight : ndarray of shape (n_samples,), default=None
        Non-negative. Rows of weight 0 are ignored.

    Returns
    -------
    edges : list of (ndarray or None), one per feature
        Increasing, in the dtype of X (float64 for integers). None for features with
        fewer than three distinct values, which are passed through.
    """
    dtype = X.dtype if X.dtype.kind == "f" else np.dtype(np.float64)
    return [_edges(column.astype(dtype), n_bins, sample_weight) for column in X.T]


def _edges(x: Floats, n_bins: int, weights: Floats | None) -> Floats | None:
    values = quantiles(x, n_bins, weights)
    low, high = values[0], values[-1]
    between = (x > low) & (x < high)
    if not (between if weights is None else between & (weights > 0)).any():
        return None
    return np.unique(values.astype(x.dtype))


def quantiles(x: Floats, n: int, sample_weight: Floats | None = None) -> Floats:
    """Return the ``n + 1`` quantiles that divide a column into ``n`` equal parts.

    A quantile between two values is their mean (numpy's "averaged_inverted_cdf"), so
    that a weight of 2 is equivalent to two rows.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        NaN is ignored; quantiles may be infinite.
    n : int
    sample_weight : ndarray of shape (n_samples,), default=None
        Non-negative. Rows of weight 0 are ignored.

    Returns
    -------
    quantiles : ndarray of float64 of shape (n + 1,)
        The first is the smallest value, the last the largest. NaN if there are no
        values.
    """
    seen = ~np.isnan(x)
    if sample_weight is None:
        x = x[seen]
        totals = np.arange(1, len(x) + 1)
    else:
        seen &= sample_weight > 0
        x, weights = x[seen], sample_weight[seen]
        order = np.argsort(x, kind="stable")
        x, totals = x[order], np.cumsum(weights[order], dtype=np.float64)
    if not len(x):
        return np.full(n + 1, np.nan)
    # The quotient is exact if a quantile falls between two rows.
    at = np.arange(n + 1) * totals[-1] / n
    left = np.searchsorted(totals, at, side="left")
    right = np.searchsorted(totals, at, side="right")
    left, right = (np.minimum(side, len(x) - 1) for side in (left, right))
    if sample_weight is None:
        # Much faster than sorting.
        x = np.partition(x, np.unique([left, right]))
    # Divided first, since the sum may overflow.
    middles: Floats = x[left].astype(np.float64) / 2 + x[right].astype(np.float64) / 2
    return middles


def n_components(edges: Edges) -> int:
    """Return the total number of components.

    Parameters
    ----------
    edges : list of (ndarray or None)
    """
    return sum(len(each) - 1 for each in edges if each is not None)


def bins_of(edges: Edges, dtype: Any) -> tuple[Integers, Floats, Floats]:
    """Return the feature, the lower edge and the width of the bin of each component.

    Parameters
    ----------
    edges : list of (ndarray or None)
    dtype : dtype
        Dtype of the lower edges and widths. A width that rounds to 0 is replaced by the
        smallest normal number.

    Returns
    -------
    features : ndarray of int of shape (n_components,)
    lower, width : ndarray of shape (n_components,)
    """
    encoded = [(j, each) for j, each in enumerate(edges) if each is not None]
    counts = [len(each) - 1 for _, each in encoded]
    features = np.repeat(np.array([j for j, _ in encoded], np.int64), counts)
    none = np.empty(0, dtype)
    lower = np.concatenate([none, *(each[:-1] for _, each in encoded)]).astype(dtype)
    upper = np.concatenate([none, *(each[1:] for _, each in encoded)]).astype(dtype)
    return features, lower, np.maximum(upper - lower, np.finfo(dtype).tiny)


def encode(
    X: Array, edges: Edges, xp: ArrayNamespace = np, *, clip_ends: bool = True
) -> Array:
    """Return the components of an array, feature by feature.

    Parameters
    ----------
    X : array of shape (..., n_samples, n_features)
        Floats. All components of NaN are NaN.
    edges : list of (ndarray or None)
    xp : module, default=numpy
        The array namespace of X.
    clip_ends : bool, default=True
        Whether the first component is clipped at 0 and the last one at 1. Otherwise
        they continue linearly beyond the first and the last edge.

    Returns
    -------
    components : array of shape (..., n_samples, n_components)
        In the dtype of X.
    """
    dtype = numpy_dtype(X)
    features, lower, width = bins_of(edges, dtype)
    low, high = component_limits(edges, clip_ends=clip_ends, dtype=dtype)
    lower, width, low, high = (
        from_numpy(each, X, xp) for each in (lower, width, low, high)
    )
    return components(X, features, lower, width, xp, low, high)


def components(
    X: Array,
    features: Integers,
    lower: Array,
    width: Array,
    xp: ArrayNamespace = np,
    low: Any = 0,
    high: Any = 1,
) -> Array:
    """Return ``clip((x - lower) / width, low, high)`` for the feature of each bin.

    Parameters
    ----------
    X : array of shape (..., n_samples, n_features)
    features : ndarray of int of shape (n_components,)
        The feature of each bin.
    lower, width : array of shape (..., n_components)
    xp : module, default=numpy
        The array namespace of X.
    low, high : number or array of shape (n_components,), default=0, 1
    """
    values = xp.take(X, from_numpy(features, X, xp), axis=-1)
    return minimum(maximum((values - lower) / width, low, xp), high, xp)


def component_limits(
    edges: Edges, *, clip_ends: bool, dtype: Any = np.float64
) -> tuple[Floats, Floats]:
    """Return the limits to which each component is clipped.

    Parameters
    ----------
    edges : list of (ndarray or None)
    clip_ends : bool
        Whether the first and last components of a feature are clipped at 0 and 1.
    dtype : dtype, default=numpy.float64

    Returns
    -------
    low, high : ndarray of shape (n_components,)
    """
    own = [len(each) - 1 for each in edges if each is not None]
    counts = np.array(own, dtype=np.intp)  # There may be none.
    low, high = np.zeros(sum(own), dtype), np.ones(sum(own), dtype)
    if not clip_ends:
        ends = np.cumsum(counts)
        low[ends - counts], high[ends - 1] = -np.inf, np.inf
    return low, high


def component_scales(
    X: NDArray[Any], edges: Edges, sample_weight: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return the means and standard deviations of the components.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        NaN is ignored.
    edges : list of (ndarray or None)
    sample_weight : ndarray of shape (n_samples,), default=None

    Returns
    -------
    mean, scale : ndarray of float64 of shape (n_components,)
        A scale of 0 is replaced by 1.
    """
    means, scales = [np.empty(0)], [np.empty(0)]
    for x, own in zip(X.T, edges, strict=True):
        if own is None:
            continue
        seen = ~np.isnan(x)
        weights = None if sample_weight is None else sample_weight[seen]
        encoded = encode(x[seen, None].astype(np.float64), [own])
        mean = np.average(encoded, axis=0, weights=weights)
        var = np.average((encoded - mean) ** 2, axis=0, weights=weights)
        means.append(mean)
        # Components are at most 1, so a smaller variance is a rounding error.
        scales.append(np.sqrt(np.where(var > 1e-24, var, 1)))
    return np.concatenate(means), np.concatenate(scales)
