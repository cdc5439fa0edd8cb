"""The loss of a network that knows nothing."""

import numpy as np

from sknn_notes.losses import HierarchicalSoftmax, Hinge, LogLoss, SquaredHinge


def loss_at_zero(loss, y, sample_weight, n_raw):
    """Return the loss where every raw output is 0, as the loss itself computes it."""
    raw = np.zeros((y.shape[0], n_raw))
    return loss.value_and_gradient(raw, y, sample_weight, np.empty_like(raw))


def chance_level(loss, y, sample_weight, n_raw):
    """Return the loss at chance and how it is called.

    It comes from the formulas where the loss is one of the library's, else from the
    loss of outputs of 0.
    """
    multiclass = y.ndim == 1
    kind = type(loss)
    if kind is LogLoss:
        if multiclass:
            return np.log(n_raw), f"ln {n_raw}"
        return n_raw * np.log(2), "ln 2" if n_raw == 1 else f"{n_raw} ln 2"
    if kind in (Hinge, SquaredHinge):
        n_terms = n_raw - 1 if multiclass else n_raw
        term = loss.margin ** (2 if kind is SquaredHinge else 1)
        return n_terms * term, f"{n_terms} × {term:g}"
    if kind is HierarchicalSoftmax:
        depth = np.average(loss.depths_[y], weights=sample_weight)
        return depth * np.log(2), f"mean depth {depth:.3g} × ln 2"
    return loss_at_zero(loss, y, sample_weight, n_raw), "outputs of 0"


def loss_of_constants(loss, y, sample_weight, n_raw):
    """Return the loss of what knows no inputs: chance, or for numbers their mean."""
    if y.ndim == 1 or not hasattr(loss, "predict"):
        return loss_at_zero(loss, y, sample_weight, n_raw)
    raw = np.mean(y, axis=0)
    if loss.out_activation == "exp":
        raw = np.log(np.maximum(raw, 1e-3))
    raw = np.tile(raw.astype(float), (len(y), 1))
    return loss.value_and_gradient(raw, y, sample_weight, np.empty_like(raw))
