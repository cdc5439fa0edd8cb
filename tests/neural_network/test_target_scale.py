"""Targets of a regression in any unit."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.losses import Huber, Quantile
from sknn_notes.neural_network._number_targets import TargetScale


def network(**params):
    options = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.01}
    return MLPRegressor(**{**options, "random_state": 0, **params})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 4))
    return X, X[:, 0] + np.sin(2 * X[:, 1]) + 0.1 * rng.normal(size=240)


LOSSES = [
    "squared_error",
    "absolute_error",
    "huber",
    "quantile",
    "gaussian_nll",
    Quantile([0.1, 0.5, 0.9]),
]
UNITS = [(1e-6, 0), (1e-6, 1e-3), (1.0, -1000.0), (3e5, 3e5), (1e9, 0), (1e9, -1e12)]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("exponent", [-20, 1, 30])
def test_a_power_of_two_multiplies_predictions_exactly(data, loss, exponent):
    X, y = data
    model = network(loss=loss, max_iter=5)
    expected = model.fit(X, y).predict(X)
    curve = model.loss_curve_
    model = clone(model).fit(X, 2.0**exponent * y)
    np.testing.assert_array_equal(model.predict(X), 2.0**exponent * expected)
    assert model.loss_curve_ == curve


@pytest.mark.parametrize(("factor", "offset"), UNITS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_score_does_not_depend_on_the_unit(data, factor, offset, early_stopping):
    X, y = data
    model = network(max_iter=5, early_stopping=early_stopping)
    few = model.fit(X, y).score(X, y)
    z = factor * y + offset
    assert clone(model).fit(X, z).score(X, z) == pytest.approx(few, abs=1e-9)
    model.set_params(max_iter=200)
    many = model.fit(X, y).score(X, y)
    assert many > 0.6
    assert clone(model).fit(X, z).score(X, z) == pytest.approx(many, abs=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_raw_targets_score_as_standardized_ones(data, loss):
    X, y = data
    y = 300_000 + 50_000 * y
    by_hand = (y - y.mean()) / y.std()
    model = network(loss=loss).fit(X, y)
    score = clone(model).fit(X, by_hand).score(X, by_hand)
    assert model.score(X, y) == pytest.approx(score, abs=1e-6)
    outside = TransformedTargetRegressor(clone(model), transformer=StandardScaler())
    assert outside.fit(X, y).score(X, y) == pytest.approx(score, abs=1e-6)


def test_published_weights_predict_in_the_unit_of_the_targets(data):
    X, y = data
    Y = np.column_stack([1e5 + 1e4 * y, -3 * y, 1e-4 * y])
    model = network().fit(X, Y)
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    by_hand = hidden @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(model.predict(X), by_hand, rtol=1e-12)
    assert r2_score(Y, by_hand, multioutput="raw_values").min() > 0.8


def test_statistics_are_weighted_and_of_the_rows_that_are_trained_on(data):
    X, y = data
    weight = np.random.default_rng(1).random(len(y))
    weight[::3] = 0
    y = np.where(weight == 0, 1e6, y)
    mean = np.average(y, weights=weight)
    std = np.sqrt(np.average((y - mean) ** 2, weights=weight))
    params = {"max_iter": 20, "batch_size": len(y), "solver": "sgd"}
    model = network(**params).fit(X, y, weight)
    by_hand = network(**params, standardize_target=False)
    by_hand.fit(X, (y - mean) / std, weight)
    np.testing.assert_allclose(model.predict(X), by_hand.predict(X) * std + mean, 1e-6)
    assert model.score(X, y, weight) > 0.3

    # Validation data has another mean: the loss tells, as it is not standardized by it.
    X, X_val, y, y_val = train_test_split(*data, random_state=0)
    model = network(early_stopping=True, max_iter=5)
    model.fit(X, y, X_val=X_val, y_val=y_val + 10)
    residual = (model.predict(X_val) - (y_val + 10)) / y.std()
    best = model.validation_loss_curve_[model.best_epoch_ - 1]
    assert best == pytest.approx(0.5 * np.mean(residual**2))


def test_watched_scorers_see_predictions_in_the_unit_of_the_targets(data):
    X, y = data
    y = 1000 + 100 * y
    model = network(early_stopping=True, scoring="neg_mean_absolute_error")
    model.fit(X, y, X_val=X[:50], y_val=y[:50])
    error = np.mean(np.abs(model.predict(X[:50]) - y[:50]))
    assert model.best_validation_score_ == pytest.approx(-error)


def test_a_transformed_target_leaves_the_validation_set_raw(data):
    # The loss of raw validation targets is no guide; TransformedTargetRegressor
    # transforms y alone. Without it nothing has to be transformed.
    X, y = data
    y = 1000 + 100 * y
    model = network(early_stopping=True).fit(X, y, X_val=X[:50], y_val=y[:50])
    assert model.score(X, y) > 0.6


@pytest.mark.parametrize("y", [np.full(50, 7.5), np.full((50, 2), -1e6), np.zeros(50)])
def test_constant_targets_are_divided_by_one(y):
    X = np.random.default_rng(0).normal(size=(50, 3))
    scale = network(max_iter=5).fit(X, y)._targets.scale
    assert np.all(scale.scale == 1)
    np.testing.assert_array_equal(scale.mean, np.atleast_2d(y.T).T.reshape(50, -1)[0])
    model = network(max_iter=100, alpha=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, atol=0.3)


def test_poisson_is_left_alone(data):
    X, y = data
    counts = np.random.default_rng(0).poisson(np.exp(y))
    a = network(loss="poisson").fit(X, counts)
    b = network(loss="poisson", standardize_target=False).fit(X, counts)
    np.testing.assert_array_equal(a.predict(X), b.predict(X))


def test_delta_is_in_standard_deviations(data):
    X, y = data
    by_hand = (y - y.mean()) / y.std()
    model = network(loss=Huber(delta=0.2)).fit(X, 1e4 * y)
    expected = network(loss=Huber(delta=0.2), standardize_target=False)
    expected.fit(X, by_hand)
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-6)


def test_without_it_targets_are_trained_on_as_they_are(data):
    X, y = data
    model = network(standardize_target=False, max_iter=3).fit(X, y)
    assert model.fit(X, 1000 * y).loss_curve_[0] > 1e5


# Incremental training


def test_partial_fit_keeps_the_statistics_of_its_first_chunk(data):
    X, y = data
    model = network().partial_fit(X[:100], 1e5 * y[:100])
    scale = model._targets.scale
    assert scale.mean[0] == pytest.approx(1e5 * y[:100].mean())
    for _ in range(300):
        model.partial_fit(X[100:], 1e5 * y[100:])
    assert model._targets.scale is scale
    assert model.score(X, 1e5 * y) > 0.8


@pytest.mark.parametrize("n_rows", [1, 3])
def test_a_first_chunk_without_spread_has_scale_one(data, n_rows):
    X, y = data
    model = network().partial_fit(X[:n_rows], np.full(n_rows, 5.0))
    assert model._targets.scale == ([5.0], [1.0])
    for _ in range(200):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.8


def test_a_first_chunk_without_weight_counts_its_samples_as_equal(data):
    X, y = data
    model = network().partial_fit(X, 10 * y, np.zeros(len(y)))
    assert model._targets.scale.scale[0] == pytest.approx(10 * y.std())


def test_small_steps_are_not_lost_in_the_unit_of_the_targets(data):
    # An output bias of 1e5 in float32 can't tell the steps that training makes.
    X, y = data[0].astype(np.float32), 1e5 + data[1]
    params = {"solver": "sgd", "learning_rate_init": 1e-3, "batch_size": 240}
    model, plain = network(**params), network(**params)
    for _ in range(50):
        model.partial_fit(X, y)
        plain.partial_fit(X, data[1])
    assert model.loss_ == pytest.approx(plain.loss_, rel=1e-3)


@pytest.mark.parametrize(
    ("factor", "offset"), [(1.0, 0.0), (1000.0, 5.0), (1e-3, -2.0)]
)
def test_a_warm_start_goes_on_from_its_predictions(data, factor, offset):
    X, y = data
    model = network(warm_start=True, solver="sgd", momentum=0.0).fit(X, y)
    before = model.predict(X)
    model.set_params(learning_rate_init=1e-300, max_iter=1).fit(X, factor * y + offset)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-9, atol=1e-9)
    assert model._targets.scale.scale[0] == pytest.approx(factor * y.std())


def test_a_fit_that_fails_leaves_the_unit_as_it_was(data):
    X, y = data
    params = {"warm_start": True, "max_iter": 3, "solver": "sgd"}
    model, other = network(**params).fit(X, y), network(**params).fit(X, y)
    model.set_params(learning_rate_init=1e200, loss="squared_error")
    with pytest.raises(ValueError, match="finite"):
        model.fit(X, 1e3 * y)
    model.set_params(learning_rate_init=other.learning_rate_init, loss="poisson")
    with pytest.raises(ValueError, match="poisson"):
        model.partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    model.set_params(loss="squared_error").partial_fit(X, y)
    np.testing.assert_array_equal(model.predict(X), other.partial_fit(X, y).predict(X))


def test_weights_set_by_hand_are_gone_on_from(data):
    X, y = data
    model = network(warm_start=True, solver="sgd", momentum=0.0)
    model.fit(X, 100 * y + 7)
    model.coefs_[-1] = 2 * model.coefs_[-1]
    model.intercepts_[-1] = model.intercepts_[-1] + 3
    before = model.predict(X)
    model.set_params(learning_rate_init=1e-300, max_iter=1).fit(X, 100 * y + 7)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-9)


# Ends of floating point


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e200, 1.7e308])
def test_statistics_neither_overflow_nor_vanish(size):
    y = size * np.array([[0.5], [-1.0], [1.0], [0.25]])
    scale = TargetScale.from_targets(y, None)
    assert np.isfinite(scale.scale).all()
    assert np.all(scale.scale > 0)
    if size > 1e-300:
        np.testing.assert_allclose(scale.scale / size, [0.7368641326594747], rtol=1e-6)


def test_the_remedy_speaks_of_the_targets_where_they_are_the_cause(data):
    X, y = data
    params = {"solver": "sgd", "learning_rate_init": 0.1, "max_iter": 50}
    model = network(**params, standardize_target=False)
    with pytest.raises(ValueError, match=r"y reaches 3.*: set standardize_target=True"):
        model.fit(X, 1e5 * y)
    counts = np.full(len(y), 1e6)
    with pytest.raises(ValueError, match=r"y reaches 1e\+06: divide it by a constant"):
        network(**params, loss="poisson").fit(X, counts)
    with pytest.raises(ValueError, match="Scale the inputs") as caught:
        network(**params).fit(1e6 * X, y)
    assert "y reaches" not in str(caught.value)


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_single_precision_predicts_as_double_does(data, offset):
    X, y = data
    y = 10 * y + offset
    model = network(max_iter=20)
    double = model.fit(X, y).predict(X)
    single = model.fit(X.astype(np.float32), y).predict(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-4 * y.std())


# Targets that the computing type can't tell apart


@pytest.mark.parametrize(("factor", "offset"), [(10, 1.7e9), (1, 1e8), (1e-50, 0)])
def test_targets_that_float32_can_not_tell_apart_raise(data, factor, offset):
    X, y = data[0].astype(np.float32), factor * data[1] + offset
    with pytest.raises(ValueError, match="float32 can't distinguish from a constant"):
        network(max_iter=2).fit(X, y)
    assert network(dtype="float64").fit(X, y).score(X, y) > 0.6
    # A constant is one in any type.
    network(max_iter=2).fit(X, np.full(len(y), 1.7e9))


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_a_stream_that_turns_to_poisson_leaves_targets_alone(data, loss):
    X, y = data[0], np.exp(data[1])
    model = network(loss=loss)
    for _ in range(50):
        model.partial_fit(X, y)
    model.set_params(loss="poisson")
    for _ in range(300):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.7


@pytest.mark.parametrize("scale", [3e5, 1e-3])
def test_validation_targets_in_another_unit_are_warned_of(data, scale):
    X, y = data
    model = network(early_stopping=True, max_iter=3)
    outside = TransformedTargetRegressor(model, transformer=StandardScaler())
    y = scale * (y + 500)
    with pytest.warns(UserWarning, match="Pass y_val in the unit of y"):
        outside.fit(X, y, X_val=X[:50], y_val=1e5 * y[:50])
    model.fit(X, y, X_val=X[:50], y_val=y[:50])


def test_weights_that_overflow_in_the_unit_of_the_targets_raise(data):
    X, y = data[0].astype(np.float32), 1e30 * data[1]
    model = network(learning_rate_init=1e17, max_iter=1)
    with pytest.raises(ValueError, match=r"finite|overflow"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("several", [False, True])
def test_r2_is_that_of_scikit_learn_in_any_unit(data, unit, several):
    X, y = data
    y = np.column_stack([y, 1e-200 * y**2, np.ones_like(y)]) if several else y
    weight = np.arange(len(y)) % 3
    model = network(max_iter=5).fit(X, y)
    expected = r2_score(y, model.predict(X))
    if several:  # The squares of the second column are too small.
        far = [1, 1e200, 1]
        expected = r2_score(y * far, model.predict(X) * far)
    assert model.score(X, y) == pytest.approx(expected, rel=1e-12)
    other = network(max_iter=5).fit(X, unit * y)
    if not several:
        assert other.score(X, unit * y) == pytest.approx(expected, rel=1e-6)
        expected = r2_score(y, model.predict(X), sample_weight=weight)
        assert model.score(X, y, sample_weight=weight) == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_r2_of_predictions_far_from_small_targets(data, dtype):
    X, y = (array.astype(dtype) for array in data)
    model = network(max_iter=2).fit(X, y)
    tiny = y * np.finfo(dtype).tiny
    assert model.score(X, tiny) == -np.inf
    close = r2_score(1e-3 * y, model.predict(X))
    assert model.score(X, 1e-3 * y) == pytest.approx(close, rel=1e-5)
    with pytest.raises(ValueError, match="different number of output"):
        model.score(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="y must hold numbers"):
        model.score(X, [10**400] * len(y))


def test_the_mean_of_the_largest_floats_is_finite():
    y = np.full(10, np.finfo(float).max)
    weight = np.random.default_rng(1).random(10)
    scale = TargetScale.from_targets(y[:, None], weight)
    np.testing.assert_array_equal(scale.mean, y[:1])


def test_huge_weights_standardize_targets_as_small_ones(data):
    _, y = data
    weight = np.random.default_rng(0).random(len(y))
    expected = TargetScale.from_targets(y[:, None], weight)
    found = TargetScale.from_targets(y[:, None], 1e308 * weight)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-12)


def test_huge_weights_score_as_small_ones(data):
    X, y = data
    weight = np.random.default_rng(0).random(len(y))
    classifier = MLPClassifier((3,), max_iter=2, random_state=0).fit(X, y > 0)
    for model, targets in [(network(max_iter=2).fit(X, y), y), (classifier, y > 0)]:
        expected = model.score(X, targets, sample_weight=weight)
        found = model.score(X, targets, sample_weight=1e308 * weight)
        assert found == pytest.approx(expected, rel=1e-12)
        for wrong in ([10**400] * len(y), ["a"] * len(y)):
            with pytest.raises(ValueError, match="sample_weight must hold numbers"):
                model.score(X, targets, sample_weight=wrong)


def test_partial_fit_says_that_the_sum_of_weights_overflows(data):
    X, y = data
    with pytest.raises(ValueError, match="divide sample_weight by its mean"):
        network(embedding="piecewise_linear").partial_fit(X, y, np.full(len(y), 1e308))
