"""The averages of a solver don't stay subnormal where the gradient is 0."""

import numpy as np
import pytest

from sknn_notes import MLPRegressor
from sknn_notes._engine import executor as executors
from sknn_notes._engine.executor import remove_subnormals
from sknn_notes.optimizers import OPTIMIZERS, Adam, Optimizer

SOLVERS = {
    # By default, the second average of Adam decays for 70,000 steps.
    name: cls(beta_2=0.9) if issubclass(cls, Adam) else cls()
    for name, cls in OPTIMIZERS.items()
    if cls.stochastic
}
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@each_dtype
def test_only_subnormal_numbers_become_zero(dtype):
    smallest = np.finfo(dtype).smallest_normal
    kept = np.array([0, smallest, -smallest, 1, -np.inf, np.nan], dtype)
    tiny = np.array([smallest / 2, -smallest / 2, smallest / 2**20], dtype)
    assert (tiny != 0).all()
    array = np.tile(np.concatenate([kept, tiny]), 5_000)
    remove_subnormals(array)
    expected = np.tile(np.concatenate([kept, 0 * tiny]), 5_000)
    np.testing.assert_array_equal(array, expected)


def idle_model(solver, penalty=None):
    """Return a network after 1,500 steps in which some inputs are 0."""
    X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
    model = MLPRegressor(
        hidden_layer_sizes=4,
        solver=solver,
        penalty=penalty,
        batch_size=8,
        max_iter=300,
        n_iter_no_change=np.inf,
        warm_start=True,
        random_state=0,
    )
    model.partial_fit(X, X[:, 0])
    X[:, 3:] = 0
    return model.fit(X, X[:, 0])


def n_subnormals(model):
    arrays = model._training_state.optimizer_state.values()
    sizes = np.abs(np.concatenate([x for x in arrays if isinstance(x, np.ndarray)]))
    return np.sum((sizes > 0) & (sizes < np.finfo(sizes.dtype).smallest_normal))


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("solver", "penalty"), [*((name, None) for name in SOLVERS), ("sgd", "l1")]
)
def test_averages_do_not_stay_subnormal(executor, solver, penalty, monkeypatch):
    assert n_subnormals(idle_model(SOLVERS[solver], penalty)) == 0
    monkeypatch.setattr(executors, "remove_subnormals", lambda array: None)
    assert n_subnormals(idle_model(SOLVERS[solver])) > 0


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", SOLVERS)
def test_no_weight_changes_by_a_bit(executor, solver, monkeypatch):
    model = idle_model(SOLVERS[solver])
    monkeypatch.setattr(executors, "remove_subnormals", lambda array: None)
    other = idle_model(SOLVERS[solver])
    assert model.loss_curve_ == other.loss_curve_
    for name in "coefs_", "intercepts_":
        for pair in zip(getattr(model, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(*pair)


@pytest.mark.parametrize(
    "array", [np.array(0.0), np.zeros(3, int), np.zeros(3, object)], ids=repr
)
def test_the_state_of_a_solver_may_hold_any_arrays(array):
    class Steps(Optimizer):
        def start(self, theta, xp=np):
            return {"other": array}

        def step(self, theta, grad, rate, state, xp=np):
            theta -= rate * grad

    X = np.random.default_rng(0).normal(size=(40, 3))
    options = {"hidden_layer_sizes": 4, "batch_size": 1, "max_iter": 4}
    model = MLPRegressor(**options, solver=Steps()).fit(X, X[:, 0])
    assert model._training_state.optimizer_state["other"] is array
