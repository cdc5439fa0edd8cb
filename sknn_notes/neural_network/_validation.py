"""The validation set of early stopping: the split, and the score on it."""

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
    """Validation data: inputs, targets as passed by the user and encoded for the loss.

    ``X`` is a matrix, or ``Rows`` of the training data. ``sample_weight`` are the
    weights passed by the user, for scorers; ``loss_weight`` are these times the class
    weights, for the loss. Both may be None.
    """

    name: str
    X: Any
    y: Any
    targets: Any
    sample_weight: np.ndarray | None
    loss_weight: np.ndarray | None


def check_given(estimator, X, X_val, y_val, sample_weight_val):
    """Return the validation set passed to ``fit``, or None; raise if incomplete."""
    if X_val is None and y_val is None and sample_weight_val is None:
        return None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(
            f"A validation set needs both X_val and y_val; {missing} is missing."
        )
    if not estimator.early_stopping:
        raise ValueError(
            "X_val and y_val were passed to fit, but with early_stopping=False there "
            "is no validation. Set early_stopping=True, or leave them out."
        )
    if _n_rows(X_val) == _n_rows(X) and in_cross_validation():
        warn(
            f"X_val and the training part of this fold both have {_n_rows(X)} rows. "
            "scikit-learn's searches and cross-validation cut every fit parameter that "
            "is as long as X into folds, so X_val may be only a part of the validation "
            "set. Pass a validation set that is longer or shorter than X.",
        )
    return X_val, y_val, sample_weight_val


@contextmanager
def of_validation():
    """Let errors in the block mention the validation set."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"X_val, y_val or sample_weight_val: {error}") from error


def _n_rows(X):
    """Return the number of rows, None for what is no matrix."""
    if hasattr(X, "shape"):
        return X.shape[0] if X.shape else None
    return len(X) if hasattr(X, "__len__") else None


class Fold(NamedTuple):
    """Rows that one network of an ensemble holds out.

    Parameters
    ----------
    seed : int
        Seed of the order of the rows, which is the same for all networks.
    place, n_networks : int
        Index of the network, from 0, and number of networks.
    """

    seed: int
    place: int
    n_networks: int


def hold_out(n_samples, validation_fraction, seed, strata, fold=None):
    """Split rows at random into rows to train on and rows to validate on.

    Parameters
    ----------
    n_samples : int
    validation_fraction : float
    seed : int
    strata : ndarray of shape (n_samples,) or None
        Class indices, from 0, by which the split is stratified. At least one sample of
        each class stays in the training part.
    fold : Fold, default=None
        Part to hold out for one network of an ensemble; its seed replaces ``seed``.

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
            in_classes = ", and one sample of each class always stays in training"
        raise ValueError(
            f"The validation set is too small: {len(held_out)} of {n_samples} samples "
            f"are held out with validation_fraction={validation_fraction}. Early "
            f"stopping needs 2 or more{in_classes}. Change validation_fraction, or "
            "pass X_val and y_val."
        )
    return train, held_out


def _window(rows, validation_fraction, n_held_out, strata, fold, rng):
    """Return the rows in the order of an ensemble, and a mask of those held out.

    Each network holds out a window of the rows, which are arranged in a circle. The
    windows of the networks start at equal distances, and each is so short that every
    row is in the training part of some network.
    """
    n, k = len(rows), fold.n_networks
    if validation_fraction * k > k - 1 + 1e-9:
        raise ValueError(
            f"validation_fraction={validation_fraction} is more than {k - 1}/{k}, so "
            f"with n_networks={k} some rows would train no network. Lower "
            "validation_fraction, raise n_networks, or pass X_val and y_val."
        )
    if strata is not None:
        # The samples of a class are spread evenly, so that windows are stratified.
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
        # If a whole class is held out, its first sample returns to training.
        of_window = strata[rows[window]]
        whole = np.bincount(of_window, minlength=len(counts)) == counts
        classes, first = np.unique(of_window, return_index=True)
        chosen[window[first[whole[classes]]]] = False
    return rows, chosen


def _shares(counts, n, rng):
    """Divide ``n`` among classes in proportion to their counts.

    What rounding leaves goes to the classes with the largest remainders. At most all
    samples of a class but one are taken.
    """
    quotas = counts * (n / counts.sum())
    shares = np.floor(quotas).astype(int)
    left = n - shares.sum()
    order = np.lexsort((rng.random(len(counts)), shares - quotas))
    shares[order[:left]] += 1
    return np.minimum(shares, counts - 1)


def check_weighted(train_weight, held_out_weight):
    """Raise ValueError if all samples of a part have weight 0."""
    if not (train_weight.any() and held_out_weight.any()):
        raise ValueError(
            "All samples drawn for training, or all those drawn for validation, have "
            "weight zero. Change validation_fraction or random_state, or leave out the "
            "samples of weight zero."
        )


def evaluation(estimator, network, validation, chunks=None):
    """Return a function that computes the current validation score and loss.

    ``estimator.scoring`` defines the score; the loss excludes the penalty. ``chunks``
    returns pairs of rows and their raw outputs, if the network is trained on a device.
    """
    # Views of the parameters, which change with them.
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
        # Scorers call the estimator on the CPU, with a matrix.
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
    """Raise or warn if the validation score can't tell epochs apart."""
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
            f"R2 is undefined on {validation.name}, which has {len(y)} sample. Use 2 "
            "samples or more, or another score, such as scoring='loss'."
        )
    if np.all(y == y[0]):
        warn(
            f"The targets of {validation.name} are constant: R2 is at most 0 for any "
            "predictions and does not tell which epoch is best. Pass other validation "
            "data, or choose another score, such as scoring='loss'.",
        )


def check_scores(estimator, validation, monitor):
    """Raise if no validation score was finite; warn if some were not."""
    scores = monitor.scores
    n_wrong = len(scores) - np.count_nonzero(np.isfinite(scores))
    # If training diverged, there has been a warning.
    if not n_wrong or not math.isfinite(monitor.losses[-1]):
        return
    scoring = estimator.scoring
    name = getattr(scoring, "__name__", f"{scoring!r}")
    if scoring is None:
        name = "the score of the estimator"
    if n_wrong == len(scores):
        advice = "Change scoring, for example to 'loss', or the validation data."
        if not np.isfinite(monitor.validation_losses).any():
            advice = (
                "The validation loss is not finite either: look for extreme values in "
                "the data, scale the inputs, or lower learning_rate_init."
            )
        raise ValueError(
            f"Early stopping cannot choose the best epoch: {name} on {validation.name} "
            f"was {scores[-1]} after every epoch. {advice}"
        )
    warn(
        f"The score that early stopping watches, {name} on {validation.name}, was "
        f"not finite after {n_wrong} of {len(scores)} epochs. These epochs count as no "
        "improvement.",
    )


def _takes_weights(scorer):
    """Whether a scorer can be called with ``sample_weight``."""
    # All scikit-learn scorers take it, but not all of their score functions.
    parameters = signature(getattr(scorer, "_score_func", scorer)).parameters
    return "sample_weight" in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )
