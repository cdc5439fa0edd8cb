"""Validation sets: given or held out, what is watched on them, and their curves."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.datasets import load_breast_cancer, make_regression
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer


def classifier(**params):
    options = {"early_stopping": True, "max_iter": 12, "learning_rate_init": 0.02}
    return MLPClassifier((10,), **{**options, "random_state": 0, **params})


def regressor(**params):
    options = {"early_stopping": True, "max_iter": 12, "learning_rate_init": 0.02}
    options |= {"hidden_layer_sizes": (10,), "random_state": 0}
    return MLPRegressor(**{**options, **params})


@pytest.fixture(scope="module")
def halves(three_classes_data):
    return train_test_split(*three_classes_data, test_size=0.5, random_state=0)


@pytest.fixture(scope="module")
def three_classes_data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 6))
    return X, np.argmax(X[:, :3] + 0.5 * rng.normal(size=(160, 3)), axis=1)


@pytest.fixture(scope="module")
def numbers():
    X, Y = make_regression(n_samples=160, n_features=5, n_targets=2, random_state=0)
    return train_test_split(X, Y / Y.std(axis=0), test_size=0.5, random_state=0)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


# A validation set of one's own


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, pd.DataFrame])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_best_score_is_that_of_the_weights_kept(halves, container, batch_norm):
    X, X_val, y, y_val = halves
    X, X_val = container(X), container(X_val)
    if container is pd.DataFrame:
        X.columns = X_val.columns = list("abcdef")
    model = classifier(batch_norm=batch_norm, scoring=None)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == len(model.loss_curve_)
    assert max(model.validation_scores_) == model.best_validation_score_
    assert model.score(X_val, y_val) == pytest.approx(model.best_validation_score_)


def test_all_of_the_training_data_is_trained_on(halves):
    X, X_val, y, y_val = halves
    model = classifier(n_iter_no_change=100).fit(X, y, X_val=X_val, y_val=y_val)
    plain = classifier(early_stopping=False).fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, plain.loss_curve_)
    assert model.t_ == plain.t_ == 12 * len(X)


def test_the_loss_curve_is_the_mean_loss_without_the_penalty(halves):
    X, X_val, y, y_val = halves
    weight = np.random.default_rng(0).random(len(y_val))
    model = classifier(alpha=0.5, scoring="loss", max_iter=5)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    best = min(model.validation_loss_curve_)
    expected = log_loss(y_val, model.predict_proba(X_val), sample_weight=weight)
    assert best == pytest.approx(expected)
    np.testing.assert_allclose(
        model.validation_scores_, -np.array(model.validation_loss_curve_)
    )


def test_labels_two_classes_and_names_of_classes(halves):
    X, X_val, y, y_val = halves
    names = np.array(["cat", "dog", "eel"])
    for a, b in [(names[y], names[y_val]), (y > 0, y_val > 0)]:
        model = classifier(scoring="accuracy").fit(X, a, X_val=X_val, y_val=b)
        assert model.best_validation_score_ == model.score(X_val, b)
    labels = np.eye(3, dtype=int)
    model = classifier(scoring=None)
    model.fit(X, labels[y], X_val=X_val, y_val=labels[y_val])
    assert model.best_validation_score_ == model.score(X_val, labels[y_val])


def test_regression_on_several_outputs(numbers):
    X, X_val, Y, Y_val = numbers
    model = regressor(scoring=None).fit(X, Y, X_val=X_val, y_val=Y_val)
    predicted = model.predict(X_val)
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, Y_val))
    best = np.argmax(model.validation_scores_)
    # The loss is that of standardized targets, summed over both outputs.
    assert model.validation_loss_curve_[best] == pytest.approx(
        mean_squared_error(Y_val / Y.std(axis=0), predicted / Y.std(axis=0))
    )


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_lbfgs_watches_it_too(numbers):
    X, X_val, Y, Y_val = numbers
    model = regressor(solver="lbfgs", scoring="loss")
    model.fit(X, Y, X_val=X_val, y_val=Y_val)
    assert -model.best_validation_score_ == min(model.validation_loss_curve_)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": 1}, "y_val is missing"),
        ({"y_val": 1}, "X_val is missing"),
        ({"sample_weight_val": 1}, "X_val is missing"),
    ],
)
def test_half_a_validation_set_raises(halves, given, message):
    X, X_val, y, y_val = halves
    values = {"X_val": X_val, "y_val": y_val, "sample_weight_val": np.ones(len(y_val))}
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, y, **{name: values[name] for name in given})


def test_it_raises_without_early_stopping(halves):
    X, X_val, y, y_val = halves
    with pytest.raises(ValueError, match="early_stopping=False"):
        classifier(early_stopping=False).fit(X, y, X_val=X_val, y_val=y_val)


def test_a_validation_set_of_the_wrong_kind_raises(halves):
    X, X_val, y, y_val = halves
    for X_bad, y_bad in [(X_val[:, 1:], y_val), (X_val, y_val + 1), (X_val, y_val[1:])]:
        with pytest.raises(ValueError, match="X_val, y_val or sample_weight_val"):
            classifier().fit(X, y, X_val=X_bad, y_val=y_bad)


# What is watched


@pytest.mark.parametrize(
    "scoring",
    ["balanced_accuracy", "neg_log_loss", lambda est, X, y: est.score(X, y)],
    ids=["name", "loss", "callable"],
)
def test_any_scorer_can_be_watched(halves, scoring):
    X, X_val, y, y_val = halves
    model = classifier(scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)
    scorer = sklearn.metrics.check_scoring(model, scoring)
    assert model.best_validation_score_ == pytest.approx(scorer(model, X_val, y_val))
    held_out = classifier(scoring=scoring).fit(X, y)
    assert np.isfinite(held_out.best_validation_score_)


def test_a_scorer_sees_data_without_names_and_does_not_warn():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = classifier(scoring="roc_auc", max_iter=3).fit(X / X.max(), y)
    assert len(model.validation_scores_) == 3


@pytest.mark.parametrize(
    ("scoring", "takes_weights"),
    [
        (lambda est, X, y: est.score(X, y), False),
        (lambda est, X, y, **extra: est.score(X, y, **extra), True),
        ("neg_max_error", False),
        ("neg_mean_absolute_error", True),
    ],
)
def test_a_scorer_gets_the_weights_if_it_takes_them(numbers, scoring, takes_weights):
    X, X_val, Y, Y_val = numbers
    y, y_val = Y[:, 0], Y_val[:, 0]
    weight = np.random.default_rng(0).random(len(y))
    model = regressor(scoring=scoring).fit(
        X, y, weight, X_val=X_val, y_val=y_val, sample_weight_val=weight
    )
    scorer = sklearn.metrics.check_scoring(model, scoring)
    extra = {"sample_weight": weight} if takes_weights else {}
    score = scorer(model, X_val, y_val, **extra)
    assert model.best_validation_score_ == pytest.approx(score)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_curves_are_of_one_length_where_the_scorer_is_interrupted(halves, solver):
    X, _, y, _ = halves
    calls = []

    def scorer(estimator, X, y):
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return estimator.score(X, y)

    with pytest.warns(UserWarning, match="interrupted by user after 2 epochs"):
        model = classifier(scoring=scorer, solver=solver).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 2


def test_a_wrong_name_of_a_scorer_raises(halves):
    X, _, y, _ = halves
    with pytest.raises(ValueError, match="scoring"):
        classifier(scoring="acuracy").fit(X, y)


def test_a_warm_start_that_watches_something_else_starts_its_curves_anew(halves):
    X, _, y, _ = halves
    model = classifier(warm_start=True, max_iter=3, scoring=None).fit(X, y).fit(X, y)
    assert len(model.validation_scores_) == 6
    model.set_params(scoring="loss").fit(X, y)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 3
    assert model.best_validation_score_ < 0


def test_a_warm_start_is_measured_on_the_validation_set_that_it_is_given(halves):
    X, X_val, y, y_val = halves
    model = classifier(warm_start=True, scoring="loss").fit(X, y, X_val=X, y_val=y)
    # A set on which the scores of before can't be reached.
    other = (y_val + 1) % 3
    model.fit(X_val, other, X_val=X_val, y_val=other)
    best = model.best_validation_score_
    assert best == max(model.validation_scores_[-model.n_iter_ :])
    assert best == pytest.approx(-log_loss(other, model.predict_proba(X_val)))


# Metadata routing


def test_a_pipeline_scales_the_validation_set_by_its_own_steps(halves, routing):
    X, X_val, y, y_val = halves
    X, X_val = 100 * X + 50, 100 * X_val + 50
    mlp = classifier(scoring=None).set_fit_request(X_val=True, y_val=True)
    model = make_pipeline(Standardizer(), mlp, transform_input=["X_val"])
    model.fit(X, y, X_val=X_val, y_val=y_val)
    scaler = Standardizer().fit(X)
    by_hand = classifier(scoring=None).fit(
        scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val
    )
    assert model[-1].validation_scores_ == by_hand.validation_scores_
    assert model.score(X_val, y_val) == pytest.approx(by_hand.best_validation_score_)


@pytest.mark.needs("scikit-learn>=1.8", "a search routes weights into Pipeline.score")
def test_weights_are_routed_through_a_grid_search(halves, routing):
    X, _, y, _ = halves
    weight = np.where(y == 0, 1.0, 0.0)
    mlp = classifier(early_stopping=False).set_fit_request(sample_weight=True)
    mlp.set_score_request(sample_weight=True)
    pipeline = make_pipeline(Standardizer().set_fit_request(sample_weight=True), mlp)
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1e-2]}, cv=3)
    search.fit(X, y, sample_weight=weight)
    # Samples of the other classes weigh nothing: not in training, not in the score.
    assert set(search.predict(X)) == {0}
    assert search.best_score_ == 1
    scores = cross_validate(mlp, X, y, params={"sample_weight": weight}, cv=3)
    assert np.all(scores["test_score"] == 1)


def test_weights_reach_the_scorer_of_the_validation_set(halves):
    X, X_val, y, y_val = halves
    weight = np.where(y_val == 0, 1.0, 0.0)
    model = classifier(scoring="accuracy")
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    expected = accuracy_score(y_val, model.predict(X_val), sample_weight=weight)
    assert model.best_validation_score_ == expected
