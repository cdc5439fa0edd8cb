"""Access to the network of an estimator: fitted, before or during training."""

import warnings
from collections.abc import Callable
from typing import Any, Self, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknn_notes._arrays import numpy_dtype
from sknn_notes._engine.batches import Batches
from sknn_notes._engine.network import Network
from sknn_notes._engine.objective import Objective
from sknn_notes._typing import MatrixLike
from sknn_notes.neural_network._base import BaseMLP
from sknn_notes.neural_network._build import Plan
from sknn_notes.neural_network._inactive import untold
from sknn_notes.neural_network._namespaces import as_numpy
from sknn_notes.neural_network._prepare import prepare

# Returns the batches to train on, given the network and the batches of ``X, y``.
BatchesFor: TypeAlias = Callable[[Network, Batches], Any]


def fitted_network(
    estimator: Any, owner: str, X: MatrixLike = None
) -> tuple[BaseMLP, Any]:
    """Return the fitted network of an estimator, and ``X`` as the network sees it.

    Raises
    ------
    TypeError
        If the estimator contains no network. The message names the caller, ``owner``.
    """
    while not isinstance(estimator, BaseMLP):
        if isinstance(estimator, Pipeline):
            if X is not None and len(estimator) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        elif _is_search(estimator):
            check_is_fitted(estimator, "best_estimator_")
            estimator = estimator.best_estimator_
        else:
            raise no_network(estimator, owner, ", a fitted search over one")
    check_is_fitted(estimator)
    return estimator, X


def untrained_network(
    estimator: Any, X: MatrixLike, y: Any, owner: str
) -> tuple[BaseMLP, Any, Any]:
    """Return a clone of the network of an estimator, and ``X, y`` as it would see them.

    Both are on the CPU, where every step can be recorded. Clones of the preceding
    steps of a Pipeline are fitted. A fitted search yields its best network, any other
    search the network of its ``estimator``.
    """
    *holders, mlp = _down_to_the_network(estimator, owner)
    for holder in holders:
        if isinstance(holder, Pipeline) and len(holder) > 1:
            X = clone(holder[:-1]).fit_transform(X, y)
        elif isinstance(holder, TransformedTargetRegressor):
            y = _transformed(holder, y)
    return clone(mlp).set_params(device="cpu"), as_numpy(X), as_numpy(y)


def _down_to_the_network(estimator: Any, owner: str) -> list[Any]:
    """Return an estimator, the estimators nested in it, and the network last."""
    chain = [estimator]
    while not isinstance(estimator, BaseMLP):
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        elif isinstance(estimator, TransformedTargetRegressor):
            estimator = estimator.regressor
        elif _is_search(estimator):
            estimator = getattr(estimator, "best_estimator_", estimator.estimator)
        else:
            others = ", a TransformedTargetRegressor of one, a search over one"
            raise no_network(estimator, owner, others)
        chain.append(estimator)
    return chain


def _is_search(estimator: Any) -> bool:
    """Return whether an estimator searches the parameters of another one."""
    if not hasattr(estimator, "estimator"):
        return False
    names = estimator.get_params(deep=False)
    return "param_grid" in names or "param_distributions" in names


def no_network(estimator: Any, owner: str, others: str = "") -> TypeError:
    """Return the error for an estimator in which ``owner`` finds no network."""
    return TypeError(
        f"{owner} takes an MLPClassifier or MLPRegressor of sknn_notes{others}, or a "
        f"Pipeline that ends in one. Got {estimator!r}. For any other estimator, pass "
        "the network inside it."
    )


class _Recorder(RegressorMixin, BaseEstimator):
    """Records the targets that it is fitted to."""

    def fit(self, X: MatrixLike, y: Any) -> Self:
        self.y_ = y
        return self

    def predict(self, X: MatrixLike) -> Any:
        return self.y_


def _transformed(estimator: Any, y: Any) -> Any:
    """Return targets as a TransformedTargetRegressor passes them to its regressor."""
    recorder = clone(estimator).set_params(regressor=_Recorder(), check_inverse=False)
    return recorder.fit(y, y).regressor_.y_


def fitted_objective(mlp: BaseMLP) -> Objective:
    """Return the objective at the fitted weights."""
    plan = Plan(mlp, mlp._targets.loss, mlp._resolve("solver"))
    plan.augment = mlp._predictor.augment
    plan.embedding = mlp._predictor.embedding
    W = mlp.coefs_
    network = plan.network(len(W[0]), W[-1].shape[1], numpy_dtype(W[0]))
    mlp._targets.load(network, mlp)
    objective: Objective = plan.objective(network)
    return objective


def start(mlp: BaseMLP, X: MatrixLike, y: Any) -> Any:
    """Return the training that ``fit`` would run, before its first step."""
    mlp._validate_params()
    with untold():
        return prepare(mlp, X, y)


def fit_on(mlp: BaseMLP, X: MatrixLike, y: Any, batches_for: BatchesFor) -> BaseMLP:
    """Fit on ``batches_for(network, batches)`` in place of the batches of ``X, y``."""
    training = start(mlp, X, y)
    training.batches = batches_for(training.network, training.batches)
    with warnings.catch_warnings():
        # The number of epochs is fixed, so convergence is not expected.
        warnings.simplefilter("ignore", ConvergenceWarning)
        training.run()
        training.publish()
    return mlp


def train_freely(mlp: BaseMLP, n_epochs: int) -> BaseMLP:
    """Set the parameters so that ``fit`` runs exactly ``n_epochs`` epochs."""
    mlp.set_params(
        max_iter=n_epochs,
        n_iter_no_change=np.inf,
        early_stopping=False,
        warm_start=False,
        verbose=False,
    )
    return mlp
