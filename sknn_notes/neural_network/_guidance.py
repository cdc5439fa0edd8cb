"""Errors and warnings about targets, scorers and methods, with advice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Real
from types import FunctionType, MethodType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer

from sknn_notes._checks import present, shown
from sknn_notes._messages import warn
from sknn_notes._typing import Method


class AvailableIf:
    """A method that is absent if a check raises AttributeError, with its message.

    scikit-learn's ``available_if`` replaces the message, and with it the reason.

    Parameters
    ----------
    check : callable
        Called with the estimator.
    method : function
    """

    def __init__(self, check: Callable[[Any], object], method: FunctionType) -> None:
        self.check, self.method = check, method
        self.__doc__ = method.__doc__

    def __get__(self, estimator: Any, owner: type | None = None) -> Any:
        """Return the method, bound to ``estimator`` unless that is None."""
        if estimator is None:
            return self.method
        try:
            self.check(estimator)
        except AttributeError as error:
            name = self.method.__name__
            raise AttributeError(
                f"This {type(estimator).__name__!r} has no attribute {name!r}. {error}"
            ) from None
        return MethodType(self.method, estimator)


def available_if(check: Callable[[Any], object]) -> Callable[[Method], Method]:
    """Return a decorator for a method that is absent if ``check`` raises."""

    def decorate(method: Method) -> Method:
        # A type checker sees a method, which an instance binds.
        return cast(Method, AvailableIf(check, cast(FunctionType, method)))

    return decorate


@contextmanager
def explained(estimator: Any, X: Any) -> Iterator[None]:
    """Add to the errors of validating X which columns are wrong, and what to do."""
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        kind = "Classifier" if is_classifier(estimator) else "Regressor"
        table = f"sknn_notes.tabular.TabularMLP{kind}"
        if "Input X contains NaN" in text:
            columns = _of_columns(X, "with missing values", _has_missing)
            advice = f"{columns} {table} accepts missing values."
        elif "must hold numbers; " in text and not _holds_numbers(X):
            columns = _of_columns(X, "with other values", _has_others)
            advice = (
                f"{columns} {table} accepts strings and categories, and "
                "sklearn.preprocessing.OneHotEncoder encodes them."
            )
        else:
            raise
        raise type(error)(f"{text}{advice}") from None


def _of_columns(X: Any, what: str, condition: Callable[[Any], bool]) -> str:
    """Return a sentence that names the columns of a table that meet a condition."""
    if not hasattr(X, "columns"):
        return ""
    columns = zip(X.columns, np.asarray(X, dtype=object).T, strict=True)
    names = [str(name) for name, values in columns if condition(values)]
    return f" Columns {what}: {shown(names)}."


def _holds_numbers(X: Any) -> bool:
    """Whether X holds numbers only, so that it is y that does not."""
    if hasattr(X, "columns"):
        return not any(map(_has_others, np.asarray(X, dtype=object).T))
    return getattr(getattr(X, "dtype", None), "kind", "") in ("b", "i", "u", "f")


def _has_missing(values: NDArray[Any]) -> bool:
    return not bool(present(values).all())


def _has_others(values: NDArray[Any]) -> bool:
    return not all(isinstance(value, Real) for value in values[present(values)])


def check_labels(y: NDArray[Any]) -> None:
    """Raise ValueError if ``y`` holds objects that can't be class labels.

    Parameters
    ----------
    y : ndarray of object, not all of which are strings
    """
    kinds = {type(label) for label in y.ravel().tolist()}
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    if type(None) in kinds:
        advice = "Leave out the samples without a label."
    elif len(kinds) > 1:
        advice = "Convert all of them to strings, for example with y.astype(str)."
    else:
        advice = "Convert y to a data type of numpy, such as int or str."
    raise ValueError(
        f"Unknown label type: y has dtype object and holds values of type {names}. "
        f"{advice}"
    )


def check_numbers(y: Any) -> None:
    """Raise ValueError unless ``y`` can be the targets of a regressor."""
    if issparse(y):
        raise ValueError(
            "y is sparse, but a regressor needs dense targets. Pass y.toarray()."
        )
    if hasattr(y, "columns"):
        y = np.asarray(y)
    dtype = getattr(y, "dtype", None)
    kind = getattr(dtype, "kind", "")
    texts = kind == "O" and any(isinstance(value, str) for value in np.ravel(y))
    if texts or kind in ("U", "S", "T"):
        raise ValueError(
            "y holds strings, but a regressor needs numbers. If they are numbers, "
            "convert them with y.astype(float); for classes, use MLPClassifier."
        )
    if kind == "f" and np.isnan(y).any():
        raise ValueError(
            "Input y contains NaN or None. Leave out the samples without a target."
        )
    if kind in ("M", "m"):
        raise ValueError(
            f"y has dtype {dtype}, but a regressor needs numbers. Convert y, for "
            "example to days: (y - y.min()) / np.timedelta64(1, 'D')."
        )


def warn_of_numbers(y: Any, classes: NDArray[Any]) -> None:
    """Warn if the classes of a classifier look like continuous targets."""
    n, n_classes = y.shape[0], len(classes)
    measured = np.issubdtype(np.asarray(classes).dtype, np.floating)
    # With fewer than two samples per class, scikit-learn warns itself.
    if measured and n_classes >= 100 and 2 * n_classes <= n < 10 * n_classes:
        warn(
            f"y holds {n_classes} different floats, with {n / n_classes:.1f} samples "
            "each. They look like continuous targets, for which there is MLPRegressor. "
            "If they are classes, pass them as integers or strings.",
        )


def check_scorer(estimator: Any) -> None:
    """Raise ValueError if the scorer needs a method that the estimator lacks.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Estimator in ``fit``, before training.
    """
    if not estimator.early_stopping or estimator.scoring in (None, "loss"):
        return
    scorer = estimator.scoring
    if isinstance(scorer, str):
        scorer = get_scorer(scorer)
    # Only scikit-learn's scorers say which methods they call.
    methods = getattr(scorer, "_response_method", None)
    if methods is None:
        return
    methods = [methods] if isinstance(methods, str) else list(methods)
    if not any(hasattr(estimator, method) for method in methods):
        loss = ", or loss='log_loss'" if is_classifier(estimator) else ""
        raise ValueError(
            f"scoring={shown(estimator.scoring)} needs {' or '.join(methods)}, which "
            f"{type(estimator).__name__} with loss={shown(estimator.loss)} does not "
            f"have. Choose scoring='loss' or another scorer{loss}."
        )


def watched_score(
    scorer: Any, estimator: Any, validation: Any, **metadata: Any
) -> float:
    """Return the score of a validation set; errors mention the scoring."""
    scoring = shown(estimator.scoring)
    try:
        score = scorer(estimator, validation.X, validation.y, **metadata)
    except Exception as error:
        error.add_note(
            f"While scoring={scoring} scored the validation set of {len(validation.y)} "
            "samples for early stopping."
        )
        raise
    try:
        return float(score)
    except (TypeError, ValueError):
        raise ValueError(
            f"scoring={scoring} returned {shown(score)} for the validation set. Early "
            "stopping needs one number, larger for better models."
        ) from None
