"""A fit has finite predictions for its training data, or raises."""

import copy

import numpy as np
import pytest
from scipy.sparse import csr_array

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.activations import Activation
from sknn_notes.losses import SquaredError
from sknn_notes.optimizers import SGD

pytestmark = pytest.mark.usefixtures("executor")


def normal(n=60, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 5))


def regressor(**parameters):
    defaults = {"hidden_layer_sizes": 10, "random_state": 0, "max_iter": 5}
    return MLPRegressor(**(defaults | parameters))


def attributes(model):
    return copy.deepcopy(vars(model))


def assert_unchanged(model, before):
    assert vars(model).keys() == before.keys()
    for name, value in before.items():
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            for array, old in zip(getattr(model, name), value, strict=True):
                np.testing.assert_array_equal(array, old)


# Outputs that overflow


@pytest.mark.parametrize("scoring", ["accuracy", None, "loss"])
@pytest.mark.parametrize("seed", range(6))
def test_early_stopping_never_restores_weights_that_predict_nothing(scoring, seed):
    X = normal()
    model = MLPClassifier(
        (10, 10),
        solver="sgd",
        learning_rate_init=1e6,
        early_stopping=True,
        scoring=scoring,
        max_iter=20,
        random_state=seed,
    )
    try:
        model.fit(X, X[:, 0] > 0)
    except ValueError:
        assert not hasattr(model, "coefs_")
    else:
        assert np.isfinite(model.predict_proba(X)).all()
        assert np.isfinite(model.best_validation_score_)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("seed", range(3))
def test_the_last_epoch_of_a_fit_may_not_explode(sparse, loss, seed):
    X = 10 * np.random.default_rng(seed).standard_t(1, size=(200, 5))
    y = np.abs(X.sum(axis=1))
    data = csr_array(X) if sparse else X
    errors = []
    for max_iter in range(1, 8):
        model = regressor(
            loss=loss, solver="sgd", learning_rate_init=0.1, max_iter=max_iter
        )
        try:
            model.fit(data, y)
        except ValueError as error:
            errors.append(str(error))
            assert not hasattr(model, "coefs_")
        else:
            assert np.isfinite(model.predict(data)).all()
    assert errors
    assert all("lower learning_rate_init" in error for error in errors)


@pytest.mark.parametrize("rate", [1e200, 1e250, 1e300])
def test_a_partial_fit_that_explodes_leaves_the_estimator_as_it_was(rate):
    X = normal()
    model = regressor(solver=SGD(momentum=0.0)).partial_fit(X, X[:, 0])
    before = attributes(model)
    with pytest.raises(ValueError, match="not finite after epoch 2"):
        model.set_params(learning_rate_init=rate).partial_fit(X, X[:, 0])
    model.set_params(learning_rate_init=0.001)
    assert_unchanged(model, before)
    assert np.isfinite(model.predict(X)).all()


def test_one_extreme_row_among_many_is_found():
    X = np.zeros((10_000, 5))
    X[7_777] = 1e200
    model = regressor(
        solver=SGD(momentum=0.0), batch_size=10_000, max_iter=1, loss="absolute_error"
    )
    with pytest.raises(ValueError, match="not finite after epoch 1"):
        model.fit(X, np.ones(10_000))


class _Exponential(Activation):
    """An activation that grows much faster than its input."""

    def forward(self, Z, xp):
        return xp.exp(Z)

    def backward(self, delta, A, Z, xp):
        return delta * A


@pytest.mark.parametrize("rate", [1e4, 1e6, 1e8])
def test_activations_that_grow_fast_are_asked(rate):
    X = normal()
    model = regressor(
        activation=_Exponential(),
        loss="absolute_error",
        solver=SGD(momentum=0.0),
        max_iter=1,
        learning_rate_init=rate,
    )
    with pytest.raises(ValueError, match="not finite after epoch 1"):
        model.fit(X, X[:, 0])


# Averages of batch norm


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("solver", "dtype", "scale"),
    [
        ("adam", "float64", 1e155),
        ("adam", "float64", 1e200),
        ("adam", "float32", 1e19),
        ("lbfgs", "float64", 1e155),
    ],
)
def test_averages_of_batch_norm_that_overflow(solver, early_stopping, dtype, scale):
    X = normal()
    model = regressor(batch_norm=True, solver=solver, early_stopping=early_stopping)
    with pytest.raises(ValueError, match="Scale the inputs"):
        model.fit((scale * X).astype(dtype), X[:, 0])
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize(
    ("dtype", "scale"), [("float64", 1e150), ("float32", 1e15), ("float32", 1e-15)]
)
def test_averages_of_batch_norm_near_the_end_are_finite(dtype, scale):
    X = normal()
    data = (scale * X).astype(dtype)
    model = regressor(batch_norm=True).fit(data, X[:, 0])
    assert all(np.isfinite(array).all() for array in model.batch_norm_[0].values())
    assert np.isfinite(model.predict(data)).all()


# An interruption


class _Interrupted(SquaredError):
    """A squared error that is interrupted at its second evaluation."""

    def mean(self, raw, y, sample_weight, xp):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        if self.n_calls_ == 2:
            raise KeyboardInterrupt
        return super().mean(raw, y, sample_weight, xp)


@pytest.mark.parametrize("rate", [1e200, 1e250, 1e300])
def test_an_interruption_after_an_explosion_leaves_nothing(rate):
    X = normal()
    model = regressor(
        loss=_Interrupted(), solver=SGD(momentum=0.0), learning_rate_init=rate
    )
    with (
        pytest.warns(UserWarning, match="interrupted"),
        pytest.raises(ValueError, match="not finite"),
    ):
        model.fit(X, X[:, 0])
    assert not hasattr(model, "coefs_")
