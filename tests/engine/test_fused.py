"""Compiled steps against steps made one by one."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes import MLPClassifier, MLPRegressor, _kernels
from sknn_notes._engine import fused, training
from sknn_notes.initializers import Normal
from sknn_notes.losses import Hinge, LogLoss
from sknn_notes.optimizers import SGD, Adam

needs_steps = pytest.mark.skipif(
    "numba" not in _kernels.available(), reason="only the numba kernels have steps"
)

N_SAMPLES, N_FEATURES, N_CLASSES = 90, 6, 4
OPTIONS = [
    {},
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": (9, 8, 7)},
    {"dropout": 0.5},
    {"dropout": [0.0, 0.3], "dropout_scaling": "standard"},
    {"batch_norm": True},
    {"batch_norm": True, "dropout": 0.2, "penalize_bias": True, "alpha": 0.1},
    {"max_norm": [0.5, None, 1.0]},
    {"penalty": None},
    {"alpha": [0.1, 0.0, 0.01], "penalize_bias": True},
    {"solver": "adamw", "alpha": 0.1},
    {"solver": "sgd", "momentum": 0.5},
    {"solver": "sgd", "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"shuffle": False},
    {"batch_size": 7},
    {"early_stopping": True},
    {"warm_start": True},
]
CLASSIFICATION = ["log_loss", "hinge", "squared_hinge", Hinge(margin=0.5)]


def data(kind, dtype="float64"):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES)).astype(dtype)
    if kind == "classes":
        return X, np.argmax(X[:, :N_CLASSES], axis=1)
    if kind == "two classes":
        return X, (X[:, 0] > 0).astype(int)
    if kind == "labels":
        return X, (X[:, :N_CLASSES] > 0).astype(int)
    return X, X[:, :2] ** 2


def fit(kind, X, y, sample_weight=None, **params):
    make = MLPRegressor if kind == "numbers" else MLPClassifier
    options = {
        "hidden_layer_sizes": (12, 8),
        "learning_rate_init": 0.01,
        "batch_size": 16,
        "max_iter": 4,
        "random_state": 0,
    }
    model = make(**{**options, **params})
    for _ in range(2):
        model.fit(X, y, sample_weight)
    return model


@pytest.fixture
def both(monkeypatch):
    """Fit with compiled steps, and step by step; return both models."""

    def run(*args, kernels="numba", **params):
        models, made = [], []

        def spy(*args):
            made.append(fused.fused_steps(*args))
            return made[-1]

        monkeypatch.setattr(training, "fused_steps", spy)
        for name in ("numba", kernels):
            monkeypatch.setenv("SKNN_NOTES_KERNELS", name)
            _kernels.active.cache_clear()
            models.append(fit(*args, **params))
            # The first model is made of compiled steps, the second of single ones.
            compiled = [steps is not None for steps in made]
            assert compiled == [True, True] if len(models) == 1 else not any(compiled)
            made.clear()
            if kernels == "numba":
                monkeypatch.setattr(training, "fused_steps", lambda *args: None)
        return models

    yield run
    _kernels.active.cache_clear()


def assert_same(one, other, rtol):
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=rtol)
    np.testing.assert_allclose(
        one._training_state.rng.random(), other._training_state.rng.random()
    )
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    assert (one.batch_norm_ is None) == (other.batch_norm_ is None)
    for a, b in zip(one.batch_norm_ or (), other.batch_norm_ or (), strict=True):
        for name, array in a.items():
            np.testing.assert_allclose(array, b[name], rtol=rtol, atol=rtol)
    assert one.n_iter_ == other.n_iter_
    assert one._training_state.optimizer_state.get("t") == (
        other._training_state.optimizer_state.get("t")
    )


@needs_steps
@pytest.mark.parametrize("params", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["classes", "two classes", "labels", "numbers"])
def test_they_are_the_same_steps(both, kind, params):
    assert_same(*both(kind, *data(kind), **params), 1e-9)


@needs_steps
@pytest.mark.parametrize("loss", CLASSIFICATION, ids=str)
@pytest.mark.parametrize("kind", ["classes", "two classes", "labels"])
def test_with_every_loss_and_weights(both, kind, loss):
    X, y = data(kind)
    weight = np.random.default_rng(1).exponential(size=N_SAMPLES)
    assert_same(*both(kind, X, y, weight, loss=loss, dropout=0.3), 1e-9)


@needs_steps
@pytest.mark.parametrize("params", OPTIONS[:6], ids=str)
def test_the_first_epochs_are_those_of_the_numpy_kernels(both, params):
    X, y = data("classes", "float32")
    one, other = both("classes", X, y, kernels="numpy", **params)
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-5)
    assert one.coefs_[0].dtype == np.float32


@needs_steps
@pytest.mark.parametrize(
    ("scale", "shift"), [(1e8, 0), (1e15, 0), (1, 1e3), (1, 1e5)], ids=str
)
def test_batch_norm_of_a_badly_scaled_column(both, scale, shift):
    X, y = data("numbers")
    y = y[:, 0]
    X[:, 3] = scale * X[:, 3] + shift
    one, other = both(
        "numbers",
        X.astype("float32"),
        y,
        kernels="numpy",
        batch_norm=True,
        init="he_uniform",
        standardize_target=False,
    )
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-2)


@needs_steps
@pytest.mark.parametrize("shift", [1e8, 1e10, 1e12])
def test_batch_norm_of_a_column_whose_spread_float32_barely_holds(both, shift):
    X = np.random.default_rng(0).normal(size=(200, 4))
    y = X[:, 1].copy()
    X[:, 0] += shift
    for model in both(
        "numbers",
        X.astype("float32"),
        y,
        kernels="numpy",
        batch_norm=True,
        batch_size=200,
        hidden_layer_sizes=(10,),
    ):
        assert np.isfinite(model.loss_curve_).all()
        assert np.all(model.batch_norm_[0]["var"] >= 0)


@needs_steps
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
@pytest.mark.parametrize("size", [1e20, 1e25, 1e30])
def test_weights_whose_squares_overflow_train_without_a_penalty(both, solver, size):
    """The penalty is the sum of their squares, infinite here, times alpha."""
    X, y = data("numbers", "float32")
    X, y = X / np.float32(size), y[:, 0]
    one, other = both(
        "numbers",
        X,
        y,
        kernels="numpy",
        hidden_layer_sizes=(),
        init=Normal(std=size),
        solver=solver,
        alpha=0.0,
    )
    assert np.abs(one.coefs_[0]).max() > size / 10
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-4)


@needs_steps
def test_blocks_of_any_number_of_batches_are_the_same_epoch(both, monkeypatch):
    X, y = data("classes")
    whole, _ = both("classes", X, y, dropout=0.4)
    monkeypatch.undo()
    monkeypatch.setattr(fused, "_BLOCK_SIZE", 2 * 16 * 12)
    parts = fit("classes", X, y, dropout=0.4)
    assert_same(whole, parts, 1e-12)


@needs_steps
def test_data_that_may_not_be_written_to_is_left_alone(monkeypatch):
    monkeypatch.setenv("SKNN_NOTES_KERNELS", "numba")
    _kernels.active.cache_clear()
    X, y = data("classes")
    before = X.copy()
    X.flags.writeable = False
    fit("classes", X, y, shuffle=False)
    np.testing.assert_array_equal(X, before)
    _kernels.active.cache_clear()


class _SlowAdam(Adam):
    """A user's own solver, which the compiled steps can't know."""


@needs_steps
@pytest.mark.parametrize(
    "params",
    [
        {"activation": "tanh"},
        {"loss": LogLoss(label_smoothing=0.1)},
        {"penalty": "l1"},
        {"input_dropout": 0.1},
        {"dropconnect": 0.1},
        {"solver": _SlowAdam()},
        {"solver": "rmsprop"},
        {"loss": "hierarchical_softmax"},
        {"sparse": True},
    ],
    ids=str,
)
def test_what_they_do_not_cover_is_left_to_single_steps(monkeypatch, params):
    monkeypatch.setenv("SKNN_NOTES_KERNELS", "numba")
    _kernels.active.cache_clear()
    made = []

    def spy(*args):
        made.append(fused.fused_steps(*args))
        return made[-1]

    monkeypatch.setattr(training, "fused_steps", spy)
    X, y = data("classes")
    params = dict(params)
    X = csr_array(X) if params.pop("sparse", False) else X
    fit("classes", X, y, **params)
    assert made == [None, None]
    fit("classes", data("classes")[0], y, solver=SGD())
    assert None not in made[2:]
    _kernels.active.cache_clear()


@needs_steps
@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_they_stop_where_the_loss_is_not_finite(monkeypatch, kind):
    monkeypatch.setenv("SKNN_NOTES_KERNELS", "numba")
    _kernels.active.cache_clear()
    X, y = data(kind)
    with pytest.raises(ValueError, match="non-finite"):
        fit(kind, 1e200 * X, y, solver="sgd", learning_rate_init=1e10)
    _kernels.active.cache_clear()
