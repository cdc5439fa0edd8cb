"""Piecewise linear encoding: the edges of bins, and the components of an array.

A feature with edges ``b_0 < ... < b_T`` has ``T`` components. Component ``t`` is
``clip((x - b_{t-1}) / (b_t - b_{t-1}), 0, 1)`` [1]_: 0 below its bin, 1 above it. A
feature whose edges are None passes through, and has no components.

References
----------
.. [1] Gorishniy, Y., Rubachev, I. and Babenko, A. (2022). On embeddings for numerical
   features in tabular deep learning. NeurIPS.
"""

import numpy as np

from sknn_notes._arrays import from_numpy, maximum, minimum

__all__ = [
    "bins_of",
    "component_scales",
    "components",
    "encode",
    "n_components",
    "quantile_edges",
]


def quantile_edges(X, n_bins, sample_weight=None):
    """Return the edges of bins that hold about equally many samples.

    The edges are quantiles of the values that are not NaN, between two values their
    mean (numpy's "averaged_inverted_cdf"), so that a weight of 2 acts as two rows.
    Equal quantiles are merged, so that there may be fewer bins.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        May hold NaN, but no infinity.
    n_bins : int
    sample_weight : ndarray of shape (n_samples,), default=None
        Not negative. Rows of weight 0 count for nothing.

    Returns
    -------
    edges : list of (ndarray or None), one per feature
        Increasing, in the dtype of X (float64 for integers). None for features of less
        than three values, which pass through.
    """
    dtype = X.dtype if X.dtype.kind == "f" else np.dtype(np.float64)
    weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
    return [_edges(column.astype(dtype), n_bins, weights) for column in X.T]


def _edges(x, n_bins, weights):
    seen = ~np.isnan(x) & (weights > 0)
    x, weights = x[seen], weights[seen]
    order = np.argsort(x, kind="stable")
    x, totals = x[order], np.cumsum(weights[order], dtype=np.float64)
    if np.count_nonzero(x[1:] > x[:-1]) < 2:
        return None
    # The quotient is exact where a quantile falls between two rows.
    at = np.arange(n_bins + 1) * totals[-1] / n_bins
    left = np.searchsorted(totals, at, side="left")
    right = np.searchsorted(totals, at, side="right")
    last = len(x) - 1
    # Halves first: a sum may overflow.
    quantiles = x[np.minimum(left, last)] / 2 + x[np.minimum(right, last)] / 2
    return np.unique(quantiles)


def n_components(edges):
    """Return the number of components of all features.

    Parameters
    ----------
    edges : list of (ndarray or None)
    """
    return sum(len(each) - 1 for each in edges if each is not None)


def bins_of(edges, dtype):
    """Return the feature, the lower edge and the width of the bin of each component.

    Parameters
    ----------
    edges : list of (ndarray or None)
    dtype : dtype
        Of the lower edges and widths. A width that it holds as 0 is its smallest normal
        number.

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


def encode(X, edges, xp=np, *, clip_ends=True):
    """Return the components of an array, those of a feature beside each other.

    Parameters
    ----------
    X : array of shape (..., n_samples, n_features)
        Of floats. NaN stays NaN in all components of its feature.
    edges : list of (ndarray or None)
    xp : module, default=numpy
        The array namespace of X.
    clip_ends : bool, default=True
        Whether the first component is at least 0 and the last one at most 1. Otherwise
        they go on as lines beyond the first and the last edge.

    Returns
    -------
    components : array of shape (..., n_samples, n_components)
        Of X's dtype.
    """
    dtype = X.dtype if xp is np else np.dtype(str(X.dtype).rpartition(".")[2])
    features, lower, width = bins_of(edges, dtype)
    low, high = np.zeros_like(lower), np.ones_like(lower)
    if not clip_ends:
        is_first = np.append(True, features[1:] != features[:-1])[: len(features)]
        is_last = np.append(features[1:] != features[:-1], True)[: len(features)]
        low[is_first], high[is_last] = -np.inf, np.inf
    lower, width, low, high = (
        from_numpy(each, X, xp) for each in (lower, width, low, high)
    )
    return components(X, features, lower, width, xp, low, high)


def components(X, features, lower, width, xp=np, low=0, high=1):
    """Return ``clip((x - lower) / width, low, high)`` of the features of some bins.

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


def component_scales(X, edges, sample_weight=None):
    """Return the means and standard deviations that standardize the components.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        NaN is left out.
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
        # Components are at most 1; less than this is rounding.
        scales.append(np.sqrt(np.where(var > 1e-24, var, 1)))
    return np.concatenate(means), np.concatenate(scales)
