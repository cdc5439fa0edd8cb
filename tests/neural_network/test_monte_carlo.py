"""Monte Carlo averages over the training noise, and the spread they measure."""

import pickle
from itertools import product

import numpy as np
import pytest
from scipy.special import log_softmax, logit
from sklearn.base import clone

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.noise import FractionalMaxPooling, GaussianNoise, RandomShift

NOISES = {
    "dropout": {"dropout": 0.3},
    "input dropout": {"input_dropout": 0.2},
    "dropconnect": {"dropconnect": 0.2},
    "standard scaling": {"dropout": 0.3, "dropout_scaling": "standard"},
    "augment": {"augment": GaussianNoise(std=0.3)},
    "all": {
        "dropout": [0.3, 0.2],
        "input_dropout": 0.1,
        "dropconnect": 0.1,
        "augment": [GaussianNoise(std=0.1)],
    },
}
every_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
PROBLEMS = ["two_classes", "three_classes", "labels"]
every_problem = pytest.mark.parametrize("problem", PROBLEMS)


def network(cls=MLPClassifier, **parameters):
    defaults = {
        "hidden_layer_sizes": (12, 8),
        "marginalization": "monte_carlo",
        "batch_size": 20,
        "max_iter": 15,
        "learning_rate_init": 0.01,
        "random_state": 0,
    }
    return cls(**(defaults | parameters))


def average(model):
    """Return a fitted copy of the model that averages analytically."""
    return pickle.loads(pickle.dumps(model)).set_params(marginalization="analytic")


# The average


@every_noise
def test_on_a_linear_network_it_approaches_the_analytic_prediction(two_targets, noise):
    X, y = two_targets
    model = network(MLPRegressor, activation="identity", **noise).fit(X, y)
    exact = average(model).predict(X)
    gaps = []
    for n_passes in (10, 100, 3000):
        model.set_params(n_mc_samples=n_passes)
        gap = np.abs(model.predict(X) - exact)
        gaps.append(gap.mean())
        error = model.predict_spread(X) / np.sqrt(n_passes)
        # The error of a few passes is itself uncertain.
        assert n_passes == 10 or np.all(gap < 5 * error)
    # The error falls with the square root of the number of passes, 17 at the end.
    assert gaps[2] < gaps[0] / 5


def test_on_a_deep_network_the_averages_differ(one_target):
    X, y = one_target
    params = {"dropout": 0.5, "n_mc_samples": 3000, "init": "he_uniform"}
    model = network(MLPRegressor, **params).fit(X, y)
    error = model.predict_spread(X)[:, 0] / np.sqrt(3000)
    gap = np.abs(model.predict(X) - average(model).predict(X))
    assert np.mean(gap > 5 * error) > 0.5


def test_more_passes_continue_the_first_ones(one_target):
    X, y = one_target
    model = network(MLPRegressor, dropout=0.3).fit(X, y)
    one, two, three = (model.set_params(n_mc_samples=n).predict(X) for n in (1, 2, 3))
    # Pass k is the same whatever their number, so its output can be told.
    second, third = 2 * two - one, 3 * three - 2 * two
    model.set_params(n_mc_samples=3)
    spread = np.std([one, second, third], axis=0)
    np.testing.assert_allclose(model.predict_spread(X)[:, 0], spread, 1e-8, 1e-12)


# Predictions repeat and depend on their row alone


@every_noise
@every_problem
def test_predictions_repeat(problem, noise, request):
    X, y = request.getfixturevalue(problem)
    model = network(**noise).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(model.predict_spread(X), model.predict_spread(X))
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


def test_predicting_draws_nothing_from_the_generator_of_training(three_classes):
    X, y = three_classes
    models = [network(dropout=0.3).fit(X, y) for _ in range(2)]
    models[0].predict_proba(X)
    for model in models:
        model.partial_fit(X, y)
    for a, b in zip(models[0].coefs_, models[1].coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_draws_other_networks(three_classes):
    X, y = three_classes
    probabilities = []
    for seed in (0, 1):
        model = network(dropout=0.3, random_state=seed, max_iter=1).fit(X, y)
        for W in model.coefs_:
            W[...] = np.random.default_rng(0).normal(size=W.shape)
        probabilities.append(model.predict_proba(X))
    assert not np.allclose(*probabilities, rtol=1e-3)


@every_noise
@every_problem
def test_a_row_is_predicted_alike_alone_and_among_others(problem, noise, request):
    X, y = request.getfixturevalue(problem)
    model = network(**noise).fit(X, y)
    for method in (model.predict_proba, model.decision_function, model.predict_spread):
        together = method(X)
        np.testing.assert_allclose(method(X[7:8])[0], together[7], 1e-9, 1e-12)
        np.testing.assert_allclose(method(X[::-5]), together[::-5], 1e-9, 1e-12)
        twice = method(np.vstack([X[:3], X[:3]]))
        np.testing.assert_allclose(twice[3:], together[:3], 1e-9, 1e-12)


def test_many_rows_are_predicted_like_few(three_classes):
    X, y = three_classes
    model = network(dropout=0.3, n_mc_samples=2).fit(X, y)
    few = model.predict_proba(X)
    many = model.predict_proba(np.tile(X, (50, 1)))
    np.testing.assert_allclose(many[-len(X) :], few, rtol=1e-10)


# Probabilities are averaged, or raw outputs


def passes(model, X):
    """Return the probabilities of every pass, from averages over 1, 2, ... passes."""
    sums = [np.zeros(())]
    for n in range(1, 6):
        model.set_params(n_mc_samples=n)
        sums.append(n * model.predict_proba(X))
    return np.diff(np.stack([np.zeros_like(sums[1]), *sums[1:]]), axis=0)


@pytest.mark.parametrize(
    ("problem", "loss"),
    [(problem, "log_loss") for problem in PROBLEMS]
    + [(problem, "hierarchical_softmax") for problem in PROBLEMS[:2]],
)
def test_probabilities_are_averaged(problem, loss, request):
    X, y = request.getfixturevalue(problem)
    model = network(dropout=0.5, loss=loss).fit(X, y)
    each = passes(model, X)
    assert np.all(each > -1e-12)
    assert np.all(each < 1 + 1e-12)
    proba = model.predict_proba(X)
    if problem != "labels":
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
        np.testing.assert_allclose(each.sum(axis=2), 1, rtol=1e-9)
    spread = np.std(each, axis=0)
    spread = spread[:, 1:] if problem == "two_classes" else spread
    np.testing.assert_allclose(model.predict_spread(X), spread, rtol=1e-6, atol=1e-12)


@every_problem
def test_decisions_are_logarithms_of_the_averaged_probabilities(problem, request):
    X, y = request.getfixturevalue(problem)
    model = network(dropout=0.5).fit(X, y)
    proba, decisions = model.predict_proba(X), model.decision_function(X)
    if problem == "two_classes":
        expected = logit(proba[:, 1])
    elif problem == "labels":
        expected = logit(proba)
    else:
        expected = np.log(proba)
    np.testing.assert_allclose(decisions, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(proba), rtol=1e-12)


@every_problem
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
def test_predictions_follow_the_decisions(problem, loss, request):
    X, y = request.getfixturevalue(problem)
    model = network(dropout=0.5, loss=loss).fit(X, y)
    decisions, predicted = model.decision_function(X), model.predict(X)
    if problem == "three_classes":
        np.testing.assert_array_equal(predicted, decisions.argmax(axis=1))
    else:
        np.testing.assert_array_equal(predicted, (decisions > 0).astype(int))
    if loss == "log_loss" and problem != "labels":
        proba = model.predict_proba(X)
        np.testing.assert_array_equal(predicted, proba.argmax(axis=1))


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("problem", ["two_classes", "three_classes"])
def test_hinges_average_raw_outputs(problem, loss, request):
    X, y = request.getfixturevalue(problem)
    model = network(
        hidden_layer_sizes=(), input_dropout=0.2, loss=loss, n_mc_samples=3000
    ).fit(X, y)
    spread = model.predict_spread(X)
    # A linear network: the mean of raw outputs is the raw output of the mean.
    gap = np.abs(model.decision_function(X) - average(model).decision_function(X))
    assert np.all(gap.reshape(spread.shape) < 5 * spread / np.sqrt(3000))
    assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.75])
def test_poisson_averages_means(one_target, rate):
    X, y = one_target
    model = network(
        MLPRegressor,
        hidden_layer_sizes=(),
        loss="poisson",
        input_dropout=rate,
        n_mc_samples=3000,
    ).fit(X, np.exp(y))
    masks = np.array(list(product([0, 1], repeat=X.shape[1])))
    shares = np.prod(np.where(masks, 1 - rate, rate), axis=1)
    kept = masks[:, None] * X / (1 - rate)
    means = np.exp(kept @ model.coefs_[0][:, 0] + model.intercepts_[0])
    expected = shares @ means
    spread = np.sqrt(shares @ (means - expected) ** 2)
    assert np.all(np.abs(model.predict(X) - expected) < 5 * spread / np.sqrt(3000))
    np.testing.assert_allclose(model.predict_spread(X)[:, 0], spread, rtol=0.2)
    # The exponential of the mean logarithm is another number.
    assert np.mean(np.abs(average(model).predict(X) - expected) > spread / 10) > 0.5


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_a_regressor_averages_what_single_passes_predict(one_target, loss):
    X, y = one_target
    model = network(MLPRegressor, loss=loss, dropout=0.3).fit(X, np.exp(y))
    first = model.set_params(n_mc_samples=1).predict(X)
    both = model.set_params(n_mc_samples=2).predict(X)
    spread = model.predict_spread(X)[:, 0]
    np.testing.assert_allclose(spread, np.abs(first - both), rtol=1e-6, atol=1e-12)


def test_probabilities_are_less_extreme_than_those_of_the_average_network(
    three_classes,
):
    # The mean of softmaxes is flatter than the softmax of means.
    X, y = three_classes
    model = network(dropout=0.5, max_iter=100, n_mc_samples=200).fit(X, y)
    sampled = model.predict_proba(X).max(axis=1)
    analytic = average(model).predict_proba(X).max(axis=1)
    assert np.mean(sampled) < np.mean(analytic)


# The spread


@pytest.mark.parametrize(
    ("problem", "n_outputs"), [("two_classes", 1), ("three_classes", 3), ("labels", 4)]
)
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("marginalization", ["analytic", "monte_carlo"])
def test_a_classifiers_spread_has_a_column_per_output(
    problem, n_outputs, loss, marginalization, request
):
    X, y = request.getfixturevalue(problem)
    model = network(dropout=0.3, loss=loss, marginalization=marginalization).fit(X, y)
    spread = model.predict_spread(X)
    assert spread.shape == (len(X), n_outputs)
    assert np.all(spread >= 0)
    assert np.all(spread.max(axis=1) > 0)
    if loss == "log_loss":
        # No standard deviation of numbers in [0, 1] is larger.
        assert spread.max() <= 0.5


@pytest.mark.parametrize(
    ("problem", "n_outputs"), [("one_target", 1), ("two_targets", 2)]
)
def test_a_regressors_spread_has_a_column_per_target(problem, n_outputs, request):
    X, y = request.getfixturevalue(problem)
    # No unit of tanh is silent on a sample.
    model = network(MLPRegressor, dropout=0.3, activation="tanh").fit(X, y)
    spread = model.predict_spread(X)
    assert spread.shape == (len(X), n_outputs)
    assert np.all(spread > 0)


def test_the_spread_of_one_pass_is_zero(one_target):
    X, y = one_target
    model = network(MLPRegressor, dropout=0.3, n_mc_samples=1).fit(X, y)
    np.testing.assert_array_equal(model.predict_spread(X), 0)


def test_the_spread_grows_away_from_the_data(one_target):
    X, y = one_target
    model = network(MLPRegressor, dropout=0.3, max_iter=100).fit(X, y)
    assert model.predict_spread(20 * X).mean() > 3 * model.predict_spread(X).mean()


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("marginalization", ["analytic", "monte_carlo"])
@pytest.mark.parametrize(
    "noise", [{}, {"dropout": 0.0}, {"dropout": [0.0, 0.0]}, {"augment": []}], ids=str
)
def test_without_noise_there_is_no_spread(three_classes, noise, marginalization):
    X, y = three_classes
    model = network(marginalization=marginalization, **noise).fit(X, y)
    with pytest.raises(ValueError, match=r"predict_spread.*Set dropout, input_"):
        model.predict_spread(X)
    # What does predict is the network itself.
    np.testing.assert_allclose(
        model.predict_proba(X), average(model).predict_proba(X), rtol=1e-12
    )


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_dropout_without_a_layer_to_drop_from_is_no_noise(three_classes):
    X, y = three_classes
    model = network(hidden_layer_sizes=(), dropout=0.5).fit(X, y)
    with pytest.raises(ValueError, match="trained without"):
        model.predict_spread(X)


# With the rest of the network


def test_batch_norm_stays_in_its_prediction_mode(three_classes):
    X, y = three_classes
    model = network(batch_norm=True, dropout=0.3).fit(X, y)
    before = pickle.dumps(model.batch_norm_)
    together = model.predict_proba(X)
    # The statistics of rows like these would be far from the running ones.
    np.testing.assert_allclose(model.predict_proba(X[:1]), together[:1], rtol=1e-9)
    X[-1] += 1000
    among_outliers = model.predict_proba(np.vstack([X[:1], X[-1:]]))
    X[-1] -= 1000
    np.testing.assert_allclose(among_outliers[:1], together[:1], rtol=1e-9)
    assert pickle.dumps(model.batch_norm_) == before


def test_batch_norm_on_a_linear_network_agrees_with_the_analytic_average(two_targets):
    X, y = two_targets
    model = network(
        MLPRegressor,
        activation="identity",
        batch_norm=True,
        dropout=0.3,
        n_mc_samples=3000,
    ).fit(X, y)
    gap = np.abs(model.predict(X) - average(model).predict(X))
    assert np.all(gap < 5 * model.predict_spread(X) / np.sqrt(3000))


@pytest.mark.parametrize("noise", [RandomShift(), FractionalMaxPooling()], ids=str)
def test_a_pass_draws_one_noise_of_the_images_for_all_rows(noise):
    rng = np.random.default_rng(0)
    X = rng.random((30, 25))
    y = np.arange(30) % 3
    model = network(augment=noise, max_iter=3, n_mc_samples=1).fit(X, y)
    together = model.predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X[4:5]), together[4:5], rtol=1e-9)
    model.set_params(n_mc_samples=20)
    assert model.predict_spread(X).max() > 0


@every_noise
def test_it_survives_pickling(three_classes, noise):
    X, y = three_classes
    model = network(**noise).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict_spread(X), model.predict_spread(X))


def test_it_may_be_chosen_after_training(three_classes):
    X, y = three_classes
    sampled = network(dropout=0.3).fit(X, y)
    switched = network(dropout=0.3, marginalization="analytic").fit(X, y)
    switched.set_params(marginalization="monte_carlo")
    np.testing.assert_array_equal(switched.predict_proba(X), sampled.predict_proba(X))
    sampled.set_params(marginalization="analytic")
    np.testing.assert_allclose(
        sampled.predict_log_proba(X),
        log_softmax(sampled.decision_function(X), axis=1),
        rtol=1e-9,
    )


def test_float32_stays_float32(three_classes):
    X, y = three_classes
    model = network(dropout=0.3).fit(X.astype(np.float32), y)
    for method in (model.predict_proba, model.decision_function, model.predict_spread):
        assert method(X.astype(np.float32)).dtype == np.float32


def test_averaged_probabilities_that_round_to_0_or_1_have_finite_logarithms():
    X = np.array([[-1.0], [1.0]] * 20, np.float32)
    y = (X[:, 0] > 0).astype(int)
    model = MLPClassifier(
        dropout=0.1,
        marginalization="monte_carlo",
        learning_rate_init=0.01,
        random_state=0,
    ).fit(X, y)
    far = np.array([[-1e4], [1e4]], np.float32)
    assert np.isfinite(model.decision_function(far)).all()
    assert np.isfinite(model.predict_log_proba(far)).all()
    np.testing.assert_array_equal(model.predict(far), [0, 1])
