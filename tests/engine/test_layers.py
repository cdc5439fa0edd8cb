"""Layers one by one: masks and what is drawn, their formulas, their gradients."""

import numpy as np
import pytest
from scipy import stats

from sknn_notes._arrays import random_mask, random_words
from sknn_notes._engine.program import shorten_columns
from sknn_notes.activations import ReLU, Tanh
from sknn_notes.layers import BatchNorm
from sknn_notes.layers._activate import Activate
from sknn_notes.layers._base import Flow
from sknn_notes.layers._batch_norm import BatchNormLayer
from sknn_notes.layers._dense import Dense
from sknn_notes.layers._dropout import Dropout, Mask
from sknn_notes.layers._input_noise import InputNoise
from sknn_notes.noise import Noise

RTOL = {"float32": 2e-5, "float64": 1e-12}
every_dtype = pytest.mark.parametrize("dtype", RTOL)


def draw(rate, shape=(400, 250), dtype=np.float64, seed=0):
    key = int(np.random.default_rng(seed).integers(2**63))
    return Mask(rate).draw(key, shape, np.empty(0, dtype), np)


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
    assert Mask(rate).training_scale == 1 / (1 - rate)


def test_a_rate_next_to_zero_keeps_everything():
    np.testing.assert_array_equal(draw(1e-7, shape=(20, 20)), 1)


def test_a_rate_next_to_one_still_keeps_something():
    mask = Mask(1 - 1e-9)
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


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])
def test_a_mask_of_any_size_is_filled(size):
    assert np.isfinite(draw(0.5, shape=(1, size))).all()
    assert np.isfinite(draw(0.5, shape=(size, 1))).all()


def test_a_rate_that_is_set_is_that_of_the_next_masks():
    mask = Mask(0.1)
    mask.set_rate(0.5)
    assert (mask.threshold, mask.training_scale) == (32768, 2.0)
    mask = Mask(0.1, inverted=False)
    mask.set_rate(0.25)
    assert (mask.training_scale, mask.prediction_scale) == (1.0, 0.75)


# Random bits


def test_words_are_a_hash_of_place_and_key():
    def word(place, key):
        x = (place * 0x9E3779B9 + (key & 0xFFFFFFFF)) % 2**32
        x = (x ^ (x >> 16)) * 0x21F0AAAD % 2**32 ^ (key >> 32)
        x = (x ^ (x >> 15)) * 0xD35A2D97 % 2**32
        return x ^ (x >> 15)

    key = 2**63 + 12345678901
    out = random_words(key, np.arange(40_000))
    for place in (0, 1, 2, 32_767, 32_768, 39_999):
        assert out[place] == word(place, key)


def test_words_at_places_are_those_of_a_whole_array():
    key = 0x123456789ABCDEF0
    words = random_words(key, np.arange(70_001))
    places = np.array([70_000, 3, 3, 0, 32_768, 32_767])
    np.testing.assert_array_equal(random_words(key, places), words[places])
    np.testing.assert_array_equal(places, [70_000, 3, 3, 0, 32_768, 32_767])


def test_words_look_independent():
    rng = np.random.default_rng(0)
    previous, z = np.zeros(10_000), []
    for _ in range(200):
        words = random_words(int(rng.integers(2**63)), np.arange(5000))
        signs = np.where(words.view(np.uint16) < 2**15, 1.0, -1.0)
        z.append(
            [
                signs.sum(),
                signs[1:] @ signs[:-1],
                signs[2:] @ signs[:-2],
                signs[100:] @ signs[:-100],
                signs @ previous,
            ]
        )
        previous = signs
    z = np.array(z[1:]) / 100
    assert np.all(np.abs(z.mean(axis=0)) < 4 / np.sqrt(len(z)))
    assert np.all(np.abs(z.std(axis=0) - 1) < 0.2)


@pytest.mark.parametrize("n_columns", [1, 2, 5])
def test_a_mask_compares_halves_of_words_with_the_threshold(n_columns):
    key, n_words = 2**62 + 5, -(-n_columns // 2)
    bits = random_words(key, np.arange(50 * n_words)).view(np.uint16)
    expected = bits.reshape(50, -1)[:, :n_columns] < 20_000
    mask = random_mask(key, (50, n_columns), 20_000)
    np.testing.assert_array_equal(mask, expected)


def test_a_threshold_above_all_bits_keeps_everything():
    assert random_mask(1, (400, 250), 65536).all()


# Dense, activation and dropout in a row


class Chain:
    """A dense layer of 20 inputs and 30 units, its activation, and dropout."""

    def __init__(self, rate=0.0, activation=None, dtype=np.float64, **options):
        rng = np.random.default_rng(0)
        self.W = rng.normal(size=(20, 30)).astype(dtype)
        self.b = np.ones(30, dtype)
        mask = Mask(rate) if rate else None
        self.layers = [Dense(20, 30, 0, **options)]
        if activation is not None:
            self.layers.append(Activate(activation, 0, 30, mask))
        self.layers += [Dropout(mask, 0, 30)] if rate else []
        self.p = [{"W": self.W, "b": self.b}, {}, {}][: len(self.layers)]
        self.g = [{k: np.empty_like(v) for k, v in p.items()} for p in self.p]

    def forward(self, X, key=None):
        keys = None if key is None else iter([key])
        self.flow, self.kept = Flow(self.W, keys), []
        for layer, p in zip(self.layers, self.p, strict=True):
            X, kept = layer.forward(p, X, self.flow)
            self.kept.append(kept)
        return X

    def backward(self, delta, needed=False):
        parts = zip(self.layers, self.p, self.g, self.kept, strict=True)
        for i, (layer, p, g, kept) in reversed(list(enumerate(parts))):
            delta = layer.backward(p, g, delta, kept, self.flow, needed or i > 0)
        return delta


def make_X():
    return np.random.default_rng(1).normal(size=(50, 20))


def test_a_layer_computes_its_formula():
    chain, X = Chain(activation=ReLU()), make_X()
    expected = np.maximum(X @ chain.W + chain.b, 0)
    np.testing.assert_allclose(chain.forward(X), expected, rtol=1e-12, atol=1e-14)


def test_the_output_layer_is_the_same_with_its_units_first_in_memory():
    chain, X = Chain(is_output=True), make_X()
    raw = chain.forward(X)
    np.testing.assert_allclose(raw, X @ chain.W + chain.b, rtol=1e-11)
    assert raw.flags.f_contiguous


def test_without_a_key_nothing_is_dropped():
    chain, X = Chain(0.5), make_X()
    np.testing.assert_allclose(chain.forward(X), X @ chain.W + chain.b, rtol=1e-11)


def test_with_a_key_units_are_dropped_or_scaled_up():
    chain, X = Chain(0.75), make_X()
    A = chain.forward(X, key=2**60 + 1)
    kept = A != 0
    assert stats.binomtest(np.count_nonzero(kept), kept.size, 0.25).pvalue > 1e-3
    np.testing.assert_allclose(A[kept], 4 * (X @ chain.W + chain.b)[kept], rtol=1e-12)


def test_a_pass_without_noise_forgets_the_mask_of_the_last():
    chain, X = Chain(0.5), make_X()
    chain.forward(X, key=1)
    chain.forward(X)
    chain.backward(np.ones((50, 30)))
    np.testing.assert_allclose(chain.g[0]["b"], 50, rtol=1e-13)


def test_dropout_keeps_the_expected_output():
    chain, X = Chain(0.4), make_X()
    keys = np.random.default_rng(0).integers(2**63, size=2000)
    mean = sum(chain.forward(X, key=int(key)) for key in keys) / len(keys)
    expected = X @ chain.W + chain.b
    standard_error = np.abs(expected) * np.sqrt(0.4 / 0.6 / len(keys))
    assert np.all(np.abs(mean - expected) < 5 * standard_error + 1e-12)


@pytest.mark.parametrize("activation", [None, ReLU()])
def test_a_dropped_unit_passes_no_gradient(activation):
    chain, X = Chain(0.5, activation), make_X()
    A = chain.forward(X, key=2**61)
    delta_in = chain.backward(np.ones((50, 30)), needed=True)
    mask = np.where(A == 0, 0, 2.0)
    np.testing.assert_allclose(chain.g[0]["b"], mask.sum(axis=0))
    np.testing.assert_allclose(chain.g[0]["W"], X.T @ mask, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(delta_in, mask @ chain.W.T, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_the_inputs_is_left_out_where_nobody_needs_it():
    chain, X = Chain(), make_X()
    chain.forward(X)
    assert chain.backward(np.ones((50, 30))) is None


@every_dtype
def test_the_derivative_of_an_activation_is_in_the_gradient(dtype):
    Z = make_X().astype(dtype)
    layer, flow = Activate(Tanh(), 0, 20), Flow(Z)
    _, kept = layer.forward({}, Z, flow)
    delta = layer.backward({}, {}, Z.copy(), kept, flow)
    np.testing.assert_allclose(delta, Z * (1 - np.tanh(Z) ** 2), rtol=RTOL[dtype])


@every_dtype
def test_relu_lets_nan_through(dtype):
    Z = np.array([[np.nan, -1.0, 2.0]], dtype)
    out, _ = Activate(ReLU(), 0, 3).forward({}, Z, Flow(Z))
    np.testing.assert_array_equal(out, [[np.nan, 0, 2]])


# Noise on the inputs


class Shift(Noise):
    """Noise that adds a number, and keeps the type of array that it gets."""

    def __init__(self, *, in_array_code=False):
        self.in_array_code = in_array_code
        self.seen = []

    def noisy(self, X, key):
        self.seen.append(type(X).__name__)
        return X + key

    def predict(self, X):
        return self.noisy(X, 10)

    def sample(self, X, rng):
        return self.noisy(X, 100)


@pytest.mark.parametrize("in_array_code", [False, True])
def test_noise_without_array_code_gets_numpys_arrays(in_array_code):
    torch = pytest.importorskip("torch")
    noise, rng = Shift(in_array_code=in_array_code), np.random.default_rng(0)
    layer, A = InputNoise(noise, 2), torch.asarray([[1.0, 2.0]])
    found = [
        layer.forward({}, A, Flow(A, iter([1])))[0],
        layer.forward({}, A, Flow(A))[0],
        layer.predict({}, A, Flow(A)),
        layer.predict({}, A, Flow(A, rng=rng)),
    ]
    assert {type(out) for out in found} == {torch.Tensor}
    assert [out[0, 1] for out in found] == [3, 12, 12, 102]
    # A sample is always drawn by numpy.
    assert noise.seen == 3 * ["Tensor" if in_array_code else "ndarray"] + ["ndarray"]


# Max norm


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e20), ("float32", 1e37), ("float64", 1e200)]
)
@pytest.mark.parametrize("norm", [0.01, 3.0])
def test_columns_whose_squares_overflow_are_shortened(dtype, size, norm):
    W = np.random.default_rng(0).normal(size=(5, 4)).astype(dtype)
    expected = W * np.minimum(1, norm / np.linalg.norm(W, axis=0))
    W[:, 1:3] *= np.dtype(dtype).type(size)
    expected[:, 1:3] *= np.maximum(1, norm / np.linalg.norm(expected[:, 1:3], axis=0))
    with np.errstate(over="ignore"):
        shorten_columns(W, norm, np)
    np.testing.assert_allclose(W, expected, rtol=RTOL[dtype])


# Batch norm


def normalized_by(X):
    """Return what batch norm makes of ``X``: columns, mean and variance."""
    layer, flow = BatchNormLayer(BatchNorm(), X.shape[1], 0), Flow(X)
    p = {name: np.zeros(X.shape[1], X.dtype) for name in ("scale", "shift")}
    p |= {name: np.zeros(X.shape[1], X.dtype) for name in ("mean", "var")}
    layer.start(p)
    columns, kept = layer.forward(p, X.copy(), flow)
    layer.set_running(p, kept)
    return columns, p["mean"], p["var"]


@pytest.mark.parametrize(("scale", "shift"), [(1e8, 0), (1e15, 0), (1, 1e4), (1, -1e6)])
def test_batch_norm_of_badly_scaled_float32(scale, shift):
    rng = np.random.default_rng(0)
    X = (scale * rng.normal(size=(200, 6)) + shift).astype(np.float32)
    exact = X.astype(np.float64)
    columns, mean, var = normalized_by(X)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(var, exact.var(axis=0), rtol=1e-4)
    exact -= exact.mean(axis=0)
    exact /= np.sqrt(exact.var(axis=0) + 1e-5)
    np.testing.assert_allclose(columns, exact, atol=1e-4)


@every_dtype
@pytest.mark.parametrize("value", [0.1, 1e8, -1e15])
def test_batch_norm_of_a_column_that_does_not_vary(dtype, value):
    columns, _, var = normalized_by(np.full((200, 6), value, dtype))
    assert np.all((var >= 0) & (var <= (np.finfo(dtype).eps * value) ** 2 * 1e3))
    assert np.isfinite(columns).all()
