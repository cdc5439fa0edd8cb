"""What the columns of a table become: numbers, categories, or helpful errors."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator

from sknn_notes.tabular._table import (
    check_kinds,
    check_table,
    columns,
    preparation,
)

N = 40


def prepared(X, categorical_features="from_dtype"):
    """Return the fitted preparation of a table."""
    estimator = BaseEstimator()
    X = check_table(estimator, X, reset=True)
    names = getattr(estimator, "feature_names_in_", None)
    return preparation(columns(X, categorical_features, names)).fit(X)


def names_of(X, categorical_features="from_dtype"):
    return list(prepared(X, categorical_features).get_feature_names_out())


FRAME = {
    "number": [1.0, 2.0, np.nan, 4.0] * 10,
    "flag": [True, False] * 20,
    "text": ["a", "b", None, "b"] * 10,
}
EACH_LIBRARY = pytest.mark.parametrize("library", ["pandas", "polars"])


@EACH_LIBRARY
def test_frames_are_understood_by_their_types(library):
    names = names_of(pytest.importorskip(library).DataFrame(FRAME))
    assert names == ["number", "flag", "missingindicator_number", "text_a", "text_b"]


def test_the_types_of_pandas():
    frame = pd.DataFrame(
        {
            "category": pd.Categorical(["u", "v"] * 20),
            "numbered": pd.Categorical([3, 5] * 20),
            "string": pd.array(["u", None] * 20, "string"),
            "integer": pd.array([1, None] * 20, "Int64"),
            "boolean": pd.array([True, None] * 20, "boolean"),
            "object": pd.Series([1, None, 2.5, 3] * 10, dtype=object),
        }
    )
    assert names_of(frame) == [
        *["integer", "boolean", "object"],
        *[f"missingindicator_{name}" for name in ("integer", "boolean", "object")],
        *["category_u", "category_v", "numbered_3", "numbered_5", "string_u"],
    ]


def test_the_types_of_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "category": pl.Series(["u", "v"] * 20, dtype=pl.Categorical),
            "enum": pl.Series(["u", "v"] * 20, dtype=pl.Enum(["u", "v"])),
            "integer": [1, None] * 20,
            "empty": [None] * N,
        }
    )
    expected = ["integer", "empty"]
    expected += ["missingindicator_integer", "missingindicator_empty"]
    expected += ["category_u", "category_v", "enum_u", "enum_v"]
    assert names_of(frame) == expected


@pytest.mark.parametrize("make", [list, lambda rows: np.array(rows, dtype=object)])
def test_arrays_of_objects_are_understood_by_their_values(make):
    rows = [["a", 1.0], ["b", 2.0]] * 20
    assert names_of(make(rows)) == ["x1", "x0_a", "x0_b"]


@pytest.mark.parametrize("chosen", [[1], [False, True], np.array([1])])
def test_categories_may_be_chosen(chosen):
    X = np.array([[1.0, 7.0], [2.0, 8.0]] * 20)
    assert names_of(X, chosen) == ["x0", "x1_7.0", "x1_8.0"]


def test_categories_may_be_chosen_by_name():
    frame = pd.DataFrame({"a": [1, 2] * 20, "b": [1, 2] * 20})
    assert names_of(frame, ["b"]) == ["a", "b_1", "b_2"]
    assert names_of(frame, []) == names_of(frame, None) == ["a", "b"]


def test_rare_unseen_and_missing_categories_have_no_input():
    frame = pd.DataFrame({"text": ["a"] * 20 + ["b"] * 16 + ["c"] * 3 + [None]})
    table = prepared(frame)
    assert list(table.get_feature_names_out()) == ["text_a", "text_b"]
    asked = pd.DataFrame({"text": ["b", "c", None, "never seen", np.nan]})
    np.testing.assert_array_equal(
        table.transform(asked), [[0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]
    )


def test_the_most_frequent_categories_have_an_input():
    values = np.repeat([f"c{i:03}" for i in range(150)], np.arange(150) // 10 + 4)
    names = names_of(pd.DataFrame({"text": values}))
    assert len(names) == 100
    assert "text_c149" in names
    assert "text_c000" not in names


def test_missing_numbers_become_the_median_and_are_marked():
    X = np.array([[0.0], [1.0], [2.0], [np.nan]] * 10)
    table = prepared(X)
    inputs = table.transform(np.array([[1.0], [np.nan]]))
    assert inputs[0, 0] == inputs[1, 0] == 0
    assert inputs[0, 1] != inputs[1, 1]


@pytest.mark.parametrize("column", [np.full(N, np.nan), np.full(N, 3.0)])
def test_columns_that_say_nothing_do_no_harm(column):
    X = np.column_stack([np.arange(N), column])
    assert np.isfinite(prepared(X).transform(X)).all()


@pytest.mark.parametrize(
    "dates",
    [
        pd.to_datetime(["2020-01-01"] * N),
        pd.to_timedelta([1] * N, "s"),
        pd.period_range("2020", periods=N),
        [datetime.date(2020, 1, 1)] * N,
    ],
)
def test_dates_raise_an_error_that_says_what_to_do(dates):
    frame = pd.DataFrame({"when": dates})
    with pytest.raises(ValueError, match=r"'when' has dates.*year, month"):
        prepared(frame)


def test_dates_of_polars_raise():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"when": [datetime.date(2020, 1, 1)] * N})
    with pytest.raises(ValueError, match="'when' has dates"):
        prepared(frame)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([1, "a"] * 20, ValueError, "both strings and numbers"),
        ([[1]] * N, TypeError, "values of type list"),
        ([1 + 2j] * N, ValueError, "data type complex128"),
        ([np.inf] * N, ValueError, "infinity"),
        (
            pd.Series([1, pd.NA] * 20, dtype=object),
            ValueError,
            "numbers and pandas' NA",
        ),
    ],
)
def test_values_that_no_input_stands_for_raise(values, error, message):
    with pytest.raises(error, match=message):
        prepared(pd.DataFrame({"x": values}))


def test_a_column_of_rare_categories_is_left_out_with_a_warning():
    frame = pd.DataFrame({"id": [f"id{i}" for i in range(N)], "x": np.arange(N)})
    with pytest.warns(UserWarning, match=r"No category of column 'id' has 4 rows"):
        assert names_of(frame) == ["x"]
    with (
        pytest.warns(UserWarning, match="No category"),
        pytest.raises(ValueError, match="No column of X can be used"),
    ):
        prepared(frame[["id"]])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["zz"], r"column 'zz', but the columns of X are \['a', 'b'\]"),
        ([2], "positions from 0 to 1"),
        ([True], r"shape \(2,\)"),
        (None, "'b' has text, such as 'u'"),
    ],
)
def test_wrong_choices_of_categories_raise(chosen, message):
    frame = pd.DataFrame({"a": [1, 2] * 20, "b": ["u", "v"] * 20})
    with pytest.raises(ValueError, match=message):
        prepared(frame, chosen)


def test_names_need_a_frame():
    with pytest.raises(ValueError, match="X has no column names"):
        prepared(np.zeros((N, 2)), ["a"])


def test_lazy_frames_raise():
    pl = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"X is a LazyFrame\. Pass an array, or a Data"):
        prepared(pl.LazyFrame(FRAME))


TAKES_BIG_ENDIAN = pytest.mark.needs("pandas>=3", "it takes rows of such numbers")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.arange(N, dtype=">f8"), marks=TAKES_BIG_ENDIAN),
        pytest.param(np.arange(N, dtype=">i4"), marks=TAKES_BIG_ENDIAN),
        pd.Series([Decimal("1.5"), Decimal(2)] * 20, dtype=object),
        2**62 + np.arange(N),
    ],
)
def test_numbers_of_every_type_are_numbers(values):
    frame = pd.DataFrame({"x": values})
    assert names_of(frame) == ["x"]
    assert np.isfinite(prepared(frame).transform(frame)).all()


# The table at prediction.

FITTED = {"number": [1.0, 2.0] * 20, "text": ["a", "b"] * 20}


@EACH_LIBRARY
def test_strings_may_all_be_missing(library):
    module = pytest.importorskip(library)
    make = module.DataFrame
    table = prepared(make(FITTED))
    X = make({"number": [1.0, 2.0], "text": np.array([np.nan, np.nan])})
    if library == "polars":
        X = X.with_columns(text=module.lit(None).cast(module.Float64))
    inputs = table.transform(check_kinds(X, table))
    np.testing.assert_array_equal(inputs[:, 1:], 0)


@EACH_LIBRARY
def test_other_kinds_than_in_fit_raise(library):
    make = pytest.importorskip(library).DataFrame
    table = prepared(make(FITTED))
    with pytest.raises(
        ValueError, match=r"'text' has .* [iI]nt64, and had strings in fit"
    ):
        check_kinds(make(FITTED | {"text": np.arange(N)}), table)
    dates = np.full(N, "2020-01-01", dtype="datetime64[ms]")
    with pytest.raises(ValueError, match="'number' has dates"):
        check_kinds(make(FITTED | {"number": dates}), table)


def test_arrays_at_prediction():
    rows = np.array([["a", 1.0], ["b", 2.0]] * 20, dtype=object)
    table = prepared(rows)
    X = np.array([[np.nan, 2.0]])
    np.testing.assert_array_equal(table.transform(check_kinds(X, table))[:, 1:], 0)
    with pytest.raises(ValueError, match="Column 0 has the data type float64"):
        check_kinds(np.ones((2, 2)), table)


@EACH_LIBRARY
def test_the_configuration_of_scikit_learn_changes_no_inputs(library):
    pytest.importorskip(library)
    frame = pd.DataFrame(FITTED)
    with config_context(transform_output=library):
        assert isinstance(prepared(frame).transform(frame), np.ndarray)
