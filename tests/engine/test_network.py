"""The network: one vector, batches of any size, and prediction."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes._engine.network import Network
from sknn_notes._engine.prediction import Predictor
from sknn_notes.activations import ACTIVATIONS, Logistic, ReLU, Tanh
from sknn_notes.initializers import GlorotUniform

every_layout = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


def make_network(activations=None, dtype=np.float64, capacity=40, **noise):
    activations = activations or [Tanh(), ReLU()]
    network = Network([6, *[5] * len(activations), 3], activations, dtype, **noise)
    network.initialize(GlorotUniform(), 0.1, np.random.default_rng(0))
    network.allocate(capacity)
    return network


def make_X(n=40, dtype=np.float64):
    X = np.random.default_rng(1).normal(size=(n, 6))
    return np.where(X > -0.5, X, 0).astype(dtype)


def generator(seed=0):
    return np.random.Generator(np.random.SFC64(seed))


def predict(network, X):
    return Predictor(network, None, seed=0).raw(X, network.coefs, network.intercepts)


# One vector


def test_theta_holds_all_weights_then_all_biases():
    network = Network([2, 3, 1], [Tanh()], np.float64)
    network.theta[:] = np.arange(13)
    first, second = network.coefs
    np.testing.assert_array_equal(first, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(second, [[6], [7], [8]])
    np.testing.assert_array_equal(network.intercepts[0], [9, 10, 11])
    np.testing.assert_array_equal(network.intercepts[1], [12])
    assert network.n_weights == 9


def test_layers_share_memory_with_the_vectors():
    network = make_network()
    for layer, W, b in zip(
        network.layers, network.coefs, network.intercepts, strict=True
    ):
        assert layer.W is W
        assert layer.b is b
        assert np.shares_memory(W, network.theta)
        assert np.shares_memory(b, network.theta)
        assert np.shares_memory(layer.dW, network.grad)
        assert np.shares_memory(layer.db, network.grad)


def test_loading_copies():
    network, other = make_network(), make_network()
    other.theta[:] = 0
    other.load(network.coefs, network.intercepts)
    np.testing.assert_array_equal(other.theta, network.theta)
    assert not np.shares_memory(other.theta, network.theta)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_has_the_networks_type(dtype):
    network = make_network(dtype=dtype, dropout=[0.5, 0.5], input_dropout=0.2)
    raw = network.forward(make_X(dtype=dtype), generator())
    network.delta[:] = 1
    network.backward()
    arrays = [network.theta, network.grad, raw, network.delta]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert predict(network, make_X(dtype=dtype)).dtype == dtype


# Forward and backward


@every_layout
def test_forward_is_the_formula(sparse):
    network, X = make_network([Tanh(), Logistic()]), make_X()
    (W0, W1, W2), (b0, b1, b2) = network.coefs, network.intercepts
    A = np.tanh(X @ W0 + b0)
    A = 1 / (1 + np.exp(-(A @ W1 + b1)))
    raw = network.forward(csr_array(X) if sparse else X)
    np.testing.assert_allclose(raw, A @ W2 + b2, rtol=1e-12)


@every_layout
@pytest.mark.parametrize("n", [1, 2, 39, 40])
def test_a_short_batch_uses_the_buffers_of_a_long_one(sparse, n):
    network = make_network(dropout=[0.5, 0.0], input_dropout=0.2)
    X = make_X()
    network.forward(X)
    network.delta[:] = 7
    network.backward()
    fresh = make_network(capacity=n, dropout=[0.5, 0.0], input_dropout=0.2)
    for net in (network, fresh):
        raw = net.forward(csr_array(X[:n]) if sparse else X[:n], generator())
        assert raw.shape == net.delta.shape == (n, 3)
        net.delta[...] = raw
        net.backward()
    np.testing.assert_allclose(network.grad, fresh.grad, rtol=1e-13, atol=1e-15)


def test_the_inputs_are_never_changed():
    network, X = make_network(dropout=[0.5, 0.5], input_dropout=0.5), make_X()
    for inputs in (X.copy(), csr_array(X)):
        network.forward(inputs, generator())
        network.delta[:] = 1
        network.backward()
        after = inputs if isinstance(inputs, np.ndarray) else inputs.toarray()
        np.testing.assert_array_equal(after, X)


@every_layout
def test_input_dropout_drops_or_scales_up_inputs(sparse):
    network = Network([6, 6], [], np.float64, input_dropout=0.75)
    network.load([np.eye(6)], [np.zeros(6)])
    network.allocate(2000)
    X = 1 + make_X(2000) ** 2
    raw = network.forward(csr_array(X) if sparse else X, generator())
    kept = raw != 0
    assert abs(kept.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / kept.size)
    np.testing.assert_allclose(raw[kept], 4 * X[kept])
    np.testing.assert_allclose(network.forward(X), X)


def test_the_output_layer_drops_nothing():
    network = make_network(dropout=[0.0, 0.0])
    np.testing.assert_array_equal(
        network.forward(make_X(), generator()).copy(), network.forward(make_X())
    )


def test_noise_is_drawn_from_the_generator_alone():
    network, X = make_network(dropout=[0.5, 0.5]), make_X()
    first, again, other = (
        network.forward(X, generator(seed)).copy() for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


# Prediction


@every_layout
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_prediction_is_the_forward_pass_without_noise(sparse, activation):
    network = make_network(
        [activation(), activation()], dropout=[0.5, 0.5], input_dropout=0.5
    )
    X = csr_array(make_X()) if sparse else make_X()
    raw = predict(network, X)
    np.testing.assert_allclose(raw, network.forward(X), rtol=1e-12, atol=1e-14)


@every_layout
def test_many_rows_are_predicted_like_few(sparse):
    network, X = make_network(), make_X(10_000)
    X = csr_array(X) if sparse else X
    raw = predict(network, X)
    assert raw.shape == (10_000, 3)
    for rows in (slice(3), slice(4090, 4100), slice(9995, None)):
        np.testing.assert_allclose(raw[rows], predict(network, X[rows]), rtol=1e-11)
