"""Early stopping: what it watches, what it holds out, which epoch it keeps."""

import warnings
from time import process_time

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, get_scorer, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.neural_network._validation import hold_out

BOTH = pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])


def classifier(**params):
    options = {"hidden_layer_sizes": (10,), "early_stopping": True, "random_state": 0}
    return MLPClassifier(**{**options, "max_iter": 30, **params})


def regressor(**params):
    options = {"hidden_layer_sizes": (10,), "early_stopping": True, "random_state": 0}
    return MLPRegressor(**{**options, "max_iter": 30, **params})


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    return X, X[:, 0] + 0.1 * rng.normal(size=200)


def rare(seed, n_samples=2000):
    X, y = make_classification(
        n_samples=n_samples, weights=[0.95], class_sep=0.8, random_state=seed
    )
    return train_test_split(X, y, stratify=y, random_state=seed)


# The loss is watched by default


@pytest.mark.parametrize("seed", range(3))
def test_a_rare_class_is_learned(seed):
    X, X_test, y, y_test = rare(seed)
    params = {"hidden_layer_sizes": (50,), "max_iter": 200, "random_state": 0}
    stopped = MLPClassifier(early_stopping=True, **params).fit(X, y)
    trained = MLPClassifier(**params).fit(X, y)
    aucs = [roc_auc_score(y_test, m.predict_proba(X_test)[:, 1])
            for m in (stopped, trained)]  # fmt: skip
    assert aucs[0] > aucs[1] - 0.03


@pytest.mark.parametrize("seed", range(5))
def test_iris_is_learned_on_every_split(seed):
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = MLPClassifier(early_stopping=True, random_state=seed, max_iter=500)
    assert model.fit(X, y).score(X, y) > 0.93


@BOTH
def test_scores_are_negated_losses(make, three_classes):
    X, y = three_classes
    model = make(early_stopping=True, max_iter=5, random_state=0).fit(X, y)
    assert model.scoring == "loss"
    np.testing.assert_array_equal(
        model.validation_scores_, -np.array(model.validation_loss_curve_)
    )


def test_none_is_the_score_of_the_estimator(halves_of_three_classes, numbers):
    X, X_val, y, y_val = halves_of_three_classes
    model = classifier(scoring=None).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_validation_score_ == model.score(X_val, y_val)
    X, y = numbers
    model = regressor(scoring=None).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    score = model.score(X[100:], y[100:])
    assert model.best_validation_score_ == pytest.approx(score)


@pytest.fixture(scope="module")
def halves_of_three_classes():
    X, y = make_classification(
        n_samples=180, n_informative=5, n_classes=3, random_state=0
    )
    return train_test_split(X, y, test_size=0.5, random_state=0)


# The epoch that is kept


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@BOTH
def test_best_epoch_is_that_of_the_best_score(make, solver, halves_of_three_classes):
    X, X_val, y, y_val = halves_of_three_classes
    model = make(
        early_stopping=True, solver=solver, max_iter=60, alpha=0, random_state=0
    )
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_epoch_ == 1 + np.argmax(model.validation_scores_)
    short = make(solver=solver, max_iter=model.best_epoch_, alpha=0, random_state=0)
    short.fit(X, y)
    assert short.best_epoch_ == short.n_iter_ == model.best_epoch_
    np.testing.assert_allclose(short.predict(X), model.predict(X), rtol=1e-6)


def test_best_epoch_is_0_where_a_warm_start_found_nothing_better(numbers):
    X, y = numbers
    model = regressor(warm_start=True, max_iter=100).fit(X, y)
    model.set_params(learning_rate_init=0.5, solver="sgd", max_iter=3).fit(X, -y + 1)
    before = model.predict(X)
    model.set_params(learning_rate_init=100.0).fit(X, -y + 1)
    assert model.best_epoch_ == 0
    np.testing.assert_allclose(model.predict(X), before)


# Scores that are not finite


def never(estimator, X, y):
    return float("nan")


def infinite(estimator, X, y):
    return float("inf")


@pytest.mark.parametrize("scoring", [never, infinite])
@BOTH
def test_a_score_that_is_never_finite_raises(make, scoring, three_classes):
    X, y = three_classes
    model = make(early_stopping=True, scoring=scoring, max_iter=20)
    with pytest.raises(ValueError, match=rf"{scoring.__name__} on the held-out 9 of"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
    with pytest.raises(ValueError, match=f"{scoring.__name__} on X_val, y_val"):
        model.fit(X, y, X_val=X, y_val=y)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_sometimes_not_finite_is_no_improvement(wrong, three_classes):
    X, y = three_classes
    calls = []

    def scoring(estimator, X, y):
        calls.append(0)
        return wrong if len(calls) % 3 == 1 else estimator.score(X, y)

    model = classifier(scoring=scoring, max_iter=9)
    with pytest.warns(UserWarning, match="not finite after 3 of 9 epochs") as caught:
        model.fit(X, y)
    assert len([w for w in caught if "not finite" in str(w.message)]) == 1
    assert model.best_epoch_ % 3 != 1
    assert np.isfinite(model.best_validation_score_)


@pytest.mark.parametrize("scoring", [None, "r2"])
def test_r2_needs_two_samples_and_targets_that_differ(scoring, numbers):
    X, y = numbers
    model = regressor(scoring=scoring, max_iter=3)
    with pytest.raises(ValueError, match="R2 is undefined on X_val, y_val"):
        model.fit(X, y, X_val=X[:1], y_val=y[:1])
    with pytest.warns(UserWarning, match="are constant: R2 is at most 0"):
        model.fit(X, y, X_val=X[:9], y_val=np.full(9, 3.0))
    # The loss says which epoch is best on one sample, too.
    regressor(max_iter=3).fit(X, y, X_val=X[:1], y_val=y[:1])


def test_a_loss_that_is_not_finite_is_not_blamed_on_the_scorer(numbers):
    X, y = numbers
    for scoring in ("loss", None):
        model = regressor(scoring=scoring, max_iter=3)
        with pytest.raises(ValueError, match="look for extreme values") as caught:
            model.fit(X, y, X_val=1e200 * X, y_val=y)
        assert "Change scoring" not in str(caught.value)


@pytest.mark.parametrize(
    "scoring",
    ["explained_variance", get_scorer("r2"), get_scorer("explained_variance")],
)
def test_other_scores_of_variance_need_targets_that_differ(scoring, numbers):
    X, y = numbers
    with pytest.warns(UserWarning, match="are constant"):
        regressor(scoring=scoring, max_iter=3).fit(
            X, y, X_val=X[:9], y_val=np.full(9, 3.0)
        )


# Weights


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_belong_to_the_loss_and_not_to_scorers(given, weighted):
    X, X_val, y, y_val = rare(0, n_samples=400)
    weight = np.random.default_rng(0).random(len(y)) if weighted else None
    weight_val = np.random.default_rng(1).random(len(y_val)) if weighted else None
    class_weight = {0: 0.5, 1: 10.0}
    model = classifier(class_weight=class_weight, scoring="accuracy", max_iter=8)
    if given:
        model.fit(X, y, weight, X_val=X_val, y_val=y_val, sample_weight_val=weight_val)
    else:
        model.fit(X, y, weight)
        state = model._training_state
        _, rows = hold_out(len(y), 0.1, state.lasting_seed, y)
        X_val, y_val = X[rows], y[rows]
        weight_val = weight[rows] if weighted else None
    best = model.best_epoch_ - 1
    proba = model.predict_proba(X_val)
    expected = accuracy_score(y_val, model.predict(X_val), sample_weight=weight_val)
    assert model.validation_scores_[best] == pytest.approx(expected)
    loss_weight = np.where(y_val == 1, 10.0, 0.5) * (weight_val if weighted else 1)
    expected = log_loss(y_val, proba, sample_weight=loss_weight)
    assert model.validation_loss_curve_[best] == pytest.approx(expected)


def test_balanced_weights_of_the_validation_loss_are_those_of_the_training_data():
    X, X_val, y, y_val = rare(1, n_samples=400)
    model = classifier(class_weight="balanced", max_iter=5)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    weight = (len(y) / (2 * np.bincount(y)))[y_val]
    expected = log_loss(y_val, model.predict_proba(X_val), sample_weight=weight)
    assert -model.best_validation_score_ == pytest.approx(expected)


# What is held out


@pytest.mark.parametrize("scoring", ["roc_auc_ovr", "neg_log_loss"])
@pytest.mark.parametrize("seed", range(8))
def test_every_class_is_held_out_in_proportion(scoring, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1, 2], [200, 92, 8]))
    X = rng.normal(size=(300, 3)) + y[:, None]
    model = classifier(scoring=scoring, random_state=seed, max_iter=3).fit(X, y)
    assert np.isfinite(model.best_validation_score_)


@pytest.mark.parametrize("counts", [[200, 92, 8], [5, 5, 5, 5, 80], [50, 1, 49]])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_shares_are_proportional_to_rounding(counts, fraction):
    strata = np.random.default_rng(0).permutation(np.repeat(range(len(counts)), counts))
    train, held_out = hold_out(len(strata), fraction, 0, strata)
    assert sorted([*train, *held_out]) == list(range(len(strata)))
    shares = np.bincount(strata[held_out], minlength=len(counts))
    assert np.all(np.abs(shares - fraction * np.array(counts)) <= 1)
    assert np.all(np.bincount(strata[train], minlength=len(counts)) >= 1)


@pytest.mark.parametrize("names", [["ham", "spam", "egg"], [3, 1, 2], [False, True]])
def test_a_class_with_one_member_is_trained_on(names):
    rng = np.random.default_rng(0)
    y = np.array([names[i % (len(names) - 1)] for i in range(40)] + names[-1:])
    X = rng.normal(size=(41, 3))
    for seed in range(5):
        model = classifier(random_state=seed, max_iter=2).fit(X, y)
        assert set(model.classes_) == set(names)
        assert model.t_ == 2 * 36


def test_early_stopping_with_more_classes_than_samples_held_out():
    y = np.repeat(np.arange(50), 2)
    X = np.random.default_rng(0).normal(size=(100, 3))
    assert classifier(max_iter=2).fit(X, y).t_ == 2 * 90


def test_without_shuffling_the_rows_that_are_left_keep_their_order(numbers):
    train, held_out = hold_out(50, 0.2, 0, None)
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(held_out) > 0)
    assert len(held_out) == 10


# Validation sets in a search


def test_a_search_that_cuts_the_validation_set_is_warned_of(three_classes):
    X, y = three_classes
    search = GridSearchCV(classifier(max_iter=2), {"alpha": [0.1]}, cv=3, refit=False)
    with pytest.warns(UserWarning, match="only a part of the validation set"):
        search.fit(X, y, X_val=X, y_val=y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(X, y, X_val=X[:40], y_val=y[:40])
        # Outside a search equal lengths mean nothing.
        classifier(max_iter=2).fit(X, y, X_val=X, y_val=y)


# Cost


OBJECTS = np.array(["ham", "spam"], dtype=object)


@pytest.mark.parametrize("labels", [[0, 1], ["ham", "spam"], [0, 1, 2], OBJECTS])
def test_holding_out_costs_no_more_than_an_epoch(labels):
    rng = np.random.default_rng(0)
    y = np.array(labels)[rng.integers(len(labels), size=300_000)]
    X = rng.normal(size=(len(y), 4)).astype(np.float32)

    def cpu_time(early_stopping):
        model = classifier(early_stopping=early_stopping, max_iter=1, batch_size=1000)
        begin = process_time()
        model.fit(X, y)
        return process_time() - begin

    cpu_time(True)
    without = min(cpu_time(False) for _ in range(3))
    assert min(cpu_time(True) for _ in range(3)) < 2.5 * without
