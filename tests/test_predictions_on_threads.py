"""Predictions of one estimator on many threads at once, and how many threads run."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import sknn_notes
from sknn_notes import (
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
    _kernels,
)
from sknn_notes._numpy import errstate
from sknn_notes.tabular import TabularMLPClassifier

ROOT = Path(sknn_notes.__file__).parents[1]
N_THREADS, N_CALLS = 8, 5
X = np.random.default_rng(0).normal(size=(400, 6))
y = np.digitize(X[:, 0], [-0.5, 0.5])
# Every thread has rows of its own, of another number.
PARTS = [X[i : 60 + 40 * i] for i in range(N_THREADS)]


@pytest.fixture(params=_kernels.available())
def kernels(request, monkeypatch):
    monkeypatch.setenv("SKNN_NOTES_KERNELS", request.param)
    _kernels.active.cache_clear()
    yield
    _kernels.active.cache_clear()


def network(cls=MLPClassifier, **params):
    options = {"hidden_layer_sizes": (20,), "max_iter": 2, "random_state": 0}
    return cls(**options | params)


MODELS = {
    "classifier": network(),
    "regressor": network(MLPRegressor, embedding="periodic"),
    "passes": network(dropout=0.3, marginalization="monte_carlo", n_mc_samples=3),
    "ensemble": network(n_networks=3, batch_norm=True),
    "table": TabularMLPClassifier("fast", random_state=0),
    "standardizer": Standardizer(),
    "normalizer": MinMaxNormalizer(),
    "robust": RobustStandardizer(clip=None),
    "encoder": PiecewiseLinearEncoder(),
    "whitener": Whitener("zca"),
}
METHODS = "predict", "predict_proba", "predict_spread", "transform", "inverse_transform"


def calls_of(model):
    """Return functions of rows that only read a model."""
    if isinstance(model, PiecewiseLinearEncoder):
        return [model.transform]
    calls = [getattr(model, name) for name in METHODS if hasattr(model, name)]
    if hasattr(model, "score"):
        calls.append(lambda rows: model.score(rows, y[: len(rows)]))
    try:
        model.predict_spread(X[:2])
    except (AttributeError, ValueError):  # trained without noise
        return [each for each in calls if "spread" not in getattr(each, "__name__", "")]
    return calls


def at_once(*functions):
    """Call functions on threads that start together; raise what they raise."""
    begin, errors = threading.Barrier(len(functions)), []

    def call(function):
        try:
            begin.wait(60)
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(each,)) for each in functions]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("name", MODELS)
def test_predictions_on_threads_are_right(kernels, name):
    """Also while clones are fitted on other threads."""
    model = clone(MODELS[name]).fit(X, y)
    calls = calls_of(model)
    expected = [[call(rows) for call in calls] for rows in PARTS]
    fitting = [clone(model) for _ in range(2)]

    def predict(i):
        for _ in range(N_CALLS):
            for call, right in zip(calls, expected[i], strict=True):
                np.testing.assert_array_equal(call(PARTS[i]), right)

    at_once(
        *(lambda i=i: predict(i) for i in range(N_THREADS)),
        *(lambda each=each: each.fit(X, y) for each in fitting),
    )
    for each in fitting:
        first = calls[0].__name__
        np.testing.assert_array_equal(getattr(each, first)(X), calls[0](X))


@pytest.mark.parametrize("method", ["pca", "zca", "cholesky"])
def test_what_a_stream_computes_when_it_is_needed_is_computed_on_any_thread(method):
    """The decomposition, once or several times, and the same for all."""
    for _ in range(5):
        model = Whitener(method).partial_fit(X[:200]).partial_fit(X[200:])
        other = Whitener(method).partial_fit(X[:200]).partial_fit(X[200:])
        expected, results = other.transform(X), {}
        at_once(
            *(
                lambda i=i, model=model, results=results: results.update(
                    {i: (model.transform(X), model.components_.shape)}
                )
                for i in range(N_THREADS)
            )
        )
        assert len(results) == N_THREADS
        for Z, shape in results.values():
            np.testing.assert_array_equal(Z, expected)
            assert shape == (6, 6)


def test_settings_of_numpy_return_to_those_of_the_caller():
    """Also of calls that begin and end in turns, and of nested ones."""
    begun = {name: threading.Event() for name in ("first", "other")}
    ended, found = threading.Event(), {}

    @errstate(all="ignore")
    def call(function=None):
        assert np.geterr()["over"] == "ignore"
        if function is not None:
            function()

    def first():
        with np.errstate(all="raise"):
            call(lambda: begun["first"].set() or begun["other"].wait(60))
            found["first"] = np.geterr()
            ended.set()

    def other():
        with np.errstate(all="warn"):
            begun["first"].wait(60)
            call(lambda: begun["other"].set() or ended.wait(60))
            found["other"] = np.geterr()

    at_once(first, other)
    assert set(found["first"].values()) == {"raise"}
    assert set(found["other"].values()) == {"warn"}
    before = np.geterr()
    call(call)
    assert np.geterr() == before


COUNT = """
import os, sys, threading, warnings
import numpy as np
from sknn_notes import MLPClassifier, Whitener, _kernels
from sknn_notes.model_selection import GridSearchCV

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(2000, 200))
y = (X[:, 0] > 0).astype(int)
network = MLPClassifier((300,), batch_size=500, max_iter=3, random_state=0)
done, most = threading.Event(), [0]

def watch():
    while not done.wait(0.001):
        most[0] = max(most[0], len(os.listdir("/proc/self/task")))

watcher = threading.Thread(target=watch)
watcher.start()
network.fit(Whitener().fit_transform(X), y).predict_proba(X)
one = most[0]
GridSearchCV(network, {"alpha": [1, 2, 3]}, cv=2, n_jobs=2, refit=False).fit(X, y)
done.set()
watcher.join()
print(one, most[0])
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="no /proc here")
@pytest.mark.parametrize(
    "kernels_name",
    [
        _kernels.available()[0],
        *(
            pytest.param(each, marks=pytest.mark.nightly)
            for each in _kernels.available()[1:]
        ),
    ],
)
def test_no_more_threads_run_than_are_asked_for(kernels_name):
    """One thread with the libraries limited to one, and those of ``n_jobs``."""
    names = "OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA"
    limits = {f"{name}_NUM_THREADS": "1" for name in names}
    options = {"PYTHONPATH": str(ROOT), "SKNN_NOTES_KERNELS": kernels_name}
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=os.environ | limits | options,
        capture_output=True,
        text=True,
        check=True,
    )
    one, both = map(int, done.stdout.split())
    # The main thread and the watcher; in the search two more.
    assert one == 2
    assert both <= 4
