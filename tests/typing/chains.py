"""What an editor infers of chained calls; ``mypy`` checks it, nothing runs it."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.model_selection import GridSearchCV, RandomizedSearchCV
from sknn_notes.tabular import TabularMLPClassifier, TabularMLPRegressor

Floats = NDArray[np.floating[Any]]


def classifier(X: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    fitted = MLPClassifier(hidden_layer_sizes=(50, 20), dropout=0.1).fit(X, y)
    assert_type(fitted, MLPClassifier)
    assert_type(fitted.partial_fit(X, y, classes=[0, 1]), MLPClassifier)
    assert_type(fitted.predict(X), NDArray[Any])
    assert_type(fitted.predict_proba(X), Floats)
    assert_type(fitted.predict_log_proba(X), Floats)
    assert_type(fitted.decision_function(X), Floats)
    assert_type(fitted.predict_spread(X), Floats)
    assert_type(fitted.score(X, y), float)
    assert_type(fitted.coefs_, list[Floats])
    assert_type(fitted.networks_, list[MLPClassifier] | None)


def regressor(X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    fitted = MLPRegressor("gaussian_nll").fit(X, y, X_val=X, y_val=y)
    assert_type(fitted, MLPRegressor)
    assert_type(fitted.partial_fit(X, y), MLPRegressor)
    assert_type(fitted.predict(X), Floats)
    assert_type(fitted.predict(X, return_std=True), tuple[Floats, Floats])
    assert_type(fitted.predict_quantiles(X), Floats)
    assert_type(fitted.predict_spread(X), Floats)


def subclass(X: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    class Own(MLPClassifier):
        pass

    assert_type(Own().fit(X, y), Own)


def tables(X: NDArray[Any], y: NDArray[Any]) -> None:
    classifier = TabularMLPClassifier(quality="fast").fit(X, y)
    assert_type(classifier, TabularMLPClassifier)
    assert_type(classifier.predict_proba(X), Floats)
    assert_type(TabularMLPRegressor().fit(X, y).predict(X), NDArray[Any])


def searches(X: NDArray[np.float64], y: NDArray[np.int64]) -> None:
    grid = {"alpha": [1e-4, 1e-2], "dropout": [0.0, 0.1]}
    search = GridSearchCV(MLPClassifier(), grid, n_jobs=2).fit(X, y)
    assert_type(search, GridSearchCV)
    assert_type(search.best_params_, dict[str, Any])
    assert_type(search.best_score_, float)
    assert_type(
        RandomizedSearchCV(MLPClassifier(), grid, n_iter=3).fit(X, y),
        RandomizedSearchCV,
    )
