"""Warning for a network that predicts no better than a constant, with the cause."""

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from sknn_notes._arrays import to_numpy
from sknn_notes._engine.prediction import chunk_rows
from sknn_notes._messages import warn
from sknn_notes._numpy import errstate
from sknn_notes.neural_network._parameters import base_rate, value_at_start

# Maximum number of samples, and of their raw outputs, for comparing the losses.
_N_ROWS, _N_OUTPUTS = 10_000, 10**7


@errstate(all="ignore")
def warn_if_at_chance(estimator, network, plan, batches, reached):
    """Warn if the fitted network is no better than a constant prediction.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted estimator, with a ``_predictor``.
    network : Network
        Network with the weights after training.
    plan : Plan
    batches : Batches
        Training data.
    reached : float
        Training loss, noise and penalty included. If it is low, nothing is predicted.
    """
    loss, n_raw = plan.loss, network.shapes[-1][1]
    n_rows = min(_N_ROWS, max(1, _N_OUTPUTS // n_raw))
    step = -(-batches.n_samples // n_rows)
    y, weight = batches.y[::step], batches.sample_weight
    if weight is not None:
        weight = weight[::step]
        if not weight.any():
            return
    if id(loss) not in batches.chances:
        chances = _of_constants(loss, batches, y, weight, network)
        batches.chances[id(loss)] = loss, *chances
    _, chance, at_zero = batches.chances[id(loss)]
    # A constant that is nearly perfect can't be improved on. Losses of densities may be
    # negative.
    margin = abs(chance)
    if reached < chance - 0.1 * margin or chance <= 1e-3 * at_zero:
        return
    X = batches.X[::step]
    chunks = estimator._predictor.chunks(X, network.fitted)
    value = _mean_loss(loss, chunks, y, weight)
    if value < chance - 1e-6 * margin:
        return
    warn(
        "The network predicts the training data no better than a constant: its loss is "
        f"{value:.4g}, that of the best constant {chance:.4g}. "
        f"{_likely_cause(estimator, plan, X, batches.y)}",
        ConvergenceWarning,
    )


def _of_constants(loss, batches, y, weight, network):
    """Return the losses of the best constant prediction and of zeros."""
    n_raw, dtype = network.shapes[-1][1], network.theta.dtype
    constant = loss.constant(batches.y, batches.sample_weight, n_raw).astype(dtype)
    parts = list(gen_batches(len(y), chunk_rows(n_raw)))

    def of_constant(outputs):
        chunks = ((r, np.tile(outputs, (r.stop - r.start, 1))) for r in parts)
        return _mean_loss(loss, chunks, y, weight)

    return of_constant(constant), of_constant(np.zeros_like(constant))


def _mean_loss(loss, chunks, y, weight):
    """Return the mean loss of raw outputs given in chunks."""
    losses = [loss.per_sample(raw, y[rows], np)[0] for rows, raw in chunks]
    return float(np.average(np.concatenate(losses), weights=weight))


def _likely_cause(estimator, plan, X, y):
    X = to_numpy(X)
    largest = np.max(np.abs(X.data if issparse(X) else X), initial=0)
    if largest > 30 and not plan.has_norm:
        return (
            f"The inputs reach {largest:.3g}: scale them, for example by "
            "sknn_notes.Standardizer before the network in a Pipeline."
        )
    remedy = estimator._targets.remedy(y)
    if remedy:
        return remedy
    strength = max(map(value_at_start, plan.alphas))
    if plan.penalty is not None and strength >= 0.1:
        return (
            f"The penalty may be too strong: lower alpha, which reaches {strength:g}."
        )
    stochastic = plan.solver.stochastic
    name, base = base_rate(estimator)
    rate = f"{name}={base:g}"
    if estimator.n_iter_ >= estimator.max_iter:
        slow = f" or {rate}" if stochastic else ""
        return (
            "Training may have been too short: raise "
            f"max_iter={estimator.max_iter}{slow}."
        )
    size = f"The step size may be wrong ({rate}), the" if stochastic else "The"
    return (
        f"{size} initial weights may be too small or too large "
        f"(init={estimator.init!r}), or the inputs may be unrelated to y."
    )
