"""Streaming covariance and its eigenvectors.

With at least as many rows as columns the state is the matrix of cross products. With
fewer, it is a stack of rows with the same cross products, and everything comes from
the small side's Gram matrix: no matrix of features by features is made.
"""

from typing import NamedTuple

import numpy as np

from sknn_notes._kernels._numpy.columns import (
    Moments,
    mean_step,
    merge_grams,
    merge_moments,
)
from sknn_notes.preprocessing._moments import dense_kernel, is_constant


class Scatter(NamedTuple):
    """Centered cross products of all rows so far: a matrix or a factor of it."""

    moments: Moments
    gram: np.ndarray | None
    factor: np.ndarray | None

    @property
    def n_samples(self) -> int:
        return int(self.moments.n[0])


class Spectrum(NamedTuple):
    """Eigenvalues in descending order and the eigenvectors as rows.

    Rows of directions without a vector, those outside the span of fewer rows than
    columns, are zero.
    """

    values: np.ndarray
    vectors: np.ndarray


def add_rows(scatter: Scatter | None, X: np.ndarray) -> Scatter:
    """Cross products of the rows so far and those of X, about their common mean."""
    n_seen = 0 if scatter is None else scatter.n_samples
    if n_seen + X.shape[0] < X.shape[1]:
        return _stack_rows(scatter, X)
    moments, gram = dense_kernel("centered_gram", X)(X)
    if scatter is None:
        return Scatter(moments, gram, None)
    merge_grams(gram, moments, cross_products(scatter), scatter.moments)
    return Scatter(merge_moments(scatter.moments, moments), gram, None)


def _stack_rows(scatter: Scatter | None, X: np.ndarray) -> Scatter:
    moments = dense_kernel("column_moments", X)(X, None)
    # That kernel skips NaN, which here must show.
    seen_all = moments.n == X.shape[0]
    moments = moments._replace(mean=np.where(seen_all, moments.mean, np.nan))
    rows = X - moments.mean
    if scatter is None:
        return Scatter(moments, None, rows)
    n, m = scatter.n_samples, X.shape[0]
    bridge = np.sqrt(n * m / (n + m)) * mean_step(scatter.moments, moments)
    # A single row is its own mean and adds nothing but the step between the means.
    parts = [scatter.factor, rows, bridge[None]] if m > 1 else [scatter.factor, bridge]
    merged = merge_moments(scatter.moments, moments)
    return Scatter(merged, None, np.vstack(parts))


def cross_products(scatter: Scatter) -> np.ndarray:
    """Return the full matrix of cross products, (n_features, n_features)."""
    if scatter.gram is not None:
        return scatter.gram
    assert scatter.factor is not None
    return scatter.factor.T @ scatter.factor


def standard_deviations(scatter: Scatter, ddof: int) -> np.ndarray:
    """Standard deviation of each column, 0 where it is constant."""
    std = np.sqrt(scatter.moments.m2 / max(scatter.n_samples - ddof, 1))
    return np.where(is_constant(std, scatter.moments.mean), 0.0, std)


def decompose(scatter: Scatter, scale: np.ndarray, ddof: int) -> Spectrum:
    """Eigenvalues and eigenvectors of the covariance of the scaled columns.

    Parameters
    ----------
    scatter : Scatter
        The cross products.
    scale : ndarray of shape (n_features,)
        Factors that the columns are multiplied by first.
    ddof : int
        The covariance divides by ``n_samples - ddof``.

    Returns
    -------
    Spectrum
        ``min(n_samples, n_features)`` pairs; signs are those of ``fix_signs``.
    """
    divisor = max(scatter.n_samples - ddof, 1)
    if scatter.gram is not None:
        values, vectors = np.linalg.eigh(
            scatter.gram / divisor * np.outer(scale, scale)
        )
        values, vectors = values[::-1], vectors.T[::-1]
    else:
        rows = scatter.factor * (scale / np.sqrt(divisor))
        values, rotation = np.linalg.eigh(rows @ rows.T)
        values = values[::-1][: scatter.n_samples]
        vectors = rotation.T[::-1][: scatter.n_samples] @ rows
        known = values > null_level(values, scatter)
        length = np.sqrt(np.where(known, values, 1.0))
        vectors = np.where(known, 1 / length, 0.0)[:, None] * vectors
    return Spectrum(np.maximum(values, 0.0), fix_signs(vectors))


def covariance(scatter: Scatter, ddof: int) -> np.ndarray:
    """Return the full covariance matrix, (n_features, n_features)."""
    return cross_products(scatter) / max(scatter.n_samples - ddof, 1)


def null_level(values: np.ndarray, scatter: Scatter) -> float:
    """Eigenvalue up to which a direction is null to working precision."""
    size = max(scatter.n_samples, len(scatter.moments.n))
    return size * np.finfo(np.float64).eps * max(values.max(), 0.0)


def fix_signs(vectors: np.ndarray) -> np.ndarray:
    """Flip rows so that the first of their largest entries is positive.

    Entries that tie to rounding count as equally large, or rounding would decide.
    """
    size = np.abs(vectors)
    largest = size >= (1 - 1e-6) * size.max(axis=1, keepdims=True)
    first = largest.argmax(axis=1)
    sign = np.where(vectors[np.arange(len(vectors)), first] < 0, -1.0, 1.0)
    return vectors * sign[:, None]
