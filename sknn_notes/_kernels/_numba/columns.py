"""Column statistics, affine maps and projections, fused into single passes by numba.

The functions correspond to those of ``sknn_notes._kernels._numpy.columns``. A matrix is
read as one flat array, in groups of whole rows: element ``c`` of a group belongs to
column ``c % n_columns``. Inner loops are then long even with few columns, and a matrix
in Fortran order is a sequence of matrices of one column.
"""

from collections.abc import Iterator

import numpy as np

from sknn_notes._compile._numba import compiled, compiled_exactly
from sknn_notes._kernels._numpy import columns as reference
from sknn_notes._kernels._numpy.columns import (
    Moments,
    mean_step,
    merge_moments,
    row_blocks,
)

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

# Minimum length of an inner loop; vectors of this length fit in the first-level cache.
GROUP_SIZE = 512
# Elements of a block that is read twice: 256 KiB of float64, in the second-level cache.
BLOCK_SIZE = 2**15


def _stretches(X: np.ndarray) -> Iterator[tuple[np.ndarray, slice]]:
    """Yield contiguous parts of X, flat, and the columns in each of them."""
    if X.flags.c_contiguous:
        yield X.reshape(-1), slice(0, X.shape[1])
    else:
        for j, column in enumerate(X.T):
            yield column, slice(j, j + 1)


def _read_only(flat: np.ndarray) -> np.ndarray:
    """Return a read-only view, so that one compiled version serves all arrays.

    Writeable arrays have a different type in numba.
    """
    view = flat.view()
    view.flags.writeable = False
    return view


def _repeated(vector: np.ndarray) -> np.ndarray:
    """Repeat a vector of one number per column to the length of a group of rows."""
    return np.tile(vector, -(-GROUP_SIZE // len(vector)))


def column_moments(X: np.ndarray, weights: np.ndarray | None = None) -> Moments:
    """Count, mean and sum of squared deviations of every column; NaN is ignored."""
    moments = Moments(*np.zeros((4, X.shape[1])))
    weights = _read_only(np.empty(0) if weights is None else weights)
    for flat, columns in _stretches(X):
        n, mean, mean_low, m2 = (part[columns] for part in moments)
        _moments(_read_only(flat), weights, len(_repeated(n)), n, mean, mean_low, m2)
    return moments


def column_range(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of every column; NaN is ignored unless all are."""
    low, high = np.full(X.shape[1], np.inf), np.full(X.shape[1], -np.inf)
    for flat, columns in _stretches(X):
        lows, highs = _repeated(low[columns]), _repeated(high[columns])
        _range(_read_only(flat), lows, highs)
        n = len(low[columns])
        low[columns] = lows.reshape(-1, n).min(axis=0)
        high[columns] = highs.reshape(-1, n).max(axis=0)
    empty = low > high
    low[empty] = high[empty] = np.nan
    return low, high


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
    vectors = shift, divisor, factor, offset
    if reference.arithmetic(out, *vectors) != X.dtype:
        return reference.affine(X, *vectors, out)
    high, low = reference.in_parts(shift, X.dtype)
    end, end_low = reference.in_parts(offset, X.dtype)
    return _each_stretch(X, out, _affine, (high, low, divisor, factor, end_low, end))


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
    if reference.arithmetic(out, low, span) != X.dtype:
        return reference.rescale(X, low, span, start, bounds, out, clip)
    a, b = (X.dtype.type(bound) for bound in bounds)
    limits = (a, b) if clip else (X.dtype.type(-np.inf), X.dtype.type(np.inf))
    high, rest = reference.in_parts(low, X.dtype)
    return _each_stretch(X, out, _rescale, (high, rest, span, start), (a, b, *limits))


def _each_stretch(X, out, kernel, vectors, numbers=()) -> bool:
    """Run a kernel with vectors of the columns; return whether its sums are finite."""
    finite = True
    for (source, columns), (target, _) in zip(
        _stretches(X), _stretches(out), strict=True
    ):
        wide = [_repeated(v[columns].astype(X.dtype, copy=False)) for v in vectors]
        check = np.zeros_like(wide[0])
        kernel(_read_only(source), *wide, *numbers, target, check)
        finite = bool(np.isfinite(check.sum())) and finite
    return finite


def centered_gram(
    X: np.ndarray, moments: Moments | None = None, gram: np.ndarray | None = None
) -> tuple[Moments, np.ndarray]:
    """Moments of the columns and the upper triangle of their centered products."""
    if not X.flags.c_contiguous:
        return reference.centered_gram(X, moments, gram)
    return reference.accumulate_gram(X, moments, gram, _center_rows)


def _center_rows(X: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, rest = np.zeros((2, X.shape[1]))
    _center(
        _read_only(X.reshape(-1)), len(_repeated(mean)), out.reshape(-1), mean, rest
    )
    return mean, rest


def project(X: np.ndarray, mean: np.ndarray, W: np.ndarray, out: np.ndarray) -> bool:
    """Write ``(X - mean) @ W`` into ``out``; return whether X is all finite."""
    if not X.flags.c_contiguous:
        return reference.project(X, mean, W, out)
    return reference.project_blocks(X, mean, W, out, _subtract_rows)


def _subtract_rows(X: np.ndarray, mean: np.ndarray, out: np.ndarray) -> bool:
    mean = _repeated(mean)
    high = mean.astype(out.dtype)
    low = (mean - high).astype(out.dtype)
    check = np.zeros_like(high)
    _subtract(_read_only(X.reshape(-1)), high, low, out.reshape(-1), check)
    return bool(np.isfinite(check.sum()))


@compiled_exactly
def _affine(
    source, shift, shift_low, divisor, factor, offset_low, offset, target, check
):
    width = len(shift)
    for start in range(0, len(source), width):
        values, results = source[start : start + width], target[start : start + width]
        for c in range(len(values)):
            value = (values[c] - shift[c]) - shift_low[c]
            value = value / divisor[c] * factor[c]
            value = (value + offset_low[c]) + offset[c]
            check[c] += value
            results[c] = value


@compiled_exactly
def _rescale(source, low, low_rest, span, start, a, b, least, most, target, check):
    width = len(low)
    scale = b - a
    half = np.float32(0.5)
    one = np.float32(1.0)
    for begin in range(0, len(source), width):
        values, results = source[begin : begin + width], target[begin : begin + width]
        for c in range(len(values)):
            share = ((values[c] - low[c]) - low_rest[c]) / span[c] + start[c]
            below = a + share * scale
            above = b + (share - one) * scale
            # Comparisons with NaN are false, so NaN stays.
            value = above if share >= half else below
            check[c] += value
            value = least if value < least else value
            value = most if value > most else value
            results[c] = value


@compiled_exactly
def _subtract(source, high, low, target, check):
    """Subtract a mean in two parts: in float32, one part would bias the result."""
    width = len(high)
    for start in range(0, len(source), width):
        values, results = source[start : start + width], target[start : start + width]
        for c in range(len(values)):
            value = (values[c] - high[c]) - low[c]
            check[c] += value
            results[c] = value


@compiled
def _range(flat, low, high):
    width = len(low)
    for start in range(0, len(flat), width):
        values = flat[start : start + width]
        for c in range(len(values)):
            value = np.float64(values[c])
            # Comparisons with NaN are false, so NaN is ignored.
            low[c] = value if value < low[c] else low[c]
            high[c] = value if value > high[c] else high[c]


@compiled
def _sum_columns(flat, total):
    """Sum groups of rows into ``total``, with one entry per place in the group."""
    total[:] = 0.0
    width = len(total)
    for start in range(0, len(flat), width):
        values = flat[start : start + width]
        for c in range(len(values)):
            total[c] += values[c]


@compiled
def _square_columns(flat, mean, total, square):
    """Sum deviations from the mean, and their squares, into places of the group."""
    total[:] = 0.0
    square[:] = 0.0
    width = len(total)
    for start in range(0, len(flat), width):
        values = flat[start : start + width]
        for c in range(len(values)):
            value = values[c] - mean[c]
            total[c] += value
            square[c] += value * value


@compiled
def _fold(places, columns):
    """Sum the places of a group that belong to the same column."""
    columns[:] = 0.0
    d = len(columns)
    for row in range(0, len(places), d):
        for j in range(d):
            columns[j] += places[row + j]


@compiled
def _moments(flat, weights, width, n, mean, mean_low, m2):
    """Merge the moments of all rows, block by block, into the last four arrays."""
    d = len(n)
    block = max(BLOCK_SIZE // width, 1) * width
    means, total, square = np.empty(width), np.empty(width), np.empty(width)
    count, center, rest, squares = np.empty(d), np.empty(d), np.empty(d), np.empty(d)
    for start in range(0, len(flat), block):
        rows = flat[start : start + block]
        _sum_columns(rows, total)
        if len(weights) > 0 or not np.isfinite(total.sum()):
            weight = weights[start // d : (start + block) // d]
            _weighted_block(rows, weight, count, center, rest, squares)
        else:
            _fold(total, center)
            count[:] = len(rows) // d
            center /= count
            for row in range(0, width, d):
                means[row : row + d] = center
            _square_columns(rows, means, total, square)
            _fold(total, rest)
            _fold(square, squares)
        _merge_block(count, center, rest, squares, n, mean, mean_low, m2)


@compiled
def _center(flat, width, out, mean, rest):
    """Write the rows minus their mean, and the sums of the residuals."""
    d = len(mean)
    total = np.empty(width)
    _sum_columns(flat, total)
    _fold(total, mean)
    mean /= len(flat) // d
    means = np.empty(width)
    for row in range(0, width, d):
        means[row : row + d] = mean
    total[:] = 0.0
    for start in range(0, len(flat), width):
        values, results = flat[start : start + width], out[start : start + width]
        for c in range(len(values)):
            value = values[c] - means[c]
            results[c] = value
            total[c] += value
    _fold(total, rest)


@compiled
def _weighted_block(flat, weights, count, center, rest, squares):
    """Compute the sums of a block, ignoring NaN; empty weights are all 1."""
    d = len(count)
    count[:] = 0.0
    center[:] = 0.0
    rest[:] = 0.0
    squares[:] = 0.0
    n_rows = len(flat) // d
    for i in range(n_rows):
        weight = weights[i] if len(weights) > 0 else 1.0
        row = flat[i * d : (i + 1) * d]
        for j in range(d):
            if not np.isnan(row[j]):
                count[j] += weight
                center[j] += weight * row[j]
    for j in range(d):
        center[j] = center[j] / count[j] if count[j] > 0 else 0.0
    for i in range(n_rows):
        weight = weights[i] if len(weights) > 0 else 1.0
        row = flat[i * d : (i + 1) * d]
        for j in range(d):
            value = row[j] - center[j]
            if not np.isnan(value):
                rest[j] += weight * value
                squares[j] += weight * value * value


@compiled_exactly
def _merge_block(count, center, rest, squares, n, mean, mean_low, m2):
    """Merge sums about ``center`` into the moments, as ``merge_moments`` does."""
    for j in range(len(n)):
        if count[j] == 0:
            continue
        center_low = rest[j] / count[j]
        both = n[j] + count[j]
        share = count[j] / both
        delta = (center[j] - mean[j]) + (center_low - mean_low[j])
        m2[j] += max(squares[j] - rest[j] * center_low, 0.0)
        m2[j] += n[j] * share * delta**2
        step = share * (center[j] - mean[j])
        new = mean[j] + step
        # The rounding error of this sum (Fast2Sum, the larger term first).
        if abs(step) > abs(mean[j]):
            lost = mean[j] - (new - step)
        else:
            lost = step - (new - mean[j])
        mean_low[j] += share * (center_low - mean_low[j]) + lost
        mean[j] = new
        n[j] = both
