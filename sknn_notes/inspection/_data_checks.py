"""Checks of the data, as the network gets them."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from sknn_notes._engine.rows import as_matrix
from sknn_notes._typing import Floats, MatrixLike
from sknn_notes.inspection._report import Finding
from sknn_notes.inspection._subject import Subject
from sknn_notes.links import unit_of
from sknn_notes.losses import RegressionLoss

# Root mean squares of the columns that are worth a warning, and a failure.
_LARGE, _HUGE, _SMALL = 3.0, 10.0, 0.1
# How many deviations from 0 a mean may be.
_OFF_CENTRE = 5.0


def inputs(subject: Subject) -> Finding:
    """Look for columns far from mean 0 and size 1."""
    X = as_matrix(subject.batches.X)
    mean, std = _moments(X)
    varied = std > 0
    if not varied.any():
        change = "Look at how X was made: no feature tells samples apart."
        return Finding("inputs", "fail", "every feature is constant", change)
    mean, std = mean[varied], std[varied]
    size = np.sqrt(mean**2 + std**2)
    found = f"means {_span(mean)}, deviations {_span(std)} over {len(std)} features"
    if issparse(X):
        # Zeros are to stay zeros, so that columns are neither centered nor of size 1.
        poor = size.max() > _LARGE
        remedy = "Standardizer(with_mean=False)"
    else:
        off_center = np.abs(mean) > _OFF_CENTRE * std
        poor = size.max() > _LARGE or std.max() < _SMALL or off_center.any()
        remedy = "Standardizer()"
        if any(noise.needs_non_negative for noise in subject.plan.augment):
            remedy = "MinMaxNormalizer(feature_range=(0, 1))"
    status = "fail" if size.max() > _HUGE else "warn" if poor else "pass"
    change = "" if status == "pass" else f"Put sknn_notes.{remedy} before the network."
    return Finding("inputs", status, found, change)


def constant_inputs(subject: Subject) -> Finding:
    """Look for columns of one value other than 0, which act as one more bias."""
    mean, std = _moments(as_matrix(subject.batches.X))
    constant, n = std == 0, len(std)
    found = f"{constant.sum()} of {n} features are constant"
    if np.any(mean[constant] != 0):
        change = "Drop them (sklearn.feature_selection.VarianceThreshold) or scale."
        return Finding("constant inputs", "warn", f"{found}, not all of them 0", change)
    return Finding("constant inputs", "pass", found)


def targets(subject: Subject) -> Finding | None:
    """Look for targets of a regression far from mean 0 and size 1."""
    loss = subject.plan.loss
    if not isinstance(loss, RegressionLoss) or unit_of(loss.link()) is None:
        return None
    mean, std = _moments(subject.batches.y)
    found = f"means {_span(mean)}, deviations {_span(std)}"
    if np.any(std == 0):
        change = "Look at how y was made: there is nothing to learn in a constant."
        return Finding("targets", "fail", found, change)
    size = np.sqrt(mean**2 + std**2)
    poor = size.max() > _LARGE or std.min() < _SMALL
    status = "fail" if size.max() > _HUGE else "warn" if poor else "pass"
    change = "Standardize y: set standardize_target=True, or divide y by a constant."
    return Finding("targets", status, found, "" if status == "pass" else change)


def _moments(X: MatrixLike) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of every column, exactly 0 where constant."""
    if issparse(X):
        mean, variance = mean_variance_axis(X, axis=0)
        low, high = (getattr(X, f)(axis=0).toarray().ravel() for f in ("min", "max"))
    else:
        mean, variance = np.mean(X, axis=0, dtype=float), np.var(X, axis=0, dtype=float)
        low, high = X.min(axis=0), X.max(axis=0)
    constant, std = low == high, np.sqrt(variance)
    # What is left of a mean of 0 by rounding.
    mean = np.where(np.abs(mean) < 1e-6 * std, 0.0, mean)
    return np.where(constant, low, mean), np.where(constant, 0.0, std)


def _span(values: Floats) -> str:
    low, high = values.min(), values.max()
    return f"{low:.3g}" if len(values) == 1 else f"{low:.3g} to {high:.3g}"
