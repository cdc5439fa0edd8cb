"""Stochastic and fractional max pooling: by hand, and against plain loops."""

import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.base import clone

from sknn_notes.noise import (
    NOISES,
    FractionalMaxPooling,
    StochasticPooling,
)

# Parts for images of height 5, width 6 and 2 channels, and their number of outputs.
IMAGE = {"image_shape": (5, 6, 2)}


def started(part, n_features, seed=0):
    """Return a checked copy of a part that knows its number of inputs."""
    part = clone(part)
    part.check()
    part.start(n_features, np.random.default_rng(seed))
    return part


def values(n_samples=20, n_features=60, seed=0, dtype=np.float64):
    """Return non-negative inputs, about a third of which are 0."""
    X = np.random.default_rng(seed).uniform(-0.5, 1, (n_samples, n_features))
    return np.maximum(X, 0).astype(dtype)


# Stochastic pooling


def pool_stochastically(images, uniforms, pool_height, pool_width):
    """Pool images of shape (n, height, width, channels), one region after another."""
    pooled = np.zeros((len(images), *uniforms.shape[1:]))
    for i, down, across, channel in np.ndindex(pooled.shape):
        rows = slice(down * pool_height, (down + 1) * pool_height)
        columns = slice(across * pool_width, (across + 1) * pool_width)
        region = images[i, rows, columns, channel].ravel()
        if region.sum() == 0:
            continue
        left = uniforms[i if len(uniforms) > 1 else 0, down, across, channel]
        for value in region / region.sum():
            if left < value:
                pooled[i, down, across, channel] = value * region.sum()
                break
            left -= value
    return pooled.reshape(len(images), -1)


def expected_pooling(images, pool_height, pool_width):
    """Return the probability-weighted means, one region after another."""
    n, height, width, n_channels = images.shape
    shape = (n, -(-height // pool_height), -(-width // pool_width), n_channels)
    pooled = np.zeros(shape)
    for i, down, across, channel in np.ndindex(shape):
        rows = slice(down * pool_height, (down + 1) * pool_height)
        columns = slice(across * pool_width, (across + 1) * pool_width)
        region = images[i, rows, columns, channel].ravel()
        if region.any():
            pooled[i, down, across, channel] = region @ region / region.sum()
    return pooled.reshape(n, -1)


POOLS = [(1, 1), (2, 2), (3, 2), (2, 4), (5, 6)]


@pytest.mark.parametrize("n_draws", [1, 20])
@pytest.mark.parametrize("pool_shape", POOLS)
def test_stochastic_pooling_is_that_of_a_plain_loop(pool_shape, n_draws):
    part = started(StochasticPooling(**IMAGE, pool_shape=pool_shape), 60)
    X = values()
    uniforms = part.draw(n_draws, np.random.default_rng(0))
    np.testing.assert_allclose(
        part.apply(X, uniforms),
        pool_stochastically(X.reshape(-1, 5, 6, 2), uniforms, *pool_shape),
    )


@pytest.mark.parametrize("pool_shape", POOLS)
def test_stochastic_pooling_predicts_the_weighted_mean(pool_shape):
    part = started(StochasticPooling(**IMAGE, pool_shape=pool_shape), 60)
    X = values()
    np.testing.assert_allclose(
        part.predict(X), expected_pooling(X.reshape(-1, 5, 6, 2), *pool_shape)
    )


def test_stochastic_pooling_by_hand():
    part = started(StochasticPooling(), 4)
    X = np.array([[1.0, 0.0, 3.0, 6.0]])
    for uniform, expected in [(0, 1), (0.09, 1), (0.11, 3), (0.39, 3), (0.41, 6)]:
        pooled = part.apply(X, np.full((1, 1, 1, 1), uniform))
        np.testing.assert_array_equal(pooled, [[expected]])
    np.testing.assert_allclose(part.predict(X), [[4.6]])


@pytest.mark.parametrize("method", ["train", "sample"])
def test_the_mean_of_stochastic_pooling_is_its_prediction(method):
    part = started(StochasticPooling(**IMAGE, pool_shape=(3, 2)), 60)
    X = values(2)
    rng = np.random.default_rng(0)
    if method == "train":
        draws = part.train(np.repeat(X, 5000, axis=0), rng).reshape(2, 5000, -1)
    else:
        draws = np.stack([part.sample(X, rng) for _ in range(2000)], axis=1)
    error = draws.std(axis=1) / np.sqrt(draws.shape[1])
    deviation = np.abs(draws.mean(axis=1) - part.predict(X))
    assert np.all(deviation <= 4.5 * error + 1e-12)
    assert np.mean(deviation <= 2 * error + 1e-12) > 0.85


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_regions_of_zeros_give_zero(dtype):
    part = started(StochasticPooling(), 16)
    X = np.zeros((3, 16), dtype)
    X[1, 5] = 2  # the last pixel of the first region
    pooled = np.zeros((3, 4))
    pooled[1, 0] = 2
    rng = np.random.default_rng(0)
    for noisy in (part.train(X, rng), part.sample(X, rng), part.predict(X)):
        np.testing.assert_array_equal(noisy, pooled)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("uniform", [0.0, np.nextafter(1.0, 0.0)])
def test_a_pixel_of_zero_is_never_chosen_over_a_positive_one(dtype, uniform):
    part = started(StochasticPooling(image_shape=(1, 7), pool_shape=(1, 7)), 7)
    X = values(2000, 7, dtype=dtype)
    X[:, [0, -1]] = 0
    X[:, 3] += np.finfo(dtype).eps
    assert np.all(part.apply(X, np.full((1, 1, 1, 1), uniform)) > 0)


def test_pixels_far_from_one_don_t_vanish_in_the_prediction():
    part = started(StochasticPooling(), 4)
    for scale in (1e-30, 1e30):
        X = np.full((1, 4), scale, np.float32)
        np.testing.assert_allclose(part.predict(X), [[scale]], rtol=1e-6)


def test_stochastic_pooling_raises_for_negative_inputs():
    part = started(StochasticPooling(), 16)
    X = values(3, 16)
    part.check_input(X)
    X[1, 2] = -0.25
    with pytest.raises(ValueError, match=r"at least 0, but the smallest is -0.25") as e:
        part.check_input(X)
    assert "MinMaxNormalizer(feature_range=(0, 1)" in str(e.value)


@pytest.mark.parametrize("name", sorted(set(NOISES) - {"stochastic_pooling"}))
def test_the_others_take_negative_inputs(name):
    started(NOISES[name](), 16).check_input(np.full((2, 16), -1.0))


# Fractional max pooling


def pool_fractionally(images, draws, shape, overlapping):
    """Pool images of shape (n, height, width, channels), one region after another."""
    n, *sides, n_channels = images.shape
    pooled = np.empty((n, *shape, n_channels))
    for i, down, across in np.ndindex(n, *shape):
        region = []
        for axis, j in enumerate((down, across)):
            # Graham's a_j = ceil(alpha (j + u)), counted from 1, in his own terms.
            alpha = sides[axis] / shape[axis]
            u = (draws[i if len(draws) > 1 else 0, axis] + 1) / sides[axis]
            first, after = (
                int(np.ceil(alpha * (j + step + u) - 1e-9)) for step in (0, 1)
            )
            region.append(slice(first - 1, after if overlapping else after - 1))
        pooled[i, down, across] = images[i][tuple(region)].max(axis=(0, 1))
    return pooled.reshape(n, -1)


@pytest.mark.parametrize("n_draws", [1, 20])
@pytest.mark.parametrize("overlapping", [True, False])
@pytest.mark.parametrize(
    ("ratio", "shape"),
    [(1.1, (5, 5)), (1.25, (4, 5)), (2**0.5, (4, 4)), (1.6, (3, 4)), (1.99, (3, 3))],
)
def test_fractional_pooling_is_that_of_a_plain_loop(ratio, shape, overlapping, n_draws):
    part = FractionalMaxPooling(**IMAGE, ratio=ratio, overlapping=overlapping)
    part = started(part, 60)
    X = np.random.default_rng(0).normal(size=(20, 60))
    draws = part.draw(n_draws, np.random.default_rng(1))
    np.testing.assert_array_equal(
        part.apply(X, draws),
        pool_fractionally(X.reshape(-1, 5, 6, 2), draws, shape, overlapping),
    )


@pytest.mark.parametrize("ratio", [1.1, 2**0.5, 1.6, 1.75, np.nextafter(2, 1)])
def test_regions_cover_every_image_in_steps_of_one_or_two(ratio):
    for side in range(6, 70):
        part = FractionalMaxPooling(image_shape=(1, side), ratio=ratio)
        n_outputs = part.start(side, np.random.default_rng(0))
        assert abs(n_outputs - side / ratio) <= 0.5
        bounds = part._boundaries(side, n_outputs, np.arange(n_outputs))
        assert np.all(bounds[:, 0] == 0)
        assert np.all(bounds[:, -1] == side)
        assert set(np.unique(np.diff(bounds))) <= {1, 2}


def test_the_sequences_of_regions_are_all_there_are_and_equally_likely():
    # alpha = 7 / 5: five places where the three steps of one pixel can lie.
    part = started(FractionalMaxPooling(image_shape=(1, 7), ratio=1.4), 7)
    draws = part.draw(5000, np.random.default_rng(0))
    assert np.all(draws[:, 0] == 0)
    steps = np.diff(part._boundaries(7, 5, draws[:, 1]))
    sequences, counts = np.unique(steps, axis=0, return_counts=True)
    from_any_u = {
        tuple(np.diff(np.ceil(1.4 * (np.arange(6) + u)).astype(int)))
        for u in np.linspace(0.0005, 0.9995, 1000)
    }
    assert {tuple(sequence) for sequence in sequences} == from_any_u
    assert len(sequences) == 5
    assert chisquare(counts).pvalue > 1e-3


def test_fractional_pooling_by_hand():
    X = np.array([[1.0, 5, 2, 4, 3, 0]])
    row = {"image_shape": (1, 6), "ratio": 1.5}
    disjoint = started(FractionalMaxPooling(**row, overlapping=False), 6)
    overlapping = started(FractionalMaxPooling(**row), 6)
    # k = 0: regions start at 0, 1, 3, 4; k = 3: at 0, 2, 3, 5.
    for k, apart, together in [
        (0, [1, 5, 4, 3], [5, 5, 4, 3]),
        (3, [5, 2, 4, 0], [5, 4, 4, 0]),
    ]:
        draws = np.array([[0, k]])
        np.testing.assert_array_equal(disjoint.apply(X, draws), [apart])
        np.testing.assert_array_equal(overlapping.apply(X, draws), [together])


def test_overlapping_maxima_are_never_smaller():
    X = np.random.default_rng(0).normal(size=(20, 60))
    overlapping, disjoint = (
        started(FractionalMaxPooling(**IMAGE, overlapping=flag), 60).train(
            X, np.random.default_rng(1)
        )
        for flag in (True, False)
    )
    assert np.all(overlapping >= disjoint)
    assert np.any(overlapping > disjoint)


def test_prediction_averages_over_the_regions_of_the_start():
    X = values()
    part = FractionalMaxPooling(**IMAGE, n_regions=4)
    rng = np.random.default_rng(0)
    part.start(60, rng)
    again = np.random.default_rng(0)
    samples = [part.sample(X, again) for _ in range(4)]
    assert not np.array_equal(samples[0], samples[1])
    np.testing.assert_allclose(part.predict(X), np.mean(samples, axis=0))
    np.testing.assert_array_equal(started(part, 60).predict(X), part.predict(X))


def test_prediction_with_one_set_of_regions_is_one_sample():
    X = values()
    part = started(FractionalMaxPooling(**IMAGE), 60, seed=9)
    np.testing.assert_array_equal(
        part.predict(X), part.sample(X, np.random.default_rng(9))
    )
