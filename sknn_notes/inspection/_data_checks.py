"""Checks of the data that reaches the network."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from sknn_notes._engine.rows import as_matrix
from sknn_notes._typing import Floats, MatrixLike
from sknn_notes.inspection._report import Finding
from sknn_notes.inspection._subject import Subject
from sknn_notes.links import unit_of
from sknn_notes.losses import RegressionLoss

# Root mean squares of columns that lead to a warning (large, small) or a failure.
_LARGE, _HUGE, _SMALL = 3.0, 10.0, 0.1
# How many standard deviations a mean may differ from 0.
_OFF_CENTER = 5.0


def inputs(subject: Subject) -> Finding:
    """Look for columns far from mean 0 and root mean square 1."""
    X = as_matrix(subject.batches.X)
    mean, std = _moments(X)
    varied = std > 0
    if not varied.any():
        change = "Check how X was computed: no feature distinguishes the samples."
        return Finding("inputs", "fail", "every feature is constant", change)
    mean, std = mean[varied], std[varied]
    size = np.sqrt(mean**2 + std**2)
    found = f"means {_span(mean)}, deviations {_span(std)} over {len(std)} features"
    if issparse(X):
        # Zeros have to stay zeros, so columns are not centered.
        poor = size.max() > _LARGE
        remedy = "Standardizer(with_mean=False)"
    else:
        off_center = np.abs(mean) > _OFF_CENTER * std
        poor = size.max() > _LARGE or std.max() < _SMALL or off_center.any()
        remedy = "Standardizer()"
        if any(noise.needs_non_negative for noise in subject.plan.augment):
            remedy = "MinMaxNormalizer(feature_range=(0, 1))"
    status = "fail" if size.max() > _HUGE else "warn" if poor else "pass"
    change = "" if status == "pass" else f"Put sknn_notes.{remedy} before the network."
    return Finding("inputs", status, found, change)


def constant_inputs(subject: Subject) -> Finding:
    """Look for constant columns other than 0, which act as an additional bias."""
    mean, std = _moments(as_matrix(subject.batches.X))
    constant, n = std == 0, len(std)
    found = f"{constant.sum()} of {n} features are constant"
    if np.any(mean[constant] != 0):
        change = (
            "Drop them with sklearn.feature_selection.VarianceThreshold, or "
            "standardize X."
        )
        return Finding("constant inputs", "warn", f"{found}, not all of them 0", change)
    return Finding("constant inputs", "pass", found)


def targets(subject: Subject) -> Finding | None:
    """Look for regression targets far from mean 0 and root mean square 1."""
    loss = subject.plan.loss
    if not isinstance(loss, RegressionLoss) or unit_of(loss.link()) is None:
        return None
    mean, std = _moments(subject.batches.y)
    found = f"means {_span(mean)}, deviations {_span(std)}"
    if np.any(std == 0):
        change = "Check how y was computed: there is nothing to learn from a constant."
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
    # A mean this small is the rounding error of a mean of 0.
    mean = np.where(np.abs(mean) < 1e-6 * std, 0.0, mean)
    return np.where(constant, low, mean), np.where(constant, 0.0, std)


def _span(values: Floats) -> str:
    low, high = values.min(), values.max()
    return f"{low:.3g}" if len(values) == 1 else f"{low:.3g} to {high:.3g}"
