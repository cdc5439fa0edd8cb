"""Tables that the networks can't take: errors name the columns and what to use."""

import numpy as np
import pandas as pd
import pytest

from sknn_notes import MLPClassifier, MLPRegressor

NAMES = list("abc")
y = np.arange(12) % 2


def table(**columns):
    numbers = np.random.default_rng(0).normal(size=(12, 3))
    return pd.DataFrame(numbers, columns=NAMES).assign(**columns)


TEXT = table(b=np.where(y, "x", "y"))
MISSING = table(c=np.where(y, np.nan, 1.0))
NULLABLE = table(b=pd.array([1, None] * 6, dtype="Int64"), c=["x"] * 12)

both = pytest.mark.parametrize(
    "estimator", [MLPClassifier, MLPRegressor], ids=lambda cls: cls.__name__
)


def rejected(estimator, X):
    """Return the messages of fit and predict, which are alike."""
    model = estimator(hidden_layer_sizes=(3,), max_iter=1)
    known = table() if hasattr(X, "columns") else table().to_numpy()
    messages = []
    for action in (lambda: model.fit(X, y), lambda: model.fit(known, y).predict(X)):
        with pytest.raises((TypeError, ValueError)) as error:
            action()
        messages.append(str(error.value))
    return messages


@both
def test_strings_and_categories(estimator):
    name = estimator.__name__
    for message in rejected(estimator, TEXT):
        assert "must hold numbers; could not convert string to float" in message
        assert "Columns with other values: ['b']." in message
        assert f"sknn_notes.tabular.Tabular{name} accepts strings" in message
    for message in rejected(estimator, TEXT.to_numpy()):
        assert "Columns" not in message
        assert f"sknn_notes.tabular.Tabular{name} accepts strings" in message
    for message in rejected(estimator, NULLABLE):
        assert "Columns with other values: ['c']." in message


@both
def test_missing_values(estimator):
    name = estimator.__name__
    for message in rejected(estimator, MISSING):
        assert message.startswith("Input X contains NaN.")
        assert "Columns with missing values: ['c']." in message
        assert message.endswith(f"Tabular{name} accepts missing values.")
    nullable = NULLABLE.drop(columns="c").assign(c=1.0)
    for message in rejected(estimator, nullable):
        assert "Columns with missing values: ['b']." in message


@both
def test_dates(estimator):
    X = table(b=pd.to_timedelta(y, unit="s"))
    for message in rejected(estimator, X):
        assert "must hold numbers" in message
        assert "Columns with other values: ['b']." in message


def test_polars():
    polars = pytest.importorskip("polars")
    X = polars.DataFrame({"a": [1.0] * 12, "b": ["x", "y"] * 6})
    with pytest.raises(ValueError, match=r"Columns with other values: \['b'\]"):
        MLPClassifier().fit(X, y)


def test_other_errors_stay():
    with pytest.raises(ValueError, match=r"^Found array with 0 sample\(s\)"):
        MLPClassifier().fit(table()[:0], y[:0])


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (["a", "b", None, "a"] * 3, ["NoneType, str", "Leave out the samples"]),
        ([0, 1, "a", 1] * 3, ["int, str", "y.astype(str)"]),
        ([0, 1, 2, 1] * 3, ["values of type int", "data type of numpy"]),
        ([10**30, 1, 2, 1] * 3, ["values of type int", "data type of numpy"]),
    ],
    ids=["missing", "mixed", "objects", "huge"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_labels_of_other_types(labels, parts, method):
    labels = np.array(labels, dtype=object)
    options = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match="Unknown label type: y has dtype object") as e:
        getattr(MLPClassifier(), method)(table(), labels, **options)
    assert [part for part in parts if part not in str(e.value)] == []


def test_text_among_the_targets_of_a_regressor():
    for value in ("a", "1.5"):
        targets = np.array([1.0, value] * 6, dtype=object)
        with pytest.raises(ValueError, match="y holds strings, but a regressor"):
            MLPRegressor().fit(table(), targets)


@pytest.mark.parametrize("X", [table(), table().to_numpy()], ids=["frame", "array"])
def test_targets_of_a_regressor_that_are_no_numbers(X):
    for targets in (pd.DataFrame({"t": ["a", "b"] * 6}), table(c=["a"] * 12)):
        with pytest.raises(ValueError, match="y holds strings, but a regressor"):
            MLPRegressor().fit(X, targets)
    dates = pd.DataFrame({"t": pd.date_range("2020", periods=12)})
    with pytest.raises(ValueError, match="y has dtype datetime64"):
        MLPRegressor().fit(X, dates)
    # Nothing is said about the columns of X, nor where strings are accepted.
    with pytest.raises(TypeError, match=r"X and y must hold numbers; .* not 'dict'\.$"):
        MLPRegressor().fit(X, [{}] * 12)


@both
def test_a_value_with_a_period_is_shown_whole(estimator):
    for message in rejected(estimator, [["St. Louis", 1, 2]] * 12):
        assert "could not convert string to float: 'St. Louis'." in message


def test_weights_that_are_no_numbers():
    with pytest.raises(ValueError, match=r"sample_weight must hold numbers; .*'a'"):
        MLPClassifier().fit(table(), y, sample_weight=["a"] * 12)
    with pytest.raises(ValueError, match=r"class_weight must hold numbers; .*'a'"):
        MLPClassifier(class_weight={0: "a"}).fit(table(), y)


@both
def test_ints_too_large_for_floats(estimator):
    for message in rejected(estimator, [[10**400, 1, 2]] * 12):
        assert "must hold numbers of at most 1.8e+308" in message


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_huge_floats_as_classes_raise_without_a_warning(method):
    huge = np.random.default_rng(0).normal(size=12) * 1e300
    options = {"classes": np.unique(huge)} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match="Unknown label type"):
        getattr(MLPClassifier(), method)(table(), huge, **options)


@both
@pytest.mark.parametrize("X", [1.0, np.array(1.0), None], ids=["1", "0-D", "None"])
def test_what_is_no_matrix(estimator, X):
    model = estimator(hidden_layer_sizes=(3,), max_iter=1, early_stopping=True)
    for training in (X, table().to_numpy()):
        with pytest.raises((TypeError, ValueError)) as error:
            model.fit(training, y, X_val=X, y_val=y)
        assert "has no len" not in str(error.value)


@both
def test_tags_are_there_for_any_value_of_a_parameter(estimator):
    for value in (np.zeros((2, 2)), [[1], [1, 2]], "x", 1.0):
        tags = estimator(augment=value).__sklearn_tags__()
        assert not tags.input_tags.sparse
    assert estimator(augment=[]).__sklearn_tags__().input_tags.sparse
