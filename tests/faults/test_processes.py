"""Fits in other processes and on several threads at once, and without a whole numba."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import sknn_notes
from sknn_notes import MLPClassifier, Standardizer, _fitting, _kernels

ROOT = Path(sknn_notes.__file__).parents[1]
X = np.random.default_rng(0).normal(size=(60, 4))
y = (X[:, 0] > 0).astype(int)
NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
NEEDS_NUMBA = pytest.mark.skipif(
    "numba" not in _kernels.available(), reason="needs numba"
)


def run(script, tmp_path, *arguments, **environment):
    """Run a script from a file, which other processes can import; return its output."""
    path = tmp_path / "script.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, path, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


COMMON = """
import multiprocessing, os, signal, sys, threading, time, warnings
import numpy as np
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sknn_notes import MLPClassifier

warnings.simplefilter("ignore")
X, y = make_classification(120, 8, random_state=0)
model = MLPClassifier(
    (16,), max_iter=5, n_networks=2, n_jobs=2, early_stopping=True, random_state=0
)

def of_fit(results):
    results.put(clone(model).fit(X, y).predict_proba(X))
"""

# While a child of every kind fits, threads of the parent do, too.
CHILDREN = (
    COMMON
    + """
if __name__ == "__main__":
    methods = sys.argv[1:]
    expected = clone(model).fit(X, y).predict_proba(X)
    done, before = threading.Event(), sys.getswitchinterval()

    def keep_fitting():
        while not done.is_set():
            clone(model).fit(X, y)

    # Daemons, so that a failure ends the script.
    threads = [threading.Thread(target=keep_fitting, daemon=True) for _ in range(2)]
    for each in threads:
        each.start()
    for method in methods:
        context = multiprocessing.get_context(method)
        for _ in range(2):
            results = context.Queue()
            child = context.Process(target=of_fit, args=(results,))
            child.start()
            np.testing.assert_array_equal(results.get(timeout=120), expected)
            child.join()
            assert child.exitcode == 0
    done.set()
    for each in threads:
        each.join()
    assert sys.getswitchinterval() == before
"""
)
METHODS = ["fork", "spawn", "forkserver"]


@NEEDS_FORK
def test_a_forked_process_fits_while_threads_of_its_parent_do(tmp_path):
    run(CHILDREN, tmp_path, "fork")


@pytest.mark.nightly
@pytest.mark.parametrize("kernels", _kernels.available())
def test_processes_of_every_kind_fit(kernels, tmp_path):
    methods = METHODS if hasattr(os, "fork") else ["spawn"]
    run(CHILDREN, tmp_path, *methods, SKNN_NOTES_KERNELS=kernels)


# The scorer ends the first worker that calls it.
WORKERS = (
    COMMON
    + """
from joblib.externals.loky.process_executor import TerminatedWorkerError

def score(model, X, y):
    try:
        os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return model.score(X, y)
    {end}

if __name__ == "__main__":
    grid = {{"alpha": [1e-4, 1e-2]}}
    network = MLPClassifier((4,), max_iter=2, random_state=0)
    search = GridSearchCV(network, grid, cv=2, n_jobs=2, scoring=score)
    try:
        search.fit(X, y)
    except TerminatedWorkerError as error:
        print("terminated:", str(error).splitlines()[0])
    assert not hasattr(search, "cv_results_")
    print("next:", np.isfinite(search.fit(X, y).best_score_))
"""
)


@pytest.mark.nightly
@pytest.mark.parametrize("end", ["os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_worker_that_dies_ends_a_search_in_processes(end, tmp_path):
    script = WORKERS.format(end=end)
    printed = run(script, tmp_path, str(tmp_path / "died"), SKNN_NOTES_KERNELS="numpy")
    first, second = printed.splitlines()
    assert "A worker process managed by the executor was unexpectedly" in first
    assert second == "next: True"


# Threads


def on_threads(*functions):
    """Call functions at once, and return what they raise."""
    begin, errors = threading.Barrier(len(functions)), []

    def call(function):
        begin.wait()
        try:
            function()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(each,)) for each in functions]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return errors


@pytest.mark.parametrize("n_networks", [1, 2])
def test_estimators_of_one_class_are_fitted_on_threads_at_once(n_networks):
    model = MLPClassifier((8,), max_iter=4, n_networks=n_networks)
    model.set_params(n_jobs=2 if n_networks > 1 else None)
    models = [clone(model).set_params(random_state=i, dropout=0.2) for i in range(4)]
    expected = [clone(each).fit(X, y).predict_proba(X) for each in models]
    assert on_threads(*(lambda each=each: each.fit(X, y) for each in models)) == []
    for each, proba in zip(models, expected, strict=True):
        np.testing.assert_array_equal(each.predict_proba(X), proba)


class Waiting:
    """A scorer that lets another thread go on, and waits for it."""

    def __init__(self):
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, model, X, y):
        self.begun.set()
        assert self.may_end.wait(60)
        return model.score(X, y)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_estimator_is_fitted_by_one_thread_at_a_time(method):
    scorer = Waiting()
    model = MLPClassifier((4,), max_iter=2, early_stopping=True, scoring=scorer)
    first = threading.Thread(target=model.fit, args=(X, y))
    first.start()
    assert scorer.begun.wait(60)
    arguments = (X, y) if method == "fit" else (X, y, [0, 1])
    with pytest.raises(RuntimeError, match=r"by another thread. Fit a copy .*clone"):
        getattr(model, method)(*arguments)
    scorer.may_end.set()
    first.join()
    assert model.n_iter_ == 2
    model.set_params(scoring="accuracy").fit(X, y)
    assert _fitting._running == {}


def test_transformers_are_fitted_by_one_thread_at_a_time(monkeypatch):
    class Waits(Standardizer):
        def _accumulate(self, *arguments, **options):
            begun.set()
            assert may_end.wait(60)
            return super()._accumulate(*arguments, **options)

    begun, may_end = threading.Event(), threading.Event()
    model = Waits()
    first = threading.Thread(target=model.fit, args=(X,))
    first.start()
    assert begun.wait(60)
    with pytest.raises(RuntimeError, match="Waits is being fitted by another thread"):
        model.partial_fit(X)
    may_end.set()
    first.join()
    np.testing.assert_array_equal(model.transform(X), Standardizer().fit_transform(X))


@NEEDS_FORK
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_forked_process_fits_what_a_thread_of_its_parent_fits():
    scorer = Waiting()
    model = MLPClassifier((4,), max_iter=2, early_stopping=True, scoring=scorer)
    first = threading.Thread(target=model.fit, args=(X, y))
    first.start()
    assert scorer.begun.wait(60)
    child = os.fork()
    if child == 0:
        status = 1
        signal.alarm(120)
        try:
            model.set_params(scoring="accuracy").fit(X, y)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    scorer.may_end.set()
    first.join()
    assert os.waitstatus_to_exitcode(status) == 0


# numba

FIT = """
import sys, warnings
import numpy as np
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    from sknn_notes import MLPClassifier, Whitener
    X = Whitener().fit_transform(np.random.default_rng(0).normal(size=(40, 3)))
    model = MLPClassifier((4,), max_iter=2).fit(X, X[:, 0] > 0)
print(model.executor_, *{str(w.message) for w in told if "numba" in str(w.message)})
"""


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("raise ImportError('needs NumPy')", marks=pytest.mark.nightly),
        "raise SystemError('initialization of _dispatcher failed')",
        pytest.param("__version__ = '0.10'", marks=pytest.mark.nightly),
    ],
)
def test_a_numba_that_can_not_be_imported_is_a_warning(broken, tmp_path):
    package = tmp_path / "path" / "numba"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(broken)
    path = f"{package.parent}{os.pathsep}{ROOT}"
    printed = run(FIT, tmp_path, PYTHONPATH=path, SKNN_NOTES_KERNELS="")
    assert printed.startswith("numpy")
    assert "The numba kernels can't be used (" in printed
    assert "Set SKNN_NOTES_KERNELS=numpy" in printed


@NEEDS_NUMBA
@pytest.mark.parametrize("error", ["LoweringError", "SystemError"])
def test_a_numba_that_can_not_compile_the_library_says_what_to_do(error, monkeypatch):
    from numba.core.errors import LoweringError

    from sknn_notes._compile import _numba

    class Dispatcher:
        def compile(self, signature):
            raise {"LoweringError": LoweringError, "SystemError": SystemError}[error](
                "of LLVM"
            )

    monkeypatch.setenv("SKNN_NOTES_KERNELS", "numba")
    _kernels.active.cache_clear()
    monkeypatch.setattr(_numba, "_addresses", {})
    monkeypatch.setattr(_numba, "_dispatcher", lambda *key: Dispatcher())
    monkeypatch.setattr(_numba, "is_kept", lambda *key: True)
    model = MLPClassifier((4,), max_iter=2)
    with pytest.raises(TypeError, match=r"compile .*SKNN_NOTES_KERNELS=numpy .*LLVM"):
        model.fit(X, y)
    _kernels.active.cache_clear()
    assert not hasattr(model, "coefs_")
