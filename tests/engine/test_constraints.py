"""Non-smooth penalties, weight decay and max norm in the training loop."""

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.linear_model import ElasticNet, Lasso

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes._engine.program import Program, Project, Step, run
from sknn_notes.activations import Tanh
from sknn_notes.initializers import GlorotUniform
from sknn_notes.layers._base import Fitted
from sknn_notes.losses import SquaredError
from sknn_notes.optimizers import OPTIMIZERS, SGD, Adam, AdamW, RMSProp
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
def test_l1_finds_the_minimum_of_scikit_learns_lasso(executor, solver, rate, l1_ratio):
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
def test_weights_become_exact_zeros_under_mini_batches(
    executor, solver, penalty, dtype
):
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


def test_a_penalty_without_strength_takes_no_proximal_step(executor):
    X, y = small_problem()
    models = [
        MLPClassifier(5, solver="sgd", random_state=0, max_iter=5, **parameters)
        for parameters in ({"penalty": "l1", "alpha": 0.0}, {"penalty": None})
    ]
    first, second = (model.fit(X, y).coefs_[0] for model in models)
    np.testing.assert_array_equal(first, second)


def test_biases_are_left_alone_by_the_proximal_step(executor):
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


def linear_program(optimizer):
    layers = hidden_layers([2, 1], [])
    network = Network(layers, np.float64)
    network.load(Fitted([np.array([[2.0], [-4.0]])], [np.array([3.0])]))
    return Program(network, SquaredError(), L2(), [0.5], optimizer=optimizer)


def make_step(program, X, y, rate):
    """Return the objective of a batch, after a step along its gradient."""
    state = program.optimizer.start(program.network.theta)
    step = Step(X, y, rate=rate, state=state)
    run([*program.objective, *program.updates], step)
    return step.value


def test_decoupled_decay_shrinks_the_weights_by_rate_times_alpha():
    program = linear_program(AdamW())
    # The prediction is the target, so that the gradient is 0.
    make_step(program, np.zeros((1, 2)), np.array([[3.0]]), rate=0.1)
    np.testing.assert_allclose(program.network.theta, [1.9, -3.8, 3.0])


def test_decoupled_decay_leaves_the_penalty_out_of_the_gradient_only():
    values = []
    for optimizer in (SGD(momentum=0.0), AdamW()):
        program = linear_program(optimizer)
        program.updates = program.updates[:1]
        values.append(make_step(program, np.zeros((1, 2)), np.array([[3.0]]), 0.1))
        expected = [0, 0, 0] if optimizer.decoupled else [1, -2, 0]
        np.testing.assert_array_equal(program.network.grad, expected)
    assert values == [5, 5]


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_a_step_of_adamw_is_one_of_adam_from_shrunk_weights(executor, alpha):
    X, y = small_problem()
    options = {"max_iter": 1, "batch_size": len(y), "shuffle": False, "random_state": 0}
    options |= {"hidden_layer_sizes": 5, "learning_rate_init": 0.05}
    start = MLPClassifier(**options | {"learning_rate_init": 1e-300}).fit(X, y)
    adam = MLPClassifier(**options, alpha=0.0).fit(X, y)
    adamw = MLPClassifier(**options, solver="adamw", alpha=alpha).fit(X, y)
    for W, other, W0 in zip(adamw.coefs_, adam.coefs_, start.coefs_, strict=True):
        np.testing.assert_allclose(W, other - 0.05 * alpha * W0, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(adamw.intercepts_[0], adam.intercepts_[0], rtol=1e-12)


# Max norm


class _Watched(SGD):
    """Gradient descent that keeps the longest incoming vector it ever meets."""

    longest: list = []

    def step(self, theta, grad, rate, state, xp=np):
        W = theta[: 6 * 8].reshape(6, 8)
        self.longest.append(np.sqrt((W**2).sum(axis=0)).max())
        super().step(theta, grad, rate, state, xp)


def lengths(W):
    return np.sqrt(np.sum(W.astype(float) ** 2, axis=0))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet", "group_lasso", None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_unit_exceeds_its_max_norm(executor, solver, penalty, dtype):
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
    network = Network(hidden_layers([3, 4, 1], [Tanh()]), np.float64)
    network.initialize(GlorotUniform(), 50.0, np.random.default_rng(0))
    network.fitted.coefs[0][:, 0] *= 1e-3
    before = [W.copy() for W in network.fitted.coefs]
    program = Program(
        network, SquaredError(), max_norms=[0.5, None], optimizer=SGD(momentum=0.0)
    )
    project = program.updates[-1]
    assert isinstance(project, Project)
    project.run(Step(None, None))
    first, second = network.fitted.coefs
    expected = before[0] * np.minimum(1, 0.5 / lengths(before[0]))
    np.testing.assert_allclose(first, expected, rtol=1e-14)
    np.testing.assert_array_equal(first[:, 0], before[0][:, 0])
    np.testing.assert_array_equal(second, before[1])
    for b in network.fitted.intercepts:
        np.testing.assert_array_equal(b, 50.0)


def test_a_network_under_max_norm_stays_finite_at_a_rate_of_ten(executor):
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
