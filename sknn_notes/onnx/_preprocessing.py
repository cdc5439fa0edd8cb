"""Converters of the transformers."""

import numpy as np
from skl2onnx import update_registered_converter

from sknn_notes import Centerer, MinMaxNormalizer, Standardizer, Whitener
from sknn_notes.onnx._graph import Graph, float_type, n_rows


def register():
    """Tell skl2onnx how to convert the transformers."""
    converters = {
        Centerer: _convert_columnwise,
        Standardizer: _convert_columnwise,
        MinMaxNormalizer: _convert_columnwise,
        Whitener: _convert_whitener,
    }
    for transformer, converter in converters.items():
        alias = f"SknnNotes{transformer.__name__}"
        update_registered_converter(transformer, alias, _set_shape, converter)


def _set_shape(operator):
    n_outputs = len(operator.raw_operator.get_feature_names_out())
    operator.outputs[0].set_type(float_type(operator, [n_rows(operator), n_outputs]))


def _convert_columnwise(scope, operator, container):
    """Add ``(X - shift) / divisor`` and what the transformer does after that."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    shift, divisor = (vector[model._fitted_groups] for vector in model._vectors())
    Z = graph.subtract(graph.input(), shift)
    if np.any(divisor != 1):
        Z = graph.add("Div", Z, divisor)
    if isinstance(model, MinMaxNormalizer):
        low, high = model._bounds
        start = np.where(model._constant, (high - low) / 2, 0.0) + low
        Z = graph.add("Mul", Z, high - low)
        Z = graph.add("Add", Z, start[model._fitted_groups])
        if model.clip:
            Z = graph.add("Clip", Z, low, high)
    graph.output(0, Z)


def _convert_whitener(scope, operator, container):
    """Add the product of the centered inputs with the whitening matrix."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    left, right, diagonal = model._forward.factors()
    X = graph.subtract(graph.input(), model.mean_)
    Z = graph.add("MatMul", X, left)
    if right is not None:
        Z = graph.add("MatMul", Z, right)
    if diagonal is not None:
        Z = graph.add("Add", Z, graph.add("Mul", X, diagonal))
    graph.output(0, Z)
