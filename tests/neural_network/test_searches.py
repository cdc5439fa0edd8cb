"""Searches that spend epochs, and searches from outside scikit-learn."""

import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, Standardizer
from sknn_notes.losses import Hinge


def network(**params):
    defaults = {"hidden_layer_sizes": 8, "n_iter_no_change": np.inf, "random_state": 0}
    return MLPClassifier(**defaults | params)


def halving(model, grid, resource):
    return HalvingGridSearchCV(
        model,
        grid,
        resource=resource,
        min_resources=2,
        max_resources=18,
        factor=3,
        cv=2,
        random_state=0,
    )


def test_halving_spends_epochs(three_classes):
    X, y = three_classes
    grid = {"learning_rate_init": [1e-4, 1e-3, 1e-2], "loss__margin": [0.5, 1.0, 2.0]}
    # So many steps an epoch that two epochs tell the rates apart.
    model = network(loss=Hinge(), batch_size=5)
    search = halving(model, grid, "max_iter").fit(X, y)
    assert search.n_resources_ == [2, 6, 18]
    assert search.n_candidates_ == [9, 3, 1]
    assert search.best_estimator_.n_iter_ == 18
    assert search.best_params_["learning_rate_init"] == 1e-2


@pytest.mark.parametrize("warm_start", [False, True])
def test_every_round_of_halving_starts_anew(three_classes, warm_start):
    X, y = three_classes
    model = make_pipeline(Standardizer(), network(warm_start=warm_start))
    grid = {"mlpclassifier__learning_rate_init": [1e-3, 3e-3, 1e-2]}
    search = halving(model, grid, "mlpclassifier__max_iter").fit(X, y)
    assert len(search.best_estimator_[-1].loss_curve_) == search.n_resources_[-1]
    by_hand = search.best_params_ | {"mlpclassifier__warm_start": False}
    np.testing.assert_array_equal(
        search.predict_proba(X),
        model.set_params(**by_hand).fit(X, y).predict_proba(X),
    )


@pytest.mark.needs("scikit-learn>=1.7", "1.6 warns of the tags of OptunaSearchCV")
@pytest.mark.filterwarnings("ignore:OptunaSearchCV is experimental")
# The search calls a module of Optuna that Optuna has deprecated.
@pytest.mark.filterwarnings("ignore:.*optuna.terminator:FutureWarning")
def test_optuna_searches_numbers_names_and_the_parameters_of_parts(three_classes):
    optuna = pytest.importorskip("optuna")
    OptunaSearchCV = pytest.importorskip("optuna_integration").OptunaSearchCV
    of = optuna.distributions
    X, y = three_classes
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {
        "learning_rate_init": of.FloatDistribution(1e-3, 1e-1, log=True),
        "dropout": of.FloatDistribution(0, 0.5),
        "hidden_layer_sizes": of.IntDistribution(4, 16),
        "n_hidden_layers": of.IntDistribution(1, 2),
        "init": of.CategoricalDistribution(["he_normal", "orthogonal"]),
        "loss__margin": of.FloatDistribution(0.5, 2),
    }
    search = OptunaSearchCV(
        make_pipeline(Standardizer(), network(loss=Hinge(), max_iter=20)),
        {f"mlpclassifier__{name}": values for name, values in space.items()},
        cv=2,
        n_trials=5,
        error_score="raise",
        random_state=0,
    ).fit(X, y)
    best = search.best_estimator_[-1]
    assert {f"mlpclassifier__{name}" for name in space} == set(search.best_params_)
    assert best.loss.margin == search.best_params_["mlpclassifier__loss__margin"]
    assert best.n_layers_ == 2 + search.best_params_["mlpclassifier__n_hidden_layers"]
    assert len({trial.value for trial in search.trials_}) > 1
    assert search.score(X, y) > 0.7
