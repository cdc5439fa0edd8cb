"""Each fit of a warm start is measured on its own problem."""

import numpy as np
import pytest

from sknn_notes import MLPClassifier, MLPRegressor


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    hard = np.sin(3 * X[:, 0]) * X[:, 1] + 2 * rng.normal(size=300)
    return X, 0.01 * X[:, 0], hard


def network(**params):
    options = {"hidden_layer_sizes": (30,), "learning_rate_init": 0.01, "max_iter": 60}
    options |= {"warm_start": True, "random_state": 0, "standardize_target": False}
    return MLPRegressor(**{**options, **params})


def test_a_harder_problem_trains_on_while_its_loss_falls(problem):
    X, easy, hard = problem
    model = network().fit(X, easy)
    n_iter = model.n_iter_
    model.fit(X, hard)
    assert model.n_iter_ == 60
    assert model.best_loss_ == min(model.loss_curve_[n_iter:])


@pytest.mark.parametrize(
    "change", [{"alpha": 1.0}, {"loss": "absolute_error"}, {"dropout": 0.5}]
)
def test_other_parameters_set_another_bar(problem, change):
    X, _, hard = problem
    model = network(max_iter=200, tol=1e-3).fit(X, hard)
    before = model.best_loss_
    n_iter = model.n_iter_
    model.set_params(**change, max_iter=30).fit(X, hard)
    assert model.n_iter_ > 11
    assert model.best_loss_ <= min(model.loss_curve_[n_iter:])
    assert model.best_loss_ != before


def test_a_partial_fit_in_between_sets_no_bar(problem):
    X, easy, hard = problem
    model = network().fit(X, hard)
    model.partial_fit(X, easy).fit(X, hard)
    assert model.best_loss_ == min(model.loss_curve_[-model.n_iter_ :])
    assert model.n_iter_ == 60


def test_the_bar_is_the_objective_of_the_first_weights(problem):
    X, _, hard = problem
    model = network(solver="sgd", learning_rate_init=1e-300, max_iter=1)
    model.fit(X, hard)
    model.set_params(learning_rate_init=10.0, max_norm=5.0, max_iter=15)
    first = model.loss_curve_[0]
    model.fit(X, hard)
    assert model.best_loss_ == pytest.approx(first, rel=1e-6)
    assert model.best_loss_ < min(model.loss_curve_[1:])


def test_asking_for_the_bar_draws_nothing(problem):
    X, _, hard = problem
    model = network(max_iter=1, dropout=0.3)
    for _ in range(3):
        model.fit(X, hard)
    one = MLPRegressor(**{**model.get_params(), "warm_start": False, "max_iter": 3})
    one.fit(X, hard)
    np.testing.assert_allclose(model.loss_curve_, one.loss_curve_)


def test_partial_fit_goes_on_counting(problem):
    X, _, hard = problem
    model = network()
    for _ in range(20):
        model.partial_fit(X, hard)
    assert model.best_loss_ == min(model.loss_curve_)


def test_classifiers_too(problem):
    X, _, hard = problem
    model = MLPClassifier(30, warm_start=True, random_state=0, learning_rate_init=0.01)
    model.fit(X, X[:, 0] > 0)
    model.set_params(max_iter=40).fit(X, hard > 0)
    assert model.n_iter_ == 40
