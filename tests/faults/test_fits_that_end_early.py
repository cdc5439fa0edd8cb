"""A fit that ends anywhere leaves nothing behind.

Every line of the library that a fit runs raises once: KeyboardInterrupt, as if the user
interrupted it there, or an error. So does every call of a part, a scorer or a callback
of the user's own. Either the exception reaches the caller and the estimator is what it
was before, or the interruption ends the training with a warning and a usable model. The
limits of threads, numpy's settings and the like are those from before, and the next fit
gives what it would have given.

Lines that clean up after an exception are left out: nothing can be done for those.
"""

import ast
import inspect
import pickle
import random
import sys
import threading
import warnings
from functools import cache, wraps
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib.parallel import get_active_backend
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import sknn_notes
import sknn_notes.embeddings
import sknn_notes.noise
from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
    _fitting,
    _kernels,
    _messages,
    _threads,
)
from sknn_notes._part import Part
from sknn_notes.model_selection import GridSearchCV
from sknn_notes.tabular import TabularMLPClassifier

PACKAGE = str(Path(sknn_notes.__file__).parent)
rng = np.random.default_rng(0)
X = rng.normal(size=(40, 4))
y = (X[:, 0] + 0.1 * rng.normal(size=40) > 0).astype(int)
TABLE = pd.DataFrame(X, columns=list("abcd")).assign(kind=list("uv") * 20)
# Data of other classes.
X2, y2 = X + 1, np.where(y == 1, 3, 1)

pytestmark = pytest.mark.filterwarnings("ignore:.* has no effect")


@pytest.fixture(autouse=True)
def numpy_steps(monkeypatch):
    """Lines of compiled steps can't be traced."""
    monkeypatch.setenv("SKNN_NOTES_KERNELS", "numpy")
    _kernels.active.cache_clear()
    yield
    _kernels.active.cache_clear()


# Where to raise


SPARED = (
    "__enter__",
    "__exit__",
    "__sklearn_tags__",
    "_is_stochastic_on_device",
    "_token",
)


@cache
def lines_of(path):
    """Return the lines of a file that clean up, and those that begin blocks.

    Tracing, but no signal, can raise where a ``with`` block has ended and its context
    manager has not, which is the line that begins it; and between two ``try``.
    ``__enter__`` can't clean up after itself, and a few errors are those of a question
    that may fail.
    """
    cleaning, begins = set(), set()
    for node in ast.walk(ast.parse(Path(path).read_text())):
        bodies = []
        if isinstance(node, ast.With):
            begins.update(range(node.lineno, node.body[0].lineno))
        elif isinstance(node, ast.Try):
            begins.add(node.lineno)
            bodies = [node.finalbody, *(handler.body for handler in node.handlers)]
        elif isinstance(node, ast.FunctionDef) and node.name in SPARED:
            bodies = [node.body]
        for each in chain(*bodies):
            cleaning.update(range(each.lineno, each.end_lineno + 1))
    return cleaning, begins


def is_spared(frame):
    path = frame.f_code.co_filename
    if frame.f_lineno in lines_of(path)[1]:
        return True
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(PACKAGE) and frame.f_lineno in lines_of(path)[0]:
            return True
        frame = frame.f_back
    return False


def places_of(function):
    """Return file, line and number of runs of the lines that a function runs."""
    times = {}

    def in_frame(frame, event, arg):
        if event == "line":
            place = frame.f_code.co_filename, frame.f_lineno
            if place not in times:
                times[place] = 0 if is_spared(frame) else 1
            elif times[place]:
                times[place] += not is_spared(frame)
        return in_frame

    traced(function, PACKAGE, in_frame)
    return [(*place, n) for place, n in times.items() if n]


def raising(error, path, line, time):
    """Return a function that calls another, and raises in the n-th run of a line."""
    left = time

    def in_frame(frame, event, arg):
        nonlocal left
        if event == "line" and frame.f_lineno == line and not is_spared(frame):
            left -= 1
            if left == 0:
                raise error
        return in_frame

    def call(function):
        function_returned = traced(function, path, in_frame)
        if left > 0:
            raise NotReached
        return function_returned

    return call


def traced(function, path, in_frame):
    before = sys.gettrace()

    def trace(frame, event, arg):
        return in_frame if frame.f_code.co_filename.startswith(path) else None

    sys.settrace(trace)
    try:
        return function()
    finally:
        sys.settrace(before)


class NotReached(Exception):
    """A line was not run as often, such as one of a warning that is given once."""


# What is fitted


class Failure(Exception):
    """What a callback, a scorer or a part raises."""


class Fit:
    """A fit of an estimator that may have been fitted before.

    Parameters
    ----------
    estimator : estimator
    before : callable, default=None
        Fits the estimator to other data.
    fit : callable
        Fits the estimator.
    """

    def __init__(self, estimator, before=None, fit=lambda model: model.fit(X, y)):
        self.estimator, self.before, self.fit = estimator, before, fit

    def made(self):
        model = clone(self.estimator)
        if self.before is not None:
            self.before(model)
        return model


def network(cls=MLPClassifier, **params):
    options = {
        "hidden_layer_sizes": (4,),
        "max_iter": 2,
        "batch_size": 20,
        "random_state": 0,
    }
    return cls(**options | params)


def first_part(model):
    return model.partial_fit(X[:20], y[:20], **classes_of(model))


def next_part(model):
    return model.partial_fit(X[20:], y[20:])


def classes_of(model):
    return {"classes": [0, 1]} if hasattr(model, "predict_proba") else {}


def other_data(model):
    return model.fit(X2, y2)


def stream(model):
    return model.partial_fit(X[:20], y[:20])


def table(model):
    return model.fit(TABLE, y)


LAYERS = {"dropout": 0.2, "batch_norm": True, "penalty": "l1", "residual": True}
LAYERS |= {"hidden_layer_sizes": (4, 4), "augment": sknn_notes.noise.GaussianNoise()}
GRID = {"mlpclassifier__alpha": [1e-4, 1.0]}
PIPELINE = make_pipeline(Standardizer(), network())


def search(**options):
    return GridSearchCV(PIPELINE, GRID, cv=2, error_score="raise", **options)


FITS = {
    "new": Fit(network()),
    "new, layers": Fit(network(**LAYERS)),
    "again": Fit(network(early_stopping=True), other_data),
    "again, lbfgs": Fit(network(solver="lbfgs"), other_data),
    "regressor": Fit(network(MLPRegressor, embedding="periodic"), other_data),
    "warm start": Fit(
        network(warm_start=True, **LAYERS), lambda model: model.fit(X[::-1], y[::-1])
    ),
    "partial_fit, new": Fit(network(), fit=first_part),
    "partial_fit": Fit(network(**LAYERS, solver="sgd"), first_part, next_part),
    "networks": Fit(network(n_networks=2), other_data),
    "networks on threads": Fit(network(n_networks=2, n_jobs=2), other_data),
    "networks, warm start": Fit(
        network(n_networks=2, warm_start=True), lambda model: model.fit(X[::-1], y)
    ),
    "table": Fit(TabularMLPClassifier("fast", random_state=0), other_data, table),
    "search": Fit(search(), other_data),
    "search on threads": Fit(search(n_jobs=2), other_data),
}
for each in [
    Centerer(),
    Standardizer(),
    MinMaxNormalizer(),
    RobustStandardizer(),
    PiecewiseLinearEncoder(),
    Whitener("zca_cor"),
]:
    name = type(each).__name__
    FITS[name] = Fit(each, other_data)
    FITS[f"{name}, stream"] = Fit(
        each, stream, lambda model: model.partial_fit(X[20:] * 3 + 1, y[20:])
    )


# What must hold


def surroundings():
    """Return all that a fit changes for its duration."""
    return {
        "limits of BLAS": dict(_threads._blas._limits),
        "threads of BLAS": _threads._blas.count(),
        "its lock": _threads._blas._lock.locked(),
        "blocks of quick switches": set(_threads.quick_switches._blocks),
        "switches": sys.getswitchinterval(),
        "listener": _messages._current(),
        "running fits": dict(_fitting._running),
        "errors of numpy": np.geterr(),
        "configuration": sklearn.get_config(),
        "backend": type(get_active_backend()[0]),
        "threads": threading.active_count(),
    }


def output(model):
    data = TABLE if isinstance(model, TabularMLPClassifier) else X
    name = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    return getattr(model, name if hasattr(model, name) else "transform")(data)


def outcome(fit, error, run):
    """Fit by a function that raises an error, and check all that must hold."""
    model = fit.made()
    before, around = pickle.dumps(model), surroundings()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            run(lambda: fit.fit(model))
            raised = False
        except NotReached:
            return
        except type(error):
            raised = True
    now = surroundings()
    assert now == around, {k: v for k, v in now.items() if v != around[k]}
    if raised:
        if pickle.dumps(model) != before:
            assert is_done(fit, model), "changed"
            model = fit.made()
    else:
        assert isinstance(error, KeyboardInterrupt), "swallowed"
        texts = [str(each.message)[:60] for each in told]
        assert any("interrupted by user" in text for text in texts), texts
        assert np.isfinite(output(pickle.loads(pickle.dumps(model)))).all()
        model = fit.made()
    np.testing.assert_array_equal(output(quietly(fit.fit, model)), expected(fit))


def is_done(fit, model):
    """Tell whether an exception came when the results had been stored."""
    try:
        return np.array_equal(quietly(output, model), expected(fit))
    except (AttributeError, NotFittedError):
        return False


@cache
def expected(fit):
    return output(quietly(fit.fit, fit.made()))


def quietly(function, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


@cache
def places(name):
    """Return a place for every line, in its first or its last run."""
    fit = FITS[name]
    expected(fit)  # Fills caches.
    model = fit.made()
    found = quietly(places_of, lambda: fit.fit(model))
    return sorted((path, line, n if line % 2 else 1) for path, line, n in found)


def check(name, error, chosen):
    wrong = []
    for path, line, time in chosen:
        try:
            raised = error()
            outcome(FITS[name], raised, raising(raised, path, line, time))
        except AssertionError as failed:
            where = Path(path).relative_to(PACKAGE)
            wrong.append(f"{where}:{line}, run {time}: {str(failed)[:300]}")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(chosen)}", *wrong])


EACH_FIT = pytest.mark.parametrize("name", FITS)
EACH_ERROR = pytest.mark.parametrize("error", [KeyboardInterrupt, Failure])


@EACH_FIT
@EACH_ERROR
def test_a_few_lines(name, error):
    chosen = random.Random(f"{name} {error}").sample(places(name), 3)
    check(name, error, chosen)


@pytest.mark.nightly
@EACH_FIT
@EACH_ERROR
def test_every_line(name, error):
    check(name, error, places(name))


# Parts, scorers and callbacks


class Calls:
    """Counts the calls of the user's own code, and raises in the n-th one."""

    def __init__(self):
        self.n, self.at, self.error = 0, None, None

    def count(self):
        self.n += 1
        if self.n == self.at:
            raise self.error

    def raising(self, error, at):
        """Return a function that calls another, and raises in the n-th call."""

        def call(function):
            self.n, self.at, self.error = 0, at, error
            try:
                result = function()
            finally:
                self.at = None
            if self.n < at:
                raise NotReached
            return result

        return call


CALLS = Calls()


def own(cls):
    """Return a subclass of a part that counts the calls of its methods."""

    def counted(method):
        @wraps(method)
        def call(self, *arguments, **options):
            CALLS.count()
            return method(self, *arguments, **options)

        return call

    methods = {
        name: counted(method)
        for name, method in inspect.getmembers(cls, inspect.isfunction)
        if not (name.startswith("_") or hasattr(Part, name))
        and not isinstance(inspect.getattr_static(cls, name), staticmethod)
    }
    made = type(f"Own{cls.__name__}", (cls,), methods | {"__module__": __name__})
    globals()[made.__name__] = made  # for pickle
    return made


class OwnScorer:
    def __call__(self, model, X, y):
        CALLS.count()
        return model.score(X, y)


class OwnCallback:
    def setup(self, estimator, context):
        CALLS.count()

    def teardown(self, estimator, context):
        CALLS.count()

    def on_fit_task_begin(self, estimator, context):
        CALLS.count()

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        CALLS.count()
        fitted_estimator.predict(X)


OWN = {
    "activation": own(sknn_notes.activations.Tanh)(),
    "loss": own(sknn_notes.losses.LogLoss)(),
    "penalty": own(sknn_notes.penalties.ElasticNet)(),
    "solver": own(sknn_notes.optimizers.Adam)(),
    "learning_rate": own(sknn_notes.schedules.InvScaling)(),
    "init": own(sknn_notes.initializers.HeNormal)(),
    "embedding": own(sknn_notes.embeddings.Periodic)(n_frequencies=2),
}
SCORED = {"early_stopping": True, "scoring": OwnScorer()}
OWN_SEARCH = GridSearchCV(
    network(**OWN),
    {"alpha": [1e-4, 1.0]},
    cv=2,
    scoring=OwnScorer(),
    error_score="raise",
)
OWN_FITS = {
    "new": Fit(network(**OWN)),
    "augmented": Fit(network(augment=own(sknn_notes.noise.GaussianNoise)())),
    "again": Fit(network(**OWN, **SCORED), other_data),
    "warm start": Fit(
        network(warm_start=True, **OWN), lambda model: model.fit(X[::-1], y[::-1])
    ),
    "partial_fit": Fit(network(**OWN), first_part, next_part),
    "networks": Fit(network(n_networks=2, **OWN, **SCORED), other_data),
    "search": Fit(OWN_SEARCH, other_data),
}
if hasattr(MLPClassifier(), "set_callbacks"):
    followed = network(**SCORED).set_callbacks(OwnCallback())
    OWN_FITS["callbacks"] = Fit(followed, other_data)
    followed = network(n_networks=2).set_callbacks(OwnCallback())
    OWN_FITS["callbacks, networks"] = Fit(followed, other_data)


def check_calls(name, error, some):
    fit, wrong = OWN_FITS[name], []
    expected(fit)
    model = fit.made()
    CALLS.n = 0
    quietly(fit.fit, model)
    for at in some(range(1, CALLS.n + 1)):
        try:
            raised = error()
            outcome(fit, raised, CALLS.raising(raised, at))
        except AssertionError as failed:
            wrong.append(f"call {at}: {str(failed)[:300]}")
    assert not wrong, "\n".join([str(len(wrong)), *wrong])


EACH_OWN_FIT = pytest.mark.parametrize("name", OWN_FITS)


@EACH_OWN_FIT
@EACH_ERROR
def test_a_few_calls_of_own_code(name, error):
    check_calls(name, error, lambda calls: {calls[0], *calls[:: len(calls) // 3 + 1]})


@pytest.mark.nightly
@EACH_OWN_FIT
@EACH_ERROR
def test_every_call_of_own_code(name, error):
    check_calls(name, error, list)
