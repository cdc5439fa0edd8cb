"""Dropout of units, inputs and weights through the estimators."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes import MLPClassifier, MLPRegressor

NOISES = {
    "dropout": {"dropout": 0.5},
    "one rate a layer": {"dropout": [0.25, 0.5]},
    "input dropout": {"input_dropout": 0.25},
    "dropconnect": {"dropconnect": 0.25},
    "all": {"dropout": 0.25, "input_dropout": 0.25, "dropconnect": 0.25},
}
every_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
every_scaling = pytest.mark.parametrize("scaling", ["inverted", "standard"])


def regressor(**parameters):
    defaults = {
        "hidden_layer_sizes": (10, 8),
        "batch_size": 20,
        "max_iter": 5,
        "random_state": 0,
    }
    return MLPRegressor(**(defaults | parameters))


def forward(model, X, rates=(1, 1), input_rate=1, weight_rate=1, activation=None):
    """Return the raw outputs with the given factors after every layer, by formula."""
    activation = activation or (lambda Z: Z)
    A = X * input_rate
    for W, b, rate in zip(
        model.coefs_[:-1], model.intercepts_[:-1], rates, strict=True
    ):
        A = activation(A @ (W * weight_rate) + b) * rate
    return (A @ (model.coefs_[-1] * weight_rate) + model.intercepts_[-1])[:, 0]


def relu(Z):
    return np.maximum(Z, 0)


# Prediction


@every_noise
def test_inverted_dropout_predicts_with_the_weights_as_they_are(one_target, noise):
    X, y = one_target
    model = regressor(**noise).fit(X, y)
    np.testing.assert_allclose(
        model.predict(X), forward(model, X, activation=relu), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize(
    ("noise", "kept"),
    [
        ({"dropout": 0.5}, {"rates": (0.5, 0.5)}),
        ({"dropout": [0.25, 0.5]}, {"rates": (0.75, 0.5)}),
        ({"dropout": [0.25, 0.0]}, {"rates": (0.75, 1)}),
        ({"input_dropout": 0.25}, {"input_rate": 0.75}),
        ({"dropconnect": 0.25}, {"weight_rate": 0.75}),
        (
            {"dropout": 0.5, "input_dropout": 0.25, "dropconnect": 0.125},
            {"rates": (0.5, 0.5), "input_rate": 0.75, "weight_rate": 0.875},
        ),
    ],
)
def test_standard_dropout_predicts_with_what_is_kept_on_average(
    one_target, noise, kept, activation
):
    X, y = one_target
    model = regressor(dropout_scaling="standard", activation=activation, **noise)
    model.fit(X, y)
    expected = forward(
        model, X, activation=relu if activation == "relu" else None, **kept
    )
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-10, atol=1e-12)


def test_a_classifier_predicts_with_the_same_scaling(three_classes):
    X, y = three_classes
    model = MLPClassifier(
        (10,), dropout=0.5, dropout_scaling="standard", max_iter=5, random_state=0
    ).fit(X, y)
    (W, V), (b, c) = model.coefs_, model.intercepts_
    np.testing.assert_allclose(
        model.decision_function(X), 0.5 * relu(X @ W + b) @ V + c, rtol=1e-10
    )


# Inverted and standard dropout agree in expectation


def linear_passes(scaling, noise, n_passes=2000):
    """Return sampled and average predictions of one untrained linear network."""
    rng = np.random.default_rng(0)
    X = 1 + rng.normal(size=(12, 5))
    model = regressor(
        activation="identity",
        dropout_scaling=scaling,
        solver="sgd",
        learning_rate_init=1e-300,
        max_iter=1,
        batch_size=12,
        bias_init=0.1,
        n_mc_samples=n_passes,
        **noise,
    ).fit(X, X[:, 0])
    average = model.predict(X)
    model.set_params(marginalization="monte_carlo")
    error = model.predict_spread(X)[:, 0] / np.sqrt(n_passes)
    return average, model.predict(X), error


@every_scaling
@every_noise
def test_a_linear_network_predicts_the_mean_over_its_masks(noise, scaling):
    average, mean, error = linear_passes(scaling, noise)
    assert np.all(error > 0)
    assert np.all(np.abs(mean - average) < 5 * error)


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_both_scalings_take_the_same_steps_in_units_of_what_is_kept(one_target, rate):
    # With weights that are 1 / keep times as large after it, standard dropout is the
    # inverted one: the weights before it move alike, those after it keep times as far.
    X, y = one_target
    keep, moves = 1 - rate, []
    for scaling, factor in (("inverted", 1), ("standard", keep)):
        model = regressor(
            hidden_layer_sizes=(8,),
            solver="sgd",
            momentum=0.0,
            alpha=0.0,
            learning_rate_init=1e-300,
            dropout=rate,
            dropout_scaling=scaling,
            batch_size=len(X),
            warm_start=True,
            max_iter=1,
        ).fit(X, y)
        model.coefs_[1] /= factor
        W, V = (array.copy() for array in model.coefs_)
        model.set_params(learning_rate_init=0.1).fit(X, y)
        moves.append((model.coefs_[0] - W, (model.coefs_[1] - V) / factor))
        assert np.abs(moves[-1][0]).max() > 1e-3
    for inverted, standard in zip(*moves, strict=True):
        np.testing.assert_allclose(inverted, standard, rtol=1e-9, atol=1e-12)


# Training


@every_noise
@every_scaling
def test_the_seed_decides_the_masks(one_target, noise, scaling):
    X, y = one_target
    first, again, other = (
        regressor(dropout_scaling=scaling, random_state=seed, **noise).fit(X, y)
        for seed in (0, 0, 1)
    )
    for a, b in zip(first.coefs_, again.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.loss_curve_ == again.loss_curve_
    assert first.loss_curve_ != other.loss_curve_


@every_noise
def test_masks_are_drawn_anew_for_every_batch(one_target, noise):
    X, y = one_target
    # Weights that rounding keeps from moving: only masks tell epochs apart.
    model = regressor(
        solver="sgd",
        learning_rate_init=1e-300,
        batch_size=len(X),
        shuffle=False,
        n_iter_no_change=np.inf,
        max_iter=10,
        **noise,
    ).fit(X, y)
    assert len(set(model.loss_curve_)) == 10


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("noise", [{"dropout": 0.0}, {"dropout": [0.0, 0.0]}])
@every_scaling
def test_a_rate_of_zero_changes_nothing(one_target, noise, scaling):
    X, y = one_target
    model = regressor(
        **noise, dropout_scaling=scaling, input_dropout=0.0, dropconnect=0.0
    ).fit(X, y)
    plain = regressor().fit(X, y)
    for a, b in zip(model.coefs_, plain.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_units_that_are_dropped_do_not_learn(one_target):
    X, y = one_target
    # Of 80 rows and 10 units in 5 epochs hardly any pass the first layer.
    options = {"dropout": [1 - 1e-4, 0.0], "alpha": 0.0, "solver": "sgd"}
    model = regressor(**options).fit(X, y)
    start = regressor(**options | {"learning_rate_init": 1e-300}).fit(X, y)
    stayed = np.all(model.coefs_[0] == start.coefs_[0], axis=0)
    assert np.mean(stayed) > 0.5
    assert (model.intercepts_[-1] != 0).all()


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_without_hidden_layers_a_list_of_rates_is_empty(one_target):
    X, y = one_target
    model = regressor(hidden_layer_sizes=(), dropout=[]).fit(X, y)
    plain = regressor(hidden_layer_sizes=(), dropout=0.5).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])


def test_input_dropout_learns_from_a_sparse_matrix(mostly_zeros):
    X, y = mostly_zeros
    params = {"max_iter": 300, "n_iter_no_change": np.inf, "random_state": 0}
    model = MLPClassifier((10,), input_dropout=0.5, learning_rate_init=0.01, **params)
    model.fit(csr_array(X), y)
    assert model.score(csr_array(X), y) > 0.8
    np.testing.assert_allclose(
        model.predict_proba(csr_array(X)), model.predict_proba(X), rtol=1e-10
    )


@pytest.mark.parametrize("name", ["dropout", "input_dropout", "dropconnect"])
@every_scaling
def test_validation_under_early_stopping_is_without_noise(two_targets, name, scaling):
    X, y = two_targets
    model = regressor(
        early_stopping=True,
        dropout_scaling=scaling,
        validation_fraction=0.5,
        solver="sgd",
        learning_rate_init=1e-300,
        n_iter_no_change=np.inf,
        max_iter=5,
        **{name: 0.5},
    ).fit(X, y)
    assert len(set(model.validation_scores_)) == 1
    assert len(set(model.loss_curve_)) == 5


def test_it_closes_the_gap_between_training_and_test():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 20))
    y = (X[:, 0] + 0.5 * rng.normal(size=300) > 0).astype(int)

    def gap(dropout):
        model = MLPClassifier(
            (100,),
            dropout=dropout,
            alpha=0.0,
            learning_rate_init=0.01,
            max_iter=100,
            random_state=0,
        ).fit(X[:100], y[:100])
        return model.score(X[:100], y[:100]) - model.score(X[100:], y[100:])

    assert gap(0.8) < gap(0.0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": [0.5]}, "one value per hidden layer, 2 here. Got 1 values"),
        ({"dropout": [0.5, 1.0]}, "Each value of dropout must be .* Got 1.0"),
        ({"dropout": [0.5, None]}, "Each value of dropout must be .* Got None"),
        ({"input_dropout": 1.0}, "input_dropout"),
        ({"input_dropout": [0.5]}, "input_dropout"),
        ({"dropconnect": 1.0}, "dropconnect"),
        ({"dropout_scaling": "keras"}, "dropout_scaling"),
    ],
    ids=str,
)
def test_what_is_no_rate_raises(one_target, parameters, message):
    with pytest.raises(ValueError, match=message):
        regressor(**parameters).fit(*one_target)
