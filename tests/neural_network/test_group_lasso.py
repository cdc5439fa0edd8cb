"""GroupLasso through the estimators: against a convex solver, and what it can't do."""

import numpy as np
import pytest
from sklearn.linear_model import MultiTaskLasso

from sknn_notes import MLPClassifier, MLPRegressor, _kernels
from sknn_notes.penalties import GroupLasso
from sknn_notes.schedules import Cosine

# Of eight inputs the last five are noise.
N_INPUTS, N_USED, N_OUTPUTS = 8, 3, 4


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, N_INPUTS)) * rng.uniform(0.5, 2, N_INPUTS)
    W = np.zeros((N_INPUTS, N_OUTPUTS))
    W[:N_USED] = rng.normal(size=(N_USED, N_OUTPUTS))
    return X, X @ W + 1 + 0.5 * rng.normal(size=(200, N_OUTPUTS))


SOLVERS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "rmsprop": {"solver": "rmsprop", "learning_rate_init": 0.001},
    "sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd", "nesterovs_momentum": True},
}
# At a constant rate RMSProp ends near a minimum only.
CONVERGENT = {name: solver for name, solver in SOLVERS.items() if name != "rmsprop"}
every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


def linear(penalty=None, **parameters):
    """Return a linear model that trains on all samples at once until it stands."""
    if parameters.get("solver") == "sgd":
        parameters.setdefault("learning_rate_init", 0.02)
    return MLPRegressor(
        hidden_layer_sizes=(),
        penalty=penalty or GroupLasso(groups="inputs"),
        standardize_target=False,
        batch_size=200,
        max_iter=2000,
        tol=0.0,
        n_iter_no_change=np.inf,
        random_state=0,
        **parameters,
    )


def objective(model, X, y, alpha):
    """Return the loss and the penalty of a linear model, from the definitions."""
    W, b = model.coefs_[0], model.intercepts_[0]
    loss = 0.5 * np.mean(np.sum((X @ W + b - y) ** 2, axis=1))
    return loss + alpha * W.shape[1] ** 0.5 * np.linalg.norm(W, axis=1).sum()


@pytest.mark.parametrize("solver", CONVERGENT.values(), ids=CONVERGENT)
@pytest.mark.parametrize("alpha", [0.02, 0.1])
def test_a_linear_model_is_the_multi_task_lasso(problem, solver, alpha):
    """scikit-learn's has the same loss, and no factor sqrt(n_g) in its penalty."""
    X, y = problem
    model = linear(alpha=alpha, **solver).fit(X, y)
    lasso = MultiTaskLasso(alpha * N_OUTPUTS**0.5, tol=1e-10, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0], lasso.coef_.T, atol=1e-3)
    np.testing.assert_allclose(model.intercepts_[0], lasso.intercept_, atol=1e-3)
    zeros = ~lasso.coef_.T.any(axis=1)
    assert zeros.sum() >= (3 if alpha == 0.1 else 0)
    np.testing.assert_array_equal(~model.coefs_[0].any(axis=1), zeros)
    assert model.loss_ == pytest.approx(objective(model, X, y, alpha), rel=1e-5)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_noisy_inputs_get_rows_of_zeros(problem, solver):
    X, y = problem
    model = MLPRegressor(
        hidden_layer_sizes=(20,),
        solver=solver,
        penalty=GroupLasso(),
        alpha=0.1,
        batch_size=50,
        max_iter=500,
        tol=0.0,
        random_state=0,
    ).fit(X, y)
    first = model.coefs_[0]
    assert first[:N_USED].any(axis=1).all()
    assert not first[N_USED:].any()
    assert model.coefs_[1].all()
    assert model.score(X, y) > 0.5


def test_units_that_nothing_needs_get_columns_of_zeros(problem):
    X, y = problem
    penalty = GroupLasso(groups="units")
    model = MLPRegressor(
        hidden_layer_sizes=(50,),
        penalty=penalty,
        alpha=[0.01, 0.0],
        max_iter=200,
        random_state=0,
    ).fit(X, y)
    first = model.coefs_[0]
    zeros = first == 0
    np.testing.assert_array_equal(zeros.any(axis=0), zeros.all(axis=0))
    assert 0 < zeros.all(axis=0).sum() < 50
    assert model.coefs_[1].all()


@pytest.fixture
def kernels(monkeypatch):
    """Return a function that chooses the executor by its name."""

    def choose(name):
        monkeypatch.setenv("SKNN_NOTES_KERNELS", name)
        _kernels.active.cache_clear()

    yield choose
    monkeypatch.undo()
    _kernels.active.cache_clear()


@pytest.mark.parametrize("groups", ["inputs", "units"])
@pytest.mark.parametrize("clip_norm", [None, 0.5])
@every_solver
def test_both_executors_agree(problem, kernels, solver, clip_norm, groups):
    pytest.importorskip("numba")
    X, y = problem
    model = MLPRegressor(
        hidden_layer_sizes=(
            10,
            6,
        ),
        penalty=GroupLasso(groups=groups),
        alpha=0.02,
        clip_norm=clip_norm,
        max_iter=8,
        random_state=0,
        **solver,
    )
    fitted = []
    for name in ("numpy", "numba"):
        kernels(name)
        model.fit(X, y)
        arrays = [*model.coefs_, *model.intercepts_]
        fitted.append(np.concatenate([array.ravel() for array in arrays]))
        fitted.append(model.loss_curve_)
    np.testing.assert_allclose(fitted[0], fitted[2], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fitted[1], fitted[3], rtol=1e-9)


@every_solver
def test_an_alpha_of_zero_is_no_penalty(problem, solver):
    X, y = problem
    parameters = {"max_iter": 10, "random_state": 0, **solver}
    free = MLPRegressor(hidden_layer_sizes=(5,), penalty=None, **parameters).fit(X, y)
    model = MLPRegressor(
        hidden_layer_sizes=(5,), penalty=GroupLasso(), alpha=0.0, **parameters
    )
    for W, expected in zip(model.fit(X, y).coefs_, free.coefs_, strict=True):
        np.testing.assert_allclose(W, expected, rtol=1e-9)


def test_each_layer_has_its_alpha(problem):
    X, y = problem
    model = MLPRegressor(
        hidden_layer_sizes=(
            20,
            20,
        ),
        penalty=GroupLasso(groups="units"),
        alpha=[0.0, 0.02, 0.0],
        max_iter=150,
        random_state=0,
    ).fit(X, y)
    zeros = [np.sum(~W.any(axis=0)) for W in model.coefs_]
    assert zeros[0] == zeros[2] == 0
    assert zeros[1] > 0


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_strength_that_ends_at_zero_leaves_finite_weights(problem, solver):
    X, y = problem
    alpha = Cosine(start=0.05)
    model = MLPRegressor(
        hidden_layer_sizes=(5,),
        solver=solver,
        penalty=GroupLasso(),
        alpha=alpha,
        max_iter=20,
    ).fit(X, y)
    assert all(np.isfinite(W).all() for W in model.coefs_)
    assert model.coefs_[0].any()


def test_a_classifier_takes_it_by_name():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    y = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 0] > 1)
    model = MLPClassifier((20,), penalty="group_lasso", alpha=0.02, random_state=0)
    first = model.fit(X, y).coefs_[0]
    assert first[:2].all()
    assert not first[2:].any()
    assert model.score(X, y) > 0.85


def test_biases_are_in_no_group_and_the_user_is_told(problem):
    X, y = problem
    parameters = {"penalty": GroupLasso(), "alpha": 0.1, "max_iter": 3}
    model = MLPRegressor(hidden_layer_sizes=(5,), random_state=0, **parameters)
    expected = model.fit(X, y).coefs_
    model.set_params(penalize_bias=True)
    with pytest.warns(UserWarning, match="penalize_bias=True .* without biases"):
        model.fit(X, y)
    for W, other in zip(model.coefs_, expected, strict=True):
        np.testing.assert_array_equal(W, other)


def test_layers_that_it_is_not_on_are_told_of_nothing(problem):
    """An alpha a layer is not required for groups of inputs."""
    X, y = problem
    model = MLPRegressor(
        hidden_layer_sizes=(5,), penalty=GroupLasso(), alpha=0.1, max_iter=3
    )
    model.fit(X, y)
    assert model.coefs_[1].any()


def test_lbfgs_asks_for_a_smooth_penalty(problem):
    model = MLPRegressor(solver="lbfgs", penalty=GroupLasso(), alpha=0.1)
    message = r"'lbfgs' can't train with penalty=GroupLasso.*smooth penalty.*'adam'"
    with pytest.raises(ValueError, match=message):
        model.fit(*problem)
