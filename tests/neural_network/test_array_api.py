"""Networks of arrays of other libraries, on the arrays' device.

Tensors of the CPU stand for those of a GPU where ``tensors_stay``.
"""

import pickle
from contextlib import suppress
from unittest import SkipTest

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer
from sknn_notes._arrays import namespace
from sknn_notes.model_selection import GridSearchCV
from sknn_notes.neural_network import _devices

pytestmark = pytest.mark.needs("scikit-learn>=1.9", "it dispatches arrays")


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def dispatch(array_api):
    with config_context(array_api_dispatch=True):
        yield


@pytest.fixture
def tensors_stay(monkeypatch):
    """Let tensors of the CPU be trained where they are, as those of a GPU."""
    monkeypatch.setattr(_devices, "is_host", lambda spec: False)


def classes(n=150, dtype=np.float32):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 6)), rng.integers(0, 3, n)
    X[np.arange(n), y] += 2
    return X.astype(dtype), y


ARRAY_CHECKS = [
    MLPClassifier(max_iter=5),
    MLPRegressor(max_iter=5),
    MLPClassifier(max_iter=3, n_networks=2, dropout=0.1),
]


@pytest.mark.parametrize("estimator", ARRAY_CHECKS, ids=repr)
def test_scikit_learns_checks(estimator, array_api):
    n_run = 0
    for check in estimator_checks._yield_array_api_checks(estimator):
        # Of libraries and devices that are missing here there is nothing to check.
        with suppress(SkipTest):
            check(type(estimator).__name__, estimator)
            n_run += 1
    assert n_run


CONFIGURATIONS = [
    {},
    {"dropout": 0.2, "batch_norm": True},
    {"solver": "lbfgs"},
    {"early_stopping": True},
    {"init": "lsuv"},
    {"embedding": "piecewise_linear"},
    {"loss": "hierarchical_softmax"},
    {"marginalization": "monte_carlo", "dropout": 0.2},
    {"n_networks": 2},
]


@pytest.mark.parametrize("params", CONFIGURATIONS, ids=repr)
def test_tensors_of_a_device(params, torch, dispatch, tensors_stay):
    X, y = classes()
    X_t, y_t = torch.asarray(X), torch.asarray(y)
    model = MLPClassifier(max_iter=4, random_state=0, **params)
    expected = clone(model).fit(X, y)
    model.fit(X_t, y_t)
    assert isinstance(model.coefs_[0], torch.Tensor)
    assert model.executor_ == "torch on cpu"
    proba = model.predict_proba(X_t)
    assert isinstance(proba, torch.Tensor)
    np.testing.assert_allclose(proba, expected.predict_proba(X), rtol=2e-4, atol=1e-6)
    assert isinstance(model.predict(X_t), torch.Tensor)
    assert model.score(X_t, y_t) == pytest.approx(expected.score(X, y))
    with pytest.raises(ValueError, match="must use the same namespace"):
        model.predict(X)


@pytest.mark.parametrize("kind", ["numpy", "tensor"])
def test_weights_follow_the_inputs(kind, torch, dispatch, tensors_stay):
    X, y = classes()
    weight = np.random.default_rng(0).random(len(y))
    model = MLPClassifier(max_iter=3, random_state=0, early_stopping=True)
    expected = clone(model).fit(X, y, weight).coefs_[0]
    given = weight if kind == "numpy" else torch.asarray(weight)
    model.fit(torch.asarray(X), y, given)
    np.testing.assert_allclose(model.coefs_[0], expected, atol=1e-5)


def test_regression_of_tensors(torch, dispatch, tensors_stay):
    X, _ = classes()
    Y = np.stack([X[:, 0] + 5, 100 * X[:, 1]], axis=1)
    model = MLPRegressor(max_iter=5, random_state=0, loss="gaussian_nll")
    expected = clone(model).fit(X, Y).predict(X, return_std=True)
    X_t = torch.asarray(X)
    found = model.fit(X_t, torch.asarray(Y)).predict(X_t, return_std=True)
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours, torch.Tensor)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stays", [False, True])
def test_fits_continue(stays, torch, dispatch, monkeypatch):
    if stays:
        monkeypatch.setattr(_devices, "is_host", lambda spec: False)
    X, y = classes()
    X_t, y_t = torch.asarray(X), torch.asarray(y)
    models = [MLPClassifier(max_iter=2, random_state=0) for _ in range(2)]
    for model, data in zip(models, [(X, y), (X_t, y_t)], strict=True):
        model.partial_fit(*data, classes=[0, 1, 2]).partial_fit(*data)
        model.set_params(warm_start=True).fit(*data)
    there = pickle.loads(pickle.dumps(models[1]))
    np.testing.assert_allclose(there.coefs_[0], models[0].coefs_[0], atol=1e-5)
    assert there.t_ == models[0].t_


def test_a_model_moves(torch, dispatch, tensors_stay):
    from sklearn.utils._array_api import move_estimator_to

    X, y = classes()
    X_t = torch.asarray(X)
    model = MLPClassifier(max_iter=3, random_state=0, batch_norm=True).fit(X, y)
    moved = move_estimator_to(model, namespace(X_t), "cpu")
    np.testing.assert_allclose(moved.predict_proba(X_t), model.predict_proba(X), 1e-4)
    back = move_estimator_to(moved, np, "cpu")
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))


def test_a_pipeline_and_a_search(torch, dispatch, tensors_stay):
    X, y = classes()
    X_t, y_t = torch.asarray(X), torch.asarray(y)
    pipeline = make_pipeline(Standardizer(), MLPClassifier(max_iter=3, random_state=0))
    expected = clone(pipeline).fit(X, y).predict_proba(X)
    found = clone(pipeline).fit(X_t, y_t).predict_proba(X_t)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    grid = {"mlpclassifier__alpha": [1e-4, 0.1]}
    search = GridSearchCV(pipeline, grid, cv=3)
    scores = clone(search).fit(X, y).cv_results_["mean_test_score"]
    found = search.fit(X_t, y_t)
    np.testing.assert_allclose(found.cv_results_["mean_test_score"], scores, atol=0.02)
    assert isinstance(found.predict(X_t), torch.Tensor)


def test_strings_stay_what_they_are(torch, dispatch):
    X, y = classes()
    names = np.array(["a", "b", "c"])[y]
    X_t = torch.asarray(X)
    model = MLPClassifier(max_iter=3, random_state=0).fit(X_t, names)
    assert set(model.predict(X_t)) <= {"a", "b", "c"}


def test_without_dispatch_tensors_are_numpys(torch):
    X, y = classes()
    model = MLPClassifier(max_iter=3, random_state=0)
    expected = clone(model).fit(X, y).predict_proba(X)
    model.fit(torch.asarray(X), torch.asarray(y))
    proba = model.predict_proba(torch.asarray(X))
    assert isinstance(proba, np.ndarray)
    np.testing.assert_array_equal(proba, expected)


def test_an_array_that_numpy_can_not_read_names_the_switch():
    strict = pytest.importorskip("array_api_strict")
    X, y = classes()
    X = strict.asarray(X, device=strict.Device("device1"))
    with pytest.raises(TypeError, match="array_api_dispatch=True"):
        MLPClassifier().fit(X, y)


def test_scorers_watch_tensors_of_a_device(torch, dispatch, tensors_stay):
    X, y = classes()
    params = {"early_stopping": True, "scoring": "neg_log_loss", "random_state": 0}
    expected = MLPClassifier(max_iter=3, **params).fit(X, y).validation_scores_
    model = MLPClassifier(max_iter=3, **params).fit(torch.asarray(X), torch.asarray(y))
    np.testing.assert_allclose(model.validation_scores_, expected, rtol=1e-4)


def test_several_networks_watch_tensors_of_a_device(torch, dispatch, tensors_stay):
    X, y = classes()
    X_t, y_t = torch.asarray(X), torch.asarray(y)
    model = MLPClassifier(max_iter=3, n_networks=2, early_stopping=True, random_state=0)
    expected = clone(model).fit(X, y, X_val=X[:50], y_val=y[:50])
    model.fit(X_t, y_t, X_val=X_t[:50], y_val=y_t[:50])
    for ours, theirs in zip(model.networks_, expected.networks_, strict=True):
        np.testing.assert_allclose(
            ours.validation_scores_, theirs.validation_scores_, atol=0.05
        )


@pytest.fixture
def inspection():
    pytest.importorskip("matplotlib").use("agg")
    import matplotlib.pyplot as plt

    from sknn_notes import inspection

    yield inspection
    plt.close("all")


@pytest.mark.parametrize("stays", [False, True])
def test_a_display_of_a_fitted_network(stays, inspection, torch, dispatch, monkeypatch):
    if stays:
        monkeypatch.setattr(_devices, "is_host", lambda spec: False)
    X, y = classes(dtype=float)
    X_t, y_t = torch.asarray(X), torch.asarray(y)
    model = MLPClassifier(max_iter=3, random_state=0)
    display = inspection.ActivationsDisplay.from_estimator
    expected = display(clone(model).fit(X, y), X, y).gradients
    found = display(clone(model).fit(X_t, y_t), X_t, y_t).gradients
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)


def test_tensors_are_watched_on_the_cpu(inspection, torch, dispatch):
    X, y = classes()
    X_t, y_t = torch.asarray(X), torch.asarray(y)
    model = MLPClassifier(max_iter=3, random_state=0)
    display = inspection.UpdateRatioDisplay.from_estimator
    expected, found = (display(model, *data).ratios for data in [(X, y), (X_t, y_t)])
    np.testing.assert_array_equal(found, expected)
    assert inspection.sanity_check(model, X_t, y_t).findings


def test_a_network_of_a_device_becomes_a_graph(torch, dispatch, tensors_stay):
    pytest.importorskip("skl2onnx")
    from sknn_notes.onnx import to_onnx

    X, y = classes()
    model = MLPClassifier(max_iter=2, random_state=0)
    expected = to_onnx(clone(model).fit(X, y), X[:1]).SerializeToString()
    model.fit(torch.asarray(X), torch.asarray(y))
    assert len(to_onnx(model, X[:1]).SerializeToString()) == len(expected)


@pytest.mark.parametrize("n_networks", [1, 2])
def test_a_model_of_a_device_names_the_switch(
    n_networks, torch, array_api, tensors_stay
):
    X, y = classes()
    model = MLPClassifier(max_iter=2, n_networks=n_networks, random_state=0)
    with config_context(array_api_dispatch=True):
        model.fit(torch.asarray(X), torch.asarray(y))
    for given in X, torch.asarray(X):
        with pytest.raises(ValueError, match=r"is disabled\. Call predict under"):
            model.predict(given)


def test_checkpoints_of_tensors(torch, dispatch, tensors_stay, tmp_path, monkeypatch):
    from sknn_notes.callbacks import Checkpoint

    def on_a_device(*_, **__):
        raise TypeError("can't convert a tensor of a device")

    X, y = classes()
    monkeypatch.setattr(torch.Tensor, "__array__", on_a_device)
    model = MLPClassifier(max_iter=2, random_state=0)
    path = tmp_path / "fit"
    model.fit(torch.asarray(X), torch.asarray(y), checkpoint=Checkpoint(path))
    assert path.exists()
