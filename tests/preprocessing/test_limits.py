"""Limits of floating point, and weights of any size: correct, or a clear error."""

import numpy as np
import pytest
from sklearn.covariance import OAS, LedoitWolf

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
    preprocessing,
)


@pytest.fixture(params=[np.float64, np.float32, np.int64], ids=lambda t: t.__name__)
def X(request):
    return (np.random.default_rng(0).normal(size=(40, 3)) * 100 + 50).astype(
        request.param
    )


@pytest.mark.parametrize("size", [1e-300, 1e-155, 1e-3, 1e155, 1e300])
def test_the_scale_of_weights_does_not_matter(X, size):
    weights = np.random.default_rng(1).random(40)
    expected = Standardizer().fit(X, sample_weight=weights)
    scaler = Standardizer().fit(X, sample_weight=weights * size)
    np.testing.assert_allclose(scaler.var_, expected.var_, rtol=1e-12)
    np.testing.assert_allclose(scaler.n_samples_seen_, weights.sum() * size)
    stream = Standardizer()
    for rows in (slice(0, 7), slice(7, 40)):
        stream.partial_fit(X[rows], sample_weight=weights[rows] * size)
    np.testing.assert_allclose(stream.var_, expected.var_, rtol=1e-12)
    np.testing.assert_allclose(stream.mean_, expected.mean_, rtol=1e-12)


def test_weights_of_very_different_sizes_in_chunks(X):
    weights = np.r_[np.full(20, 1e150), np.full(20, 1e-150)]
    stream = Standardizer().partial_fit(X[:20], sample_weight=weights[:20])
    stream.partial_fit(X[20:], sample_weight=weights[20:])
    np.testing.assert_allclose(stream.var_, X[:20].astype(float).var(axis=0))
    # Without weights each sample counts as 1.
    stream = Standardizer().partial_fit(X[:20], sample_weight=np.full(20, 2.0**40))
    stream.partial_fit(X[20:])
    weights = np.r_[np.full(20, 2.0**40), np.ones(20)]
    expected = Standardizer().fit(X, sample_weight=weights)
    np.testing.assert_allclose(stream.var_, expected.var_, rtol=1e-12)


def test_weights_whose_sum_overflows_raise(X):
    with pytest.raises(ValueError, match=r"sum of sample_weight overflows.*Divide"):
        Standardizer().fit(X, sample_weight=np.full(40, 1e308))


@pytest.mark.parametrize("total", [1.0, 1.0 + 1e-15, 3.7])
def test_ddof_raises_for_weights_that_do_not_count_samples(X, total):
    weights = np.random.default_rng(1).random(40)
    weights *= total / weights.sum()
    with pytest.raises(ValueError, match=r"ddof=1 counts samples.*ddof=0"):
        Standardizer(ddof=1).fit(X, sample_weight=weights)
    scaler = Standardizer().fit(X, sample_weight=weights)
    with pytest.raises(ValueError, match="ddof=1 counts samples"):
        scaler.set_params(ddof=1).partial_fit(X)
    counts = Standardizer(ddof=1).fit(X, sample_weight=np.arange(40))
    repeated = Standardizer(ddof=1).fit(np.repeat(X, np.arange(40), axis=0))
    np.testing.assert_allclose(counts.var_, repeated.var_)
    # Without a divisor there is nothing to correct.
    Standardizer(ddof=1, with_std=False).fit(X, sample_weight=weights)


@pytest.mark.parametrize("scaler", [Centerer, Standardizer])
@pytest.mark.parametrize("n_chunks", [1, 3])
def test_a_stream_may_start_with_weights_of_zero(X, scaler, n_chunks):
    stream = scaler()
    for _ in range(n_chunks):
        stream.partial_fit(X * 9, sample_weight=np.zeros(40))
    assert np.isnan(stream.mean_).all()
    assert stream.n_samples_seen_ == 0
    weights = np.random.default_rng(1).random(40)
    stream.partial_fit(X, sample_weight=weights)
    whole = scaler().fit(X, sample_weight=weights)
    np.testing.assert_allclose(stream.mean_, whole.mean_, rtol=1e-14)
    np.testing.assert_allclose(stream.transform(X), whole.transform(X), rtol=1e-6)
    with pytest.raises(ValueError, match="zero"):
        scaler().fit(X, sample_weight=np.zeros(40))


@pytest.mark.parametrize("size", [1e-100, 1e100, 1e150])
@pytest.mark.parametrize(
    ("shrinkage", "estimator"), [("oas", OAS()), ("ledoit_wolf", LedoitWolf())]
)
def test_shrinkage_has_no_unit(size, shrinkage, estimator):
    X = np.random.default_rng(0).normal(size=(30, 5)) * [1, 2, 3, 4, 5]
    expected = estimator.fit(X).shrinkage_
    for method in ("pca", "zca_cor"):
        whitener = Whitener(method, eps=0, shrinkage=shrinkage).fit(X * size)
        unscaled = Whitener(method, eps=0, shrinkage=shrinkage).fit(X)
        assert whitener.shrinkage_ == pytest.approx(unscaled.shrinkage_)
    assert Whitener(eps=0, shrinkage=shrinkage).fit(X * size).shrinkage_ == (
        pytest.approx(expected)
    )


@pytest.mark.parametrize("size", [1e200, 1e300, 1e-200])
@pytest.mark.parametrize("per", ["feature", "all"])
def test_centering_squares_nothing(size, per):
    X = np.random.default_rng(0).normal(size=(30, 4)) * size
    with np.errstate(all="raise"):
        centerer = Centerer(per=per).fit(X)
    axis = 0 if per == "feature" else None
    np.testing.assert_allclose(centerer.mean_, np.atleast_1d(X.mean(axis=axis)))


def test_means_that_overflow_when_pooled_raise():
    X = np.array([[1.7e308, -1.7e308]])
    np.testing.assert_array_equal(Centerer().fit(X).mean_, X[0])
    with pytest.raises(ValueError, match="overflow float64"):
        Centerer(per="all").fit(X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "transformer",
    [
        Centerer(),
        Standardizer(),
        MinMaxNormalizer(),
        RobustStandardizer(),
        PiecewiseLinearEncoder(),
        Whitener(),
        Whitener("zca_cor", shrinkage="oas"),
        Whitener("cholesky"),
    ],
    ids=str,
)
def test_no_floating_point_error_comes_from_inside(transformer, dtype):
    whitens = isinstance(transformer, Whitener)
    size = 1e5 if whitens else 1e30
    X = np.random.default_rng(0).normal(size=(50, 4)) * [1 / size, 1e-3, 1.0, size]
    X = X.astype(dtype)
    if whitens:
        transformer.set_params(eps=1e-12)
    with np.errstate(all="raise"):
        Z = transformer.fit_transform(X)
        getattr(transformer, "inverse_transform", np.copy)(Z)
    assert np.isfinite(Z).all()


@pytest.mark.parametrize("copy", [True, False])
def test_results_that_overflow_raise(copy):
    scaler = Standardizer(copy=copy).fit(np.array([[1e-30], [3e-30]]))
    np.testing.assert_allclose(scaler.transform([[1e30]]), 1e60)
    for dtype, value in ((np.float32, 1e30), (np.float16, 3e4), (np.float64, 1e300)):
        with pytest.raises(ValueError, match=f"overflow {dtype.__name__}"):
            scaler.transform(np.array([[value]], dtype=dtype))


# Large values of both signs, whose sum is not finite in their type

# The encoder passes the features on beside their encoding.
KEEP_UNIT = "Centerer", "PiecewiseLinearEncoder"


@pytest.mark.parametrize("name", preprocessing.__all__)
@pytest.mark.parametrize("size", [2.0**126, 2.0**127])
def test_float32_may_be_as_large_as_it_gets(name, size):
    X = np.random.default_rng(0).uniform(-1, 1, size=(60, 3)).astype(np.float32)
    large = X * np.float32(size)
    options = {"eps": 0} if name == "Whitener" else {}
    transformer = getattr(preprocessing, name)(**options)
    expected = transformer.fit_transform(X)
    result = transformer.fit_transform(large)
    assert result.dtype == np.float32
    if name in KEEP_UNIT:
        result[:, :3] /= size
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", preprocessing.__all__)
def test_float64_may_be_as_large_unless_its_squares_matter(name):
    X = np.random.default_rng(0).uniform(-1, 1, size=(60, 3))
    transformer = getattr(preprocessing, name)()
    if name in ("Standardizer", "Whitener"):
        with pytest.raises(ValueError, match=r"overflow float64.*squares.*Divide X"):
            transformer.fit(X * 2.0**1000)
        return
    expected = transformer.fit_transform(X)
    result = transformer.fit_transform(X * 2.0**1000)
    if name in KEEP_UNIT:
        result[:, :3] /= 2.0**1000
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "transformer",
    [Centerer(), Standardizer(), RobustStandardizer(), PiecewiseLinearEncoder()],
    ids=str,
)
def test_weights_that_are_no_floats_raise(transformer, X):
    for weights, reason in [([10**400] * 40, "int too large"), (["a"] * 40, "'a'")]:
        with pytest.raises(ValueError, match=f"sample_weight must hold.*{reason}"):
            transformer.fit(X, sample_weight=weights)


@pytest.mark.parametrize(
    "transformer",
    [
        Centerer(),
        Standardizer(),
        MinMaxNormalizer(),
        RobustStandardizer(),
        PiecewiseLinearEncoder(),
        Whitener(),
    ],
    ids=str,
)
def test_values_that_are_no_floats_raise_without_a_warning(transformer, X):
    transformer.fit(X)
    infinite = np.array([[np.inf, -np.inf, 0.0]] * 2)
    for action in (transformer.fit, transformer.transform):
        for copy in (infinite, infinite.astype(np.float32), infinite.astype(object)):
            with pytest.raises(ValueError, match="infinity"):
                action(copy)
        with pytest.raises(ValueError, match=r"X must hold numbers of at most 1\.8e"):
            action([[10**400, 1.0, 2.0]])
        with pytest.raises(ValueError, match="X must hold numbers; could not convert"):
            action([["a", 1.0, 2.0]])


def test_an_inverse_that_overflows_raises():
    X = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    whitener = Whitener(eps=1e300)
    with pytest.warns(UserWarning, match="eps"):
        whitener.fit(X)
    with pytest.raises(ValueError, match="overflow float32"):
        whitener.inverse_transform(X)


def test_a_range_that_overflows_raises():
    X = 1e9 + np.random.default_rng(0).normal(size=(9, 1))
    with pytest.raises(ValueError, match=r"feature_range=\(0, 1e\+308\) is so wide"):
        MinMaxNormalizer(feature_range=(0, 1e308)).fit(X)


def test_tags_are_there_for_any_value_of_a_parameter():
    scaler = Standardizer(with_mean=np.zeros((2, 2)))
    assert not scaler.__sklearn_tags__().input_tags.sparse
    assert Standardizer(with_mean=np.False_).__sklearn_tags__().input_tags.sparse
