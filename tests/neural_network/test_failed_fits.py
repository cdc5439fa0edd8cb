"""A fit that fails, or whose loss is not finite, leaves what was there before."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.losses import SquaredError
from sknn_notes.optimizers import Adam


def classifier(**params):
    return MLPClassifier(
        **{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **params}
    )


def regressor(**params):
    return MLPRegressor(
        **{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **params}
    )


def state(model):
    """Return a hash of every attribute: of arrays by value, of generators by state."""
    return {name: joblib.hash(value) for name, value in vars(model).items()}


def rejects(action, error_type, *parts):
    """Assert that the action fails with a message that holds all of the parts."""
    with pytest.raises(error_type) as error:
        action()
    message = str(error.value)
    assert [part for part in parts if part not in message] == [], message


BOTH = pytest.mark.parametrize(
    ("make", "problem"),
    [(classifier, "three_classes"), (regressor, "two_targets")],
    ids=["classifier", "regressor"],
)


def with_value(X, value):
    X = X.copy()
    X[3, 2] = value
    return X


# Nothing is left half-changed


@BOTH
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X, y: (with_value(X, np.nan), y), "NaN"),
        (lambda X, y: (X[:, 1:], y), "features"),
        (lambda X, y: (X[1:], y), "inconsistent numbers of samples"),
        (lambda X, y: (np.full_like(X, 1e308), y), "training loss became"),
    ],
    ids=["NaN", "features", "lengths", "divergence"],
)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_partial_fit_that_fails_leaves_no_trace(
    make, problem, spoil, message, solver, request
):
    X, y = request.getfixturevalue(problem)
    params = {"solver": solver, "dropout": 0.3, "batch_size": 16}
    failing, untouched = (make(**params).fit(X, y) for _ in range(2))
    before = state(failing)
    with pytest.raises(ValueError, match=message):
        failing.partial_fit(*spoil(X, y))
    assert state(failing) == before
    # Weights, the solver's moments and the generator all stand where they stood.
    for _ in range(2):
        failing.partial_fit(X, y)
        untouched.partial_fit(X, y)
    np.testing.assert_array_equal(failing.predict(X), untouched.predict(X))
    assert failing.loss_curve_ == untouched.loss_curve_


@BOTH
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_that_fails_leaves_the_last_one_in_place(
    make, problem, warm_start, early_stopping, request
):
    X, y = request.getfixturevalue(problem)
    model = make(warm_start=warm_start, early_stopping=early_stopping, dropout=0.2)
    model.fit(X, y)
    before, predicted = state(model), model.predict(X)
    spoiled = {
        "infinity": (with_value(X, np.inf), y),
        "inconsistent": (X[:-1], y),
    }
    for message, bad in spoiled.items():
        with pytest.raises(ValueError, match=message):
            model.fit(*bad)
        assert state(model) == before
    np.testing.assert_array_equal(model.predict(X), predicted)


@BOTH
@pytest.mark.parametrize(
    "params",
    [{"early_stopping": True}, {"warm_start": True}, {}],
    ids=["early stopping", "warm start", "plain"],
)
def test_a_fit_that_diverges_leaves_the_last_one_in_place(
    make, problem, params, request
):
    X, y = request.getfixturevalue(problem)
    model = make(dropout=0.2, **params).fit(X, y)
    before = state(model)
    with pytest.raises(ValueError, match="training loss became"):
        model.fit(np.full_like(X, 1e308), y)
    assert state(model) == before


@BOTH
def test_a_warm_start_that_diverges_under_early_stopping_keeps_where_it_started(
    make, problem, request
):
    X, y = request.getfixturevalue(problem)
    model = make(warm_start=True, early_stopping=True).fit(X, y)
    predicted = model.predict(X)
    # The loss of its first weights is not finite, so that none are better.
    with pytest.raises(ValueError, match="training loss became"):
        model.fit(np.full_like(X, 1e308), y)
    np.testing.assert_array_equal(model.predict(X), predicted)


def test_a_fit_that_fails_on_new_columns_keeps_the_old_names(three_classes):
    X, y = three_classes
    model = classifier().fit(pd.DataFrame(X, columns=list("abcdef")), y)
    before = state(model)
    bad = pd.DataFrame(with_value(X, np.nan), columns=list("uvwxyz"))
    rejects(lambda: model.fit(bad, y), ValueError, "NaN")
    rejects(
        lambda: model.fit(pd.DataFrame(X, columns=list("uvwxyz")), np.ones(len(y))),
        ValueError,
        "2 classes",
    )
    assert state(model) == before


def test_a_fit_that_fails_late_takes_back_the_classes(three_classes):
    X, y = three_classes
    model = classifier(solver="lbfgs", dropout=0.5)
    rejects(lambda: model.fit(X, y), ValueError, "lbfgs")
    assert not hasattr(model, "classes_")
    assert not hasattr(model, "n_features_in_")
    assert state(model) == state(classifier(solver="lbfgs", dropout=0.5))


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_warning_turned_into_an_error_leaves_no_trace(three_classes):
    X, y = three_classes
    model = classifier(warm_start=True)
    before = state(model)
    with pytest.raises(ConvergenceWarning):
        model.fit(X, y)
    assert state(model) == before


class Broken(Adam):
    """Adam, but its eighth step fails after it has changed everything."""

    def step(self, theta, grad, rate, state, xp=np):
        super().step(theta, grad, rate, state, xp)
        if state["t"] == 8:
            raise RuntimeError("broken")


def test_an_error_in_a_part_of_ones_own_leaves_no_trace(three_classes):
    X, y = three_classes
    model = classifier(solver=Broken(), batch_size=90, max_iter=5).fit(X, y)
    model.partial_fit(X, y).partial_fit(X, y)
    before = state(model)
    with pytest.raises(RuntimeError, match="broken"):
        model.partial_fit(X, y)
    assert state(model) == before
    assert model.t_ == 7 * len(X)


# A loss that is not finite


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_divergence_is_an_error_with_epoch_rate_and_remedies(two_targets, solver):
    X, Y = two_targets
    model = regressor(solver=solver, learning_rate_init=1e80, max_iter=50)
    before = state(model)
    rejects(
        lambda: model.fit(X, Y),
        ValueError,
        "epoch",
        "learning rate of 1e+80",
        "Standardizer",
        "learning_rate_init",
    )
    assert state(model) == before


def test_divergence_in_the_last_step_names_the_epoch_too(one_target):
    X, y = one_target
    model = regressor(solver="sgd", learning_rate_init=1e200, max_iter=1)
    rejects(
        lambda: model.fit(X * 1e150, y),
        ValueError,
        "epoch 1",
        "1e+200",
        "Standardizer",
    )


class NanAt(SquaredError):
    """The squared error, but NaN at the n-th evaluation."""

    def __init__(self, n=1):
        self.n = n
        self.count = 0

    def mean(self, raw, y, sample_weight, xp):
        self.count += 1
        value, gradient = super().mean(raw, y, sample_weight, xp)
        return float("nan") if self.count == self.n else value, gradient


def test_divergence_stops_at_once(one_target):
    X, y = one_target

    class Counting(Adam):
        n_steps = 0

        def step(self, *args):
            Counting.n_steps += 1
            super().step(*args)

    model = regressor(loss=NanAt(7), solver=Counting(), batch_size=20, max_iter=50)
    rejects(lambda: model.fit(X, y), ValueError, "nan", "epoch 2")
    assert Counting.n_steps == 6


def test_divergence_under_early_stopping_keeps_the_best_weights(one_target):
    X, y = one_target
    params = {"early_stopping": True, "validation_fraction": 0.25, "batch_size": 20}
    params |= {"learning_rate_init": 0.01, "max_iter": 50}
    # Three batches an epoch: the tenth is the first of the fourth epoch.
    model = regressor(loss=NanAt(10), **params)
    with pytest.warns(ConvergenceWarning, match=r"nan in epoch 4.*best weights"):
        model.fit(X, y)
    three_epochs = regressor(**params | {"max_iter": 3}).fit(X, y)
    np.testing.assert_allclose(model.predict(X), three_epochs.predict(X))
    assert model.best_validation_score_ == pytest.approx(
        three_epochs.best_validation_score_
    )
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_


def test_divergence_under_early_stopping_in_the_first_epoch_is_an_error(one_target):
    X, y = one_target
    model = regressor(loss=NanAt(1), early_stopping=True)
    before = state(model)
    rejects(lambda: model.fit(X, y), ValueError, "nan", "epoch 1")
    assert state(model) == before


def test_real_divergence_under_early_stopping_leaves_a_usable_model(two_targets):
    X, Y = two_targets
    model = regressor(
        solver="sgd", learning_rate_init=5.0, early_stopping=True, max_iter=50
    )
    with pytest.warns(ConvergenceWarning, match="best weights"):
        model.fit(X, Y)
    assert np.isfinite(model.predict(X)).all()
    assert all(np.isfinite(W).all() for W in model.coefs_)


def test_lbfgs_says_that_the_start_is_not_finite(one_target):
    X, y = one_target
    model = regressor(solver="lbfgs")
    rejects(
        lambda: model.fit(X * 1e200, y), ValueError, "first iteration", "Standardizer"
    )
    assert not hasattr(model, "coefs_")
