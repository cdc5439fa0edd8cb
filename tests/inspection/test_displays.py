"""The numbers in the displays, and their plots."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer, Whitener
from sknn_notes.inspection import (
    RegularizationPathDisplay,
    TrainingCurveDisplay,
    UncertaintyDisplay,
    UpdateRatioDisplay,
    WeightsDisplay,
)

# Training curves


def test_curves_are_those_of_the_estimator(iris):
    model = MLPClassifier(
        early_stopping=True, scoring="accuracy", max_iter=20, random_state=0
    ).fit(*iris)
    display = TrainingCurveDisplay.from_estimator(model)
    assert display.training_loss == model.loss_curve_
    assert display.validation_score == model.validation_scores_
    assert display.axes_.shape == (1, 2)
    line = display.axes_[0, 1].lines[0]
    assert_array_equal(line.get_ydata(), model.validation_scores_)
    assert_array_equal(line.get_xdata(), np.arange(1, model.n_iter_ + 1))


def test_without_validation_there_is_one_panel_and_no_best_epoch(fitted):
    display = TrainingCurveDisplay.from_estimator(fitted)
    assert display.axes_.shape == (1, 1)
    assert display.best_epoch is None


def test_a_validation_loss_joins_the_training_loss(fitted):
    fitted = clone(fitted)
    fitted.coefs_, fitted.validation_scores_ = [], None
    fitted.loss_curve_, fitted.validation_loss_curve_ = [3.0, 2, 1], [3.0, 1, 2]
    display = TrainingCurveDisplay.from_estimator(fitted)
    assert display.best_epoch == 2
    assert_array_equal(display.axes_[0, 0].lines[1].get_ydata(), [3, 1, 2])


@pytest.mark.parametrize(
    ("curves", "best"),
    [
        ({"validation_score": [0.1, 0.9, np.nan]}, 2),
        ({"validation_score": [1, 2], "validation_loss": [1, 2]}, 2),
        ({"validation_score": [np.nan]}, None),
    ],
)
def test_best_epoch(curves, best):
    assert TrainingCurveDisplay([1.0], **curves).best_epoch == best


def test_scores_that_are_the_losses_have_no_panel():
    losses = [3.0, 1.0, 2.0]
    scores = [-loss for loss in losses]
    display = TrainingCurveDisplay(
        [3.0, 2, 1], validation_loss=losses, validation_score=scores
    )
    assert display.plot().axes_.shape == (1, 1)
    assert display.best_epoch == 2
    display.validation_loss = [3.0, 1.0, 1.0]
    assert display.plot().axes_.shape == (1, 2)


def test_plotted_again_on_given_axes(fitted):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    display = TrainingCurveDisplay.from_estimator(fitted, ax=ax)
    assert display.figure_ is figure
    with pytest.raises(ValueError, match=r"draws 1 panels, but ax holds 2 axes"):
        display.plot(plt.subplots(1, 2)[1])


@pytest.mark.parametrize(
    "draw",
    [
        lambda model: TrainingCurveDisplay.from_estimator(model),
        lambda model: UpdateRatioDisplay.from_estimator(model, [[1]], [1]),
        lambda model: RegularizationPathDisplay.from_estimator(model, [[1]], [1]),
    ],
)
def test_other_estimators_raise(draw):
    with pytest.raises(TypeError, match=r"takes an MLPClassifier.*LogisticRegression"):
        draw(make_pipeline(Standardizer(), LogisticRegression()))


def test_without_matplotlib_nothing_is_computed(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (UpdateRatioDisplay, RegularizationPathDisplay):
        with pytest.raises(ImportError, match=r"from_estimator requires matplotlib"):
            draw.from_estimator(None, None, None)
    with pytest.raises(ImportError, match=r"TrainingCurveDisplay.plot requires"):
        TrainingCurveDisplay([1.0]).plot()


def test_importing_needs_no_matplotlib():
    code = "import sys, sknn_notes.inspection; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Weights


def test_weights_of_digits_are_images(digits):
    model = MLPClassifier(6, max_iter=2, random_state=0).fit(*digits)
    display = WeightsDisplay.from_estimator(make_pipeline(Standardizer(), model))
    assert_array_equal(display.weights, model.coefs_[0])
    picture = display.ax_.images[0].get_array()
    assert picture.shape == (2 * 9 - 1, 3 * 9 - 1)
    assert_array_equal(picture[9:17, 9:17], model.coefs_[0][:, 4].reshape(8, 8))
    assert np.ma.getmaskarray(picture)[8].all()


@pytest.mark.parametrize("options", [{"layer": 1}, {"image_shape": None}])
def test_other_weights_are_a_heat_map(digits, options):
    model = MLPClassifier((36, 6), max_iter=2, random_state=0).fit(*digits)
    display = WeightsDisplay.from_estimator(model, **options)
    weights = model.coefs_[options.get("layer", 0)]
    assert_array_equal(display.ax_.images[0].get_array(), weights)


def test_four_inputs_are_no_image(fitted):
    display = WeightsDisplay.from_estimator(fitted, units=[3, 1])
    assert_array_equal(display.ax_.images[0].get_array(), fitted.coefs_[0][:, [3, 1]])


def test_color_images():
    weights = np.random.default_rng(0).normal(size=(12, 3))
    display = WeightsDisplay(weights, image_shape=(2, 2, 3)).plot()
    picture = np.asarray(display.ax_.images[0].get_array())
    expected = (weights[:, 0] / np.abs(weights).max() + 1) / 2
    assert_allclose(picture[:2, :2], expected.reshape(2, 2, 3))


def test_filters_of_transformers(digits):
    X, _ = digits
    whitener = Whitener(method="pca", n_components=10).fit(X)
    display = WeightsDisplay.from_estimator(make_pipeline(Standardizer(), whitener))
    assert_array_equal(display.weights, whitener.whitening_matrix())
    pca = PCA(5).fit(X)
    display = WeightsDisplay.from_estimator(pca)
    assert_array_equal(display.weights, pca.components_.T)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 3}, "has 3 weight matrices; layer must be from 0 to 2. Got 3"),
        ({"image_shape": (3, 3)}, "has 9 values, but the matrix has 4"),
        ({"image_shape": (2, 2, 1)}, r"must be \(height, width\)"),
        ({"image_shape": "square"}, "must be a tuple such as"),
    ],
)
def test_weights_that_make_no_picture(fitted, options, message):
    with pytest.raises(ValueError, match=message):
        WeightsDisplay.from_estimator(fitted, **options)


def test_transformers_without_a_matrix_raise(digits):
    with pytest.raises(TypeError, match="takes a network, or a transformer with"):
        WeightsDisplay.from_estimator(Standardizer().fit(digits[0]))
    with pytest.raises(TypeError, match="takes an estimator"):
        WeightsDisplay.from_estimator(digits[0])


# Update ratios


@pytest.mark.parametrize(
    ("solver", "penalty"),
    [("adam", "l2"), ("adam", "l1"), ("adamw", "l2"), ("sgd", "l2")],
)
def test_ratios_of_single_steps(iris, solver, penalty):
    """With one batch an epoch, partial_fit gives the weights after every step."""
    X, y = iris
    model = MLPClassifier(
        10, solver=solver, penalty=penalty, alpha=0.01, max_norm=1.5, random_state=0
    )
    display = UpdateRatioDisplay.from_estimator(model, X, y, n_epochs=4)
    trained = clone(model)
    weights = [
        [W.copy() for W in trained.partial_fit(X, y, classes=range(3)).coefs_]
        for _ in range(4)
    ]
    for epoch in range(1, 4):
        for layer in range(2):
            before, after = weights[epoch - 1][layer], weights[epoch][layer]
            expected = np.linalg.norm(after - before) / np.linalg.norm(before)
            assert_allclose(display.ratios[epoch, layer], expected)
    assert not hasattr(model, "coefs_")


def test_ratios_are_means_over_the_steps_of_an_epoch(iris):
    """Without gradients weight decay alone shrinks the weights, alike in every step."""
    X, y = iris
    model = MLPRegressor(
        hidden_layer_sizes=(),
        solver="adamw",
        init="normal",
        alpha=2.0,
        learning_rate_init=0.01,
        batch_size=30,
        random_state=0,
    )
    display = UpdateRatioDisplay.from_estimator(model, 0 * X, 0 * y, n_epochs=2)
    assert_allclose(display.ratios, 0.02, rtol=1e-6)


def test_weights_of_zero_have_no_ratio(iris):
    model = MLPClassifier((), init="zeros", batch_size=150, random_state=0)
    display = UpdateRatioDisplay.from_estimator(model, *iris, n_epochs=2)
    assert np.isnan(display.ratios[0, 0])
    assert display.ratios[1, 0] > 0


def test_ratios_take_pipelines_schedules_and_class_weights(iris):
    model = make_pipeline(
        Standardizer(),
        MLPClassifier(
            5,
            learning_rate="cosine",
            class_weight="balanced",
            early_stopping=True,
            random_state=0,
        ),
    )
    display = UpdateRatioDisplay.from_estimator(model, *iris, n_epochs=30)
    assert display.ratios.shape == (30, 2)
    assert np.all(display.ratios[-1] < display.ratios[0] / 5)


def test_lbfgs_has_no_learning_rate(iris):
    with pytest.raises(ValueError, match="line search"):
        UpdateRatioDisplay.from_estimator(MLPClassifier(solver="lbfgs"), *iris)


# Uncertainty


def test_bands_of_a_regression():
    x = np.linspace(-1, 1, 40)[:, None]
    model = MLPRegressor(dropout=0.3, max_iter=20, random_state=0).fit(x, x[:, 0] ** 2)
    display = UncertaintyDisplay.from_estimator(model, x[::-1])
    assert_array_equal(display.spread, model.predict_spread(x[::-1]))
    sampled = (
        clone(model).set_params(marginalization="monte_carlo").fit(x, x[:, 0] ** 2)
    )
    assert_allclose(display.mean[:, 0], sampled.predict(x[::-1]))
    assert_array_equal(display.ax_.lines[0].get_xdata(), x[:, 0])
    assert model.marginalization == "analytic"


def test_map_of_two_features(iris):
    X, y = iris
    model = MLPClassifier(10, dropout=0.3, max_iter=20, random_state=0)
    model.fit(X[:, :2], y)
    display = UncertaintyDisplay.from_estimator(model, X[:, :2])
    assert display.X.min() < X[:, :2].min()
    assert_array_equal(display.spread, model.predict_spread(display.X))


def test_map_keeps_the_names_of_columns(iris):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(iris[0][:, :2], columns=["length", "width"])
    model = make_pipeline(Standardizer(), MLPClassifier(5, dropout=0.3, max_iter=5))
    UncertaintyDisplay.from_estimator(model.fit(X, iris[1]), X)


@pytest.mark.parametrize(
    ("loss", "quantity"), [("log_loss", "probability"), ("hinge", "raw output")]
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_samples_with_their_classes(iris, loss, quantity, n_classes):
    X, y = iris
    kept = y < n_classes
    names = np.array(["setosa", "versicolor", "virginica"])
    model = MLPClassifier(8, loss=loss, dropout=0.3, max_iter=10, random_state=0)
    model.fit(X[kept], names[y[kept]])
    display = UncertaintyDisplay.from_estimator(model, X[:3])
    assert display.mean.shape == (3, 1 if n_classes == 2 else 3)
    assert list(display.labels) == list(names[1 if n_classes == 2 else 0 : n_classes])
    assert display.ax_.get_ylabel() == quantity
    with pytest.raises(ValueError, match="at most 10 samples"):
        UncertaintyDisplay.from_estimator(model, X)


def test_numbers_of_many_features(iris):
    X, y = iris
    model = MLPRegressor(loss="poisson", dropout=0.3, max_iter=5, random_state=0)
    model.fit(X, np.column_stack([y, y]))
    display = UncertaintyDisplay.from_estimator(model, X[:20])
    assert display.mean.shape == (20, 2)
    assert np.all(display.mean > 0)
    assert display.ax_.get_ylabel() == "prediction"


def test_no_noise_no_uncertainty(iris):
    model = MLPClassifier(5, max_iter=2).fit(*iris)
    with pytest.raises(ValueError, match="was trained without"):
        UncertaintyDisplay.from_estimator(model, iris[0][:2])


# Regularization path


@pytest.mark.parametrize("sparse", [False, True])
def test_path_repeats_cross_validation(iris, sparse):
    X, y = iris
    X = csr_array(X) if sparse else X
    model = make_pipeline(
        Standardizer(with_mean=False),
        MLPClassifier(5, penalty="l1", learning_rate_init=0.01, random_state=0),
    )
    display = RegularizationPathDisplay.from_estimator(
        model, X, y, alphas=[0, 0.1], cv=3, scoring="neg_log_loss"
    )
    model.set_params(mlpclassifier__alpha=0.1)
    expected = cross_validate(
        model,
        X,
        y,
        cv=3,
        scoring="neg_log_loss",
        return_train_score=True,
        return_estimator=True,
    )
    assert_allclose(display.test_scores[1], expected["test_score"])
    assert_allclose(display.train_scores[1], expected["train_score"])
    coefs = [fitted[-1].coefs_ for fitted in expected["estimator"]]
    norms = [np.sqrt(sum(np.sum(W**2) for W in layers)) for layers in coefs]
    zeros = [
        sum(np.count_nonzero(W == 0) for W in layers) / sum(W.size for W in layers)
        for layers in coefs
    ]
    assert_allclose(display.weight_norms[1], norms)
    assert_allclose(display.zero_fractions[1], zeros)
    assert display.zero_fractions[0].max() == 0 < display.zero_fractions[1].min()
