"""Statistics of columns: from matrices of every kind, and pooled over groups of them.

The moments are always kept per feature; statistics over all the data, or over one
channel of images, pool them. So one helper serves every ``per``, and chunks of data
merge the same way in all of them.
"""

from functools import reduce
from itertools import pairwise

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from sknn_notes import _kernels
from sknn_notes._kernels._numpy.columns import Moments, merge_moments

# Spread below this many units in the last place of the mean is rounding, not signal.
CONSTANT_ULPS = 8
# Stored values of a sparse matrix that are converted at a time.
SPARSE_BLOCK = 2**16


def feature_groups(
    per: str, n_features: int, n_channels: int | None, channels: str
) -> np.ndarray:
    """Return for each feature the index of the statistic it shares.

    Parameters
    ----------
    per : {"feature", "all", "channel"}
        What one statistic covers.
    n_features : int
        Number of columns.
    n_channels : int or None
        Number of channels of a flattened image, for ``per="channel"``.
    channels : {"last", "first"}
        Whether the channel is the fastest or the slowest index of a flattened image.

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
            "per='channel' needs the number of channels, but n_channels is None. Pass "
            "for example n_channels=3 for flattened RGB images, or per='feature' or "
            "per='all'."
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


def pool_moments(moments: Moments, groups: np.ndarray) -> Moments:
    """Moments of all the values of each group of features together."""
    first = np.unique(groups, return_index=True)[1]
    if len(first) == len(groups):
        return moments

    def total(values):
        return np.bincount(groups, weights=values)

    count = total(moments.n)
    divisor = np.where(count > 0, count, 1.0)
    # Means relative to the group's first feature with values, so that a large common
    # offset costs no digits.
    seen = np.flatnonzero(moments.n)
    reference = np.zeros(len(first))
    reference[groups[seen[::-1]]] = moments.mean[seen[::-1]]
    offset = (moments.mean - reference[groups]) + moments.mean_low
    offset[moments.n == 0] = 0.0
    shift = total(moments.n * offset) / divisor
    m2 = total(moments.m2 + moments.n * (offset - shift[groups]) ** 2)
    mean = reference + shift
    return Moments(count, mean, shift - (mean - reference), m2)


def pool_range(
    low: np.ndarray, high: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each group of features."""
    pooled_low = np.full(groups.max() + 1, np.nan)
    pooled_high = pooled_low.copy()
    np.fmin.at(pooled_low, groups, low)
    np.fmax.at(pooled_high, groups, high)
    return pooled_low, pooled_high


def matrix_moments(X, weights: np.ndarray | None) -> Moments:
    """Moments of the columns of a dense or sparse matrix; NaN is ignored."""
    if sparse.issparse(X):
        return _sparse_moments(X, weights)
    return dense_kernel("column_moments", X)(X, weights)


def dense_kernel(name: str, X: np.ndarray):
    """Return the kernel of the set in use, or numpy's where the set is too narrow.

    Compiled kernels know contiguous float32 and float64; integers and strided views
    are read block by block by the numpy ones.
    """
    plain = X.dtype in (np.float32, np.float64) and (
        X.flags.c_contiguous or X.flags.f_contiguous
    )
    if plain:
        return getattr(_kernels.active(), name)
    from sknn_notes._kernels import _numpy

    return getattr(_numpy, name)


def _sparse_moments(X, weights: np.ndarray | None) -> Moments:
    """Moments of a CSR or CSC matrix, zeros included, by scikit-learn's function."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    weights = np.ones(X.shape[0]) if weights is None else weights
    if X.dtype == np.float64:
        return _canonical_moments(X, weights)
    # The function is no more precise than its input: convert one block at a time.
    parts = [
        _canonical_moments(block, weights[rows]) for rows, block in _wide_blocks(X)
    ]
    if X.format == "csr":
        return reduce(merge_moments, parts)
    return Moments(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _wide_blocks(X):
    """Yield the rows and the float64 form of blocks of a CSR or CSC matrix."""
    by_rows = X.format == "csr"
    size = max(SPARSE_BLOCK, X.shape[1])
    starts = np.searchsorted(X.indptr, np.arange(0, X.nnz, size), side="right") - 1
    lines = len(X.indptr) - 1
    for start, stop in pairwise([*dict.fromkeys([0, *starts.tolist()]), lines]):
        first, last = X.indptr[start], X.indptr[stop]
        shape = (stop - start, X.shape[1]) if by_rows else (X.shape[0], stop - start)
        block = type(X)(
            (
                X.data[first:last].astype(np.float64),
                X.indices[first:last],
                X.indptr[start : stop + 1] - first,
            ),
            shape=shape,
        )
        yield slice(start, stop) if by_rows else slice(None), block


def _canonical_moments(X, weights: np.ndarray) -> Moments:
    mean, variance, n = mean_variance_axis(
        X, axis=0, weights=weights, return_sum_weights=True
    )
    # The weights of missing values are subtracted, which may leave their rounding.
    seen = n > len(weights) * np.finfo(np.float64).eps * weights.sum()
    n, mean, m2 = (np.where(seen, part, 0.0) for part in (n, mean, n * variance))
    return Moments(n, mean, np.zeros_like(mean), np.maximum(m2, 0.0))


def is_constant(spread: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Whether a spread is nothing but the rounding of values of that level."""
    return spread <= CONSTANT_ULPS * np.finfo(np.float64).eps * np.abs(level)


def samples_seen(count: np.ndarray, weighted: bool):
    """Counts in scikit-learn's form: one number where every feature has the same."""
    counts = count if weighted else count.astype(np.int64)
    return counts[0] if counts.min() == counts.max() else counts
