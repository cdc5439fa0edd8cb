"""Converted estimators predict in onnxruntime what they predict themselves."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

pytest.importorskip("skl2onnx")
from onnxruntime import InferenceSession

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
)
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.embeddings import EMBEDDINGS, Periodic, PiecewiseLinear
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    HierarchicalSoftmax,
    Hinge,
    LogLoss,
    Quantile,
)
from sknn_notes.noise import (
    NOISES,
    FractionalMaxPooling,
    GaussianNoise,
    RandomCrop,
    RandomShift,
    StochasticPooling,
)
from sknn_notes.onnx import to_onnx

X, digit = load_digits(return_X_y=True)
X, digit = X[:400] / 16, digit[:400]
LABELS = {
    "binary": digit % 2,
    "binary text": np.where(digit > 4, "large", "small"),
    "bool": digit > 4,
    "multiclass": digit - 3,
    "multiclass text": np.array([f"digit {d}" for d in digit], dtype=object),
    "float": digit.astype(float),
    "multilabel": np.column_stack([digit % 2, digit > 4, digit == 0]).astype(int),
}
# What the losses call these tasks.
KINDS = {
    "binary": "binary",
    "binary text": "binary",
    "bool": "binary",
    "multiclass": "multiclass",
    "multiclass text": "multiclass",
    "float": "multiclass",
    "multilabel": "multilabel",
}
# Above 0, as some losses need them.
NUMBERS = {
    "one": digit * 0.5 + 0.5,
    "two": np.column_stack([digit, digit**2 / 10]) + 0.5,
}

every_type = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def classifier(task="multiclass", dtype=np.float64, **parameters):
    return fitted(MLPClassifier, LABELS[task], dtype, parameters)


def regressor(task="one", dtype=np.float64, **parameters):
    return fitted(MLPRegressor, NUMBERS[task], dtype, parameters)


def fitted(estimator, y, dtype, parameters):
    """Return a network that has learned a little, so that its outputs differ."""
    defaults = {
        "hidden_layer_sizes": (12,),
        "learning_rate_init": 0.02,
        "max_iter": 6,
        "random_state": 0,
    }
    return estimator(**{**defaults, **parameters}).fit(X.astype(dtype), y)


def run(model, X, **keywords):
    """Return the outputs of the converted model by their names."""
    return run_graph(to_onnx(model, X[:1], **keywords), X)


def run_graph(graph, X):
    session = InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))


def check_classifier(model, dtype=np.float32, inputs=X):
    """Compare labels and probabilities, or scores."""
    outputs = run(model, inputs.astype(dtype))
    label = outputs.pop("label")
    np.testing.assert_array_equal(label, model.predict(inputs))
    if hasattr(model, "predict_proba"):
        expected = {"probabilities": model.predict_proba(inputs)}
    else:
        scores = model.decision_function(inputs)
        two = scores.ndim == 1
        expected = {"scores": np.column_stack([-scores, scores]) if two else scores}
    assert outputs.keys() == expected.keys()
    for name, values in expected.items():
        assert outputs[name].dtype == dtype
        np.testing.assert_allclose(outputs[name], values, rtol=1e-5, atol=1e-5)


def check_regressor(model, dtype=np.float32, inputs=X):
    predicted = run(model, inputs.astype(dtype))["variable"]
    assert predicted.dtype == dtype
    expected = model.predict(inputs).reshape(len(inputs), -1)
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-5)


# Networks


@every_type
@pytest.mark.parametrize("trained", [np.float32, np.float64])
def test_every_combination_of_types(dtype, trained):
    check_classifier(classifier(dtype=trained), dtype)
    check_regressor(regressor(dtype=trained), dtype)


@every_type
def test_double_precision_is_kept(dtype):
    model = classifier()
    proba = run(model, X.astype(dtype))["probabilities"]
    error = np.abs(proba - model.predict_proba(X)).max()
    assert error < (1e-14 if dtype is np.float64 else 1e-5)


@every_type
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_activation(activation, batch_norm, dtype):
    model = classifier(activation=activation, batch_norm=batch_norm)
    # Far from 0, too, where an activation saturates.
    check_classifier(model, dtype, np.vstack([X, 20 * X, -20 * X]))


@pytest.mark.parametrize(
    ("loss", "task"),
    [
        (name, task)
        for name, loss in CLASSIFICATION_LOSSES.items()
        for task in LABELS
        if KINDS[task] in loss.tasks
    ],
)
def test_every_loss_for_classes(loss, task):
    check_classifier(classifier(task, loss=loss))


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@pytest.mark.parametrize("task", NUMBERS)
def test_every_loss_for_numbers(loss, task):
    check_regressor(regressor(task, loss=loss))


@every_type
@pytest.mark.parametrize(
    "loss",
    [
        LogLoss(label_smoothing=0.1),
        Hinge(margin=0.5),
        HierarchicalSoftmax(tree="huffman"),
        # One path through every class, the longest that there is.
        HierarchicalSoftmax(tree=(-3, (-2, (-1, (0, (1, (2, (3, (4, (5, 6)))))))))),
    ],
    ids=str,
)
def test_losses_with_parameters(loss, dtype):
    check_classifier(classifier(loss=loss), dtype, np.vstack([X, 50 * X]))


@every_type
@pytest.mark.parametrize("quantile", [0.9, [0.1, 0.4, 0.7], [0.2, 0.8]], ids=str)
@pytest.mark.parametrize("task", NUMBERS)
def test_quantiles(task, quantile, dtype):
    check_regressor(regressor(task, loss=Quantile(quantile)), dtype)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (8, 6), "activation": ["tanh", "elu"]},
        {"hidden_layer_sizes": (8, 6), "batch_norm": True, "dropout": 0.3},
        {"dropout": 0.3, "input_dropout": 0.2, "dropconnect": 0.1},
        {"solver": "lbfgs"},
        {"feature_scaling": True, "input_dropout": 0.2},
    ],
    ids=str,
)
@pytest.mark.parametrize("dropout_scaling", ["inverted", "standard"])
def test_networks(parameters, dropout_scaling):
    check_classifier(classifier(dropout_scaling=dropout_scaling, **parameters))
    check_regressor(regressor(dropout_scaling=dropout_scaling, **parameters))


@every_type
@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_every_noise(noise, dtype):
    check_classifier(classifier(augment=noise()), dtype)


@every_type
@pytest.mark.parametrize(
    "embedding",
    [*EMBEDDINGS, Periodic(activation="relu", n_units=2), PiecewiseLinear(n_bins=2)],
    ids=str,
)
@pytest.mark.parametrize("feature_scaling", [False, True])
def test_every_embedding(embedding, feature_scaling, dtype):
    options = {"embedding": embedding, "feature_scaling": feature_scaling}
    check_classifier(classifier(**options), dtype, np.vstack([X, 2 * X, -X]))
    check_regressor(regressor(hidden_layer_sizes=(), **options), dtype)


def test_an_embedding_without_a_form_in_onnx_raises():
    class Own(Periodic):
        def forward(self, p, X, xp):
            return super().forward(p, X, xp)

    with pytest.raises(TypeError, match=r"embedding Own.*Periodic, PiecewiseLinear"):
        run(classifier(embedding=Own()), X)


@pytest.mark.parametrize("channels", ["last", "first"])
@pytest.mark.parametrize(
    "noise",
    [
        RandomCrop(crop_shape=(3, 2)),
        StochasticPooling(pool_shape=(3, 2)),
        FractionalMaxPooling(n_regions=3),
        FractionalMaxPooling(overlapping=False, ratio=1.7),
    ],
    ids=str,
)
def test_noise_on_images_with_channels(noise, channels):
    shape = (4, 8, 2) if channels == "last" else (2, 4, 8)
    noise = clone(noise).set_params(image_shape=shape, channels=channels)
    check_classifier(classifier(augment=noise))


def test_several_noises():
    augment = [RandomShift(), RandomCrop(crop_shape=6), StochasticPooling()]
    check_classifier(classifier(augment=[*augment, GaussianNoise()]))


# Transformers


@every_type
@pytest.mark.parametrize(
    "transformer",
    [
        Centerer(),
        Centerer(per="channel", n_channels=2, channels="first"),
        Standardizer(),
        Standardizer(with_mean=False),
        Standardizer(with_std=False),
        Standardizer(with_mean=False, with_std=False),
        Standardizer(per="all", ddof=1),
        MinMaxNormalizer(),
        MinMaxNormalizer(feature_range=(0, 3), clip=True),
        MinMaxNormalizer(per="channel", n_channels=2),
        RobustStandardizer(),
        RobustStandardizer(0.5, per="channel", n_channels=2),
        RobustStandardizer(clip=None),
        PiecewiseLinearEncoder(),
        PiecewiseLinearEncoder(3, keep_inputs=False, scale=None),
        PiecewiseLinearEncoder(3, clip_ends=False),
        Whitener(),
        Whitener(whiten=False, n_components=3),
        Whitener("zca"),
        Whitener("pca_cor", n_components=0.8),
        Whitener("zca_cor", shrinkage="oas"),
        Whitener("cholesky"),
    ],
    ids=str,
)
@pytest.mark.parametrize("n_samples", [5, 400])
def test_every_transformer(transformer, n_samples, dtype):
    if n_samples == 5 and transformer.get_params().get("method") == "cholesky":
        transformer.set_params(shrinkage=0.1)
    model = clone(transformer).fit(X[:n_samples])
    expected = model.transform(X)
    output = run(model, X.astype(dtype))["variable"]
    assert output.dtype == dtype
    atol = (1e-5 if dtype is np.float32 else 1e-12) * np.abs(expected).max()
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=atol)


@pytest.mark.parametrize(
    "transformer",
    [
        Centerer(),
        Standardizer(),
        MinMaxNormalizer(),
        MinMaxNormalizer(clip=True),
        RobustStandardizer(),
        PiecewiseLinearEncoder(),
        PiecewiseLinearEncoder(clip_ends=False, keep_inputs=False),
    ],
    ids=str,
)
@every_type
def test_missing_values_pass_through(transformer, dtype):
    holes = X.astype(dtype)
    holes[::3, ::2] = np.nan
    # A column without any value has no statistics.
    holes[:, 5] = np.nan
    expected = transformer.fit(holes).transform(holes)
    output = run(transformer, holes)["variable"]
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def test_a_mean_far_from_zero_costs_no_digits():
    far = np.random.default_rng(0).normal(1e4, 1, size=(50, 4)).astype(np.float32)
    for transformer in (Standardizer(), MinMaxNormalizer(), Whitener(eps=0)):
        expected = transformer.fit(far).transform(far)
        output = run(transformer, far)["variable"]
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def test_a_scaler_fitted_on_sparse_data():
    scaler = Standardizer(with_mean=False).fit(csr_array(X))
    output = run(scaler, X)["variable"]
    np.testing.assert_allclose(output, scaler.transform(X))


# Inside scikit-learn's estimators


def test_a_pipeline():
    model = make_pipeline(
        Standardizer(),
        Whitener("zca"),
        MinMaxNormalizer(clip=True),
        MLPClassifier((12,), max_iter=6, random_state=0),
    ).fit(X, digit)
    check_classifier(model)
    check_classifier(make_pipeline(Whitener(), LogisticRegression()).fit(X, digit))


def test_a_search_over_a_pipeline():
    pipeline = make_pipeline(
        Standardizer(), MLPClassifier((12,), max_iter=6, random_state=0)
    )
    grid = {"mlpclassifier__loss": ["log_loss", "hinge"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, digit)
    label = run(search, X.astype(np.float32))["label"]
    np.testing.assert_array_equal(label, search.predict(X))


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_calibration_of_the_scores(loss, task):
    network = MLPClassifier((12,), loss=loss, max_iter=3, random_state=0)
    model = CalibratedClassifierCV(network, cv=2, ensemble=False)
    check_classifier(model.fit(X, LABELS[task]))


@pytest.mark.parametrize("task", ["binary", "multiclass text", "multilabel"])
def test_skl2onnx_converts_without_help_and_zips(task):
    from skl2onnx import to_onnx as their_to_onnx

    model = classifier(task)
    single = X.astype(np.float32)
    outputs = run_graph(their_to_onnx(model, single[:1]), single)
    np.testing.assert_array_equal(outputs["output_label"], model.predict(X))
    proba = [[row[c] for c in model.classes_] for row in outputs["output_probability"]]
    np.testing.assert_allclose(proba, model.predict_proba(X), atol=1e-5)


def test_one_input_a_column():
    from skl2onnx.common.data_types import FloatTensorType

    model = Standardizer().fit(X[:, :3])
    types = [(name, FloatTensorType([None, 1])) for name in "abc"]
    graph = to_onnx(model, initial_types=types)
    session = InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    columns = {name: X[:, [i]].astype(np.float32) for i, name in enumerate("abc")}
    (output,) = session.run(None, columns)
    np.testing.assert_allclose(output, model.transform(X[:, :3]), atol=1e-5)


# Options and opsets


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("task", LABELS)
def test_the_classes_as_one_more_output(task, loss):
    model = classifier(task, loss=loss)
    single = X.astype(np.float32)
    outputs = run(model, single, options={"output_class_labels": True})
    assert list(outputs) == list(run(model, single)) + ["class_labels"]
    np.testing.assert_array_equal(outputs["class_labels"], model.classes_)
    pipeline = make_pipeline(Centerer(), clone(model)).fit(X, LABELS[task])
    options = {"zipmap": False, "output_class_labels": True}
    outputs = run(pipeline, single, options=options)
    np.testing.assert_array_equal(outputs["class_labels"], pipeline.classes_)
    np.testing.assert_array_equal(outputs["label"], pipeline.predict(single))


@pytest.mark.parametrize("task", ["binary text", "multiclass text", "multiclass"])
def test_labels_as_indices(task):
    model = classifier(task)
    label = run(model, X.astype(np.float32), options={"nocl": True})["label"]
    np.testing.assert_array_equal(model.classes_[label], model.predict(X))


def test_options_of_a_step_leave_probabilities_an_array():
    model = make_pipeline(Centerer(), MLPClassifier(max_iter=3)).fit(X, digit)
    options = {"mlpclassifier__raw_scores": True}
    scores = run(model, X, options=options)["probabilities"]
    np.testing.assert_allclose(scores, model.decision_function(X), atol=1e-9)


@pytest.mark.one_in(3)
@every_type
@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 15, 18, 22])
@pytest.mark.parametrize(
    ("parameters", "least"),
    [
        ({}, 9),
        ({"activation": "elu", "loss": "hierarchical_softmax"}, 9),
        ({"augment": FractionalMaxPooling()}, 9),
        ({"augment": StochasticPooling()}, 11),
        ({"scale": MinMaxNormalizer(clip=True)}, 12),
        ({"scale": RobustStandardizer()}, 12),
        ({"scale": RobustStandardizer(clip=None)}, 9),
        ({"scale": PiecewiseLinearEncoder(2)}, 9),
    ],
    ids=str,
)
def test_a_graph_runs_in_its_opset_or_raises(parameters, least, opset, dtype):
    parameters = dict(parameters)
    scale = parameters.pop("scale", Standardizer(with_mean=False))
    network = MLPClassifier(12, max_iter=3, random_state=0, **parameters)
    model = make_pipeline(clone(scale), network).fit(X[:, :64], digit)
    if opset < least:
        message = f"target_opset={opset} is too low for .* requires {least} or more"
        with pytest.raises(ValueError, match=message):
            to_onnx(model, X[:1].astype(dtype), target_opset=opset)
        return
    outputs = run(model, X.astype(dtype), target_opset=opset)
    expected = model.predict_proba(X)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)


# Several networks


@pytest.mark.one_in(3)
@every_type
@pytest.mark.parametrize("task", LABELS)
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "hierarchical_softmax"])
def test_networks_of_a_classifier_are_averaged(task, loss, dtype):
    if KINDS[task] not in CLASSIFICATION_LOSSES[loss].tasks:
        pytest.skip(f"{loss} takes no such targets")
    model = classifier(task, dtype, loss=loss, n_networks=3, early_stopping=True)
    check_classifier(model, dtype)


@every_type
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("task", NUMBERS)
def test_networks_of_a_regressor_are_averaged(task, loss, dtype):
    check_regressor(regressor(task, dtype, loss=loss, n_networks=3), dtype)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_raw_scores_of_several_networks_are_decisions(task):
    model = classifier(task, n_networks=3, batch_norm=True, residual=True)
    outputs = run(model, X, options={"zipmap": False, "raw_scores": True})
    scores = model.decision_function(X)
    expected = np.column_stack([-scores, scores]) if task == "binary" else scores
    np.testing.assert_allclose(outputs["probabilities"], expected, 1e-5, 1e-5)
