"""partial_fit in chunks, and memory maps, for every transformer."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
)
from sknn_notes.preprocessing._covariance import add_rows

# Those whose statistics merge exactly, except for rounding.
MERGING = [
    Centerer(),
    Centerer(per="all"),
    Standardizer(),
    Standardizer(ddof=1, per="channel", n_channels=2),
    MinMaxNormalizer(),
    MinMaxNormalizer(per="all"),
    Whitener(),
    Whitener("zca", shrinkage="oas"),
]
# Those that keep a sample of the rows.
SAMPLING = [
    RobustStandardizer(),
    RobustStandardizer(per="all"),
    RobustStandardizer(None, per="channel", n_channels=2),
    PiecewiseLinearEncoder(),
    PiecewiseLinearEncoder(4, scale=None, keep_inputs=False),
    PiecewiseLinearEncoder(bins="tree"),
]
each_sampling = pytest.mark.parametrize("transformer", SAMPLING, ids=str)
each_transformer = pytest.mark.parametrize("transformer", MERGING + SAMPLING, ids=str)


@pytest.fixture
def X():
    X = np.random.default_rng(0).normal(3, 2, size=(120, 4))
    X[:, 2] = X[:, 2].round()
    X[:, 3] += X[:, 0]
    return X


@pytest.fixture
def y(X):
    return (X[:, 0] > 3) + 1 * (X[:, 1] > 4)


def stream(transformer, ends, X, *others):
    """Return a clone that has seen the rows in chunks, which end where it is said."""
    transformer = clone(transformer)
    for rows in map(slice, [0, *ends], [*ends, len(X)]):
        transformer.partial_fit(X[rows], *(each[rows] for each in others))
    return transformer


@each_transformer
@pytest.mark.parametrize("ends", [[1, 2, 40], [119]], ids=str)
def test_chunks_give_what_one_fit_gives(transformer, ends, X, y):
    whole = clone(transformer).fit(X, y)
    tolerance = 1e-10 if transformer in MERGING else 0.0
    np.testing.assert_allclose(
        stream(transformer, ends, X, y).transform(X),
        whole.transform(X),
        rtol=tolerance,
        atol=tolerance,
    )


@each_sampling
def test_weights_and_missing_values_in_chunks(transformer, X, y):
    X[::7, 1] = np.nan
    weights = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
    whole = clone(transformer).fit(X, y, sample_weight=weights)
    chunks = stream(transformer, [30, 90], X, y, weights)
    np.testing.assert_array_equal(chunks.transform(X), whole.transform(X))


@each_sampling
def test_a_sample_does_not_depend_on_the_chunks(transformer, X, y):
    transformer = clone(transformer).set_params(subsample=50, random_state=3)
    one, other = (
        stream(transformer, ends, X, y) for ends in ([], [10, 49, 51, 52, 100])
    )
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    again = stream(transformer.set_params(random_state=4), [], X, y)
    assert not np.array_equal(one.transform(X), again.transform(X))


def test_a_sample_is_uniform():
    # A median of one row kept is that row.
    X = np.arange(5.0)[:, None]
    kept = [
        stream(RobustStandardizer(subsample=1, random_state=seed), [2], X).center_[0]
        for seed in range(300)
    ]
    counts = np.bincount(np.array(kept, int), minlength=5)
    # Binomial(300, 1 / 5): mean 60, standard deviation 6.9.
    assert np.all(np.abs(counts - 60) < 4 * 6.9)


def test_beyond_the_sample_medians_are_near_and_ranges_exact():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40_000, 3))
    X[777] = 50, -50, 50
    ends = range(1000, 40_000, 1000)
    robust = stream(RobustStandardizer(subsample=2000, random_state=0), ends, X)
    whole = RobustStandardizer().fit(X)
    # Standard errors of 2,000 rows: 0.028 for the median, 0.035 for the quartiles'
    # distance.
    np.testing.assert_allclose(robust.center_, whole.center_, atol=4 * 0.028)
    np.testing.assert_allclose(robust.scale_, whole.scale_, atol=4 * 0.035)
    encoder = stream(PiecewiseLinearEncoder(subsample=2000, random_state=0), ends, X)
    for x, edges in zip(X.T, encoder.bin_edges_, strict=True):
        assert (edges[0], edges[-1]) == (x.min(), x.max())
        shares = np.histogram(x, edges)[0] / len(x)
        np.testing.assert_allclose(np.cumsum(shares), np.arange(1, 9) / 8, atol=0.045)


def test_what_a_stream_keeps_is_bounded():
    rng = np.random.default_rng(0)
    scaler = RobustStandardizer(subsample=100)
    for _ in range(5):
        scaler.partial_fit(rng.normal(size=(300, 20)))
        assert len(pickle.dumps(scaler)) < 100 * 21 * 8 + 5000
    scaler.fit(rng.normal(size=(300, 20)))
    assert len(pickle.dumps(scaler)) < 3000


@each_sampling
def test_partial_fit_after_fit_starts_a_new_stream(transformer, X, y):
    fitted = clone(transformer).fit(X + 5, y)
    with pytest.warns(
        UserWarning, match="fit stores no statistics.*starts from scratch"
    ):
        fitted.partial_fit(X, y)
    expected = clone(transformer).fit(X, y).transform(X)
    np.testing.assert_array_equal(fitted.transform(X), expected)


def test_rounding_leaves_a_constant_column_constant():
    rng = np.random.default_rng(0)
    for n in range(5, 80):
        X = np.c_[np.full(n, rng.uniform(0, 10)), rng.normal(size=(n, 2))]
        whitener = Whitener("pca_cor")
        for chunk in np.array_split(X, 3):
            whitener.partial_fit(chunk)
        assert np.isfinite(whitener.transform(X)).all()
        assert (whitener.components_[:, 0] == 0).all()


def test_chunks_are_counted_since_each_is_rounded():
    scatter, X = None, np.eye(3)
    for n_chunks in (1, 2, 3):
        scatter = add_rows(scatter, X)
        assert scatter.n_chunks == n_chunks


def test_trees_need_targets_in_every_chunk(X, y):
    encoder = PiecewiseLinearEncoder(bins="tree").partial_fit(X, y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        encoder.partial_fit(X)
    with pytest.raises(ValueError, match=r"\(120, 2\).*same number of outputs"):
        encoder.partial_fit(X, np.column_stack([y, y]))
    quantiles = PiecewiseLinearEncoder().partial_fit(X)
    quantiles.set_params(bins="tree")
    with pytest.raises(ValueError, match=r"without y.*Start again"):
        quantiles.partial_fit(X, y)


@pytest.mark.one_in(3)
@each_transformer
@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_read_only_memory_map_is_read_as_it_is(
    transformer, dtype, method, X, y, tmp_path
):
    path = tmp_path / "X.npy"
    np.save(path, np.abs(X).astype(dtype))
    before = path.read_bytes()
    mapped = np.load(path, mmap_mode="r")
    one, other = (
        getattr(clone(transformer), method)(data, y).transform(data)
        for data in (mapped, np.array(mapped))
    )
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    assert path.read_bytes() == before
