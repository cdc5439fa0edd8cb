"""The only module that imports private names of scikit-learn, and fills its gaps.

What replaces each name if it goes:

- ``_fit_context``: a decorator that calls ``self._validate_params()`` first.
- ``Interval``, ``StrOptions``, ``Options``, ``HasMethods``, ``RealNotInt``,
  ``make_constraint``, ``validate_parameter_constraints``: checks of one parameter
  against a declared domain; plain ``isinstance`` and range tests.
- ``InvalidParameterError``: an error that is both a ValueError and a TypeError.
- ``_check_sample_weight``: ``check_array`` to one float dtype and a length test.
- ``_check_partial_fit_first_call``: compares ``classes`` with ``classes_``.
- ``sklearn.externals.array_api_compat``: the package of that name.
- ``check_same_namespace``: compares namespace and device of an array with those of a
  fitted attribute.
- ``_fit_and_score``: one task of a search, which scores, handles errors and returns
  what ``cv_results_`` is made of. It is also looked for among the callers: without it
  there is no warning about a validation set that a search has cut into folds.
- ``_safe_split``, ``_check_method_params``: the rows of a fold, of X, y and of what is
  passed to ``fit``; indexing.
- ``get_namespace``, ``device``: where indices of rows have to be.
- ``check_matplotlib_support``, ``check_pandas_support``: an import in a try block, and
  an ImportError that says what to install.

The library runs on scikit-learn 1.6 and newer. Where an older one lacks a parameter, a
function below adds it:

- ``compute_class_weight``: ``sample_weight``, since 1.7.
- ``_check_sample_weight``: ``allow_all_zero_weights``, since 1.9.
"""

import contextlib
import contextvars
import importlib
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from sklearn.base import _fit_context as _untyped_fit_context
from sklearn.model_selection._validation import _fit_and_score
from sklearn.utils._array_api import device, get_namespace
from sklearn.utils._optional_dependencies import (
    check_matplotlib_support,
    check_pandas_support,
)
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    RealNotInt,
    StrOptions,
    make_constraint,
    validate_parameter_constraints,
)
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import _check_method_params, _check_sample_weight

__all__ = [
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "RealNotInt",
    "StrOptions",
    "_check_partial_fit_first_call",
    "_check_sample_weight",
    "_fit_context",
    "array_namespace",
    "check_matplotlib_support",
    "check_pandas_support",
    "check_same_namespace",
    "compute_class_weight",
    "cross_validating",
    "has_array_dispatch",
    "in_cross_validation",
    "make_constraint",
    "rows_of_fold",
    "validate_parameter_constraints",
]

Method = TypeVar("Method", bound=Callable[..., Any])


def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator, which keeps signatures for type checkers."""
    # An annotated variable would do for mypy, but pyright would infer Any.
    decorator: Callable[[Method], Method] = _untyped_fit_context(
        prefer_skip_nested_validation=prefer_skip_nested_validation
    )
    return decorator


if "allow_all_zero_weights" not in inspect.signature(_check_sample_weight).parameters:
    _check_before_1_9 = _check_sample_weight

    def _check_sample_weight(sample_weight, X, *, allow_all_zero_weights=False, **rest):
        """Validate sample weights as scikit-learn 1.9 does."""
        weights = _check_before_1_9(sample_weight, X, **rest)
        if not (allow_all_zero_weights or np.any(weights)):
            raise ValueError(
                "Sample weights must contain at least one non-zero number."
            )
        return weights


if "sample_weight" not in inspect.signature(compute_class_weight).parameters:
    _compute_before_1_7 = compute_class_weight

    def compute_class_weight(class_weight, *, classes, y, sample_weight=None):
        """Estimate class weights as scikit-learn 1.7 does."""
        weights = _compute_before_1_7(class_weight, classes=classes, y=y)
        if sample_weight is None or class_weight != "balanced":
            return weights
        present, codes = np.unique(y, return_inverse=True)
        totals = np.bincount(codes, weights=_check_sample_weight(sample_weight, y))
        balanced = totals.sum() / (len(present) * totals)
        return balanced[np.searchsorted(present, classes)]


try:
    from sklearn.utils._array_api import check_same_namespace
except ImportError:  # before scikit-learn 1.9, where array_namespace raises

    def check_same_namespace(X, estimator, *, attribute, method):
        """Check nothing: estimators are fitted on numpy arrays alone."""

    has_array_dispatch = False
else:
    has_array_dispatch = True


def array_namespace(array):
    """Return the array API namespace of an array that is not numpy's."""
    try:
        if not has_array_dispatch:
            raise ImportError("scikit-learn is older than 1.9")
        # A plain import would have mypy take scikit-learn for a typed package.
        array_api_compat = importlib.import_module("sklearn.externals.array_api_compat")
    except ImportError as error:
        raise ImportError(
            f"{type(array).__module__}.{type(array).__name__} arrays need scikit-learn "
            "1.9 or later, which brings array_api_compat. Update scikit-learn, or pass "
            "numpy arrays."
        ) from error
    return array_api_compat.array_namespace(array)


_cross_validating = contextvars.ContextVar("_cross_validating", default=False)


@contextlib.contextmanager
def cross_validating():
    """Let fits know that they are part of a cross-validation, whoever calls them."""
    token = _cross_validating.set(True)
    try:
        yield
    finally:
        _cross_validating.reset(token)


def in_cross_validation():
    """Tell whether a search or a cross-validation is calling."""
    if _cross_validating.get():
        return True
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is _fit_and_score.__code__:
            return True
        frame = frame.f_back
    return False


def rows_of_fold(estimator, X, y, fit_params, indices):
    """Return X, y and the parameters of ``fit`` for some rows, as searches cut them."""
    xp, is_array_api = get_namespace(X)
    if is_array_api:
        indices = xp.asarray(indices, device=device(X))
    else:
        indices = np.asarray(indices)
    fit_params = _check_method_params(X, fit_params or {}, indices=indices)
    return *_safe_split(estimator, X, y, indices), fit_params
