"""Whether what a fit leaves is finite: its parameters and what they predict."""

import math

import numpy as np
from scipy.sparse import issparse

from sknn_notes._engine.prediction import Predictor
from sknn_notes._engine.rows import blocks_of


class DivergenceError(ValueError):
    """Training went where nothing is finite, and no earlier weights are left."""


REMEDIES = (
    "Scale the inputs (for example with sknn_notes.Standardizer), lower "
    "learning_rate_init, or look for extreme values in X and y."
)


def divergence(what):
    """Return the error for a training of which ``what`` is to be said."""
    return DivergenceError(
        "Solver produced non-finite parameter weights. The input data may contain "
        f"large values and need to be preprocessed. {what} {REMEDIES}"
    )


@np.errstate(all="ignore")
def check_finite(network, loss, X, when, size=None):
    """Raise DivergenceError unless the network is finite and so are its predictions.

    Parameters
    ----------
    network : Network
        As a fit leaves it.
    loss : Loss
    X : {ndarray, CSR array, Rows} of shape (n_samples, n_features) or None
        The training data, for which predictions have to be finite; None checks the
        parameters alone.
    when : str
        How far training has come, for the error.
    size : float, default=None
        What ``input_size(X)`` returns, if it is known.
    """
    if not math.isfinite(_largest(network.theta)):
        raise divergence(f"The weights are not finite {when}.")
    if len(network.running) and not math.isfinite(_largest(network.running)):
        raise DivergenceError(
            f"The averages of batch norm are not finite {when}. {REMEDIES}"
        )
    if X is None:
        return
    # Far below the limit of the type no sample can go wrong, and there is no need to
    # predict them all.
    safe = math.sqrt(np.finfo(network.theta.dtype).max)
    size = input_size(X) if size is None else size
    bound = np.full((1, network.shapes[-1][1]), _output_bound(network, size))
    ends = np.concatenate([-bound, bound])
    if are_predictions_finite(loss, ends, safe):
        return
    chunks = Predictor(network, seed=0).chunks(X, network.fitted)
    if not all(are_predictions_finite(loss, raw) for _, raw in chunks):
        raise DivergenceError(
            f"The predictions for the training data are not finite {when}. {REMEDIES}"
        )


def are_predictions_finite(loss, raw, bound=np.inf):
    """Tell whether raw outputs, and the numbers they predict, lie within a bound."""
    # Of classes, probabilities are bounded.
    outputs = [raw, loss.link().inverse(raw)]
    return all(_largest(array) < bound for array in outputs)


def _largest(array):
    """Return the largest absolute value, NaN where there is one."""
    # Methods, which tensors have, too.
    return max(float(array.max()), -float(array.min()))


def _output_bound(network, size):
    """Return what no raw output exceeds in size, for inputs of up to ``size``."""
    weight = _largest(network.theta)
    for layer, p in zip(network.layers, network.p, strict=True):
        size = layer.bound(p, size, weight)
    return size


def input_size(X):
    """Return what no input exceeds in size."""
    return max(map(_size_of_block, blocks_of(X)))


def _size_of_block(X):
    if not issparse(X):
        return _largest(X)
    # Entries of one place add up. The user's matrix stays as it is.
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    sums = np.bincount(rows, np.abs(X.data), minlength=X.shape[0])
    return float(np.max(sums))
