"""L-BFGS: a decreasing objective, and the minimum of convex problems."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    GammaRegressor,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    TweedieRegressor,
)
from sklearn.metrics import r2_score
from sklearn.preprocessing import scale

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes._engine.objective import Objective
from sknn_notes._engine.program import Program
from sknn_notes.activations import Tanh
from sknn_notes.layers._base import Fitted
from sknn_notes.losses import LogLoss, SquaredError, Tweedie
from sknn_notes.penalties import L2

pytestmark = pytest.mark.usefixtures("executor")


def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), y


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), y / y.std()


def linear(cls, alpha, **parameters):
    defaults = {"solver": "lbfgs", "tol": 1e-9, "max_iter": 2000, "random_state": 0}
    return cls(hidden_layer_sizes=(), alpha=alpha, **(defaults | parameters))


def assert_near(values, expected):
    """Assert that the values agree to 1e-5 of the largest."""
    expected = np.reshape(expected, np.shape(values))
    np.testing.assert_allclose(values, expected, atol=1e-5 * np.abs(expected).max())


def weights_of_mean_one(n, seed=0):
    weight = np.random.default_rng(seed).exponential(size=n)
    return weight / weight.mean()


# Convex problems: a network without hidden layers is a linear model


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_are_logistic_regression(C, weighted):
    X, y = iris()
    X, y = X[50:], y[50:]
    weight = weights_of_mean_one(len(y)) if weighted else None
    model = linear(MLPClassifier, 1 / (C * len(y))).fit(X, y, weight)
    reference = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y, weight)
    assert_near(model.coefs_[0].T, reference.coef_)
    assert_near(model.intercepts_[0], reference.intercept_)
    assert_near(model.predict_proba(X), reference.predict_proba(X))


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("sparse", [False, True])
def test_more_classes_are_multinomial_regression(C, sparse):
    X, y = iris()
    model = linear(MLPClassifier, 1 / (C * len(y)))
    model.fit(csr_array(X) if sparse else X, y)
    reference = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y)
    assert_near(model.coefs_[0].T, reference.coef_)
    assert_near(model.predict_proba(X), reference.predict_proba(X))


def test_labels_are_one_logistic_regression_each():
    X, y = iris()
    labels = np.column_stack([y == 0, y > 1]).astype(int)
    model = linear(MLPClassifier, 1 / len(y)).fit(X, labels)
    for j in range(2):
        reference = LogisticRegression(tol=1e-10, max_iter=10_000).fit(X, labels[:, j])
        assert_near(model.coefs_[0][:, j], reference.coef_)


@pytest.mark.parametrize("alpha", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_squared_error_is_ridge_regression(alpha, n_outputs, weighted):
    X, y = diabetes()
    y = np.column_stack([y, y**2])[:, :n_outputs].squeeze()
    weight = weights_of_mean_one(len(y)) if weighted else None
    model = linear(MLPRegressor, alpha / len(y)).fit(X, y, weight)
    reference = Ridge(alpha=alpha).fit(X, y, weight)
    assert_near(model.coefs_[0].T, reference.coef_)
    assert_near(model.intercepts_[0], reference.intercept_)
    assert_near(model.predict(X), reference.predict(X))


def test_poisson_is_poisson_regression():
    X, y = diabetes()
    model = linear(MLPRegressor, 0.1, loss="poisson").fit(X, y)
    reference = PoissonRegressor(alpha=0.1, tol=1e-10, max_iter=10_000).fit(X, y)
    assert_near(model.coefs_[0][:, 0], reference.coef_)
    assert_near(model.predict(X), reference.predict(X))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("power", [1, 1.1, 1.5, 1.9, 2, 3])
def test_tweedie_is_tweedie_regression(power, weighted):
    X, y = diabetes()
    if power < 2:
        y = np.maximum(y - np.median(y), 0)
    weight = weights_of_mean_one(len(y)) if weighted else None
    loss = Tweedie(power=power)
    model = linear(MLPRegressor, 0.1, loss=loss).fit(X, y, weight)
    reference = TweedieRegressor(
        power=power, link="log", alpha=0.1, tol=1e-10, max_iter=10_000
    ).fit(X, y, weight)
    assert_near(model.coefs_[0][:, 0], reference.coef_)
    assert_near(model.predict(X), reference.predict(X))


def test_gamma_is_gamma_regression():
    X, y = diabetes()
    model = linear(MLPRegressor, 0.1, loss="gamma").fit(X, y)
    reference = GammaRegressor(alpha=0.1, tol=1e-10, max_iter=10_000).fit(X, y)
    assert_near(model.coefs_[0][:, 0], reference.coef_)
    assert_near(model.predict(X), reference.predict(X))


# The way there


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("hidden_layer_sizes", [(), (5,), (5, 4)])
def test_the_objective_decreases_with_every_iteration(hidden_layer_sizes):
    X, y = iris()
    model = MLPClassifier(
        hidden_layer_sizes, "tanh", solver="lbfgs", max_iter=40, random_state=0
    ).fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_
    assert np.all(np.diff(model.loss_curve_) < 0)
    assert model.loss_ == model.loss_curve_[-1] == model.best_loss_


@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_training_ends_where_no_slope_exceeds_tol(tol):
    X, y = iris()
    model = MLPClassifier(
        4, "tanh", alpha=0.01, solver="lbfgs", tol=tol, max_iter=5000, random_state=0
    ).fit(X, y)
    assert model.n_iter_ < 5000
    network = Network(hidden_layers([4, 4, 3], [Tanh()]), np.float64)
    network.load(Fitted(model.coefs_, model.intercepts_))
    program = Program(network, LogLoss(), L2(), [0.01, 0.01])
    value = Objective(program)(X, y)
    assert value == pytest.approx(model.loss_, rel=1e-12)
    assert np.abs(network.grad).max() <= tol


def test_max_iter_ends_training_with_a_warning():
    X, y = iris()
    model = MLPClassifier(4, solver="lbfgs", max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        model.fit(X, y)
    assert model.n_iter_ == 3


def test_max_fun_bounds_the_evaluations():
    X, y = iris()
    model = MLPClassifier(4, solver="lbfgs", max_fun=5, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert model.n_iter_ <= 5


def test_a_warm_start_goes_on_from_the_weights():
    X, y = iris()
    model = MLPClassifier(
        4, solver="lbfgs", max_iter=10, warm_start=True, random_state=0
    ).fit(X, y)
    first = model.loss_
    model.fit(X, y)
    assert model.loss_ < first


def test_float32_data_are_computed_in_float64():
    X, y = iris()
    narrow, wide = (
        MLPClassifier(4, solver="lbfgs", max_iter=10, random_state=0).fit(data, y)
        for data in (X.astype(np.float32), X.astype(np.float32).astype(float))
    )
    assert narrow.coefs_[0].dtype == np.float64
    np.testing.assert_array_equal(narrow.coefs_[0], wide.coefs_[0])


def test_early_stopping_restores_the_best_weights():
    X, y = iris()
    model = MLPClassifier(
        30,
        solver="lbfgs",
        early_stopping=True,
        validation_fraction=0.4,
        n_iter_no_change=3,
        random_state=0,
    ).fit(X, y)
    scores = model.validation_scores_
    assert model.n_iter_ == len(scores) == len(model.loss_curve_)
    assert max(scores) == model.best_validation_score_
    # The best epoch, then those without improvement, one more than n_iter_no_change.
    assert len(scores) - 1 - int(np.argmax(scores)) == 4
    best = MLPClassifier(
        30,
        solver="lbfgs",
        early_stopping=True,
        validation_fraction=0.4,
        max_iter=int(np.argmax(scores)) + 1,
        random_state=0,
    ).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], best.coefs_[0])


class _Interrupted(LogLoss):
    """A log loss that the user interrupts at an evaluation."""

    def __init__(self, *, at=20):
        super().__init__()
        self.at = at

    _parameter_constraints = {"at": "no_validation"}

    def mean(self, raw, y, sample_weight, xp):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        if self.n_calls_ == self.at:
            raise KeyboardInterrupt
        return super().mean(raw, y, sample_weight, xp)


def test_an_interruption_keeps_the_last_iterate():
    X, y = iris()
    options = {"hidden_layer_sizes": 4, "solver": "lbfgs", "random_state": 0}
    model = MLPClassifier(loss=_Interrupted(), **options)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert 0 < model.n_iter_ < 20
    never = _Interrupted(at=0)
    until_then = MLPClassifier(loss=never, **options, max_iter=model.n_iter_).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], until_then.coefs_[0])
    assert model.loss_ == until_then.loss_


def test_an_objective_that_is_not_finite_at_the_start_raises():
    X, y = iris()
    model = MLPRegressor(solver="lbfgs", random_state=0)
    with pytest.raises(ValueError, match="before the first iteration"):
        model.fit(X * 1e200, y)
    assert not hasattr(model, "coefs_")


def test_a_line_search_that_overflows_steps_back():
    X, y = diabetes()
    # From zero, the first step of length 1 would predict exp(thousands).
    model = linear(MLPRegressor, 0.0, loss="poisson", init="zeros").fit(1000 * X, y)
    reference = PoissonRegressor(alpha=0, max_iter=10_000).fit(X, y)
    assert model.score(1000 * X, y) == pytest.approx(
        r2_score(y, reference.predict(X)), abs=1e-3
    )


# Line searches that give up


class _Misleading(SquaredError):
    """A squared error whose gradient points uphill after some evaluations."""

    def __init__(self, *, after=1):
        self.after = after

    _parameter_constraints = {"after": "no_validation"}

    def mean(self, raw, y, sample_weight, xp):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        value, gradient = super().mean(raw, y, sample_weight, xp)
        return value, gradient * (-1 if self.n_calls_ > self.after else 1)


@pytest.mark.parametrize("after", [1, 6, 20])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_loss_is_the_last_of_the_curve(after, early_stopping, batch_norm):
    X, y = diabetes()
    model = MLPRegressor(
        loss=_Misleading(after=after),
        hidden_layer_sizes=10,
        solver="lbfgs",
        early_stopping=early_stopping,
        batch_norm=batch_norm,
        random_state=0,
    ).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) >= 1
    assert model.loss_ == model.loss_curve_[-1]
    if early_stopping:
        assert len(model.validation_scores_) == len(model.loss_curve_)
        assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_start_that_is_the_minimum_is_an_iteration(early_stopping):
    X, y = iris()
    X, y = X[:100], y[:100]
    model = MLPClassifier(
        4, solver="lbfgs", init="zeros", tol=1.0, early_stopping=early_stopping
    ).fit(X, y)
    assert model.n_iter_ == 1
    np.testing.assert_allclose(model.loss_curve_, [np.log(2)])
    assert model.loss_ == model.loss_curve_[0]


@pytest.mark.parametrize("max_iter", [1, 5, 20])
def test_a_fit_cut_short_says_that_the_next_one_has_no_memory(max_iter):
    X, y = iris()
    model = MLPClassifier(4, solver="lbfgs", max_iter=max_iter, random_state=0)
    with pytest.warns(ConvergenceWarning, match="warm_start.*curvature from scratch"):
        model.fit(X, y)
