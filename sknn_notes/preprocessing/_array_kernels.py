"""Kernels of the transformers for any array namespace.

They correspond to those in ``sknn_notes._kernels._numpy.columns``. Decisions per column
are made on the device, by ``where``. Only single numbers are copied to the host: for
the choice of a dtype and of the steps of a map, and whether all values are finite.
"""

from collections.abc import Callable
from operator import iadd, imul, isub, itruediv
from typing import Any

import numpy as np

from sknn_notes._arrays import copied, float_dtypes, full, namespace
from sknn_notes._kernels._numpy.columns import (
    Moments,
    mean_step,
    merge_moments,
    row_blocks,
)
from sknn_notes._typing import Array, ArrayNamespace

__all__ = [
    "affine",
    "centered_gram",
    "column_moments",
    "column_range",
    "larger",
    "least",
    "project",
    "rescale",
    "smaller",
]

# Elements of one block, 128 MiB of float64: few calls per block, and temporaries whose
# size doesn't depend on the number of rows.
BLOCK_SIZE = 2**24
# Minimum number of rows of a block whose cross products are added.
GRAM_ROWS = 1024


def column_moments(X: Array, weights: Array | None = None) -> Moments:
    """Count, mean and sum of squared deviations of every column; NaN is ignored."""
    xp = namespace(X)
    zeros = _statistics(X, 0.0, xp)
    moments = Moments(zeros, zeros, zeros, zeros)
    for rows in row_blocks(X, BLOCK_SIZE):
        block = xp.astype(X[rows, :], zeros.dtype, copy=False)
        if weights is None:
            weight = full((block.shape[0],), 1.0, block, xp)
        else:
            weight = weights[rows]
        moments = merge_moments(moments, _block_moments(block, weight, xp), xp)
    return moments


def _statistics(X: Array, value: float, xp: ArrayNamespace) -> Array:
    """Return a vector of one number per column, of the widest dtype of the device."""
    dtype = float_dtypes(X, xp)[0]
    return xp.full((X.shape[1],), value, dtype=dtype, device=X.device)


def _block_moments(block: Array, weights: Array, xp: ArrayNamespace) -> Moments:
    seen = xp.logical_not(xp.isnan(block))
    count = weights @ xp.astype(seen, block.dtype)
    divisor = xp.where(count > 0, count, 1.0)
    mean = weights @ xp.where(seen, block, 0.0) / divisor
    deviation = xp.where(seen, block - mean, 0.0)
    rest = weights @ deviation
    # The mean of the residuals corrects both moments for the rounding of the mean.
    mean_low = rest / divisor
    m2 = weights @ (deviation * deviation) - rest * mean_low
    return Moments(count, mean, mean_low, xp.where(m2 < 0, 0.0, m2))


def column_range(X: Array) -> tuple[Array, Array]:
    """Smallest and largest value of every column; NaN is ignored unless all are."""
    xp = namespace(X)
    low = high = _statistics(X, xp.nan, xp)
    for rows in row_blocks(X, BLOCK_SIZE):
        block = xp.astype(X[rows, :], low.dtype, copy=False)
        low = smaller(low, least(block, xp, axis=0), xp)
        high = larger(high, -least(-block, xp, axis=0), xp)
    return low, high


def least(x: Array, xp: ArrayNamespace, axis: int) -> Array:
    """Return the minimum along an axis; NaN is ignored unless all are."""
    missing = xp.isnan(x)
    result = xp.min(xp.where(missing, xp.inf, x), axis=axis)
    return xp.where(xp.all(missing, axis=axis), xp.nan, result)


def smaller(x: Array, y: Array, xp: ArrayNamespace) -> Array:
    """Return the smaller of two arrays' elements; NaN is ignored unless both are."""
    return np.fmin(x, y) if xp is np else xp.where(xp.isnan(x) | (y < x), y, x)


def larger(x: Array, y: Array, xp: ArrayNamespace) -> Array:
    """Return the larger of two arrays' elements; NaN is ignored unless both are."""
    return np.fmax(x, y) if xp is np else xp.where(xp.isnan(x) | (y > x), y, x)


def affine(
    X: Array, shift: Array, divisor: Array, factor: Array, offset: Array, out: Array
) -> bool:
    """Write ``(X - shift) / divisor * factor + offset`` into ``out``, which may be X.

    Each operation is rounded, in this order, so that a factor cancels its divisor.
    Returns False if X may contain a value that is not finite.
    """
    xp = namespace(X)
    dtype = _arithmetic(out, (shift, divisor, factor, offset), xp)
    high, low = _in_parts(shift, dtype, xp)
    end, end_low = _in_parts(offset, dtype, xp)
    steps: list[tuple[Any, Array, int]] = [
        (isub, high, 0),
        (isub, low, 0),
        (itruediv, xp.astype(divisor, dtype), 1),
        (imul, xp.astype(factor, dtype), 1),
        (iadd, end_low, 0),
        (iadd, end, 0),
    ]
    steps = [step for step in steps if xp.any(step[1] != step[2])]

    def run(block: Array) -> Array:
        for step, vector, _ in steps:
            block = step(block, vector)
        return block

    return _map_blocks(X, dtype, run, out, xp)


def rescale(
    X: Array,
    low: Array,
    span: Array,
    start: Array,
    bounds: tuple[float, float],
    out: Array,
    clip: bool = False,
) -> bool:
    """Write ``a + ((X - low) / span + start) * (b - a)`` into ``out``, which may be X.

    ``bounds`` are a and b. The upper half is computed relative to b, so that both ends
    are exact, and no value between them is rounded past them. Returns False if X may
    contain a value that is not finite.
    """
    xp = namespace(X)
    dtype = _arithmetic(out, (low, span), xp)
    # Rounded as on the device, but available on the host.
    a, b = np.asarray(bounds, np.float64 if dtype == xp.float64 else np.float32)
    exact = a + (b - a) == b
    a, b, width = float(a), float(b), float(b - a)
    high_part, low_part = _in_parts(low, dtype, xp)
    span, start = xp.astype(span, dtype), xp.astype(start, dtype)

    def run(block: Array) -> Array:
        block -= high_part
        block -= low_part
        block /= span
        block += start
        if exact:
            block *= width
            block += a
            return block
        upper = block >= 0.5
        block -= xp.astype(upper, dtype)
        block *= width
        block += xp.where(upper, b, xp.full_like(block, a))
        return block

    return _map_blocks(X, dtype, run, out, xp, (a, b) if clip else None)


def _arithmetic(out: Array, vectors: tuple[Array, ...], xp: ArrayNamespace) -> Any:
    """Return the dtype to compute in: float32 only if ``out`` and vectors fit in it."""
    if out.dtype == xp.float32:
        limits = xp.finfo(xp.float32)
        sizes = xp.abs(xp.concat(vectors))
        fits = (sizes >= limits.smallest_normal) & (sizes <= limits.max)
        if xp.all(fits | (sizes == 0) | xp.isnan(sizes)):
            return xp.float32
    return vectors[0].dtype


def _in_parts(vector: Array, dtype: Any, xp: ArrayNamespace) -> tuple[Array, Array]:
    """Split a vector into a sum of two in ``dtype``; one alone would bias results."""
    high = xp.astype(vector, dtype)
    return high, xp.astype(vector - high, dtype)


def _map_blocks(
    X: Array,
    dtype: Any,
    run: Callable[[Array], Array],
    out: Array,
    xp: ArrayNamespace,
    limits: tuple[float, float] | None = None,
) -> bool:
    """Write ``run(X)`` into ``out``, block by block; return whether it is all finite.

    ``run`` may change its argument, which is a copy.
    """
    finite = True
    for rows in row_blocks(X, BLOCK_SIZE):
        block = run(xp.astype(X[rows, :], dtype))
        finite = _is_finite(block, xp) & finite
        if limits:
            block = xp.clip(block, *limits)
        narrow = xp.astype(block, out.dtype, copy=False)
        if out.dtype != dtype:
            finite = xp.all(xp.isfinite(narrow)) & finite
        out[rows, :] = narrow
    return bool(finite)


def _is_finite(block: Array, xp: ArrayNamespace) -> Array:
    """Tell on the device whether a block is finite; False if its sum overflows."""
    return xp.isfinite(xp.sum(block))


def centered_gram(
    X: Array, moments: Moments | None = None, gram: Array | None = None
) -> tuple[Moments, Array]:
    """Moments of the columns and the matrix of their centered cross products.

    Only the upper triangle of the matrix is filled. ``moments`` and ``gram`` are those
    of earlier rows, and the result includes them. It is not finite if X is not.
    """
    xp = namespace(X)
    zeros = _statistics(X, 0.0, xp)
    moments = moments or Moments(zeros, zeros, zeros, zeros)
    if gram is None:
        gram = full((X.shape[1], X.shape[1]), 0.0, zeros, xp)
    else:
        gram = copied(gram, xp)
    added, removed = [], []
    for rows in row_blocks(X, max(BLOCK_SIZE, GRAM_ROWS * X.shape[1])):
        block = xp.astype(X[rows, :], zeros.dtype, copy=False)
        n = zeros + block.shape[0]
        mean = xp.sum(block, axis=0) / n
        block = block - mean
        rest = xp.sum(block, axis=0)
        part = Moments(n, mean, rest / n, zeros)
        gram += block.T @ block
        together = n * moments.n / (n + moments.n)
        added.append(mean_step(moments, part) * xp.sqrt(together))
        removed.append(rest / xp.sqrt(n))
        moments = merge_moments(moments, part, xp)
    steps, rounding = xp.stack(added), xp.stack(removed)
    gram += steps.T @ steps
    gram -= rounding.T @ rounding
    gram = xp.triu(gram)
    return moments._replace(m2=copied(xp.linalg.diagonal(gram), xp)), gram


def project(X: Array, mean: Array, W: Array, out: Array) -> bool:
    """Write ``(X - mean) @ W`` into ``out``; return whether X is all finite."""
    xp = namespace(X)
    high, low = _in_parts(mean, X.dtype, xp)
    finite = True
    for rows in row_blocks(X, BLOCK_SIZE):
        block = X[rows, :] - high - low
        finite = _is_finite(block, xp) & finite
        out[rows, :] = block @ W
    return bool(finite)
