"""The loss at chance level, of predictions that do not depend on the inputs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._typing import Floats
from sknn_notes.losses import (
    HierarchicalSoftmax,
    Hinge,
    LogLoss,
    Loss,
    RegressionLoss,
    SquaredHinge,
)


def loss_at_zero(
    loss: Loss, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
) -> float:
    """Return the loss if every raw output is 0, as the loss itself computes it."""
    return _loss_of(np.zeros(n_raw), loss, y, sample_weight)


def _loss_of(
    outputs: Floats, loss: Loss, y: NDArray[Any], sample_weight: Floats | None
) -> float:
    """Return the loss of the same raw outputs for every sample."""
    raw = np.tile(outputs, (len(y), 1)).astype(np.result_type(y, np.float32))
    return float(loss.mean(raw, y, sample_weight, np)[0])


def chance_level(
    loss: Loss, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
) -> tuple[float, str]:
    """Return the loss at chance level and its formula as text.

    The losses of the library have a formula. For any other loss, chance level is the
    loss if all raw outputs are 0.
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


def loss_of_constants(
    loss: Loss, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
) -> float:
    """Return the loss of constant predictions: of chance, or of the mean target."""
    if not isinstance(loss, RegressionLoss):
        return loss_at_zero(loss, y, sample_weight, n_raw)
    return _loss_of(loss.link().raw(np.mean(y, axis=0)), loss, y, sample_weight)
