"""The validation set: where it comes from, and how the network does on it."""

import copy
import math
from contextlib import contextmanager
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import (
    check_scoring,
    explained_variance_score,
    get_scorer,
    r2_score,
)

from sknn_notes._arrays import to_numpy
from sknn_notes._engine.finite import are_predictions_finite
from sknn_notes._engine.rows import as_matrix
from sknn_notes._messages import warn
from sknn_notes._sklearn import in_cross_validation
from sknn_notes.neural_network._guidance import watched_score
from sknn_notes.neural_network._targets import set_arrays


class ValidationSet(NamedTuple):
    """Validated inputs, and targets as the user has them and as the loss takes them.

    ``X`` is a matrix, or ``Rows`` of the one that training reads.

    ``sample_weight`` are the user's weights, for scorers; ``loss_weight`` are these
    times the weights of the classes, for the loss. Both may be None.
    """

    name: str
    X: Any
    y: Any
    targets: Any
    sample_weight: np.ndarray | None
    loss_weight: np.ndarray | None


def check_given(estimator, X, X_val, y_val, sample_weight_val):
    """Return the validation set that ``fit`` was given, or None; raise for half."""
    if X_val is None and y_val is None and sample_weight_val is None:
        return None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(
            f"A validation set is X_val and y_val together; {missing} is missing."
        )
    if not estimator.early_stopping:
        raise ValueError(
            "X_val and y_val were passed to fit, but early_stopping=False watches no "
            "validation set. Set early_stopping=True, or leave them out."
        )
    if _n_rows(X_val) == _n_rows(X) and in_cross_validation():
        warn(
            f"X_val and the training part of this fold both have {_n_rows(X)} rows. "
            "scikit-learn's searches and cross-validation cut every fit parameter that "
            "is as long as X into folds: if X_val was, it is a part of what was "
            "passed. Pass a validation set that is longer or shorter than X.",
        )
    return X_val, y_val, sample_weight_val


@contextmanager
def of_validation():
    """Let the errors of a block say that they are about the validation set."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"X_val, y_val or sample_weight_val: {error}") from error


def _n_rows(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


class Fold(NamedTuple):
    """The part of the rows that one network of an ensemble holds out.

    Parameters
    ----------
    seed : int
        Seeds the order of the rows, which is the same for all networks.
    place, n_networks : int
        Which of how many networks it is, from 0.
    """

    seed: int
    place: int
    n_networks: int


def hold_out(n_samples, validation_fraction, seed, strata, fold=None):
    """Return the rows to train on and the rows to validate on, drawn at random.

    Parameters
    ----------
    n_samples : int
    validation_fraction : float
    seed : int
    strata : ndarray of shape (n_samples,) or None
        Codes of classes, from 0, whose shares both parts keep. One member of every
        class stays in the training part.
    fold : Fold, default=None
        Holds out a window of the rows in its order, with its seed in place of ``seed``.

    Returns
    -------
    train, held_out : ndarray of int
    """
    rng = np.random.default_rng(seed if fold is None else fold.seed)
    rows = rng.permutation(n_samples)
    n_held_out = math.ceil(float(validation_fraction) * n_samples)
    if fold is not None:
        rows, chosen = _window(rows, validation_fraction, n_held_out, strata, fold, rng)
    elif strata is not None:
        # Sorted by class, and in random order within each of them.
        rows = rows[np.argsort(strata[rows], kind="stable")]
        counts = np.bincount(strata)
        counts = counts[counts > 0]
        of_class = _shares(counts, n_held_out, rng)
        rank = np.arange(n_samples) - np.repeat(np.cumsum(counts) - counts, counts)
        chosen = rank < np.repeat(of_class, counts)
    else:
        chosen = np.arange(n_samples) < n_held_out
    train, held_out = np.sort(rows[~chosen]), np.sort(rows[chosen])
    if len(held_out) < 2 or not len(train):
        in_classes = ""
        if strata is not None:
            in_classes = ", and one member of every class is always trained on"
        raise ValueError(
            f"The validation set is too small: {len(held_out)} of {n_samples} samples "
            f"are held out with validation_fraction={validation_fraction}. Early "
            f"stopping needs 2 or more{in_classes}. Change validation_fraction, or "
            "pass X_val and y_val."
        )
    return train, held_out


def _window(rows, validation_fraction, n_held_out, strata, fold, rng):
    """Return rows in the order of an ensemble, and which of them a network holds out.

    Each network holds out a window, the next one further along a circle of the rows. A
    window leaves out so many rows that the next one has begun by then: every row is in
    the training part of some network.
    """
    n, k = len(rows), fold.n_networks
    if validation_fraction * k > k - 1 + 1e-9:
        raise ValueError(
            f"validation_fraction={validation_fraction} is more than {k - 1}/{k}, and "
            f"with n_networks={k} some rows would train no network. Lower "
            "validation_fraction, raise n_networks, or pass X_val and y_val."
        )
    if strata is not None:
        # The members of a class are spread evenly, so that windows keep its share.
        of_row = strata[rows]
        order = np.argsort(of_row, kind="stable")
        counts = np.bincount(strata)
        rank = np.empty(n, int)
        rank[order] = np.arange(n) - (np.cumsum(counts) - counts)[of_row[order]]
        place = (rank + rng.random(len(counts))[of_row]) / counts[of_row]
        rows = rows[np.argsort(place, kind="stable")]
    n_held_out = min(n_held_out, n - math.ceil(n / k))
    window = (fold.place * n // k + np.arange(n_held_out)) % n
    chosen = np.zeros(n, bool)
    chosen[window] = True
    if strata is not None:
        # The first member of a class that is held out whole is trained on.
        of_window = strata[rows[window]]
        whole = np.bincount(of_window, minlength=len(counts)) == counts
        classes, first = np.unique(of_window, return_index=True)
        chosen[window[first[whole[classes]]]] = False
    return rows, chosen


def _shares(counts, n, rng):
    """Return ``n`` numbers spread over classes in proportion to their counts.

    Those that rounding leaves over go to the largest remainders. A class keeps one
    member.
    """
    quotas = counts * (n / counts.sum())
    shares = np.floor(quotas).astype(int)
    left = n - shares.sum()
    order = np.lexsort((rng.random(len(counts)), shares - quotas))
    shares[order[:left]] += 1
    return np.minimum(shares, counts - 1)


def check_weighted(train_weight, held_out_weight):
    """Raise ValueError where the samples of a part have no weight at all."""
    if not (train_weight.any() and held_out_weight.any()):
        raise ValueError(
            "The weights of the samples drawn for training, or of those drawn for "
            "validation, are all zero. Change validation_fraction or random_state, "
            "or leave out the samples without weight."
        )


def evaluation(estimator, network, validation, chunks=None):
    """Return a function that gives the score to watch, and the loss, as they are now.

    The loss is without the penalty. What ``estimator.scoring`` names is the score.
    ``chunks`` returns pairs of some rows and their raw outputs, where the network is
    trained elsewhere.
    """
    # Views of the parameters, which follow them.
    arrays = network.fitted
    targets, weight = estimator._targets, validation.sample_weight
    loss = targets.loss
    scorer, extra = None, {}
    if estimator.scoring not in (None, "loss"):
        scorer = check_scoring(estimator, estimator.scoring)
        fitted = copy.copy(estimator)
        set_arrays(fitted, network.fitted)
        if hasattr(fitted, "feature_names_in_"):
            del fitted.feature_names_in_
        if weight is not None and _takes_weights(scorer):
            extra = {"sample_weight": weight}
        # A scorer takes a matrix, where the network is that it asks.
        validation = validation._replace(X=to_numpy(as_matrix(validation.X)))

    def own_chunks():
        return estimator._predictor.chunks(validation.X, arrays)

    chunks = chunks or own_chunks

    def evaluate():
        losses, predicted, finite = [], [], True
        for rows, raw in chunks():
            losses.append(loss.per_sample(raw, validation.targets[rows], np)[0])
            finite = finite and are_predictions_finite(loss, raw)
            if estimator.scoring is None:
                predicted.append(targets.predicted(raw))
        each = np.concatenate(losses)
        mean_loss = float(np.average(each, weights=validation.loss_weight))
        if not finite:
            return float("nan"), mean_loss
        if scorer is not None:
            set_arrays(fitted, targets.publish(network))
            score = watched_score(scorer, fitted, validation, **extra)
        elif estimator.scoring == "loss":
            score = -mean_loss
        else:
            score = targets.score(np.concatenate(predicted), validation.targets, weight)
        return score, mean_loss

    return evaluate


def check_watched(estimator, validation):
    """Raise or warn where the score to watch can't tell one epoch from another."""
    scoring = estimator.scoring
    if isinstance(scoring, str) and scoring != "loss":
        scoring = get_scorer(scoring)
    function = getattr(scoring, "_score_func", None)
    if scoring is None and estimator._targets.numeric:
        function = r2_score
    if function not in (r2_score, explained_variance_score):
        return
    y = np.asarray(validation.y)
    if len(y) < 2:
        raise ValueError(
            f"R2 is undefined on {validation.name}, which has {len(y)} sample. Pass 2 "
            "or more, or watch another score, such as scoring='loss'."
        )
    if np.all(y == y[0]):
        warn(
            f"The targets of {validation.name} are constant: R2 is 0 or less whatever "
            "the network predicts, so that it can't tell which epoch is best. Pass "
            "other validation data, or watch another score, such as scoring='loss'.",
        )


def check_scores(estimator, validation, monitor):
    """Raise where no watched score was finite; warn where some were not."""
    scores = monitor.scores
    n_wrong = len(scores) - np.count_nonzero(np.isfinite(scores))
    # Where training diverged, a warning has said so.
    if not n_wrong or not math.isfinite(monitor.losses[-1]):
        return
    scoring = estimator.scoring
    name = getattr(scoring, "__name__", f"{scoring!r}")
    if scoring is None:
        name = "the estimator's own score"
    if n_wrong == len(scores):
        advice = "Change scoring, for example to 'loss', or the validation data."
        if not np.isfinite(monitor.validation_losses).any():
            advice = (
                "The validation loss is not finite either: look for extreme values in "
                "the data, scale the inputs, or lower learning_rate_init."
            )
        raise ValueError(
            f"Early stopping watches {name} on {validation.name}, and it was "
            f"{scores[-1]} after every epoch, so that it can't tell which is best. "
            f"{advice}"
        )
    warn(
        f"The score that early stopping watches, {name} on {validation.name}, was "
        f"not finite after {n_wrong} of {len(scores)} epochs. They count as no "
        "improvement.",
    )


def _takes_weights(scorer):
    """Tell whether a scorer can be called with ``sample_weight``."""
    # scikit-learn's scorers all have the argument, and pass it on.
    parameters = signature(getattr(scorer, "_score_func", scorer)).parameters
    return "sample_weight" in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )
