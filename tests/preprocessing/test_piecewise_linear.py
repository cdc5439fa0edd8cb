"""PiecewiseLinearEncoder against its definition, with bins of every kind."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sknn_notes import PiecewiseLinearEncoder, Standardizer
from sknn_notes.preprocessing import _piecewise_linear


def definition(X, edges):
    """Return the components of the columns of X, by linear interpolation."""
    return np.column_stack(
        [
            np.interp(x, each[t : t + 2], [0, 1])
            for x, each in zip(X.T, edges, strict=True)
            for t in range(len(each) - 1)
        ]
    )


def bare(**options):
    """Return an encoder that leaves the components as they are, without inputs."""
    return PiecewiseLinearEncoder(**{"keep_inputs": False, "scale": None} | options)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(60, 4)).round(1)


def test_by_hand():
    X = np.array([[0.0, 5, 1], [1, 5, 0], [3, 5, 1], [7, 5, 1]])
    encoder = PiecewiseLinearEncoder(2, scale=2.0).fit(X)
    np.testing.assert_array_equal(encoder.bin_edges_[0], [0, 2, 7])
    assert encoder.bin_edges_[1:] == [None, None]
    np.testing.assert_array_equal(encoder.n_bins_, [2, 0, 0])
    components = np.array([[0, 0], [0.5, 0], [1, 0.2], [1, 1]])
    mean, std = components.mean(axis=0), components.std(axis=0)
    np.testing.assert_allclose(encoder.component_mean_, mean)
    np.testing.assert_allclose(encoder.component_std_, std)
    expected = np.hstack([X, 2 * (components - mean) / std])
    np.testing.assert_allclose(encoder.transform(X), expected)
    unseen = [[-3.0, 6, 9], [17, 4, 9]]
    encoder = bare(n_bins=2).fit(X)
    np.testing.assert_allclose(encoder.transform(unseen), [[6, 9, 0, 0], [4, 9, 1, 1]])
    encoder = bare(n_bins=2, clip_ends=False).fit(X)
    np.testing.assert_allclose(
        encoder.transform(unseen), [[6, 9, -1.5, 0], [4, 9, 1, 3]]
    )


def test_quantile_bins(X):
    encoder = bare(n_bins=5).fit(X)
    shares = np.arange(6) / 5
    edges = np.quantile(X, shares, axis=0, method="averaged_inverted_cdf").T
    for ours, expected in zip(encoder.bin_edges_, edges, strict=True):
        np.testing.assert_allclose(ours, expected)
    np.testing.assert_allclose(encoder.transform(X), definition(X, edges), atol=1e-15)


@pytest.mark.parametrize("scale", [0.5, 1, 3.0])
@pytest.mark.parametrize("keep_inputs", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_components_have_the_standard_deviation_that_scale_says(
    X, scale, keep_inputs, weighted
):
    weights = np.arange(60) % 4 if weighted else None
    encoder = PiecewiseLinearEncoder(scale=scale, keep_inputs=keep_inputs)
    Z = encoder.fit(X, sample_weight=weights).transform(X)
    n_inputs = 4 if keep_inputs else 0
    np.testing.assert_array_equal(Z[:, :n_inputs], X[:, :n_inputs])
    components = Z[:, n_inputs:]
    assert components.shape[1] == encoder.n_bins_.sum()
    mean = np.average(components, axis=0, weights=weights)
    var = np.average((components - mean) ** 2, axis=0, weights=weights)
    np.testing.assert_allclose(mean, 0, atol=1e-14)
    np.testing.assert_allclose(np.sqrt(var), scale)


def test_columns_of_few_values():
    n = 30
    rng = np.random.default_rng(0)
    three = rng.integers(0, 3, n) * 1.0
    binary = rng.integers(0, 2, n) * 2.0 - 1
    holes = np.where(np.arange(n) % 2, np.nan, binary)
    nothing = np.full(n, np.nan)
    X = np.column_stack([three, np.ones(n), binary, holes, nothing])
    for bins in ("quantile", "tree"):
        encoder = bare(bins=bins).fit(X, three)
        np.testing.assert_array_equal(encoder.n_bins_ > 0, [True] + 4 * [False])
        Z = encoder.transform(X)
        np.testing.assert_array_equal(Z[:, :4], X[:, 1:])
    # Two bins tell three values apart.
    encoder = bare().fit(X)
    np.testing.assert_array_equal(encoder.bin_edges_[0], [0, 1, 2])
    np.testing.assert_array_equal(encoder.transform(X)[:, 4], three > 0)
    names = encoder.get_feature_names_out()
    assert list(names) == ["x1", "x2", "x3", "x4", "x0_bin1", "x0_bin2"]
    # Nothing to encode at all.
    encoder = PiecewiseLinearEncoder().fit(X[:, 1:])
    np.testing.assert_array_equal(encoder.transform(X[:, 1:]), X[:, 1:])


def test_feature_names():
    frame = load_wine(as_frame=True).data[["ash", "hue"]]
    encoder = PiecewiseLinearEncoder(2).set_output(transform="pandas")
    columns = list(encoder.fit_transform(frame).columns)
    assert columns[:3] == ["ash", "hue", "ash_bin1"]
    assert columns[3:] == ["ash_bin2", "hue_bin1", "hue_bin2"]
    with pytest.raises(ValueError, match="input_features"):
        encoder.get_feature_names_out(["a", "b"])


TARGETS = {
    "binary": (DecisionTreeClassifier, lambda u: (u > 0).astype(int)),
    "text": (DecisionTreeClassifier, lambda u: np.where(u > 0, "yes", "no")),
    "multiclass": (DecisionTreeClassifier, lambda u: np.digitize(u, [-1, 0, 1])),
    "multilabel": (
        DecisionTreeClassifier,
        lambda u: np.column_stack([u > 0, u > 1]).astype(int),
    ),
    "several classes": (
        DecisionTreeClassifier,
        lambda u: np.column_stack([np.digitize(u, [0, 1]), u > 1]).astype(int),
    ),
    "numbers": (DecisionTreeRegressor, lambda u: np.sin(2 * u)),
    "several numbers": (
        DecisionTreeRegressor,
        lambda u: np.column_stack([np.sin(2 * u), u**2]),
    ),
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("weighted", [True, False])
def test_tree_bins_are_the_cuts_of_a_tree(kind, weighted):
    rng = np.random.default_rng(0)
    # Sixteenths, which trees hold exactly in float32.
    X = rng.integers(-50, 50, size=(200, 2)) / 16
    cls, target = TARGETS[kind]
    y = target(X[:, 0] + 0.3 * rng.normal(size=200))
    weights = rng.integers(1, 4, size=200) if weighted else None
    encoder = PiecewiseLinearEncoder(6, bins="tree").fit(X, y, sample_weight=weights)
    for x, edges in zip(X.T, encoder.bin_edges_, strict=True):
        tree = cls(max_leaf_nodes=6, random_state=0)
        tree.fit(x[:, None], y, sample_weight=weights)
        cuts = tree.tree_.threshold[tree.tree_.children_left >= 0]
        np.testing.assert_allclose(edges[1:-1], np.sort(cuts))
        assert edges[0] == x.min()
        assert edges[-1] == x.max()
    frames = pd.DataFrame(X), pd.DataFrame(y) if y.ndim == 2 else pd.Series(y)
    framed = PiecewiseLinearEncoder(6, bins="tree")
    framed.fit(*frames, sample_weight=weights)
    np.testing.assert_array_equal(framed.transform(frames[0]), encoder.transform(X))


def test_trees_see_values_that_float32_does_not_hold():
    x = 1e9 + np.arange(40.0)
    encoder = bare(n_bins=2, bins="tree").fit(x[:, None], x > 1e9 + 9.5)
    np.testing.assert_array_equal(encoder.bin_edges_, [[1e9, 1e9 + 9.5, 1e9 + 39]])


def test_neighbors_in_float64_are_told_apart():
    x = np.array([1.0, np.nextafter(1, 2), 2.0])[[0, 1, 2] * 4]
    encoder = bare(bins="tree").fit(x[:, None], x > 1)
    assert (np.diff(encoder.bin_edges_[0]) > 0).all()
    assert np.isfinite(encoder.transform(x[:, None])).all()


def test_a_custom_tree():
    X, y = load_diabetes(return_X_y=True)
    tree = DecisionTreeRegressor(min_samples_leaf=100)
    encoder = PiecewiseLinearEncoder(bins=tree).fit(X, y)
    assert encoder.n_bins_.max() <= len(X) // 100
    assert tree.max_leaf_nodes is None
    few = PiecewiseLinearEncoder(bins=DecisionTreeRegressor(max_leaf_nodes=3))
    assert few.fit(X, y).n_bins_.max() == 3
    # Counts are classes to scikit-learn.
    counts = (y // 10).astype(int)
    by_number = PiecewiseLinearEncoder(bins=DecisionTreeRegressor()).fit(X, counts)
    tree = DecisionTreeRegressor(max_leaf_nodes=8).fit(X[:, [2]], counts).tree_
    cuts = tree.threshold[tree.children_left >= 0]
    np.testing.assert_allclose(by_number.bin_edges_[2][1:-1], np.sort(cuts), rtol=1e-5)


def test_a_target_that_tells_nothing_leaves_one_bin(X):
    encoder = bare(bins="tree").fit(X, np.zeros(60))
    np.testing.assert_array_equal(encoder.n_bins_, 1)
    ends = np.column_stack([X.min(axis=0), X.max(axis=0)])
    np.testing.assert_allclose(encoder.transform(X), definition(X, ends))


@pytest.mark.parametrize("size", [1.0, 1e-300, 1e300])
@pytest.mark.parametrize("bins", ["quantile", "tree"])
def test_whole_weights_are_repeated_rows(X, bins, size):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, size=60)
    y = X[:, 0] + rng.normal(size=60)
    weighted = PiecewiseLinearEncoder(4, bins=bins)
    weighted.fit(X, y, sample_weight=counts * size)
    repeated = PiecewiseLinearEncoder(4, bins=bins)
    repeated.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed.*bins='quantile'"),
        (np.array([{}] * 60, dtype=object), "Unknown label type.*strings"),
        (np.full(60, np.nan), "y contains NaN"),
        (np.zeros(59), "inconsistent numbers of samples"),
    ],
)
def test_bad_targets_raise(X, y, message):
    with pytest.raises(ValueError, match=message):
        PiecewiseLinearEncoder(bins="tree").fit(X, y)
    PiecewiseLinearEncoder().fit(X, y)


def test_missing_values(X):
    X[::3, 1] = np.nan
    y = X[:, 0]
    for bins in ("quantile", "tree"):
        encoder = PiecewiseLinearEncoder(4, bins=bins).fit(X, y)
        seen = PiecewiseLinearEncoder(4, bins=bins)
        seen.fit(X[~np.isnan(X[:, 1])], y[~np.isnan(X[:, 1])])
        np.testing.assert_array_equal(encoder.bin_edges_[1], seen.bin_edges_[1])
        Z = encoder.transform(X)
        of_second = [name.startswith("x1") for name in encoder.get_feature_names_out()]
        missing = np.isnan(X[:, 1])[:, None] & of_second
        np.testing.assert_array_equal(np.isnan(Z), missing)
    zeros = SimpleImputer(strategy="constant", fill_value=0)
    assert np.isfinite(make_pipeline(encoder, zeros).fit_transform(X, y)).all()


def test_ends_that_overflow_raise(X):
    encoder = bare(clip_ends=False).fit(X * 1e-30)
    far = np.full((1, 4), 1e30, np.float32)
    with pytest.raises(ValueError, match=r"overflow float32.*clip_ends=True"):
        encoder.transform(far)
    np.testing.assert_array_equal(bare().fit(X * 1e-30).transform(far), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_types_and_memory_order(X, dtype, order):
    X = np.asarray(10 * X, dtype=dtype, order=order)
    expected = PiecewiseLinearEncoder().fit_transform(X.astype(np.float64))
    Z = PiecewiseLinearEncoder().fit_transform(X)
    assert Z.dtype == (np.float32 if dtype is np.float32 else np.float64)
    np.testing.assert_allclose(Z, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("block", [1, 50, 200])
def test_blocks_of_rows_make_no_difference(X, block, monkeypatch):
    encoder = PiecewiseLinearEncoder().fit(X)
    expected = encoder.transform(X)
    monkeypatch.setattr(_piecewise_linear, "BLOCK_SIZE", block)
    np.testing.assert_array_equal(encoder.transform(X), expected)


def test_a_linear_model_of_it_is_piecewise_linear():
    x = np.linspace(-3, 3, 400)[:, None]
    y = np.abs(x[:, 0]) + np.maximum(x[:, 0] - 1.5, 0)
    encoder = PiecewiseLinearEncoder(8, keep_inputs=False)
    model = make_pipeline(encoder, Ridge(1e-6)).fit(x, y)
    assert model.score(x, y) > 0.9999
    assert Ridge(1e-6).fit(x, y).score(x, y) < 0.5


def test_in_searches_and_column_transformers():
    frame, y = load_diabetes(return_X_y=True, as_frame=True)
    encode = make_column_transformer(
        (PiecewiseLinearEncoder(bins=DecisionTreeRegressor()), ["bmi", "bp", "s5"]),
        remainder=Standardizer(),
    )
    step = "columntransformer__piecewiselinearencoder"
    grid = {
        f"{step}__n_bins": [2, 4],
        f"{step}__bins__min_samples_leaf": [10, 40],
    }
    search = GridSearchCV(make_pipeline(encode, Ridge()), grid, cv=2).fit(frame, y)
    assert search.best_score_ > 0.4
    with pytest.raises(ValueError, match="bins=DecisionTreeClassifier"):
        PiecewiseLinearEncoder().set_params(bins__max_depth=2)


@pytest.mark.parametrize("clip_ends", [True, False])
def test_features_without_bins_pass_through(clip_ends):
    X = np.array([[1.0, 0.0], [1.0, 2.0], [1.0, 0.0]])
    encoder = PiecewiseLinearEncoder(clip_ends=clip_ends)
    np.testing.assert_array_equal(encoder.fit_transform(X), X)


@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e300), ("float64", 1.7e308)])
def test_a_scale_that_overflows_raises(dtype, scale):
    X = np.random.default_rng(0).normal(size=(20, 2)).astype(dtype)
    encoder = PiecewiseLinearEncoder(scale=scale).fit(X)
    with pytest.raises(ValueError, match=f"components overflow {dtype}.*smaller scale"):
        encoder.transform(X)


def test_targets_of_trees_may_have_any_size():
    X = np.random.default_rng(0).normal(size=(20, 2))
    y = 1e300 * X[:, 0]
    edges = PiecewiseLinearEncoder(bins="tree").fit(X, y).bin_edges_
    expected = PiecewiseLinearEncoder(bins="tree").fit(X, y / 1e300).bin_edges_
    np.testing.assert_array_equal(edges[0], expected[0])
