"""Parts in combination: what can't work says so, and all the rest trains.

The combinations are generated from the registries so that every pair of values of two
parameters occurs together at least once.
"""

import pickle
import warnings
from itertools import combinations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.initializers import INITIALIZERS
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sknn_notes.noise import GaussianNoise, RandomShift, StochasticPooling
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.penalties import PENALTIES
from sknn_notes.schedules import SCHEDULES

from .._covering import covering

X = np.random.default_rng(0).uniform(size=(60, 16))
CLASSES = np.arange(60) % 3

DOMAINS = {
    "solver": [name for name, solver in OPTIMIZERS.items() if solver.stochastic],
    "penalty": [None, *PENALTIES],
    "activation": list(ACTIVATIONS),
    "init": list(INITIALIZERS),
    "learning_rate": list(SCHEDULES),
    "hidden_layer_sizes": [(), (8,), (8, 6)],
    "batch_norm": [False, True],
    "dropout": [0.0, 0.4],
    "input_dropout": [0.0, 0.2],
    "dropconnect": [0.0, 0.2],
    "dropout_scaling": ["inverted", "standard"],
    "max_norm": [None, 2.0],
    "marginalization": ["analytic", "monte_carlo"],
    "augment": [None, GaussianNoise(), [RandomShift(), StochasticPooling()]],
    "penalize_bias": [False, True],
    "early_stopping": [False, True],
    "class_weight": [None, "balanced"],
    "dtype": ["auto", "float32"],
}


def test_the_cases_cover_every_pair():
    cases = covering({"a": [0, 1, 2], "b": [0, 1], "c": [0, 1, 2]})
    for one, other in combinations("abc", 2):
        values = {(case[one], case[other]) for case in cases}
        assert len(values) == {"ab": 6, "ac": 9, "bc": 6}[one + other]


def trains(model, y):
    """Assert that the model trains, and survives clone, pickle and a grid search."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
        again = clone(model).fit(X, y)
        search = GridSearchCV(model, {"alpha": [0.0, 1e-3]}, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(model.loss_)
    output = getattr(model, "decision_function", model.predict)
    assert np.isfinite(output(X)).all()
    np.testing.assert_array_equal(
        output(X), getattr(again, output.__name__)(X), err_msg="clone"
    )
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(output(X), getattr(loaded, output.__name__)(X))


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize(
    "case",
    covering({"loss": list(CLASSIFICATION_LOSSES), **DOMAINS}),
    ids=lambda case: f"{case['loss']}-{case['solver']}-{case['penalty']}",
)
def test_every_pair_of_a_classifiers_parameters_works_together(case):
    trains(
        MLPClassifier(
            **case,
            max_iter=2,
            batch_size=20,
            alpha=1e-3,
            n_mc_samples=3,
            random_state=0,
        ),
        CLASSES,
    )


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize(
    "case",
    covering(
        {
            "loss": list(REGRESSION_LOSSES),
            **{k: v for k, v in DOMAINS.items() if k != "class_weight"},
        }
    ),
    ids=lambda case: f"{case['loss']}-{case['solver']}-{case['penalty']}",
)
def test_every_pair_of_a_regressors_parameters_works_together(case):
    trains(
        MLPRegressor(
            **case,
            max_iter=2,
            batch_size=20,
            alpha=1e-3,
            n_mc_samples=3,
            random_state=0,
        ),
        np.abs(X[:, :2]),
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"dropout": 0.5},
        {"dropout": [0.5]},
        {"input_dropout": 0.5},
        {"dropconnect": 0.5},
        {"augment": GaussianNoise()},
        {"max_norm": 3.0},
        {"max_norm": [None, 3.0]},
        {"penalty": "l1"},
        {"penalty": "elasticnet"},
    ],
    ids=str,
)
def test_lbfgs_rejects_what_it_cannot_minimize(parameters):
    model = MLPClassifier(solver="lbfgs", **parameters)
    (name,) = parameters
    with pytest.raises(ValueError, match=rf"solver='lbfgs'.*{name}=.*Choose solver="):
        model.fit(X, CLASSES)
    assert not hasattr(model, "coefs_")


def test_lbfgs_takes_kinks_of_no_strength():
    MLPClassifier(solver="lbfgs", penalty="l1", alpha=0.0, max_iter=5).fit(X, CLASSES)


def test_cosine_rejects_partial_fit():
    model = MLPClassifier(learning_rate="cosine")
    with pytest.raises(ValueError, match=r"learning_rate='cosine'.*partial_fit"):
        model.partial_fit(X, CLASSES, classes=[0, 1, 2])


def test_hierarchical_softmax_rejects_labels():
    model = MLPClassifier(loss="hierarchical_softmax")
    with pytest.raises(ValueError, match=r"binary and multiclass.*multilabel"):
        model.fit(X, np.eye(3, dtype=int)[CLASSES])


def test_a_warm_start_with_another_loss_starts_that_loss():
    model = MLPClassifier(warm_start=True, max_iter=3, random_state=0)
    y = CLASSES % 2
    model.fit(X, y).set_params(loss="hierarchical_softmax").fit(X, y)
    assert model.predict_proba(X).shape == (60, 2)
