"""Embeddings and feature scaling through the estimators."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.embeddings import Periodic, PiecewiseLinear
from sknn_notes.inspection import ActivationsDisplay, sanity_check
from sknn_notes.noise import GaussianNoise, StochasticPooling

CHOICES = [
    {"feature_scaling": True},
    {"embedding": "periodic"},
    {"embedding": "piecewise_linear"},
    {"embedding": Periodic(n_units=2, activation="relu"), "feature_scaling": True},
    {"embedding": PiecewiseLinear(n_bins=3), "feature_scaling": True},
]
every_choice = pytest.mark.parametrize("choice", CHOICES, ids=str)
EMBEDDED = [choice for choice in CHOICES if "embedding" in choice]
every_embedding = pytest.mark.parametrize("choice", EMBEDDED, ids=str)


def network(cls=MLPClassifier, **parameters):
    defaults = {
        "hidden_layer_sizes": (9,),
        "batch_size": 16,
        "max_iter": 8,
        "random_state": 0,
    }
    return cls(**(defaults | parameters))


def embedded(X, e):
    """Return the embedded inputs from the arrays of a fitted network."""
    if e is None:
        return X
    if "lower" in e:
        Z = np.clip((X[:, e["features"]] - e["lower"]) / e["width"], 0, 1)
        return np.hstack([X, (Z - e["mean"]) / e["scale"]])
    columns = [X]
    for j, x in enumerate(X.T):
        turns = x[:, None] * e["frequencies"][j] + e["phases"][j]
        columns.append(np.cos(2 * np.pi * turns) @ e["weights"][j] + e["biases"][j])
    return np.hstack(columns)


@pytest.mark.parametrize("scaling", [False, True])
@pytest.mark.parametrize("embedding", [None, "periodic", "piecewise_linear"])
def test_predictions_by_hand(one_target, embedding, scaling):
    X, y = one_target
    model = network(MLPRegressor, embedding=embedding, feature_scaling=scaling)
    model.fit(X, y)
    A = embedded(X, model.embedding_)
    if scaling:
        assert np.any(model.feature_scales_ != 1)
        A = A * model.feature_scales_
    assert model.coefs_[0].shape == (A.shape[1], 9)
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        A = np.maximum(A @ W + b, 0)
    expected = A @ model.coefs_[-1] + model.intercepts_[-1]
    np.testing.assert_allclose(model.predict(X), expected[:, 0], rtol=1e-9)
    assert model.n_features_in_ == X.shape[1]


def test_a_plain_network_has_none_of_their_attributes(three_classes):
    model = network().fit(*three_classes)
    assert model.embedding_ is None
    assert model.feature_scales_ is None


def test_they_draw_nothing_where_they_are_off(three_classes):
    """Feature scaling starts at 1 and draws nothing, so the first loss is the same."""
    X, y = three_classes
    options = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}
    plain = network(**options).fit(X, y)
    scaled = network(feature_scaling=True, **options).fit(X, y)
    assert plain.loss_ == pytest.approx(scaled.loss_, rel=1e-12)


@every_choice
def test_they_learn(three_classes, choice):
    X, y = three_classes
    model = network(max_iter=100, learning_rate_init=0.01, **choice).fit(X, y)
    assert model.score(X, y) > 0.85


@pytest.mark.parametrize(
    "embedding", [Periodic(sigma=0.5), PiecewiseLinear(n_bins=16)], ids=str
)
def test_they_fit_what_the_plain_network_does_not(embedding):
    X = np.random.default_rng(0).uniform(-2, 2, size=(400, 1))
    y = np.sin(8 * X[:, 0])
    options = {"max_iter": 200, "learning_rate_init": 0.01}
    plain = network(MLPRegressor, **options).fit(X, y).score(X, y)
    model = network(MLPRegressor, embedding=embedding, **options).fit(X, y)
    assert model.score(X, y) > 0.9 > plain + 0.2


@pytest.mark.one_in(3)
@every_choice
@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True, "validation_fraction": 0.3},
        {"dropconnect": 0.2, "batch_norm": True},
        {"augment": GaussianNoise(std=0.2), "input_dropout": 0.1},
        {"marginalization": "monte_carlo", "dropout": 0.2, "n_mc_samples": 4},
        {"solver": "lbfgs", "batch_size": "auto"},
        {"solver": "sgd", "penalty": "l1", "max_norm": 1.0, "residual": True},
        {"solver": "adamw", "init": "lsuv", "layer_norm": True},
        {"hidden_layer_sizes": ()},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_with_everything_else(three_classes, choice, options, dtype):
    X, y = three_classes
    X = X.astype(dtype)
    model = network(**(choice | options)).fit(X, y)
    proba = model.predict_proba(X)
    assert np.isfinite(proba).all()
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(X), proba)
    if options.get("solver") != "lbfgs":
        assert proba.dtype == dtype
        for array in (model.embedding_ or {}).values():
            assert array.dtype in (dtype, np.int64)


@every_choice
def test_warm_start_goes_on(three_classes, choice):
    X, y = three_classes
    model = network(warm_start=True, **choice).fit(X, y)
    before, constants = model.loss_curve_[-1], model.embedding_
    # Other rows: what was learned from the first ones stays.
    model.fit(X[::2], y[::2])
    assert model.loss_curve_[8] < before * 1.2
    for name in ("features", "lower", "width", "mean", "scale"):
        if constants and name in constants:
            np.testing.assert_array_equal(model.embedding_[name], constants[name])


@every_choice
def test_partial_fit_goes_on(three_classes, choice):
    X, y = three_classes
    model = network(**choice)
    for rows in np.split(np.arange(len(X) // 4 * 4), 4) * 5:
        model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    assert sum(model.loss_curve_[-4:]) < sum(model.loss_curve_[:4])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"embedding": "periodic"}, {"embedding": None}),
        ({"embedding": "periodic"}, {"embedding": Periodic(sigma=0.2)}),
        ({"embedding": "periodic"}, {"embedding": "piecewise_linear"}),
        ({}, {"embedding": PiecewiseLinear(n_bins=5)}),
        ({"feature_scaling": True}, {"feature_scaling": False}),
    ],
    ids=str,
)
def test_warm_start_with_others_raises(three_classes, before, after):
    X, y = three_classes
    model = network(warm_start=True, **before).fit(X, y)
    (name,) = after
    with pytest.raises(ValueError, match=rf"{name}=.*warm_start=False"):
        model.set_params(**after).fit(X, y)


@every_embedding
def test_sparse_inputs_raise(three_classes, choice):
    X, y = three_classes
    with pytest.raises(ValueError, match=r"embedding=.*toarray\(\)"):
        network(**choice).fit(csr_array(X), y)
    model = network(**choice).fit(X, y)
    with pytest.raises(ValueError, match=r"embedding=.*toarray\(\)"):
        model.predict(csr_array(X))


def test_scaling_of_sparse_inputs_is_that_of_dense_ones(three_classes):
    X, y = three_classes
    dense = network(feature_scaling=True).fit(X, y)
    sparse = network(feature_scaling=True).fit(csr_array(X), y)
    np.testing.assert_allclose(dense.feature_scales_, sparse.feature_scales_, rtol=1e-9)
    np.testing.assert_allclose(
        dense.predict_proba(X), sparse.predict_proba(csr_array(X)), rtol=1e-7
    )


def test_bins_come_from_the_rows_to_train_on(three_classes):
    X, y = three_classes
    weight = np.zeros(len(X))
    weight[::2] = 1
    some = network(embedding="piecewise_linear").fit(X, y, weight).embedding_
    alone = network(embedding="piecewise_linear").fit(X[::2], y[::2]).embedding_
    for name, array in some.items():
        np.testing.assert_allclose(array, alone[name], err_msg=name)


def test_pooled_images_are_embedded_behind_the_pooling(three_classes):
    X = np.random.default_rng(0).uniform(size=(90, 16))
    y = np.arange(90) % 3
    for embedding, n_inputs in (("periodic", 16), (PiecewiseLinear(n_bins=2), 12)):
        model = network(augment=StochasticPooling(), embedding=embedding).fit(X, y)
        assert len(model.coefs_[0]) == n_inputs
        assert np.isfinite(model.predict_proba(X)).all()


@every_choice
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_inspection_knows_them(three_classes, choice):
    X, y = three_classes
    report = sanity_check(network(**choice), X, y)
    assert "gradient" in str(report)
    pytest.importorskip("matplotlib")
    ActivationsDisplay.from_estimator(network(**choice).fit(X, y), X, y)


def test_parameters_of_a_part_can_be_searched(three_classes):
    X, y = three_classes
    grid = [
        {"embedding": [None]},
        {"embedding": [Periodic()], "embedding__sigma": [0.1, 0.5]},
    ]
    search = GridSearchCV(network(), grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 3
    assert clone(network(embedding=Periodic(sigma=2.0))).embedding.sigma == 2.0
