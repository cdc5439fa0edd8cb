"""The inputs of a graph, and the precision that they require."""

from typing import Any, TypeAlias

import numpy as np
from onnx.helper import (
    make_node,
    np_dtype_to_tensor_dtype,
    tensor_dtype_to_np_dtype,
)
from skl2onnx.algebra.type_helper import guess_initial_types
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    StringTensorType,
)

from sknn_notes._checks import present
from sknn_notes._typing import MatrixLike
from sknn_notes.tabular._table import column_of, is_frame

# Names and types of inputs, as in skl2onnx.
Types: TypeAlias = list[tuple[str, Any]]


def types_of(X: MatrixLike) -> Types:
    """Return the names and types of the inputs for an array or a frame."""
    types: Types = []
    if not is_frame(X):
        types = guess_initial_types(X)
        return types
    for i, name in enumerate(X.columns):
        if not isinstance(name, str):
            raise TypeError(
                f"X has a column named {name!r}, but inputs of a graph are named by "
                "strings. Set X.columns = X.columns.astype(str)."
            )
        types.append((name, _type_of(column_of(X, i))))
    return types


def _type_of(column: Any) -> Any:
    """Return the type of a column; for objects, the type of their values."""
    dtype, values = str(column.dtype).lower(), np.asarray(column)
    is_text = dtype.startswith(("str", "categorical", "enum"))
    if values.dtype.kind == "O":
        found = values[present(values)].tolist()
        possible = column.dtype.categories if dtype == "category" else found
        is_text = is_text or any(isinstance(value, str) for value in possible)
    if is_text:
        return StringTensorType([None, 1])
    if values.dtype.kind == "O":
        # Missing values are floats.
        values = np.array(found, dtype=None if len(found) == len(values) else float)
    (_, found_type), *_ = guess_initial_types(values.reshape(-1, 1)[:1])
    found_type.shape = [None, 1]
    return found_type


def in_one_precision(initial_types: Types) -> Types:
    """Return the types with all numbers as float32, or all as float64.

    skl2onnx uses the type of the first input for all. Here it is the type that numpy
    promotes all of them and float32 to: float64 if one is float64 or an integer of 32
    bits or more.
    """
    numbers = {
        name: dtype
        for name, given in initial_types
        if (dtype := _dtype(given)).kind in "biuf"
    }
    common = np.result_type(np.float32, *numbers.values())
    float_type = DoubleTensorType if common == np.float64 else FloatTensorType
    return [
        (name, float_type(given.shape) if name in numbers else given)
        for name, given in initial_types
    ]


def restore_types(model: Any, initial_types: Types) -> None:
    """Restore the types of the inputs of a graph, and insert casts after them."""
    graph = model.graph
    own = {name: _dtype(given) for name, given in initial_types}
    casts = []
    for value in graph.input:
        tensor = value.type.tensor_type
        dtype = own.get(value.name)  # In old opsets, weights are inputs, too.
        if dtype in (None, tensor_dtype_to_np_dtype(tensor.elem_type)):
            continue
        cast = f"{value.name}_as_float"
        _rename(graph, value.name, cast)
        casts.append(make_node("Cast", [value.name], [cast], to=tensor.elem_type))
        tensor.elem_type = np_dtype_to_tensor_dtype(dtype)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _dtype(given: Any) -> np.dtype[Any]:
    return tensor_dtype_to_np_dtype(given.to_onnx_type().tensor_type.elem_type)


def _rename(graph: Any, old: str, new: str) -> None:
    """Rename a tensor in all nodes that read it."""
    for node in graph.node:
        names = [new if name == old else name for name in node.input]
        del node.input[:]
        node.input.extend(names)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, old, new)
