"""From an estimator to its network: fitted, at its start, or while it trains."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknn_notes.neural_network._base import BaseMLP
from sknn_notes.neural_network._build import Plan
from sknn_notes.neural_network._inactive import untold


def split_pipeline(estimator, owner):
    """Return the steps before the network, as a Pipeline or None, and the network.

    Raises
    ------
    TypeError
        If the estimator is no network and no Pipeline that ends in one; ``owner`` is
        who asks.
    """
    steps, mlp = None, estimator
    if isinstance(estimator, Pipeline):
        mlp = estimator[-1]
        steps = estimator[:-1] if len(estimator) > 1 else None
    if not isinstance(mlp, BaseMLP):
        raise TypeError(
            f"{owner} takes an MLPClassifier or MLPRegressor of sknn_notes, or a "
            f"Pipeline that ends in one. Got {mlp!r}. Of a search pass its "
            "best_estimator_, of another wrapper the network inside."
        )
    return steps, mlp


def fitted_network(estimator, owner, X=None):
    """Return the fitted network of an estimator, and ``X`` as the network sees it."""
    steps, mlp = split_pipeline(estimator, owner)
    check_is_fitted(mlp)
    return mlp, X if X is None or steps is None else steps.transform(X)


def untrained_network(estimator, X, y, owner):
    """Return a clone of the network, and ``X`` through clones of the earlier steps."""
    steps, mlp = split_pipeline(estimator, owner)
    if steps is not None:
        X = clone(steps).fit_transform(X, y)
    return clone(mlp), X


def fitted_objective(mlp, n_rows):
    """Return the objective at the fitted weights, for batches of up to ``n_rows``."""
    plan = Plan(mlp, mlp._loss, mlp._resolve("solver"))
    plan.augment = mlp._predictor.augment
    W = mlp.coefs_
    network = plan.network(len(W[0]), W[-1].shape[1], W[0].dtype)
    network.allocate(n_rows)
    network.load(W, mlp.intercepts_, mlp.batch_norm_)
    return plan.objective(network)


class _AtStart(Exception):
    """Carries what a fit has built out of it, before its first step."""


def start(mlp, X, y):
    """Return the plan, the network and the batches of a fit before its first step.

    All of them are what ``fit`` itself makes of the data; ``mlp`` stays unfitted.
    """

    def stop(plan, network, batches, *rest):
        raise _AtStart(plan, network, batches)

    mlp._train = stop
    try:
        with untold():
            mlp.fit(X, y)
    except _AtStart as caught:
        return caught.args
    finally:
        del mlp._train
    raise AssertionError("fit did not reach its training loop")


def fit_on(mlp, X, y, batches_for):
    """Fit on ``batches_for(network, batches)`` in place of the batches of ``X, y``."""
    train = mlp._train

    def train_on(plan, network, batches, *rest):
        return train(plan, network, batches_for(network, batches), *rest)

    mlp._train = train_on
    try:
        with warnings.catch_warnings(), untold():
            # The number of epochs is given.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return mlp.fit(X, y)
    finally:
        del mlp._train


def train_freely(mlp, n_epochs):
    """Set the parameters so that ``fit`` makes exactly ``n_epochs`` epochs."""
    return mlp.set_params(
        max_iter=n_epochs,
        n_iter_no_change=np.inf,
        early_stopping=False,
        warm_start=False,
        verbose=False,
    )
