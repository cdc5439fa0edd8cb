"""Column statistics, affine maps and projections in plain numpy.

Everything reads its matrix once, in blocks of rows that fit a core's cache, so that
the several passes a robust formula needs cost one trip to memory and no temporary
grows with the number of rows. Statistics are float64 whatever the input is.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

__all__ = [
    "Moments",
    "affine",
    "centered_gram",
    "column_moments",
    "column_range",
    "mean_step",
    "merge_grams",
    "merge_moments",
    "project",
    "row_blocks",
]

# Elements of one block, 2 MiB of float64. A smaller one would stay in a nearer cache,
# but each product with a block starts and stops the threads of BLAS.
BLOCK_SIZE = 2**18
# Bytes of a block that is projected: only two passes read it, so it may be longer.
PROJECT_BYTES = 2**22
# Elements that an inner loop should have at least.
GROUP_SIZE = 1024


class Moments(NamedTuple):
    """First two moments of every column; a column without values holds zeros.

    ``n`` counts values, or sums their weights, and ``m2`` sums squared deviations. The
    mean is the unevaluated sum ``mean + mean_low``: the low part keeps what
    rounding drops, so that a mean merged from many chunks loses nothing.
    """

    n: np.ndarray
    mean: np.ndarray
    mean_low: np.ndarray
    m2: np.ndarray

    def full_mean(self) -> np.ndarray:
        """Return the mean, rounded once."""
        return self.mean + self.mean_low


def _rows_per_block(X: np.ndarray, size: int | None) -> int:
    return max(1, min(X.shape[0], (size or BLOCK_SIZE) // X.shape[1]))


def row_blocks(X: np.ndarray, size: int | None = None) -> Iterator[slice]:
    """Yield slices of rows of about ``size`` elements, by default ``BLOCK_SIZE``."""
    n_rows = _rows_per_block(X, size)
    for start in range(0, X.shape[0], n_rows):
        yield slice(start, min(start + n_rows, X.shape[0]))


def _scratch(X: np.ndarray, dtype=np.float64, size: int | None = None) -> np.ndarray:
    """Room for one block of X, in X's memory order."""
    rows = X[: _rows_per_block(X, size)]
    return np.empty_like(rows, dtype=dtype, order="K", subok=False)


def merge_moments(a: Moments, b: Moments) -> Moments:
    """Moments of two sets of rows together (Chan, Golub and LeVeque 1983)."""
    n = a.n + b.n
    share = np.divide(b.n, n, out=np.zeros_like(n), where=n > 0)
    step = share * (b.mean - a.mean)
    mean = a.mean + step
    # What this sum rounds away (Fast2Sum, the larger term first).
    swap = np.abs(step) > np.abs(a.mean)
    lost = np.where(swap, a.mean - (mean - step), step - (mean - a.mean))
    mean_low = a.mean_low + share * (b.mean_low - a.mean_low) + lost
    m2 = a.m2 + b.m2 + a.n * share * mean_step(a, b) ** 2
    return Moments(n, mean, mean_low, m2)


def _block_moments(block: np.ndarray, weights: np.ndarray) -> Moments:
    """Moments of one float64 block, which is overwritten; NaN counts as missing."""
    total = weights @ block
    count = np.full(len(total), weights.sum())
    missing = None if np.isfinite(total).all() else np.isnan(block)
    if missing is not None:
        count = weights @ ~missing
        block[missing] = 0.0
        total = weights @ block
    divisor = np.where(count > 0, count, 1.0)
    mean = total / divisor
    block -= mean
    if missing is not None:
        block[missing] = 0.0
    rest = weights @ block
    block *= block
    # The mean of what is left corrects both moments for the rounding of the mean.
    m2 = np.maximum(weights @ block - rest**2 / divisor, 0.0)
    return Moments(count, mean, rest / divisor, m2)


def column_moments(X: np.ndarray, weights: np.ndarray | None = None) -> Moments:
    """Count, mean and sum of squared deviations of every column of X.

    NaN is ignored. An infinite value, or an overflow, leaves a mean or sum that is not
    finite; the caller looks.
    """
    zeros = np.zeros(X.shape[1])
    moments = Moments(zeros, zeros, zeros, zeros)
    scratch = _scratch(X)
    ones = np.ones(len(scratch))
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in row_blocks(X):
            block = scratch[: rows.stop - rows.start]
            np.copyto(block, X[rows])
            weight = ones[: len(block)] if weights is None else weights[rows]
            moments = merge_moments(moments, _block_moments(block, weight))
    return moments


def column_range(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of every column; NaN is ignored unless all are."""
    low = np.full(X.shape[1], np.nan)
    high = np.full(X.shape[1], np.nan)
    for rows in row_blocks(X):
        np.fmin(low, _reduce_rows(np.fmin, X[rows]), out=low)
        np.fmax(high, _reduce_rows(np.fmax, X[rows]), out=high)
    return low, high


def _reduce_rows(ufunc: np.ufunc, block: np.ndarray) -> np.ndarray:
    """Reduce over rows, with many rows side by side: numpy likes long inner loops."""
    n_rows, n_columns = block.shape
    if block.flags.c_contiguous and n_columns < GROUP_SIZE:
        side = min(GROUP_SIZE // n_columns, n_rows)
        whole = n_rows - n_rows % side
        wide = ufunc.reduce(block[:whole].reshape(-1, side * n_columns), axis=0)
        block = np.concatenate([wide.reshape(side, n_columns), block[whole:]])
    return ufunc.reduce(block, axis=0)


def affine(
    X: np.ndarray,
    shift: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    out: np.ndarray,
    low: float = -np.inf,
    high: float = np.inf,
) -> bool:
    """Write ``(X - shift) * scale + offset`` into ``out``, clipped to [low, high].

    The arithmetic is float64. ``out`` may be X. Returns False if X may hold a value
    that is not finite.
    """
    finite = True
    clip = low > -np.inf or high < np.inf
    scratch = _scratch(X)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in row_blocks(X):
            block = scratch[: rows.stop - rows.start]
            np.copyto(block, X[rows])
            block -= shift
            block *= scale
            block += offset
            finite = finite and bool(np.isfinite(block.sum()))
            if clip:
                np.clip(block, low, high, out=block)
            out[rows] = block
    return finite


def centered_gram(X: np.ndarray) -> tuple[Moments, np.ndarray]:
    """Moments of the columns and the matrix of their centered cross products.

    Values that are not finite make the result not finite.
    """
    return accumulate_gram(X, _center_rows)


def _center_rows(X: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write ``X`` minus its mean; return the mean and the sums of what that leaves."""
    ones = np.ones(X.shape[0])
    np.copyto(out, X)
    mean = (ones @ out) / X.shape[0]
    out -= mean
    return mean, ones @ out


def accumulate_gram(X: np.ndarray, center_rows) -> tuple[Moments, np.ndarray]:
    """Merge the cross products of blocks of rows that ``center_rows`` centers."""
    n_features = X.shape[1]
    gram = np.zeros((n_features, n_features))
    moments = Moments(*np.zeros((4, n_features)))
    scratch = _scratch(X)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in row_blocks(X):
            block = scratch[: rows.stop - rows.start]
            mean, rest = center_rows(X[rows], block)
            n = np.full(n_features, float(len(block)))
            products = block.T @ block
            products -= np.outer(rest, rest / n)
            added = Moments(n, mean, rest / n, products.diagonal())
            merge_grams(gram, moments, products, added)
            moments = merge_moments(moments, added)
    return moments, gram


def merge_grams(
    gram: np.ndarray, moments: Moments, added_gram: np.ndarray, added: Moments
) -> None:
    """Add to ``gram``, in place, the cross products of more rows about a new mean."""
    gram += added_gram
    n, m = moments.n[0], added.n[0]
    if n and m:
        delta = mean_step(moments, added)
        gram += np.outer(delta, delta * (n * m / (n + m)))


def mean_step(a: Moments, b: Moments) -> np.ndarray:
    """Difference of two means, to the precision of their low parts."""
    return (b.mean - a.mean) + (b.mean_low - a.mean_low)


def project(X: np.ndarray, mean: np.ndarray, W: np.ndarray, out: np.ndarray) -> bool:
    """Write ``(X - mean) @ W`` into ``out``; returns False unless X is all finite."""
    return project_blocks(X, mean, W, out, _subtract_rows)


def _subtract_rows(X: np.ndarray, mean: np.ndarray, out: np.ndarray) -> bool:
    """Write ``X - mean`` in X's dtype; returns False unless X is all finite."""
    high = mean.astype(out.dtype)
    np.subtract(X, high, out=out)
    low = (mean - high).astype(out.dtype)
    if low.any():
        out -= low
    return bool(np.isfinite(out.sum()))


def project_blocks(X, mean, W, out, subtract_rows) -> bool:
    """Multiply blocks of rows, once ``subtract_rows`` has taken the mean off."""
    finite = True
    size = PROJECT_BYTES // X.itemsize
    scratch = _scratch(X, X.dtype, size)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in row_blocks(X, size):
            block = scratch[: rows.stop - rows.start]
            finite = subtract_rows(X[rows], mean, block) and finite
            np.dot(block, W, out=out[rows])
    return finite
