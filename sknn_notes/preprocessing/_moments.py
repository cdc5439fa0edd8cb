"""Statistics of columns, and of groups of columns.

The moments are always stored per feature. Statistics over all the data, or over one
channel of images, pool them, so chunks of data are merged in the same way for every
value of ``per``.
"""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from sknn_notes import _kernels
from sknn_notes._arrays import astype, from_numpy, namespace, take
from sknn_notes._kernels._numpy.columns import Moments
from sknn_notes._typing import Array, ArrayNamespace, Integers
from sknn_notes.preprocessing import _array_kernels

# A standard deviation below this many ulps of the mean is a rounding error.
CONSTANT_ULPS = 8


def feature_groups(
    per: str, n_features: int, n_channels: int | None, channels: str
) -> Integers:
    """Return the index of the statistic of each feature.

    Parameters
    ----------
    per : {"feature", "all", "channel"}
        What each statistic covers.
    n_features : int
        Number of columns.
    n_channels : int or None
        Number of channels of a flattened image, for ``per="channel"``.
    channels : {"last", "first"}
        Whether the channel is the last or the first axis of the images.

    Returns
    -------
    ndarray of shape (n_features,)
        Group numbers from 0.

    Raises
    ------
    ValueError
        If ``per="channel"`` and ``n_channels`` is missing or doesn't divide
        ``n_features``.
    """
    if per == "feature":
        return np.arange(n_features)
    if per == "all":
        return np.zeros(n_features, dtype=np.intp)
    if n_channels is None:
        raise ValueError(
            "per='channel' requires the number of channels, but n_channels is None. "
            "Pass n_channels, such as n_channels=3 for flattened RGB images, or "
            "per='feature' or per='all'."
        )
    if n_features % n_channels:
        raise ValueError(
            f"n_channels={n_channels} does not divide the {n_features} features of X. "
            "per='channel' is for flattened images, whose number of features is "
            "height * width * n_channels."
        )
    if channels == "last":
        return np.arange(n_features) % n_channels
    return np.arange(n_features) // (n_features // n_channels)


def _members(values: Array, groups: Array, xp: ArrayNamespace) -> Array:
    """Return the values of each group of features as a row; groups have one size."""
    order = from_numpy(np.argsort(groups, kind="stable"), values, xp)
    return xp.reshape(xp.take(values, order, axis=0), (int(groups.max()) + 1, -1))


def pool_moments(moments: Moments, groups: Array) -> Moments:
    """Return the moments of all values of each group of features."""
    n_groups = int(groups.max()) + 1
    if n_groups == len(groups):
        return moments
    xp = namespace(moments.n)
    index = from_numpy(groups, moments.n, xp)

    def total(values: Array) -> Array:
        if xp is np:
            return np.bincount(groups, weights=values)
        return xp.sum(_members(values, groups, xp), axis=-1)

    count = total(moments.n)
    divisor = xp.where(count > 0, count, 1.0)
    # Means relative to that of the group's first feature with values: a large common
    # offset costs no digits.
    seen = _members(moments.n, groups, xp) > 0
    first = xp.argmax(astype(seen, xp.int64, xp), axis=-1)
    reference = take(_members(moments.mean, groups, xp), first, xp)
    offset = moments.mean - xp.take(reference, index, axis=0) + moments.mean_low
    offset = xp.where(moments.n > 0, offset, 0.0)
    shift = total(moments.n * offset) / divisor
    distance = offset - xp.take(shift, index, axis=0)
    m2 = total(moments.m2 + moments.n * distance**2)
    mean = reference + shift
    return Moments(count, mean, shift - (mean - reference), m2)


def pool_range(low: Array, high: Array, groups: Array) -> tuple[Array, Array]:
    """Return the smallest and largest value of each group of features."""
    xp = namespace(low)
    if xp is not np:
        low, high = (_members(values, groups, xp) for values in (low, -high))
        least = _array_kernels.least
        return least(low, xp, axis=-1), -least(high, xp, axis=-1)
    pooled_low = np.full(groups.max() + 1, np.nan)
    pooled_high = pooled_low.copy()
    np.fmin.at(pooled_low, groups, low)
    np.fmax.at(pooled_high, groups, high)
    return pooled_low, pooled_high


def matrix_moments(X: Array, weights: Array | None) -> Moments:
    """Return the moments of the columns of a dense or sparse matrix, ignoring NaN."""
    if sparse.issparse(X):
        return _sparse_moments(X, weights)
    moments: Moments = dense_kernel("column_moments", X)(X, weights)
    return moments


def dense_kernel(name: str, X: Array) -> Any:
    """Return the kernel for a dense matrix.

    Compiled kernels support contiguous float32 and float64 arrays. The numpy kernels
    read integers and strided views block by block. Arrays of other libraries have
    their own kernels.
    """
    if not isinstance(X, np.ndarray):
        return getattr(_array_kernels, name)
    plain = X.dtype in (np.float32, np.float64) and (
        X.flags.c_contiguous or X.flags.f_contiguous
    )
    if plain:
        return getattr(_kernels.active(), name)
    from sknn_notes._kernels import _numpy

    return getattr(_numpy, name)


def _sparse_moments(X: Array, weights: Array | None) -> Moments:
    """Return the moments of a CSR or CSC matrix, including its zeros."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if X.dtype != np.float64:
        # Only the values are copied. The function is only as precise as its input.
        values = X.data.astype(np.float64)
        X = type(X)((values, X.indices, X.indptr), shape=X.shape)
    weights = np.ones(X.shape[0]) if weights is None else weights
    mean, variance, n = mean_variance_axis(
        X, axis=0, weights=weights, return_sum_weights=True
    )
    # The weights of missing values are subtracted, which may leave a rounding error.
    seen = n > len(weights) * np.finfo(np.float64).eps * weights.sum()
    n, mean, m2 = (np.where(seen, part, 0.0) for part in (n, mean, n * variance))
    return Moments(n, mean, np.zeros_like(mean), np.maximum(m2, 0.0))


def is_constant(spread: Array, level: Array) -> Array:
    """Tell whether a spread is only the rounding error of values of that level."""
    return spread <= CONSTANT_ULPS * spacing(spread) * abs(level)


def spacing(x: Array) -> float:
    """Return the distance from 1 to the next number of the dtype of an array."""
    return float(namespace(x).finfo(x.dtype).eps)


def samples_seen(count: Array, weighted: bool) -> int | float | Array:
    """Return counts as scikit-learn does: one number if all features have the same."""
    xp = namespace(count)
    if xp.min(count) == xp.max(count):
        return (float if weighted else int)(count[0])
    return count if weighted else astype(count, xp.int64, xp)
