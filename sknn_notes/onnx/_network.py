"""Converters of the networks."""

from collections.abc import Callable
from math import sqrt

import numpy as np
from skl2onnx import update_registered_converter
from skl2onnx._parse import _parse_sklearn_classifier
from skl2onnx.common.data_types import (
    Int64TensorType,
    StringTensorType,
    guess_tensor_type,
)
from sklearn.utils.validation import check_is_fitted

from sknn_notes import MLPClassifier, MLPRegressor, activations, losses
from sknn_notes.onnx import _noise
from sknn_notes.onnx._graph import (
    Graph,
    float_type,
    form_of,
    n_rows,
    one_node,
    unchanged,
)

_CLASSIFIER = "SknnNotesMLPClassifier"
_REGRESSOR = "SknnNotesMLPRegressor"


def register():
    """Tell skl2onnx how to convert the networks."""
    update_registered_converter(
        MLPClassifier,
        _CLASSIFIER,
        _set_classifier_shapes,
        _convert_classifier,
        parser=_parse_classifier,
        options={
            "zipmap": [True, False, "columns"],
            # One more output, the classes.
            "output_class_labels": [True, False],
            # What CalibratedClassifierCV calibrates.
            "raw_scores": [True, False],
            # Labels as indices.
            "nocl": [True, False],
        },
    )
    update_registered_converter(
        MLPRegressor, _REGRESSOR, _set_regressor_shape, _convert_regressor
    )


# From inputs to raw outputs.


def _elu(graph, part, Z):
    below = graph.add("Exp", graph.add("Min", Z, 0.0))
    below = graph.add("Mul", graph.add("Sub", below, 1.0), float(part.alpha))
    return graph.add("Add", graph.add("Max", Z, 0.0), below)


def _gelu(graph, part, Z):
    # onnxruntime has this function in single precision only.
    erf = graph.add("Erf", graph.cast(graph.add("Mul", Z, sqrt(0.5)), np.float32))
    probability = graph.add("Add", graph.cast(erf, graph.dtype), 1.0)
    return graph.add("Mul", graph.add("Mul", Z, 0.5), probability)


def _leaky_relu(graph, part, Z):
    slope = float(part.negative_slope)
    return graph.add("Max", Z, graph.add("Mul", Z, slope))


def _silu(graph, part, Z):
    # As a product with a sigmoid, versions of onnxruntime fuse it into a node that they
    # have in single precision only.
    below = graph.add("Exp", graph.add("Neg", Z))
    return graph.add("Div", Z, graph.add("Add", below, 1.0))


_ACTIVATIONS: dict[type, Callable] = {
    activations.ELU: _elu,
    activations.GELU: _gelu,
    activations.Identity: unchanged,
    activations.LeakyReLU: _leaky_relu,
    activations.Logistic: one_node("Sigmoid"),
    activations.ReLU: one_node("Relu"),
    activations.SiLU: _silu,
    activations.Tanh: one_node("Tanh"),
}


def _raw_outputs(graph, model):
    """Add the network with its noise averaged; return its raw outputs."""
    if model.marginalization == "monte_carlo":
        raise ValueError(
            f"{type(model).__name__} has marginalization='monte_carlo', which averages "
            "over random passes, and a graph is one pass. Call "
            "set_params(marginalization='analytic') before converting."
        )
    A = graph.input()
    for part in model._predictor.augment:
        A = form_of(part, _noise.FORMS, "noise")(graph, part, A)
    *hidden, last = _layers(model)
    for layer, part in zip(hidden, model._predictor.activations, strict=True):
        Z = graph.add("Gemm", A, *layer)
        A = form_of(part, _ACTIVATIONS, "activation")(graph, part, Z)
    return graph.add("Gemm", A, *last)


def _layers(model):
    """Return (weights, biases) of all layers, into which everything linear is folded.

    That is batch norm, and the scales by which dropout in its standard form averages.
    The weights are float64, so that they are rounded once.
    """
    predictor = model._predictor
    dropouts = [predictor.input_dropout, *predictor.dropouts]
    batch_norms = [*(model.batch_norm_ or [None] * len(predictor.dropouts)), None]
    weights_scale = _prediction_scale(predictor.dropconnect)
    layers = []
    for W, b, dropout, fitted in zip(
        model.coefs_, model.intercepts_, dropouts, batch_norms, strict=True
    ):
        W = W * np.float64(_prediction_scale(dropout) * weights_scale)
        if fitted is not None:
            scale = fitted["scale"] / np.sqrt(fitted["var"] + predictor.eps)
            W, b = W * scale, fitted["shift"] - fitted["mean"] * scale
        layers.append((W, b))
    return layers


def _prediction_scale(dropout):
    return 1.0 if dropout is None else dropout.prediction_scale


# From raw outputs to predictions.


def _log_of_paths(graph, loss, raw):
    """Add the log-probabilities of the leaves: sums over the turns of their paths."""
    n_nodes, n_classes = len(loss.depths_) - 1, len(loss.depths_)
    on_path = np.arange(len(loss.path_nodes_))[:, None] < loss.depths_
    turns = loss.path_nodes_ + n_nodes * loss.path_right_
    paths = np.zeros((2 * n_nodes, n_classes))
    paths[turns[on_path], np.nonzero(on_path)[1]] = 1
    # The logarithm of the logistic function, left turns first.
    x = graph.concat(graph.add("Neg", raw), raw)
    below = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
    log_1p = graph.add("Log", graph.add("Add", below, 1.0))
    log_expit = graph.add("Sub", graph.add("Min", x, 0.0), log_1p)
    return graph.add("MatMul", log_expit, paths)


# From raw outputs for three classes or more to scores, whose softmax are the
# probabilities where the loss has some.
_CLASSIFICATION_LOSSES: dict[type, Callable] = {
    losses.HierarchicalSoftmax: _log_of_paths,
    losses.Hinge: unchanged,
    losses.LogLoss: unchanged,
    losses.SquaredHinge: unchanged,
}

# From raw outputs to predictions.
_REGRESSION_LOSSES: dict[type, Callable] = {
    losses.AbsoluteError: unchanged,
    losses.Huber: unchanged,
    losses.Poisson: one_node("Exp"),
    losses.Quantile: unchanged,
    losses.SquaredError: unchanged,
}


def _parse_classifier(scope, model, inputs, custom_parsers=None):
    """Declare the outputs: skl2onnx's own, or scores where it would say probabilities.

    Its parser is private, but the one that it gives to every classifier.
    """
    check_is_fitted(model)
    options = scope.get_options(model, {"zipmap": True, "output_class_labels": False})
    name = "probabilities" if model._targets.loss.has_probabilities else "scores"
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


def _set_classifier_shapes(operator):
    n, model = n_rows(operator), operator.raw_operator
    n_classes = len(model.classes_)
    options = operator.scope_inst.get_options(model, {"zipmap": True, "nocl": False})
    label_type = Int64TensorType if options["nocl"] else _label_type(model)
    label, decisions = operator.outputs
    label.set_type(label_type([n, n_classes] if model._targets.multilabel else [n]))
    if options["zipmap"]:
        # Its type has been declared.
        decisions.type.shape = [n, n_classes]
    else:
        decisions.set_type(float_type(operator, [n, n_classes]))


def _classes(model):
    """Return the classes, numbers as int64."""
    text = _label_type(model) is StringTensorType
    return model.classes_ if text else model.classes_.astype(np.int64)


def _label_type(model):
    return StringTensorType if model.classes_.dtype.kind in "UO" else Int64TensorType


def _convert_classifier(scope, operator, container):
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    scores_of = form_of(model._targets.loss, _CLASSIFICATION_LOSSES, "loss")
    scores = _raw_outputs(graph, model)
    if model._targets.multiclass:
        scores = scores_of(graph, model._targets.loss, scores)
    options = container.get_options(model, {"raw_scores": False, "nocl": False})
    graph.output(0, _labels(graph, model, scores, options["nocl"]))
    graph.output(1, _decisions(graph, model, scores, options["raw_scores"]))


def _labels(graph, model, scores, as_indices):
    """Add the choice of the classes, or of every label."""
    if model._targets.multiclass:
        index = graph.add("ArgMax", scores, axis=1, keepdims=0)
    else:
        index = graph.cast(graph.add("Greater", scores, 0.0), np.int64)
        if model._targets.multilabel:
            return index
        index = graph.add("Reshape", index, [-1])
    return index if as_indices else graph.add("Gather", _classes(model), index)


def _decisions(graph, model, scores, raw_scores):
    """Add a column a class: probabilities or, where asked or without any, scores."""
    if model._targets.binary:
        scores = graph.concat(graph.add("Neg", scores), scores)
    if raw_scores or not model._targets.loss.has_probabilities:
        return scores
    if model._targets.multiclass:
        return graph.add("Softmax", scores, axis=1)
    return graph.add("Sigmoid", scores)


def _set_regressor_shape(operator):
    model = operator.raw_operator
    shape = [n_rows(operator), model.n_outputs_]
    operator.outputs[0].set_type(float_type(operator, shape))


def _convert_regressor(scope, operator, container):
    model, graph = operator.raw_operator, Graph(scope, operator, container)
    predict = form_of(model._targets.loss, _REGRESSION_LOSSES, "loss")
    graph.output(0, predict(graph, model._targets.loss, _raw_outputs(graph, model)))
