"""scikit-learn's callbacks: one task an epoch, alone and inside other estimators."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    MLPClassifier,
    MLPRegressor,
    Standardizer,
    Whitener,
)

callback = pytest.importorskip(
    "sklearn.callback", reason="callbacks come with scikit-learn 1.9"
)
SOLVERS = pytest.mark.parametrize("solver", ["adam", "lbfgs"])


class Recorder:
    """Counts tasks, keeps the fitted estimators, and may stop after some epochs."""

    def __init__(self, stop_after=np.inf):
        self.stop_after = stop_after
        self.events, self.fitted = [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.events.append(f"end {context.task_name}")
        self.fitted.append(fitted_estimator)
        assert fitted_estimator.predict(X).shape == np.shape(y)
        self.metadata = metadata
        return self.events.count("end epoch") >= self.stop_after


def network(**params):
    options = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}
    return MLPClassifier(**{**options, **params})


@SOLVERS
def test_every_epoch_is_a_task(three_classes, solver):
    X, y = three_classes
    recorder = Recorder()
    model = network(solver=solver).set_callbacks(recorder).fit(X, y)
    epoch = ["begin epoch", "end epoch"]
    assert recorder.events == [
        "setup", "begin fit", *(model.n_iter_ * epoch), "end fit", "teardown"
    ]  # fmt: skip
    assert [m.n_iter_ for m in recorder.fitted] == [1, 2, 3, 4, 4]
    assert recorder.fitted[1].loss_curve_ == model.loss_curve_[:2]
    assert recorder.fitted[-1].loss_curve_ == model.loss_curve_
    one, last = recorder.fitted[0], recorder.fitted[-1]
    assert np.any(one.coefs_[0] != model.coefs_[0])
    np.testing.assert_array_equal(last.coefs_[0], model.coefs_[0])
    assert recorder.metadata is None


@SOLVERS
def test_a_callback_stops_training(three_classes, solver):
    X, y = three_classes
    model = network(solver=solver, max_iter=50).set_callbacks(Recorder(stop_after=2))
    assert model.fit(X, y).n_iter_ == 2
    assert len(model.loss_curve_) == 2
    assert model.predict(X).shape == y.shape


def test_weights_are_metadata(three_classes):
    X, y = three_classes
    recorder = Recorder()
    weight = np.ones(len(y))
    network().set_callbacks(recorder).fit(X, y, sample_weight=weight)
    assert recorder.metadata["sample_weight"] is weight


def test_callbacks_change_nothing(three_classes):
    X, y = three_classes
    watched = network(dropout=0.2).set_callbacks(Recorder()).fit(X, y)
    plain = network(dropout=0.2).fit(X, y)
    np.testing.assert_array_equal(watched.coefs_[0], plain.coefs_[0])


def test_a_fit_that_fails_tears_callbacks_down_and_leaves_the_estimator(three_classes):
    X, y = three_classes
    recorder = Recorder()
    model = network().set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert recorder.events == ["setup", "teardown"]
    assert not hasattr(model, "coefs_")
    assert model.fit(X, y).n_iter_ == 4


def test_partial_fit_calls_none(three_classes):
    X, y = three_classes
    recorder = Recorder()
    network().set_callbacks(recorder).partial_fit(X, y, classes=[0, 1, 2])
    assert recorder.events == []


def test_scoring_monitor_logs_every_epoch(three_classes):
    X, y = three_classes
    monitor = callback.ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    model = network(alpha=0).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    epochs = log[log["task_name"] == "epoch"]
    assert len(epochs) == model.n_iter_
    assert epochs["accuracy"].iloc[-1] == model.score(X, y)


def test_scoring_monitor_of_a_regressor_in_a_pipeline(one_target):
    X, y = one_target
    monitor = callback.ScoringMonitor(scoring="r2")
    mlp = MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=3, random_state=0
    ).set_callbacks(monitor)
    make_pipeline(Standardizer(), mlp).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    assert (log["task_name"] == "epoch").sum() == 3


def test_scoring_monitor_in_a_grid_search_with_two_jobs(three_classes):
    X, y = three_classes
    monitor = callback.ScoringMonitor(scoring="accuracy")
    mlp = network(max_iter=2).set_callbacks(monitor)
    pipeline = make_pipeline(Standardizer(), mlp)
    grid = {"mlpclassifier__dropout": [0.0, 0.5]}
    GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    # Two candidates on two folds and the refit, two epochs each.
    assert (log["task_name"] == "epoch").sum() == 10


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_progress_bar_alone_and_around_a_search(three_classes, n_jobs):
    X, y = three_classes
    shown = io.StringIO()
    with redirect_stdout(shown):
        network().set_callbacks(callback.ProgressBar()).fit(X, y)
    assert "MLPClassifier" in shown.getvalue()
    shown = io.StringIO()
    with redirect_stdout(shown):
        pipeline = make_pipeline(Standardizer(), network())
        search = GridSearchCV(
            pipeline, {"mlpclassifier__alpha": [0, 1]}, cv=2, n_jobs=n_jobs
        )
        search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert "GridSearchCV" in shown.getvalue()


@pytest.mark.filterwarnings("ignore:2 of 6 directions map to 0")
@pytest.mark.parametrize(
    "cls",
    [
        Centerer,
        MinMaxNormalizer,
        RobustStandardizer,
        PiecewiseLinearEncoder,
        Standardizer,
        Whitener,
    ],
)
def test_the_fit_of_a_transformer_is_one_task(three_classes, cls):
    X, _ = three_classes
    events = []

    class Listener(Recorder):
        def on_fit_task_end(self, estimator, context, *, X):
            events.append(context.task_name)

    listener = Listener()
    cls().set_callbacks(listener).fit(X)
    assert events == ["fit"]
    assert listener.events == ["setup", "begin fit", "teardown"]
    if not hasattr(cls, "partial_fit"):
        return
    cls().set_callbacks(listener).partial_fit(X)
    assert events == ["fit"] * 2
    assert listener.events == ["setup", "begin fit", "teardown"] * 2
