"""The only module that imports private names of scikit-learn.

What replaces each name if it goes:

- ``_fit_context``: a decorator that calls ``self._validate_params()`` first.
- ``Interval``, ``StrOptions``, ``Options``, ``HasMethods``, ``RealNotInt``,
  ``make_constraint``, ``validate_parameter_constraints``: checks of one parameter
  against a declared domain; plain ``isinstance`` and range tests.
- ``InvalidParameterError``: an error that is both a ValueError and a TypeError.
- ``_check_sample_weight``: ``check_array`` to one float dtype and a length test.
- ``_check_partial_fit_first_call``: compares ``classes`` with ``classes_``.
- ``_check_optimize_result``: a ConvergenceWarning from scipy's ``OptimizeResult``.
- ``_fit_and_score``, looked for among the callers: without it there is no warning about
  a validation set that a search has cut into folds.
- ``check_matplotlib_support``, ``check_pandas_support``: an import in a try block, and
  an ImportError that says what to install.
"""

import inspect

from sklearn.base import _fit_context
from sklearn.model_selection._validation import _fit_and_score
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
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "RealNotInt",
    "StrOptions",
    "_check_optimize_result",
    "_check_partial_fit_first_call",
    "_check_sample_weight",
    "_fit_context",
    "check_matplotlib_support",
    "check_pandas_support",
    "in_cross_validation",
    "make_constraint",
    "validate_parameter_constraints",
]


def in_cross_validation():
    """Tell whether a search or a cross-validation of scikit-learn is calling."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code is _fit_and_score.__code__:
            return True
        frame = frame.f_back
    return False
