"""Noise on the inputs: by hand, against plain loops, and what all parts promise."""

import pickle

import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.base import clone

from sknn_notes.noise import (
    NOISES,
    FractionalMaxPooling,
    GaussianNoise,
    RandomCrop,
    RandomFlip,
    RandomShift,
    StochasticPooling,
)

# Parts for images of height 5, width 6 and 2 channels, and their number of outputs.
IMAGE = {"image_shape": (5, 6, 2)}
PARTS = {
    "gaussian": (GaussianNoise(std=0.5), 60),
    "shift": (RandomShift(**IMAGE, max_shift=(1, 2)), 60),
    "flip": (RandomFlip(**IMAGE, axis="both"), 60),
    "crop": (RandomCrop(**IMAGE, crop_shape=(3, 4)), 24),
    "stochastic": (StochasticPooling(**IMAGE), 18),
    "stochastic 3x2": (StochasticPooling(**IMAGE, pool_shape=(3, 2)), 12),
    "fractional": (FractionalMaxPooling(**IMAGE), 32),
    "fractional disjoint": (
        FractionalMaxPooling(**IMAGE, ratio=1.7, overlapping=False, n_regions=3),
        24,
    ),
}
CASES = [
    pytest.param(part, n_outputs, channels, id=f"{name}-{channels}")
    for name, (part, n_outputs) in PARTS.items()
    for channels in ("last", "first")
    if channels == "last" or "image_shape" in part.get_params()
]
every_case = pytest.mark.parametrize(("part", "n_outputs", "channels"), CASES)
every_name = pytest.mark.parametrize("name", NOISES)


def started(part, n_features, seed=0):
    """Return a checked copy of a part that knows its number of inputs."""
    part = clone(part)
    part.check()
    part.start(n_features, np.random.default_rng(seed))
    return part


def started_case(part, channels):
    """Return the part of a case, for channels that come last or first."""
    if channels == "first":
        part = clone(part).set_params(image_shape=(2, 5, 6), channels="first")
    return started(part, 60)


def values(n_samples=20, n_features=60, seed=0, dtype=np.float64):
    """Return non-negative inputs, about a third of which are 0."""
    X = np.random.default_rng(seed).uniform(-0.5, 1, (n_samples, n_features))
    return np.maximum(X, 0).astype(dtype)


# Contract of all parts


@every_case
def test_the_number_of_outputs_is_the_one_announced(part, n_outputs, channels):
    part = clone(part)
    if channels == "first":
        part.set_params(image_shape=(2, 5, 6), channels="first")
    rng = np.random.default_rng(0)
    assert part.start(60, rng) == n_outputs
    X = values()
    for noisy in (part.train(X, rng), part.sample(X, rng), part.predict(X)):
        assert noisy.shape == (20, n_outputs)
        assert noisy.flags.c_contiguous


@every_case
def test_no_rows_give_no_rows(part, n_outputs, channels):
    part = started_case(part, channels)
    X = np.empty((0, 60))
    rng = np.random.default_rng(0)
    part.check_input(X)
    for noisy in (part.train(X, rng), part.sample(X, rng), part.predict(X)):
        assert noisy.shape == (0, n_outputs)


@every_case
def test_both_dtypes_are_kept_and_get_the_same_draws(part, n_outputs, channels):
    part = started_case(part, channels)
    # Quarters, so that sums and comparisons are exact in both.
    X = np.round(4 * values()) / 4
    for method in ("train", "sample", "predict"):
        results = []
        for dtype in (np.float32, np.float64):
            rng = (np.random.default_rng(3),) if method != "predict" else ()
            noisy = getattr(part, method)(X.astype(dtype), *rng)
            assert noisy.dtype == dtype
            results.append(noisy)
        np.testing.assert_allclose(*results, rtol=1e-6, atol=1e-6)


@every_case
def test_inputs_are_left_unchanged(part, n_outputs, channels):
    part = started_case(part, channels)
    X = values()
    X.flags.writeable = False
    rng = np.random.default_rng(0)
    part.check_input(X)
    part.predict(X)
    for noisy in (part.train(X, rng), part.sample(X, rng)):
        assert not np.shares_memory(noisy, X)


@every_case
def test_the_seed_decides(part, n_outputs, channels):
    part = started_case(part, channels)
    X = values()
    for method in (part.train, part.sample):
        first, again, other = (
            method(X, np.random.default_rng(seed)) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
    np.testing.assert_array_equal(part.predict(X), part.predict(X))


@every_case
def test_sample_and_predict_don_t_depend_on_which_rows_come_together(
    part, n_outputs, channels
):
    part = started_case(part, channels)
    X = values()
    together = part.sample(X, np.random.default_rng(5))
    for rows in ([3], [7, 2], slice(4, None)):
        alone = part.sample(X[rows], np.random.default_rng(5))
        np.testing.assert_array_equal(alone, together[rows])
        np.testing.assert_array_equal(part.predict(X[rows]), part.predict(X)[rows])


@every_case
def test_equal_rows_differ_in_training_and_agree_in_a_sample(part, n_outputs, channels):
    part = started_case(part, channels)
    X = np.repeat(values(1), 200, axis=0)
    rng = np.random.default_rng(0)
    assert len(np.unique(part.train(X, rng), axis=0)) > 1
    assert len(np.unique(part.sample(X, rng), axis=0)) == 1


@every_case
def test_a_sample_is_the_training_noise_of_one_row(part, n_outputs, channels):
    part = started_case(part, channels)
    X = values(1)
    np.testing.assert_array_equal(
        part.sample(X, np.random.default_rng(4)),
        part.train(X, np.random.default_rng(4)),
    )


@pytest.mark.parametrize(
    ("part", "n_outputs", "channels"), [c for c in CASES if c.values[2] == "first"]
)
def test_the_place_of_the_channels_changes_nothing_else(part, n_outputs, channels):
    last, first = started_case(part, "last"), started_case(part, channels)

    def channels_first(X, n_down, n_across):
        images = X.reshape(-1, n_down, n_across, 2).transpose(0, 3, 1, 2)
        return images.reshape(len(X), -1)

    X = values()
    n_across = {60: 6, 24: 4, 18: 3, 12: 3, 32: 4}[n_outputs]
    n_down = n_outputs // (2 * n_across)
    for method in ("train", "predict"):
        rng = [(np.random.default_rng(6),) if method == "train" else () for _ in "12"]
        np.testing.assert_array_equal(
            getattr(first, method)(channels_first(X, 5, 6), *rng[0]),
            channels_first(getattr(last, method)(X, *rng[1]), n_down, n_across),
        )


@pytest.mark.parametrize(
    "name", ["shift", "flip", "crop", "fractional", "fractional disjoint"]
)
def test_channels_get_the_same_geometry(name):
    part = started(PARTS[name][0], 60)
    X = np.repeat(values(20, 30), 2, axis=1)
    noisy = part.train(X, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy[:, ::2], noisy[:, 1::2])


@every_case
def test_a_started_part_survives_pickling(part, n_outputs, channels):
    part = started_case(part, channels)
    copy = pickle.loads(pickle.dumps(part))
    X = values()
    np.testing.assert_array_equal(copy.predict(X), part.predict(X))
    np.testing.assert_array_equal(
        copy.train(X, np.random.default_rng(0)), part.train(X, np.random.default_rng(0))
    )


@every_name
def test_images_are_square_and_grey_by_default(name):
    part = NOISES[name]()
    part.check()
    rng = np.random.default_rng(0)
    n_outputs = part.start(64, rng)
    assert part.train(values(3, 64), rng).shape == (3, n_outputs)


@every_case
def test_a_part_makes_negative_values_only_if_it_says_so(part, n_outputs, channels):
    part = started_case(part, channels)
    rng = np.random.default_rng(0)
    X = values()
    outputs = (part.train(X, rng), part.sample(X, rng), part.predict(X))
    assert part.keeps_non_negative() == (min(map(np.min, outputs)) >= 0)


def test_a_shift_that_fills_with_a_negative_value_says_so():
    assert not RandomShift(fill=-1.0).keeps_non_negative()


@every_name
def test_only_stochastic_pooling_needs_inputs_of_at_least_0(name):
    assert NOISES[name].needs_non_negative == (name == "stochastic_pooling")


# Gaussian noise


def test_gaussian_noise_has_its_standard_deviation():
    part = started(GaussianNoise(std=0.3), 50)
    X = values(2000, 50)
    noise = part.train(X, np.random.default_rng(0)) - X
    n = noise.size
    assert abs(noise.mean()) < 4 * 0.3 / np.sqrt(n)
    assert abs(noise.std() - 0.3) < 4 * 0.3 / np.sqrt(2 * n)
    # The noise differs between rows and between columns.
    assert len(np.unique(noise.round(12))) > 0.99 * n


def test_gaussian_noise_of_no_size_adds_nothing():
    X = values()
    part = started(GaussianNoise(std=0), 60)
    np.testing.assert_array_equal(part.train(X, np.random.default_rng(0)), X)


def test_gaussian_sample_adds_one_vector_to_all_rows():
    X = values()
    part = started(GaussianNoise(), 60)
    noise = part.sample(X, np.random.default_rng(0)) - X
    np.testing.assert_allclose(noise, np.broadcast_to(noise[0], X.shape), atol=1e-15)
    assert len(np.unique(noise[0])) == 60


def test_gaussian_noise_is_absent_at_prediction():
    X = values()
    np.testing.assert_array_equal(started(GaussianNoise(), 60).predict(X), X)


# Shifts


NINE = np.arange(1.0, 10).reshape(1, 9)  # 123 / 456 / 789


@pytest.mark.parametrize(
    ("down", "right", "expected"),
    [
        (0, 0, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (1, 0, [0, 0, 0, 1, 2, 3, 4, 5, 6]),
        (-1, 0, [4, 5, 6, 7, 8, 9, 0, 0, 0]),
        (0, 1, [0, 1, 2, 0, 4, 5, 0, 7, 8]),
        (0, -1, [2, 3, 0, 5, 6, 0, 8, 9, 0]),
        (1, 1, [0, 0, 0, 0, 1, 2, 0, 4, 5]),
        (-2, 2, [0, 0, 7, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_shift_by_a_known_amount(down, right, expected):
    part = started(RandomShift(max_shift=2), 9)
    np.testing.assert_array_equal(
        part.apply(NINE, np.array([[down, right]])), [expected]
    )


def test_shift_fills_with_what_it_is_told():
    part = started(RandomShift(max_shift=1, fill=-1.0), 9)
    np.testing.assert_array_equal(
        part.apply(NINE, np.array([[1, 0]])), [[-1, -1, -1, 1, 2, 3, 4, 5, 6]]
    )


def test_every_row_has_its_own_shift():
    part = started(RandomShift(max_shift=1), 9)
    shifts = np.array([[0, 1], [-1, 0]])
    np.testing.assert_array_equal(
        part.apply(np.repeat(NINE, 2, axis=0), shifts),
        [[0, 1, 2, 0, 4, 5, 0, 7, 8], [4, 5, 6, 7, 8, 9, 0, 0, 0]],
    )


def test_all_shifts_are_equally_likely():
    part = started(RandomShift(max_shift=(1, 2)), 9)
    shifts = part.draw(6000, np.random.default_rng(0))
    places, counts = np.unique(shifts, axis=0, return_counts=True)
    assert places.min(axis=0).tolist() == [-1, -2]
    assert places.max(axis=0).tolist() == [1, 2]
    assert len(places) == 3 * 5
    assert chisquare(counts).pvalue > 1e-3


def test_shift_of_no_size_and_prediction_move_nothing():
    still = started(RandomShift(max_shift=0), 9)
    np.testing.assert_array_equal(still.train(NINE, np.random.default_rng(0)), NINE)
    np.testing.assert_array_equal(started(RandomShift(), 9).predict(NINE), NINE)


# Flips


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("horizontal", [3, 2, 1, 6, 5, 4, 9, 8, 7]),
        ("vertical", [7, 8, 9, 4, 5, 6, 1, 2, 3]),
        ("both", [9, 8, 7, 6, 5, 4, 3, 2, 1]),
    ],
)
def test_flip_by_hand(axis, expected):
    part = started(RandomFlip(axis=axis, probability=1.0), 9)
    flipped = part.train(NINE, np.random.default_rng(0))
    np.testing.assert_array_equal(flipped, [expected])
    np.testing.assert_array_equal(part.train(flipped, np.random.default_rng(1)), NINE)


@pytest.mark.parametrize("axis", ["horizontal", "vertical", "both"])
def test_two_equal_flips_cancel(axis):
    part = started(RandomFlip(**IMAGE, axis=axis), 60)
    X = values()
    once = part.train(X, np.random.default_rng(2))
    assert not np.array_equal(once, X)
    np.testing.assert_array_equal(part.train(once, np.random.default_rng(2)), X)


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5])
def test_flips_have_their_probability(probability):
    part = started(RandomFlip(axis="both", probability=probability), 9)
    flips = part.draw(4000, np.random.default_rng(0))
    error = np.sqrt(probability * (1 - probability) / 4000)
    assert np.all(np.abs(flips.mean(axis=0) - probability) <= 4 * error)
    # The two directions are independent.
    assert abs(np.prod(flips, axis=1).mean() - probability**2) <= 4 * error


def test_flips_are_absent_at_prediction():
    part = started(RandomFlip(probability=1.0), 9)
    np.testing.assert_array_equal(part.predict(NINE), NINE)


# Crops


def test_crop_by_hand():
    part = started(RandomCrop(crop_shape=2), 9)
    for corner, expected in [
        ((0, 0), [1, 2, 4, 5]),
        ((0, 1), [2, 3, 5, 6]),
        ((1, 0), [4, 5, 7, 8]),
        ((1, 1), [5, 6, 8, 9]),
    ]:
        np.testing.assert_array_equal(part.apply(NINE, np.array([corner])), [expected])


@pytest.mark.parametrize(
    ("crop_shape", "expected"),
    [((1, 1), [5]), ((3, 1), [2, 5, 8]), (2, [1, 2, 4, 5]), (3, NINE[0])],
)
def test_the_centre_is_cut_out_at_prediction(crop_shape, expected):
    part = started(RandomCrop(crop_shape=crop_shape), 9)
    np.testing.assert_array_equal(part.predict(NINE), [expected])


def test_all_places_of_a_crop_are_equally_likely():
    part = started(RandomCrop(image_shape=(4, 5), crop_shape=(3, 2)), 20)
    X = np.repeat(np.arange(20.0)[None], 8000, axis=0)
    crops = part.train(X, np.random.default_rng(0))
    places, counts = np.unique(crops[:, 0], return_counts=True)
    assert places.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    ("image_shape", "n_outputs"),
    [((32, 32, 3), 28 * 28 * 3), ((28, 28), 24 * 24), ((8, 8), 7 * 7), ((1, 16), 14)],
)
def test_a_crop_is_seven_eighths_by_default(image_shape, n_outputs):
    part = RandomCrop(image_shape=image_shape)
    rng = np.random.default_rng(0)
    assert part.start(int(np.prod(image_shape)), rng) == n_outputs


# Errors


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (GaussianNoise(std=-0.1), "'std' parameter of GaussianNoise.*Got -0.1"),
        (GaussianNoise(std=np.inf), "'std' parameter of GaussianNoise.*Got inf"),
        (RandomShift(image_shape=8), "'image_shape' parameter of RandomShift.*Got 8"),
        (RandomShift(image_shape=(8,)), r"must hold 2 or 3 integers.*Got \(8,\)"),
        (RandomShift(image_shape=(8, 0)), r"at least 1. Got \(8, 0\)"),
        (RandomShift(image_shape=(8, 8.0)), r"integers of at least 1. Got \(8, 8.0\)"),
        (RandomShift(max_shift=-1), "'max_shift' parameter of RandomShift.*Got -1"),
        (RandomShift(max_shift=(1, 1, 1)), "'max_shift'.*must hold 2 integers"),
        (RandomShift(fill=np.nan), "'fill' parameter of RandomShift.*Got nan"),
        (RandomFlip(axis="left"), "'axis' parameter of RandomFlip.*Got 'left'"),
        (RandomFlip(probability=1.5), "'probability' parameter of RandomFlip.*Got 1.5"),
        (RandomFlip(channels="middle"), "'channels' parameter of RandomFlip"),
        (RandomCrop(crop_shape=0), "'crop_shape' parameter of RandomCrop.*Got 0"),
        (RandomCrop(crop_shape=(0, 1)), r"'crop_shape'.*Got \(0, 1\)"),
        (StochasticPooling(pool_shape=(2, 0)), r"'pool_shape'.*Got \(2, 0\)"),
        (FractionalMaxPooling(ratio=2.0), "'ratio' parameter of Frac.*Got 2.0"),
        (FractionalMaxPooling(ratio=1), "'ratio' parameter of Frac.*Got 1"),
        (FractionalMaxPooling(n_regions=0), "'n_regions' parameter of Frac.*Got 0"),
    ],
)
def test_a_wrong_parameter_raises(part, message):
    with pytest.raises(ValueError, match=message):
        part.check()


@pytest.mark.parametrize(
    ("part", "n_features", "message"),
    [
        (
            RandomFlip(image_shape=(8, 8)),
            63,
            r"RandomFlip\(image_shape=\(8, 8\)\) takes .* 64 values, .* 63 inputs",
        ),
        (RandomFlip(), 63, "square images of one channel, but 63 is not"),
        (
            RandomShift(max_shift=8),
            64,
            r"RandomShift\(max_shift=8\) can move images of height 8 and width 8 out",
        ),
        (
            RandomShift(image_shape=(1, 64)),
            64,
            r"max_shift=1\).*height 1 and width 64 .*a pair",
        ),
        (
            RandomCrop(crop_shape=(8, 9)),
            64,
            r"crop_shape=\(8, 9\)\) is larger than the images of height 8 and width 8",
        ),
        (
            StochasticPooling(image_shape=(1, 64)),
            64,
            r"pool_shape=2\) has regions larger than .* height 1 and width 64",
        ),
        (
            FractionalMaxPooling(ratio=1.05),
            64,
            r"ratio=1.05\) does not shrink images of height 8 and width 8",
        ),
    ],
)
def test_a_part_that_doesn_t_fit_the_inputs_raises(part, n_features, message):
    part.check()
    with pytest.raises(ValueError, match=message):
        part.start(n_features, np.random.default_rng(0))


def test_shapes_may_be_lists_and_parts_are_not_changed():
    part = RandomShift(image_shape=[5, 6, 2], max_shift=[1, 2])
    before = repr(part)
    part.check()
    part.start(60, np.random.default_rng(0))
    assert repr(part) == before
    X = values()
    np.testing.assert_array_equal(
        part.train(X, np.random.default_rng(0)),
        started(PARTS["shift"][0], 60).train(X, np.random.default_rng(0)),
    )
