"""What loading a model may run, what the library evaluates, and what models hold."""

import ast
import builtins
import gc
import io
import pickle
import sys
import types
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import sknn_notes
from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
)
from sknn_notes.callbacks import Checkpoint
from sknn_notes.model_selection import GridSearchCV
from sknn_notes.tabular import TabularMLPClassifier, TabularMLPRegressor

PACKAGE = Path(sknn_notes.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Nothing evaluates strings


# What can run code that it gets as text or bytes, and where it may be used.
RUNS_CODE = {
    **dict.fromkeys(["eval", "exec", "compile", "__import__", "breakpoint"], ()),
    "pickle.load": ["callbacks/_storage.py"],  # Checkpoint.load says so
    "pickle.loads": ["_compile/_cache.py"],  # what numba has compiled
    "importlib.import_module": ["_kernels/__init__.py", "_sklearn.py"],
}
FORBIDDEN_MODULES = {
    *("code", "codeop", "ctypes", "marshal", "runpy", "shelve", "subprocess", "yaml"),
    *("cffi", "cloudpickle", "dill", "pty", "socket", "urllib", "http", "requests"),
}
OF_OS = {"execv", "execve", "popen", "spawnl", "spawnv", "startfile", "system"}


def name_of(node):
    """Return the dotted name that a node reads, or an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (of := name_of(node.value)):
        return f"{of}.{node.attr}"
    return ""


def suspects(tree):
    """Yield what runs code in a module, by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = name_of(node)
            module, _, attribute = name.rpartition(".")
            if name in RUNS_CODE or (module == "os" and attribute in OF_OS):
                yield name
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if _is_forbidden(a.name))
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (
                f"{node.module}.{a.name}"
                for a in node.names
                if _is_forbidden(node.module)
                or f"{node.module}.{a.name}" in RUNS_CODE
                or (node.module == "os" and a.name in OF_OS)
            )


def _is_forbidden(module):
    return module.partition(".")[0] in FORBIDDEN_MODULES


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "run = exec",
        "__import__(name)",
        "import os; os.system(text)",
        "from os import popen",
        "import subprocess",
        "from pickle import loads",
        "pickle.load(file)",
        "from yaml import load",
    ],
)
def test_what_runs_code_is_found(source):
    assert list(suspects(ast.parse(source)))


def test_nothing_evaluates_strings():
    found = {
        (path.relative_to(PACKAGE).as_posix(), each)
        for path in SOURCES
        for each in suspects(ast.parse(path.read_text(encoding="utf-8")))
    }
    allowed = {(path, each) for each, paths in RUNS_CODE.items() for path in paths}
    # Those that are allowed exist, so the search finds them.
    assert found == allowed


def test_the_names_of_imported_modules_are_the_librarys_own(monkeypatch):
    """The kernels are imported by name, which the environment may choose."""
    monkeypatch.setenv("SKNN_NOTES_KERNELS", "numpy'); import os #")
    sknn_notes._kernels.active.cache_clear()
    with pytest.raises(ValueError, match="is not an available kernel set"):
        sknn_notes._kernels.active()
    monkeypatch.undo()
    sknn_notes._kernels.active.cache_clear()


@pytest.mark.parametrize(
    "params",
    [{name: "__import__('os')._exit(1)"} for name in MLPClassifier().get_params()],
    ids=lambda params: next(iter(params)),
)
def test_strings_of_parameters_are_never_run(params, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("evaluates strings")

    monkeypatch.setattr(builtins, "eval", fail)
    with pytest.raises((ValueError, TypeError, ImportError)):  # without PyTorch
        MLPClassifier(max_iter=1).set_params(**params).fit(X, LABELS)


# What models hold

N_ROWS, N_FEATURES = 400, 6
rng = np.random.default_rng(0)
# No value occurs twice, and none is that of a weight by chance.
X = 1000 + 300 * rng.random((N_ROWS, N_FEATURES))
TARGET = 5000 + 700 * rng.random(N_ROWS)
WEIGHT = 1 + rng.random(N_ROWS)
LABELS = (X[:, 0] > 1150).astype(int)


def reachable(model):
    """Return every object that can be reached from a model, but classes and modules."""
    seen, found, pending = set(), [], [model]
    skipped = type, types.ModuleType, types.FrameType, types.BuiltinFunctionType
    while pending:
        value = pending.pop()
        if id(value) in seen or isinstance(value, skipped):
            continue
        seen.add(id(value))
        found.append(value)
        if isinstance(value, types.FunctionType):
            # Not its globals, which are those of a module.
            pending += [*(value.__closure__ or ()), *(value.__defaults__ or ())]
        else:
            pending += gc.get_referents(value)
            pending += [value.base] if isinstance(value, np.ndarray) else []
    return found


def numbers_in(objects):
    """Return all numbers in arrays and containers, as a sorted array of float32."""
    found = [np.array([x for x in objects if type(x) is float], np.float32)]
    for each in objects:
        array = each.data if issparse(each) else each
        if isinstance(array, np.ndarray) and array.dtype.kind == "f":
            found.append(array.ravel().astype(np.float32))
        elif isinstance(array, np.ndarray) and array.dtype == object:
            found.append(
                np.array([x for x in array.ravel() if isinstance(x, float)], np.float32)
            )
    return np.unique(np.concatenate(found))


def share_of(data, numbers):
    """Return the largest share of a column that is among some numbers."""
    columns = np.asarray(data, np.float32).reshape(len(data), -1)
    return np.isin(columns, numbers).mean(axis=0).max()


def check_holds_no_rows(model, *saved, allowed=0.01):
    """Raise unless a model and its pickle are free of rows, and of most of a column."""
    objects = reachable(model)
    arrays = [each for each in objects if isinstance(each, np.ndarray)]
    data = X, TARGET, WEIGHT
    assert not any(np.shares_memory(a, b) for a in arrays for b in data)
    numbers = numbers_in(objects)
    for each in data:
        assert share_of(each, numbers) <= allowed
    files = [pickle.dumps(model), *saved]
    for each in (X, X - X.mean(axis=0), X / X.std(axis=0)):
        for dtype in (np.float64, np.float32):
            rows = each.astype(dtype)
            assert not any(row.tobytes() in file for row in rows for file in files)


@pytest.mark.parametrize(
    "held",
    [
        X,
        X[::2],
        {"nested": [(X[:50].copy(),)]},
        lambda rows=X: rows,
        partial(print, X),
        TARGET.tolist(),
        csr_array(X[:50]),
        pd.DataFrame(X),
        X[7].astype(np.float32),
    ],
    ids=lambda held: type(held).__name__,
)
def test_data_that_are_held_are_found(held):
    model = Standardizer().fit(X)
    check_holds_no_rows(model)
    model.held_ = held
    with pytest.raises(AssertionError):
        check_holds_no_rows(model)


def network(cls=MLPClassifier, **params):
    options = {"hidden_layer_sizes": (5,), "max_iter": 2, "random_state": 0}
    return cls(**options | params)


NETWORKS = {
    "classifier": network(),
    "regressor": network(MLPRegressor),
    "float32": network(MLPRegressor, dtype="float32"),
    "early stopping": network(early_stopping=True, n_iter_no_change=1),
    "lbfgs": network(MLPRegressor, solver="lbfgs"),
    "layers": network(batch_norm=True, dropout=0.1, residual=True, penalty="l1"),
    "averaged passes": network(dropout=0.1, marginalization="monte_carlo"),
    "ensemble": network(MLPRegressor, n_networks=3, n_jobs=2, early_stopping=True),
    "quantiles": network(MLPRegressor, loss="quantile"),
}
EACH_NETWORK = pytest.mark.parametrize("name", NETWORKS)


def target_of(model):
    return LABELS if hasattr(model, "predict_proba") else TARGET


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*has no effect"),
    pytest.mark.filterwarnings("ignore:.*no better than"),
]


@EACH_NETWORK
def test_networks_hold_no_training_data(name):
    model = clone(NETWORKS[name])
    y = target_of(model)
    check_holds_no_rows(model.fit(X, y, WEIGHT))
    model.predict(X)
    model.set_params(warm_start=True).fit(X, y, WEIGHT)
    check_holds_no_rows(model)


def test_partial_fits_hold_no_training_data():
    model = network(MLPRegressor)
    for rows in (slice(0, 200), slice(200, 400)):
        model.partial_fit(X[rows], TARGET[rows], WEIGHT[rows])
    check_holds_no_rows(model)


def test_validation_data_are_not_held():
    model = network(early_stopping=True)
    model.fit(X[:200], LABELS[:200], X_val=X[200:], y_val=LABELS[200:])
    check_holds_no_rows(model)


def test_sparse_and_interrupted_fits_hold_no_training_data():
    model = network().fit(csr_array(X), LABELS)
    check_holds_no_rows(model)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(X > 1299, np.nan, X), LABELS)
    check_holds_no_rows(model)


def test_checkpoints_hold_no_training_data(tmp_path):
    path = tmp_path / "fit.ckpt"
    model = network(MLPRegressor, n_networks=2, early_stopping=True)
    model.fit(X, TARGET, WEIGHT, checkpoint=Checkpoint(path))
    check_holds_no_rows(model, path.read_bytes())
    check_holds_no_rows(Checkpoint.load(path))


# The extremes of columns are 2 of 400 values.
TRANSFORMERS = [
    Centerer(),
    Standardizer(),
    MinMaxNormalizer(),
    RobustStandardizer(),
    Whitener("pca"),
    Whitener("zca_cor", shrinkage="ledoit_wolf"),
]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_transformers_hold_no_training_data(transformer):
    model = clone(transformer).fit(X)
    model.transform(X)
    check_holds_no_rows(model)


@pytest.mark.parametrize("transformer", [*TRANSFORMERS[:3], Whitener()], ids=str)
def test_streams_hold_no_training_data(transformer):
    model = clone(transformer)
    for rows in (slice(0, 200), slice(200, 400)):
        model.partial_fit(X[rows])
    check_holds_no_rows(model)


def test_edges_of_bins_are_a_few_values_of_each_column():
    model = PiecewiseLinearEncoder(n_bins=8).fit(X)
    check_holds_no_rows(model, allowed=9 / N_ROWS)


@pytest.mark.parametrize(
    "transformer", [RobustStandardizer(), PiecewiseLinearEncoder()]
)
def test_quantiles_of_a_stream_need_a_sample_of_rows(transformer):
    """The documented exception: ``subsample`` rows of the stream."""
    model = clone(transformer).set_params(subsample=20, random_state=0)
    for rows in (slice(0, 200), slice(200, 400)):
        model.partial_fit(X[rows])
    share = share_of(X, numbers_in(reachable(model)))
    assert 0.02 < share < 0.15
    assert share_of(X, numbers_in(reachable(model.fit(X)))) <= 0.01


@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
@pytest.mark.parametrize(
    "quality", ["fast", pytest.param("best", marks=pytest.mark.nightly)]
)
def test_tables_are_not_held(cls, quality):
    table = pd.DataFrame(X, columns=list("abcdef"))
    table["kind"] = np.where(LABELS, "u", "v")
    model = cls(quality, random_state=0)
    check_holds_no_rows(model.fit(table, target_of(model)))


def test_searches_hold_no_training_data():
    pipeline = make_pipeline(Standardizer(), network())
    grid = {"mlpclassifier__alpha": [1e-4, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, LABELS)
    check_holds_no_rows(search)


# Loading


def saved_models():
    yield network(n_networks=2, early_stopping=True).fit(X, LABELS)
    yield network(MLPRegressor, loss="gaussian_nll", embedding="periodic").fit(
        X, TARGET
    )
    yield TabularMLPClassifier("fast", random_state=0).fit(X, LABELS)
    pipeline = make_pipeline(Whitener(), network())
    yield GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4]}, cv=2).fit(X, LABELS)


@pytest.mark.needs("numpy>=1.25", "skops reads what it calls seed_seq")
def test_types_to_trust_are_classes_of_the_library():
    """As the page on saving and the page on security say."""
    skops = pytest.importorskip("skops.io")
    for model in saved_models():
        saved = skops.dumps(model)
        untrusted = skops.get_untrusted_types(data=saved)
        ours = {name for name in untrusted if name.startswith("sknn_notes.")}
        # Networks and transformers need no others; tables and searches do.
        others = set(untrusted) - ours
        assert {name.partition(".")[0] for name in others} <= {"numpy", "sklearn"}
        assert not others or not isinstance(model, MLPClassifier | MLPRegressor)
        for module, _, name in (each.rpartition(".") for each in ours):
            assert isinstance(getattr(sys.modules[module], name), type)
        loaded = skops.loads(saved, trusted=untrusted)
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.needs("numpy>=1.25", "skops reads what it calls seed_seq")
def test_a_type_of_another_package_is_rejected():
    skops = pytest.importorskip("skops.io")
    model = network().fit(X, LABELS)
    model.note = io.StringIO  # a class from elsewhere
    saved = skops.dumps(model)
    names = skops.get_untrusted_types(data=saved)
    ours = [name for name in names if name.startswith("sknn_notes.")]
    assert ours != names
    with pytest.raises(TypeError, match="StringIO"):
        skops.loads(saved, trusted=ours)
