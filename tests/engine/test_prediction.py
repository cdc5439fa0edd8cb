"""Prediction under noise: the average network, and averages over sampled ones."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes._engine.prediction import Predictor, averaged
from sknn_notes.activations import Identity, Tanh
from sknn_notes.initializers import GlorotUniform
from sknn_notes.layers._base import Fitted
from sknn_notes.noise import GaussianNoise

NOISES = {
    "dropout": {"dropout": [0.3, 0.5]},
    "input dropout": {"input_dropout": 0.2},
    "dropconnect": {"dropconnect": 0.4},
    "all": {"dropout": [0.3, 0.5], "input_dropout": 0.2, "dropconnect": 0.4},
}
DENSE = NOISES | {"gaussian": {"augment": [GaussianNoise(std=0.5)]}}
every_dense = pytest.mark.parametrize("noise", DENSE.values(), ids=DENSE)
every_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
every_scaling = pytest.mark.parametrize(
    "inverted", [True, False], ids=["inverted", "standard"]
)


def make_network(activation=None, dtype=np.float64, **noise):
    activation = activation or Identity()
    for part in noise.get("augment", ()):
        part.start(6, np.random.default_rng(0))
    layers = hidden_layers([6, 8, 7, 3], [activation, activation], **noise)
    network = Network(layers, dtype)
    network.initialize(GlorotUniform(), 0.1, np.random.default_rng(0))
    return network


def make_X(n=50):
    return 1 + np.random.default_rng(1).normal(size=(n, 6))


def predict(network, X, seed=0):
    return Predictor(network, seed).raw(X, network.fitted)


def sample(network, X, n_passes, seed=0, transform=lambda raw: raw):
    networks = [(Predictor(network, seed), network.fitted, transform)]
    return averaged(networks, X, n_passes)


# The average network


@every_dense
@every_scaling
def test_a_linear_network_predicts_the_mean_of_its_training_passes(noise, inverted):
    network, X = make_network(inverted=inverted, **noise), make_X()
    rng, n_passes = np.random.default_rng(3), 4000
    passes = [
        network.forward(X, rng.integers(2**63, size=network.n_random))
        for _ in range(n_passes)
    ]
    mean, standard_error = np.mean(passes, 0), np.std(passes, 0) / np.sqrt(n_passes)
    assert np.all(np.abs(mean - predict(network, X)) < 5 * standard_error)


@every_dense
def test_inverted_dropout_predicts_with_the_weights_as_they_are(noise):
    network, X = make_network(Tanh(), **noise), make_X()
    plain = make_network(Tanh())
    np.testing.assert_array_equal(predict(network, X), predict(plain, X))


def test_standard_dropout_predicts_with_what_is_kept_on_average():
    network = make_network(Tanh(), dropout=[0.5, 0.25], inverted=False)
    (W0, W1, W2), (b0, b1, b2) = network.fitted[:2]
    A = 0.5 * np.tanh(make_X() @ W0 + b0)
    A = 0.75 * np.tanh(A @ W1 + b1)
    np.testing.assert_allclose(predict(network, make_X()), A @ W2 + b2, rtol=1e-12)


def test_standard_dropconnect_predicts_with_the_mean_weights():
    network = make_network(Tanh(), dropconnect=0.25, inverted=False)
    (W0, W1, W2), (b0, b1, b2) = network.fitted[:2]
    A = np.tanh(0.75 * (make_X() @ W0) + b0)
    A = np.tanh(0.75 * (A @ W1) + b1)
    expected = 0.75 * (A @ W2) + b2
    np.testing.assert_allclose(predict(network, make_X()), expected, rtol=1e-12)


# Sampled networks


@every_dense
@every_scaling
def test_on_a_linear_network_both_averages_agree(noise, inverted):
    network, X = make_network(inverted=inverted, **noise), make_X(5)
    mean, spread = sample(network, X, n_passes=4000)
    standard_error = spread / np.sqrt(4000)
    assert np.all(np.abs(mean - predict(network, X)) < 5 * standard_error)


def test_the_spread_is_that_of_a_dropped_input():
    # 1 x 2 is kept and doubled, or dropped: 4 or 0, mean 2 and spread 2.
    network = Network(hidden_layers([1, 1], [], input_dropout=0.5), np.float64)
    network.load(Fitted([np.array([[2.0]])], [np.zeros(1)]))
    mean, spread = sample(network, np.array([[1.0]]), n_passes=4000)
    assert mean[0, 0] == pytest.approx(2, abs=5 * 2 / np.sqrt(4000))
    assert spread[0, 0] == pytest.approx(2, rel=0.01)


def test_a_pass_draws_one_network_for_all_rows():
    network = make_network(Tanh(), **NOISES["all"])
    mean, spread = sample(network, np.tile(make_X(1), (20, 1)), n_passes=3)
    np.testing.assert_allclose(mean, mean[:1] * np.ones((20, 1)), rtol=1e-12)
    np.testing.assert_allclose(spread, spread[:1] * np.ones((20, 1)), rtol=1e-9)


@every_dense
def test_predictions_do_not_depend_on_the_rows_around(noise):
    network, X = make_network(Tanh(), **noise), make_X(10_000)
    mean, spread = sample(network, X, n_passes=3)
    for rows in (slice(2), slice(4094, 4098), slice(9_999, None)):
        alone, alone_spread = sample(network, X[rows], n_passes=3)
        np.testing.assert_allclose(alone, mean[rows], rtol=1e-11)
        np.testing.assert_allclose(alone_spread, spread[rows], rtol=1e-8, atol=1e-12)


@every_dense
def test_passes_repeat_and_their_seed_decides(noise):
    network, X = make_network(Tanh(), **noise), make_X()
    first, again, other = (sample(network, X, 3, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    more, _ = sample(network, X, 4)
    assert np.any(first != more)


@every_noise
def test_sparse_inputs_are_sampled_as_dense_ones(noise):
    network, X = make_network(Tanh(), **noise), make_X()
    X[X < 1] = 0
    for dense, sparse in zip(
        sample(network, X, 3), sample(network, csr_array(X), 3), strict=True
    ):
        np.testing.assert_allclose(sparse, dense, rtol=1e-9, atol=1e-12)


def test_what_is_averaged_is_transformed_before():
    network, X = make_network(Tanh(), dropout=[0.5, 0.5]), make_X()
    mean, _ = sample(network, X, 3, transform=np.exp)
    raw, _ = sample(network, X, 3)
    assert np.all(mean > np.exp(raw))


def test_float32_stays_float32():
    network = make_network(Tanh(), np.float32, **NOISES["all"], inverted=False)
    X = make_X().astype(np.float32)
    assert predict(network, X).dtype == np.float32
    assert {array.dtype for array in sample(network, X, 3)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("noise", [{}, {"dropout": [0.0, 0.0]}])
def test_a_network_without_noise_has_none(noise):
    assert not Predictor(make_network(**noise), 0).has_noise


@every_dense
def test_a_network_with_noise_has_some(noise):
    assert Predictor(make_network(**noise), 0).has_noise
