"""The training loop: what it reaches, what it reports, and how it ends."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, LogLoss
from sknn_notes.optimizers import OPTIMIZERS, SGD
from sknn_notes.schedules import Constant, InvScaling

pytestmark = pytest.mark.usefixtures("executor")

# Enough for twenty samples, at rates that fall to 0 so that non-smooth losses converge.
SOLVERS = {
    "adam": {"learning_rate_init": 0.03, "max_iter": 500},
    "adamw": {"learning_rate_init": 0.03, "max_iter": 500},
    "lbfgs": {"max_iter": 100, "tol": 1e-3},
    "rmsprop": {"learning_rate_init": 0.03, "max_iter": 800},
    "sgd": {"learning_rate_init": 0.05, "max_iter": 1600},
}
STOCHASTIC = [name for name, cls in OPTIMIZERS.items() if cls.stochastic]


def small_data(n=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 5)), rng


def classifier(**parameters):
    defaults = {"hidden_layer_sizes": 10, "random_state": 0, "max_iter": 5}
    return MLPClassifier(**(defaults | parameters))


# The network can overfit twenty samples without regularization


def fit_twenty(cls, y, loss, solver):
    parameters = {"n_iter_no_change": np.inf, "tol": 0, "learning_rate": "cosine"}
    parameters |= SOLVERS[solver]
    parameters |= {"hidden_layer_sizes": 50, "alpha": 0, "random_state": 0}
    X, _ = small_data()
    return cls(loss=loss, solver=solver, **parameters).fit(X, y), X


CLASSIFICATION_TASKS = [
    (name, task) for name, cls in CLASSIFICATION_LOSSES.items() for task in cls.tasks
]


@pytest.mark.one_in(5)
@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", OPTIMIZERS)
@pytest.mark.parametrize(("loss", "task"), CLASSIFICATION_TASKS)
def test_twenty_samples_are_overfitted_by_classifiers(loss, task, solver):
    _, rng = small_data(seed=1)
    y = rng.permutation(np.arange(20) % (2 if task == "binary" else 4))
    if task == "multilabel":
        y = rng.integers(2, size=(20, 3))
    model, X = fit_twenty(MLPClassifier, y, loss, solver)
    assert model.loss_ < 0.01
    assert model.score(X, y) == 1


def is_non_smooth_at_the_target(cls):
    """Whether a regression loss pulls hard however near the target is."""
    if cls().link().name != "identity":
        return False
    _, pull = cls().per_sample(np.array([[1e-9]]), np.zeros((1, 1)), np)
    return abs(pull[0, 0]) > 1e-3


@pytest.mark.one_in(5)
@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", OPTIMIZERS)
@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_twenty_samples_are_overfitted_by_regressors(loss, solver, n_outputs):
    if solver == "lbfgs" and is_non_smooth_at_the_target(REGRESSION_LOSSES[loss]):
        pytest.skip(
            "L-BFGS models a curvature, which does not exist at a non-smooth minimum"
        )
    if loss == "gaussian_nll":
        pytest.skip("A likelihood has no bound, and long steps jump off its ridge")
    _, rng = small_data(seed=1)
    y = rng.uniform(0.1, 3, size=(20, n_outputs))
    y = y.ravel() if n_outputs == 1 else y
    model, X = fit_twenty(MLPRegressor, y, loss, solver)
    assert model.loss_ < 0.01
    assert model.score(X, y) > 0.99


# What an epoch reports


def test_the_loss_of_an_epoch_weights_batches_by_their_rows():
    # A rate that rounding swallows: every batch meets the same weights.
    X, rng = small_data(n=7)
    y = rng.integers(3, size=7)
    losses = [
        classifier(
            solver="sgd", learning_rate_init=1e-300, batch_size=batch_size, alpha=0.5
        )
        .fit(X, y)
        .loss_curve_
        for batch_size in (7, 3, 1)
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-12)
    np.testing.assert_allclose(losses[2], losses[0], rtol=1e-12)


def test_a_batch_without_weight_is_a_step_down_the_penalty_alone():
    X, _ = small_data(n=8)
    y = np.arange(8) % 3
    options = {
        "solver": SGD(momentum=0.0),
        "batch_size": 4,
        "max_iter": 1,
        "shuffle": False,
        "alpha": 0.5,
    }
    # The first of the two batches weighs nothing; X @ 0 leaves nothing to the second.
    X[4:] = 0
    start = classifier(**options, learning_rate_init=1e-300).fit(X, y)
    model = classifier(**options, learning_rate_init=0.1)
    model.fit(X, y, sample_weight=np.repeat([0.0, 1.0], 4))
    np.testing.assert_allclose(
        model.coefs_[0], start.coefs_[0] * (1 - 0.1 * 0.5) ** 2, rtol=1e-13
    )


# Learning rates


class _Recorder(SGD):
    """Plain gradient descent that keeps the rates it is given in a shared list."""

    rates: list = []

    def step(self, theta, grad, rate, state, xp=np):
        self.rates.append(rate)
        super().step(theta, grad, rate, state, xp)


@pytest.fixture
def rates():
    _Recorder.rates.clear()
    return _Recorder.rates


def fit_recorded(y=None, **parameters):
    X, _ = small_data()
    y = np.arange(20) % 2 if y is None else y
    solver = _Recorder(momentum=0.0)
    defaults = {"solver": solver, "batch_size": 8, "max_iter": 3}
    return classifier(**(defaults | parameters)).fit(X, y)


def test_a_constant_rate(rates):
    fit_recorded(learning_rate_init=0.5)
    assert rates == [0.5] * 9


def test_invscaling_changes_the_rate_between_epochs(rates):
    fit_recorded(learning_rate=InvScaling(power_t=1.0), learning_rate_init=0.5)
    np.testing.assert_allclose(rates, np.repeat([0.5, 0.5 / 21, 0.5 / 41], 3))


def test_invscaling_takes_the_estimators_power_t(rates):
    fit_recorded(learning_rate="invscaling", power_t=2.0, learning_rate_init=0.5)
    np.testing.assert_allclose(rates, np.repeat([0.5, 0.5 / 21**2, 0.5 / 41**2], 3))


def test_adaptive_lowers_the_rate_at_plateaus_and_then_stops(rates):
    # Every epoch is a failure to improve by tol, but for the first.
    model = fit_recorded(
        learning_rate="adaptive",
        learning_rate_init=5e-5,
        batch_size=20,
        tol=10.0,
        n_iter_no_change=1,
        max_iter=100,
    )
    # One epoch improves on nothing; then every two failures are a plateau.
    expected = np.repeat([5e-5, 1e-5, 2e-6, 4e-7], [3, 2, 2, 2])
    np.testing.assert_allclose(rates, expected)
    assert model.n_iter_ == 9


def test_a_plateau_at_a_constant_rate_is_the_end(rates):
    model = fit_recorded(tol=10.0, n_iter_no_change=3, max_iter=100)
    assert model.n_iter_ == 5


def test_a_custom_schedule(rates):
    class Halving(Constant):
        def formula(self, base, epochs, progress):
            assert progress.max_iter == 3
            assert progress.n_steps == 3
            assert progress.n_seen == 20 * progress.epoch
            return base / 2**progress.epoch

    fit_recorded(learning_rate=Halving(), learning_rate_init=1.0)
    assert rates == [1] * 3 + [0.5] * 3 + [0.25] * 3


# Numbers from a grid


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_parameters_of_numpys_type_compute_in_the_networks_type(solver):
    """A grid from np.logspace holds np.float64, which promotes float32 arithmetic."""
    X, _ = small_data()
    parameters = {
        "alpha": 0.1,
        "learning_rate_init": 0.01,
        "momentum": 0.7,
        "beta_1": 0.8,
        "beta_2": 0.99,
        "epsilon": 1e-4,
        "dropout": 0.2,
        "input_dropout": 0.1,
        "bias_init": 0.3,
        "tol": 1e-3,
    }
    models = [
        classifier(solver=solver, **{k: of_type(v) for k, v in parameters.items()})
        for of_type in (float, np.float64)
    ]
    for model in models:
        model.fit(X.astype(np.float32), np.arange(20) % 3)
    for ours, numpys in zip(*(model.coefs_ for model in models), strict=True):
        np.testing.assert_array_equal(numpys, ours)


# Losses that are not finite


class _Breaking(LogLoss):
    """A log loss that raises or returns something else at its n-th evaluation."""

    def __init__(self, *, at=1, result=np.nan):
        super().__init__()
        self.at, self.result = at, result

    _parameter_constraints = {"at": "no_validation", "result": "no_validation"}

    def mean(self, raw, y, sample_weight, xp):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        value, gradient = super().mean(raw, y, sample_weight, xp)
        if self.n_calls_ != self.at:
            return value, gradient
        if isinstance(self.result, float):
            return self.result, gradient
        raise self.result


@pytest.mark.parametrize("result", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_an_error_that_helps(result):
    X, _ = small_data()
    # 3 batches an epoch: the 5th evaluation is in the second one.
    model = classifier(
        loss=_Breaking(at=5, result=result), batch_size=8, learning_rate_init=0.02
    )
    with pytest.raises(
        ValueError, match=rf"{result} in epoch 2 .*0\.02.*Scale the inp"
    ):
        model.fit(X, np.arange(20) % 2)
    assert not hasattr(model, "coefs_")


def stopped_early(**parameters):
    """Return a fit whose best epoch lies before the last, one of 18 samples each."""
    X, rng = small_data(n=30)
    y = rng.integers(2, size=30)
    model = classifier(
        early_stopping=True,
        validation_fraction=0.4,
        batch_size=18,
        learning_rate_init=0.1,
        n_iter_no_change=100,
        tol=0,
        **({"max_iter": 12} | parameters),
    )
    return model.fit(X, y)


def assert_best_weights(model):
    best_epoch = int(np.argmax(model.validation_scores_)) + 1
    assert best_epoch < model.n_iter_
    until_then = stopped_early(max_iter=best_epoch, batch_norm=model.batch_norm)
    assert until_then.best_validation_score_ == pytest.approx(
        model.best_validation_score_
    )
    for W, best in zip(model.coefs_, until_then.coefs_, strict=True):
        np.testing.assert_allclose(W, best)
    for ours, best in zip(
        model.batch_norm_ or (), until_then.batch_norm_ or (), strict=True
    ):
        for name, array in best.items():
            np.testing.assert_allclose(ours[name], array)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_early_stopping_restores_the_best_weights(batch_norm):
    assert_best_weights(stopped_early(batch_norm=batch_norm))


def test_early_stopping_rescues_the_best_weights_from_a_divergence():
    with pytest.warns(ConvergenceWarning, match="nan in epoch 12 .*best weights"):
        model = stopped_early(loss=_Breaking(at=12))
    model.validation_scores_ = model.validation_scores_[:-1]
    assert_best_weights(model)


def test_a_huge_rate_diverges_with_an_error_and_not_with_warnings():
    X, _ = small_data()
    model = MLPRegressor(
        solver="sgd", learning_rate_init=1e4, max_iter=100, random_state=0
    )
    with pytest.raises(ValueError, match="learning rate of 10000"):
        model.fit(X, X.sum(axis=1))


# Interruptions


def test_an_interruption_keeps_the_weights_reached_so_far():
    X, _ = small_data()
    model = classifier(loss=_Breaking(at=5, result=KeyboardInterrupt()), batch_size=8)
    with pytest.warns(UserWarning, match="interrupted by user after 1 epoch"):
        model.fit(X, np.arange(20) % 2)
    assert model.n_iter_ == 1
    assert len(model.loss_curve_) == 1
    assert model.predict(X).shape == (20,)


def test_an_interruption_restores_the_best_weights_under_early_stopping():
    with pytest.warns(UserWarning, match="interrupted by user after 11 epochs"):
        model = stopped_early(loss=_Breaking(at=12, result=KeyboardInterrupt()))
    assert_best_weights(model)


# Going on


@pytest.mark.parametrize("solver", STOCHASTIC)
def test_partial_fits_are_the_epochs_of_one_fit(solver):
    X, _ = small_data()
    y = np.arange(20) % 3
    options = {"solver": solver, "dropout": 0.3, "batch_size": 6}
    whole = classifier(**options, max_iter=4).fit(X, y)
    parts = classifier(**options)
    for _ in range(4):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    for a, b in zip(whole.coefs_, parts.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert whole.t_ == parts.t_ == 80
    np.testing.assert_allclose(whole.loss_curve_, parts.loss_curve_, rtol=1e-12)


@pytest.mark.parametrize("solver", STOCHASTIC)
def test_a_warm_start_keeps_the_solvers_state(solver):
    X, _ = small_data()
    y = np.arange(20) % 3
    options = {"solver": solver, "warm_start": True}
    whole = classifier(**options, max_iter=4).fit(X, y)
    halves = classifier(**options, max_iter=2).fit(X, y).fit(X, y)
    np.testing.assert_allclose(halves.coefs_[0], whole.coefs_[0], rtol=1e-12)


def test_another_solver_starts_its_own_state():
    X, _ = small_data()
    y = np.arange(20) % 3
    model = classifier(solver="sgd", warm_start=True).fit(X, y)
    model.set_params(solver="adam").fit(X, y)
    model.set_params(solver="lbfgs").fit(X, y)
    assert model.score(X, y) > 0.5
