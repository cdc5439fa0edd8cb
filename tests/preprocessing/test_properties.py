"""Properties that hold for any data, searched for exceptions by hypothesis."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
)

few_examples = settings(max_examples=25, deadline=None)

SCALERS = [
    Centerer(),
    Centerer(per="all"),
    Standardizer(),
    Standardizer(per="all"),
    Standardizer(per="channel", n_channels=1),
    MinMaxNormalizer(),
    MinMaxNormalizer(per="all"),
]
METHODS = ["pca", "zca", "pca_cor", "zca_cor", "cholesky"]
each_scaler = pytest.mark.parametrize("scaler", SCALERS, ids=str)
each_method = pytest.mark.parametrize("method", METHODS)

# Values of one size to keep tolerances meaningful; sizes themselves are in the
# accuracy tests.
VALUES = st.integers(-1000, 1000).map(lambda k: k / 8)
matrices = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=VALUES
)


@st.composite
def generic(draw, max_features=5):
    """Correlated data with well-separated variances, and its number of samples."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    d = draw(st.integers(1, max_features))
    n = draw(st.integers(4 * d + 4, 60))
    mixing = np.linalg.qr(rng.normal(size=(d, d)))[0] * 2.0 ** np.arange(d)
    return rng.normal(size=(n, d)) @ mixing + rng.normal(scale=10, size=d)


@st.composite
def chunks_of(draw, n_samples):
    """Return slices that split rows anywhere, often into single rows."""
    if draw(st.booleans()):
        return [slice(i, i + 1) for i in range(n_samples)]
    cuts = draw(st.sets(st.integers(1, max(n_samples - 1, 1)), max_size=6))
    ends = [0, *sorted(c for c in cuts if c < n_samples), n_samples]
    return [slice(a, b) for a, b in pairwise(ends)]


def with_missing(draw, X):
    mask = draw(arrays(bool, X.shape))
    return np.where(mask, np.nan, X)


@each_scaler
@few_examples
@given(X=matrices)
def test_round_trip(scaler, X):
    Z = scaler.fit(X).transform(X)
    np.testing.assert_allclose(scaler.inverse_transform(Z), X, atol=1e-10)


@each_scaler
@few_examples
@given(data=st.data(), X=matrices)
def test_any_chunks_give_one_fit(scaler, data, X):
    X = with_missing(data.draw, X)
    weights = None
    extra = {}
    if not isinstance(scaler, MinMaxNormalizer) and data.draw(st.booleans()):
        weights = data.draw(
            arrays(np.float64, len(X), elements=st.floats(0.25, 4, width=16))
        )
    whole = scaler.fit(X, **({} if weights is None else {"sample_weight": weights}))
    expected = {k: v for k, v in vars(whole).items() if k.endswith("_")}
    parts = type(scaler)(**scaler.get_params())
    for rows in data.draw(chunks_of(len(X))):
        if weights is not None:
            extra = {"sample_weight": weights[rows]}
        parts.partial_fit(X[rows], **extra)
    for name, value in expected.items():
        np.testing.assert_allclose(
            getattr(parts, name), value, rtol=1e-12, atol=1e-11, err_msg=name
        )


@each_scaler
@few_examples
@given(X=matrices, seed=st.integers(0, 1000))
def test_the_order_of_samples_does_not_matter(scaler, X, seed):
    order = np.random.default_rng(seed).permutation(len(X))
    expected = scaler.fit(X).transform(X)
    Z = scaler.fit(X[order]).transform(X)
    np.testing.assert_allclose(Z, expected, atol=1e-10)


@each_scaler
@few_examples
@given(X=matrices)
def test_transformed_data_has_the_promised_statistics(scaler, X):
    Z = scaler.fit_transform(X)
    again = type(scaler)(**scaler.get_params()).fit(Z)
    if isinstance(scaler, MinMaxNormalizer):
        varies = scaler.data_range_ > 0
        np.testing.assert_allclose(again.data_min_, np.where(varies, -1, 0), atol=1e-12)
        np.testing.assert_allclose(again.data_max_, np.where(varies, 1, 0), atol=1e-12)
    else:
        np.testing.assert_allclose(again.mean_, 0, atol=1e-11)
    if isinstance(scaler, Standardizer):
        np.testing.assert_allclose(again.scale_, 1, atol=1e-11)
        np.testing.assert_allclose(again.transform(Z), Z, atol=1e-10)


@each_scaler
@few_examples
@given(X=matrices, a=st.sampled_from([0.5, 3.0, -2.0]), b=VALUES)
def test_affine_equivariance(scaler, X, a, b):
    expected = scaler.fit(X).transform(X)
    Z = scaler.fit(a * X + b).transform(a * X + b)
    factor = a if isinstance(scaler, Centerer) else np.sign(a)
    np.testing.assert_allclose(Z, factor * expected, atol=1e-9)


@few_examples
@given(data=st.data(), X=matrices, clip=st.sampled_from([0.1, 3.0, None]))
def test_robust_standardizing(data, X, clip):
    holes = with_missing(data.draw, X)
    scaler = RobustStandardizer(clip).fit(holes)
    Z = scaler.transform(holes)
    np.testing.assert_array_equal(np.isnan(Z), np.isnan(holes))
    size = np.max(np.abs(Z[~np.isnan(Z)]), initial=0)
    assert clip is None or size < clip
    z = RobustStandardizer(None).fit_transform(holes)
    # Rounding grows with the distance from the center.
    z = np.max(np.abs(z[~np.isnan(z)]), initial=0)
    error = 1e-12 * (1 + (z / (clip or 1)) ** 2)
    np.testing.assert_allclose(scaler.inverse_transform(Z), holes, atol=250 * error)
    # Neither order, nor units, nor whole weights matter.
    order = data.draw(st.permutations(range(len(X))))
    again = RobustStandardizer(clip).fit(holes[order])
    np.testing.assert_array_equal(again.transform(holes), Z)
    a, b = data.draw(st.sampled_from([0.5, 3.0, -2.0])), data.draw(VALUES)
    moved = RobustStandardizer(clip).fit_transform(a * holes + b)
    np.testing.assert_allclose(moved, np.sign(a) * Z, atol=1e-9)
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(X))))[: len(X)]
    counts[0] += 1
    weighted = RobustStandardizer(clip).fit(holes, sample_weight=counts)
    repeated = RobustStandardizer(clip).fit(np.repeat(holes, counts, axis=0))
    np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))


@few_examples
@given(
    data=st.data(),
    X=matrices,
    n_bins=st.integers(2, 6),
    bins=st.sampled_from(["quantile", "tree"]),
)
def test_piecewise_linear_encoding(data, X, n_bins, bins):
    holes = with_missing(data.draw, X)
    y = data.draw(arrays(np.float64, len(X), elements=VALUES)) + 0.5
    options = {"keep_inputs": False, "scale": None}
    encoder = PiecewiseLinearEncoder(n_bins, bins=bins, **options)
    Z = encoder.fit(holes, y).transform(X)
    assert Z.shape == (len(X), len(encoder.get_feature_names_out()))
    for x, edges in zip(X.T, encoder.bin_edges_, strict=True):
        passes = edges is None
        n_columns = 0 if passes else len(edges) - 1
        assert n_columns <= n_bins
        assert passes or (np.diff(edges) > 0).all()
    # The components of a feature say all about it, between the ends.
    start = int((encoder.n_bins_ == 0).sum())
    passing = X[:, encoder.n_bins_ == 0]
    np.testing.assert_array_equal(Z[:, :start], passing)
    for x, edges in zip(X.T, encoder.bin_edges_, strict=True):
        if edges is None:
            continue
        own = Z[:, start : start + len(edges) - 1]
        start += len(edges) - 1
        assert own.min() >= 0
        assert own.max() <= 1
        # A component starts where the one before it has ended.
        assert (np.diff(own, axis=1) <= 0).all()
        assert ((own[:, 1:] == 0) | (own[:, :-1] == 1)).all()
        back = edges[0] + own @ np.diff(edges)
        expected = np.clip(x, edges[0], edges[-1])
        np.testing.assert_allclose(back, expected, atol=1e-10)
    order = np.array(data.draw(st.permutations(range(len(X)))))
    if bins == "quantile":
        again = encoder.fit(holes[order]).transform(X)
        np.testing.assert_array_equal(again, Z)


@each_method
@few_examples
@given(X=generic())
def test_whitened_covariance_is_the_identity(method, X):
    whitener = Whitener(method, eps=0).fit(X)
    Z = whitener.transform(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(Z.T @ Z / len(X), np.eye(X.shape[1]), atol=1e-8)
    np.testing.assert_allclose(whitener.inverse_transform(Z), X, atol=1e-8)


@each_method
@pytest.mark.filterwarnings("ignore:eps=0.001 exceeds")
@pytest.mark.filterwarnings("ignore:.*directions map to 0")
@few_examples
@given(X=matrices)
def test_any_data_whitens_to_a_projection(method, X):
    whitener = Whitener(method, eps=1e-3 if method == "cholesky" else 0)
    Z = whitener.fit_transform(X)
    values = np.linalg.eigvalsh(Z.T @ Z / len(X))
    if method == "cholesky":
        assert values.max() <= 1 + 1e-6
    else:
        # Identity on the non-null space and zero off it.
        np.testing.assert_allclose(
            np.minimum(abs(values), abs(values - 1)), 0, atol=1e-4
        )
    assert np.abs(Z).max() <= 1.001 * np.sqrt(len(X))
    np.testing.assert_allclose(whitener.inverse_transform(Z), X, atol=1e-4)


@each_method
@few_examples
@given(data=st.data(), X=generic())
def test_any_chunks_give_one_whitening(method, data, X):
    whole = Whitener(method).fit(X)
    parts = Whitener(method)
    for rows in data.draw(chunks_of(len(X))):
        parts.partial_fit(X[rows])
    np.testing.assert_allclose(parts.mean_, whole.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        parts.explained_variance_, whole.explained_variance_, rtol=1e-9
    )
    np.testing.assert_allclose(
        parts.whitening_matrix(), whole.whitening_matrix(), atol=1e-6
    )
    assert parts.n_samples_seen_ == len(X)


@few_examples
@given(data=st.data(), seed=st.integers(0, 1000), n=st.integers(2, 14))
def test_any_chunks_of_few_samples_give_one_whitening(data, seed, n):
    X = np.random.default_rng(seed).normal(size=(n, 15)) + 3
    whole = Whitener("zca").fit(X)
    parts = Whitener("zca")
    for rows in data.draw(chunks_of(n)):
        parts.partial_fit(X[rows])
    assert parts.components_.shape == whole.components_.shape
    np.testing.assert_allclose(parts.transform(X), whole.transform(X), atol=1e-6)
    # Enough samples later: from the stacked rows to the matrix.
    more = np.random.default_rng(seed + 1).normal(size=(20, 15))
    np.testing.assert_allclose(
        parts.partial_fit(more).transform(more),
        Whitener("zca").fit(np.vstack([X, more])).transform(more),
        atol=1e-6,
    )


@each_method
@few_examples
@given(X=generic(), seed=st.integers(0, 1000))
def test_whitening_ignores_the_order_of_samples(method, X, seed):
    order = np.random.default_rng(seed).permutation(len(X))
    np.testing.assert_allclose(
        Whitener(method).fit(X[order]).transform(X),
        Whitener(method).fit(X).transform(X),
        atol=1e-6,
    )


@few_examples
@given(X=generic(), seed=st.integers(0, 1000), b=VALUES)
def test_zca_turns_with_the_data(X, seed, b):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(X.shape[1],) * 2))[0]
    turned = Whitener("zca").fit_transform(X @ rotation + b)
    expected = Whitener("zca").fit_transform(X) @ rotation
    np.testing.assert_allclose(turned, expected, atol=1e-6)


@few_examples
@given(X=generic())
def test_zca_is_symmetric_and_sign_free(X):
    zca = Whitener("zca").fit(X)
    np.testing.assert_allclose(
        zca.whitening_matrix(), zca.whitening_matrix().T, atol=1e-12
    )
    mirrored = Whitener("zca").fit(-X)
    np.testing.assert_allclose(
        mirrored.whitening_matrix(), zca.whitening_matrix(), atol=1e-9
    )
