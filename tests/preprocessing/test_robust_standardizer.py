"""RobustStandardizer against its definition, and its inverse."""

import tracemalloc

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.preprocessing import RobustScaler

from sknn_notes import RobustStandardizer

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def definition(X, Z, clip):
    """Return what ``Z`` becomes with the statistics of the columns of ``X``."""
    low, q25, median, q75, high = np.quantile(
        X, [0, 0.25, 0.5, 0.75, 1], axis=0, method="averaged_inverted_cdf"
    )
    scale = np.where(q75 > q25, q75 - q25, (high - low) / 2)
    z = np.where(scale > 0, (Z - median) / np.where(scale > 0, scale, 1), 0)
    return z if clip is None else z / np.sqrt(1 + (z / clip) ** 2)


def test_by_hand():
    X = np.array([[1.0, 0], [2, 0], [3, 0], [4, 0], [11, 6]])
    standardizer = RobustStandardizer(clip=4).fit(X)
    np.testing.assert_array_equal(standardizer.center_, [3, 0])
    # The second column has quartiles of 0, and half its range is 3.
    np.testing.assert_array_equal(standardizer.scale_, [2, 3])
    z = np.array([[-1, 0], [-0.5, 0], [0, 0], [0.5, 0], [4, 2]])
    expected = z / np.sqrt(1 + z**2 / 16)
    np.testing.assert_allclose(standardizer.transform(X), expected)
    assert standardizer.transform(X)[4, 0] == pytest.approx(4 / np.sqrt(2))
    np.testing.assert_allclose(RobustStandardizer(clip=None).fit_transform(X), z)


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer, load_wine])
@pytest.mark.parametrize("clip", [3.0, 0.7, None])
def test_definition(load, clip):
    X = load().data
    train, test = X[::2], X[1::2]
    standardizer = RobustStandardizer(clip).fit(train)
    for data in (train, test):
        expected = definition(train, data, clip)
        np.testing.assert_allclose(standardizer.transform(data), expected, atol=1e-12)


def test_agrees_with_robust_scaler():
    # With 4 k + 1 rows every definition of quartiles is the same.
    X = np.random.default_rng(0).standard_t(2, size=(101, 5))
    ours, theirs = RobustStandardizer(clip=None).fit(X), RobustScaler().fit(X)
    np.testing.assert_allclose(ours.center_, theirs.center_, rtol=1e-14)
    np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-14)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e8 / 3, 1e-300])
@pytest.mark.parametrize("clip", [3.0, None])
def test_constant_features_map_to_0_and_back(value, clip):
    X = np.full((7, 2), value)
    standardizer = RobustStandardizer(clip).fit(X)
    np.testing.assert_array_equal(standardizer.scale_, 1)
    unseen = np.array([[value + 1, 1e308], [-1e308, np.nan]])
    np.testing.assert_array_equal(standardizer.transform(X), 0)
    np.testing.assert_array_equal(standardizer.transform(unseen), [[0, 0], [0, np.nan]])
    np.testing.assert_array_equal(standardizer.inverse_transform(X * 0 + 0.5), X)


def test_rounding_is_not_spread():
    X = np.full((8, 2), 0.3)
    X[:4] = 0.1 + 0.2
    X[0, 1] = 1.3
    standardizer = RobustStandardizer().fit(X)
    np.testing.assert_allclose(standardizer.scale_, [1, 0.5])
    np.testing.assert_array_equal(standardizer.transform(X)[:, 0], 0)


@pytest.mark.parametrize("size", [1.0, 1e-300, 1e300, 0.25])
@pytest.mark.parametrize("per", ["feature", "all"])
def test_whole_weights_are_repeated_rows(size, per):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3)).round(1)
    X[rng.random(X.shape) < 0.1] = np.nan
    counts = rng.integers(0, 4, size=50)
    weighted = RobustStandardizer(per=per).fit(X, sample_weight=counts)
    repeated = RobustStandardizer(per=per).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_array_equal(weighted.center_, repeated.center_)
    np.testing.assert_array_equal(weighted.scale_, repeated.scale_)
    weights = rng.random(50)
    expected = RobustStandardizer(per=per).fit(X, sample_weight=weights)
    scaled = RobustStandardizer(per=per).fit(X, sample_weight=weights * size)
    np.testing.assert_array_equal(scaled.center_, expected.center_)


@pytest.mark.parametrize("weights", [np.zeros(5), np.full(5, -1.0), np.ones(4)])
def test_bad_weights_raise(weights):
    with pytest.raises(ValueError, match=r"[Ww]eight"):
        RobustStandardizer().fit(np.ones((5, 1)), sample_weight=weights)


def test_missing_values():
    X = np.array([[1.0, np.nan], [2, np.nan], [3, np.nan], [np.nan, np.nan]])
    standardizer = RobustStandardizer().fit(X)
    np.testing.assert_array_equal(standardizer.center_, [2, np.nan])
    Z = standardizer.transform(X)
    np.testing.assert_array_equal(np.isnan(Z), np.isnan(X))
    np.testing.assert_allclose(standardizer.inverse_transform(Z), X)


def test_statistics_per_channel_and_over_all_the_data():
    images = np.random.default_rng(0).normal(size=(6, 12, 2))
    X = images.reshape(6, -1)
    options = {"per": "channel", "n_channels": 2}
    standardizer = RobustStandardizer(**options).fit(X)
    expected = definition(images.reshape(-1, 2), images.reshape(-1, 2), 3)
    np.testing.assert_allclose(standardizer.transform(X), expected.reshape(6, -1))
    flat = X.reshape(-1, 1)
    np.testing.assert_allclose(
        RobustStandardizer(per="all").fit_transform(X),
        definition(flat, flat, 3).reshape(X.shape),
    )


@each_dtype
@pytest.mark.parametrize("clip", [3.0, 0.01, 1e5])
def test_the_inverse_is_exact_to_rounding(dtype, clip):
    eps = np.finfo(dtype).eps
    share = np.logspace(-2, -0.5 * np.log10(8 * eps), 200)
    z = clip * np.concatenate([-share, share])[:, None]
    standardizer = RobustStandardizer(clip).fit(np.arange(4.0)[:, None] / 2)
    assert standardizer.scale_ == [1.0]
    X = (standardizer.center_ + z).astype(dtype)
    z = X.astype(np.float64) - standardizer.center_
    Z = standardizer.transform(X)
    assert (np.abs(Z) < clip).all()
    back = standardizer.inverse_transform(Z)
    error = np.abs(back.astype(np.float64) - X) / np.abs(z)
    bound = 4 * eps * (1 + (z / clip) ** 2) + eps * np.abs(X / z)
    assert (error <= bound)[np.abs(z / clip) < 0.1 / np.sqrt(eps)].all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("copy", [True, False])
def test_outliers_of_any_size_stay_inside_the_bound(dtype, copy):
    largest = np.finfo(dtype).max
    standardizer = RobustStandardizer(copy=copy).fit(np.arange(5.0)[:, None] * 1e-3)
    X = np.array([[largest], [-largest], [largest / 4], [0.004]], dtype=dtype)
    Z = standardizer.transform(X.copy())
    assert Z.dtype == dtype
    # Also as a float64.
    assert (np.abs(Z.astype(np.float64)) < 3).all()
    np.testing.assert_allclose(np.abs(Z[:3]), 3, rtol=5 * np.finfo(dtype).eps)
    assert np.isfinite(standardizer.inverse_transform(Z)).all()


def test_clipping_keeps_the_order():
    X = np.sort(np.random.default_rng(0).standard_cauchy(1000))[:, None]
    Z = RobustStandardizer().fit_transform(X)
    assert (np.diff(Z, axis=0) > 0).all()


@pytest.mark.parametrize("copy", [True, False])
def test_values_beyond_the_bound_have_no_inverse(copy):
    standardizer = RobustStandardizer(2, copy=copy).fit(np.arange(5.0)[:, None])
    for value, message in (
        (2.0, "at or beyond the bound clip=2.*np.clip"),
        (-7, "np.clip"),
        (np.inf, "infinity"),
    ):
        Z = np.array([[0.5], [value], [np.nan]])
        before = Z.copy()
        with pytest.raises(ValueError, match=message):
            standardizer.inverse_transform(Z)
        np.testing.assert_array_equal(Z, before)
    unclipped = RobustStandardizer(None).fit(np.arange(5.0)[:, None])
    np.testing.assert_array_equal(unclipped.inverse_transform([[7.0]]), [[16.0]])


def test_results_that_overflow_raise_without_clipping():
    X = np.array([[1e30]], np.float32)
    train = np.arange(5.0)[:, None] * 1e-30
    with pytest.raises(ValueError, match="overflow float32"):
        RobustStandardizer(None).fit(train).transform(X)
    assert RobustStandardizer().fit(train).transform(X) == pytest.approx(3)


@each_dtype
@pytest.mark.parametrize("order", ["C", "F"])
def test_transform_takes_the_memory_of_its_result(dtype, order):
    X = np.asarray(np.random.default_rng(0).normal(size=(200_000, 8)), dtype, order)
    standardizer = RobustStandardizer().fit(X)
    standardizer.transform(X)
    tracemalloc.start()
    try:
        standardizer.transform(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * X.nbytes + 4_000_000
