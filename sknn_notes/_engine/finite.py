"""Checks that the parameters and the predictions of a fit are finite."""

import math

import numpy as np
from scipy.sparse import issparse

from sknn_notes._engine.prediction import Predictor
from sknn_notes._engine.rows import blocks_of
from sknn_notes._numpy import errstate


class DivergenceError(ValueError):
    """Training diverged, and there are no earlier weights to restore."""


REMEDIES = (
    "Scale the inputs (for example with sknn_notes.Standardizer), lower "
    "learning_rate_init, set or lower clip_norm, or look for extreme values in X and y."
)
LBFGS_REMEDIES = (
    "Scale the inputs (for example with sknn_notes.Standardizer), or look for extreme "
    "values in X and y."
)


def divergence(what, remedies=REMEDIES):
    """Return the error for a training that diverged; ``what`` says how."""
    return DivergenceError(
        "Solver produced non-finite parameter weights. The input data may contain "
        f"large values and need to be preprocessed. {what} {remedies}"
    )


@errstate(all="ignore")
def check_finite(network, loss, X, when, size=None, remedies=REMEDIES):
    """Raise DivergenceError unless the network is finite and so are its predictions.

    Parameters
    ----------
    network : Network
        The network at the end of a fit.
    loss : Loss
    X : {ndarray, CSR array, Rows} of shape (n_samples, n_features) or None
        Training data, for which predictions must be finite. None checks only the
        parameters.
    when : str
        The point in training, for the error message.
    size : float, default=None
        The result of ``input_size(X)``, if it is known.
    remedies : str, default=REMEDIES
        What to do, for the error message.
    """
    if not math.isfinite(_largest(network.theta)):
        raise divergence(f"The weights are not finite {when}.", remedies)
    if len(network.running) and not math.isfinite(_largest(network.running)):
        raise DivergenceError(
            f"The averages of batch norm are not finite {when}. {remedies}"
        )
    if X is None:
        return
    # If the bound is far below the limit of the dtype, all predictions are finite.
    safe = math.sqrt(np.finfo(network.theta.dtype).max)
    size = input_size(X) if size is None else size
    bound = np.full((1, network.shapes[-1][1]), _output_bound(network, size))
    ends = np.concatenate([-bound, bound])
    if are_predictions_finite(loss, ends, safe):
        return
    chunks = Predictor(network, seed=0).chunks(X, network.fitted)
    if not all(are_predictions_finite(loss, raw) for _, raw in chunks):
        raise DivergenceError(
            f"The predictions for the training data are not finite {when}. {remedies}"
        )


def are_predictions_finite(loss, raw, bound=np.inf):
    """Tell whether raw outputs, and their predictions, are below a bound."""
    # For classes, predictions are probabilities, which are bounded.
    outputs = [raw, loss.link().inverse(raw)]
    return all(_largest(array) < bound for array in outputs)


def _largest(array):
    """Return the largest absolute value, NaN if there is a NaN."""
    # Tensors have these methods, too.
    return max(float(array.max()), -float(array.min()))


def _output_bound(network, size):
    """Return an upper bound of raw outputs for inputs of absolute value ``size``."""
    weight = _largest(network.theta)
    for layer, p in zip(network.layers, network.p, strict=True):
        size = layer.bound(p, size, weight)
    return size


def input_size(X):
    """Return an upper bound of the absolute values of the inputs."""
    return max(map(_size_of_block, blocks_of(X)))


def _size_of_block(X):
    if not issparse(X):
        return _largest(X)
    # Duplicate entries add up. The matrix of the user stays unchanged.
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    sums = np.bincount(rows, np.abs(X.data), minlength=X.shape[0])
    return float(np.max(sums))
