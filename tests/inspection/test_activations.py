"""Outputs, slopes and gradients of the units, and fractions of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.inspection import ActivationsDisplay


def dense_outputs(model, X):
    """Dense outputs of the hidden layers, by hand, and the raw outputs."""
    found, A = [], X
    activations = [ACTIVATIONS[name]() for name in model.activation]
    for W, b, activation in zip(
        model.coefs_[:-1], model.intercepts_[:-1], activations, strict=True
    ):
        Z = A @ W + b
        A = activation.forward(Z, np)
        found.append((Z, A))
    return found, A @ model.coefs_[-1] + model.intercepts_[-1]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_and_slopes(iris, activation):
    X, y = iris
    params = {"activation": [activation] * 2, "max_iter": 10, "random_state": 0}
    model = MLPClassifier((7, 5), **params)
    display = ActivationsDisplay.from_estimator(model.fit(X, y), X)
    hidden, _ = dense_outputs(model, X)
    part, step = ACTIVATIONS[activation](), 1e-6
    for (Z, A), outputs, slopes in zip(
        hidden, display.outputs, display.slopes, strict=True
    ):
        assert_allclose(outputs, A, atol=1e-14)
        above, below = part.forward(Z + step, np), part.forward(Z - step, np)
        numeric = np.abs(above - below) / (2 * step)
        steepest = {"logistic": 0.25, "gelu": 1.128, "silu": 1.1}.get(activation, 1)
        assert_allclose(slopes, numeric / steepest, rtol=2e-3, atol=1e-6)
    assert display.gradients is None
    assert display.axes_.shape == (1, 2)


@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_are_those_of_every_samples_loss(iris, sparse):
    """Moving the bias of a unit moves its dense output on one sample as much."""
    X, y = iris
    names = np.array(["a", "b", "c"])[y]
    model = MLPClassifier((7, 5), activation=["tanh"] * 2, alpha=0.1, random_state=0)
    model.set_params(max_iter=10).fit(X, names)
    data = csr_array(X) if sparse else X
    display = ActivationsDisplay.from_estimator(model, data, names)
    step = 1e-6
    for layer, unit in [(0, 2), (1, 4)]:
        losses = []
        for sign in (1, -1):
            moved = clone(model)
            vars(moved).update(vars(model))
            moved.intercepts_ = [b.copy() for b in model.intercepts_]
            moved.intercepts_[layer][unit] += sign * step
            losses.append(-moved.predict_log_proba(X)[np.arange(len(y)), y])
        numeric = (losses[0] - losses[1]) / (2 * step)
        assert_allclose(display.gradients[layer][:, unit], numeric, atol=1e-8)
    assert display.axes_.shape == (2, 2)


def test_shares_of_a_constructed_network():
    """Of four ReLU units one is always off, one always on, two on half of the data."""
    X = np.array([[1.0], [2.0], [-1.0], [-2.0]])
    model = MLPRegressor(hidden_layer_sizes=4, max_iter=1, random_state=0)
    model.fit(X, X[:, 0])
    model.coefs_[0][...] = [[1.0, 1.0, 1.0, -1.0]]
    model.intercepts_[0][...] = [-10, 10, 0, 0]
    display = ActivationsDisplay.from_estimator(model, X, X[:, 0])
    assert_array_equal(display.dead_fractions, [1 / 4])
    assert_array_equal(display.saturated_fractions, [(4 + 0 + 2 + 2) / 16])
    assert not display.gradients[0][:, 0].any()
    assert display.axes_[0, 0].get_title() == "layer 1\n50% saturated, 25% dead"


@pytest.mark.parametrize(
    ("activation", "dead"),
    [("relu", 1.0), ("leaky_relu", 0.0), ("tanh", 1.0), ("identity", 0.0)],
)
def test_which_units_count_as_dead(activation, dead):
    X = np.linspace(1, 2, 10)[:, None]
    model = MLPRegressor(hidden_layer_sizes=3, activation=activation, max_iter=1)
    model.fit(X, X[:, 0])
    model.coefs_[0][...] = -10
    display = ActivationsDisplay.from_estimator(model, X, X[:, 0])
    assert display.dead_fractions == [dead]


def test_batch_norm_normalises_over_the_data(iris):
    X, y = iris
    model = MLPClassifier(6, activation="identity", batch_norm=True, max_iter=5)
    display = ActivationsDisplay.from_estimator(model.fit(X, y), X, y)
    fitted = model.batch_norm_[0]
    assert_allclose(display.outputs[0].mean(axis=0), fitted["shift"], atol=1e-12)
    assert_allclose(display.outputs[0].std(axis=0), np.abs(fitted["scale"]), rtol=1e-3)


def test_pipelines_and_a_part_of_the_classes(iris):
    X, y = iris
    model = make_pipeline(Standardizer(), MLPClassifier(6, max_iter=5)).fit(9 * X, y)
    display = ActivationsDisplay.from_estimator(model, 9 * X[y > 0], y[y > 0])
    scaled = model[:-1].transform(9 * X[y > 0])
    Z = scaled @ model[-1].coefs_[0] + model[-1].intercepts_[0]
    assert_allclose(display.outputs[0], np.maximum(Z, 0), atol=1e-12)


def test_a_linear_model_has_no_activations(iris):
    model = MLPClassifier((), max_iter=2).fit(*iris)
    with pytest.raises(ValueError, match="no hidden layers"):
        ActivationsDisplay.from_estimator(model, iris[0])
