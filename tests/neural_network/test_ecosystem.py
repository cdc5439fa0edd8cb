"""The estimators inside scikit-learn's machinery: searches, pipelines, persistence."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

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
from sknn_notes.activations import Tanh
from sknn_notes.initializers import Normal
from sknn_notes.losses import Hinge
from sknn_notes.optimizers import SGD, Adam


def classifier(**params):
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (8,),
            "learning_rate_init": 0.01,
            "max_iter": 15,
            "random_state": 0,
            **params,
        }
    )


def regressor(**params):
    return MLPRegressor(
        **{
            "hidden_layer_sizes": (8,),
            "learning_rate_init": 0.01,
            "max_iter": 15,
            "random_state": 0,
            **params,
        }
    )


# Pipelines and searches


# Some features of the problem are combinations of others.
CUT = "ignore:2 of 6 directions map to 0"
TRANSFORMERS = [
    Centerer(),
    Standardizer(),
    MinMaxNormalizer(),
    RobustStandardizer(),
    PiecewiseLinearEncoder(),
    Whitener(),
]


@pytest.mark.filterwarnings(CUT)
@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_a_pipeline_equals_its_steps_by_hand(three_classes, transformer):
    X, y = three_classes
    pipeline = make_pipeline(transformer, classifier()).fit(X, y)
    Z = clone(transformer).fit_transform(X)
    by_hand = classifier().fit(Z, y)
    np.testing.assert_array_equal(pipeline.predict_proba(X), by_hand.predict_proba(Z))


def test_grid_over_alpha_dropout_and_the_margin_of_a_part(three_classes):
    X, y = three_classes
    grid = {"alpha": [1e-4, 1e-2], "dropout": [0.0, 0.3], "loss__margin": [0.5, 2.0]}
    search = GridSearchCV(classifier(loss=Hinge()), grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert search.best_estimator_.loss.margin == search.best_params_["loss__margin"]
    # The grid has an effect: it does not train the same network eight times.
    assert len(np.unique(search.cv_results_["mean_test_score"])) > 1


def test_grid_over_whole_parts_and_names(three_classes):
    X, y = three_classes
    grid = {
        "loss": ["log_loss", Hinge(), Hinge(margin=0.5)],
        "solver": ["adam", SGD(momentum=0.5)],
        "hidden_layer_sizes": [4],
        "n_hidden_layers": [1, 2],
    }
    search = GridSearchCV(classifier(max_iter=3), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_grid_through_a_pipeline_by_the_step_names(three_classes):
    X, y = three_classes
    model = Pipeline([("scale", Standardizer()), ("net", classifier(loss=Hinge()))])
    grid = {"net__loss__margin": [0.5, 1.0], "scale__with_mean": [True, False]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    margin = search.best_estimator_.named_steps["net"].loss.margin
    assert margin == search.best_params_["net__loss__margin"]


def test_a_margin_needs_a_part_and_not_its_name():
    with pytest.raises(ValueError, match=r"loss__margin.*loss='hinge'.*loss=Hinge\(\)"):
        classifier(loss="hinge").set_params(loss__margin=2.0)


def test_cross_validate_with_several_scorers(two_classes):
    X, y = two_classes
    result = cross_validate(
        classifier(max_iter=40),
        X,
        y,
        cv=3,
        scoring=["accuracy", "roc_auc", "neg_log_loss"],
    )
    assert result["test_accuracy"].mean() > 0.7
    assert np.isfinite(result["test_neg_log_loss"]).all()


def test_a_hinge_network_is_scored_by_its_decision_function(two_classes):
    X, y = two_classes
    auc = cross_val_score(
        classifier(loss="hinge", max_iter=40), X, y, cv=3, scoring="roc_auc"
    )
    assert auc.mean() > 0.7


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_cross_validate_scores_a_regressor(one_target):
    X, y = one_target
    model = regressor(solver="lbfgs", max_iter=100)
    assert cross_val_score(model, X, y, cv=3).mean() > 0.9


def test_two_jobs_give_the_scores_of_one(three_classes):
    X, y = three_classes
    model = classifier(dropout=0.3, batch_size=16)
    grid = {"alpha": [1e-4, 1e-2]}
    one, two = (
        GridSearchCV(model, grid, cv=2, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2)
    )
    np.testing.assert_allclose(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X))


# Parameters


def test_clone_copies_parts_and_leaves_the_fit_behind(three_classes):
    X, y = three_classes
    model = classifier(
        loss=Hinge(margin=0.5),
        solver=Adam(beta_1=0.8),
        init=Normal(std=0.1),
        activation=[Tanh()],
        alpha=[1e-4, 1e-3],
        hidden_layer_sizes=np.array([5]),
    ).fit(X, y)
    copy = clone(model)
    assert not hasattr(copy, "coefs_")
    assert copy.loss is not model.loss
    assert copy.activation[0] is not model.activation[0]
    assert repr(copy) == repr(model)
    np.testing.assert_array_equal(
        copy.fit(X, y).decision_function(X), model.decision_function(X)
    )


def test_parameters_of_parts_are_read_and_set_through_the_estimator():
    model = classifier(loss=Hinge(margin=0.5), solver=SGD())
    params = model.get_params()
    assert params["loss__margin"] == 0.5
    assert params["solver__momentum"] == 0.9
    assert "loss__margin" not in model.get_params(deep=False)
    model.set_params(loss__margin=2.0, solver__nesterovs_momentum=False)
    assert model.loss.margin == 2.0
    assert not model.solver.nesterovs_momentum


def test_fitting_leaves_every_parameter_as_it_was(three_classes):
    X, y = three_classes
    parts = {"loss": Hinge(), "solver": Adam(), "init": Normal()}
    model = classifier(**parts)
    before = model.get_params()
    model.fit(X, y)
    assert model.get_params() == before
    assert all(getattr(model, name) is part for name, part in parts.items())


def test_a_part_may_be_shared_by_two_estimators(three_classes):
    X, y = three_classes
    shared = Adam()
    first = classifier(solver=shared).fit(X, y)
    before = first.decision_function(X)
    classifier(solver=shared, random_state=1).fit(X, y)
    np.testing.assert_array_equal(first.decision_function(X), before)
    assert vars(shared) == vars(Adam())


# Persistence


def by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib", compress=3)
    return joblib.load(folder / "model.joblib")


def by_memory_map(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib", mmap_mode="r")


def by_skops(model, folder):
    io = pytest.importorskip("skops.io")
    io.dump(model, folder / "model.skops")
    untrusted = io.get_untrusted_types(file=folder / "model.skops")
    assert [name for name in untrusted if not name.startswith("sknn_notes.")] == []
    return io.load(folder / "model.skops", trusted=untrusted)


NEEDS_SEED_SEQ = pytest.mark.needs("numpy>=1.25", "skops reads what it calls seed_seq")
ROUND_TRIPS = pytest.mark.parametrize(
    "trip",
    [by_pickle, by_joblib, by_memory_map, pytest.param(by_skops, marks=NEEDS_SEED_SEQ)],
)


@ROUND_TRIPS
def test_a_loaded_classifier_predicts_the_same(three_classes, trip, tmp_path):
    X, y = three_classes
    model = classifier(activation=[Tanh()]).fit(X, y)
    loaded = trip(model, tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.loss_curve_ == model.loss_curve_


@ROUND_TRIPS
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_goes_on_after_loading_as_without(
    three_classes, trip, tmp_path, solver
):
    X, y = three_classes
    model = classifier(solver=solver, dropout=0.3, batch_size=16).fit(X, y)
    loaded = trip(model, tmp_path)
    for _ in range(3):
        model.partial_fit(X, y)
        loaded.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@ROUND_TRIPS
@pytest.mark.parametrize("early_stopping", [False, True])
def test_warm_start_goes_on_after_loading_as_without(
    one_target, trip, tmp_path, early_stopping
):
    X, y = one_target
    model = regressor(
        warm_start=True, early_stopping=early_stopping, dropout=0.2, batch_size=16
    ).fit(X, y)
    loaded = trip(model, tmp_path)
    np.testing.assert_array_equal(
        loaded.fit(X, y).predict(X), model.fit(X, y).predict(X)
    )
    assert loaded.loss_curve_ == model.loss_curve_


# Names of features


def as_pandas(X, names):
    return pd.DataFrame(X, columns=names)


def as_polars(X, names):
    return pytest.importorskip("polars").DataFrame(X, schema=names)


FRAMES = pytest.mark.parametrize("frame", [as_pandas, as_polars])


@pytest.mark.filterwarnings(CUT)
@pytest.mark.parametrize("transformer", TRANSFORMERS)
@pytest.mark.parametrize("output", ["pandas", "polars"])
@FRAMES
def test_output_frames_reach_the_network_with_names(
    three_classes, transformer, output, frame
):
    pytest.importorskip(output)
    X, y = three_classes
    frame = frame(X, list("abcdef"))
    model = make_pipeline(transformer, classifier()).set_output(transform=output)
    model.fit(frame, y)
    names = model[0].get_feature_names_out()
    np.testing.assert_array_equal(model[-1].feature_names_in_, names)
    plain = make_pipeline(clone(transformer), classifier()).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(frame), plain.predict_proba(X))


@FRAMES
def test_names_of_a_frame_are_kept_and_values_used(three_classes, frame):
    X, y = three_classes
    names = list("abcdef")
    model = classifier().fit(frame(X, names), y)
    assert list(model.feature_names_in_) == names
    np.testing.assert_array_equal(
        model.predict_proba(frame(X, names)), classifier().fit(X, y).predict_proba(X)
    )


@FRAMES
def test_other_names_in_another_order_raise(three_classes, frame):
    X, y = three_classes
    model = classifier().fit(frame(X, list("abcdef")), y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame(X, list("bacdef")))
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(frame(X, list("uvwxyz")), y)


def test_missing_names_are_warned_about(three_classes):
    X, y = three_classes
    model = classifier().fit(as_pandas(X, list("abcdef")), y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


def test_an_array_leaves_no_names(three_classes):
    X, y = three_classes
    model = classifier().fit(as_pandas(X, list("abcdef")), y).fit(X, y)
    assert not hasattr(model, "feature_names_in_")


def test_a_series_of_pandas_labels(three_classes):
    X, y = three_classes
    labels = pd.Series(np.array(["x", "y", "z"])[y], index=range(100, 100 + len(y)))
    model = classifier(max_iter=60).fit(X, labels)
    assert set(model.predict(X)) <= {"x", "y", "z"}
    assert model.score(X, labels) > 0.7


# Metadata routing


@pytest.mark.needs("scikit-learn>=1.8", "a search routes weights into Pipeline.score")
def test_weights_are_routed_through_search_and_pipeline(three_classes):
    X, y = three_classes
    weight = np.random.default_rng(0).random(len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        net = classifier().set_fit_request(sample_weight=True)
        net.set_score_request(sample_weight=True)
        model = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False), net
        )
        search = GridSearchCV(model, {"mlpclassifier__alpha": [1e-4]}, cv=2)
        search.fit(X, y, sample_weight=weight)
    Z = StandardScaler().fit_transform(X)
    by_hand = classifier().fit(Z, y, sample_weight=weight)
    np.testing.assert_array_equal(search.predict_proba(X), by_hand.predict_proba(Z))
    unweighted = classifier().fit(Z, y)
    assert not np.allclose(search.predict_proba(X), unweighted.predict_proba(Z))


def test_partial_fit_takes_requests_for_weights_and_classes():
    with sklearn.config_context(enable_metadata_routing=True):
        net = classifier().set_partial_fit_request(sample_weight=True, classes=True)
    assert "sample_weight" in net.get_metadata_routing().partial_fit.requests
    assert "classes" in net.get_metadata_routing().partial_fit.requests


# Inside other estimators


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_calibration(three_classes, loss):
    X, y = three_classes
    model = CalibratedClassifierCV(classifier(loss=loss, max_iter=60), cv=2).fit(X, y)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert model.score(X, y) > 0.7


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_transformed_target_of_a_regressor(one_target):
    X, y = one_target
    model = TransformedTargetRegressor(
        regressor(solver="lbfgs", max_iter=100), transformer=StandardScaler()
    )
    assert model.fit(X, 1000 + 50 * y).score(X, 1000 + 50 * y) > 0.9


@pytest.mark.parametrize(("voting", "loss"), [("soft", "log_loss"), ("hard", "hinge")])
def test_voting(three_classes, voting, loss):
    X, y = three_classes
    members = [
        ("net", classifier(loss=loss, max_iter=60)),
        ("linear", LogisticRegression()),
    ]
    assert VotingClassifier(members, voting=voting).fit(X, y).score(X, y) > 0.7


def test_bagging_draws_its_own_seeds(three_classes):
    X, y = three_classes
    model = BaggingClassifier(classifier(random_state=None), 3, random_state=0)
    first, second = (clone(model).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_several_multi_class_outputs_by_wrapping(three_classes):
    X, y = three_classes
    Y = np.column_stack([y, (y + 1) % 3])
    model = MultiOutputClassifier(classifier(max_iter=60)).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.5


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_several_targets_by_wrapping(two_targets):
    X, Y = two_targets
    model = MultiOutputRegressor(regressor(solver="lbfgs", max_iter=100))
    assert model.fit(X, Y).score(X, Y) > 0.9


# Display


def test_html_shows_the_parameters_and_those_of_parts():
    html = classifier(loss=Hinge(margin=0.25), dropout=0.125)._repr_html_()
    assert "MLPClassifier" in html
    assert "0.125" in html
    assert "Hinge" in html
    assert "margin" in html


def test_html_of_a_fitted_pipeline(three_classes):
    X, y = three_classes
    model = make_pipeline(Standardizer(), classifier()).fit(X, y)
    html = model._repr_html_()
    assert "Standardizer" in html
    assert "MLPClassifier" in html


def test_repr_shows_what_was_changed():
    assert repr(MLPClassifier(loss=Hinge(margin=0.5))) == (
        "MLPClassifier(loss=Hinge(margin=0.5))"
    )
