"""Columns of a table, numerical and categorical, and their preparation."""

import datetime
import warnings
from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sknn_notes._checks import is_pandas_missing, present, shown
from sknn_notes._sklearn import validate_data
from sknn_notes.preprocessing import RobustStandardizer

# A category with fewer rows is too rare to learn from, and gets no input.
_FEWEST_ROWS = 4
# At most this many categories of a column get an input, the most frequent ones.
_MOST_CATEGORIES = 100

# Prefixes of data type names in numpy, pandas, pyarrow and polars.
_NUMBERS = ("int", "uint", "float", "double", "bool", "halffloat", "null")
_CATEGORIES = ("category", "categorical", "enum", "dictionary")
_TEXT = ("str", "large_str", "object", "utf8", "decimal")
_DATES = ("date", "time", "duration", "period")


class Column(NamedTuple):
    """A column of a table.

    Parameters
    ----------
    key : str or int
        Name of the column, or its position if the table has no names.
    values : ndarray of shape (n_samples,) or None
        Values of a categorical column; None for a numerical one.
    """

    key: Any
    values: Any = None


def check_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return a table as an array or a frame; check number and names of its columns.

    Parameters
    ----------
    estimator : estimator
        Stores the number and the names of the columns with ``reset``; otherwise they
        must match the stored ones.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
    reset : bool

    Returns
    -------
    X : {ndarray, DataFrame} of shape (n_samples, n_features)
        A frame is returned as it is.
    """
    if isinstance(X, list | tuple) and np.asarray(X).dtype.kind in "US":
        # Numbers must not become strings, which are categories.
        X = np.asarray(X, dtype=object)
    if hasattr(type(X), "columns") and not hasattr(X, "to_numpy"):
        raise TypeError(
            f"X is a {type(X).__name__}. Pass an array, or a DataFrame of pandas or "
            "polars."
        )
    if not is_frame(X):
        return validate_data(
            estimator, X, reset=reset, dtype=None, ensure_all_finite=False
        )
    if 0 in X.shape:
        raise ValueError(
            f"X has {X.shape[0]} rows and {X.shape[1]} columns (shape={X.shape}) while "
            "a minimum of 1 is required of each."
        )
    return validate_data(estimator, X, reset=reset, skip_check_array=True)


def check_kinds(X: Any, table: ColumnTransformer) -> Any:
    """Check that columns are numerical or categorical as in ``fit``; return the table.

    Parameters
    ----------
    X : {ndarray, DataFrame} of shape (n_samples, n_features)
    table : ColumnTransformer
        Fitted.

    Returns
    -------
    X : {ndarray, DataFrame} of shape (n_samples, n_features)
        A column of missing strings that has a numerical data type is cast to strings
        or objects.
    """
    keys = list(getattr(table, "feature_names_in_", range(X.shape[1])))
    of_text: set[Any] = set()
    for _, transformer, chosen in table.transformers_:
        if isinstance(transformer, OneHotEncoder):
            pairs = zip(chosen, transformer.categories_, strict=True)
            of_text |= {key for key, found in pairs if isinstance(found[0], str)}
    for i, key in enumerate(keys):
        series = column_of(X, i)
        dtype = _name_of(series.dtype)
        if dtype.startswith(_DATES):
            raise _date_error(key, series.dtype)
        if key in of_text and dtype.startswith(_NUMBERS):
            if present(np.asarray(series, dtype=object)).any():
                raise ValueError(
                    f"Column {key!r} has the data type {series.dtype}, and had strings "
                    "in fit. Convert its values to strings as in fit."
                )
            if hasattr(X, "cast"):  # polars
                X = X.cast({key: str})
            else:
                X = X.astype({X.columns[i]: object} if is_frame(X) else object)
    return X


def is_frame(X: Any) -> bool:
    """Whether a table is a data frame, such as those of pandas and polars."""
    return hasattr(X, "columns") and hasattr(X, "shape")


def columns(
    X: Any, categorical_features: ArrayLike | None, names: NDArray[Any] | None
) -> list[Column]:
    """Return the columns of a table that ``check_table`` returned.

    Parameters
    ----------
    X : {ndarray, DataFrame} of shape (n_samples, n_features)
    categorical_features : 'from_dtype', array-like or None
        Parameter of the estimator.
    names : ndarray of str or None
        Names of the columns, if all are strings.

    Returns
    -------
    columns : list of Column

    Raises
    ------
    ValueError
        If a column holds dates or values of several kinds.
    """
    chosen = _chosen(categorical_features, X.shape[1], names)
    keys = range(X.shape[1]) if names is None else names
    return [
        _column(key, column_of(X, i), None if chosen is None else i in chosen)
        for i, key in enumerate(keys)
    ]


def _chosen(
    categorical_features: ArrayLike | None, n_features: int, names: NDArray[Any] | None
) -> set[int] | None:
    """Return the positions of the categorical columns; None if data types decide."""
    if isinstance(categorical_features, str) and categorical_features == "from_dtype":
        return None
    if categorical_features is None:
        return set()
    chosen = np.atleast_1d(np.asarray(categorical_features))
    if chosen.size == 0:
        return set()
    if chosen.dtype == bool:
        if chosen.shape != (n_features,):
            raise ValueError(
                "A boolean mask for categorical_features must have one value per "
                f"column: shape ({n_features},). Got shape {chosen.shape}."
            )
        return set(np.flatnonzero(chosen).tolist())
    found = [_position(item, n_features, names) for item in chosen.tolist()]
    return set(found)


def _position(item: Any, n_features: int, names: NDArray[Any] | None) -> int:
    if isinstance(item, str):
        if names is None:
            raise ValueError(
                f"categorical_features names the column {item!r}, but X has no column "
                "names. Pass positions, or a DataFrame."
            )
        if item not in names:
            raise ValueError(
                f"categorical_features names the column {item!r}, but the columns of X "
                f"are {shown(list(names))}."
            )
        return list(names).index(item)
    if isinstance(item, int) and 0 <= item < n_features:
        return int(item)
    raise ValueError(
        f"categorical_features has {item!r}. Pass a boolean mask, names of columns, or "
        f"positions from 0 to {n_features - 1}."
    )


def column_of(X: Any, i: int) -> Any:
    """Return a column of a table by its position."""
    if not is_frame(X):
        return X[:, i]
    return X.iloc[:, i] if hasattr(X, "iloc") else X[:, i]


def _name_of(dtype: Any) -> str:
    """Return the name of a data type without its byte order."""
    return (dtype.name if isinstance(dtype, np.dtype) else str(dtype)).lower()


def _column(key: Any, series: Any, chosen: bool | None) -> Column:
    """Return a column; ``chosen`` says if it is categorical, None: by its data type."""
    dtype = _name_of(series.dtype)
    if dtype.startswith(_DATES):
        raise _date_error(key, series.dtype)
    if dtype.startswith(_TEXT):
        values = np.asarray(series, dtype=object)
        is_number = _are_numbers(key, values)
        if chosen is False and not is_number:
            raise ValueError(
                f"Column {key!r} has text, such as {_example(values)!r}, but is not in "
                "categorical_features. Add it there, or drop the column."
            )
        is_category = not is_number if chosen is None else chosen
        return Column(key, values if is_category else None)
    if dtype.startswith(_CATEGORIES) or chosen:
        return Column(key, np.asarray(series, dtype=object))
    if dtype.startswith(_NUMBERS):
        return Column(key)
    raise ValueError(
        f"Column {key!r} has the data type {series.dtype}. Columns may hold numbers, "
        "booleans, categories or strings. Convert the column to one of these, or drop "
        "it."
    )


def _are_numbers(key: Any, values: NDArray[Any]) -> bool:
    """Whether a column of objects holds only numbers; raise if it is mixed."""
    kinds = {str if isinstance(v, str) else type(v) for v in values[present(values)]}
    for kind in kinds:
        if issubclass(kind, datetime.date | datetime.timedelta | np.datetime64):
            raise _date_error(key, kind.__name__)
    numbers = {kind for kind in kinds if issubclass(kind, Real | Decimal | np.bool_)}
    other = kinds - numbers - {str}
    if other:
        name = min(kind.__name__ for kind in other)
        raise TypeError(
            f"Column {key!r} has values of type {name}. Every value of a column "
            "argument must be a string or a number."
        )
    if numbers and str in kinds:
        raise ValueError(
            f"Column {key!r} has both strings and numbers. Convert all values to "
            "strings, or all to numbers."
        )
    if not (kinds - numbers) and any(is_pandas_missing(value) for value in values):
        raise ValueError(
            f"Column {key!r} has the data type object, with numbers and pandas' NA or "
            "NaT for missing values. Convert it with pandas.to_numeric or "
            "astype('Float64')."
        )
    return not kinds or bool(numbers)


def _date_error(key: Any, dtype: Any) -> ValueError:
    return ValueError(
        f"Column {key!r} has dates or times ({dtype}). Convert them to numbers, such "
        "as year, month, weekday and the days since the first date, or drop the "
        "column. skrub's DatetimeEncoder and TableVectorizer extract such numbers."
    )


def _example(values: NDArray[Any]) -> Any:
    return values[present(values)][0]


def frequent(column: Column) -> NDArray[Any]:
    """Return the categories of a column that get an input, sorted.

    These are at most the 100 most frequent ones, with at least four rows each.
    """
    values = column.values[present(column.values)]
    _are_numbers(column.key, values)
    categories, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
    kept = np.sort(order[counts[order] >= _FEWEST_ROWS])
    if not len(kept):
        warnings.warn(
            f"No category of column {column.key!r} has {_FEWEST_ROWS} rows or more, so "
            "the column is ignored. Group its values, or drop it.",
            stacklevel=6,
        )
    return categories[kept]


def preparation(table: Iterable[Column]) -> ColumnTransformer:
    """Return the transformer from a table to the inputs of a network, unfitted.

    Parameters
    ----------
    table : iterable of Column

    Returns
    -------
    preparation : ColumnTransformer
    """
    numbers, categories, kept = [], [], []
    for column in table:
        if column.values is None:
            numbers.append(column.key)
            continue
        found = frequent(column)
        if len(found):
            categories.append(column.key)
            kept.append(found)
    steps: list[Any] = []
    if numbers:
        # RobustStandardizer has moved the median to 0.
        impute = SimpleImputer(
            strategy="constant",
            fill_value=0,
            add_indicator=True,
            keep_empty_features=True,
        )
        steps.append(("numbers", make_pipeline(RobustStandardizer(), impute), numbers))
    if categories:
        # Rare, unseen and missing categories are encoded as zeros.
        encode = OneHotEncoder(
            categories=kept, handle_unknown="ignore", sparse_output=False
        )
        steps.append(("categories", encode, categories))
    if not steps:
        raise ValueError(
            "No column of X can be used: none is numerical, and no category has "
            f"{_FEWEST_ROWS} rows or more."
        )
    prepare = ColumnTransformer(steps, verbose_feature_names_out=False)
    # The networks need arrays, whatever output scikit-learn is configured for.
    return prepare.set_output(transform="default")
