"""What cannot be exported to ONNX says so; parts of a user say how to export them."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.impute import KNNImputer
from sklearn.pipeline import make_pipeline

pytest.importorskip("skl2onnx")
from onnxruntime import InferenceSession

from sknn_notes import (
    MLPClassifier,
    MLPRegressor,
    Standardizer,
    Whitener,
)
from sknn_notes.activations import ReLU
from sknn_notes.links import Softmax
from sknn_notes.losses import (
    LogLoss,
    SquaredError,
)
from sknn_notes.noise import (
    GaussianNoise,
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
# Above 0, as some losses need them.
NUMBERS = {
    "one": digit * 0.5 + 0.5,
    "two": np.column_stack([digit, digit**2 / 10]) + 0.5,
}


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


# Errors


class OwnReLU(ReLU):
    """An activation that computes something else than what it inherits."""

    def forward(self, Z, xp):
        return super().forward(Z, xp) * 1.0


class OwnLink(Softmax):
    """A link that computes something else than what it inherits."""

    def inverse(self, raw):
        return super().inverse(2 * raw)


class OwnLogLoss(LogLoss):
    """A loss with a link of its own."""

    def link(self, multiclass=False):
        return OwnLink()


class OwnSquaredError(SquaredError):
    """A loss with a link of its own."""

    def link(self, multiclass=False):
        return OwnLink()


class OwnNoise(GaussianNoise):
    """A noise that computes something else than what it inherits."""

    def predict(self, X):
        return X + 1


class ScoredLogLoss(LogLoss):
    """A loss whose link has decisions of its own."""

    def link(self, multiclass=False):
        link = type("ScoredLink", (Softmax,), {"scores": lambda self, raw: raw + 1})
        return link()


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (MLPClassifier(activation=OwnReLU()), r"activation OwnReLU\(\).*LeakyReLU"),
        (MLPClassifier(loss=OwnLogLoss()), r"loss OwnLogLoss\(\).*LogLoss"),
        (MLPRegressor(loss=OwnSquaredError()), r"loss OwnSquaredError\(\).*Poisson"),
        (MLPRegressor(augment=OwnNoise()), r"noise OwnNoise\(\).*GaussianNoise"),
        (MLPClassifier(loss=ScoredLogLoss()), r"loss ScoredLogLoss\(\).*LogLoss"),
    ],
    ids=["activation", "loss", "regression loss", "noise", "scores"],
)
def test_custom_parts_without_an_onnx_form_raise(model, names):
    model.set_params(max_iter=1).fit(X, digit)
    with pytest.raises(TypeError, match=names):
        to_onnx(model, X[:1])


class ExportedReLU(OwnReLU):
    """A user's activation with a form."""

    def onnx(self, graph, Z):
        return graph.add("Relu", Z)


class ExportedNoise(OwnNoise):
    """A user's noise with a form."""

    def onnx(self, graph, X):
        return graph.add("Add", X, 1.0)


class ExportedLink(OwnLink):
    """A user's link with a form."""

    def onnx(self, graph, scores):
        return graph.add("Softmax", graph.add("Mul", scores, 2.0), axis=1)


class ExportedLogLoss(LogLoss):
    """A loss with a user's link with a form."""

    def link(self, multiclass=False):
        return ExportedLink() if multiclass else super().link()


class SharperSquaredError(SquaredError):
    """A user's loss, whose link is the library's."""

    def per_sample(self, raw, y, xp):
        losses, gradient = super().per_sample(raw, y, xp)
        return 2 * losses, 2 * gradient


def test_custom_parts_with_an_onnx_form_are_exported():
    parts = {"activation": ExportedReLU(), "augment": ExportedNoise()}
    check_classifier(classifier(loss=ExportedLogLoss(), **parts))
    check_regressor(regressor(loss=SharperSquaredError(), **parts))


def test_random_passes_raise():
    model = classifier(dropout=0.5, marginalization="monte_carlo")
    with pytest.raises(ValueError, match=r"set_params\(marginalization='analytic'\)"):
        to_onnx(model, X[:1])
    check_classifier(model.set_params(marginalization="analytic"))


@pytest.mark.parametrize("model", [Standardizer(), MLPClassifier(), MLPRegressor()])
def test_unfitted_estimators_raise(model):
    with pytest.raises(NotFittedError):
        to_onnx(model, X[:1])


@pytest.mark.parametrize("model", [Whitener().fit(X), regressor(), classifier()])
def test_another_number_of_columns_raises(model):
    with pytest.raises(ValueError, match=r"have 63 columns.*fitted with 64"):
        to_onnx(model, X[:1, 1:])


@pytest.mark.filterwarnings("ignore:1 of 58 directions map to 0")
@pytest.mark.parametrize(
    "step", [Whitener(), MLPClassifier(max_iter=2), MLPRegressor(max_iter=2)], ids=str
)
def test_outputs_that_skl2onnx_omits_raise(step):
    holes = X.copy()
    holes[::3, :2] = np.nan
    imputer = KNNImputer(add_indicator=True)
    model = make_pipeline(imputer, clone(step)).fit(holes, digit)
    message = r"gets 64 columns from.*fitted with 66.*add_indicator=True.*Fit without"
    with pytest.raises(ValueError, match=message):
        to_onnx(model, holes[:1].astype(np.float32))


def test_without_skl2onnx_the_error_says_what_to_install():
    code = "import sys; sys.modules['skl2onnx'] = None; import sknn_notes.onnx"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "pip install skl2onnx onnxruntime" in result.stderr
