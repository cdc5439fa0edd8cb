"""Converters of the transformers."""

from numbers import Real
from typing import Any

import numpy as np
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import StringTensorType
from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
from skl2onnx.shape_calculators.imputer import calculate_sklearn_imputer_output_shapes
from sklearn.impute import SimpleImputer

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
)
from sknn_notes._encoding import bins_of, component_limits
from sknn_notes.onnx._graph import Graph, float_type, n_rows
from sknn_notes.preprocessing._robust_standardizer import clip_limit


def register() -> None:
    """Register the converters of the transformers with skl2onnx."""
    converters = {
        Centerer: _convert_columnwise,
        Standardizer: _convert_columnwise,
        RobustStandardizer: _convert_robust,
        MinMaxNormalizer: _convert_columnwise,
        Whitener: _convert_whitener,
        PiecewiseLinearEncoder: _convert_encoder,
    }
    for transformer, converter in converters.items():
        alias = f"SknnNotes{transformer.__name__}"
        update_registered_converter(transformer, alias, _set_shape, converter)
    update_registered_converter(
        SimpleImputer,
        "SknnNotesSimpleImputer",
        _set_imputed_shape,
        _convert_imputer,
    )


def _set_shape(operator: Any) -> None:
    n_outputs = len(operator.raw_operator.get_feature_names_out())
    operator.outputs[0].set_type(float_type(operator, [n_rows(operator), n_outputs]))


def _check_numpy(model: Any, fitted: Any) -> None:
    """Raise TypeError if a transformer was fitted on arrays of another library."""
    if not isinstance(fitted, np.ndarray):
        name, kind = type(model).__name__, type(fitted)
        raise TypeError(
            f"{name} was fitted on arrays of {kind.__module__}, and a graph is made of "
            "numpy arrays. Move it first: "
            "sklearn.utils._array_api.move_estimator_to(transformer, numpy, 'cpu')."
        )


def _convert_columnwise(scope: Any, operator: Any, container: Any) -> None:
    """Add ``(X - shift) / divisor`` and the remaining steps of the transformer."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    _check_numpy(model, model._fitted_groups)
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


def _convert_whitener(scope: Any, operator: Any, container: Any) -> None:
    """Add the product of the centered inputs and the whitening matrix."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    _check_numpy(model, model.mean_)
    left, right, diagonal = model._forward.factors()
    X = graph.subtract(graph.input(), model.mean_)
    Z = graph.add("MatMul", X, left)
    if right is not None:
        Z = graph.add("MatMul", Z, right)
    if diagonal is not None:
        Z = graph.add("Add", Z, graph.add("Mul", X, diagonal))
    graph.output(0, Z)


def _convert_robust(scope: Any, operator: Any, container: Any) -> None:
    """Add ``(X - center) / scale`` and smooth clipping."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    vectors = (vector[model._fitted_groups] for vector in model._vectors())
    shift, divisor, factor = vectors
    Z = graph.add("Div", graph.subtract(graph.input(), shift), divisor)
    if np.any(factor != 1):
        Z = graph.add("Mul", Z, factor)
    if model._bound is not None:
        limit = clip_limit(model._bound, graph.dtype)
        Z = graph.add("Clip", Z, -limit, limit)
        share = graph.add("Div", Z, model._bound)
        root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", share, share), 1.0))
        Z = graph.add("Div", Z, root)
    graph.output(0, Z)


def _convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    """Add the kept inputs and the components of the encoding."""
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    X, tensors = graph.input(), []
    if len(model._kept):
        tensors.append(graph.add("Gather", X, model._kept, axis=1))
    features, lower, width = bins_of(model.bin_edges_, graph.dtype)
    if len(features):
        Z = graph.add("Gather", X, features, axis=1)
        Z = graph.add("Div", graph.add("Sub", Z, lower), width)
        low, high = component_limits(model.bin_edges_, clip_ends=model._clip_ends)
        Z = graph.add("Min", graph.add("Max", Z, low), high)
        factor, offset = model._affine()
        tensors.append(graph.add("Add", graph.add("Mul", Z, factor), offset))
    graph.output(0, graph.concat(*tensors) if len(tensors) > 1 else tensors[0])


# The converter of skl2onnx for scikit-learn's imputer omits the indicators, and uses a
# node that onnxruntime supports for float32 only.


def _set_imputed_shape(operator: Any) -> None:
    if not _has_strings(operator):
        _set_shape(operator)
        return
    if operator.raw_operator.add_indicator:
        raise TypeError(
            "SimpleImputer(add_indicator=True) of strings has no ONNX form. Fit "
            "without add_indicator, or impute the strings before the graph."
        )
    calculate_sklearn_imputer_output_shapes(operator)


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Add the values with missing ones replaced, and the missing indicators."""
    if _has_strings(operator):
        convert_sklearn_imputer(scope, operator, container)
        return
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    X, value = graph.input(), model.missing_values
    if isinstance(value, Real) and not np.isnan(float(value)):
        missing = graph.add("Equal", X, float(value))
    else:  # NaN, or NA of pandas
        missing = graph.add("IsNaN", X)
    statistics = model.statistics_.astype(float)
    Z = graph.add("Where", missing, statistics, X)
    kept = np.flatnonzero(~np.isnan(statistics))
    if len(kept) < len(statistics):
        Z = graph.add("Gather", Z, kept, axis=1)
    if model.add_indicator:
        marked = graph.add("Gather", missing, model.indicator_.features_, axis=1)
        Z = graph.concat(Z, graph.cast(marked, graph.dtype))
    graph.output(0, Z)


def _has_strings(operator: Any) -> bool:
    return any(isinstance(v.type, StringTensorType) for v in operator.inputs)
