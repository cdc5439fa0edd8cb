"""Converted estimators for tables predict in onnxruntime what they predict here."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

pytest.importorskip("skl2onnx")
from onnx.helper import tensor_dtype_to_np_dtype
from onnxruntime import InferenceSession

from sknn_notes import Standardizer
from sknn_notes.onnx import to_onnx
from sknn_notes.onnx._inputs import types_of
from sknn_notes.tabular import TabularMLPClassifier, TabularMLPRegressor

rng = np.random.default_rng(0)
N = 60
FRAME = pd.DataFrame(
    {
        "number": rng.normal(size=N),
        "holes": np.where(rng.random(N) < 0.2, np.nan, rng.normal(size=N)),
        "flag": rng.random(N) < 0.5,
        "text": rng.choice(["a", "b", "c"], N),
        "category": pd.Categorical(rng.choice(["u", "v"], N)),
        "code": pd.Categorical(rng.choice([3, 5], N)),
    }
)
FRAME.loc[::17, "text"] = None
# With missing values where fit saw none, and unseen categories.
ASKED = FRAME.assign(text="new")
ASKED.loc[10:, "text"] = FRAME["text"][10:]
ASKED.loc[:5, ["number", "category", "code"]] = np.nan
NOISE = rng.normal(size=N)
SIGNAL = (FRAME["number"] + FRAME["flag"] + NOISE).to_numpy()
LABELS = {
    "text": np.where(SIGNAL > 0, "yes", "no"),
    "multiclass": np.digitize(SIGNAL, [0, 1]) + 5,
    "bool": SIGNAL > 0,
    "multilabel": np.column_stack([SIGNAL > 0, SIGNAL > 1]).astype(int),
}

every_type = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def in_precision(frame, dtype):
    """Return the frame with its numbers in a precision, that of the graph as well."""
    frame = frame.astype({"number": dtype, "holes": dtype})
    return frame.drop(columns="code") if dtype is np.float32 else frame


def run(model, frame):
    """Return the outputs of the converted model for a frame."""
    graph = to_onnx(model, frame)
    inputs = {}
    for value in graph.graph.input:
        column = frame[[value.name]].astype(object)
        dtype = tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        if dtype.kind == "O":
            column = column.fillna("")
        inputs[value.name] = column.to_numpy().astype(dtype)
    session = InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


def check(model, frame):
    """Compare the outputs of an estimator and of its pipeline with the predictions."""
    predictions = [model.predict(frame)]
    if hasattr(model, "predict_proba"):
        predictions.append(model.predict_proba(frame))
    else:
        predictions = [predictions[0].reshape(len(frame), -1)]
    for each in (model, model.pipeline_):
        outputs = run(each, frame)
        assert len(outputs) == len(predictions)
        assert outputs[-1].dtype == frame["number"].dtype
        if len(outputs) == 2:
            np.testing.assert_array_equal(outputs[0], predictions[0])
        np.testing.assert_allclose(outputs[-1], predictions[-1], rtol=1e-5, atol=1e-5)


@every_type
@pytest.mark.parametrize("quality", ["fast", "balanced"])
def test_classifiers(quality, dtype):
    model = TabularMLPClassifier(quality, random_state=0)
    model.fit(in_precision(FRAME, dtype), LABELS["text"])
    check(model, in_precision(ASKED, dtype))


@every_type
@pytest.mark.parametrize("quality", ["fast", "balanced"])
def test_regressors(quality, dtype):
    model = TabularMLPRegressor(quality, random_state=0)
    model.fit(in_precision(FRAME, dtype), SIGNAL)
    check(model, in_precision(ASKED, dtype))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("task", LABELS)
def test_groups_that_vote_on_classes(task):
    model = TabularMLPClassifier("best", random_state=0).fit(FRAME, LABELS[task])
    votes = isinstance(model.pipeline_["networks"], VotingClassifier)
    assert votes == (task != "multilabel")
    for dtype in (np.float32, np.float64):
        frame = FRAME.assign(code=np.int8(3)) if dtype is np.float32 else ASKED
        check(model, frame.astype({"number": dtype, "holes": dtype}))


def test_groups_that_vote_on_numbers():
    model = TabularMLPRegressor("best", random_state=0).fit(FRAME, NOISE)
    assert isinstance(model.pipeline_["networks"], VotingRegressor)
    check(model, ASKED)


def test_several_outputs_and_searches():
    model = TabularMLPRegressor("fast", random_state=0)
    check(model.fit(FRAME, np.column_stack([SIGNAL, NOISE])), ASKED)
    model = TabularMLPClassifier("fast", random_state=0)
    search = GridSearchCV(model, {"class_weight": [None]}, cv=2)
    search.fit(FRAME, LABELS["text"])
    label, proba = run(search, ASKED)
    np.testing.assert_array_equal(label, search.predict(ASKED))
    np.testing.assert_allclose(proba, search.predict_proba(ASKED), atol=1e-5)


def test_arrays_of_numbers():
    X = FRAME[["number", "holes"]].to_numpy()
    model = TabularMLPRegressor("fast", random_state=0).fit(X, SIGNAL)
    graph = to_onnx(model, X).SerializeToString()
    session = InferenceSession(graph, providers=["CPUExecutionProvider"])
    predicted = session.run(None, {"X": X})[0].ravel()
    np.testing.assert_allclose(predicted, model.predict(X), rtol=1e-5, atol=1e-5)


# The types of columns.


def types(frame):
    """Return the types of the inputs of a graph for a frame."""
    return {name: str(given).split("Tensor")[0] for name, given in types_of(frame)}


def test_the_types_of_pandas():
    frame = pd.DataFrame(
        {
            "objects": pd.Series([None, "a"], dtype=object),
            "str": pd.Series([None, None], dtype="str"),
            "string": pd.Series([None, None], dtype="string"),
            "category": pd.Categorical([None, None], ["a"]),
            "codes": pd.Categorical([None, 1], [1, 2]),
            "nullable": pd.array([None, 1], "Int64"),
            "booleans": pd.array([None, True], "boolean"),
            "numbers": pd.Series([None, 1], dtype=object),
            "single": np.array([0, 1], dtype=np.float32),
        }
    )
    text = dict.fromkeys(["objects", "str", "string", "category"], "String")
    double = dict.fromkeys(["codes", "nullable", "booleans", "numbers"], "Double")
    assert types(frame) == text | double | {"single": "Float"}


def test_the_types_of_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "text": [None, "a"],
            "category": pl.Series([None, "a"], dtype=pl.Categorical),
            "enum": pl.Series([None, None], dtype=pl.Enum(["a"])),
            "numbers": [None, 1],
            "booleans": [None, True],
            "single": pl.Series([0, 1], dtype=pl.Float32),
        }
    )
    text = dict.fromkeys(["text", "category", "enum"], "String")
    double = dict.fromkeys(["numbers", "booleans"], "Double")
    assert types(frame) == text | double | {"single": "Float"}


# Errors.


def test_columns_need_names_of_strings():
    X = FRAME[["number", "holes"]].set_axis([0, 1], axis=1)
    model = TabularMLPRegressor("fast", random_state=0).fit(X, SIGNAL)
    with pytest.raises(TypeError, match=r"named 0.*astype\(str\)"):
        to_onnx(model, X)


def test_unfitted_estimators_raise():
    with pytest.raises(NotFittedError):
        to_onnx(TabularMLPRegressor(), FRAME)


def test_ensembles_raise():
    model = TabularMLPRegressor("fast", random_state=0)
    ensemble = VotingRegressor([("one", model)]).fit(FRAME[["number"]], SIGNAL)
    with pytest.raises(TypeError, match=r"TabularMLPRegressor can't be .* an ensemble"):
        to_onnx(ensemble, FRAME[["number"]])


# The imputer.


@every_type
@pytest.mark.parametrize("add_indicator", [False, True])
@pytest.mark.parametrize("keep_empty_features", [False, True])
@pytest.mark.parametrize(
    "parameters",
    [
        {"strategy": "median"},
        {"strategy": "most_frequent", "missing_values": -1},
        {"strategy": "constant", "fill_value": 7},
        {"strategy": "mean", "missing_values": pd.NA},
    ],
)
@pytest.mark.filterwarnings("ignore:Skipping features")
def test_missing_values_are_imputed(
    parameters, add_indicator, keep_empty_features, dtype
):
    holes = np.array([[1, 2, np.nan], [np.nan, 3, np.nan], [5, 4, np.nan]])
    imputer = SimpleImputer(
        add_indicator=add_indicator,
        keep_empty_features=keep_empty_features,
        **parameters,
    )
    X = holes.astype(dtype)
    if parameters["strategy"] == "most_frequent":
        X[np.isnan(X)] = -1
    imputer.fit(X)
    graph = to_onnx(imputer, X).SerializeToString()
    session = InferenceSession(graph, providers=["CPUExecutionProvider"])
    imputed = session.run(None, {"X": X})[0]
    assert imputed.dtype == dtype
    np.testing.assert_allclose(imputed, imputer.transform(X))


def test_integers_are_imputed():
    frame = pd.DataFrame({"a": [1, -1, 2], "b": [1.5, 2, 3]})
    model = make_pipeline(SimpleImputer(missing_values=-1), Standardizer()).fit(frame)
    inputs = {name: frame[[name]].to_numpy() for name in frame}
    graph = to_onnx(model, frame).SerializeToString()
    session = InferenceSession(graph, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, inputs)[0], model.transform(frame))


def test_strings_are_imputed_by_skl2onnx():
    X = np.array([["a"], ["b"], ["?"], ["b"]], dtype=object)
    imputer = SimpleImputer(missing_values="?", strategy="most_frequent").fit(X)
    graph = to_onnx(imputer, X).SerializeToString()
    session = InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert session.run(None, {"X": X})[0].tolist() == imputer.transform(X).tolist()
    imputer.set_params(add_indicator=True).fit(X)
    with pytest.raises(TypeError, match=r"add_indicator=True.* of strings"):
        to_onnx(imputer, X)
