"""The only module that imports private names of scikit-learn, with backports.

If scikit-learn removes a name, replace it as follows:

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
  results for ``cv_results_``. ``in_cross_validation`` looks for it among the callers.
  Without it there is no warning about a validation set that a search splits into folds.
- ``_safe_split``, ``_check_method_params``: select the rows of a fold from X, y and the
  parameters of ``fit``; indexing.
- ``get_namespace``, ``device``: the namespace and device for indices of rows.
- ``check_matplotlib_support``, ``check_pandas_support``: an import in a try block, and
  an ImportError that says what to install.

The library supports scikit-learn 1.6 and later. The functions below add parameters that
older versions lack:

- ``compute_class_weight``: ``sample_weight``, since 1.7.
- ``_check_sample_weight``: ``allow_all_zero_weights``, since 1.9.

``assert_all_finite``, ``check_array``, ``check_X_y`` and ``validate_data`` are those of
scikit-learn without numpy's warning where the sum of large values is NaN.
"""

import contextlib
import contextvars
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

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
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    assert_all_finite,
    check_array,
    check_X_y,
    validate_data,
)

from sknn_notes._numpy import errstate
from sknn_notes._typing import Method

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
    "assert_all_finite",
    "check_X_y",
    "check_array",
    "check_matplotlib_support",
    "check_pandas_support",
    "check_same_namespace",
    "compute_class_weight",
    "cross_validating",
    "has_array_dispatch",
    "in_cross_validation",
    "make_constraint",
    "rows_of_fold",
    "validate_data",
    "validate_parameter_constraints",
]


def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator, which keeps signatures for type checkers."""
    # An annotated variable would do for mypy, but pyright would infer Any.
    decorator: Callable[[Method], Method] = _untyped_fit_context(
        prefer_skip_nested_validation=prefer_skip_nested_validation
    )
    return decorator


_without_warning = errstate(over="ignore", invalid="ignore")
assert_all_finite = _without_warning(assert_all_finite)
check_array = _without_warning(check_array)
check_X_y = _without_warning(check_X_y)
validate_data = _without_warning(validate_data)


if "allow_all_zero_weights" not in inspect.signature(_check_sample_weight).parameters:
    _check_before_1_9 = _check_sample_weight

    def _check_sample_weight(
        sample_weight: Any, X: Any, *, allow_all_zero_weights: bool = False, **rest: Any
    ) -> Any:
        """Validate sample weights as scikit-learn 1.9 does."""
        weights = _check_before_1_9(sample_weight, X, **rest)
        if not (allow_all_zero_weights or np.any(weights)):
            raise ValueError(
                "Sample weights must contain at least one non-zero number."
            )
        return weights


if "sample_weight" not in inspect.signature(compute_class_weight).parameters:
    _compute_before_1_7 = compute_class_weight

    def compute_class_weight(
        class_weight: Any, *, classes: Any, y: Any, sample_weight: Any = None
    ) -> Any:
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

    def check_same_namespace(
        X: Any, estimator: Any, *, attribute: str, method: str
    ) -> None:
        """Check nothing: estimators are always fitted on numpy arrays."""

    has_array_dispatch = False
else:
    has_array_dispatch = True


def array_namespace(array: Any) -> Any:
    """Return the array API namespace of an array that is not a numpy array."""
    try:
        if not has_array_dispatch:
            raise ImportError("scikit-learn is older than 1.9")
        # With a plain import, mypy would treat scikit-learn as a typed package.
        array_api_compat = importlib.import_module("sklearn.externals.array_api_compat")
    except ImportError as error:
        raise ImportError(
            f"{type(array).__module__}.{type(array).__name__} arrays need scikit-learn "
            "1.9 or later, which includes array_api_compat. Update scikit-learn, or "
            "pass numpy arrays."
        ) from error
    return array_api_compat.array_namespace(array)


_cross_validating = contextvars.ContextVar("_cross_validating", default=False)


@contextlib.contextmanager
def cross_validating() -> Iterator[None]:
    """Mark the fits within the block as part of a cross-validation."""
    token = _cross_validating.set(True)
    try:
        yield
    finally:
        _cross_validating.reset(token)


def in_cross_validation() -> bool:
    """Return whether the call comes from a search or a cross-validation."""
    if _cross_validating.get():
        return True
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is _fit_and_score.__code__:
            return True
        frame = frame.f_back
    return False


def rows_of_fold(
    estimator: Any, X: Any, y: Any, fit_params: dict[str, Any] | None, indices: Any
) -> tuple[Any, Any, dict[str, Any]]:
    """Return X, y and the parameters of ``fit`` for the rows of a fold."""
    xp, is_array_api = get_namespace(X)
    if is_array_api:
        indices = xp.asarray(indices, device=device(X))
    else:
        indices = np.asarray(indices)
    fit_params = _check_method_params(X, fit_params or {}, indices=indices)
    return *_safe_split(estimator, X, y, indices), fit_params
