"""The inputs of a graph, and the precision that they ask for."""

import numpy as np
from onnx.helper import (
    make_node,
    np_dtype_to_tensor_dtype,
    tensor_dtype_to_np_dtype,
)
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType


def in_one_precision(initial_types):
    """Return the types with all numbers as float32, or all as float64.

    skl2onnx lets the first input decide for all. Here it is the type that numpy makes
    of all of them with float32: float64 if one is float64 or has integers of 32 bits
    or more.
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


def restore_types(model, initial_types):
    """Give the inputs of a graph their own types again, and cast them first."""
    graph = model.graph
    own = {name: _dtype(given) for name, given in initial_types}
    casts = []
    for value in graph.input:
        tensor = value.type.tensor_type
        dtype = own.get(value.name)  # In old opsets weights are inputs, too.
        if dtype in (None, tensor_dtype_to_np_dtype(tensor.elem_type)):
            continue
        cast = f"{value.name}_as_float"
        _rename(graph, value.name, cast)
        casts.append(make_node("Cast", [value.name], [cast], to=tensor.elem_type))
        tensor.elem_type = np_dtype_to_tensor_dtype(dtype)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _dtype(given):
    return tensor_dtype_to_np_dtype(given.to_onnx_type().tensor_type.elem_type)


def _rename(graph, old, new):
    """Rename a tensor wherever it is read."""
    for node in graph.node:
        names = [new if name == old else name for name in node.input]
        del node.input[:]
        node.input.extend(names)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, old, new)
