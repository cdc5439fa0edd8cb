"""Limits of floating point: finite results or errors, never numpy's warnings."""

import numpy as np
import pytest

from sknn_notes import MLPClassifier, MLPRegressor, _kernels
from sknn_notes.initializers import LSUV, Normal, Orthogonal, Sparse
from sknn_notes.losses import HierarchicalSoftmax


@pytest.fixture(params=_kernels.available(), autouse=True)
def kernels(request, monkeypatch):
    """One kernel set, in use."""
    monkeypatch.setenv("SKNN_NOTES_KERNELS", request.param)
    _kernels.active.cache_clear()
    yield request.param
    _kernels.active.cache_clear()


def normal(n=60, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 5))


def network(cls=MLPRegressor, **parameters):
    defaults = {"hidden_layer_sizes": 10, "random_state": 0, "max_iter": 3}
    return cls(**(defaults | parameters))


def assert_same(model, other, rtol=1e-9):
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, rtol=rtol)
    for ours, theirs in zip(model.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


# Initial weights


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [("float64", 1e200), ("float64", 1e300), ("float32", 1e30), ("float32", 1e-15)],
)
def test_lsuv_scales_inputs_of_any_size(dtype, scale):
    X = normal().astype(dtype)
    options = {"init": "lsuv", "penalty": None, "batch_size": 60, "max_iter": 1}
    plain = network(**options).fit(X, X[:, 0])
    scaled = network(**options).fit(X * np.dtype(dtype).type(scale), X[:, 0])
    np.testing.assert_allclose(scaled.loss_curve_[0], plain.loss_curve_[0], rtol=1e-5)


def test_lsuv_leaves_layers_alone_whose_outputs_do_not_vary():
    assert LSUV().scale(np.zeros((4, 2))) == 1
    assert LSUV().scale(np.full((4, 2), 1e300)) == 1
    assert LSUV().scale(np.full((4, 2), 0.1)) == 1


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (Normal(std=1e155), r"'std' parameter of Normal must be .* \(0.0, 1e\+150\]"),
        (Normal(std=3e38), r"init=Normal\(std=3e\+38\).*not finite in float32"),
        (Sparse(std=1e40), "'std' parameter of Sparse is 1e.40, which float32"),
        (
            Orthogonal(gain=1e39),
            "'gain' parameter of Orthogonal is 1e.39, which float32",
        ),
    ],
    ids=str,
)
def test_initial_weights_too_large_for_the_type(init, message):
    X = normal()
    with pytest.raises(ValueError, match=message):
        network(init=init, dtype="float32").fit(X, X[:, 0])


def test_initial_biases_too_large_for_the_type():
    X = normal()
    with pytest.raises(ValueError, match=r"'bias_init' .* is 1e.300, which float32"):
        network(bias_init=1e300, dtype="float32").fit(X, X[:, 0])


# Weights of samples: in fit only their ratios count


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-300, 1e155, 1e300, 1.7e308])
def test_sample_weights_of_any_size(dtype, size):
    X, weight = normal(), np.random.default_rng(1).uniform(0.5, 1, size=60)
    model = network(dtype=dtype).fit(X, X[:, 0], weight)
    large = network(dtype=dtype).fit(X, X[:, 0], size * weight)
    assert_same(large, model, rtol=1e-4 if dtype == "float32" else 1e-9)


@pytest.mark.parametrize(
    "class_weight", [{0: 1e200, 1: 2e200}, {0: 0.8e308, 1: 1.6e308}, "balanced"]
)
@pytest.mark.parametrize("size", [1, 1e200, 1.7e308])
@pytest.mark.parametrize("loss", ["log_loss", HierarchicalSoftmax(tree="huffman")])
def test_class_weights_times_sample_weights(class_weight, size, loss):
    X = normal()
    y = (X[:, 0] > 0.5).astype(int)
    small = "balanced" if class_weight == "balanced" else {0: 1, 1: 2}
    weight = np.random.default_rng(1).uniform(0.5, 1, size=60)
    options = {"loss": loss, "early_stopping": True}
    model = network(MLPClassifier, class_weight=small, **options)
    model.fit(X, y, weight)
    large = network(MLPClassifier, class_weight=class_weight, **options)
    large.fit(X, y, size * weight)
    assert_same(large, model)
    np.testing.assert_allclose(
        large.validation_loss_curve_, model.validation_loss_curve_
    )


@pytest.mark.parametrize("size", [1e200, 1e308])
def test_weights_of_given_validation_samples(size):
    X, weight = normal(), np.random.default_rng(1).uniform(0.5, 1, size=60)
    curves = [
        network(early_stopping=True)
        .fit(X, X[:, 0], X_val=X, y_val=X[:, 0], sample_weight_val=scale * weight)
        .validation_loss_curve_
        for scale in (1, size)
    ]
    np.testing.assert_allclose(*curves)


@pytest.mark.parametrize(
    ("dtype", "class_weight", "size"),
    [
        ("float32", None, 1e300),
        ("float32", {0: 1e30, 1: 1}, 1e30),
        ("float64", {0: 1e200, 1: 1}, 1e200),
    ],
)
def test_weights_too_large_for_partial_fit(dtype, class_weight, size):
    X = normal()
    model = network(MLPClassifier, dtype=dtype, class_weight=class_weight)
    with pytest.raises(ValueError, match=f"too large for {dtype}.*divide sample_weig"):
        model.partial_fit(X, X[:, 0] > 0, np.full(60, size), classes=[False, True])


# Inputs


@pytest.mark.parametrize("size", [1e39, 1e155, 1e300])
def test_inputs_too_large_for_the_type(size):
    X = normal()
    model = network(dtype="float32")
    with pytest.raises(ValueError, match=r"too large for dtype.'float32'"):
        model.fit(size * X, X[:, 0])
    model.fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"too large for dtype.'float32'"):
        model.predict(size * X)


@pytest.mark.parametrize("size", [1e-50, 1e-155, 1e-300])
def test_inputs_that_vanish_in_the_type_are_zeros(size):
    X = normal()
    with np.errstate(all="raise"):
        model = network(dtype="float32").fit(size * X, X[:, 0])
        np.testing.assert_array_equal(model.predict(size * X), model.predict(0 * X))


# Predictions


def methods(model):
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(model, name):
            yield getattr(model, name)


TASKS = {
    "numbers": (MLPRegressor, {}),
    "counts": (MLPRegressor, {"loss": "poisson"}),
    "two classes": (MLPClassifier, {}),
    "classes": (MLPClassifier, {}),
    "hinge": (MLPClassifier, {"loss": "hinge"}),
    "tree": (MLPClassifier, {"loss": "hierarchical_softmax"}),
}


def fitted(task, **parameters):
    cls, own = TASKS[task]
    X = normal()
    y = np.digitize(X[:, 0], [0] if task == "two classes" else [-0.5, 0.5])
    return network(cls, **own, **parameters).fit(X, y), X


OF_ANY_SIZE = [task for task in TASKS if task != "counts"]
every_marginalization = pytest.mark.parametrize(
    "marginalization", ["analytic", "monte_carlo"]
)


@pytest.mark.parametrize("task", OF_ANY_SIZE)
@pytest.mark.parametrize("size", [1e200, 1e250, 1e300])
def test_predictions_that_overflow_are_an_error(task, size):
    model, X = fitted(task)
    X[7:9] = size
    for W in model.coefs_:
        W *= 1e100
    for predict in methods(model):
        with pytest.raises(ValueError, match=r"2 of 60 samples.*row 7 of X.*float64"):
            predict(X)
        assert np.isfinite(predict(X[:7])).all()


@every_marginalization
def test_means_that_overflow_are_an_error(marginalization):
    model, X = fitted("counts", dropout=0.5, marginalization=marginalization)
    model.coefs_[-1][...] = 0
    for log_mean in (705.0, -1000.0):
        model.intercepts_[-1][...] = log_mean
        np.testing.assert_allclose(model.predict(X), np.exp(log_mean), rtol=1e-12)
    for log_mean in (720.0, 1e10, 1e300):
        model.intercepts_[-1][...] = log_mean
        with pytest.raises(ValueError, match=r"60 of 60 samples.*row 0 of X.*float64"):
            model.predict(X)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("task", OF_ANY_SIZE)
@every_marginalization
@pytest.mark.parametrize("size", [1e3, 1e100, 1e200])
def test_predictions_of_huge_networks_are_finite(task, marginalization, size):
    model, X = fitted(task, dropout=0.5, marginalization=marginalization)
    model.coefs_[-1] *= size
    for predict in methods(model):
        assert np.isfinite(predict(X)).all()
    assert np.isfinite(model.predict_spread(X)).all()


def test_the_spread_is_in_proportion():
    model, X = fitted("numbers", dropout=0.5)
    model.intercepts_[-1] *= 0
    spread = model.predict_spread(X)
    model.coefs_[-1] *= 2.0**900
    np.testing.assert_allclose(model.predict_spread(X), 2.0**900 * spread)


# Callers who want to be told of everything


@pytest.mark.parametrize(
    ("cls", "parameters"),
    [
        (MLPClassifier, {"loss": "hierarchical_softmax"}),
        (MLPClassifier, {"loss": "hierarchical_softmax", "solver": "rmsprop"}),
        (MLPClassifier, {"batch_norm": True, "dropout": 0.5}),
        (MLPClassifier, {"activation": "tanh", "early_stopping": True}),
        (MLPClassifier, {"activation": "gelu"}),
        (MLPClassifier, {"dropout": 0.5, "marginalization": "monte_carlo"}),
        (MLPClassifier, {"activation": "elu", "solver": "lbfgs"}),
        (MLPClassifier, {"class_weight": "balanced", "dtype": "float32"}),
        (MLPRegressor, {"loss": "poisson", "input_dropout": 0.5}),
        (MLPRegressor, {"init": "lsuv", "penalty": "l1"}),
    ],
    ids=str,
)
def test_nothing_raises_where_floating_point_errors_do(cls, parameters):
    X, weight = normal(), np.full(60, 1e-300)
    X[::3] *= 100
    X[1::3] *= 0.01
    y = np.arange(60) % 5
    plain = network(cls, **parameters).fit(X, y, weight)
    with np.errstate(all="raise"):
        model = network(cls, **parameters).fit(X, y, weight)
        assert_same(model, plain, rtol=0)
        for predict in methods(model):
            assert np.isfinite(predict(X)).all()
