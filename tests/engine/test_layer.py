"""Dropout masks and layers: what is drawn, and what stays linear."""

import numpy as np
import pytest
from scipy import stats

from sknn_notes._engine.dropout import Dropout, make_dropout
from sknn_notes._engine.layer import Layer
from sknn_notes.activations import Identity, ReLU


def generator(seed=0):
    return np.random.Generator(np.random.SFC64(seed))


def draw(rate, shape=(400, 250), dtype=np.float64, seed=0):
    mask = np.full(shape, np.nan, dtype)
    Dropout(rate).draw(generator(seed), mask)
    return mask


def make_layer(dropout=0.0, *, n=50, activation=None, dtype=np.float64, **options):
    """Return a layer of 20 inputs and 30 units, ready for n rows."""
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(20, 30)).astype(dtype), np.ones(30, dtype)
    layer = Layer(
        W,
        b,
        np.empty_like(W),
        np.empty_like(b),
        activation=activation or Identity(),
        dropout=make_dropout(dropout, True),
        **options,
    )
    layer.allocate(n)
    layer.bind(n)
    return layer


# Masks

RATES = [0.001, 0.1, 0.25, 0.5, 0.8, 0.999]


@pytest.mark.parametrize("rate", RATES)
def test_a_unit_is_dropped_with_probability_rate(rate):
    mask = draw(rate)
    n_dropped = np.count_nonzero(mask == 0)
    assert stats.binomtest(n_dropped, mask.size, rate).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("axis", [0, 1])
def test_every_row_and_every_column_is_dropped_alike(rate, axis):
    dropped = np.count_nonzero(draw(rate) == 0, axis=axis)
    n = draw(rate).shape[axis]
    tails = stats.binom(n, rate).ppf([1e-6, 1 - 1e-6])
    assert tails[0] <= dropped.min()
    assert dropped.max() <= tails[1]


def test_units_are_dropped_independently():
    dropped = (draw(0.3) == 0).ravel()
    for lag in (1, 2, 3, 4, 250):
        both = np.count_nonzero(dropped[:-lag] & dropped[lag:])
        n = len(dropped) - lag
        assert abs(both / n - 0.09) < 5 * np.sqrt(0.09 * 0.91 / n)


@pytest.mark.parametrize("rate", RATES)
def test_what_is_kept_is_scaled_so_that_the_mean_is_exactly_one(rate):
    mask = draw(rate)
    scale = np.unique(mask[mask != 0])
    assert len(scale) == 1
    # A decision takes 16 bits: the rate is rounded, and the scale is that of the
    # rounded rate.
    keep = round((1 - rate) * 65536) / 65536
    assert scale[0] == 1 / keep
    assert abs(keep - (1 - rate)) <= 2**-17


@pytest.mark.parametrize("rate", [0.5, 0.25, 0.75])
def test_rates_of_16_bits_are_not_rounded(rate):
    assert Dropout(rate).training_scale == 1 / (1 - rate)


def test_a_rate_next_to_zero_keeps_everything():
    np.testing.assert_array_equal(draw(1e-7, shape=(20, 20)), 1)


def test_a_rate_next_to_one_still_keeps_something():
    mask = Dropout(1 - 1e-9)
    assert np.isfinite(mask.training_scale)
    assert mask.threshold == 1


def test_the_seed_decides_the_mask():
    np.testing.assert_array_equal(draw(0.5, seed=3), draw(0.5, seed=3))
    assert np.any(draw(0.5, seed=3) != draw(0.5, seed=4))


def test_masks_are_the_same_in_both_types():
    wide, narrow = draw(0.3), draw(0.3, dtype=np.float32)
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(narrow != 0, wide != 0)
    np.testing.assert_allclose(narrow, wide, rtol=1e-7)


def test_a_mask_drawn_twice_differs():
    rng, mask = generator(), Dropout(0.5)
    first, second = np.empty((20, 20)), np.empty((20, 20))
    mask.draw(rng, first)
    mask.draw(rng, second)
    assert np.any(first != second)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])
def test_a_mask_of_any_size_is_filled(size):
    assert np.isfinite(draw(0.5, shape=(1, size))).all()
    assert np.isfinite(draw(0.5, shape=(size,))).all()


# Layers


def test_a_layer_computes_its_formula():
    layer, X = (
        make_layer(activation=ReLU()),
        np.random.default_rng(1).normal(size=(50, 20)),
    )
    expected = np.maximum(X @ layer.W + layer.b, 0)
    np.testing.assert_allclose(layer.forward(X), expected, rtol=1e-12, atol=1e-14)


def test_the_output_layer_is_linear_whatever_its_activation():
    layer = make_layer(activation=ReLU(), is_output=True)
    X = np.random.default_rng(1).normal(size=(50, 20))
    np.testing.assert_allclose(layer.forward(X), X @ layer.W + layer.b, rtol=1e-11)


def test_without_a_generator_nothing_is_dropped():
    layer, X = make_layer(dropout=0.5), np.random.default_rng(1).normal(size=(50, 20))
    np.testing.assert_allclose(layer.forward(X), X @ layer.W + layer.b, rtol=1e-11)


def test_with_a_generator_units_are_dropped_or_scaled_up():
    layer, X = make_layer(dropout=0.75), np.random.default_rng(1).normal(size=(50, 20))
    A = layer.forward(X, generator())
    kept = A != 0
    assert stats.binomtest(np.count_nonzero(kept), kept.size, 0.25).pvalue > 1e-3
    np.testing.assert_allclose(A[kept], 4 * (X @ layer.W + layer.b)[kept], rtol=1e-12)


def test_a_pass_without_noise_forgets_the_mask_of_the_last():
    layer, X = make_layer(dropout=0.5), np.random.default_rng(1).normal(size=(50, 20))
    layer.forward(X, generator())
    layer.forward(X)
    layer.delta[:] = 1
    layer.backward(X)
    np.testing.assert_allclose(layer.db, 50, rtol=1e-13)


def test_dropout_keeps_the_expected_output():
    layer, X = make_layer(dropout=0.4), np.random.default_rng(1).normal(size=(50, 20))
    rng, n_draws = generator(), 2000
    mean = sum(layer.forward(X, rng).copy() for _ in range(n_draws)) / n_draws
    expected = X @ layer.W + layer.b
    standard_error = np.abs(expected) * np.sqrt(0.4 / 0.6 / n_draws)
    assert np.all(np.abs(mean - expected) < 5 * standard_error + 1e-12)


def test_a_dropped_unit_passes_no_gradient():
    layer, X = make_layer(dropout=0.5), np.random.default_rng(1).normal(size=(50, 20))
    dropped = layer.forward(X, generator()) == 0
    layer.delta[:] = 1
    delta_in = np.empty_like(X)
    layer.backward(X, delta_in)
    mask = np.where(dropped, 0, 2.0)
    np.testing.assert_allclose(layer.db, mask.sum(axis=0))
    np.testing.assert_allclose(layer.dW, X.T @ mask, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(delta_in, mask @ layer.W.T, rtol=1e-12, atol=1e-12)
