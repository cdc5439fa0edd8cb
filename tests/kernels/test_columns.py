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


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_shows(kernels, X, bad):
    X[-1, -1] = bad
    assert not np.isfinite(kernels.column_moments(X).mean[-1])
    low, high = kernels.column_range(X)
    assert np.isinf(low[-1]) or np.isinf(high[-1])
    ones = np.ones(X.shape[1])
    assert not kernels.affine(X, ones, ones, ones, np.empty_like(X))
    assert not kernels.affine(X, ones, ones, ones, np.empty_like(X), -1.0, 1.0)
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(kernels.centered_gram(X)[0].mean[-1])
        W = np.ones((X.shape[1], 2), dtype=X.dtype)
        out = np.empty((len(X), 2), dtype=X.dtype)
        assert not kernels.project(X, ones, W, out)


@pytest.mark.usefixtures("small_blocks")
def test_affine(kernels, X):
    shift, scale, offset = np.random.default_rng(3).normal(size=(3, X.shape[1]))
    expected = (X.astype(np.float64) - shift) * scale + offset
    out = np.empty_like(X)
    assert kernels.affine(X, shift, scale, offset, out)
    tolerance = 4 * np.finfo(X.dtype).eps
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=100 * tolerance)
    kernels.affine(X, shift, scale, offset, out, -50.0, 60.0)
    np.testing.assert_allclose(
        out, expected.clip(-50, 60), rtol=tolerance, atol=100 * tolerance
    )
    X[0, 0] = np.nan
    assert not kernels.affine(X, shift, scale, offset, X, -50.0, 60.0)
    assert np.isnan(X[0, 0])
    np.testing.assert_array_equal(X.ravel()[1:], out.ravel()[1:])


@pytest.mark.usefixtures("small_blocks")
def test_gram_and_projection(kernels, X):
    moments, gram = kernels.centered_gram(X)
    assert_moments(moments, X)
    centered = X.astype(np.float64) - moments.full_mean()
    np.testing.assert_allclose(gram, centered.T @ centered, rtol=1e-9, atol=1e-7)
    W = np.random.default_rng(4).normal(size=(X.shape[1], 3)).astype(X.dtype)
    out = np.empty((len(X), 3), dtype=X.dtype)
    assert kernels.project(X, moments.full_mean(), W, out)
    tolerance = 1e-4 if X.dtype == np.float32 else 1e-10
    np.testing.assert_allclose(out, centered @ W, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_results_are_written_by_several_threads(monkeypatch, order):
    pytest.importorskip("numba")
    fused = importlib.import_module("sknn_notes._kernels._numba.columns")
    monkeypatch.setattr(fused, "THREAD_SIZE", 100)
    monkeypatch.setattr(fused.config, "NUMBA_NUM_THREADS", 3)
    X = np.asarray(np.random.default_rng(5).normal(size=(101, 7)), order=order)
    shift, scale, offset = np.random.default_rng(3).normal(size=(3, 7))
    out = np.empty_like(X)
    assert fused.affine(X, shift, scale, offset, out)
    np.testing.assert_allclose(out, (X - shift) * scale + offset)


def test_merging_keeps_what_rounding_drops():
    chunks = 1e8 + np.random.default_rng(0).normal(size=(1000, 1, 1))
    moments = reference.Moments(*np.zeros((4, 1)))
    for chunk in chunks:
        moments = reference.merge_moments(moments, reference.column_moments(chunk))
    exact = 1e8 + (chunks - 1e8).mean()
    assert moments.full_mean()[0] == exact
    assert moments.m2[0] == pytest.approx(((chunks - exact) ** 2).sum(), rel=1e-12)
