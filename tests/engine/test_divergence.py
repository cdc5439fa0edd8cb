"""Training that overflows stops at once, and says what to do."""

import copy

import numpy as np
import pytest

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._engine.executor import Executor
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sknn_notes.optimizers import OPTIMIZERS, SGD

STOCHASTIC = [name for name, cls in OPTIMIZERS.items() if cls.stochastic]
REMEDIES = (
    r"Scale the inputs.*Standardizer.*lower learning_rate_init.*clip_norm.*"
    "extreme values in X and y"
)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def normal(n=60):
    return np.random.default_rng(0).normal(size=(n, 5))


def regressor(**parameters):
    defaults = {"hidden_layer_sizes": 10, "random_state": 0, "max_iter": 5}
    return MLPRegressor(**(defaults | parameters))


@pytest.fixture
def thetas(monkeypatch):
    """A list to which every epoch adds its last parameters."""
    found, run_epoch = [], Executor.run_epoch

    def watched(self, *arguments):
        try:
            return run_epoch(self, *arguments)
        finally:
            found.append(self.network.theta.copy())

    monkeypatch.setattr(Executor, "run_epoch", watched)
    return found


class OwnSGD(SGD):
    """A solver without loops, beside a compiled objective."""

    def step(self, theta, grad, rate, state, xp=np):
        super().step(theta, grad, rate, state, xp)


@pytest.mark.parametrize("solver", [*STOCHASTIC, OwnSGD()], ids=str)
@each_dtype
def test_no_step_follows_a_loss_that_is_not_finite(executor, thetas, solver, dtype):
    X, y = normal(100), normal(100)[:, 0]
    model = regressor(
        solver=solver, dtype=dtype, batch_size=20, shuffle=False, max_iter=1
    )
    options = {"standardize_target": False, "alpha": 0.1}
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.set_params(**options).fit(X[:40], y[:40])
    X[50] = 1e30 if dtype == "float32" else 1e300
    with pytest.raises(ValueError, match="became inf in epoch 1 at a learning rate of"):
        model.fit(X, y)
    np.testing.assert_array_equal(*thetas)


@pytest.mark.parametrize("solver", ["sgd", OwnSGD()], ids=str)
def test_nor_a_penalty_that_is_not_finite(executor, thetas, solver):
    X, y = normal(100), normal(100)[:, 0]
    options = {"solver": solver, "alpha": 1e300, "learning_rate_init": 1e100}
    options |= {"batch_size": 20, "max_iter": 3}
    with pytest.raises(ValueError, match=REMEDIES):
        regressor(**options).fit(X, y)
    assert len(thetas) == 1


@pytest.mark.parametrize(
    "solver",
    [
        "sgd",
        *(pytest.param(x, marks=pytest.mark.nightly) for x in STOCHASTIC if x != "sgd"),
    ],
)
@pytest.mark.parametrize(
    ("cls", "loss"),
    [
        *((MLPClassifier, name) for name in CLASSIFICATION_LOSSES),
        *((MLPRegressor, name) for name in REGRESSION_LOSSES),
    ],
)
def test_the_error_says_what_to_do(executor, cls, loss, solver):
    X = normal()
    y = np.digitize(X[:, 0], [-0.5, 0.5]) + 1
    model = cls(
        hidden_layer_sizes=10,
        solver=solver,
        loss=loss,
        learning_rate_init=3e38,
        dtype="float32",
        activation="leaky_relu",
        random_state=0,
        max_iter=20,
    )
    with pytest.raises(ValueError, match=rf"rate of 3e\+38\. {REMEDIES}"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


def test_lbfgs_has_no_learning_rate(executor):
    X = normal()
    with pytest.raises(ValueError, match="Scale the inputs") as raised:
        regressor(solver="lbfgs").fit(1e200 * X, X[:, 0])
    assert "learning_rate" not in str(raised.value)
    assert "clip_norm" not in str(raised.value)


@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize("n_networks", [1, 2])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_training_that_overflows_leaves_no_trace(
    executor, solver, n_networks, method
):
    X, y = normal(), normal()[:, 0]
    model = regressor(solver=solver, warm_start=True, n_networks=n_networks)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, y)
    model.set_params(learning_rate_init=1e300)
    before, predictions = copy.deepcopy(vars(model)), model.predict(X)
    with pytest.raises(ValueError, match=REMEDIES):
        getattr(model, method)(X, y)
    assert vars(model).keys() == before.keys()
    np.testing.assert_array_equal(model.predict(X), predictions)
    np.testing.assert_equal(model.loss_curve_, before["loss_curve_"])


@pytest.mark.parametrize("n_networks", [1, 2])
def test_on_a_device_training_stops_at_the_end_of_the_epoch(tensors, n_networks):
    X = normal()
    X[50] = 1e300
    model = regressor(device="cpu", n_networks=n_networks, standardize_target=False)
    with pytest.raises(ValueError, match=f"in epoch 1 at .*{REMEDIES}"):
        model.fit(X, X[:, 0])
    assert not hasattr(model, "coefs_")


# Max norm: bounded weights, with losses whose slopes are bounded, too.

# Slopes of squares grow with the raw outputs, so that the biases need clipped steps.
# Losses with a log link overflow wherever their mean does.
SQUARES = "squared_error", "squared_hinge"
LOG_LINKS = "gamma", "gaussian_nll", "poisson", "tweedie"
BOUNDED = [
    *((MLPClassifier, name) for name in CLASSIFICATION_LOSSES),
    *((MLPRegressor, name) for name in REGRESSION_LOSSES if name not in LOG_LINKS),
]


def bounded(cls, loss, solver, dtype, **parameters):
    """Return a network with max norm and a learning rate of 10."""
    return cls(
        hidden_layer_sizes=(20, 20),
        loss=loss,
        solver=solver,
        dtype=dtype,
        learning_rate_init=10.0,
        max_norm=3.0,
        clip_norm=1.0 if loss in SQUARES else None,
        n_iter_no_change=np.inf,
        batch_size=30,
        random_state=0,
        **parameters,
    )


def assert_finite(model, X, y):
    model.fit(X, y)
    assert np.isfinite(model.loss_curve_).all()
    for array in (*model.coefs_, *model.intercepts_, model.predict(X[:5])):
        assert np.isfinite(array).all()


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize(("cls", "loss"), BOUNDED)
def test_max_norm_keeps_a_network_finite(executor, cls, loss, solver):
    X = normal(120)
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    assert_finite(bounded(cls, loss, solver, "float32", max_iter=20), X, y)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@each_dtype
def test_with_every_activation(executor, solver, activation, dtype):
    X = normal(120)
    for cls, loss in BOUNDED:
        model = bounded(cls, loss, solver, dtype, activation=activation, max_iter=200)
        assert_finite(model, X, np.digitize(X[:, 0], [-0.5, 0.5]))


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_so_does_it_on_a_device(tensors, solver):
    X = normal(120)
    for cls, loss in [(MLPClassifier, "log_loss"), (MLPRegressor, "squared_error")]:
        model = bounded(cls, loss, solver, "float32", device="cpu", max_iter=20)
        assert_finite(model, X, np.digitize(X[:, 0], [-0.5, 0.5]))
