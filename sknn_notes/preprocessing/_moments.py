"""Statistics of columns: from matrices of every kind, and pooled over groups of them.

The moments are always kept per feature; statistics over all the data, or over one
channel of images, pool them. So one helper serves every ``per``, and chunks of data
merge the same way in all of them.
"""

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from sknn_notes import _kernels
from sknn_notes._kernels._numpy.columns import Moments

# Spread below this many units in the last place of the mean is rounding, not signal.
CONSTANT_ULPS = 8


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
    if X.dtype != np.float64:
        # Only the values are copied. The function is no more precise than its input.
        values = X.data.astype(np.float64)
        X = type(X)((values, X.indices, X.indptr), shape=X.shape)
    weights = np.ones(X.shape[0]) if weights is None else weights
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
