"""Classifiers of many classes: bounded memory, the search for the best class, targets.

Chunks are made small here, so that a cheap problem has many of them.
"""

import copy
import tracemalloc

import numpy as np
import pytest

from sknn_notes import MLPClassifier
from sknn_notes._engine import prediction
from sknn_notes.losses import HierarchicalSoftmax
from sknn_notes.neural_network import _classifier
from sknn_notes.neural_network._class_targets import ClassTargets

N_CLASSES = 400
LOSSES = ["log_loss", "hinge", "hierarchical_softmax"]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def small_chunks(monkeypatch):
    """Let prediction handle 2**16 raw outputs at a time, half a megabyte of them."""
    monkeypatch.setattr(prediction, "_CHUNK_OUTPUTS", 2**16)


@pytest.fixture(scope="module")
def data():
    """Clusters around centers, one a class."""
    rng = np.random.default_rng(0)
    centers = 3 * rng.normal(size=(N_CLASSES, 8))
    y = np.resize(np.arange(N_CLASSES), 1200)
    return centers[y] + 0.1 * rng.normal(size=(len(y), 8)), y


def fitted(loss, data, hidden=(8,), **params):
    model = MLPClassifier(
        hidden, loss=loss, max_iter=2, learning_rate_init=0.05, random_state=0, **params
    )
    return model.fit(*data)


@pytest.fixture(scope="module")
def models(data):
    """A fitted model of every loss."""
    return {loss: fitted(loss, data) for loss in LOSSES}


@pytest.fixture
def model_of(models):
    """A function that returns a fitted model, to be changed at will."""
    return lambda loss: copy.deepcopy(models[loss])


def peak(call):
    """Return the most megabytes that a call has at a time."""
    tracemalloc.start()
    call()
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size / 1e6


@pytest.mark.parametrize("loss", LOSSES)
def test_prediction_is_bounded_by_chunks(
    small_chunks, monkeypatch, data, loss, model_of
):
    # All nodes are computed, none are searched.
    monkeypatch.setattr(_classifier, "_MANY_OUTPUTS", np.inf)
    X, y = data
    model = model_of(loss)
    # All raw outputs take 3.8 MB.
    assert peak(lambda: model.predict(X)) < 2.5
    assert peak(lambda: model.score(X, y)) < 2.5
    if loss != "hinge":
        result = X.shape[0] * N_CLASSES * 8 / 1e6
        assert peak(lambda: model.predict_proba(X)) < result + 3.5


@pytest.mark.parametrize("marginalization", ["analytic", "monte_carlo"])
@pytest.mark.parametrize("loss", LOSSES)
def test_chunks_change_no_prediction(
    monkeypatch, data, loss, marginalization, model_of
):
    X, _ = data
    model = model_of(loss).set_params(n_mc_samples=3, marginalization=marginalization)
    methods = ["predict", "decision_function"]
    methods += ["predict_proba", "predict_log_proba"] if loss != "hinge" else []
    whole = {name: getattr(model, name)(X[:300]) for name in methods}
    monkeypatch.setattr(prediction, "_CHUNK_OUTPUTS", 2**13)
    for name, expected in whole.items():
        result = getattr(model, name)(X[:300])
        if name == "predict":
            np.testing.assert_array_equal(result, expected)
        else:
            np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scoring", ["loss", None, "accuracy"])
def test_validation_by_chunks_trains_the_same(monkeypatch, data, scoring):
    params = {"early_stopping": True, "scoring": scoring, "dtype": "float64"}
    whole = fitted("hierarchical_softmax", data, **params)
    monkeypatch.setattr(prediction, "_CHUNK_OUTPUTS", 2**13)
    chunked = fitted("hierarchical_softmax", data, **params)
    np.testing.assert_allclose(
        chunked.validation_scores_ or chunked.validation_loss_curve_,
        whole.validation_scores_ or whole.validation_loss_curve_,
        rtol=1e-9,
    )
    np.testing.assert_array_equal(chunked.coefs_[-1], whole.coefs_[-1])


def test_rows_that_overflow_are_counted_over_all_chunks(small_chunks, data, model_of):
    X, _ = data
    model = model_of("log_loss")
    X = X.copy()
    X[[500, 1100]] = 1e308
    with pytest.raises(ValueError, match=r"2 of 1200 samples.*row 500 of X"):
        model.predict(X)


# The search for the best leaf


@pytest.mark.parametrize("hidden", [(8,), ()])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("tree", ["balanced", "huffman"])
def test_predictions_by_search_are_the_best_scores(
    monkeypatch, data, tree, order, hidden
):
    X, y = data
    names = np.array([f"class {k:03}" for k in range(N_CLASSES)])
    model = fitted(HierarchicalSoftmax(tree=tree), (X, names[y]), hidden)
    # Sure decisions, whether the short fit makes them or not.
    model.coefs_[-1] = np.asarray(10 * model.coefs_[-1], order=order)
    expected = model.classes_[np.argmax(model.decision_function(X), axis=1)]
    computed = []
    monkeypatch.setattr(model._predictor, "mapped", lambda *_: computed.append(1))
    np.testing.assert_array_equal(model.predict(X), expected)
    assert not computed
    # One row takes all nodes.
    model.predict(X[:1])
    assert computed


def test_even_probabilities_are_not_searched(data, model_of):
    X, _ = data
    model = model_of("hierarchical_softmax")
    model.coefs_[-1][...] = 0
    model.intercepts_[-1][...] = 0
    first = model._targets.link.scores(np.zeros((1, N_CLASSES - 1)))[0].argmax()
    np.testing.assert_array_equal(model.predict(X), np.full(len(X), first))


def test_outputs_that_overflow_raise_as_without_a_search(data, model_of):
    X, _ = data
    model = model_of("hierarchical_softmax")
    X = X.copy()
    X[3] = 1e308
    with pytest.raises(ValueError, match=r"1 of 1200 samples.*row 3 of X"):
        model.predict(X)


# Targets


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@pytest.mark.parametrize("class_weight", [None, "balanced", "dict"])
def test_labels_of_any_type_are_weighted_alike(class_weight):
    codes = np.resize(np.arange(40), 70)
    weights = []
    for label in int, float, "class {}".format:
        names = np.array([label(100 + k) for k in range(40)])
        kinds = (names.dtype, object) if names.dtype.kind == "U" else (names.dtype,)
        for y in (names[codes].astype(kind) for kind in kinds):
            if class_weight == "dict":
                spec = {name: 1.0 + k for k, name in enumerate(names.tolist())}
            else:
                spec = class_weight
            model = MLPClassifier(class_weight=spec)
            targets, labels = ClassTargets.start(model, y, np.ones(70), False)
            np.testing.assert_array_equal(targets.encode(labels, np.float32), codes)
            weights.append(targets.weights(labels, None))
    expected = {
        None: None,
        "balanced": 70 / (40 * np.bincount(codes)[codes]),
        "dict": 1.0 + codes,
    }[class_weight]
    for weight in weights:
        if expected is None:
            assert weight is None
        else:
            np.testing.assert_allclose(weight, expected, rtol=1e-12)
