"""Layer norm, residual connections and clipping through the estimators."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.layers import BatchNorm, LayerNorm

LAYERS = [
    {"layer_norm": True},
    {"layer_norm": LayerNorm(eps=1e-3)},
    {"residual": True},
    {"layer_norm": True, "residual": True, "dropout": 0.2},
    {"batch_norm": True, "residual": True},
]
every_kind = pytest.mark.parametrize("layers", LAYERS, ids=str)


def network(cls=MLPClassifier, **parameters):
    defaults = {
        "hidden_layer_sizes": (7, 7, 5),
        "batch_size": 16,
        "max_iter": 8,
        "random_state": 0,
    }
    return cls(**(defaults | parameters))


def normalized(Z, norm, eps=1e-5):
    Z = Z - Z.mean(axis=1, keepdims=True)
    Z /= np.sqrt((Z * Z).mean(axis=1, keepdims=True) + eps)
    return Z * norm["scale"] + norm["shift"]


def test_predictions_by_hand(one_target):
    X, y = one_target
    model = network(MLPRegressor, layer_norm=True, residual=True).fit(X, y)
    A = X
    for i, W in enumerate(model.coefs_[:-1]):
        P = model.residual_coefs_[i]
        inner = np.maximum(normalized(A @ W, model.layer_norm_[i]), 0)
        A = inner + (A if P is None else A @ P)
    expected = A @ model.coefs_[-1] + model.intercepts_[-1]
    np.testing.assert_allclose(model.predict(X), expected[:, 0], rtol=1e-10)
    shapes = [None if P is None else P.shape for P in model.residual_coefs_]
    assert shapes == [(X.shape[1], 7), None, (7, 5)]
    assert not any(b.any() for b in model.intercepts_[:-1])


def test_a_plain_network_has_none_of_their_attributes(three_classes):
    model = network().fit(*three_classes)
    assert model.layer_norm_ is None
    assert model.residual_coefs_ is None


@every_kind
def test_they_learn(three_classes, layers):
    X, y = three_classes
    model = network(max_iter=100, learning_rate_init=0.01, **layers).fit(X, y)
    assert model.score(X, y) > 0.85


@every_kind
def test_sparse_inputs_give_the_same(three_classes, layers):
    X, y = three_classes
    dense = network(**layers).fit(X, y)
    sparse = network(**layers).fit(csr_array(X), y)
    np.testing.assert_allclose(dense.loss_curve_, sparse.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(
        dense.predict_proba(X), sparse.predict_proba(csr_array(X)), rtol=1e-7
    )


@every_kind
def test_warm_start_goes_on(three_classes, layers):
    X, y = three_classes
    model = network(warm_start=True, **layers).fit(X, y)
    before = model.loss_curve_[-1]
    model.fit(X, y)
    assert model.loss_curve_[8] < before * 1.05


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"layer_norm": True}, {"layer_norm": False}),
        ({"residual": True}, {"residual": False}),
        ({}, {"residual": True}),
    ],
)
def test_warm_start_with_other_layers_raises(three_classes, before, after):
    X, y = three_classes
    model = network(warm_start=True, **before).fit(X, y)
    (name,) = after
    with pytest.raises(ValueError, match=f"{name}=.*warm_start=False"):
        model.set_params(**after).fit(X, y)


@pytest.mark.parametrize("norm", [True, BatchNorm()])
def test_two_norms_raise(three_classes, norm):
    with pytest.raises(ValueError, match=r"batch_norm=.*layer_norm=.*one of them"):
        network(batch_norm=norm, layer_norm=True).fit(*three_classes)


@pytest.mark.parametrize("layers", LAYERS[:4], ids=str)
def test_a_batch_may_have_one_row(three_classes, layers):
    X, y = three_classes
    model = network(batch_size="auto", **layers)
    for i in range(3):
        model.partial_fit(X[i : i + 1], y[i : i + 1], classes=[0, 1, 2])
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_row_does_not_depend_on_its_batch(three_classes):
    X, y = three_classes
    model = network(layer_norm=True, residual=True).fit(X, y)
    np.testing.assert_allclose(
        model.predict_proba(X)[:1], model.predict_proba(X[:1]), rtol=1e-12
    )


@pytest.mark.parametrize("name", ["layer_norm", "residual"])
def test_without_hidden_layers_they_are_said_to_have_no_effect(three_classes, name):
    with pytest.warns(UserWarning, match=f"{name}.*has no effect"):
        network(hidden_layer_sizes=(), **{name: True}).fit(*three_classes)


@pytest.mark.parametrize("init", ["lsuv", "orthogonal", "zeros"])
@pytest.mark.filterwarnings("ignore:The network predicts")
def test_initializers_know_them(three_classes, init):
    X, y = three_classes
    model = network(init=init, layer_norm=True, residual=True).fit(X, y)
    assert np.isfinite(model.loss_)


def test_clipped_steps_of_gradient_descent_are_no_longer_than_their_bound(one_target):
    X, y = one_target
    model = network(
        MLPRegressor,
        solver="sgd",
        momentum=0.0,
        penalty=None,
        standardize_target=False,
        batch_size=len(X),
        learning_rate_init=0.5,
        clip_norm=0.01,
        max_iter=1,
        warm_start=True,
    ).fit(X, 1000 * y)
    before = np.concatenate([a.ravel() for a in [*model.coefs_, *model.intercepts_]])
    model.fit(X, 1000 * y)
    after = np.concatenate([a.ravel() for a in [*model.coefs_, *model.intercepts_]])
    np.testing.assert_allclose(np.linalg.norm(after - before), 0.005, rtol=1e-6)


def test_clipping_has_no_effect_under_lbfgs(three_classes):
    with pytest.warns(UserWarning, match="clip_norm.*has no effect"):
        network(solver="lbfgs", batch_size="auto", clip_norm=1.0).fit(*three_classes)
