"""The validation set: where it comes from, and how the network does on it."""

from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split


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
        test_size=validation_fraction,
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


def mean_loss(loss, raw, validation):
    """Return the weighted mean loss of raw outputs, without a penalty."""
    losses = loss.per_sample(raw, validation.targets, np.empty_like(raw))
    return float(np.average(losses, weights=validation.sample_weight))


def takes_weights(scorer):
    """Tell whether a scorer can be called with ``sample_weight``."""
    # scikit-learn's scorers all have the argument, and pass it on.
    parameters = signature(getattr(scorer, "_score_func", scorer)).parameters
    return "sample_weight" in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )
