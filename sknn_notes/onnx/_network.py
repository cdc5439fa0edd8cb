"""Converters of the networks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx import update_registered_converter
from skl2onnx._parse import _parse_sklearn_classifier
from skl2onnx.common.data_types import (
    Int64TensorType,
    StringTensorType,
    guess_tensor_type,
)
from sklearn.utils.validation import check_is_fitted

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._part import NoLoopsError, form_of
from sknn_notes.activations import ACTIVATIONS, Activation
from sknn_notes.embeddings import EMBEDDINGS, Embedding
from sknn_notes.links import Link
from sknn_notes.neural_network._namespaces import as_numpy, mapped
from sknn_notes.neural_network._targets import fitted_arrays
from sknn_notes.noise import NOISES, Noise
from sknn_notes.onnx._graph import Graph, float_type, n_rows

_CLASSIFIER = "SknnNotesMLPClassifier"
_REGRESSOR = "SknnNotesMLPRegressor"


def register() -> None:
    """Register the converters of the networks with skl2onnx."""
    update_registered_converter(
        MLPClassifier,
        _CLASSIFIER,
        _set_classifier_shapes,
        _convert_classifier,
        parser=_parse_classifier,
        options={
            "zipmap": [True, False, "columns"],
            # An additional output with the classes.
            "output_class_labels": [True, False],
            # The scores that CalibratedClassifierCV calibrates.
            "raw_scores": [True, False],
            # Labels as indices.
            "nocl": [True, False],
        },
    )
    update_registered_converter(
        MLPRegressor, _REGRESSOR, _set_regressor_shape, _convert_regressor
    )


# Raw outputs.


def _raw_outputs(graph: Graph, model: Any) -> list[str]:
    """Add the networks, with averaged noise; return the raw outputs of each."""
    if model.marginalization == "monte_carlo":
        raise ValueError(
            f"{type(model).__name__} has marginalization='monte_carlo', which averages "
            "over random passes, but a graph is a single pass. Call "
            "set_params(marginalization='analytic') before converting."
        )
    inputs, outputs = graph.input(), []
    for network in model._members:
        skips: list[str] = []
        value, fitted = inputs, mapped(as_numpy, fitted_arrays(network))
        for layer in network._predictor.layers:
            value = layer.onnx(graph, layer.fitted(fitted), value, skips)
        outputs.append(value)
    return outputs


def _mean(graph: Graph, tensors: list[str]) -> str:
    """Add the mean of tensors of the same shape."""
    if len(tensors) == 1:
        return tensors[0]
    # onnxruntime has no node Mean for double precision.
    return graph.add("Mul", graph.add("Sum", *tensors), 1 / len(tensors))


@contextmanager
def _raising(model: Any) -> Iterator[None]:
    """Turn the error about a part without ONNX form into one that says what to do."""
    try:
        yield
    except NoLoopsError as error:
        families: dict[type, Any] = {
            Activation: ACTIVATIONS,
            Embedding: EMBEDDINGS,
            Noise: NOISES,
        }
        part, kind = error.part, "loss"
        if isinstance(part, Link):
            part, registry = model._targets.loss, model._registries["loss"]
        else:
            base = next(base for base in families if isinstance(part, base))
            kind, registry = base.__name__.lower(), families[base]
        known = ", ".join(sorted(cls.__name__ for cls in registry.values()))
        raise TypeError(
            f"The {kind} {part!r} has no ONNX form. Those that have one are {known}. "
            "Train with one of them, define its method onnx (for a loss, that of its "
            "link), or predict with the estimator itself."
        ) from None


# Predictions.


def _parse_classifier(
    scope: Any, model: Any, inputs: Any, custom_parsers: Any = None
) -> Any:
    """Declare the outputs: those of skl2onnx, or scores instead of probabilities.

    The parser of skl2onnx is private, but it is the default for classifiers.
    """
    check_is_fitted(model)
    options = scope.get_options(model, {"zipmap": True, "output_class_labels": False})
    name = "probabilities" if model._targets.link.gives_probabilities else "scores"
    if options["zipmap"] and name == "probabilities":
        return _parse_sklearn_classifier(scope, model, inputs, custom_parsers)
    operator = scope.declare_local_operator(_CLASSIFIER, model)
    operator.inputs = inputs
    score_type = guess_tensor_type(inputs[0].type)
    operator.outputs.append(scope.declare_local_variable("label", Int64TensorType()))
    operator.outputs.append(scope.declare_local_variable(name, score_type))
    if not options["output_class_labels"]:
        return operator.outputs
    labels = scope.declare_local_operator("SklearnClassLabels")
    labels.classes = _classes(model)
    label_type = _label_type(model)([len(labels.classes)])
    labels.outputs.append(scope.declare_local_variable("class_labels", label_type))
    return [*operator.outputs, *labels.outputs]


def _set_classifier_shapes(operator: Any) -> None:
    n, model = n_rows(operator), operator.raw_operator
    n_classes = len(model.classes_)
    options = operator.scope_inst.get_options(model, {"zipmap": True, "nocl": False})
    label_type = Int64TensorType if options["nocl"] else _label_type(model)
    label, decisions = operator.outputs
    label.set_type(label_type([n, n_classes] if model._targets.multilabel else [n]))
    if options["zipmap"]:
        # Its type is declared already.
        decisions.type.shape = [n, n_classes]
    else:
        decisions.set_type(float_type(operator, [n, n_classes]))


def _classes(model: Any) -> NDArray[Any]:
    """Return the classes, numbers as int64."""
    classes: NDArray[Any] = model.classes_
    text = _label_type(model) is StringTensorType
    return classes if text else classes.astype(np.int64)


def _label_type(model: Any) -> Any:
    return StringTensorType if model.classes_.dtype.kind in "UO" else Int64TensorType


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    options = container.get_options(model, {"raw_scores": False, "nocl": False})
    with _raising(model):
        scores, predictions = _scores_and_predictions(graph, model)
    graph.output(0, _labels(graph, model, scores, options["nocl"]))
    if model._targets.binary:
        scores = graph.concat(graph.add("Neg", scores), scores)
    graph.output(1, scores if options["raw_scores"] else predictions)


def _scores_and_predictions(graph: Graph, model: Any) -> tuple[str, str]:
    """Add the scores, one column for two classes, and the predictions of each class.

    The predictions of several networks are averaged. If they are probabilities, the
    scores are their logarithms or log-odds.
    """
    link, targets = model._targets.link, model._targets
    scores, predictions = [], []
    for network, raw in zip(model._members, _raw_outputs(graph, model), strict=True):
        own = network._targets.link
        add_scores = form_of(own, "onnx_scores", "scores")
        predict = form_of(own, "onnx", "inverse")
        scores.append(add_scores(graph, raw))
        columns = scores[-1]
        if targets.binary:
            columns = graph.concat(graph.add("Neg", columns), columns)
        predictions.append(predict(graph, columns))
    mean = _mean(graph, predictions)
    if len(scores) == 1 or not link.gives_probabilities:
        return _mean(graph, scores), mean
    tiny = np.finfo(graph.dtype).tiny
    logs = graph.add("Log", graph.add("Max", mean, tiny))
    if targets.multiclass:
        return logs, mean
    if targets.binary:
        pair = np.array([[-1.0], [1.0]])
        return graph.add("MatMul", logs, pair), mean
    rest = graph.add("Sub", 1.0, mean)
    return graph.add("Sub", logs, graph.add("Log", graph.add("Max", rest, tiny))), mean


def _labels(graph: Graph, model: Any, scores: str, as_indices: bool) -> str:
    """Add the predicted classes, or the predicted labels of multilabel targets."""
    if model._targets.multiclass:
        index = graph.add("ArgMax", scores, axis=1, keepdims=0)
    else:
        index = graph.cast(graph.add("Greater", scores, 0.0), np.int64)
        if model._targets.multilabel:
            return index
        index = graph.add("Reshape", index, [-1])
    return index if as_indices else graph.add("Gather", _classes(model), index)


def _set_regressor_shape(operator: Any) -> None:
    model = operator.raw_operator
    shape = [n_rows(operator), model.n_outputs_]
    operator.outputs[0].set_type(float_type(operator, shape))


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    with _raising(model):
        predict = form_of(model._targets.link, "onnx", "inverse")
        outputs = [predict(graph, raw) for raw in _raw_outputs(graph, model)]
    graph.output(0, _mean(graph, outputs))
