"""What is saved can be loaded: by whom, with what trust, from which version."""

import copy
import pickle
import re
import warnings

import cloudpickle
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import make_pipeline

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
    _base,
)
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.initializers import INITIALIZERS, Normal
from sknn_notes.layers import BatchNorm
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, Hinge
from sknn_notes.noise import NOISES
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.penalties import PENALTIES
from sknn_notes.schedules import SCHEDULES

TRANSFORMERS = [
    Centerer(),
    Standardizer(per="all"),
    MinMaxNormalizer(),
    RobustStandardizer(),
    PiecewiseLinearEncoder(),
    Whitener("pca"),
    Whitener("zca_cor", shrinkage="oas"),
    Whitener("cholesky"),
]
NETWORKS = [
    *(MLPClassifier(loss=name) for name in CLASSIFICATION_LOSSES),
    *(MLPRegressor(loss=name) for name in REGRESSION_LOSSES),
    *(MLPClassifier(solver=name) for name in OPTIMIZERS),
    *(MLPRegressor(solver=part()) for part in OPTIMIZERS.values()),
    *(MLPClassifier(activation=[part()]) for part in ACTIVATIONS.values()),
    *(MLPClassifier(init=part()) for part in INITIALIZERS.values()),
    *(MLPClassifier(penalty=part()) for part in PENALTIES.values()),
    *(MLPClassifier(learning_rate=part()) for part in SCHEDULES.values()),
    *(
        MLPClassifier(augment=part(**shape))
        for name, part in NOISES.items()
        for shape in [{} if name == "gaussian_noise" else {"image_shape": (4, 4)}]
    ),
    MLPClassifier(batch_norm=BatchNorm(), dropout=0.2, early_stopping=True),
    MLPClassifier(dropconnect=0.2, dropout_scaling="standard", dtype="float32"),
    MLPRegressor(input_dropout=0.2, marginalization="monte_carlo", n_mc_samples=3),
    MLPClassifier(random_state=np.random.RandomState(0), class_weight="balanced"),
]
for network in NETWORKS:
    network.set_params(hidden_layer_sizes=(5,), max_iter=2)


def name(model):
    """Tell a model from the others in every process alike."""
    return re.sub(r" at 0x\w+", "", str(model))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((60, 16)), rng.integers(1, 5, size=60)


def output(model, X):
    """What a fitted model says about X, in numbers where it has them."""
    for method in ("decision_function", "predict", "transform"):
        if hasattr(model, method):
            return getattr(model, method)(X)
    raise AssertionError(model)


NEEDS_SEED_SEQ = pytest.mark.needs("numpy>=1.25", "skops reads what it calls seed_seq")


def by_skops(model):
    """Save and load, trusting the types of this library alone."""
    io = pytest.importorskip("skops.io")
    saved = io.dumps(model)
    untrusted = io.get_untrusted_types(data=saved)
    ours = [name for name in untrusted if name.startswith("sknn_notes.")]
    return io.loads(saved, trusted=ours)


def go_on(model, X, y):
    """Continue the fit of a network, or give a transformer more data."""
    if hasattr(model, "warm_start"):
        return model.set_params(warm_start=True).fit(X, y)
    return getattr(model, "partial_fit", model.fit)(X)


@NEEDS_SEED_SEQ
@pytest.mark.filterwarnings("ignore:.*fit stores no statistics")
@pytest.mark.parametrize("model", [*TRANSFORMERS, *NETWORKS], ids=name)
def test_skops_needs_to_trust_this_library_alone(model, data):
    X, y = data
    model = clone(model).fit(X, y)
    loaded = by_skops(model)
    np.testing.assert_array_equal(output(loaded, X), output(model, X))
    go_on(model, X, y)
    go_on(loaded, X, y)
    np.testing.assert_array_equal(output(loaded, X), output(model, X))


@NEEDS_SEED_SEQ
@pytest.mark.parametrize("model", TRANSFORMERS, ids=name)
@pytest.mark.parametrize("saved", [by_skops, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_stream_goes_on_after_saving(model, saved, data):
    X, _ = data
    model = clone(model)
    if "subsample" in model.get_params():
        model.set_params(subsample=10)
    model.partial_fit(X[:20])
    loaded = saved(model)
    for each in (model, loaded):
        each.partial_fit(X[20:])
    np.testing.assert_array_equal(output(loaded, X), output(model, X))


@NEEDS_SEED_SEQ
@pytest.mark.parametrize("labels", [list("abcd"), np.array(list("abcd"), object)])
def test_skops_keeps_a_pipeline_and_its_labels(labels, data):
    X, y = data
    y = np.asarray(labels)[y - 1]
    model = make_pipeline(Standardizer(), MLPClassifier(5, max_iter=2)).fit(X, y)
    loaded = by_skops(model)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.classes_.dtype == model.classes_.dtype


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("model", [Whitener(), NETWORKS[0]], ids=name)
def test_every_protocol_of_pickle(model, protocol, data):
    X, y = data
    model = clone(model).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model, protocol))
    np.testing.assert_array_equal(output(loaded, X), output(model, X))


def skops_dumps(model):
    return pytest.importorskip("skops.io").dumps(model)


@pytest.mark.parametrize(
    "save", [pickle.dumps, pytest.param(skops_dumps, marks=NEEDS_SEED_SEQ)]
)
@pytest.mark.parametrize(
    ("solver", "n_copies"), [("lbfgs", 1), ("sgd", 2), ("rmsprop", 2), ("adam", 3)]
)
def test_weights_are_saved_once_beside_the_state_of_the_solver(
    save, solver, n_copies, data
):
    X, y = data
    model = MLPClassifier((100, 500), solver=solver, max_iter=2).fit(X, y)
    weights = sum(W.nbytes for W in model.coefs_ + model.intercepts_)
    assert n_copies <= len(save(model)) / weights < n_copies + 0.2


# Versions


PARTS = [Hinge(), Normal(), BatchNorm()]


def saved_by(version, model):
    """A pickle of the model as another version of the library would write it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_base, "__version__", version)
        return pickle.dumps(model)


@pytest.mark.parametrize("model", [*TRANSFORMERS, *NETWORKS[:1], *PARTS], ids=name)
def test_another_version_is_warned_about(model):
    name = type(model).__name__
    with pytest.warns(
        InconsistentVersionWarning, match=f"{name} was saved with version 9.8.7 of sknn"
    ) as record:
        loaded = pickle.loads(saved_by("9.8.7", model))
    assert record[0].message.original_sklearn_version == "9.8.7"
    assert record[0].filename == __file__
    assert vars(loaded) == vars(model)


def test_every_part_of_a_fitted_network_is_warned_about(data):
    model = MLPClassifier(5, loss=Hinge(), max_iter=2).fit(*data)
    with pytest.warns(InconsistentVersionWarning) as record:
        pickle.loads(saved_by("9.8.7", model))
    named = {warning.message.estimator_name for warning in record}
    assert {"MLPClassifier", "Hinge", "ReLU"} <= named


def test_a_state_without_a_version_comes_from_before_there_was_one():
    state = Hinge().__getstate__()
    del state["_sknn_notes_version"]
    with pytest.warns(InconsistentVersionWarning, match="version before 0.1.0 of"):
        Hinge.__new__(Hinge).__setstate__(state)


@pytest.mark.parametrize("model", [*TRANSFORMERS[:1], *NETWORKS[:1], *PARTS], ids=name)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: cloudpickle.loads(cloudpickle.dumps(model)),
        by_skops,
    ],
)
def test_the_same_version_leaves_no_trace(model, duplicate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = duplicate(model)
    assert vars(loaded) == vars(model)


def test_a_class_of_the_users_own_keeps_the_version_of_its_base():
    class Tuned(MLPClassifier):
        pass

    saved = Tuned().__getstate__()
    assert saved["_sknn_notes_version"] == _base.__version__
