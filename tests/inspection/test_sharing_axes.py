"""Axes that are passed, several models on one, and the names of features."""

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer, Whitener
from sknn_notes.inspection import (
    ActivationsDisplay,
    RegularizationPathDisplay,
    TrainingCurveDisplay,
    UncertaintyDisplay,
    UpdateRatioDisplay,
    WeightsDisplay,
)
from sknn_notes.noise import StochasticPooling


def positive_problem():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 3, size=(60, 4))
    return X, (X[:, 0] > 2).astype(int)


X, y = positive_problem()
SMALL = {"dropout": 0.2, "max_iter": 8, "random_state": 0}


@pytest.fixture(scope="module")
def models():
    """Two fitted classifiers, with validation losses and scores."""
    stopped = SMALL | {"early_stopping": True, "scoring": "accuracy"}
    return [
        MLPClassifier((8, 6), activation=activation, **stopped).fit(X, y)
        for activation in ("relu", "tanh")
    ]


def curve(model, **keywords):
    return TrainingCurveDisplay.from_estimator(model, **keywords)


def weights(model, **keywords):
    return WeightsDisplay.from_estimator(model, **keywords)


def activations(model, **keywords):
    return ActivationsDisplay.from_estimator(model, X, y, **keywords)


def ratio(model, **keywords):
    return UpdateRatioDisplay.from_estimator(model, X, y, n_epochs=3, **keywords)


def path(model, **keywords):
    return RegularizationPathDisplay.from_estimator(
        model, X, y, alphas=[1e-3, 1e-1], cv=2, **keywords
    )


def band(model, **keywords):
    network = MLPRegressor(activation=model.activation, **SMALL)
    network.fit(X[:, :1], y)
    return UncertaintyDisplay.from_estimator(network, X[:, :1], **keywords)


def spread_map(model, **keywords):
    network = MLPClassifier(activation=model.activation, **SMALL)
    network.fit(X[:, :2], y)
    return UncertaintyDisplay.from_estimator(network, X[:, :2], **keywords)


def numbers(model, **keywords):
    network = MLPRegressor(activation=model.activation, **SMALL).fit(X, y)
    return UncertaintyDisplay.from_estimator(network, X, **keywords)


def classes(model, **keywords):
    return UncertaintyDisplay.from_estimator(model, X[:3], **keywords)


# The displays and their numbers of panels.
PANELS = {
    curve: 2,
    weights: 1,
    activations: 4,
    ratio: 1,
    path: 3,
    band: 1,
    spread_map: 1,
    numbers: 1,
    classes: 1,
}
every_display = pytest.mark.parametrize("draw", PANELS, ids=lambda d: d.__name__)


def empty_axes(n):
    import matplotlib.pyplot as plt

    axes = plt.subplots(1, n, squeeze=False)[1].ravel()
    return axes[0] if n == 1 else axes


# Axes that are passed


def log_x(ax):
    ax.set_xscale("log")


def log_y(ax):
    ax.set_yscale("log")


def symlog(ax):
    ax.set(xscale="symlog", yscale="symlog")


def no_ticks(ax):
    ax.set(xticks=[], yticks=[])


def fixed_ticks(ax):
    ax.set_xticks([1, 2, 4], ["one", "two", "four"])


def multiples(ax):
    ax.xaxis.set_major_locator(mpl.ticker.MultipleLocator(2))


def null_locator(ax):
    ax.xaxis.set_major_locator(mpl.ticker.NullLocator())


PREPARED = [log_x, log_y, symlog, no_ticks, fixed_ticks, multiples, null_locator]


# Activations that are all 0 have no place on a logarithmic axis, which matplotlib says.
@pytest.mark.one_in(4)
@pytest.mark.filterwarnings("ignore:Data has no positive values")
@every_display
@pytest.mark.parametrize("prepare", PREPARED, ids=lambda p: p.__name__)
def test_custom_scales_and_ticks(models, draw, prepare):
    axes = empty_axes(PANELS[draw])
    for ax in np.ravel(axes):
        prepare(ax)
    draw(models[0], ax=axes)
    np.ravel(axes)[0].figure.canvas.draw()


@pytest.mark.parametrize("draw", [curve, ratio, path, band, numbers])
def test_custom_scales_and_ticks_stay(models, draw):
    axes = empty_axes(PANELS[draw])
    first = np.ravel(axes)[0]
    log_x(first)
    draw(models[0], ax=axes)
    assert first.get_xscale() == "log"
    axes = empty_axes(PANELS[draw])
    first = np.ravel(axes)[0]
    fixed_ticks(first)
    draw(models[0], ax=axes)
    labels = [label.get_text() for label in first.get_xticklabels()]
    assert labels == ["one", "two", "four"]


def test_epochs_are_whole_numbers_and_ratios_logarithmic(models):
    ax = curve(models[0]).axes_[0, 0]
    ax.set_xlim(1, 3)
    assert_array_equal(ax.get_xticks() % 1, 0)
    assert ratio(models[0]).ax_.get_yscale() == "log"
    scales = {ax.get_xscale() for ax in path(models[0]).axes_[0]}
    assert scales == {"log"}


# Several models


@pytest.mark.parametrize("draw", [curve, activations, ratio, path, band, numbers])
def test_two_models_are_told_apart(models, draw):
    first = draw(models[0], name="first")
    axes = getattr(first, "axes_", None)
    axes = first.ax_ if axes is None else axes
    top = np.ravel(axes)[0]
    before = [len(top.lines), len(top.patches), len(top.containers)]
    draw(models[1], name="second", ax=axes)
    labels = top.get_legend_handles_labels()[1]
    for name in ("first", "second"):
        assert any(label.startswith(name) for label in labels)
    legend = [text.get_text() for text in top.get_legend().get_texts()]
    assert legend == labels
    if draw is activations:
        colors = [
            {patch.get_facecolor() for patch in part}
            for part in (top.patches[: before[1]], top.patches[before[1] :])
        ]
    elif draw is numbers:
        colors = [
            {container[0].get_color() for container in part}
            for part in (top.containers[: before[2]], top.containers[before[2] :])
        ]
    else:
        # Grey marks are no model's.
        lines = [line for line in top.lines if line.get_color() != "0.5"]
        own = [line for line in top.lines[: before[0]] if line in lines]
        colors = [
            {line.get_color() for line in lines[: len(own)]},
            {line.get_color() for line in lines[len(own) :]},
        ]
    assert all(colors)
    assert not colors[0] & colors[1]


@pytest.mark.parametrize("draw", [curve, path])
def test_a_model_has_one_color_in_all_panels(models, draw):
    axes = draw(models[0], name="first").axes_
    draw(models[1], name="second", ax=axes)
    by_name = {"first": set(), "second": set()}
    for ax in axes.ravel():
        for line in ax.lines:
            name = line.get_label().partition(":")[0]
            by_name[name].add(line.get_color())
    assert len(by_name["first"]) == len(by_name["second"]) == 1


def test_the_rule_of_thumb_is_drawn_once(models):
    display = ratio(models[0])
    ratio(models[1], ax=display.ax_)
    labels = display.ax_.get_legend_handles_labels()[1]
    assert labels.count("rule of thumb") == 1


def test_without_a_name_labels_are_as_short_as_can_be(models):
    labels = curve(models[0]).axes_[0, 0].get_legend_handles_labels()[1]
    assert labels[:2] == ["training", "validation"]
    assert band(models[0]).ax_.get_legend() is None


@pytest.mark.parametrize("draw", [curve, ratio, path, band, numbers, classes])
def test_keywords_reach_the_lines(models, draw):
    display = draw(models[0], color="purple", marker="x", linewidth=3)
    axes = getattr(display, "axes_", None)
    ax = display.ax_ if axes is None else axes[0, 0]
    line = ax.lines[0]
    assert line.get_color() == "purple"
    assert line.get_marker() == "x"
    assert line.get_linewidth() == 3
    display.plot(color="green")


def test_keywords_reach_histograms_and_pictures(models):
    display = activations(models[0], color="purple", alpha=1.0)
    purple = mpl.colors.to_rgba("purple")
    assert display.axes_[1, 1].patches[0].get_facecolor() == purple
    image = weights(models[0], cmap="viridis", vmax=7).ax_.images[0]
    assert (image.get_cmap().name, image.get_clim()[1]) == ("viridis", 7)
    mesh = spread_map(models[0], cmap="magma").ax_.collections[0]
    assert mesh.get_cmap().name == "magma"


# Searches


def test_displays_take_a_fitted_search(models):
    search = GridSearchCV(models[0], {"alpha": [0.1]}, cv=2)
    with pytest.raises(NotFittedError):
        curve(search)
    search.fit(X, y)
    best = search.best_estimator_
    assert curve(search).training_loss == best.loss_curve_
    assert_array_equal(weights(search).weights, best.coefs_[0])
    assert_array_equal(activations(search).outputs[0], activations(best).outputs[0])
    assert_array_equal(classes(search).mean, classes(best).mean)
    assert_array_equal(ratio(search).ratios, ratio(best).ratios)
    inside = make_pipeline(Standardizer(), clone(search)).fit(X, y)
    assert_array_equal(weights(inside).weights, inside[-1].best_estimator_.coefs_[0])


# Names of features

NAMES = ["width", "height", "depth", "weight"]


def pandas_frame(X, names):
    return pytest.importorskip("pandas").DataFrame(X, columns=names)


def polars_frame(X, names):
    return pytest.importorskip("polars").DataFrame(X, schema=names, orient="row")


every_frame = pytest.mark.parametrize("frame", [pandas_frame, polars_frame])


@every_frame
def test_frames_of_every_kind_keep_their_names(frame):
    """Without names scikit-learn would warn, and warnings are errors here."""
    table = frame(X, NAMES)
    model = make_pipeline(Standardizer(), MLPClassifier(8, **SMALL)).fit(table, y)
    ActivationsDisplay.from_estimator(model, table, y)
    UncertaintyDisplay.from_estimator(model, table[:3])
    UpdateRatioDisplay.from_estimator(model, table, y, n_epochs=2)
    RegularizationPathDisplay.from_estimator(model, table, y, alphas=[0.1], cv=2)
    bare = MLPClassifier(8, **SMALL).fit(table, y)
    ActivationsDisplay.from_estimator(bare, table, y)
    UncertaintyDisplay.from_estimator(bare, table[:3])


@every_frame
def test_axes_are_labelled_by_the_features(frame):
    two = frame(X[:, :2], NAMES[:2])
    model = MLPClassifier(8, **SMALL).fit(two, y)
    ax = UncertaintyDisplay.from_estimator(model, two).ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "height")
    one = frame(X[:, :1], NAMES[:1])
    model = MLPRegressor(**SMALL).fit(one, y)
    assert UncertaintyDisplay.from_estimator(model, one).ax_.get_xlabel() == "width"


def tick_labels(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


@every_frame
def test_weights_know_the_features_of_the_network(frame):
    table = frame(X, NAMES)
    model = MLPClassifier(8, **SMALL).fit(table, y)
    assert tick_labels(weights(model)) == NAMES
    assert tick_labels(weights(model, units=[2, 3])) == NAMES
    whitener = Whitener().fit(table)
    assert tick_labels(weights(whitener)) == NAMES
    assert weights(model, layer=1).feature_names is None


def test_weights_know_the_features_of_the_pipeline():
    table = pandas_frame(X, NAMES).assign(city=np.where(y, "Rome", "Oslo"))
    steps = make_column_transformer(
        (Standardizer(), ["depth", "width"]), (OneHotEncoder(), ["city"])
    )
    model = make_pipeline(steps, MLPClassifier(8, **SMALL)).fit(table, y)
    expected = [
        "standardizer__depth",
        "standardizer__width",
        "onehotencoder__city_Oslo",
        "onehotencoder__city_Rome",
    ]
    assert tick_labels(weights(model)) == expected
    model = make_pipeline(PCA(3), MLPClassifier(8, **SMALL)).fit(X, y)
    assert tick_labels(weights(model)) == ["pca0", "pca1", "pca2"]


def test_steps_that_tell_no_names():
    model = make_pipeline(FunctionTransformer(np.log), MLPClassifier(8, **SMALL))
    assert weights(model.fit(X, y)).feature_names is None


def test_names_that_would_not_fit():
    rng = np.random.default_rng(0)
    wide = pandas_frame(rng.normal(size=(60, 51)), [f"f{i}" for i in range(51)])
    display = weights(MLPClassifier(8, **SMALL).fit(wide, y))
    assert len(tick_labels(display)) < 51
    pooled = MLPClassifier(
        8, augment=StochasticPooling(pool_shape=2, image_shape=(2, 2)), max_iter=2
    )
    display = weights(clone(pooled).fit(pandas_frame(X, NAMES), y))
    assert len(display.weights) == 1
    assert not set(tick_labels(display)) & set(NAMES)
