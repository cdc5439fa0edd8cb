"""Networks that are pickled train on in another process as they would have here."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.layers import BatchNorm
from sknn_notes.losses import Hinge, Huber
from sknn_notes.noise import FractionalMaxPooling, GaussianNoise
from sknn_notes.optimizers import SGD
from sknn_notes.schedules import Cosine, InverseTime

NETWORKS = [
    MLPClassifier(solver="sgd", momentum=0.8, nesterovs_momentum=False),
    MLPClassifier(solver=SGD(momentum=0.5), penalty="l1", alpha=0.01),
    MLPClassifier(solver="adamw", dtype="float32", shuffle=False),
    MLPClassifier(solver="rmsprop", penalty="elasticnet", clip_norm=1.0),
    MLPClassifier(dropout=0.3, input_dropout=0.1, dropconnect=0.2),
    MLPClassifier(batch_norm=BatchNorm(), augment=GaussianNoise(std=0.2)),
    MLPClassifier(augment=FractionalMaxPooling(image_shape=(4, 4))),
    MLPClassifier(learning_rate=InverseTime(warmup=2), alpha=InverseTime(start=0.1)),
    MLPClassifier(
        learning_rate="cosine", dropout=Cosine(start=0.5), dropout_scaling="standard"
    ),
    MLPClassifier(learning_rate="adaptive", solver="sgd", n_iter_no_change=1, tol=1.0),
    MLPClassifier(early_stopping=True, layer_norm=True, residual=True),
    MLPClassifier(loss=Hinge(), max_norm=2.0, class_weight={0: 1, 1: 2, 2: 1}),
    MLPClassifier(loss="hierarchical_softmax"),
    MLPClassifier(embedding="periodic", feature_scaling=True),
    MLPClassifier(embedding="piecewise_linear"),
    MLPClassifier(n_networks=3, dropout=0.2, early_stopping=True),
    MLPClassifier(random_state=np.random.RandomState(0)),
    MLPRegressor(solver="sgd", dtype="float32", batch_norm=True),
    MLPRegressor(loss=Huber(), early_stopping=True, standardize_target=False),
    MLPRegressor(loss="gaussian_nll", dropout=0.2, n_networks=2),
]
for network in NETWORKS:
    network.set_params(hidden_layer_sizes=(6,), max_iter=3, batch_size=16)
    if network.random_state is None:
        network.set_params(random_state=0)
# partial_fit raises for what plans over a fit, and holds out nothing.
STREAMING = [
    clone(network).set_params(early_stopping=False)
    for network in NETWORKS
    if network.learning_rate not in ("adaptive", "cosine")
]

TRAIN_ON = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
with open(sys.argv[1], "rb") as file:
    networks, X, y = pickle.load(file)
for network in networks:
    method = "fit" if network.warm_start else "partial_fit"
    for _ in range(2):
        getattr(network, method)(X, y[hasattr(network, "classes_")])
with open(sys.argv[1], "wb") as file:
    pickle.dump(networks, file)
"""


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory):
    """Networks that were trained on here, and those of another process."""
    X, labels = make_classification(
        n_samples=80, n_features=16, n_informative=4, n_classes=3, random_state=0
    )
    # The output layer is rounded where it is published in such a unit.
    y = 1000 + 300 * X[:, 0], labels
    networks = [clone(each).set_params(warm_start=True) for each in NETWORKS]
    networks += [clone(each) for each in STREAMING]
    for network in networks:
        network.fit(X, y[isinstance(network, MLPClassifier)])
    path = tmp_path_factory.mktemp("networks") / "networks.pkl"
    path.write_bytes(pickle.dumps((networks, X, y)))
    subprocess.run([sys.executable, "-c", TRAIN_ON, path], check=True)
    for network in networks:
        method = "fit" if network.warm_start else "partial_fit"
        for _ in range(2):
            getattr(network, method)(X, y[isinstance(network, MLPClassifier)])
    return networks, pickle.loads(path.read_bytes())


def assert_same(one, other):
    """Two networks hold the same numbers, bit for bit, and will draw the same."""
    names = [name for name in vars(one) if name.endswith("_") and name != "networks_"]
    assert "coefs_" in names
    for name in names:
        np.testing.assert_equal(getattr(one, name), getattr(other, name), name)
    states = one._training_state, other._training_state
    np.testing.assert_equal(*(state.optimizer_state for state in states))
    draws = [copy.deepcopy(state.rng).random(3) for state in states]
    np.testing.assert_array_equal(*draws)
    for pair in zip(one.networks_ or (), other.networks_ or (), strict=True):
        assert_same(*pair)


@pytest.mark.parametrize("i", range(len(NETWORKS)))
def test_warm_start(i, trained_on):
    here, there = trained_on
    assert here[i].warm_start
    assert_same(there[i], here[i])


@pytest.mark.parametrize("i", range(len(STREAMING)))
def test_partial_fit(i, trained_on):
    here, there = (networks[len(NETWORKS) + i] for networks in trained_on)
    assert not here.warm_start
    assert_same(there, here)
