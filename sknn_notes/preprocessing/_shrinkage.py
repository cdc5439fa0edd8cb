"""Shrinkage of a covariance towards a multiple of the identity."""

import math

import numpy as np

from sknn_notes._arrays import namespace
from sknn_notes._kernels._numpy.columns import row_blocks
from sknn_notes._typing import Array
from sknn_notes.preprocessing._array_kernels import BLOCK_SIZE


def shrinkage_share(
    shrinkage: str | float | None,
    values: Array,
    X: Array,
    mean: Array,
    scale: Array | None,
    n_samples: int,
) -> float:
    """Return the shrinkage coefficient, given or estimated.

    Parameters
    ----------
    shrinkage : {"ledoit_wolf", "oas"}, float or None
        The estimator, or the coefficient itself.
    values : ndarray
        Eigenvalues of the biased covariance of the scaled columns; zeros may be
        missing.
    X : ndarray of shape (n_samples, n_features)
        Data; only ``"ledoit_wolf"`` reads it.
    mean, scale : ndarray of shape (n_features,)
        Mean that is subtracted from the columns, and factors that they are then
        multiplied by; None for factors of 1.
    n_samples : int
        Number of samples of the covariance.

    Returns
    -------
    float
        Coefficient between 0 and 1.
    """
    if not isinstance(shrinkage, str):
        return float(shrinkage or 0.0)
    # The coefficient has no unit. In units of the largest variance no square overflows.
    unit = float(namespace(values).max(values)) or 1.0
    values = values / unit
    if shrinkage == "oas":
        return oas_shrinkage(values, n_samples, mean.shape[0])
    factor = (1.0 if scale is None else scale) / math.sqrt(unit)
    fourth = mean_fourth_norm(X, mean, factor)
    return ledoit_wolf_shrinkage(values, fourth, n_samples, mean.shape[0])


def oas_shrinkage(values: Array, n_samples: int, n_features: int) -> float:
    """Oracle-approximating shrinkage from biased eigenvalues (Chen et al. 2010)."""
    if n_features == 1:
        return 0.0
    mean_square = _total(values**2) / n_features**2
    mu = _total(values) / n_features
    denominator = (n_samples + 1) * (mean_square - mu**2 / n_features)
    if denominator <= 0:
        return 1.0
    return float(min((mean_square + mu**2) / denominator, 1.0))


def ledoit_wolf_shrinkage(
    values: Array, fourth: float, n_samples: int, n_features: int
) -> float:
    """Ledoit and Wolf's shrinkage (2004) from biased eigenvalues.

    ``fourth`` is the mean over samples of the fourth power of a centered row's norm;
    scikit-learn's sums over pairs of features reduce to it.
    """
    if n_features == 1:
        return 0.0
    mu = _total(values) / n_features
    square = _total(values**2)
    distance = (square - n_features * mu**2) / n_features
    noise = (fourth - square) / (n_features * n_samples)
    noise = min(noise, distance)
    return 0.0 if noise <= 0 else float(noise / distance)


def mean_fourth_norm(X: Array, mean: Array, scale: float | Array) -> float:
    """Mean over rows of ``norm((x - mean) * scale) ** 4``."""
    xp = namespace(X)
    total = 0.0
    for rows in row_blocks(X, None if xp is np else BLOCK_SIZE):
        block = (X[rows, :] - mean) * scale
        if xp is np:
            squares = np.einsum("ij,ij->i", block, block)
        else:
            squares = xp.sum(block * block, axis=1)
        total += _total(squares**2)
    return total / int(X.shape[0])


def _total(values: Array) -> float:
    return float(namespace(values).sum(values))
