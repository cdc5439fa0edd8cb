"""State of fitted transformers: attributes, pickles and parameters."""

import copy
import pickle
import threading
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
)

SCALERS = [
    Centerer(per="all"),
    Standardizer(),
    MinMaxNormalizer(),
    RobustStandardizer(clip=10),
]
TRANSFORMERS = [
    *SCALERS,
    PiecewiseLinearEncoder(),
    Whitener(),
    Whitener("zca_cor", shrinkage=0.1),
    Whitener("cholesky"),
]
each_transformer = pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(3, 2, size=(40, 4))


def peak_of(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("fitted", "changes"),
    [
        (Centerer(per="feature"), {"per": "all"}),
        (Centerer(per="all"), {"per": "channel", "n_channels": 2}),
        (Standardizer(per="channel", n_channels=2), {"per": "all"}),
        (Standardizer(per="channel", n_channels=2), {"channels": "first"}),
        (Standardizer(per="channel", n_channels=2), {"n_channels": 3}),
        (Standardizer(), {"with_std": False, "with_mean": False, "ddof": 1}),
        (MinMaxNormalizer(), {"feature_range": (0, 5)}),
        (MinMaxNormalizer(clip=True), {"feature_range": (0, 5), "per": "all"}),
        (RobustStandardizer(), {"clip": None, "per": "all"}),
        (RobustStandardizer(clip=None), {"clip": 1.0}),
        (PiecewiseLinearEncoder(4), {"n_bins": 8, "scale": None, "bins": "tree"}),
        (PiecewiseLinearEncoder(4), {"keep_inputs": False, "clip_ends": False}),
        (Whitener("pca", n_components=2), {"n_components": 3, "whiten": False}),
        (Whitener("zca"), {"method": "pca_cor", "eps": 3.0}),
        (Whitener("cholesky"), {"method": "zca", "ddof": 1, "shrinkage": 0.5}),
    ],
    ids=str,
)
@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
def test_parameters_set_after_fit_change_nothing_before_the_next(
    fitted, changes, fit, X
):
    if not hasattr(fitted, fit):
        pytest.skip("has no partial_fit")
    expected = getattr(clone(fitted), fit)(X)
    changed = getattr(clone(fitted), fit)(X).set_params(**changes)
    Z = changed.transform(X)
    np.testing.assert_array_equal(Z, expected.transform(X))
    if hasattr(fitted, "inverse_transform"):
        np.testing.assert_array_equal(
            changed.inverse_transform(Z), expected.inverse_transform(Z)
        )
    np.testing.assert_array_equal(
        changed.get_feature_names_out(), expected.get_feature_names_out()
    )


def test_with_mean_of_the_fit_decides_what_may_be_sparse(X):
    divides = Standardizer(with_mean=False).fit(X).set_params(with_mean=True)
    assert divides.transform(csr_array(X)).shape == X.shape
    centers = Standardizer().fit(X).set_params(with_mean=False)
    with pytest.raises(ValueError, match="Sparse data"):
        centers.transform(csr_array(X))


@pytest.mark.parametrize(
    ("transformer", "bad"),
    [
        (Centerer(), {"per": "row"}),
        (Standardizer(), {"ddof": 2}),
        (MinMaxNormalizer(), {"clip": "yes"}),
        (Whitener(), {"eps": -1}),
        (Whitener(), {"method": "ica"}),
        (Whitener(), {"shrinkage": 1.5}),
    ],
    ids=str,
)
def test_partial_fit_checks_parameters_every_time(transformer, bad, X):
    transformer = clone(transformer).partial_fit(X)
    before = pickle.dumps(vars(transformer.set_params(**bad)))
    with pytest.raises(ValueError, match=next(iter(bad))):
        transformer.partial_fit(X)
    assert pickle.dumps(vars(transformer)) == before
    with config_context(skip_parameter_validation=True):
        Standardizer(copy="yes").partial_fit(X).partial_fit(X)


@pytest.mark.parametrize("call", ["transform", "inverse_transform"])
def test_transform_checks_the_parameters_that_it_reads(call, X):
    scaler = MinMaxNormalizer().fit(X).set_params(copy="yes")
    with pytest.raises(ValueError, match="copy"):
        getattr(scaler, call)(X)
    scaler.set_params(copy=True, clip="yes", per="row")
    if call == "transform":
        with pytest.raises(ValueError, match="clip"):
            scaler.transform(X)
    scaler.set_params(clip=True)
    getattr(scaler, call)(X)


@pytest.mark.parametrize("transformer", SCALERS, ids=str)
def test_copy_of_the_call_wins(transformer, X):
    for default in (True, False):
        fitted = clone(transformer).set_params(copy=default).fit(X)
        expected = fitted.transform(X.copy(), copy=True)
        data = X.copy()
        assert np.shares_memory(fitted.transform(data, copy=False), data)
        np.testing.assert_array_equal(data, expected)
        assert np.shares_memory(fitted.inverse_transform(data, copy=False), data)
        np.testing.assert_allclose(data, X)
        kept = data.copy()
        assert not np.shares_memory(fitted.transform(data, copy=True), data)
        assert not np.shares_memory(fitted.inverse_transform(data, copy=True), data)
        np.testing.assert_array_equal(data, kept)
        assert np.shares_memory(fitted.transform(data), data) != default


class Recorder:
    """A callback of scikit-learn that keeps what its hooks are told."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append(("setup", {}))

    def on_fit_task_begin(self, estimator, context, *, X, metadata):
        self.calls.append(("begin", {"X": X, "metadata": metadata}))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.calls.append(("end", {"fitted": fitted_estimator}))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", {}))

    def hooks(self):
        return [name for name, _ in self.calls]


@pytest.mark.needs("scikit-learn>=1.9", "it has callbacks")
@each_transformer
@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
def test_callbacks_see_the_fit(transformer, fit, X):
    if not hasattr(transformer, fit):
        pytest.skip("has no partial_fit")
    recorder = Recorder()
    transformer = clone(transformer).set_callbacks(recorder)
    getattr(transformer, fit)(X)
    assert recorder.hooks() == ["setup", "begin", "end", "teardown"]
    assert recorder.calls[1][1]["X"] is X
    fitted = recorder.calls[2][1]["fitted"]
    np.testing.assert_array_equal(fitted.transform(X), transformer.transform(X))
    if fit == "partial_fit":
        transformer.partial_fit(X)
        assert recorder.hooks().count("end") == 2


@pytest.mark.needs("scikit-learn>=1.9", "it has callbacks")
def test_callbacks_see_the_weights(X):
    recorder = Recorder()
    weights = np.arange(40.0)
    Centerer().set_callbacks(recorder).partial_fit(X, sample_weight=weights)
    assert recorder.calls[1][1]["metadata"]["sample_weight"] is weights


@pytest.mark.parametrize("method", ["pca", "zca", "pca_cor", "zca_cor"])
def test_showing_a_wide_whitener_makes_no_large_matrix(method):
    X = np.random.default_rng(0).normal(size=(20, 4000))
    whitener = Whitener(method).fit(X)

    def show():
        whitener._repr_html_()
        make_pipeline(whitener)._repr_html_()
        [getattr(whitener, name, None) for name in dir(whitener)]

    show()
    assert peak_of(show) < 4 * X.nbytes < 4000**2 * 8


@pytest.mark.needs("scikit-learn>=1.9", "its HTML shows fitted attributes")
def test_showing_a_stream_decomposes_nothing(monkeypatch):
    X = np.random.default_rng(0).normal(size=(50, 6))
    whitener = Whitener().partial_fit(X)
    monkeypatch.setattr(np.linalg, "eigh", None)
    html = whitener._repr_html_()
    assert "mean_" in html
    copy.copy(whitener).partial_fit(X)
    pickle.loads(pickle.dumps(whitener))
    assert list(whitener.get_feature_names_out())[-1] == "whitener5"
    monkeypatch.undo()
    assert whitener.components_.shape == (6, 6)
    assert "components_" in whitener._repr_html_()
    with pytest.raises(AttributeError, match="no attribute 'component_'"):
        _ = whitener.component_
    with pytest.raises(AttributeError, match="components_"):
        _ = Whitener().components_


@pytest.mark.parametrize("method", ["pca", "zca", "pca_cor"])
@pytest.mark.parametrize("shape", [(30, 2000), (2000, 30), (100, 101)])
def test_a_saved_whitener_holds_no_training_data(method, shape):
    X = np.random.default_rng(0).normal(size=shape)
    rotates = method.startswith("pca")
    k = 5 if rotates else min(shape)
    whitener = Whitener(method, n_components=5 if rotates else None).fit(X)
    whitener.transform(X.astype(np.float32))
    saved = pickle.dumps(whitener)
    d = shape[1]
    # The components, once more with their weights or as a matrix, and some vectors.
    square = 0 if rotates or shape[0] < d else d
    assert len(saved) < 8 * d * (2 * k + square + 5) + 5_000
    centered = X - X.mean(axis=0)
    for row in (X[0], centered[0]):
        assert row[:8].tobytes() not in saved
    loaded = pickle.loads(saved)
    np.testing.assert_array_equal(loaded.transform(X), whitener.transform(X))
    Z = whitener.transform(X)
    np.testing.assert_array_equal(
        loaded.inverse_transform(Z), whitener.inverse_transform(Z)
    )


@pytest.mark.parametrize("n_features", [3, 40, 200])
def test_a_stream_holds_features_by_features_whatever_the_rows(n_features):
    rng = np.random.default_rng(0)
    whitener = Whitener()
    for _ in range(5):
        whitener.partial_fit(rng.normal(size=(20, n_features)))
        assert len(pickle.dumps(whitener)) < 8 * n_features * (n_features + 10) + 5_000


def test_a_stream_too_wide_for_the_memory_raises():
    X = np.zeros((2, 3_000_000), dtype=np.float32)
    with pytest.raises(ValueError, match=r"72,000 GB for the 3,000,000 features.*fit"):
        Whitener().partial_fit(X)


def test_partial_fit_after_fit_says_that_it_starts_again(X):
    whitener = Whitener().fit(X * 5 + 1)
    with pytest.warns(UserWarning, match="stores no statistics.*starts from scratch"):
        whitener.partial_fit(X)
    np.testing.assert_allclose(whitener.mean_, X.mean(axis=0))
    assert whitener.n_samples_seen_ == 40
    whitener.partial_fit(X)
    assert whitener.n_samples_seen_ == 80


def test_what_is_read_in_a_stream_is_of_all_chunks(X):
    stream = Whitener(n_components=0.8)
    for rows in (slice(0, 3), slice(3, 10), slice(10, 40)):
        stream.partial_fit(X[rows])
        whole = Whitener(n_components=0.8).fit(X[: rows.stop])
        assert stream.n_components_ == whole.n_components_
        for name in ("components_", "explained_variance_ratio_"):
            np.testing.assert_allclose(
                getattr(stream, name), getattr(whole, name), atol=1e-9
            )
        np.testing.assert_allclose(stream.transform(X), whole.transform(X), atol=1e-9)
    singular = Whitener("cholesky", eps=0).partial_fit(X[:2])
    with pytest.raises(ValueError, match="inverted"):
        singular.transform(X)
    singular.partial_fit(X[2:]).transform(X)


@pytest.mark.parametrize("limit", [1, 2])
def test_column_kernels_start_no_threads(limit):
    X = np.random.default_rng(0).normal(size=(300_000, 20))
    scaler = Standardizer().fit(X)
    started = []
    run = threading.Thread.start
    with threadpool_limits(limit), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            threading.Thread, "start", lambda self: started.append(self) or run(self)
        )
        scaler.inverse_transform(scaler.transform(X))
    assert not started
