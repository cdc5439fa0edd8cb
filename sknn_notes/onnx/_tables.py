"""Converters of the estimators for tables, which convert their pipelines."""

from typing import Any

from skl2onnx import update_registered_converter
from skl2onnx._parse import parse_sklearn
from sklearn.utils.validation import check_is_fitted

from sknn_notes.tabular import TabularMLPClassifier, TabularMLPRegressor


def register() -> None:
    """Register the converters of the estimators for tables with skl2onnx."""
    switches = {name: [True, False] for name in ("output_class_labels", "nocl")}
    options = {"zipmap": [True, False, "columns"], **switches}
    for estimator, own in [(TabularMLPClassifier, options), (TabularMLPRegressor, {})]:
        update_registered_converter(
            estimator,
            f"SknnNotes{estimator.__name__}",
            _set_shape,
            _convert,
            parser=_parse,
            options=own,
        )


def _parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Declare the operators of the pipeline of a fitted estimator."""
    check_is_fitted(model)
    scope.add_options(id(model.pipeline_), scope.get_options(model))
    return parse_sklearn(scope, model.pipeline_, inputs, custom_parsers=custom_parsers)


# The converters of ensembles in skl2onnx bypass the parser.


def _set_shape(operator: Any) -> None:
    name = type(operator.raw_operator).__name__
    raise TypeError(
        f"{name} can't be converted inside an ensemble. Convert it alone, or in a "
        "Pipeline or search."
    )


def _convert(scope: Any, operator: Any, container: Any) -> None:
    _set_shape(operator)
