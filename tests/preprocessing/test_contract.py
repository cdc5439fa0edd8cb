"""Contract of every transformer with scikit-learn, pandas, polars and pickle."""

import ast
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
)

SCALERS = [Centerer(), Standardizer(), MinMaxNormalizer(), RobustStandardizer()]
# Those with an inverse.
DEFAULTS = [*SCALERS, Whitener()]
CONFIGURATIONS = [
    RobustStandardizer(clip=None),
    RobustStandardizer(1, per="all"),
    RobustStandardizer(per="channel", n_channels=1),
    PiecewiseLinearEncoder(),
    PiecewiseLinearEncoder(3, keep_inputs=False, scale=None),
    PiecewiseLinearEncoder(clip_ends=False),
    PiecewiseLinearEncoder(bins="tree"),
    PiecewiseLinearEncoder(bins=DecisionTreeRegressor(max_depth=2)),
    Centerer(per="all"),
    Centerer(per="channel", n_channels=1, channels="first"),
    Standardizer(with_mean=False),
    Standardizer(with_std=False, ddof=1),
    Standardizer(per="all"),
    Standardizer(per="channel", n_channels=1),
    MinMaxNormalizer((0, 1), clip=True),
    MinMaxNormalizer(per="all"),
    Whitener("zca"),
    Whitener("zca", eps=0, ddof=1),
    Whitener("pca_cor", n_components=0.9),
    Whitener("zca_cor", shrinkage="oas"),
    Whitener("cholesky"),
    Whitener(n_components=1, whiten=False),
    Whitener(shrinkage=0.1),
]
each_scaler = pytest.mark.parametrize(
    "transformer", SCALERS, ids=lambda t: type(t).__name__
)
each_default = pytest.mark.parametrize(
    "transformer", DEFAULTS, ids=lambda t: type(t).__name__
)
each_transformer = pytest.mark.parametrize(
    "transformer",
    [*DEFAULTS, PiecewiseLinearEncoder()],
    ids=lambda t: type(t).__name__,
)


@pytest.fixture
def X(rng):
    return rng.normal(3, 2, size=(40, 4))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@each_transformer
def test_defaults_are_those_that_the_docstring_names(transformer):
    documented = dict(
        re.findall(r"^ *(\w+) : .*default=(.+)$", type(transformer).__doc__, re.M)
    )
    defaults = {name: ast.literal_eval(value) for name, value in documented.items()}
    assert transformer.get_params() == defaults


# Every third configuration runs with each change, the others nightly.
OFTEN = [*DEFAULTS, *CONFIGURATIONS[::3]]
NIGHTLY = [part for part in CONFIGURATIONS if part not in OFTEN]


# Checks set n_components=1 whatever the method, and call partial_fit after fit.
@pytest.mark.filterwarnings("ignore:n_components=1 is ignored")
@pytest.mark.filterwarnings("ignore:.*fit keeps no statistics")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:.* of 10 directions map to 0")
@pytest.mark.usefixtures("array_api")
class TestScikitLearnContract:
    @parametrize_with_checks(OFTEN)
    def test_often(self, estimator, check):
        run(estimator, check)

    @pytest.mark.nightly
    @parametrize_with_checks(NIGHTLY)
    def test_more_configurations(self, estimator, check):
        run(estimator, check)


def run(estimator, check):
    of_sparse_data = check.func.__name__.endswith("_on_sparse_data")
    if of_sparse_data and not get_tags(estimator).input_tags.sparse:
        pytest.skip("scikit-learn 1.6 runs it whatever the tag of sparse data")
    check(estimator)


@each_default
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_float_types_and_memory_order_are_kept(transformer, X, dtype, order):
    X = np.asarray(X, dtype=dtype, order=order)
    expected = clone(transformer).fit_transform(X.astype(np.float64))
    Z = transformer.fit(X).transform(X)
    assert Z.dtype == dtype
    assert transformer.inverse_transform(Z).dtype == dtype
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(Z, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(transformer.inverse_transform(Z), X, rtol=1e-5)


@each_transformer
def test_strided_and_integer_arrays_give_the_same(transformer, rng):
    X = rng.integers(0, 255, size=(30, 8), dtype=np.uint8)
    for view in (X[::2, 1::3], X[:, ::-1], X.T):
        expected = clone(transformer).fit_transform(view.astype(np.float64).copy())
        np.testing.assert_allclose(transformer.fit_transform(view), expected, atol=1e-9)
        np.testing.assert_allclose(
            transformer.fit_transform(view.astype(float)), expected, atol=1e-9
        )


@each_default
def test_data_is_not_changed(transformer, X):
    before = X.copy()
    transformer.fit_transform(X)
    transformer.inverse_transform(transformer.transform(X))
    np.testing.assert_array_equal(X, before)


@each_scaler
def test_copy_false_works_in_place(transformer, X):
    in_place = clone(transformer).set_params(copy=False).fit(X)
    expected = transformer.fit(X).transform(X)
    original = X.copy()
    Z = in_place.transform(X)
    assert np.shares_memory(Z, X)
    np.testing.assert_array_equal(X, expected)
    assert np.shares_memory(in_place.inverse_transform(X), X)
    np.testing.assert_allclose(X, original)


def test_copy_false_leaves_data_unchanged_on_error(X):
    standardizer = Standardizer(copy=False).fit(X)
    X[20, 1] = np.inf
    before = X.copy()
    with pytest.raises(ValueError, match="infinity"):
        standardizer.transform(X)
    np.testing.assert_array_equal(X, before)


@each_transformer
def test_pickle_and_pipeline(transformer, X):
    pipeline = make_pipeline(transformer).fit(X)
    again = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(again.transform(X), pipeline.transform(X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
@each_transformer
def test_frames_in_frames_out(transformer, library):
    DataFrame = pytest.importorskip(library).DataFrame
    data = load_wine(as_frame=True).data
    values = transformer.fit_transform(data.to_numpy())
    frame = DataFrame(data)
    fitted = clone(transformer).set_output(transform=library).fit(frame)
    assert list(fitted.feature_names_in_) == list(data.columns)
    result = fitted.transform(frame)
    assert isinstance(result, DataFrame)
    assert list(result.columns) == list(fitted.get_feature_names_out())
    np.testing.assert_allclose(result.to_numpy(), values, rtol=1e-6, atol=1e-9)


def test_feature_names():
    frame = load_wine(as_frame=True).data[["ash", "hue"]]
    assert list(Centerer().fit(frame).get_feature_names_out()) == ["ash", "hue"]
    rotated = Whitener().fit(frame).get_feature_names_out()
    assert list(rotated) == ["whitener0", "whitener1"]
    for method in ("zca", "zca_cor", "cholesky"):
        names = Whitener(method).fit(frame).get_feature_names_out()
        assert list(names) == ["ash", "hue"]


BAD_PARAMETERS = [
    (Centerer(per="row"), "per"),
    (Centerer(per="channel"), "n_channels=3"),
    (Centerer(per="channel", n_channels=3), "does not divide the 4 features"),
    (Centerer(per="channel", n_channels=0), "n_channels"),
    (Centerer(channels="middle"), "channels"),
    (Standardizer(ddof=2), "ddof"),
    (Standardizer(with_mean="yes"), "with_mean"),
    (MinMaxNormalizer((1, 0)), "smaller one first"),
    (MinMaxNormalizer((0, 1, 2)), "two finite numbers"),
    (MinMaxNormalizer((0, np.inf)), "two finite numbers"),
    (MinMaxNormalizer([0, 1]), "feature_range"),
    (RobustStandardizer(0), "clip"),
    (RobustStandardizer(True), "Pass the largest absolute value .* such as 3.0"),
    (RobustStandardizer(10**400), "clip"),
    (RobustStandardizer(per="channel"), "n_channels=3"),
    (PiecewiseLinearEncoder(1), "n_bins"),
    (PiecewiseLinearEncoder(8.0), "Pass an int, 8"),
    (PiecewiseLinearEncoder(bins="quantiles"), "Did you mean 'quantile'"),
    (PiecewiseLinearEncoder(bins="tree"), "requires y to be passed.*bins='quantile'"),
    (PiecewiseLinearEncoder(bins=DecisionTreeRegressor), "DecisionTreeRegressor()"),
    (PiecewiseLinearEncoder(scale=0), "scale"),
    (PiecewiseLinearEncoder(keep_inputs=None), "keep_inputs"),
    (Whitener("ica"), "method"),
    (Whitener(eps=-1), "eps"),
    (Whitener(eps=np.nan), "eps"),
    (Whitener(n_components=0), "n_components"),
    (Whitener(n_components=1.0), "n_components"),
    (Whitener(n_components=5), "exceeds min.n_samples, n_features.=4"),
    (Whitener("zca", whiten=False), "requires method='pca' or 'pca_cor'"),
    (Whitener(shrinkage=1.5), "shrinkage"),
    (Whitener(shrinkage="lasso"), "shrinkage"),
]


@pytest.mark.parametrize(("transformer", "message"), BAD_PARAMETERS, ids=str)
def test_bad_parameters_raise(transformer, message, X):
    with pytest.raises(ValueError, match=message):
        transformer.fit(X)
    assert not hasattr(transformer, "n_features_in_")


def test_ignored_n_components_is_warned_about(X):
    with pytest.warns(UserWarning, match="n_components=2 is ignored: method='zca'"):
        Z = Whitener("zca", n_components=2).fit_transform(X)
    assert Z.shape == X.shape


@each_transformer
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_failed_fit_changes_nothing(transformer, method, X):
    streams = hasattr(transformer, "partial_fit")
    if method == "partial_fit" and not streams:
        pytest.skip("has no partial_fit")
    frame = pd.DataFrame(X, columns=list("abcd"))
    fit = "partial_fit" if streams else "fit"
    transformer = getattr(clone(transformer), fit)(frame)
    before = pickle.dumps(vars(transformer))
    bad = X.copy()
    bad[3, 2] = np.inf
    wide = np.ones((3, 5))
    for data in (bad, pd.DataFrame(bad, columns=list("wxyz")), X[0], "text"):
        with pytest.raises((ValueError, TypeError)):
            getattr(transformer, method)(data)
        assert pickle.dumps(vars(transformer)) == before
    with pytest.raises(ValueError, match="features"):
        (transformer.partial_fit if streams else transformer.transform)(wide)
    assert pickle.dumps(vars(transformer)) == before


@each_transformer
def test_bad_data_raises(transformer, X):
    transformer.fit(X)
    bad = X.copy()
    bad[5, 1] = -np.inf
    calls = [transformer.transform]
    calls += [getattr(transformer, "inverse_transform", transformer.transform)]
    for call in calls:
        with pytest.raises(ValueError, match="infinity"):
            call(bad)
        with pytest.raises(ValueError, match="3"):
            call(X[:, :3])
    with pytest.raises(ValueError, match=r"sample\(s\)"):
        transformer.fit(X[:0])


@pytest.mark.parametrize(
    ("transformer", "values"),
    [
        (Centerer(), [1.7e308, 1.7e308]),
        (Standardizer(), [1e200, -1e200]),
        (Standardizer(per="all"), [1e200, -1e200]),
        (MinMaxNormalizer(), [1e308, -1e308]),
        (RobustStandardizer(), [1e308, -1e308]),
        (PiecewiseLinearEncoder(), [1e308, -1e308, 0.0]),
        (Whitener(), [1e200, -1e200]),
    ],
    ids=str,
)
def test_statistics_that_overflow_raise(transformer, values):
    with pytest.raises(ValueError, match=r"overflow float64.*Divide X"):
        transformer.fit(np.array(values)[:, None])
    assert not hasattr(transformer, "n_features_in_")


@each_transformer
@pytest.mark.parametrize(
    "container", [sparse.csr_matrix, sparse.csc_array], ids=lambda c: c.__name__
)
def test_sparse_data_raises_with_advice(transformer, container, X):
    message = "with_mean=False|TruncatedSVD|ColumnTransformer"
    # The errors of scikit-learn's scalers.
    error = ValueError if isinstance(transformer, Standardizer) else TypeError
    with pytest.raises(error, match=message):
        transformer.fit(container(X))
    transformer.fit(X)
    with pytest.raises(error, match=message):
        transformer.transform(container(X))
    if hasattr(transformer, "inverse_transform"):
        with pytest.raises(error, match=message):
            transformer.inverse_transform(container(X))


def test_whitener_raises_for_nan(X):
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        Whitener().fit(X)
    with pytest.raises(ValueError, match="NaN"):
        Whitener().fit(X[:2])
    whitener = Whitener().fit(X[1:])
    with pytest.raises(ValueError, match="NaN"):
        whitener.transform(X)
