"""Weights of samples and of classes."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from sknn_notes import MLPClassifier
from sknn_notes.losses import Hinge


def network(**params):
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (10,),
            "learning_rate_init": 0.01,
            "max_iter": 20,
            "random_state": 0,
            **params,
        }
    )


LOSSES = pytest.mark.parametrize("loss", ["log_loss", "hinge", Hinge(margin=0.5)])


# Weights of samples and classes


@pytest.mark.filterwarnings("ignore:.* has no effect")
@LOSSES
@pytest.mark.parametrize("problem", ["two_classes", "three_classes", "labels"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_weight_is_a_number_of_repetitions(problem, solver, loss, request):
    X, y = request.getfixturevalue(problem)
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    n_repeated = weight.sum()
    full_batch = {"batch_size": n_repeated, "solver": solver, "loss": loss}
    repeated = network(**full_batch).fit(
        np.repeat(X, weight, 0), np.repeat(y, weight, 0)
    )
    kept = weight > 0
    full_batch["batch_size"] = kept.sum()
    weighted = network(**full_batch).fit(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(
        weighted.decision_function(X),
        repeated.decision_function(X),
        rtol=1e-5,
        atol=1e-6,
    )
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_samples_of_weight_zero_do_not_count(three_classes, solver):
    X, y = three_classes
    weight = (np.arange(len(X)) % 3 > 0).astype(float)
    kept = weight > 0
    with_zeros = network(solver=solver, batch_size=len(X))
    with_zeros.fit(np.where(kept[:, None], X, 100.0), y, sample_weight=weight)
    without = network(solver=solver, batch_size=kept.sum()).fit(X[kept], y[kept])
    np.testing.assert_allclose(
        with_zeros.decision_function(X), without.decision_function(X), atol=1e-8
    )


def test_a_batch_without_weight_is_harmless(three_classes):
    X, y = three_classes
    weight = np.ones(len(X))
    weight[:30] = 0
    model = network(batch_size=10, shuffle=False).fit(X, y, sample_weight=weight)
    assert np.isfinite(model.decision_function(X)).all()
    assert model.score(X[30:], y[30:]) > 0.6


@pytest.mark.parametrize("factor", [1.0, 0.01, 1000.0, 1e308])
def test_only_the_ratio_of_weights_matters(three_classes, factor):
    X, y = three_classes
    weight = np.random.default_rng(0).random(len(X))
    one = network(batch_size=16).fit(X, y, sample_weight=weight)
    other = network(batch_size=16).fit(X, y, sample_weight=factor * weight)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-9)


def test_unit_weights_change_nothing(three_classes):
    X, y = three_classes
    one = network(batch_size=16, dropout=0.3).fit(X, y, sample_weight=np.ones(len(X)))
    other = network(batch_size=16, dropout=0.3).fit(X, y)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-12)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize(
    "class_weight", ["balanced", {0: 1.0, 1: 5.0, 2: 0.5}, {1: 4.0}]
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weights_are_sample_weights(three_classes, class_weight, solver):
    X, y = three_classes
    keep = (y == 0) | (np.arange(len(y)) % 3 == 0)
    X, y = X[keep], y[keep]
    params = {"solver": solver, "batch_size": 16}
    by_class = network(class_weight=class_weight, **params).fit(X, y)
    if isinstance(class_weight, dict):
        weight = np.array([class_weight.get(label, 1.0) for label in y])
    else:
        weight = compute_sample_weight("balanced", y)
    by_sample = network(**params).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(
        by_class.predict_proba(X), by_sample.predict_proba(X), rtol=1e-6, atol=1e-9
    )


def test_class_and_sample_weights_multiply(three_classes):
    X, y = three_classes
    weight = np.random.default_rng(0).random(len(X))
    both = network(class_weight={0: 3.0, 1: 1.0, 2: 0.5})
    both.fit(X, y, sample_weight=weight)
    product = weight * np.array([3.0, 1.0, 0.5])[y]
    one = network().fit(X, y, sample_weight=product)
    np.testing.assert_allclose(both.predict_proba(X), one.predict_proba(X), rtol=1e-8)


def test_class_weights_of_names(three_classes):
    X, y = three_classes
    names = np.array(["a", "b", "c"])
    by_name = network(class_weight={"a": 3.0, "b": 1.0, "c": 0.5}).fit(X, names[y])
    by_number = network(class_weight={0: 3.0, 1: 1.0, 2: 0.5}).fit(X, y)
    np.testing.assert_array_equal(by_name.predict_proba(X), by_number.predict_proba(X))


def test_balanced_counts_the_weights_of_the_samples(three_classes):
    X, y = three_classes
    weight = np.where(y == 0, 10.0, 1.0)
    balanced = network(class_weight="balanced").fit(X, y, sample_weight=weight)
    totals = np.bincount(y, weights=weight)
    by_hand = network().fit(X, y, sample_weight=weight / totals[y])
    np.testing.assert_allclose(
        balanced.predict_proba(X), by_hand.predict_proba(X), rtol=1e-8
    )


def test_balanced_ignores_a_class_whose_samples_all_weigh_nothing(three_classes):
    X, y = three_classes
    weight = (y > 0).astype(float)
    model = network(class_weight="balanced").fit(X, y, sample_weight=weight)
    assert np.isfinite(model.predict_proba(X)).all()


def test_balanced_labels_are_weighted_by_row(labels):
    X, Y = labels
    balanced = network(class_weight="balanced").fit(X, Y)
    by_hand = network().fit(X, Y, sample_weight=compute_sample_weight("balanced", Y))
    np.testing.assert_allclose(
        balanced.predict_proba(X), by_hand.predict_proba(X), rtol=1e-8
    )


def test_balanced_lifts_a_rare_class():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(0, 1, (190, 2)), rng.normal(1.5, 1, (10, 2))])
    y = np.r_[np.zeros(190, int), np.ones(10, int)]
    plain = network(max_iter=100).fit(X, y)
    balanced = network(max_iter=100, class_weight="balanced").fit(X, y)
    assert balanced.predict(X)[190:].mean() > plain.predict(X)[190:].mean()
