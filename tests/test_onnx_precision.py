"""Graphs in ONNX keep the digits of every type of numbers."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

pytest.importorskip("skl2onnx")
from onnx.helper import tensor_dtype_to_np_dtype
from onnxruntime import InferenceSession

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    Standardizer,
    Whitener,
)
from sknn_notes.onnx import to_onnx

X, digit = load_digits(return_X_y=True)
X, digit = X[:400] / 16, digit[:400]


def run(model, X, **keywords):
    """Return the outputs of the converted model by their names."""
    return run_graph(to_onnx(model, X[:1], **keywords), X)


def run_graph(graph, X):
    session = InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))


# Inside scikit-learn's estimators


def feed(frame):
    """Return the inputs of a graph that has one for each column."""
    return {name: frame[[name]].to_numpy() for name in frame}


def run_frame(graph, frame):
    session = InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feed(frame)), strict=True))


# Precision


@pytest.mark.parametrize(
    ("dtype", "computed"),
    [
        ("bool", "float32"),
        ("int8", "float32"),
        ("uint16", "float32"),
        ("float16", "float32"),
        ("int32", "float64"),
        ("uint32", "float64"),
        ("int64", "float64"),
        ("uint64", "float64"),
    ],
)
@pytest.mark.parametrize("scaler", [MinMaxNormalizer(), StandardScaler()])
def test_every_type_of_numbers_keeps_its_digits(dtype, computed, scaler):
    counts = (X[:, :20] * 16).astype(int)
    # Neighbors at such a distance are one number in single precision.
    counts = counts + {"int64": 2**40, "uint64": 2**50, "int32": 2**30}.get(dtype, 0)
    counts = counts.astype(dtype)
    network = MLPRegressor(max_iter=3, random_state=0)
    model = make_pipeline(clone(scaler), network).fit(counts.astype(float), digit)
    graph = to_onnx(model, counts[:1])
    assert tensor_types(graph)["X"] == dtype
    predicted = run_graph(graph, counts)["variable"]
    assert predicted.dtype == computed
    atol = 1e-4 if computed == "float32" else 1e-10
    expected = model.predict(counts.astype(float))
    np.testing.assert_allclose(predicted[:, 0], expected, atol=atol)


def tensor_types(graph):
    """Return the numpy dtypes of inputs and outputs by their names."""
    return {
        value.name: tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        for value in [*graph.graph.input, *graph.graph.output]
    }


def mixed_frame():
    """Columns whose variation single precision loses, except in the first."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "height": rng.normal(1.7, 0.1, 80).astype(np.float32),
            "seen": rng.integers(10**9, 10**9 + 50, 80),
            "income": rng.normal(1e9, 10, 80),
            "visits": rng.integers(0, 9, 80).astype(np.int8),
        }
    )


ORDERS = [
    ["height", "seen", "income", "visits"],
    ["seen", "height", "income", "visits"],
    ["visits", "income", "seen", "height"],
    ["height", "seen"],
    ["visits", "income"],
]


@pytest.mark.parametrize("columns", ORDERS, ids=" ".join)
@pytest.mark.parametrize(
    "model",
    [
        Standardizer(),
        make_pipeline(Whitener("zca", eps=0.01), MLPRegressor(max_iter=3)),
        make_pipeline(
            ColumnTransformer([("scale", StandardScaler(), [])]),
            MLPRegressor(max_iter=3),
        ),
    ],
    ids=["alone", "pipeline", "column transformer"],
)
def test_no_column_decides_the_precision_of_the_others(model, columns):
    frame = mixed_frame()[columns]
    model = clone(model)
    if "columntransformer" in model.get_params():
        scale = ("scale", StandardScaler(), columns)
        model.set_params(columntransformer__transformers=[scale])
    model.fit(frame, np.arange(80) / 80)
    graph = to_onnx(model, frame)
    assert {name: tensor_types(graph)[name] for name in columns} == dict(frame.dtypes)
    output = run_frame(graph, frame)["variable"]
    assert output.dtype == np.float64
    compute = getattr(model, "predict", None) or model.transform
    expected = compute(frame).reshape(output.shape)
    np.testing.assert_allclose(output, expected, atol=1e-9)


def test_narrow_columns_are_computed_in_single_precision():
    frame = mixed_frame()[["visits", "height"]]
    output = run_frame(to_onnx(Standardizer().fit(frame), frame), frame)["variable"]
    assert output.dtype == np.float32


def test_given_types_get_one_precision_too():
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    frame = mixed_frame()[["height", "income"]]
    types = [
        ("height", FloatTensorType([None, 1])),
        ("income", DoubleTensorType([None, 1])),
    ]
    model = Standardizer().fit(frame)
    graph = to_onnx(model, initial_types=types)
    output = run_frame(graph, frame)["variable"]
    np.testing.assert_allclose(output, model.transform(frame), atol=1e-12)


@pytest.mark.parametrize("first", ["text", "numbers"])
def test_text_beside_numbers_leaves_them_their_precision(first):
    frame = mixed_frame()[["seen", "income"]]
    frame.insert(0, "city", np.where(np.arange(80) % 3, "Rome", "Oslo"))
    parts = {
        "text": ("text", OneHotEncoder(sparse_output=False), ["city"]),
        "numbers": ("numbers", "passthrough", ["seen", "income"]),
    }
    parts = [parts.pop(first), *parts.values()]
    model = make_pipeline(
        ColumnTransformer(parts), Standardizer(), MLPClassifier(max_iter=3)
    ).fit(frame, np.arange(80) % 2)
    proba = run_frame(to_onnx(model, frame), frame)["probabilities"]
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba, model.predict_proba(frame), atol=1e-12)


@pytest.mark.parametrize("model", [Standardizer(), MLPClassifier(max_iter=3)], ids=str)
def test_skl2onnx_alone_keeps_the_digits_of_integers(model):
    from skl2onnx import to_onnx as their_to_onnx

    far = (X[:, :5] * 16).astype(np.int64) + 10**9
    scale = Standardizer() if isinstance(model, MLPClassifier) else Centerer()
    model = make_pipeline(scale, clone(model)).fit(far, digit)
    output = run_graph(their_to_onnx(model, far[:1]), far).popitem()[1]
    if isinstance(output, list):
        output = [[row[c] for c in model.classes_] for row in output]
        expected = model.predict_proba(far)
    else:
        expected = model.transform(far)
    np.testing.assert_allclose(output, expected, atol=1e-6)


def test_loops_in_a_graph_read_the_cast_inputs():
    """The distances to neighbors are a loop with a graph of its own."""
    far = np.random.default_rng(0).integers(10**9, size=(100, 5))
    model = KNeighborsRegressor().fit(far, digit[:100])
    output = run(model, far)["variable"]
    np.testing.assert_allclose(output[:, 0], model.predict(far))
