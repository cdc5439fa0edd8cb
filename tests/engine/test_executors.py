"""The compiled executor against the one that runs the definitions over arrays."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes import MLPClassifier, MLPRegressor, _kernels
from sknn_notes._engine import executor
from sknn_notes.activations import ACTIVATIONS, ELU, LeakyReLU
from sknn_notes.embeddings import Periodic, PiecewiseLinear
from sknn_notes.initializers import Normal
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    HierarchicalSoftmax,
    Hinge,
    Huber,
    LogLoss,
    Quantile,
    Tweedie,
)
from sknn_notes.noise import GaussianNoise, RandomFlip, RandomShift
from sknn_notes.optimizers import OPTIMIZERS, SGD, Adam, RMSProp
from sknn_notes.penalties import PENALTIES, ElasticNet, GroupLasso
from sknn_notes.schedules import Cosine, Exponential, InverseTime, OneCycle

pytestmark = [
    pytest.mark.skipif("numba" not in _kernels.available(), reason="needs numba"),
    pytest.mark.filterwarnings("ignore:.* has no effect"),
]

N_SAMPLES, N_FEATURES, N_CLASSES = 90, 6, 4
KINDS = ["classes", "two classes", "labels", "numbers"]
every_kind = pytest.mark.parametrize("kind", KINDS)

SGDS = [
    SGD(momentum=0.5),
    SGD(momentum=0.9, nesterovs_momentum=False),
    SGD(momentum=0.0),
]
STOCHASTIC = [name for name, cls in OPTIMIZERS.items() if cls.stochastic]
IMAGE = RandomFlip(image_shape=(2, 3))
OPTIONS = [
    {},
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": (9, 8, 7)},
    {"dropout": 0.5},
    {"dropout": [0.0, 0.3], "dropout_scaling": "standard"},
    {"batch_norm": True},
    {"batch_norm": True, "dropout": 0.2, "penalize_bias": True, "alpha": 0.1},
    {"batch_norm": BatchNorm(momentum=0.5, eps=0.1)},
    {"max_norm": [0.5, None, 1.0]},
    {"penalty": None},
    {"alpha": [0.1, 0.0, 0.01], "penalize_bias": True},
    {"solver": "adamw", "alpha": 0.1},
    {"solver": "sgd", "momentum": 0.5},
    {"solver": "sgd", "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"solver": "rmsprop"},
    {"solver": "rmsprop", "penalty": "l1", "alpha": 0.01},
    {"shuffle": False},
    {"batch_size": 7},
    {"early_stopping": True},
    {"warm_start": True},
    {"activation": ["tanh", "gelu"]},
    {"layer_norm": True},
    {"layer_norm": LayerNorm(eps=0.1), "dropout": 0.3},
    {"residual": True},
    {"residual": True, "hidden_layer_sizes": (N_FEATURES, N_FEATURES)},
    {"residual": True, "hidden_layer_sizes": (9, 9, 5), "layer_norm": True},
    {"residual": True, "dropout": 0.3, "max_norm": 0.5},
    {"dropconnect": 0.2},
    {"dropconnect": 0.2, "dropout_scaling": "standard", "batch_norm": True},
    {"input_dropout": 0.2},
    {"input_dropout": 0.2, "residual": True},
    {"augment": GaussianNoise(std=0.3)},
    {"augment": GaussianNoise(std=0.3), "input_dropout": 0.1, "dropout": 0.2},
    {"augment": [IMAGE, GaussianNoise(std=0.3)]},
    {"augment": [GaussianNoise(std=0.3), IMAGE], "residual": True},
    {"augment": IMAGE, "batch_size": 7},
    {"clip_norm": 0.1},
    {"clip_norm": 0.1, "solver": "sgd", "penalize_bias": True, "alpha": 0.1},
    {"clip_norm": 1e6},
    {"learning_rate": OneCycle()},
    {"alpha": Cosine(start=0.1)},
    {"alpha": [Cosine(start=0.1), 0.0, Exponential(start=0.1)]},
    {"alpha": Cosine(start=0.1), "penalty": "elasticnet", "solver": "sgd"},
    {"alpha": Cosine(start=0.1), "solver": "adamw"},
    {"dropout": [Cosine(start=0.5), 0.0]},
    {"dropout": Cosine(start=0.5), "alpha": Cosine(start=0.1), "clip_norm": 0.3},
    {"dtype": "float64", "init": "orthogonal"},
    {"feature_scaling": True},
    {"feature_scaling": True, "input_dropout": 0.2, "residual": True},
    {"embedding": "periodic"},
    {"embedding": Periodic(activation="relu", n_units=2), "residual": True},
    {"embedding": Periodic(activation="relu"), "input_dropout": 0.3},
    {"embedding": "piecewise_linear", "feature_scaling": True},
    {"embedding": PiecewiseLinear(n_bins=3), "input_dropout": 0.2},
    {"embedding": "periodic", "feature_scaling": True, "augment": GaussianNoise()},
    {"embedding": "periodic", "augment": IMAGE, "hidden_layer_sizes": ()},
]
CLASSIFICATION = [
    *CLASSIFICATION_LOSSES,
    Hinge(margin=0.5),
    LogLoss(label_smoothing=0.2),
]
PENALIZED = [*PENALTIES, ElasticNet(l1_ratio=0.2), GroupLasso(groups="units")]


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


def fit(kind, X, y, sample_weight=None, *, partial=False, **params):
    make = MLPRegressor if kind == "numbers" else MLPClassifier
    options = {
        "hidden_layer_sizes": (12, 8),
        "learning_rate_init": 0.01,
        "batch_size": 16,
        "max_iter": 4,
        "random_state": 0,
    }
    model = make(**{**options, **params})
    if partial:
        classes = {} if kind == "numbers" else {"classes": np.unique(y)}
        for _ in range(3):
            model.partial_fit(X, y, sample_weight=sample_weight, **classes)
        return model
    for _ in range(2):
        model.fit(X, y, sample_weight)
    return model


@pytest.fixture
def both(use):
    """Fit with either executor; return both models."""

    def run(*args, compiled=True, **params):
        models = []
        for name in ("numba", "numpy"):
            use(name)
            models.append(fit(*args, **params))
        one, other = models
        if compiled:
            assert one.executor_ == "numba"
        else:
            assert one.executor_.startswith("numpy (")
        assert other.executor_ == "numpy (numba is not in use)"
        return models

    return run


def arrays(model):
    """Yield (name, array) of all that a fit has learned and keeps for prediction."""
    for name in ("coefs_", "intercepts_", "residual_coefs_"):
        for i, array in enumerate(getattr(model, name) or ()):
            yield f"{name}[{i}]", np.empty(0) if array is None else array
    yield "feature_scales_", np.asarray(model.feature_scales_, float)
    for key, array in (model.embedding_ or {}).items():
        yield f"embedding_[{key}]", array
    for name in ("batch_norm_", "layer_norm_"):
        for i, norm in enumerate(getattr(model, name) or ()):
            for key, array in norm.items():
                yield f"{name}[{i}][{key}]", array
    for name, value in model._training_state.optimizer_state.items():
        yield f"state {name}", np.asarray(value)


def assert_same(one, other, rtol=1e-9):
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=rtol)
    np.testing.assert_allclose(
        one._training_state.rng.random(), other._training_state.rng.random()
    )
    for (name, a), (other_name, b) in zip(arrays(one), arrays(other), strict=True):
        assert name == other_name
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=name)
    assert one.n_iter_ == other.n_iter_
    assert one._training_state.optimizer_state.get("t") == (
        other._training_state.optimizer_state.get("t")
    )


@pytest.mark.one_in(3)
@pytest.mark.parametrize("params", OPTIONS, ids=str)
@every_kind
def test_they_make_the_same_steps(both, kind, params):
    assert_same(*both(kind, *data(kind), **params))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": (), "solver": "sgd", "penalty": "l1"},
        {"solver": "rmsprop", "penalty": GroupLasso()},
        {"alpha": InverseTime(start=0.1), "dropout": [InverseTime(start=0.5), 0.0]},
        {"batch_norm": True, "residual": True, "augment": [IMAGE, GaussianNoise()]},
        {"embedding": "periodic", "feature_scaling": True},
        {"embedding": "piecewise_linear"},
    ],
    ids=str,
)
def test_partial_fits(both, params):
    kind = "classes"
    assert_same(*both(kind, *data(kind), partial=True, **params))


@pytest.mark.parametrize("loss", CLASSIFICATION, ids=str)
@pytest.mark.parametrize("kind", ["classes", "two classes", "labels"])
def test_every_classification_loss_with_weights(both, kind, loss):
    task = {"classes": "multiclass", "two classes": "binary", "labels": "multilabel"}
    if task[kind] not in CLASSIFICATION_LOSSES.get(loss, LogLoss).tasks:
        pytest.skip("not for this kind of targets")
    X, y = data(kind)
    weight = np.random.default_rng(1).exponential(size=N_SAMPLES)
    assert_same(*both(kind, X, y, weight, loss=loss, dropout=0.3))


@pytest.mark.parametrize(
    "loss",
    [
        *REGRESSION_LOSSES,
        Huber(delta=0.3),
        Quantile(quantile=0.8),
        Quantile([0.1, 0.5, 0.9]),
        Tweedie(power=1.2),
    ],
    ids=str,
)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_every_regression_loss_with_weights(both, loss, n_outputs):
    X, y = data("numbers")
    y = y[:, :n_outputs].squeeze()
    weight = np.random.default_rng(1).exponential(size=N_SAMPLES)
    weight[:20] = 0
    assert_same(*both("numbers", X, y, weight, loss=loss))


@pytest.mark.parametrize(
    "activation", [*ACTIVATIONS, ELU(alpha=0.5), LeakyReLU(negative_slope=0.2)], ids=str
)
@pytest.mark.parametrize("params", [{}, {"dropout": 0.3}, {"batch_norm": True}])
def test_every_activation(both, activation, params):
    for kind in ("classes", "numbers"):
        assert_same(*both(kind, *data(kind), activation=activation, **params))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("penalty", PENALIZED, ids=str)
@pytest.mark.parametrize("solver", [*STOCHASTIC, *SGDS], ids=str)
@pytest.mark.parametrize(
    "params",
    [
        {"penalize_bias": True},
        {"alpha": [0.05, 0.0, 0.02], "residual": True},
        {"clip_norm": 0.1, "batch_norm": True},
        {"max_norm": [0.3, None, 0.2]},
        {"alpha": Cosine(start=0.05), "max_norm": 0.3, "clip_norm": 0.2},
    ],
    ids=str,
)
def test_every_penalty_under_every_solver(both, penalty, solver, params):
    params = {"alpha": 0.05, "penalty": penalty, "solver": solver, **params}
    assert_same(*both("classes", *data("classes"), **params))


# Everything combined

CHOICES = {
    "hidden_layer_sizes": [(), (7,), (12, 8), (6, 6, 6)],
    "activation": list(ACTIVATIONS),
    "solver": ["adam", "sgd", "rmsprop", "adamw", RMSProp(rho=0.5), Adam(beta_1=0.5)],
    "penalty": [None, "l2", "l1", "elasticnet", GroupLasso()],
    "alpha": [0.0, 0.03, Cosine(start=0.05)],
    "penalize_bias": [False, True],
    "dropout": [0.0, 0.3, Cosine(start=0.4)],
    "dropout_scaling": ["inverted", "standard"],
    "input_dropout": [0.0, 0.2],
    "dropconnect": [0.0, 0.2],
    "batch_norm": [False, True],
    "layer_norm": [False, True],
    "residual": [False, True],
    "feature_scaling": [False, True],
    "embedding": [None, "periodic", "piecewise_linear"],
    "augment": [None, GaussianNoise(), [RandomShift(image_shape=(2, 3)), IMAGE]],
    "clip_norm": [None, 0.3],
    "max_norm": [None, 0.5],
    "learning_rate": ["constant", "invscaling", OneCycle()],
    "shuffle": [True, False],
    "batch_size": [16, 7, 50],
    "early_stopping": [False, True],
    "warm_start": [False, True],
}


def combinations(n=40):
    """Return choices of all parameters, in which every value is met several times."""
    rng = np.random.default_rng(0)
    columns = {
        name: rng.permutation(np.arange(n) % len(values))
        for name, values in CHOICES.items()
    }
    for i in range(n):
        chosen = {name: values[columns[name][i]] for name, values in CHOICES.items()}
        # There is one norm: of two, this or that.
        if chosen["batch_norm"] and chosen["layer_norm"]:
            chosen[["batch_norm", "layer_norm"][i % 2]] = False
        yield chosen


@pytest.mark.parametrize(
    ("kind", "params"), list(zip(10 * KINDS, combinations(), strict=True))
)
def test_combinations(both, kind, params):
    if params["solver"] == "adamw" and params["penalty"] is None:
        params = {**params, "penalty": "l2"}
    X, y = data(kind)
    weight = np.random.default_rng(1).exponential(size=N_SAMPLES)
    assert_same(*both(kind, X, y, weight, **params), 1e-8)


# Sparse inputs


@every_kind
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"batch_norm": True, "penalty": "l1", "solver": "sgd"},
        {"penalty": GroupLasso(), "max_norm": 0.5, "dropout": 0.3},
        {"layer_norm": True, "clip_norm": 0.2, "hidden_layer_sizes": ()},
    ],
    ids=str,
)
def test_sparse_inputs(both, kind, params):
    X, y = data(kind)
    X[X < 0.3] = 0
    assert_same(*both(kind, csr_array(X), y, **params))


@every_kind
@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.3, "input_dropout": 0.2},
        {"residual": True, "penalty": GroupLasso(), "max_norm": 0.5},
        {"dropconnect": 0.2, "layer_norm": True, "clip_norm": 0.2},
        {"feature_scaling": True, "input_dropout": 0.2, "residual": True},
    ],
    ids=str,
)
def test_sparse_inputs_leave_the_update_compiled(both, kind, params):
    X, y = data(kind)
    X[X < 0.3] = 0
    one, other = both(kind, csr_array(X), y, compiled=False, **params)
    assert one.executor_ == "numpy (X is sparse)"
    assert_same(one, other)


# Numbers


@pytest.mark.parametrize("params", OPTIONS[:6], ids=str)
def test_the_first_epochs_agree_in_float32(both, params):
    X, y = data("classes", "float32")
    one, other = both("classes", X, y, **params)
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-5)
    assert one.coefs_[0].dtype == np.float32


@pytest.mark.one_in(3)
@pytest.mark.parametrize("params", OPTIONS[6:], ids=str)
def test_float32_stays_near(both, params):
    X, y = data("classes", "float32")
    if params.get("dtype") == "float64":
        pytest.skip("not in float32")
    one, other = both("classes", X, y, **params)
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-4)
    assert {a.dtype for name, a in arrays(one) if "state" not in name} == {
        a.dtype for name, a in arrays(other) if "state" not in name
    }


# Under a large scale the gradient of a weight is all rounding, which Adam would make a
# whole step of.
@pytest.mark.parametrize(
    ("scale", "shift", "solver", "rtol"),
    [
        (1e8, 0, "sgd", 1e-5),
        (1e15, 0, "sgd", 1e-5),
        (1, 1e3, "adam", 1e-2),
        (1, 1e5, "adam", 1e-2),
    ],
    ids=str,
)
def test_batch_norm_of_a_badly_scaled_column(both, scale, shift, solver, rtol):
    X, y = data("numbers")
    y = y[:, 0]
    X[:, 3] = scale * X[:, 3] + shift
    one, other = both(
        "numbers",
        X.astype("float32"),
        y,
        solver=solver,
        batch_norm=True,
        init="he_uniform",
        standardize_target=False,
    )
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=rtol)


@pytest.mark.parametrize("shift", [1e8, 1e10, 1e12])
def test_batch_norm_of_a_column_whose_spread_float32_barely_holds(both, shift):
    X = np.random.default_rng(0).normal(size=(200, 4))
    y = X[:, 1].copy()
    X[:, 0] += shift
    for model in both(
        "numbers",
        X.astype("float32"),
        y,
        batch_norm=True,
        batch_size=200,
        hidden_layer_sizes=(10,),
    ):
        assert np.isfinite(model.loss_curve_).all()
        assert np.all(model.batch_norm_[0]["var"] >= 0)


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
        hidden_layer_sizes=(),
        init=Normal(std=size),
        solver=solver,
        alpha=0.0,
    )
    assert np.abs(one.coefs_[0]).max() > size / 10
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-4)


@every_kind
def test_both_stop_where_the_loss_is_not_finite(use, kind):
    X, y = data(kind)
    for name in ("numba", "numpy"):
        use(name)
        with pytest.raises(ValueError, match="non-finite"):
            fit(kind, 1e200 * X, y, solver="sgd", learning_rate_init=1e10)


# Blocks of batches


@pytest.mark.parametrize(
    "params",
    [{"dropout": 0.4}, {"augment": IMAGE, "alpha": Cosine(start=0.1)}],
    ids=str,
)
@pytest.mark.parametrize("n_batches", [1, 2, 4])
def test_blocks_of_any_number_of_batches_are_the_same_epoch(
    use, monkeypatch, params, n_batches
):
    use("numba")
    X, y = data("classes")
    whole = fit("classes", X, y, **params)
    monkeypatch.setattr(executor, "_BLOCK_SIZE", n_batches * 16 * 12)
    assert_same(whole, fit("classes", X, y, **params), 1e-12)


@pytest.mark.parametrize("params", [{}, {"augment": GaussianNoise()}], ids=str)
def test_data_that_may_not_be_written_to_is_left_alone(use, params):
    for name, order in product(("numba", "numpy"), "CF"):
        use(name)
        X, y = data("classes")
        X = np.array(X, order=order)
        before = X.copy()
        X.flags.writeable = False
        fit("classes", X, y, shuffle=False, **params)
        np.testing.assert_array_equal(X, before)


def test_a_custom_tree(both):
    loss = HierarchicalSoftmax(tree=((0, 1), (2, 3)))
    assert_same(*both("classes", *data("classes"), loss=loss))


def test_lbfgs_reaches_the_same_minimum(both):
    for kind in KINDS:
        X, y = data(kind)
        one, other = both(kind, X, y, solver="lbfgs", max_iter=5, activation="tanh")
        np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-6)
