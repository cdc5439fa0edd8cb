"""The network: one vector, its layers' passes, and prediction."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes._engine.prediction import Predictor
from sknn_notes.activations import ACTIVATIONS, ELU, Logistic, ReLU, Tanh
from sknn_notes.embeddings import Periodic
from sknn_notes.initializers import GlorotUniform
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.layers._activate import Activate
from sknn_notes.layers._base import Fitted
from sknn_notes.layers._batch_norm import BatchNormLayer
from sknn_notes.layers._dense import Dense
from sknn_notes.layers._feature_scaling import FeatureScaling
from sknn_notes.layers._layer_norm import LayerNormLayer
from sknn_notes.layers._residual import Fork, Join
from sknn_notes.noise import GaussianNoise

every_layout = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


def make_network(activations=None, dtype=np.float64, **options):
    activations = activations or [Tanh(), ReLU()]
    units = [6, *[5] * len(activations), 3]
    network = Network(hidden_layers(units, activations, **options), dtype)
    network.initialize(GlorotUniform(), 0.1, np.random.default_rng(0))
    return network


def make_X(n=40, dtype=np.float64):
    X = np.random.default_rng(1).normal(size=(n, 6))
    return np.where(X > -0.5, X, 0).astype(dtype)


def keys(network, seed=0):
    return np.random.default_rng(seed).integers(2**63, size=network.n_random)


def predict(network, X):
    return Predictor(network, seed=0).raw(X, network.fitted)


# One vector


def test_theta_holds_all_weights_then_all_biases():
    network = Network(hidden_layers([2, 3, 1], [Tanh()]), np.float64)
    network.theta[:] = np.arange(13)
    first, second = network.fitted.coefs
    np.testing.assert_array_equal(first, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(second, [[6], [7], [8]])
    np.testing.assert_array_equal(network.fitted.intercepts[0], [9, 10, 11])
    np.testing.assert_array_equal(network.fitted.intercepts[1], [12])
    assert network.shapes == [(2, 3), (3, 1)]


def test_layers_share_memory_with_the_vectors():
    network = make_network(batch_norm=BatchNorm(), residual=True)
    names = set()
    for p, g in zip(network.p, network.g, strict=True):
        for name, array in p.items():
            names.add(name)
            running = name in ("mean", "var")
            vector = network.running if running else network.theta
            assert np.shares_memory(array, vector)
            assert running or np.shares_memory(g[name], network.grad)
    assert names == {"W", "b", "scale", "shift", "mean", "var"}


def test_vectors_that_are_replaced_are_bound_again():
    network = make_network()
    network.theta = np.arange(float(len(network.theta)))
    network.bind()
    np.testing.assert_array_equal(network.fitted.coefs[0].ravel(), np.arange(30))


def test_loading_copies():
    options = {"batch_norm": BatchNorm(), "layer_norm": LayerNorm(), "residual": True}
    network, other = make_network(**options), make_network(**options)
    network.running[:] = np.arange(len(network.running))
    other.theta[:] = 0
    other.load(network.fitted)
    np.testing.assert_array_equal(other.theta, network.theta)
    np.testing.assert_array_equal(other.running, network.running)
    assert not np.shares_memory(other.theta, network.theta)


def test_what_estimators_show_has_zeros_for_biases_that_a_norm_replaces():
    fitted = make_network(batch_norm=BatchNorm()).fitted
    np.testing.assert_array_equal(fitted.intercepts[0], np.zeros(5))
    np.testing.assert_array_equal(fitted.intercepts[2], np.full(3, 0.1))
    assert [set(norm) for norm in fitted.batch_norms] == 2 * [
        {"scale", "shift", "mean", "var"}
    ]
    assert fitted.layer_norms is fitted.residuals is None
    fitted = make_network(layer_norm=LayerNorm(), residual=True).fitted
    assert [set(norm) for norm in fitted.layer_norms] == 2 * [{"scale", "shift"}]
    assert fitted.residuals[0].shape == (6, 5)
    assert fitted.residuals[1] is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [{}, {"dropconnect": 0.2, "batch_norm": BatchNorm()}, {"residual": True}],
    ids=str,
)
def test_everything_has_the_networks_type(dtype, options):
    network = make_network(
        dtype=dtype, dropout=[0.5, 0.5], input_dropout=0.2, **options
    )
    raw = network.forward(make_X(dtype=dtype), keys(network))
    seen = []
    network.backward(np.ones_like(raw), seen)
    network.update_running()
    arrays = [network.theta, network.grad, network.running, raw, *seen]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert predict(network, make_X(dtype=dtype)).dtype == dtype


class Depths(GlorotUniform):
    """An initializer that keeps the number of hidden layers that it is told."""

    def start(self, n_hidden_layers):
        self.n_hidden_layers_ = n_hidden_layers


@pytest.mark.parametrize("n_hidden", [0, 1, 3])
def test_layers_and_initializers_know_the_depth(n_hidden):
    activations = [Tanh()] * n_hidden
    layers = hidden_layers([4] * (n_hidden + 2), activations, input_dropout=0.1)
    network, init = Network(layers, np.float64), Depths()
    network.initialize(init, 0.0, np.random.default_rng(0))
    assert init.n_hidden_layers_ == n_hidden
    inner = [depth for depth in range(n_hidden) for _ in ("dense", "activation")]
    assert [layer.depth for layer in layers] == [0, *inner, n_hidden]


def test_layers_know_their_widths():
    embedding = Periodic(n_frequencies=2, n_units=2)
    embedding.start(np.zeros((1, 2)))
    options = {"dropout": [0.25], "batch_norm": BatchNorm(), "layer_norm": LayerNorm()}
    inputs = {"embedding": embedding, "feature_scaling": True, "input_dropout": 0.1}
    network = make_network([Tanh()], **options, **inputs, residual=True)
    widths = [layer.n_outputs for layer in network.layers]
    assert widths == [6, 6, 6, *[5] * 7, 3]


def test_layers_have_the_titles_that_a_summary_shows():
    embedding = Periodic(n_frequencies=2)
    embedding.start(np.zeros((1, 2)))
    options = {"dropout": [0.25], "dropconnect": 0.5, "inverted": False}
    norms = {"batch_norm": BatchNorm(momentum=0.2), "layer_norm": LayerNorm()}
    inputs = {"embedding": embedding, "feature_scaling": True}
    network = make_network([Tanh()], **options, **norms, **inputs, residual=True)
    assert [layer.title for layer in network.layers] == [
        "Periodic(n_frequencies=2)",
        "FeatureScaling()",
        "",
        "Dense(dropconnect=0.5)",
        "BatchNorm(momentum=0.2)",
        "LayerNorm()",
        "Tanh()",
        "Dropout(0.25)",
        "Residual()",
        "Dense(dropconnect=0.5)",
    ]


def test_bounds_by_hand():
    """The largest outputs for inputs up to 2 and parameters up to 3."""
    square, other = Fork(0, 4, 4), Fork(0, 4, 5)
    assert [fork.bound({}, 2.0, 3.0) for fork in (square, other)] == [2, 2]
    norm = BatchNormLayer(BatchNorm(eps=0.25), 2, 0)
    averages = {"mean": np.array([-4.0, 1.0]), "var": np.array([9.0, 3.75])}
    for layer, p, expected in [
        (Dense(4, 5, 0), {}, (4 * 2 + 1) * 3),
        (norm, averages, 3 * ((2 + 4) / 2 + 1)),
        (LayerNormLayer(LayerNorm(), 9, 0), {}, 3 * (3 + 1)),
        (FeatureScaling(2), {"factors": np.array([-5.0, 1.0])}, 2 * 5),
        (Join(square), {}, 2 + 2),
        (Join(other), {"W": np.ones((4, 5))}, 2 + 4 * 2 * 3),
        (Activate(Tanh(), 0, 4), {}, 2),
        (Activate(ELU(alpha=5.0), 0, 4), {}, -5 * np.expm1(-2.0)),
    ]:
        assert layer.bound(p, 2.0, 3.0) == expected, layer
    assert Activate(Tanh(), 0, 4).bound({}, 0.5, 3.0) == 1


def test_the_inputs_are_those_before_an_embedding():
    embedding = Periodic(n_frequencies=2)
    embedding.start(np.zeros((1, 4)))
    for options, expected in [({}, 6), ({"embedding": embedding}, 4)]:
        network = make_network(augment=[GaussianNoise()], **options)
        assert network.n_inputs == network.layers[0].n_inputs == expected


def test_averages_of_all_the_data_are_those_of_the_last_pass():
    network, X = make_network([Tanh()], batch_norm=BatchNorm()), make_X()
    network.forward(X)
    network.set_running()
    (norm,) = network.fitted.batch_norms
    Z = X @ network.fitted.coefs[0]
    np.testing.assert_allclose(norm["mean"], Z.mean(axis=0), atol=1e-15)
    np.testing.assert_allclose(norm["var"], Z.var(axis=0))


# Forward and backward


@every_layout
def test_forward_is_the_formula(sparse):
    network, X = make_network([Tanh(), Logistic()]), make_X()
    (W0, W1, W2), (b0, b1, b2) = network.fitted[:2]
    A = np.tanh(X @ W0 + b0)
    A = 1 / (1 + np.exp(-(A @ W1 + b1)))
    raw = network.forward(csr_array(X) if sparse else X)
    np.testing.assert_allclose(raw, A @ W2 + b2, rtol=1e-12)


@every_layout
def test_residual_connections_are_the_formula(sparse):
    network, X = make_network([Tanh(), Logistic()], residual=True), make_X()
    (W0, W1, W2), (b0, b1, b2) = network.fitted[:2]
    R, _ = network.fitted.residuals
    A = np.tanh(X @ W0 + b0) + X @ R
    A = 1 / (1 + np.exp(-(A @ W1 + b1))) + A
    inputs = csr_array(X) if sparse else X
    np.testing.assert_allclose(network.forward(inputs), A @ W2 + b2, rtol=1e-12)
    np.testing.assert_allclose(predict(network, inputs), A @ W2 + b2, rtol=1e-12)


def test_layer_norm_is_the_formula_in_training_and_prediction():
    network, X = make_network([Tanh()], layer_norm=LayerNorm(eps=0.1)), make_X()
    (W0, W1), (_, b1) = network.fitted[:2]
    (norm,) = network.fitted.layer_norms
    norm["scale"][:], norm["shift"][:] = np.arange(5) + 1, np.linspace(-1, 1, 5)
    Z = X @ W0
    Z = (Z - Z.mean(axis=1, keepdims=True)) / np.sqrt(
        Z.var(axis=1, keepdims=True) + 0.1
    )
    raw = np.tanh(Z * norm["scale"] + norm["shift"]) @ W1 + b1
    np.testing.assert_allclose(network.forward(X), raw, rtol=1e-12)
    np.testing.assert_allclose(predict(network, X), raw, rtol=1e-12)


@every_layout
@pytest.mark.parametrize("n", [1, 2, 39, 40])
@pytest.mark.parametrize("residual", [False, True])
def test_a_batch_leaves_nothing_to_the_next(sparse, n, residual):
    options = {"dropout": [0.5, 0.0], "input_dropout": 0.2, "residual": residual}
    network, fresh = make_network(**options), make_network(**options)
    X = make_X()
    raw = network.forward(X)
    network.backward(np.full_like(raw, 7))
    for net in (network, fresh):
        raw = net.forward(csr_array(X[:n]) if sparse else X[:n], keys(net))
        assert raw.shape == (n, 3)
        net.backward(raw.copy())
    np.testing.assert_allclose(network.grad, fresh.grad, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("residual", [False, True])
def test_the_inputs_are_never_changed(residual):
    network = make_network(dropout=[0.5, 0.5], input_dropout=0.5, residual=residual)
    X = make_X()
    for inputs in (X.copy(), csr_array(X)):
        raw = network.forward(inputs, keys(network))
        network.backward(np.ones_like(raw))
        after = inputs if isinstance(inputs, np.ndarray) else inputs.toarray()
        np.testing.assert_array_equal(after, X)


@every_layout
def test_input_dropout_drops_or_scales_up_inputs(sparse):
    network = Network(hidden_layers([6, 6], [], input_dropout=0.75), np.float64)
    network.load(Fitted([np.eye(6)], [np.zeros(6)]))
    X = 1 + make_X(2000) ** 2
    raw = network.forward(csr_array(X) if sparse else X, keys(network))
    kept = raw != 0
    assert abs(kept.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / kept.size)
    np.testing.assert_allclose(raw[kept], 4 * X[kept])
    np.testing.assert_allclose(network.forward(X), X)


def test_sparse_inputs_are_dropped_as_dense_ones():
    network, X = make_network(input_dropout=0.5), make_X()
    dense, sparse = (network.forward(A, keys(network)) for A in (X, csr_array(X)))
    np.testing.assert_allclose(sparse, dense, rtol=1e-12, atol=1e-14)


def test_the_output_layer_drops_nothing():
    network = make_network(dropout=[0.0, 0.0])
    assert network.n_random == 0
    np.testing.assert_array_equal(
        network.forward(make_X(), keys(network)), network.forward(make_X())
    )


@pytest.mark.parametrize(
    ("options", "n_keys"),
    [
        ({"dropout": [0.5, 0.5]}, 2),
        ({"dropout": [0.5, 0.0], "input_dropout": 0.1}, 2),
        ({"dropconnect": 0.5}, 3),
    ],
    ids=str,
)
def test_noise_is_told_by_the_keys_alone(options, n_keys):
    network, X = make_network(**options), make_X()
    assert network.n_random == n_keys
    first, again, other = (network.forward(X, keys(network, i)) for i in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_several_models_at_once_are_each_alone():
    """Definitions take a leading axis of models."""
    options = {"batch_norm": BatchNorm(), "residual": True, "layer_norm": LayerNorm()}
    network, X = make_network(**options), make_X()
    rng = np.random.default_rng(2)
    thetas = network.theta + rng.normal(size=(4, len(network.theta)))
    delta = rng.normal(size=(4, 40, 3))
    grads, raws, averages = [], [], []
    for theta, own in zip(thetas, delta, strict=True):
        network.theta[:], network.running[:] = theta, 1
        raws.append(network.forward(X))
        network.backward(own.copy())
        network.update_running()
        grads.append(network.grad.copy())
        averages.append(network.running.copy())
    network.theta, network.grad = thetas, np.zeros_like(thetas)
    network.running = np.ones((4, len(network.running)))
    network.bind()
    np.testing.assert_allclose(network.forward(X[None]), raws, rtol=1e-11)
    network.backward(delta.copy())
    network.update_running()
    np.testing.assert_allclose(network.grad, grads, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(network.running, averages, rtol=1e-11)


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
@pytest.mark.parametrize("residual", [False, True])
def test_many_rows_are_predicted_like_few(sparse, residual):
    network, X = make_network(residual=residual), make_X(10_000)
    X = csr_array(X) if sparse else X
    raw = predict(network, X)
    assert raw.shape == (10_000, 3)
    for rows in (slice(3), slice(4090, 4100), slice(9995, None)):
        np.testing.assert_allclose(raw[rows], predict(network, X[rows]), rtol=1e-11)
