"""Piecewise linear encoding, which networks and transformers share."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknn_notes._encoding import (
    component_scales,
    encode,
    n_components,
    quantile_edges,
)


def columns(rng, n=100):
    gaps = np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))
    few = rng.integers(0, 4, n)
    return np.column_stack(
        [rng.normal(size=n), np.ones(n), rng.integers(0, 2, n), few, gaps]
    )


def test_by_hand():
    edges = [np.array([0.0, 1.0, 3.0]), None]
    X = np.array([[-1.0, 7], [0, 7], [0.5, 7], [1, 7], [2, 7], [4, 7], [np.nan, 7]])
    expected = [[0, 0], [0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [np.nan, np.nan]]
    assert n_components(edges) == 2
    assert_array_equal(encode(X, edges), expected)
    open_ends = encode(X, edges, clip_ends=False)
    assert_array_equal(open_ends[:3], [[-1, 0], [0, 0], [0.5, 0]])
    assert_array_equal(open_ends[5], [1, 1.5])


def test_edges_are_quantiles_of_what_is_not_nan():
    X = columns(np.random.default_rng(0))
    edges = quantile_edges(X, 8)
    assert [each is None for each in edges] == [False, True, True, False, False]
    assert len(edges[3]) < 9
    for j in (0, 3, 4):
        x = X[~np.isnan(X[:, j]), j]
        shares = np.arange(9) / 8
        expected = np.quantile(x, shares, method="averaged_inverted_cdf")
        assert_allclose(edges[j], np.unique(expected))


@pytest.mark.parametrize("factor", [1, 0.37])
def test_weights_are_rows(factor):
    rng = np.random.default_rng(1)
    X, weights = columns(rng), rng.integers(0, 3, 100)
    repeated = np.repeat(X, weights, axis=0)
    edges, expected = quantile_edges(X, 8, weights), quantile_edges(repeated, 8)
    for a, b in zip(edges, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert_array_equal(a, b)
    scales = component_scales(X, edges, weights * factor)
    assert_allclose(scales, component_scales(repeated, edges))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standardized_components(dtype):
    X = columns(np.random.default_rng(2)).astype(dtype)
    edges = quantile_edges(X, 5)
    components = encode(X, edges)
    assert components.dtype == dtype
    mean, scale = component_scales(X, edges)
    Z = (components - mean) / scale
    assert_allclose(np.nanmean(Z, axis=0), 0, atol=1e-5)
    assert_allclose(np.nanstd(Z, axis=0), 1, rtol=1e-5)


def test_edges_closer_than_the_dtype_holds():
    edges = [np.array([1.0, 1 + 1e-12, 2.0])]
    X = np.array([[1.0], [1.5], [2.0]], np.float32)
    assert_array_equal(encode(X, edges), [[0, 0], [1, 0.5], [1, 1]])


def test_stack_of_models():
    X = columns(np.random.default_rng(3)).reshape(2, 50, 5)
    edges = quantile_edges(X[0], 4)
    assert_array_equal(encode(X, edges)[1], encode(X[1], edges))
