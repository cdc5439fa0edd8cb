"""A fit that ends no better than a constant prediction is warned of."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, Hinge, LogLoss

NO_BETTER = "no better than a constant"


def chance_warnings(model, X, y, *weights):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, *weights)
    texts = [str(w.message) for w in caught if w.category is ConvergenceWarning]
    return [text for text in texts if NO_BETTER in text]


def test_raw_inputs_are_named():
    X, y = load_wine(return_X_y=True)
    model = MLPClassifier(init="he_uniform", random_state=0)
    (text,) = chance_warnings(model, X, y)
    assert "The inputs reach 1.68e+03: scale them" in text
    assert chance_warnings(model, (X - X.mean(axis=0)) / X.std(axis=0), y) == []


@pytest.mark.parametrize(
    ("params", "cause"),
    [
        ({"alpha": 1e4, "solver": "lbfgs"}, "lower alpha, which reaches 10000"),
        (
            {"max_iter": 1, "learning_rate_init": 1e-9, "init": "he_uniform"},
            "max_iter=1 or",
        ),
        ({"init": "zeros", "n_hidden_layers": 2, "max_iter": 2000}, "init='zeros'"),
    ],
)
@pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])
def test_other_causes_are_named(make, params, cause):
    X, y = load_wine(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    (text,) = chance_warnings(
        make(hidden_layer_sizes=20, random_state=0, **params), X, y
    )
    assert cause in text


def test_a_rare_class_has_a_low_chance_level():
    X, y = make_classification(n_samples=400, weights=[0.95], random_state=0)
    model = MLPClassifier(max_iter=1, learning_rate_init=1e-9, random_state=0)
    (text,) = chance_warnings(model, X, y)
    p = y.mean()
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    assert f"that of the best constant {entropy:.4g}" in text


def test_weights_count():
    X, y = make_classification(n_samples=400, random_state=0)
    weight = np.where(y == 1, 0.1, 1.0)
    model = MLPClassifier(max_iter=1, learning_rate_init=1e-9, random_state=0)
    (text,) = chance_warnings(model, X, y, weight)
    p = np.average(y, weights=weight)
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    assert f"that of the best constant {entropy:.4g}" in text


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_no_network_that_learns_is_warned_of(loss, n_classes):
    X, y = make_classification(
        n_samples=300, n_informative=6, n_classes=n_classes, random_state=0
    )
    model = MLPClassifier(loss=loss, dropout=0.5, random_state=0)
    assert chance_warnings(model, X, y) == []


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_no_regressor_that_learns_is_warned_of(loss):
    X, y = load_diabetes(return_X_y=True)
    X = X / X.std(axis=0)
    y = y / 50 if loss in ("poisson", "gamma", "tweedie") else y
    assert chance_warnings(MLPRegressor(loss=loss, random_state=0), X, y) == []


# The constants themselves


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_no_other_constant_has_a_lower_loss(smoothing, weighted):
    rng = np.random.default_rng(0)
    weight = rng.random(200) if weighted else None
    targets = [rng.choice(4, 200, p=[0.7, 0.1, 0.1, 0.1])]
    targets += [(rng.random((200, 3)) < [0.1, 0.5, 0.9]).astype(float)]
    for y, n_raw in zip(targets, [4, 3], strict=True):
        loss = LogLoss(label_smoothing=smoothing)
        best = loss.constant(y, weight, n_raw)

        def mean_loss(raw, loss=loss, y=y):
            raw = np.tile(raw, (len(y), 1))
            losses, _ = loss.per_sample(raw, y, np)
            return np.average(losses, weights=weight)

        for _ in range(20):
            other = best + 0.1 * rng.normal(size=n_raw)
            assert mean_loss(best) <= mean_loss(other)


@pytest.mark.parametrize(
    "name", ["squared_error", "absolute_error", "quantile", "poisson"]
)
def test_constants_of_regression_losses(name):
    rng = np.random.default_rng(0)
    y = rng.poisson(3.0, size=(200, 2)).astype(float)
    loss = REGRESSION_LOSSES[name]()
    best = loss.constant(y, None, 2)

    def mean_loss(raw):
        raw = np.tile(raw, (len(y), 1))
        return np.mean(loss.per_sample(raw, y, np)[0])

    for _ in range(20):
        assert mean_loss(best) <= mean_loss(best + 0.1 * rng.normal(size=2))


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        # The top class costs (1 - p) K margin on average, zeros cost (K - 1) margin.
        ([0, 0, 1, 2], [3, 0, 0]),
        ([0, 1, 2], [0, 0, 0]),
        ([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [-3, 3]),
    ],
)
def test_the_constant_of_the_hinge_loss_by_hand(y, expected):
    y = np.array(y)
    best = Hinge(margin=3.0).constant(y, None, len(expected))
    np.testing.assert_array_equal(best, expected)


# False alarms


@pytest.mark.parametrize(
    ("make", "y"),
    [
        (MLPClassifier, np.zeros((60, 2), int)),
        (MLPClassifier, np.column_stack([np.zeros(60, int), np.ones(60, int)])),
        (MLPRegressor, np.full(60, 0.1)),
        (lambda: MLPRegressor("poisson"), np.zeros(60)),
    ],
)
def test_a_constant_that_is_right_is_no_bar(make, y):
    X = np.random.default_rng(0).normal(size=(60, 4))
    assert chance_warnings(make().set_params(random_state=0), X, y) == []


def test_a_weak_signal_is_no_constant():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 4))
    y = rng.random(20_000) < 1 / (1 + np.exp(-0.08 * X[:, 0]))
    model = MLPClassifier((), solver="lbfgs", alpha=0)
    assert chance_warnings(model, X, y) == []


def test_targets_are_named_where_they_are_the_cause():
    X, y = load_diabetes(return_X_y=True)
    model = MLPRegressor(standardize_target=False, max_iter=20, random_state=0)
    (text,) = chance_warnings(model, X / X.std(axis=0), 1000 * y)
    assert "set standardize_target=True" in text


def test_lbfgs_has_no_learning_rate_to_blame():
    X, y = load_diabetes(return_X_y=True)
    model = MLPRegressor(hidden_layer_sizes=(5, 5), solver="lbfgs", init="zeros")
    (text,) = chance_warnings(model, X / X.std(axis=0), y)
    assert "learning_rate_init" not in text
    assert "init='zeros'" in text


@pytest.mark.parametrize(
    "tree", ["balanced", "huffman", (("a", "b"), ("c", ("d", "e")))]
)
def test_the_constant_of_a_tree_has_the_entropy_of_the_classes(tree):
    rng = np.random.default_rng(0)
    p = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
    y = rng.permutation(np.repeat(range(5), (200 * p).astype(int)))
    loss = CLASSIFICATION_LOSSES["hierarchical_softmax"](tree=tree)
    loss.start(np.array(list("abcde")), np.bincount(y))
    raw = np.tile(loss.constant(y, None, 4), (len(y), 1))
    value = np.mean(loss.per_sample(raw, y, np)[0])
    assert value == pytest.approx(-np.sum(p * np.log(p)))
