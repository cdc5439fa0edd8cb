"""The validation set: where it comes from, and how the network does on it."""

import copy
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from sknn_notes.neural_network._guidance import watched_score


class ValidationSet(NamedTuple):
    """Validated inputs, targets as the user has them and as the loss takes them."""

    X: Any
    y: Any
    targets: Any
    sample_weight: np.ndarray | None


def check_given(estimator, X_val, y_val, sample_weight_val):
    """Tell whether ``fit`` was given a validation set; refuse half of one."""
    if X_val is None and y_val is None and sample_weight_val is None:
        return False
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
    return True


def hold_out(n_samples, validation_fraction, seed, strata):
    """Return the rows to train on and the rows to validate on.

    Parameters
    ----------
    n_samples : int
    validation_fraction : float
    seed : int
    strata : ndarray of shape (n_samples, 1) or None
        Classes whose shares both parts keep.
    """
    train, held_out = train_test_split(
        np.arange(n_samples),
        test_size=float(validation_fraction),
        random_state=seed,
        stratify=strata,
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    return train, held_out


def check_weighted(train_weight, held_out_weight):
    """Raise ValueError where the samples of a part have no weight at all."""
    if not (train_weight.any() and held_out_weight.any()):
        raise ValueError(
            "The weights of the samples drawn for training, or of those drawn for "
            "validation, are all zero. Change validation_fraction or random_state, "
            "or leave out the samples without weight."
        )


def evaluation(estimator, network, validation):
    """Return a function that gives the score to watch, and the loss, as they are now.

    The loss is without the penalty. What ``estimator.scoring`` names is the score.
    """
    # Views of the parameters, which follow them.
    arrays = network.coefs, network.intercepts, network.batch_norms
    loss, weight = estimator._loss, validation.sample_weight
    scorer, extra = None, {}
    if estimator.scoring not in (None, "loss"):
        scorer = check_scoring(estimator, estimator.scoring)
        fitted = copy.copy(estimator)
        fitted.coefs_, fitted.intercepts_, fitted.batch_norm_ = arrays
        if hasattr(fitted, "feature_names_in_"):
            del fitted.feature_names_in_
        if weight is not None and _takes_weights(scorer):
            extra = {"sample_weight": weight}

    def evaluate():
        raw = estimator._predictor.raw(validation.X, *arrays)
        losses = loss.per_sample(raw, validation.targets, np.empty_like(raw))
        mean_loss = float(np.average(losses, weights=weight))
        if scorer is not None:
            score = watched_score(scorer, fitted, validation, **extra)
        elif estimator.scoring == "loss":
            score = -mean_loss
        else:
            score = estimator._score_raw(raw, validation.targets, weight)
        return score, mean_loss

    return evaluate


def _takes_weights(scorer):
    """Tell whether a scorer can be called with ``sample_weight``."""
    # scikit-learn's scorers all have the argument, and pass it on.
    parameters = signature(getattr(scorer, "_score_func", scorer)).parameters
    return "sample_weight" in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )
