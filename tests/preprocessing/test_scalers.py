"""Centerer, Standardizer and MinMaxNormalizer against their definitions."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets, preprocessing

from sknn_notes import Centerer, MinMaxNormalizer, Standardizer

NEEDS_RANDOM_ARRAY = pytest.mark.needs("scipy>=1.12", "it has sparse.random_array")


@pytest.fixture
def images():
    """Six flattened images of 3 x 4 pixels and 2 channels, channels last."""
    return np.random.default_rng(0).normal(5, 2, size=(6, 3, 4, 2))


def awkward_data():
    rng = np.random.default_rng(1)
    ill = rng.normal(size=(80, 6)) * np.logspace(-6, 6, 6) + 1.0
    rank_one = np.outer(rng.normal(size=50), rng.normal(size=4)) + 3
    return {
        "digits": datasets.load_digits().data,
        "breast_cancer": datasets.load_breast_cancer().data,
        "wine": datasets.load_wine().data,
        "ill_conditioned": ill,
        "rank_one": rank_one,
    }


@pytest.fixture(params=awkward_data())
def X(request):
    return awkward_data()[request.param]


def test_agrees_with_standard_scaler(X):
    for options in ({}, {"with_mean": False}, {"with_std": False}):
        ours = Standardizer(**options).fit(X)
        theirs = preprocessing.StandardScaler(**options).fit(X)
        np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-8)
        if ours.with_std:
            np.testing.assert_allclose(ours.var_, theirs.var_, rtol=1e-9)
            np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-9)
        assert ours.n_samples_seen_ == theirs.n_samples_seen_ == len(X)


def test_agrees_with_min_max_scaler(X):
    ours = MinMaxNormalizer((0, 1)).fit(X)
    theirs = preprocessing.MinMaxScaler().fit(X)
    varies = theirs.data_range_ > 0
    for name in ("data_min_", "data_max_", "data_range_", "scale_", "min_"):
        mine, other = getattr(ours, name)[varies], getattr(theirs, name)[varies]
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        ours.transform(X)[:, varies], theirs.transform(X)[:, varies], atol=1e-9
    )


@pytest.mark.parametrize("channels", ["last", "first"])
def test_statistics_per_channel(images, channels):
    ordered = images if channels == "last" else images.transpose(0, 3, 1, 2)
    X = ordered.reshape(6, -1)
    options = {"per": "channel", "n_channels": 2, "channels": channels}
    mean, std = images.mean((0, 1, 2)), images.std((0, 1, 2))
    low, high = images.min((0, 1, 2)), images.max((0, 1, 2))

    def restored(Z):
        Z = Z.reshape(ordered.shape)
        return Z if channels == "last" else Z.transpose(0, 2, 3, 1)

    centerer = Centerer(**options).fit(X)
    np.testing.assert_allclose(centerer.mean_, mean)
    np.testing.assert_allclose(restored(centerer.transform(X)), images - mean)
    standardizer = Standardizer(**options).fit(X)
    np.testing.assert_allclose(standardizer.scale_, std)
    np.testing.assert_allclose(
        restored(standardizer.transform(X)), (images - mean) / std
    )
    normalizer = MinMaxNormalizer(**options).fit(X)
    np.testing.assert_allclose(
        restored(normalizer.transform(X)), 2 * (images - low) / (high - low) - 1
    )
    np.testing.assert_allclose(normalizer.inverse_transform(normalizer.transform(X)), X)


def test_statistics_over_all_the_data(images):
    X = images.reshape(6, -1)
    centerer = Centerer(per="all").fit(X)
    np.testing.assert_allclose(centerer.mean_, [X.mean()])
    np.testing.assert_allclose(centerer.transform(X), X - X.mean())
    for ddof in (0, 1):
        standardizer = Standardizer(per="all", ddof=ddof).fit(X)
        np.testing.assert_allclose(standardizer.scale_, [X.std(ddof=ddof)])
    Z = MinMaxNormalizer(per="all").fit_transform(X)
    assert Z.min() == pytest.approx(-1)
    assert Z.max() == pytest.approx(1)


def test_ddof():
    X = np.array([[1.0], [2.0], [4.0]])
    assert Standardizer(ddof=1).fit(X).var_ == pytest.approx(X.var(ddof=1))
    # One sample has no spread, whatever the divisor.
    assert Standardizer(ddof=1).fit(X[:1]).scale_ == [1.0]


@pytest.mark.parametrize("value", [0.0, 0.1, -1e8 / 3, 1e-300])
@pytest.mark.parametrize("n_samples", [1, 3, 1000])
def test_constant_features(value, n_samples):
    X = np.full((n_samples, 2), value)
    later = X[:1] + 0.25
    centerer = Centerer().fit(X)
    np.testing.assert_array_equal(centerer.mean_, [value] * 2)
    standardizer = Standardizer().fit(X)
    np.testing.assert_array_equal(standardizer.scale_, 1)
    np.testing.assert_array_equal(standardizer.var_, 0)
    np.testing.assert_array_equal(standardizer.transform(X), 0)
    np.testing.assert_array_equal(standardizer.transform(later), later - value)
    normalizer = MinMaxNormalizer((0, 4)).fit(X)
    np.testing.assert_array_equal(normalizer.scale_, 4)
    np.testing.assert_array_equal(normalizer.transform(X), 2)
    np.testing.assert_allclose(normalizer.transform(later), 2 + 4 * (later - value))
    np.testing.assert_allclose(
        normalizer.inverse_transform(normalizer.transform(later)), later
    )


def test_rounding_is_not_spread():
    X = np.array([[0.3, 1e8], [0.1 + 0.2, 1e8 + 1.0]])
    assert Standardizer().fit(X).scale_.tolist() == [1.0, 0.5]


def test_min_max_range_and_clip():
    X = np.array([[0.0], [10.0]])
    unseen = np.array([[-5.0], [5.0], [20.0], [np.nan]])
    free = MinMaxNormalizer().fit(X).transform(unseen)
    np.testing.assert_allclose(free.ravel(), [-2, 0, 3, np.nan])
    clipped = MinMaxNormalizer(clip=True).fit(X).transform(unseen)
    np.testing.assert_allclose(clipped.ravel(), [-1, 0, 1, np.nan])
    assert MinMaxNormalizer((2, 6)).fit(X).transform(X).ravel().tolist() == [2, 6]


def test_nan_is_ignored_in_fit_and_kept(X):
    X = X.copy()
    mask = np.random.default_rng(2).random(X.shape) < 0.2
    X[mask] = np.nan
    ours, theirs = Standardizer().fit(X), preprocessing.StandardScaler().fit(X)
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-8)
    np.testing.assert_array_equal(ours.n_samples_seen_, theirs.n_samples_seen_)
    normalizer = MinMaxNormalizer().fit(X)
    np.testing.assert_array_equal(normalizer.data_max_, np.nanmax(X, axis=0))
    for scaler in (ours, normalizer, Centerer().fit(X)):
        np.testing.assert_array_equal(np.isnan(scaler.transform(X)), mask)


def test_nan_pooled_over_groups():
    X = np.array([[1.0, np.nan, 3.0, 5.0], [np.nan, np.nan, 7.0, 2.0]])
    assert Centerer(per="all").fit(X).mean_ == pytest.approx(np.nanmean(X))
    assert Standardizer(per="all").fit(X).scale_ == pytest.approx(np.nanstd(X))
    pair = Standardizer(per="channel", n_channels=2, channels="first").fit(X)
    np.testing.assert_allclose(pair.mean_, [1.0, 4.25])
    assert MinMaxNormalizer(per="all").fit(X).data_max_ == [7.0]


def test_a_feature_without_values_is_nan():
    X = np.array([[np.nan, 1.0], [np.nan, 3.0]])
    for scaler in (Centerer(), Standardizer(), MinMaxNormalizer()):
        Z = scaler.fit(X).transform(X)
        assert np.isnan(Z[:, 0]).all()
        assert np.isfinite(Z[:, 1]).all()
    late = Centerer().fit(X).partial_fit([[4.0, 5.0]])
    np.testing.assert_allclose(late.mean_, [4.0, 3.0])


@pytest.mark.parametrize("per", ["feature", "all"])
def test_weights_act_as_repetitions(per):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(30, 3)) + 10
    X[rng.random(X.shape) < 0.1] = np.nan
    weight = rng.integers(0, 4, size=30)
    repeated = np.repeat(X, weight, axis=0)
    for ddof in (0, 1):
        one = Standardizer(per=per, ddof=ddof).fit(X, sample_weight=weight)
        two = Standardizer(per=per, ddof=ddof).fit(repeated)
        np.testing.assert_allclose(one.mean_, two.mean_)
        np.testing.assert_allclose(one.var_, two.var_)
        np.testing.assert_allclose(one.n_samples_seen_, two.n_samples_seen_)
    weighted = Centerer(per=per).fit(X, sample_weight=weight)
    np.testing.assert_allclose(weighted.mean_, one.mean_)


def test_invalid_weights_raise():
    X = np.eye(3)
    for bad in (np.zeros(3), [1, -1, 1], [1, 2], np.ones((3, 3)), [1, np.nan, 1]):
        with pytest.raises(ValueError, match=r"[Ww]eight"):
            Standardizer().fit(X, sample_weight=bad)
    fitted = Centerer().fit(X).partial_fit(X + 9, sample_weight=np.zeros(3))
    np.testing.assert_allclose(fitted.mean_, X.mean(axis=0))


@pytest.mark.parametrize(
    "container",
    [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array],
    ids=lambda container: container.__name__,
)
@pytest.mark.parametrize("per", ["feature", "all"])
def test_sparse_standardization_keeps_zeros(container, per):
    rng = np.random.default_rng(4)
    X = np.where(rng.random((50, 6)) < 0.3, rng.normal(2, 3, (50, 6)), 0.0)
    X[:, 4], X[:, 5] = 0.0, 7.0
    X[3, 0] = np.nan
    weight = rng.random(50)
    dense = Standardizer(per=per, with_mean=False).fit(X, sample_weight=weight)
    S = container(X)
    fitted = Standardizer(per=per, with_mean=False).fit(S, sample_weight=weight)
    np.testing.assert_allclose(fitted.scale_, dense.scale_)
    np.testing.assert_allclose(fitted.n_samples_seen_, dense.n_samples_seen_)
    Z = fitted.transform(S)
    assert isinstance(Z, container)
    np.testing.assert_allclose(Z.toarray(), dense.transform(X))
    np.testing.assert_allclose(fitted.inverse_transform(Z).toarray(), X)
    in_place = fitted.set_params(copy=False).transform(S)
    assert in_place.data is S.data
    S32 = fitted.set_params(copy=True).transform(container(X.astype(np.float32)))
    assert S32.dtype == np.float32


@NEEDS_RANDOM_ARRAY
def test_sparse_chunks_and_infinity():
    X = sparse.random_array((60, 5), density=0.2, random_state=0, format="csr")
    whole = Standardizer(with_mean=False).fit(X)
    parts = Standardizer(with_mean=False)
    for start in range(0, 60, 7):
        parts.partial_fit(X[start : start + 7])
    np.testing.assert_allclose(parts.var_, whole.var_)
    X.data[0] = np.inf
    for call in (whole.fit, whole.transform):
        with pytest.raises(ValueError, match="infinity"):
            call(X)


def test_with_mean_changed_after_fit_changes_nothing_before_the_next():
    X = np.random.default_rng(0).normal(size=(50, 4)) + 3
    standardizer = Standardizer(with_mean=False, with_std=False).fit(X)
    standardizer.set_params(with_mean=True)
    np.testing.assert_array_equal(standardizer.transform(X), X)


RANGES = [(-1, 1), (0, 1), (-0.5, 0.6), (-1, 0), (0.1, 0.9), (1e-9, 1), (-3, 1e-7)]


@pytest.mark.parametrize("feature_range", RANGES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_training_data_ends_exactly_at_the_ends_of_the_range(
    feature_range, dtype, offset
):
    rng = np.random.default_rng(0)
    X = (rng.random(size=(300, 40)) * 50 + offset + rng.random(40)).astype(dtype)
    normalizer = MinMaxNormalizer(feature_range).fit(X)
    Z = normalizer.transform(X)
    low, high = np.asarray(feature_range, dtype=Z.dtype)
    np.testing.assert_array_equal(Z.min(axis=0), low)
    np.testing.assert_array_equal(Z.max(axis=0), high)
    order = np.argsort(X, axis=0)
    assert (np.diff(np.take_along_axis(Z, order, axis=0), axis=0) >= -1e-7).all()
    # Unseen values may leave it.
    wide = np.vstack([X.min(axis=0) - 9.0, X.max(axis=0) + 9.0])
    Z = normalizer.transform(wide)
    assert (Z[0] < low).all()
    assert (Z[1] > high).all()
    clipped = normalizer.set_params(clip=True).transform(wide)
    np.testing.assert_array_equal(clipped, [[low] * 40, [high] * 40])


@pytest.mark.parametrize("seed", range(3))
def test_times_within_a_millisecond(seed):
    share = np.random.default_rng(seed).random((100, 1))
    share[:2] = [[0.0], [1.0]]
    for start in (1.7e9, 1.7e12):
        X = start + 1e-3 * np.round(share * 2**10) / 2**10 * start / 1.7e9
        Z = MinMaxNormalizer((0, 1)).fit_transform(X)
        exact = [
            float((Fraction(x) - Fraction(X.min())) / Fraction(np.ptp(X)))
            for x in X[:, 0].tolist()
        ]
        np.testing.assert_allclose(Z[:, 0], exact, rtol=1e-15)


@pytest.mark.parametrize("start", [1.7e18, -1.7e18, 2.0**53])
def test_few_distinct_values_far_from_zero_are_not_constant(start):
    X = start + np.spacing(abs(start)) * np.arange(8)[:, None]
    assert len(np.unique(X)) == 8
    Z = MinMaxNormalizer((0, 7)).fit_transform(X)
    np.testing.assert_allclose(Z[:, 0], np.arange(8), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Standardizer(), preprocessing.StandardScaler()),
        (Centerer(), preprocessing.StandardScaler(with_std=False)),
        (MinMaxNormalizer((0, 1)), preprocessing.MinMaxScaler()),
        (MinMaxNormalizer(), preprocessing.MinMaxScaler((-1, 1))),
    ],
    ids=["Standardizer", "Centerer", "MinMax01", "MinMax"],
)
def test_whole_numbers_come_back_as_exactly_as_from_scikit_learn(dtype, ours, theirs):
    rng = np.random.default_rng(0)
    wrong, error = np.zeros(2), np.zeros(2)
    for largest in (2, 31, 255, 1000, 4321, 100_000):
        X = rng.integers(-largest // 3, largest, size=(40, 500)).astype(dtype)
        for i, scaler in enumerate((ours, theirs)):
            back = scaler.inverse_transform(scaler.fit_transform(X))
            wrong[i] += np.count_nonzero(back != X)
            error[i] = max(error[i], np.abs(back - X).max() / largest)
    # Which ones round wrongly is chance.
    assert wrong[0] <= 1.1 * wrong[1]
    assert error[0] <= 1.1 * error[1]


@NEEDS_RANDOM_ARRAY
@pytest.mark.parametrize("layout", ["csr", "csc"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sparse_fit_copies_at_most_its_values_to_float64(layout, dtype):
    X = sparse.random_array(
        (40_000, 100), density=0.1, format=layout, dtype=dtype, random_state=0
    )
    standardizer = Standardizer(with_mean=False)
    standardizer.fit(X)
    tracemalloc.start()
    standardizer.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    copied = 0 if dtype == np.float64 else 8 * X.nnz
    assert peak < copied + 0.2 * size
    dense = Standardizer().fit(X.toarray())
    np.testing.assert_allclose(standardizer.var_, dense.var_, rtol=1e-12)
    np.testing.assert_allclose(standardizer.mean_, dense.mean_, rtol=1e-12)


@pytest.mark.parametrize("layout", ["csr", "csc"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_statistics_are_those_of_the_dense_matrix(layout, dtype):
    rng = np.random.default_rng(0)
    X = np.where(rng.random((50, 6)) < 0.4, rng.normal(1e3, 1, (50, 6)), 0.0)
    X[:, 0], X[20:31], X[3, 1], X[:, 5] = 0.0, 0.0, np.nan, np.nan
    X[:, 4] = 1e3 / 3
    X = X.astype(dtype)
    for weights in (None, rng.random(50)):
        dense = Standardizer(with_mean=False).fit(X, sample_weight=weights)
        fitted = Standardizer(with_mean=False)
        fitted.fit(sparse.csr_array(X).asformat(layout), sample_weight=weights)
        np.testing.assert_allclose(fitted.mean_, dense.mean_, rtol=1e-13)
        np.testing.assert_allclose(fitted.var_, dense.var_, rtol=1e-11)
        np.testing.assert_allclose(fitted.n_samples_seen_, dense.n_samples_seen_)


def test_half_precision_is_kept_and_fitted_exactly():
    X = np.random.default_rng(0).uniform(0, 100, size=(70_000, 2)).astype(np.float16)
    for scaler in (Centerer(), Standardizer(), MinMaxNormalizer()):
        exact = scaler.fit_transform(X.astype(np.float64))
        Z = scaler.fit(X).transform(X)
        assert Z.dtype == np.float16
        np.testing.assert_allclose(Z, exact, rtol=1e-3, atol=1e-4)
