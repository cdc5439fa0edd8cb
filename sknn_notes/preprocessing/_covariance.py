"""Streaming covariance and its eigenvectors.

The state is the matrix of cross products. A single ``fit`` on fewer rows than columns
uses the Gram matrix of the rows instead, without any matrix of features by features.
"""

import math
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sknn_notes._arrays import arange, astype, full, maximum, namespace, take
from sknn_notes._kernels._numpy.columns import Moments
from sknn_notes._typing import Array, ArrayNamespace
from sknn_notes.preprocessing._linear_map import reciprocal
from sknn_notes.preprocessing._moments import dense_kernel, is_constant, spacing

# Rounding error of a null eigenvalue of a correlation matrix with few features, in
# units of the spacing at the largest eigenvalue.
ROUNDING = 16
# An eigenvalue of this many units is accurate to six digits.
RESOLVED = 1e6


class Scatter(NamedTuple):
    """Centered cross products of all rows so far, or the centered rows.

    Only the upper triangle of the matrix ``gram`` is filled. ``n_chunks`` is the number
    of chunks added to it, each of which adds a rounding error.
    """

    moments: Moments
    gram: Array | None = None
    rows: Array | None = None
    n_chunks: int = 1

    @property
    def n_samples(self) -> int:
        return int(self.moments.n[0])

    @property
    def n_features(self) -> int:
        return int(self.moments.n.shape[0])

    def __sklearn_array_api_convert__(
        self, convert: Callable[[Array], Array]
    ) -> "Scatter":
        """Return the sums in another namespace, for ``move_estimator_to``."""
        moments = self.moments.__sklearn_array_api_convert__(convert)
        gram, rows = (x if x is None else convert(x) for x in (self.gram, self.rows))
        return self._replace(moments=moments, gram=gram, rows=rows)


class Spectrum(NamedTuple):
    """Eigenvalues in descending order and the eigenvectors as rows.

    Values from ``rank`` on are 0, and so are the vectors if there are fewer rows than
    columns. ``n_cut`` counts the null directions that are not due to constant columns
    or to the number of rows.
    """

    values: Array
    vectors: Array
    rank: int
    n_cut: int


def read_rows(X: Array) -> Scatter:
    """Return cross products of X, or its centered rows if X has more columns."""
    if X.shape[0] >= X.shape[1]:
        return Scatter(*dense_kernel("centered_gram", X)(X))
    moments = dense_kernel("column_moments", X)(X, None)
    # This kernel skips NaN, which must show here.
    xp, seen_all = namespace(X), moments.n == X.shape[0]
    moments = moments._replace(mean=xp.where(seen_all, moments.mean, xp.nan))
    return Scatter(moments, rows=X - moments.mean)


def add_rows(scatter: Scatter | None, X: Array) -> Scatter:
    """Add the rows of X to the cross products, about the common mean."""
    kernel = dense_kernel("centered_gram", X)
    if scatter is not None:
        moments, gram = kernel(X, scatter.moments, scatter.gram)
        return Scatter(moments, gram, n_chunks=scatter.n_chunks + 1)
    size = 8 * X.shape[1] ** 2
    message = (
        f"partial_fit stores a matrix of features by features, {size / 1e9:,.0f} GB "
        f"for the {X.shape[1]:,} features of X. Use fit, which doesn't need it with "
        "fewer rows than features, or reduce the number of features first."
    )
    if size > _memory():
        raise ValueError(message)
    try:
        return Scatter(*kernel(X))
    except MemoryError as error:
        raise ValueError(message) from error


def _memory() -> float:
    """Return the memory of this machine in bytes, infinity if it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return np.inf


def covariance(scatter: Scatter, ddof: int) -> Array:
    """Return the full covariance matrix, (n_features, n_features)."""
    if scatter.gram is None:
        assert scatter.rows is not None
        products = scatter.rows.T @ scatter.rows
    else:
        products = _symmetric(scatter.gram)
    return products / _divisor(scatter, ddof)


def standard_deviations(scatter: Scatter, ddof: int) -> Array:
    """Standard deviation of each column, 0 for constant columns."""
    m2, xp = scatter.moments.m2, namespace(scatter.moments.m2)
    # With chunks, rounding may make the sum for a constant column negative.
    std = xp.sqrt(xp.where(m2 > 0, m2, 0.0) / _divisor(scatter, ddof))
    return xp.where(is_constant(std, scatter.moments.mean), 0.0, std)


def null_level(values: Array, scatter: Scatter) -> float:
    """Return the largest eigenvalue of a correlation matrix that counts as null."""
    units = max(scatter.n_features, ROUNDING, math.sqrt(scatter.n_chunks))
    return units * spacing(values) * max(float(namespace(values).max(values)), 0.0)


def decompose(scatter: Scatter, ddof: int, *, correlation: bool) -> Spectrum:
    """Eigenvalues and eigenvectors of the covariance or the correlation matrix.

    The rank is that of the correlation matrix, which does not depend on units.

    Parameters
    ----------
    scatter : Scatter
        Cross products.
    ddof : int
        The covariance is divided by ``n_samples - ddof``.
    correlation : bool
        Whether to divide the columns by their standard deviations first.

    Returns
    -------
    Spectrum
        ``min(n_samples, n_features)`` pairs, with the signs of ``fix_signs``.
    """
    n, d = scatter.n_samples, scatter.n_features
    std = standard_deviations(scatter, ddof)
    xp = namespace(std)
    expected = min(n - 1, count(std > 0))
    if correlation:
        values, vectors = _eigen(scatter, ddof, reciprocal(std))
        rank = count(values > null_level(values, scatter))
    else:
        values, vectors = _eigen(scatter, ddof, None)
        rank = expected
        # An eigenvalue of the correlation matrix is at least that of the covariance
        # over the largest variance.
        level = max(RESOLVED, d * d) * spacing(values) * values[0]
        if expected and values[expected - 1] <= level:
            values, vectors, rank = _resolve(scatter, ddof, std)
    rank = min(rank, expected)
    values = xp.where(arange(values.shape[0], values, xp) < rank, values, 0.0)
    values, vectors = values[: min(n, d)], fix_signs(vectors[: min(n, d), :])
    if n < d:
        vectors[rank:, :] = 0.0
    return Spectrum(values, vectors, rank, expected - rank)


def _eigen(scatter: Scatter, ddof: int, scale: Array | None) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of the covariance of the scaled columns."""
    divisor, xp = _divisor(scatter, ddof), namespace(scatter.moments.n)
    if scatter.gram is not None:
        matrix = scatter.gram / divisor
        if scale is not None:
            matrix *= scale
            matrix *= scale[:, None]
        if xp is np:
            values, vectors = np.linalg.eigh(matrix, UPLO="U")
        else:
            values, vectors = xp.linalg.eigh(_symmetric(matrix))
        return _descending(values, vectors, xp)
    assert scatter.rows is not None
    rows = scatter.rows / math.sqrt(divisor)
    if scale is not None:
        rows *= scale
    values, rotation = xp.linalg.eigh(rows @ rows.T)
    values, vectors = _descending(values, rotation, xp)
    length = reciprocal(xp.sqrt(values))
    return values, length[:, None] * (vectors @ rows)


def _descending(
    values: Array, vectors: Array, xp: ArrayNamespace
) -> tuple[Array, Array]:
    """Return the results of ``eigh``, largest first, with eigenvectors as rows."""
    values = maximum(xp.flip(values, axis=0), 0.0, xp)
    return values, xp.flip(vectors.T, axis=0)


def _symmetric(upper: Array) -> Array:
    """Return the symmetric matrix with a given upper triangle."""
    xp = namespace(upper)
    return upper + xp.triu(upper, k=1).T


def _resolve(scatter: Scatter, ddof: int, std: Array) -> tuple[Array, Array, int]:
    """Return values, vectors and rank if ``eigh`` doesn't resolve the smallest.

    The singular values of a factor of the covariance are the square roots of its
    eigenvalues, and so keep twice as many digits of the small ones.
    """
    values, vectors = _eigen(scatter, ddof, reciprocal(std))
    xp = namespace(values)
    rank = count(values > null_level(values, scatter))
    if scatter.gram is not None:
        factor = xp.sqrt(values[:rank])[:, None] * vectors[:rank, :] * std
    else:
        assert scatter.rows is not None
        factor = scatter.rows / math.sqrt(_divisor(scatter, ddof))
    n, d = scatter.n_samples, scatter.n_features
    _, sizes, known = xp.linalg.svd(factor, full_matrices=n >= d)
    resolved = count(sizes > d * spacing(sizes) * sizes[0])
    values = padded(sizes**2, min(n, d))
    return values, padded(known, min(n, d)), min(rank, resolved)


def _divisor(scatter: Scatter, ddof: int) -> int:
    return max(scatter.n_samples - ddof, 1)


def fix_signs(vectors: Array) -> Array:
    """Flip rows so that the first of their largest entries is positive.

    Entries that differ by rounding only count as equally large.
    """
    xp, size = namespace(vectors), abs(vectors)
    largest = size >= (1 - 1e-6) * xp.max(size, axis=1, keepdims=True)
    first = xp.argmax(astype(largest, xp.int64, xp), axis=1)
    entries = take(vectors, first, xp)
    sign = xp.where(entries < 0, -1.0, xp.ones_like(entries))
    return vectors * sign[:, None]


def padded(rows: Array, n_rows: int) -> Array:
    """Return the first rows of an array, padded with zeros if there are too few."""
    out = full((n_rows, *rows.shape[1:]), 0.0, rows, namespace(rows))
    n_known = min(n_rows, rows.shape[0])
    out[:n_known, ...] = rows[:n_known, ...]
    return out


def count(condition: Array) -> int:
    """Return the number of true elements."""
    xp = namespace(condition)
    return int(xp.sum(astype(condition, xp.int64, xp)))
