"""Kernels of column statistics: each set against plain numpy on the whole matrix."""

import importlib

import numpy as np
import pytest

from sknn_notes._kernels._numpy import columns as reference

SETS = ["numpy", "numba"]
SHAPES = [(5000, 7), (3, 600), (900, 50), (1, 1), (7, 1), (5, 1030)]


@pytest.fixture(params=SETS)
def kernels(request):
    pytest.importorskip(request.param)
    return importlib.import_module(f"sknn_notes._kernels._{request.param}.columns")


@pytest.fixture(params=SHAPES, ids=str)
def shape(request):
    return request.param


@pytest.fixture(params=["C", "F"])
def order(request):
    return request.param


@pytest.fixture(params=[np.float64, np.float32], ids=lambda dtype: dtype.__name__)
def dtype(request):
    return request.param


@pytest.fixture
def X(shape, order, dtype):
    values = np.random.default_rng(0).normal(100, 3, size=shape)
    return np.asarray(values, dtype=dtype, order=order)


@pytest.fixture
def small_blocks(monkeypatch):
    """Many blocks even of a small matrix."""
    monkeypatch.setattr(reference, "BLOCK_SIZE", 2000)
    monkeypatch.setattr(reference, "GRAM_SIZE", 2000)
    monkeypatch.setattr(reference, "GRAM_ROWS", 2)
    monkeypatch.setattr(reference, "PROJECT_BYTES", 8000)


def assert_moments(moments, X, weights=None):
    X = X.astype(np.float64)
    weights = np.ones(len(X)) if weights is None else weights
    weight = np.where(np.isnan(X), 0, weights[:, None])
    n = weight.sum(axis=0)
    mean = np.nansum(weight * X, axis=0) / np.where(n > 0, n, 1)
    m2 = np.nansum(weight * (X - mean) ** 2, axis=0)
    np.testing.assert_allclose(moments.n, n, rtol=1e-12)
    np.testing.assert_allclose(moments.full_mean(), mean, rtol=1e-13)
    np.testing.assert_allclose(moments.m2, m2, rtol=1e-11, atol=1e-12)


@pytest.mark.one_in(4)
@pytest.mark.usefixtures("small_blocks")
def test_moments(kernels, X):
    assert_moments(kernels.column_moments(X), X)
    weights = np.random.default_rng(1).random(len(X))
    assert_moments(kernels.column_moments(X, weights), X, weights)


@pytest.mark.usefixtures("small_blocks")
def test_missing_values(kernels, X):
    rng = np.random.default_rng(2)
    # Some blocks of rows are complete, some not, and one column has nothing.
    X[: len(X) // 2][rng.random(X[: len(X) // 2].shape) < 0.3] = np.nan
    X[:, 0] = np.nan
    assert_moments(kernels.column_moments(X), X)
    weights = rng.random(len(X))
    assert_moments(kernels.column_moments(X, weights), X, weights)
    low, high = kernels.column_range(X)
    seen = ~np.isnan(X).all(axis=0)
    np.testing.assert_array_equal(low[seen], np.nanmin(X[:, seen], axis=0))
    np.testing.assert_array_equal(high[seen], np.nanmax(X[:, seen], axis=0))
    assert np.isnan(low[~seen]).all()
    assert np.isnan(high[~seen]).all()


@pytest.mark.usefixtures("small_blocks")
def test_range(kernels, X):
    low, high = kernels.column_range(X)
    np.testing.assert_array_equal(low, X.min(axis=0))
    np.testing.assert_array_equal(high, X.max(axis=0))


@pytest.mark.one_in(4)
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_shows(kernels, X, bad):
    X[-1, -1] = bad
    assert not np.isfinite(kernels.column_moments(X).mean[-1])
    low, high = kernels.column_range(X)
    assert np.isinf(low[-1]) or np.isinf(high[-1])
    ones = np.ones(X.shape[1])
    out = np.empty_like(X)
    assert not kernels.affine(X, ones, ones, ones, ones, out)
    assert not kernels.rescale(X, ones, ones, ones, (-1.0, 1.0), out)
    assert not kernels.rescale(X, ones, ones, ones, (-1.0, 1.0), out, True)
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(kernels.centered_gram(X)[0].mean[-1])
        W = np.ones((X.shape[1], 2), dtype=X.dtype)
        out = np.empty((len(X), 2), dtype=X.dtype)
        assert not kernels.project(X, ones, W, out)


@pytest.mark.usefixtures("small_blocks")
def test_affine(kernels, X):
    shift, divisor, factor, offset = np.random.default_rng(3).uniform(
        1, 2, size=(4, X.shape[1])
    )
    expected = (X.astype(np.float64) - shift) / divisor * factor + offset
    out = np.empty_like(X)
    assert kernels.affine(X, shift, divisor, factor, offset, out)
    np.testing.assert_allclose(out, expected, rtol=6 * np.finfo(X.dtype).eps)
    X[0, 0] = np.nan
    assert not kernels.affine(X, shift, divisor, factor, offset, X)
    assert np.isnan(X[0, 0])
    np.testing.assert_array_equal(X.ravel()[1:], out.ravel()[1:])


@pytest.mark.one_in(4)
@pytest.mark.parametrize("size", [1e-60, 1e60])
def test_affine_maps_that_float32_cannot_hold(kernels, X, size):
    vectors = (np.full(X.shape[1], v) for v in (90 * size, size, 1.0, 2.0))
    out = np.empty_like(X)
    kernels.affine(X, *vectors, out)
    if size > 1:
        np.testing.assert_allclose(out, -88.0)
    else:
        assert (np.abs(out) > 1e30).all()


@pytest.mark.one_in(4)
@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (0.0, 1.0), (-0.5, 0.6), (-1.0, 0.0)])
def test_rescale(kernels, X, bounds):
    a, b = (X.dtype.type(bound) for bound in bounds)
    low, span = X.min(axis=0), np.ptp(X.astype(np.float64), axis=0) + (len(X) == 1)
    start = np.zeros(len(low))
    out = np.empty_like(X)
    assert kernels.rescale(X, low, span, start, bounds, out)
    share = (X.astype(np.float64) - low) / span
    tolerance = 4 * np.finfo(X.dtype).eps
    np.testing.assert_allclose(out, a + share * (b - a), atol=tolerance)
    np.testing.assert_array_equal(out.min(axis=0), a)
    if len(X) > 1:
        np.testing.assert_array_equal(out.max(axis=0), b)
    clipped = np.empty_like(X)
    kernels.rescale(X, low + span / 4, span / 2, start, bounds, clipped, True)
    assert clipped.min() == a
    assert clipped.max() == b or len(X) == 1
    X[0, 0] = np.nan
    assert not kernels.rescale(X, low, span, start, bounds, X)
    assert np.isnan(X[0, 0])
    np.testing.assert_array_equal(X.ravel()[1:], out.ravel()[1:])


@pytest.mark.usefixtures("small_blocks")
def test_gram_and_projection(kernels, X):
    moments, gram = kernels.centered_gram(X)
    assert_moments(moments, X)
    centered = X.astype(np.float64) - moments.full_mean()
    expected = np.triu(centered.T @ centered)
    np.testing.assert_allclose(gram, expected, rtol=1e-9, atol=1e-7)
    half = len(X) // 2
    if half:
        first = kernels.centered_gram(X[:half])
        before = first[1].copy()
        moments, gram = kernels.centered_gram(X[half:], *first)
        np.testing.assert_array_equal(first[1], before)
        assert_moments(moments, X)
        np.testing.assert_allclose(gram, expected, rtol=1e-9, atol=1e-7)
    W = np.random.default_rng(4).normal(size=(X.shape[1], 3)).astype(X.dtype)
    out = np.empty((len(X), 3), dtype=X.dtype)
    assert kernels.project(X, moments.full_mean(), W, out)
    tolerance = 1e-4 if X.dtype == np.float32 else 1e-10
    np.testing.assert_allclose(out, centered @ W, rtol=tolerance, atol=10 * tolerance)


def test_the_rounding_error_of_a_mean_is_not_in_the_gram_matrix(kernels):
    # Near 2**52 there are only integers, so both means are rounded by 1 / 3.
    small = np.array([[0.0, 1], [1, 0], [0, 1]])
    _, gram = kernels.centered_gram(2.0**52 + small)
    np.testing.assert_allclose(np.triu(gram), [[2 / 3, -2 / 3], [0, 2 / 3]], rtol=1e-15)


def test_merging_keeps_what_rounding_drops():
    chunks = 1e8 + np.random.default_rng(0).normal(size=(1000, 1, 1))
    moments = reference.Moments(*np.zeros((4, 1)))
    for chunk in chunks:
        moments = reference.merge_moments(moments, reference.column_moments(chunk))
    exact = 1e8 + (chunks - 1e8).mean()
    assert moments.full_mean()[0] == exact
    assert moments.m2[0] == pytest.approx(((chunks - exact) ** 2).sum(), rel=1e-12)
