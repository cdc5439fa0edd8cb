"""Initializers: the variance of a weight, and a signal through ten layers."""

from math import pi

import numpy as np
import pytest
from scipy import stats
from scipy.stats import kstest

from sknn_notes import MLPClassifier
from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes.activations import ACTIVATIONS, Identity, ReLU, Tanh
from sknn_notes.initializers import (
    INITIALIZERS,
    LSUV,
    HeUniform,
    Initializer,
    Normal,
    Orthogonal,
    Sparse,
    Uniform,
)

FAN_IN, FAN_OUT = 300, 200

# Variance of a weight and its distribution.
RULES = {
    "glorot_normal": (2 / (FAN_IN + FAN_OUT), "normal"),
    "glorot_uniform": (2 / (FAN_IN + FAN_OUT), "uniform"),
    "he_normal": (2 / FAN_IN, "normal"),
    "he_uniform": (2 / FAN_IN, "uniform"),
    "lecun_normal": (1 / FAN_IN, "normal"),
    "lecun_uniform": (1 / FAN_IN, "uniform"),
    "normal": (1e-4, "normal"),
    "uniform": (1e-4, "uniform"),
}
every_initializer = pytest.mark.parametrize(
    "initializer", INITIALIZERS.values(), ids=INITIALIZERS
)
every_rule = pytest.mark.parametrize("name", RULES)


def draw(initializer, activation=None, shape=(FAN_IN, FAN_OUT), seed=0):
    activation = activation or Tanh()
    return initializer.draw(*shape, activation, np.random.default_rng(seed))


def make_network(units, activations, dtype=np.float64):
    return Network(hidden_layers(units, activations), dtype)


# Contract of all initializers


@every_initializer
def test_weights_have_the_shape_of_the_layer_in_float64(initializer):
    W = draw(initializer(), shape=(7, 5))
    assert W.shape == (7, 5)
    assert W.dtype == np.float64
    assert np.isfinite(W).all()


@every_initializer
def test_the_generator_decides(initializer):
    first, again, other = (draw(initializer(), seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (not first.any())


@every_initializer
def test_both_types_start_from_the_same_weights(initializer):
    wide, narrow = (
        make_network([20, 30, 3], [ReLU()], dtype) for dtype in (np.float64, np.float32)
    )
    for network in (wide, narrow):
        network.initialize(initializer(), 0.25, np.random.default_rng(0))
    np.testing.assert_array_equal(narrow.theta, wide.theta.astype(np.float32))
    for b in wide.fitted.intercepts:
        np.testing.assert_array_equal(b, 0.25)


@every_initializer
def test_layers_of_a_network_differ(initializer):
    network = make_network([20, 20, 20], [ReLU()])
    network.initialize(initializer(), 0.0, np.random.default_rng(0))
    first, second = network.fitted.coefs
    assert np.array_equal(first, second) == (not first.any())


# Variance and distribution of the weights


@every_rule
def test_variance(name):
    variance, distribution = RULES[name]
    W = draw(INITIALIZERS[name]())
    # The fourth moment, in units of the variance squared.
    kurtosis = 3 if distribution == "normal" else 9 / 5
    standard_error = variance * np.sqrt((kurtosis - 1) / W.size)
    assert abs(np.mean(W**2) - variance) < 4 * standard_error


@every_rule
def test_mean_of_zero(name):
    variance, _ = RULES[name]
    W = draw(INITIALIZERS[name]())
    assert abs(W.mean()) < 4 * np.sqrt(variance / W.size)


@every_rule
def test_distribution(name):
    variance, distribution = RULES[name]
    if distribution == "normal":
        cdf = stats.norm(0, np.sqrt(variance)).cdf
    else:
        bound = np.sqrt(3 * variance)
        cdf = stats.uniform(-bound, 2 * bound).cdf
    assert stats.kstest(draw(INITIALIZERS[name]()).ravel(), cdf).pvalue > 1e-3


@pytest.mark.parametrize("cls", [Normal, Uniform])
def test_small_weights_take_their_standard_deviation(cls):
    W = draw(cls(std=0.5))
    assert W.std() == pytest.approx(0.5, rel=0.02)


def test_zeros():
    assert not draw(INITIALIZERS["zeros"]()).any()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("n_hidden_layers", [1, 19, 20, 50])
def test_auto_is_he_in_very_deep_networks_of_the_relu_family(name, n_hidden_layers):
    rectifies = name in {"elu", "gelu", "leaky_relu", "relu", "silu"}
    he = rectifies and n_hidden_layers >= 20
    expected = INITIALIZERS["he_uniform" if he else "glorot_uniform"]
    activation, init = ACTIVATIONS[name](), INITIALIZERS["auto"]()
    init.start(n_hidden_layers)
    np.testing.assert_array_equal(draw(init, activation), draw(expected(), activation))


def test_auto_looks_at_each_layers_own_activation():
    activations = [ReLU(), Tanh()] * 10
    network = make_network([50, 40] + [30] * 19 + [3], activations)
    network.initialize(INITIALIZERS["auto"](), 0.0, np.random.default_rng(0))
    he, glorot, *_, output = (np.max(np.abs(W)) for W in network.fitted.coefs)
    assert he == pytest.approx(np.sqrt(6 / 50), rel=0.02)
    assert glorot == pytest.approx(np.sqrt(6 / 70), rel=0.02)
    assert output == pytest.approx(np.sqrt(6 / 33), rel=0.05)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_estimator_draws_by_auto_by_default(activation):
    X, y = np.eye(40), np.arange(40) % 3
    model = MLPClassifier(
        60,
        activation,
        solver="sgd",
        learning_rate_init=1e-300,
        max_iter=1,
        random_state=0,
    ).fit(X, y)
    assert np.abs(model.coefs_[0]).max() == pytest.approx(np.sqrt(6 / 100), rel=0.01)


def test_very_deep_networks_of_relu_learn_by_default():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = X[:, 0] > 0
    model = MLPClassifier(20, n_hidden_layers=30, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.9
    model.set_params(init="glorot_uniform")
    assert model.fit(X, y).score(X, y) < 0.7


# A signal through ten layers


def scale_after_ten_layers(name, activation):
    """Return the scale of the tenth layer's outputs for inputs of scale 1."""
    width, rng = 400, np.random.default_rng(0)
    init, A = INITIALIZERS[name](), rng.normal(size=(200, width))
    for _ in range(10):
        Z = A @ init.draw(width, width, activation, rng)
        A = activation.forward(Z, np)
    return np.sqrt(np.mean(A**2))


@pytest.mark.parametrize("name", ["he_normal", "he_uniform"])
def test_he_keeps_the_scale_through_relu(name):
    assert 0.7 < scale_after_ten_layers(name, ReLU()) < 1.4


@pytest.mark.parametrize("name", ["lecun_normal", "lecun_uniform"])
def test_lecun_keeps_a_good_part_through_tanh(name):
    assert 0.2 < scale_after_ten_layers(name, Tanh()) < 1


@pytest.mark.parametrize("name", ["lecun_normal", "glorot_normal", "glorot_uniform"])
def test_a_variance_of_one_over_the_fan_keeps_the_scale_of_a_linear_network(name):
    assert 0.7 < scale_after_ten_layers(name, Identity()) < 1.4


@pytest.mark.parametrize("name", ["lecun_normal", "glorot_uniform"])
def test_relu_halves_the_power_that_only_he_makes_up_for(name):
    assert scale_after_ten_layers(name, ReLU()) == pytest.approx(2**-5, rel=0.4)


@pytest.mark.parametrize("name", ["normal", "uniform"])
@pytest.mark.parametrize("activation", [ReLU(), Tanh()], ids=str)
def test_small_weights_lose_the_signal(name, activation):
    assert scale_after_ten_layers(name, activation) < 1e-6


# The pitfall of equal weights


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_training_from_zeros_never_tells_units_apart(solver):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    model = MLPClassifier(
        8, "logistic", solver=solver, init="zeros", max_iter=20, random_state=0
    ).fit(X, y)
    first, second = model.coefs_
    assert np.abs(second).min() > 0
    np.testing.assert_allclose(first, first[:, :1] * np.ones(8), rtol=1e-9)
    np.testing.assert_allclose(second, second[0, 0], rtol=1e-9)


def test_training_from_zeros_through_relu_moves_no_weight():
    X, y = np.eye(6), np.arange(6) % 3
    model = MLPClassifier(8, init="zeros", max_iter=5, random_state=0).fit(X, y)
    assert not any(W.any() for W in model.coefs_)


def test_training_from_random_weights_tells_units_apart():
    X, y = np.eye(6), np.arange(6) % 3
    model = MLPClassifier(
        8, "logistic", init=HeUniform(), max_iter=5, random_state=0
    ).fit(X, y)
    assert np.ptp(model.coefs_[0], axis=1).min() > 0.1


@pytest.mark.parametrize("std", [1e-150, 3.0, 1e150])
@pytest.mark.parametrize("cls", [Normal, Uniform, Sparse])
def test_any_standard_deviation_in_the_domain_works(cls, std):
    part = cls(std=std)
    part.check()
    W = part.draw(400, 50, None, np.random.default_rng(0)) / std
    assert np.std(W[W != 0]) == pytest.approx(1, rel=0.1)


# Sparse, orthogonal and LSUV


def draw_small(init, fan_in=40, fan_out=30, seed=0):
    """Return the weights of a small layer."""
    return init.draw(fan_in, fan_out, None, np.random.default_rng(seed))


@pytest.mark.parametrize("init", [Sparse(), Orthogonal(), LSUV()], ids=str)
def test_draws_are_float64_and_repeat_with_the_seed(init):
    W = draw_small(init)
    assert W.dtype == np.float64
    np.testing.assert_array_equal(W, draw_small(init))
    assert not np.array_equal(W, draw_small(init, seed=1))


@pytest.mark.parametrize("n_connections", [1, 3, 10, 39, 40, 100])
def test_every_unit_has_exactly_its_connections(n_connections):
    W = draw_small(Sparse(n_connections=n_connections))
    np.testing.assert_array_equal((W != 0).sum(axis=0), min(n_connections, 40))


def test_sparse_weights_are_in_the_order_of_their_random_numbers():
    # The order after a partition depends on numpy's version and on the processor.
    draws = np.random.default_rng(0)
    order = np.argsort(draws.random((300, 7)), axis=0)
    weights = draws.normal(0.0, 0.01, (5, 7))
    W = Sparse(n_connections=5).draw(300, 7, None, np.random.default_rng(0))
    np.testing.assert_array_equal(np.take_along_axis(W, order[:5], axis=0), weights)


def test_connections_are_at_places_that_are_equally_likely():
    places = draw_small(Sparse(n_connections=4), 10, 20_000) != 0
    # 6 standard deviations of a binomial proportion.
    bound = 6 * np.sqrt(0.4 * 0.6 / 20_000)
    np.testing.assert_allclose(places.mean(axis=1), 0.4, atol=bound)
    pairs = (places.T.astype(float).T @ places.T) / 20_000
    off_diagonal = pairs[~np.eye(10, dtype=bool)]
    np.testing.assert_allclose(off_diagonal, 0.4 * 3 / 9, atol=bound)


@pytest.mark.parametrize("std", [0.01, 0.5])
def test_the_weights_of_connections_are_gaussian(std):
    W = draw_small(Sparse(std=std), 100, 500)
    assert kstest(W[W != 0] / std, "norm").pvalue > 1e-3


@pytest.mark.parametrize(("fan_in", "fan_out"), [(40, 30), (30, 40), (20, 20), (1, 5)])
@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_columns_or_rows_are_orthonormal(fan_in, fan_out, gain):
    W = draw_small(Orthogonal(gain=gain), fan_in, fan_out)
    assert W.shape == (fan_in, fan_out)
    gram = W.T @ W if fan_in >= fan_out else W @ W.T
    np.testing.assert_allclose(gram, gain**2 * np.eye(len(gram)), atol=1e-13)


def test_a_layer_that_does_not_shrink_keeps_lengths():
    X = np.random.default_rng(1).normal(size=(50, 30))
    for fan_out in (30, 80):
        Z = X @ draw_small(Orthogonal(), 30, fan_out)
        lengths = np.linalg.norm(Z, axis=1)
        np.testing.assert_allclose(lengths, np.linalg.norm(X, axis=1), rtol=1e-12)


def test_rotations_are_equally_likely():
    """The angle of the first column is uniform; half of the maps are reflections."""
    maps = [draw_small(Orthogonal(), 2, 2, seed) for seed in range(2000)]
    angles = [np.arctan2(W[1, 0], W[0, 0]) for W in maps]
    assert kstest(angles, "uniform", (-pi, 2 * pi)).pvalue > 1e-3
    mirrors = np.mean([np.linalg.det(W) < 0 for W in maps])
    assert mirrors == pytest.approx(0.5, abs=6 * 0.5 / np.sqrt(2000))


def test_lsuv_starts_orthonormal_and_asks_for_data():
    np.testing.assert_array_equal(draw_small(LSUV()), draw_small(Orthogonal()))
    assert LSUV.needs_data
    assert not Initializer.needs_data
    assert not Orthogonal.needs_data


@pytest.mark.parametrize("bias", [0.0, 3.0])
def test_one_lsuv_step_gives_unit_variance(bias):
    X = 5 * np.random.default_rng(1).normal(size=(50, 40)) + 2
    W, init = draw_small(LSUV()), LSUV()
    W *= init.scale(X @ W + bias)
    assert np.var(X @ W + bias) == pytest.approx(1, rel=1e-12)
    assert init.scale(X @ W + bias) == pytest.approx(1, rel=1e-12)


def test_lsuv_by_hand():
    # The mean is 1 and the variance (9 + 1 + 4 + 0 + 1 + 9) / 6 = 4.
    Z = np.array([[4.0, 0.0, 3.0], [1.0, 0.0, -2.0]])
    assert LSUV().scale(Z) == pytest.approx(0.5, rel=1e-14)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_outputs_that_do_not_vary_are_left_alone(value, dtype):
    assert LSUV().scale(np.full((7, 3), value, dtype)) == 1


def test_lsuv_lets_a_signal_through_ten_relu_layers():
    scaled = unscaled = np.random.default_rng(1).normal(size=(200, 50))
    for seed in range(10):
        W = draw_small(LSUV(), 50, 50, seed)
        unscaled = np.maximum(unscaled @ W, 0)
        Z = scaled @ W
        scaled = np.maximum(Z * LSUV().scale(Z), 0)
    assert np.std(unscaled) < 0.1
    assert np.std(scaled) > 0.5


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Sparse(n_connections=0), "'n_connections' parameter of Sparse"),
        (Sparse(std=0.0), "'std' parameter of Sparse"),
        (Orthogonal(gain=0.0), "'gain' parameter of Orthogonal"),
    ],
)
def test_parameters_outside_their_domain_raise(part, message):
    with pytest.raises(ValueError, match=message):
        part.check()
