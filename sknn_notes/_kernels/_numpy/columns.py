"""Column statistics, affine maps and projections in numpy.

Each function reads its matrix once, in blocks of rows that fit in the cache of a core.
An accurate formula with several passes then reads memory only once, and the size of
temporaries does not depend on the number of rows. Statistics are float64 for any input.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import blas

from sknn_notes._typing import Array, ArrayNamespace

__all__ = [
    "Moments",
    "affine",
    "centered_gram",
    "column_moments",
    "column_range",
    "mean_step",
    "merge_moments",
    "project",
    "rescale",
    "row_blocks",
]

# Elements of one block, 2 MiB of float64. A smaller block would fit in a faster cache,
# but each product with a block starts and stops the threads of BLAS.
BLOCK_SIZE = 2**18
# Minimum numbers of elements and rows of a block whose cross products are added. Each
# block reads and writes the whole matrix of products.
GRAM_SIZE = 2**16
GRAM_ROWS = 512
# Bytes of a block that is projected.
PROJECT_BYTES = 2**21
# Minimum number of elements of an inner loop.
GROUP_SIZE = 1024


class Moments(NamedTuple):
    """First two moments of each column, zeros for a column without values.

    ``n`` is the number of values or the sum of their weights, ``m2`` the sum of squared
    deviations. The mean is the unevaluated sum ``mean + mean_low``. The low part is the
    rounding error of the other, so merging many chunks loses no accuracy.
    """

    n: np.ndarray
    mean: np.ndarray
    mean_low: np.ndarray
    m2: np.ndarray

    def full_mean(self) -> np.ndarray:
        """Return the mean, rounded once."""
        return self.mean + self.mean_low

    def __sklearn_array_api_convert__(
        self, convert: Callable[[Array], Array]
    ) -> "Moments":
        """Return the moments in another namespace, for ``move_estimator_to``."""
        return Moments(*map(convert, self))


def _rows_per_block(X: np.ndarray, size: int | None) -> int:
    return max(1, min(X.shape[0], (size or BLOCK_SIZE) // X.shape[1]))


def row_blocks(X: np.ndarray, size: int | None = None) -> Iterator[slice]:
    """Yield slices of rows of about ``size`` elements, by default ``BLOCK_SIZE``."""
    n_rows = _rows_per_block(X, size)
    for start in range(0, X.shape[0], n_rows):
        yield slice(start, min(start + n_rows, X.shape[0]))


def _scratch(
    X: np.ndarray, dtype: Any = np.float64, size: int | None = None
) -> np.ndarray:
    """Return an array for one block of X, in the memory order of X."""
    rows = X[: _rows_per_block(X, size)]
    return np.empty_like(rows, dtype=dtype, order="K", subok=False)


def merge_moments(a: Moments, b: Moments, xp: ArrayNamespace = np) -> Moments:
    """Moments of two sets of rows together (Chan, Golub and LeVeque 1983).

    ``xp`` is the array namespace of all.
    """
    n = a.n + b.n
    share = b.n / xp.where(n > 0, n, 1.0)
    step = share * (b.mean - a.mean)
    mean = a.mean + step
    # The rounding error of this sum (Fast2Sum, the larger term first).
    swap = xp.abs(step) > xp.abs(a.mean)
    lost = xp.where(swap, a.mean - (mean - step), step - (mean - a.mean))
    mean_low = a.mean_low + share * (b.mean_low - a.mean_low) + lost
    m2 = a.m2 + b.m2 + a.n * share * mean_step(a, b) ** 2
    return Moments(n, mean, mean_low, m2)


def _block_moments(block: np.ndarray, weights: np.ndarray) -> Moments:
    """Return the moments of a float64 block, which is overwritten; ignore NaN."""
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
    # The mean of the residuals corrects both moments for the rounding of the mean.
    mean_low = rest / divisor
    m2 = np.maximum(weights @ block - rest * mean_low, 0.0)
    return Moments(count, mean, mean_low, m2)


def column_moments(X: np.ndarray, weights: np.ndarray | None = None) -> Moments:
    """Count, mean and sum of squared deviations of every column of X.

    NaN is ignored. If a value is infinite or a sum overflows, the mean or the sum is
    not finite, which callers check.
    """
    zeros = np.zeros(X.shape[1])
    moments = Moments(zeros, zeros, zeros, zeros)
    scratch = _scratch(X)
    ones = np.ones(len(scratch))
    with np.errstate(all="ignore"):
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
    """Reduce over rows, several rows at a time so that inner loops are long."""
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
    divisor: np.ndarray,
    factor: np.ndarray,
    offset: np.ndarray,
    out: np.ndarray,
) -> bool:
    """Write ``(X - shift) / divisor * factor + offset`` into ``out``, which may be X.

    Each operation is rounded, in this order, so that a factor cancels its divisor.
    Returns False if X may contain a value that is not finite.
    """
    dtype = arithmetic(out, shift, divisor, factor, offset)
    high, low = in_parts(shift, dtype)
    end, end_low = in_parts(offset, dtype)
    steps = [
        (np.subtract, high, 0),
        (np.subtract, low, 0),
        (np.divide, divisor.astype(dtype), 1),
        (np.multiply, factor.astype(dtype), 1),
        (np.add, end_low, 0),
        (np.add, end, 0),
    ]
    steps = [step for step in steps if np.any(step[1] != step[2])]

    def run(block: np.ndarray) -> None:
        for ufunc, vector, _ in steps:
            ufunc(block, vector, out=block)

    return _map_blocks(X, dtype, run, out)


def rescale(
    X: np.ndarray,
    low: np.ndarray,
    span: np.ndarray,
    start: np.ndarray,
    bounds: tuple[float, float],
    out: np.ndarray,
    clip: bool = False,
) -> bool:
    """Write ``a + ((X - low) / span + start) * (b - a)`` into ``out``, which may be X.

    ``bounds`` are a and b. The upper half is computed relative to b, so that both ends
    are exact, and no value between them is rounded past them. Returns False if X may
    contain a value that is not finite.
    """
    dtype = arithmetic(out, low, span)
    a, b = (dtype.type(bound) for bound in bounds)
    # Then the short form is monotonic, and ends in b.
    exact = a + (b - a) == b
    high_part, low_part = in_parts(low, dtype)
    span, start = span.astype(dtype), start.astype(dtype)

    def run(block: np.ndarray) -> None:
        block -= high_part
        if low_part.any():
            block -= low_part
        block /= span
        block += start
        if exact:
            block *= b - a
            block += a
            return
        upper = block >= 0.5
        block -= upper
        block *= b - a
        block += np.where(upper, b, a)

    return _map_blocks(X, dtype, run, out, (a, b) if clip else None)


def arithmetic(out: np.ndarray, *vectors: np.ndarray) -> np.dtype:
    """Return the dtype to compute in: float32 only if ``out`` and vectors fit in it."""
    limits = np.finfo(np.float32)
    sizes = np.abs(np.concatenate(vectors))
    fits = (sizes == 0) | ((sizes >= limits.tiny) & (sizes <= limits.max))
    narrow = out.dtype == np.float32 and (fits | np.isnan(sizes)).all()
    return np.dtype(np.float32 if narrow else np.float64)


def in_parts(vector: np.ndarray, dtype: np.dtype) -> list[np.ndarray]:
    """Split a vector into a sum of two in ``dtype``; one alone would bias results."""
    high = vector.astype(dtype)
    return [high, (vector - high).astype(dtype)]


def _map_blocks(
    X: np.ndarray,
    dtype: Any,
    run: Callable[[np.ndarray], None],
    out: np.ndarray,
    limits: tuple[float, float] | None = None,
) -> bool:
    """Write ``run(X)`` into ``out``, block by block; return whether it is finite."""
    finite = True
    scratch = _scratch(X, dtype)
    with np.errstate(all="ignore"):
        for rows in row_blocks(X):
            block = scratch[: rows.stop - rows.start]
            np.copyto(block, X[rows])
            run(block)
            finite = finite and _is_finite(block)
            if limits:
                np.clip(block, *limits, out=block)
            out[rows] = block
            if out.dtype != dtype:
                finite = finite and _is_finite(out[rows])
    return finite


def _is_finite(block: np.ndarray) -> bool:
    """Tell whether a block is finite; False if its squares overflow."""
    flat = block.ravel(order="K")
    return bool(np.isfinite(np.dot(flat, flat)))


def centered_gram(
    X: np.ndarray, moments: Moments | None = None, gram: np.ndarray | None = None
) -> tuple[Moments, np.ndarray]:
    """Moments of the columns and the matrix of their centered cross products.

    Only the upper triangle of the matrix is filled. ``moments`` and ``gram`` are those
    of earlier rows, and the result includes them. It is not finite if X is not.
    """
    return accumulate_gram(X, moments, gram, _center_rows)


def _center_rows(X: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write ``X`` minus its mean; return the mean and the sums of the residuals."""
    ones = np.ones(X.shape[0])
    np.copyto(out, X)
    mean = (ones @ out) / X.shape[0]
    out -= mean
    return mean, ones @ out


def accumulate_gram(
    X: np.ndarray,
    moments: Moments | None,
    gram: np.ndarray | None,
    center_rows: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> tuple[Moments, np.ndarray]:
    """Add the cross products of blocks of rows, centered by ``center_rows``."""
    n_features = X.shape[1]
    zeros = np.zeros(n_features)
    moments = moments or Moments(zeros, zeros, zeros, zeros)
    if gram is None:
        gram = np.zeros((n_features, n_features), order="F")
    else:
        gram = gram.copy(order="F")
    size = max(GRAM_SIZE, GRAM_ROWS * n_features)
    scratch = _scratch(X, size=size)
    added, removed = [], []
    with np.errstate(all="ignore"):
        for rows in row_blocks(X, size):
            block = scratch[: rows.stop - rows.start]
            mean, rest = center_rows(X[rows], block)
            _add_products(gram, block)
            n = np.full(n_features, float(len(block)))
            part = Moments(n, mean, rest / n, zeros)
            together = n * moments.n / (n + moments.n)
            added.append(mean_step(moments, part) * np.sqrt(together))
            removed.append(rest / np.sqrt(n))
            moments = merge_moments(moments, part)
        _add_products(gram, np.array(added))
        _add_products(gram, np.array(removed), -1.0)
    return moments._replace(m2=gram.diagonal().copy()), gram


def _add_products(gram: np.ndarray, rows: np.ndarray, factor: float = 1.0) -> None:
    """Add ``factor * rows.T @ rows`` to the upper triangle of a matrix, in place."""
    a, transposed = (rows.T, 0) if rows.flags.c_contiguous else (rows, 1)
    blas.dsyrk(factor, a, beta=1.0, c=gram, trans=transposed, overwrite_c=1)


def mean_step(a: Moments, b: Moments) -> np.ndarray:
    """Return the difference of two means, including their low parts."""
    return (b.mean - a.mean) + (b.mean_low - a.mean_low)


def project(X: np.ndarray, mean: np.ndarray, W: np.ndarray, out: np.ndarray) -> bool:
    """Write ``(X - mean) @ W`` into ``out``; return whether X is all finite."""
    return project_blocks(X, mean, W, out, _subtract_rows)


def _subtract_rows(X: np.ndarray, mean: np.ndarray, out: np.ndarray) -> bool:
    """Write ``X - mean`` in the dtype of X; return whether X is all finite."""
    high = mean.astype(out.dtype)
    np.subtract(X, high, out=out)
    low = (mean - high).astype(out.dtype)
    if low.any():
        out -= low
    return _is_finite(out)


def project_blocks(
    X: np.ndarray,
    mean: np.ndarray,
    W: np.ndarray,
    out: np.ndarray,
    subtract_rows: Callable[[np.ndarray, np.ndarray, np.ndarray], bool],
) -> bool:
    """Multiply blocks of rows, after ``subtract_rows`` has subtracted the mean."""
    finite = True
    size = PROJECT_BYTES // X.itemsize
    scratch = _scratch(X, X.dtype, size)
    with np.errstate(all="ignore"):
        for rows in row_blocks(X, size):
            block = scratch[: rows.stop - rows.start]
            finite = subtract_rows(X[rows], mean, block) and finite
            np.dot(block, W, out=out[rows])
    return finite
