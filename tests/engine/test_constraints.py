"""Penalties with kinks, weight decay, max norm: what the training loop makes hold."""

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.linear_model import ElasticNet, Lasso

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._engine.network import Network
from sknn_notes._engine.objective import Objective
from sknn_notes.activations import Tanh
from sknn_notes.initializers import GlorotUniform
from sknn_notes.losses import SquaredError
from sknn_notes.optimizers import OPTIMIZERS, SGD, Adam, RMSProp
from sknn_notes.penalties import L2
from sknn_notes.penalties import ElasticNet as ElasticNetPenalty

STOCHASTIC = [name for name, cls in OPTIMIZERS.items() if cls.stochastic]
PROXIMAL = [
    (SGD(momentum=0.0), 0.05),
    (SGD(momentum=0.9, nesterovs_momentum=False), 0.02),
    (SGD(momentum=0.9, nesterovs_momentum=True), 0.02),
    (Adam(), 0.05),
    (RMSProp(), 0.02),
]


def small_problem(n=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6))
    return X, (X[:, 0] - X[:, 1] * X[:, 2] > 0).astype(int)


def sparse_regression():
    X, y = make_regression(
        n_samples=80, n_features=10, n_informative=3, noise=5.0, random_state=0
    )
    return X, y / y.std()


# L1 acts through a proximal step, and so finds the minimum itself, zeros included


@pytest.mark.parametrize(("solver", "rate"), PROXIMAL, ids=str)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_l1_finds_the_minimum_of_scikit_learns_lasso(solver, rate, l1_ratio):
    X, y = sparse_regression()
    model = MLPRegressor(
        hidden_layer_sizes=(),
        penalty=ElasticNetPenalty(l1_ratio=l1_ratio),
        alpha=0.2,
        solver=solver,
        learning_rate="cosine",
        learning_rate_init=rate,
        max_iter=1500,
        batch_size=len(y),
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X, y)
    reference = ElasticNet(alpha=0.2, l1_ratio=l1_ratio, tol=1e-12, max_iter=10**5)
    if l1_ratio == 1:
        reference = Lasso(alpha=0.2, tol=1e-12, max_iter=10**5)
    reference.fit(X, y)
    coef = model.coefs_[0][:, 0]
    np.testing.assert_allclose(coef, reference.coef_, atol=1e-3)
    zeros = reference.coef_ == 0
    assert zeros.any()
    np.testing.assert_array_equal(coef[zeros], 0)


@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_become_exact_zeros_under_mini_batches(solver, penalty, dtype):
    X, y = small_problem()
    model = MLPClassifier(
        8,
        solver=solver,
        penalty=penalty,
        alpha=0.1,
        learning_rate_init=0.05,
        batch_size=16,
        max_iter=40,
        random_state=0,
    ).fit(X.astype(dtype), y)
    assert np.mean(model.coefs_[0] == 0) > 0.2
    assert np.isfinite(model.loss_)


def test_a_penalty_without_strength_takes_no_proximal_step():
    X, y = small_problem()
    models = [
        MLPClassifier(5, solver="sgd", random_state=0, max_iter=5, **parameters)
        for parameters in ({"penalty": "l1", "alpha": 0.0}, {"penalty": None})
    ]
    first, second = (model.fit(X, y).coefs_[0] for model in models)
    np.testing.assert_array_equal(first, second)


def test_biases_are_left_alone_by_the_proximal_step():
    X, y = small_problem()
    options = {"solver": "sgd", "penalty": "l1", "alpha": 100.0, "random_state": 0}
    models = [
        MLPClassifier((), max_iter=20, bias_init=1.0, penalize_bias=flag, **options)
        for flag in (False, True)
    ]
    free, penalized = (model.fit(X, y).intercepts_[0] for model in models)
    assert np.all(free != 0)
    assert np.all(penalized == 0)


# Decoupled decay


def linear_objective(decoupled):
    network = Network([2, 1], [], np.float64)
    network.load([np.array([[2.0], [-4.0]])], [np.array([3.0])], None)
    network.allocate(1)
    return Objective(network, SquaredError(), L2(), [0.5], decoupled=decoupled)


def test_decoupled_decay_shrinks_the_weights_by_rate_times_alpha():
    objective = linear_objective(decoupled=True)
    objective.decay(0.1)
    np.testing.assert_allclose(objective.network.theta, [1.9, -3.8, 3.0])


def test_decoupled_decay_leaves_the_penalty_out_of_the_gradient_only():
    batch = np.zeros((1, 2)), np.array([[3.0]])
    values = []
    for decoupled in (False, True):
        objective = linear_objective(decoupled)
        values.append(objective(*batch))
        expected = [0, 0, 0] if decoupled else [1, -2, 0]
        np.testing.assert_array_equal(objective.network.grad, expected)
    assert values == [5, 5]


# Max norm


class _Watched(SGD):
    """Gradient descent that keeps the longest incoming vector it ever meets."""

    longest: list = []

    def step(self, theta, grad, rate, state):
        W = theta[: 6 * 8].reshape(6, 8)
        self.longest.append(np.sqrt((W**2).sum(axis=0)).max())
        super().step(theta, grad, rate, state)


def lengths(W):
    return np.sqrt(np.sum(W.astype(float) ** 2, axis=0))


@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_unit_exceeds_its_max_norm(solver, penalty, dtype):
    X, y = small_problem()
    model = MLPClassifier(
        8,
        solver=solver,
        penalty=penalty,
        max_norm=[0.5, 0.25],
        dropout=0.2,
        learning_rate_init=0.1,
        batch_size=16,
        max_iter=10,
        random_state=0,
    ).fit(X.astype(dtype), y)
    for W, norm in zip(model.coefs_, [0.5, 0.25], strict=True):
        assert lengths(W).max() <= norm * (1 + 1e-6)
    assert lengths(model.coefs_[0]).max() > 0.49


def test_the_max_norm_holds_after_every_step():
    _Watched.longest.clear()
    X, y = small_problem()
    MLPClassifier(
        8,
        solver=_Watched(),
        max_norm=0.5,
        learning_rate_init=1.0,
        batch_size=16,
        max_iter=10,
        random_state=0,
    ).fit(X, y)
    # The first step starts from weights as drawn.
    assert len(_Watched.longest) == 40
    assert max(_Watched.longest[1:]) <= 0.5 * (1 + 1e-12)


def test_the_max_norm_keeps_directions_short_units_and_biases():
    network = Network([3, 4, 1], [Tanh()], np.float64)
    network.initialize(GlorotUniform(), 50.0, np.random.default_rng(0))
    network.coefs[0][:, 0] *= 1e-3
    before = [W.copy() for W in network.coefs]
    Objective(network, SquaredError(), None, [], max_norms=[0.5, None]).project()
    first, second = network.coefs
    expected = before[0] * np.minimum(1, 0.5 / lengths(before[0]))
    np.testing.assert_allclose(first, expected, rtol=1e-14)
    np.testing.assert_array_equal(first[:, 0], before[0][:, 0])
    np.testing.assert_array_equal(second, before[1])
    for b in network.intercepts:
        np.testing.assert_array_equal(b, 50.0)


def test_a_network_under_max_norm_stays_finite_at_a_rate_of_ten():
    X, y = small_problem()
    model = MLPClassifier(
        (20, 20),
        solver="sgd",
        learning_rate_init=10.0,
        max_norm=1.0,
        batch_size=16,
        max_iter=50,
        random_state=0,
    ).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()
