"""Construction of the nodes of a converted estimator."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from onnx.helper import np_dtype_to_tensor_dtype
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int32TensorType,
    Int64TensorType,
)
from sklearn.utils.validation import check_is_fitted

from sknn_notes._typing import Floats

# Types of inputs that single precision would round.
_WIDE = (DoubleTensorType, Int32TensorType, Int64TensorType)
# Minimum opsets in which onnxruntime supports nodes as they are used here.
_LEAST_OPSETS = {"Clip": 12, "Equal": 11, "Pad": 11, "Round": 11}


Shape: TypeAlias = Sequence[int | None]


class Graph:
    """Graph of an estimator, to which nodes and constants are added.

    Tensors are referred to by their names. It is passed to the method ``onnx`` of
    parts.

    Parameters
    ----------
    scope, operator, container
        Arguments of a converter of skl2onnx.

    Attributes
    ----------
    dtype : type
        Type that the graph computes in: float64 if an input is float64 or an integer of
        32 bits or more, otherwise float32.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._operator, self._container = scope, operator, container
        wide = any(isinstance(v.type, _WIDE) for v in operator.inputs)
        self.dtype = np.float64 if wide else np.float32

    def input(self) -> str:
        """Return the inputs as one tensor of the type of the graph."""
        columns = [self.cast(v.full_name, self.dtype) for v in self._operator.inputs]
        return columns[0] if len(columns) == 1 else self.concat(*columns)

    def output(self, index: int, tensor: str) -> None:
        """Set a tensor as the output of the estimator with this index."""
        output = self._operator.outputs[index]
        if isinstance(output.type, FloatTensorType) and self.dtype is np.float64:
            tensor = self.cast(tensor, np.float32)
        self._container.add_node("Identity", [tensor], [output.full_name])

    def add(self, op_type: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node and return its output; inputs that are not names are constants."""
        least, opset = _LEAST_OPSETS.get(op_type, 0), self._container.target_opset_onnx
        if opset < least:
            raise ValueError(
                f"target_opset={opset} is too low for "
                f"{type(self._operator.raw_operator).__name__}, whose node {op_type} "
                f"requires {least} or more. Raise target_opset, or omit it."
            )
        names = [x if isinstance(x, str) else self._constant(x) for x in inputs]
        output: str = self._scope.get_unique_variable_name(op_type.lower())
        self._container.add_node(
            op_type,
            names,
            [output],
            name=self._scope.get_unique_operator_name(op_type),
            **attributes,
        )
        return output

    def cast(self, tensor: str, dtype: Any) -> str:
        """Return a tensor cast to a dtype of numpy."""
        return self.add("Cast", tensor, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def concat(self, *tensors: str) -> str:
        """Return tensors, concatenated along the columns."""
        return self.add("Concat", *tensors, axis=1)

    def subtract(self, X: str, mean: Floats) -> str:
        """Return ``X - mean``, also accurate if the mean has more digits than X."""
        high: Floats = mean.astype(self.dtype)
        low = mean - high
        centered = self.add("Sub", X, high) if high.any() else X
        return self.add("Sub", centered, low) if low.any() else centered

    def _constant(self, values: Any) -> str:
        """Add a constant; floats get the type of the graph, integers int64."""
        values = np.asarray(values)
        kinds = {"f": self.dtype, "i": np.int64}
        values = values.astype(kinds.get(values.dtype.kind, object))
        name: str = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(
            name, np_dtype_to_tensor_dtype(values.dtype), values.shape, values.ravel()
        )
        return name


def n_rows(operator: Any) -> int | None:
    """Check model and inputs; return the number of rows, None if it is variable."""
    model = operator.raw_operator
    check_is_fitted(model)
    widths = [variable.get_second_dimension() for variable in operator.inputs]
    known = all(isinstance(width, int) for width in widths)
    if known and sum(widths) != model.n_features_in_:
        name = type(model).__name__
        if any(variable.operators_outputs_ for variable in operator.inputs):
            raise ValueError(
                f"In the graph, {name} gets {sum(widths)} columns from the preceding "
                f"step, but it was fitted with {model.n_features_in_}: skl2onnx does "
                "not convert all that this step does, such as the indicators of "
                "KNNImputer(add_indicator=True). Fit without them, or convert only the "
                "steps after it."
            )
        raise ValueError(
            f"The inputs of the graph have {sum(widths)} columns, but {name} was "
            f"fitted with {model.n_features_in_}. Pass an X (or initial_types) with "
            "the columns seen in fit."
        )
    n: int | None = operator.inputs[0].get_first_dimension()
    return n


def float_type(operator: Any, shape: Shape) -> Any:
    """Return the type of an output: double precision if an input has it."""
    double = any(isinstance(v.type, DoubleTensorType) for v in operator.inputs)
    return (DoubleTensorType if double else FloatTensorType)(shape)
