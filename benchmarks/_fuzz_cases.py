"""Cases for the fuzzer: an estimator, calls of its methods, and what must hold."""

import contextlib
import copy
import io
import linecache
import pickle
import re
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
from scipy import sparse
from sklearn.base import clone, is_classifier

from _fuzz_data import chance, inputs, one, shape_of, shown, targets, weights
from _fuzz_parameters import ESTIMATORS, base, parameters
from sknn_notes import MLPClassifier, MLPRegressor, Whitener
from sknn_notes.model_selection import GridSearchCV, RandomizedSearchCV

NETWORKS = MLPClassifier, MLPRegressor
SEARCHES = GridSearchCV, RandomizedSearchCV
# Methods that change the estimator, and those that read it.
FITS = ("fit", "partial_fit", "fit_transform")
QUERIES = (
    *("predict", "predict_proba", "predict_log_proba", "decision_function"),
    *("predict_spread", "predict_quantiles", "predict with std", "score"),
    *("transform", "inverse_transform", "get_feature_names_out", "summary"),
    *("history_", "whitening_matrix", "dewhitening_matrix", "repr"),
    *("clone", "pickle", "deepcopy"),
)
# Frames of these packages are skipped to find out who raised an error.
_BELOW = ("numpy", "scipy", "pandas", "polars", "numba", "threadpoolctl")
# Scores are NaN where they are not defined, or where there is no validation set.
_MAY_BE_NAN = {
    *("validation_scores_", "best_validation_score_", "history_"),
    *("cv_results_", "best_score_"),
}


class Call(NamedTuple):
    """A call of a method; ``arguments`` are keywords, ``about`` describes them."""

    method: str
    arguments: dict
    about: str = ""


class Case(NamedTuple):
    """An estimator of the class ``cls``, the parameters it is given, and calls."""

    cls: type
    params: dict
    calls: list

    def __str__(self):
        params = ", ".join(f"{k}={_shown(v)}" for k, v in self.params.items())
        calls = "".join(f"\n  .{call.method}({call.about})" for call in self.calls)
        return f"{self.cls.__name__}({params}){calls}"


class Finding(NamedTuple):
    """Something that must not happen; findings with the same ``key`` are alike."""

    kind: str
    text: str
    where: str = ""

    @property
    def key(self):
        return self.kind, self.where, re.sub(r"0x\w+|[-+.\d]+|'.*?'", "#", self.text)


class Hang(BaseException):
    """A call has not returned in time."""


def _shown(value):
    try:
        return shown(value)
    except ValueError:
        return type(value).__name__


# Drawing cases.


def draw(seed, number):
    """Return a case, always the same for a seed and a number."""
    rng = np.random.default_rng([seed, number])
    classes = list(ESTIMATORS)
    shares = np.array([share for share, _ in ESTIMATORS.values()])
    cls = classes[rng.choice(len(classes), p=shares / shares.sum())]
    params = parameters(rng, cls)
    # Repeated calls, mostly with the same data.
    data = _data(rng, cls)
    calls = [_fit_call(rng, cls, data)]
    for _ in range(rng.integers(1, 5)):
        if chance(rng, 0.15):
            data = _data(rng, cls, None if chance(rng, 0.5) else data["shape"])
        what = rng.random()
        if what < 0.65:
            calls.append(_query(rng, cls, data))
        elif what < 0.9:
            calls.append(_fit_call(rng, cls, data))
        else:
            new = parameters(rng, cls)
            about = ", ".join(f"{k}={_shown(v)}" for k, v in new.items())
            calls.append(Call("set_params", new, about))
    calls.append(_query(rng, cls, data))
    return Case(cls, params, calls)


def _data(rng, cls, shape=None):
    shape = shape_of(rng) if shape is None else shape
    X, about = inputs(rng, shape)
    y, about_y = targets(rng, shape[0], "Regressor" in cls.__name__)
    return {"shape": shape, "X": X, "y": y, "about": f"{about}; {about_y}"}


def _fit_call(rng, cls, data):
    offered = [name for name in FITS if name == "fit" or hasattr(cls, name)]
    method = one(rng, offered) if chance(rng, 0.3) else "fit"
    arguments = {"X": data["X"], "y": data["y"]}
    about = [data["about"]]
    weight, about_weight = weights(rng, data["shape"][0])
    if weight is not None and cls not in SEARCHES:
        arguments["sample_weight"] = weight
        about.append(about_weight)
    if method == "partial_fit" and cls is MLPClassifier and chance(rng, 0.9):
        arguments["classes"] = _classes(data["y"])
    if method == "fit" and cls in NETWORKS and chance(rng, 0.1):
        other = data if chance(rng, 0.5) else _data(rng, cls, data["shape"])
        arguments |= {"X_val": other["X"], "y_val": other["y"]}
        about.append(f"validation: {other['about']}")
    return Call(method, arguments, "; ".join(about))


def _classes(y):
    try:
        return np.unique(y)
    except (TypeError, ValueError):
        return [0, 1]


def _query(rng, cls, data):
    method = one(rng, [name for name in QUERIES if _has(cls, name)])
    arguments = {}
    if method.startswith(("predict", "decision", "score")) or "transform" in method:
        arguments["X"] = data["X"]
    if method == "predict with std":
        arguments["return_std"] = True
    about = [data["about"]] if arguments else []
    if method == "score":
        arguments["y"] = data["y"]
        weight, about_weight = weights(rng, data["shape"][0])
        if weight is not None and cls not in SEARCHES:
            arguments["sample_weight"] = weight
            about.append(about_weight)
    return Call(method, arguments, "; ".join(about))


def _has(cls, name):
    if name == "predict with std":
        return cls is MLPRegressor
    return name in ("repr", "clone", "pickle", "deepcopy") or hasattr(cls, name)


# Running cases.


def run(case):
    """Make the calls of a case.

    Returns
    -------
    outcomes : list of str
        One for each call: "works", or the type of the error that was raised.
    findings : list of Finding
    """
    np.random.seed(0)  # noqa: NPY002, random_state=None draws from it
    estimator = case.cls(**base(case.cls) | case.params)
    outcomes, findings = [], []
    for call in case.calls:
        before = _state(estimator) if call.method in FITS else None
        given = {k: _contents(v) for k, v in call.arguments.items()}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    result = _made(estimator, call)
                outcomes.append("works")
                findings += _of_result(estimator, call, result)
                if call.method in ("clone", "pickle", "deepcopy"):
                    estimator = result
            except (Exception, Hang) as error:
                outcomes.append(type(error).__name__)
                findings += _of_error(error)
                if call.method != "fit_transform" and before is not None:
                    findings += _of_change(before, _state(estimator))
        findings += [_of_warning(x) for x in caught if _is_odd(x, case.cls)]
        if call.method != "set_params" and not _in_place(estimator):
            for name, contents in given.items():
                if _contents(call.arguments[name]) != contents:
                    findings.append(Finding("changed input", name, call.method))
    return outcomes, findings


def _made(estimator, call):
    """Make a call, and return its result."""
    method, arguments = call.method, call.arguments
    if method == "repr":
        return repr(estimator)
    if method == "clone":
        return clone(estimator)
    if method == "deepcopy":
        return copy.deepcopy(estimator)
    if method == "pickle":
        return pickle.loads(pickle.dumps(estimator))
    if method == "history_":
        return estimator.history_
    return getattr(estimator, method.partition(" ")[0])(**arguments)


def smaller(case, key):
    """Return a case with fewer parameters and calls that has a finding with ``key``."""

    def fails(other):
        return any(finding.key == key for finding in run(other)[1])

    for i in reversed(range(len(case.calls))):
        other = case._replace(calls=case.calls[:i] + case.calls[i + 1 :])
        case = other if fails(other) else case
    for name in list(case.params):
        params = {k: v for k, v in case.params.items() if k != name}
        other = case._replace(params=params)
        case = other if fails(other) else case
    return case


# What must hold.


def _contents(data):
    """Return what data hold, in a form that can be compared."""
    if isinstance(data, np.ndarray) and not data.dtype.hasobject:
        layout = data.dtype, data.shape, data.strides, data.flags.writeable
        return *layout, data.tobytes()
    if sparse.issparse(data):
        parts = ("data", "indices", "indptr", "coords", "offsets", "rows")
        data = [type(data), data.shape, *(getattr(data, x, None) for x in parts)]
    elif hasattr(data, "to_numpy"):  # A frame or a series may keep results it computed.
        data = [type(data), data.to_numpy(), getattr(data, "index", None)]
    try:
        return pickle.dumps(data)
    except Exception:
        return id(data)


def _state(estimator):
    """Return a hash of every attribute, as far as it can be hashed."""
    hashes = {}
    for name, value in vars(estimator).items():
        if name != "random_state":
            try:
                hashes[name] = joblib.hash(value)
            except Exception:
                hashes[name] = id(value)
    return hashes


def _of_change(before, after):
    changed = [k for k in {**before, **after} if before.get(k) != after.get(k)]
    if changed:
        yield Finding("changed by a failed fit", ", ".join(sorted(changed)))


def _of_error(error):
    """Yield findings unless an error is one that users can understand."""
    name, text = type(error).__name__, str(error)
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if not _is_of(frame, _BELOW)]
    last = ours[-1]
    where = f"{Path(last.filename).name}:{last.name}:{last.lineno}"
    if isinstance(error, ImportError) and "needs PyTorch" in text:
        return
    wrong = isinstance(error, np.linalg.LinAlgError | UnicodeError)
    if wrong or not isinstance(error, ValueError | TypeError | AttributeError):
        yield Finding(f"error {name}", text, where)
    elif not text.strip():
        yield Finding("empty message", name, where)
    elif not (_is_missing_method(error, last) or hasattr(error, "__notes__")):
        # An error that neither the library nor scikit-learn has raised itself, except
        # that scikit-learn leaves conversions to numpy.
        line = linecache.getline(frames[-1].filename, frames[-1].lineno).strip()
        raised = frames[-1] is last and line.startswith("raise")
        converted = _is_of(last, ("sklearn",)) and not isinstance(error, AttributeError)
        converted |= "inhomogeneous shape" in text
        # A search that was fitted with refit=False, before refit=True was set.
        converted |= "no attribute 'best_estimator_'" in text
        if not (raised or converted):
            yield Finding("unclear message", f"{name}: {text}", where)


def _is_missing_method(error, frame):
    """Whether the case itself has asked an estimator for a method that it lacks."""
    return isinstance(error, AttributeError) and frame.name == "_made"


def _is_of(frame, packages):
    parts = Path(frame.filename).parts
    inside = "site-packages" in parts or "lib" in parts
    return inside and not set(packages).isdisjoint(parts)


# The warnings of scikit-learn and the library that describe the data.
_KNOWN = {
    *("UserWarning", "ConvergenceWarning", "DataConversionWarning"),
    *("UndefinedMetricWarning", "FitFailedWarning", "DataDimensionalityWarning"),
}


def _is_odd(warning, cls):
    # scikit-learn's splitters cast labels to int to find out their type.
    if cls in SEARCHES and Path(warning.filename).name == "_aliases.py":
        return False
    return warning.category.__name__ not in _KNOWN


def _of_warning(warning):
    where = f"{Path(warning.filename).name}:{warning.lineno}"
    kind = f"warning {warning.category.__name__}"
    return Finding(kind, str(warning.message), where)


def _in_place(estimator):
    """Whether the user has asked to overwrite the inputs."""
    return getattr(estimator, "copy", True) is not True


def _of_result(estimator, call, result):
    """Yield findings on the result of a call that raised nothing."""
    X = call.arguments.get("X")
    missing = not isinstance(estimator, (*NETWORKS, Whitener)) and (
        _has_nan(X) or _learned_nan(estimator)
    )
    if call.method in FITS:
        for name, value in vars(estimator).items():
            if name.endswith("_") and name not in _may_be_nan(estimator):
                yield from _not_finite(name, value, missing, call.method)
    if call.method in ("predict", "predict with std") and is_classifier(estimator):
        if not np.isin(result, _labels_of(estimator)).all():
            yield Finding("label of no class", _shown(result), call.method)
    elif call.method not in (*FITS, "score", "history_", *QUERIES[-4:]):
        yield from _not_finite("result", result, missing, call.method)
    if call.method == "predict_proba":
        sums = np.sum(result, axis=1)
        targets = getattr(estimator, "_targets", None)
        if np.min(result, initial=0) < 0 or np.max(result, initial=0) > 1 + 1e-6:
            yield Finding("not a probability", _shown(result))
        exclusive = not getattr(targets, "multilabel", targets is None)
        if exclusive and not np.allclose(sums, 1, atol=1e-5):
            yield Finding("sum of probabilities", _shown(sums))
    if call.method in ("pickle", "deepcopy"):
        yield from _of_copy(estimator, result)
    if call.method == "predict":
        n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
        if len(result) != n_samples:
            yield Finding("number of predictions", str(len(result)))


def _may_be_nan(estimator):
    """Return the names of fitted attributes that may be NaN."""
    # Early stopping restores the best weights of a training that has diverged.
    curves = {"loss_", "loss_curve_", "validation_loss_curve_"}
    stops = getattr(estimator, "early_stopping", False) is True
    return _MAY_BE_NAN | curves if stops else _MAY_BE_NAN


def _labels_of(estimator):
    targets = getattr(estimator, "_targets", None)
    if targets is None or targets.multilabel:
        classes = getattr(estimator, "classes_", [0, 1])
        return np.concatenate([np.ravel(classes), [0, 1]])
    return estimator.classes_


def _of_copy(estimator, result):
    if not isinstance(estimator, SEARCHES) and not hasattr(estimator, "pipeline_"):
        for name, value in vars(estimator).items():
            if name.endswith("_") and name != "networks_":
                try:
                    np.testing.assert_equal(getattr(result, name), value)
                except AssertionError:
                    yield Finding("copy differs", name)


def _has_nan(X):
    try:
        with np.errstate(all="ignore"):
            return bool(np.isnan(np.asarray(X, dtype=float)).any())
    except (TypeError, ValueError, OverflowError):
        return True


def _learned_nan(estimator):
    """Whether statistics are NaN, those of columns that held nothing else."""
    arrays = [v for v in vars(estimator).values() if isinstance(v, np.ndarray)]
    return any(np.isnan(each).any() for each in arrays if each.dtype.kind == "f")


def _not_finite(name, value, missing, method):
    """Yield findings on numbers that are not finite; NaN counts unless ``missing``."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _not_finite(name, each, missing, method)
        return
    if sparse.issparse(value):
        value = value.data
    elif hasattr(value, "to_numpy"):
        value = value.to_numpy()
    numeric = isinstance(value, float | np.ndarray | np.floating)
    if not numeric or np.asarray(value).dtype.kind not in "fc":
        return
    wrong = np.isinf(value) if missing else ~np.isfinite(value)
    if np.any(wrong):
        yield Finding("not finite", name, method)
