"""Data that a fit reads in batches: held-out rows, memory maps, peak memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.embeddings import PiecewiseLinear
from sknn_notes.neural_network._validation import hold_out
from sknn_notes.noise import GaussianNoise

N = 5000


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 20, size=(N, 6)) / 4
    return X, (X[:, 0] + X[:, 1] > 5) + 1 * (X[:, 2] > 3)


@pytest.fixture
def mapped(tmp_path):
    """Return a function that saves an array and returns a read-only memory map."""

    def save(array, dtype=None, order="C"):
        path = tmp_path / "X.npy"
        np.save(path, np.asarray(array, dtype, order=order))
        return np.load(path, mmap_mode="r")

    return save


def classifier(**parameters):
    parameters = {"max_iter": 3, "random_state": 0, **parameters}
    return MLPClassifier((8,), **parameters)


def assert_same_fit(one, other):
    """Check that two estimators are equal bit for bit."""
    pairs = zip(one.networks_ or [one], other.networks_ or [other], strict=True)
    for first, second in pairs:
        assert first.loss_curve_ == second.loss_curve_
        assert first.validation_scores_ == second.validation_scores_
        assert first.validation_loss_curve_ == second.validation_loss_curve_
        for W, V in zip(first.coefs_, second.coefs_, strict=True):
            np.testing.assert_array_equal(W, V)


# Rows that are held out.


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"shuffle": False},
        {"batch_norm": True},
        {"scoring": "balanced_accuracy"},
        {"init": "lsuv"},
        {"scoring": "loss"},
    ],
    ids=str,
)
def test_held_out_rows_act_as_copies_of_them(sparse, parameters, data):
    X, y = data
    X = csr_array(X) if sparse else X
    weights = np.random.default_rng(1).integers(0, 3, N).astype(float)
    model = classifier(early_stopping=True, **parameters).fit(X, y, weights)
    seed = model._training_state.lasting_seed
    fraction = model.validation_fraction
    n = np.flatnonzero(weights) if "batch_norm" in parameters else np.arange(N)
    train, held_out = (n[rows] for rows in hold_out(len(n), fraction, seed, y[n]))
    copied = classifier(early_stopping=True, **parameters).fit(
        X[train],
        y[train],
        weights[train],
        X_val=X[held_out],
        y_val=y[held_out],
        sample_weight_val=weights[held_out],
    )
    assert_same_fit(model, copied)


def test_rows_without_weight_that_batch_norm_leaves_out(data):
    X, y = data
    weights = (np.arange(N) % 3 > 0).astype(float)
    seen = weights > 0
    model = classifier(batch_norm=True).fit(X, y, weights)
    assert_same_fit(model, classifier(batch_norm=True).fit(X[seen], y[seen]))


# Memory maps.


@pytest.mark.parametrize(
    ("stored", "dtype", "order"),
    [
        ("float64", "auto", "C"),
        ("float64", "auto", "F"),
        ("float64", "float32", "C"),
        ("float32", "float64", "C"),
        ("uint8", "auto", "C"),
        (">f8", "float32", "F"),
        ("float16", "auto", "C"),
    ],
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_memory_map_trains_as_an_array_does(
    stored, dtype, order, early_stopping, data, mapped
):
    X = mapped(data[0], stored, order)
    before = np.array(X)
    models = [
        classifier(dtype=dtype, early_stopping=early_stopping).fit(each, data[1])
        for each in (X, before)
    ]
    assert_same_fit(*models)
    probabilities = (models[0].predict_proba(each) for each in (X, before))
    np.testing.assert_array_equal(*probabilities)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    "parameters",
    [
        {"shuffle": False},
        {"n_networks": 2, "early_stopping": True},
        {"solver": "lbfgs"},
        {"embedding": PiecewiseLinear(n_bins=4), "early_stopping": True},
        {"augment": GaussianNoise()},
        {"warm_start": True},
        {"init": "lsuv", "scoring": "accuracy", "early_stopping": True},
    ],
    ids=str,
)
def test_every_way_to_train_reads_a_map_of_integers(parameters, data, mapped):
    X = mapped(data[0], "uint8")
    models = [
        classifier(**parameters).fit(each, data[1]).fit(each, data[1])
        for each in (X, np.array(X))
    ]
    assert_same_fit(*models)


def test_targets_and_validation_sets_may_be_maps(data, mapped, tmp_path):
    X = mapped(data[0], "uint8")
    np.save(tmp_path / "y.npy", data[0][:, 3])
    y = np.load(tmp_path / "y.npy", mmap_mode="r")
    models = [
        MLPRegressor(max_iter=2, early_stopping=True, random_state=0).fit(
            A[1000:], b[1000:], X_val=A[:1000], y_val=b[:1000]
        )
        for A, b in ((X, y), (np.array(X), np.array(y)))
    ]
    assert_same_fit(*models)


def test_partial_fit_takes_chunks_of_a_map(data, mapped):
    X, y = mapped(data[0], "uint8"), data[1]
    models = [classifier(), classifier()]
    for start in range(0, N, 1000):
        rows = slice(start, start + 1000)
        for model, A in zip(models, (X, np.array(X)), strict=True):
            model.partial_fit(A[rows], y[rows], classes=[0, 1, 2])
    assert_same_fit(*models)


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (np.nan, "float32", "Input X contains NaN"),
        (np.inf, "float32", "Input X contains infinity"),
        (1e39, "float32", r"value too large for dtype\('float32'\)"),
    ],
)
def test_what_is_not_finite_in_a_map_is_found(value, dtype, message, data, mapped):
    X = np.array(data[0])
    X[-1, 2] = value
    with pytest.raises(ValueError, match=message):
        classifier(dtype=dtype).fit(mapped(X), data[1])
    model = classifier(dtype=dtype).fit(mapped(data[0]), data[1])
    with pytest.raises(ValueError, match=message):
        model.predict(mapped(X))
    with pytest.raises(ValueError, match="6 features"):
        model.predict(mapped(X[:, :5]))


# Peak memory.

# Memory that the process allocates is limited to what it has, and some MiB more; the
# pages of a file that is mapped read-only don't count.
LIMITED = """
import resource
import sys
import numpy as np
from sknn_notes import *

path, limit = sys.argv[1], int(sys.argv[2]) * 2**20
batches = {"hidden_layer_sizes": (4,), "max_iter": 1, "batch_size": 1000}
fits = [
    (MLPClassifier(**batches), "f4"),
    (MLPClassifier(**batches, early_stopping=True, dtype="float32"), "f8"),
    (MLPClassifier(**batches, shuffle=False, batch_norm=True, dtype="float32"), "u1"),
    (Whitener(), "f4"),
    (Standardizer(), "u1"),
    (MinMaxNormalizer(), "f8"),
]


def data(dtype):
    X = np.memmap(path, dtype, "r").reshape(-1, 200)
    return X, np.arange(len(X)) % 2


def fit(estimator, X, y):
    estimator.fit(X, y)
    if hasattr(estimator, "predict"):
        estimator.predict(X)


for estimator, dtype in fits:  # loads and compiles
    X, y = data(dtype)
    fit(estimator, np.array(X[:5000]), y[:5000])

with open("/proc/self/status") as status:
    (now,) = (line.split()[1] for line in status if line.startswith("VmData"))
limit += int(now) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
for estimator, dtype in fits:
    X, y = data(dtype)
    fit(estimator, X, y)
    try:
        np.array(X)
    except MemoryError:
        print(type(estimator).__name__)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts on Linux")
def test_fits_take_less_memory_than_their_map(tmp_path):
    # 200 MB, none of it written: a sparse file reads as zeros.
    path = tmp_path / "X.dat"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    arguments = [sys.executable, "-W", "ignore", "-c", LIMITED, str(path), "60"]
    # More threads of BLAS wait for each other where other tests run.
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(
        arguments, capture_output=True, text=True, check=False, env=env
    )
    names = ["MLPClassifier"] * 3 + ["Whitener", "Standardizer", "MinMaxNormalizer"]
    assert result.stdout.split() == names, result.stderr
