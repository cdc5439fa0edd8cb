"""The learning rates that solvers are given while an estimator trains."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.schedules import (
    SCHEDULES,
    Adaptive,
    Cosine,
    Exponential,
    InverseTime,
    InvScaling,
    Schedule,
    Step,
)

BASE, N_EPOCHS, N_ROWS, N_BATCHES = 0.02, 7, 90, 3
STOCHASTIC = [name for name, cls in OPTIMIZERS.items() if cls.stochastic]
every_solver = pytest.mark.parametrize("solver", STOCHASTIC)

# What the rate of an epoch is, by formula; n are the samples seen before it.
FORMULAS = {
    "constant": ("constant", lambda e, n: BASE),
    "adaptive": ("adaptive", lambda e, n: BASE),
    "invscaling": ("invscaling", lambda e, n: BASE / (n + 1) ** 0.5),
    "invscaling part": (InvScaling(power_t=0.2), lambda e, n: BASE / (n + 1) ** 0.2),
    "step": ("step", lambda e, n: BASE * 0.1 ** (e // 30)),
    "step part": (
        Step(step_size=2, gamma=0.5),
        lambda e, n: BASE * 0.5 ** np.floor(e / 2),
    ),
    "exponential": ("exponential", lambda e, n: BASE * 0.95**e),
    "exponential part": (Exponential(gamma=0.5), lambda e, n: BASE * 0.5**e),
    "inverse time": ("inverse_time", lambda e, n: BASE / (1 + 0.05 * e)),
    "inverse time part": (InverseTime(gamma=2.0), lambda e, n: BASE / (1 + 2 * e)),
    "cosine": ("cosine", lambda e, n: BASE * (1 + np.cos(np.pi * e / N_EPOCHS)) / 2),
    "cosine part": (
        Cosine(),
        lambda e, n: BASE * (1 + np.cos(np.pi * e / N_EPOCHS)) / 2,
    ),
}
every_schedule = pytest.mark.parametrize(
    ("schedule", "formula"), FORMULAS.values(), ids=FORMULAS
)
ENDLESS = {
    k: v for k, v in FORMULAS.items() if not k.startswith(("adaptive", "cosine"))
}
every_endless_schedule = pytest.mark.parametrize(
    ("schedule", "formula"), ENDLESS.values(), ids=ENDLESS
)

recorded: list = []


@pytest.fixture(autouse=True)
def rates():
    """Return the list of the rates of every step, empty at first."""
    recorded.clear()
    return recorded


def recording(cls):
    """Return a solver class that records its rates, also after cloning."""

    class Recording(cls):
        def step(self, theta, grad, rate, state):
            recorded.append(rate)
            super().step(theta, grad, rate, state)

        def proximal_step(self, theta, grad, rate, state, prox):
            recorded.append(rate)
            cls(**self.get_params()).proximal_step(theta, grad, rate, state, prox)

    return Recording


RECORDING = {name: recording(OPTIMIZERS[name]) for name in STOCHASTIC}


def network(solver="sgd", cls=MLPClassifier, **parameters):
    defaults = {
        "hidden_layer_sizes": (4,),
        "solver": RECORDING[solver](),
        "learning_rate_init": BASE,
        "batch_size": 30,
        "max_iter": N_EPOCHS,
        "n_iter_no_change": np.inf,
        "random_state": 0,
    }
    return cls(**(defaults | parameters))


def expected(formula, n_epochs=N_EPOCHS, n_seen=0):
    """Return the rate of every step of so many epochs, which start from epoch 0."""
    by_epoch = [formula(e, n_seen + N_ROWS * e) for e in range(n_epochs)]
    return np.repeat(by_epoch, N_BATCHES)


def test_every_schedule_has_a_formula_here():
    names = {schedule for schedule, _ in FORMULAS.values() if isinstance(schedule, str)}
    assert names == set(SCHEDULES)


# One fit


@pytest.mark.filterwarnings("ignore:.* has no effect")
@every_solver
@every_schedule
def test_the_rates_of_a_fit_are_those_of_the_formula(
    three_classes, rates, schedule, formula, solver
):
    X, y = three_classes
    network(solver, learning_rate=schedule).fit(X, y)
    np.testing.assert_allclose(rates, expected(formula), rtol=1e-13)


@every_solver
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_proximal_steps_are_given_the_same_rates(three_classes, rates, penalty, solver):
    X, y = three_classes
    network(
        solver, penalty=penalty, alpha=0.01, learning_rate=Exponential(gamma=0.5)
    ).fit(X, y)
    np.testing.assert_allclose(rates, expected(lambda e, n: BASE * 0.5**e))


@pytest.mark.filterwarnings("ignore:.* has no effect")
@every_schedule
def test_a_regressor_is_given_the_same_rates(one_target, rates, schedule, formula):
    X, y = np.tile(one_target[0], (2, 1)), np.tile(one_target[1], 2)
    network(cls=MLPRegressor, learning_rate=schedule).fit(X[:N_ROWS], y[:N_ROWS])
    np.testing.assert_allclose(rates, expected(formula), rtol=1e-13)


def test_rates_are_pythons_floats(three_classes, rates):
    X, y = three_classes
    network(
        learning_rate=Exponential(gamma=np.float64(0.5)),
        learning_rate_init=np.float64(BASE),
    ).fit(X, y)
    assert {type(rate) for rate in rates} == {float}


@pytest.mark.parametrize("name", ["step", "exponential", "inverse_time", "invscaling"])
def test_an_early_stop_leaves_the_rates_until_then_as_they_are(
    three_classes, rates, name
):
    X, y = three_classes
    _, formula = FORMULAS[name.replace("_", " ")]
    model = network(learning_rate=name, tol=10.0, n_iter_no_change=2, max_iter=50)
    model.fit(X, y)
    # One epoch improves on nothing; three that do not are a plateau, and the end.
    assert model.n_iter_ == 4
    np.testing.assert_allclose(rates, expected(formula, 4), rtol=1e-13)


@every_solver
def test_adaptive_lowers_the_rate_at_plateaus(three_classes, rates, solver):
    X, y = three_classes
    model = network(
        solver,
        learning_rate="adaptive",
        learning_rate_init=1e-4,
        tol=10.0,
        n_iter_no_change=1,
        max_iter=100,
    ).fit(X, y)
    by_epoch = np.repeat([1e-4, 2e-5, 4e-6, 8e-7], [3, 2, 2, 2])
    np.testing.assert_allclose(rates, np.repeat(by_epoch, N_BATCHES), rtol=1e-13)
    # It ends at a plateau met at 1e-6 or less.
    assert model.n_iter_ == 9


def test_cosine_plans_with_max_iter(three_classes, rates):
    X, y = three_classes
    network(learning_rate="cosine", max_iter=4).fit(X, y)
    by_epoch = BASE * np.array([1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])
    np.testing.assert_allclose(rates, np.repeat(by_epoch, N_BATCHES), rtol=1e-12)


def test_the_rates_are_those_that_training_uses(three_classes):
    X, y = three_classes
    # The first epoch alone moves: the rates of all others are too small to see.
    sudden = network(learning_rate=Step(step_size=1, gamma=1e-300))
    sudden.set_params(solver__momentum=0.0).fit(X, y)
    once = clone(sudden).set_params(max_iter=1).fit(X, y)
    for a, b in zip(sudden.coefs_, once.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


# From fit to fit


@pytest.mark.filterwarnings("ignore:.* has no effect")
@every_schedule
def test_a_new_fit_starts_the_schedule_anew(three_classes, rates, schedule, formula):
    X, y = three_classes
    model = network(learning_rate=schedule).fit(X, y)
    rates.clear()
    model.fit(X, y)
    np.testing.assert_allclose(rates, expected(formula), rtol=1e-13)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@every_solver
@pytest.mark.parametrize("name", [n for n in FORMULAS if "invscaling" not in n])
def test_a_warm_start_starts_the_schedule_anew(three_classes, rates, name, solver):
    X, y = three_classes
    schedule, formula = FORMULAS[name]
    model = network(solver, learning_rate=schedule, warm_start=True).fit(X, y)
    rates.clear()
    model.fit(X, y)
    np.testing.assert_allclose(rates, expected(formula), rtol=1e-13)


def test_invscaling_counts_the_samples_of_earlier_fits_under_warm_start(
    three_classes, rates
):
    X, y = three_classes
    model = network(learning_rate="invscaling", warm_start=True).fit(X, y)
    assert model.t_ == N_EPOCHS * N_ROWS
    rates.clear()
    model.fit(X, y)
    formula = FORMULAS["invscaling"][1]
    np.testing.assert_allclose(rates, expected(formula, n_seen=N_EPOCHS * N_ROWS))


@pytest.mark.filterwarnings("ignore:.* has no effect")
@every_solver
@every_endless_schedule
def test_partial_fits_continue_the_schedule(
    three_classes, rates, schedule, formula, solver
):
    X, y = three_classes
    model = network(solver, learning_rate=schedule)
    for _ in range(N_EPOCHS):
        model.partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_allclose(rates, expected(formula), rtol=1e-13)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@every_endless_schedule
def test_partial_fit_after_fit_continues_the_schedule(
    three_classes, rates, schedule, formula
):
    X, y = three_classes
    model = network(learning_rate=schedule, max_iter=4).fit(X, y)
    for _ in range(N_EPOCHS - 4):
        model.partial_fit(X, y)
    np.testing.assert_allclose(rates, expected(formula), rtol=1e-13)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@every_endless_schedule
def test_partial_fit_after_loading_continues_the_schedule(
    three_classes, rates, schedule, formula
):
    X, y = three_classes
    # The standard classes are what pickle finds again.
    model = network(solver="sgd", learning_rate=schedule).set_params(solver="sgd")
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1, 2])
    loaded = pickle.loads(pickle.dumps(model))
    for _ in range(N_EPOCHS - 3):
        model.partial_fit(X, y)
        loaded.partial_fit(X, y)
    for a, b in zip(model.coefs_, loaded.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_fit_after_partial_fits_starts_the_schedule_anew(three_classes, rates):
    X, y = three_classes
    schedule, formula = FORMULAS["exponential part"]
    model = network(learning_rate=schedule)
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1, 2])
    rates.clear()
    model.fit(X, y)
    np.testing.assert_allclose(rates, expected(formula), rtol=1e-13)


@pytest.mark.parametrize("schedule", ["cosine", Cosine()], ids=str)
def test_cosine_refuses_partial_fit(three_classes, rates, schedule):
    X, y = three_classes
    model = network(learning_rate=schedule)
    with pytest.raises(ValueError, match=r"partial_fit does not know how many"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert rates == []
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("schedule", ["adaptive", Adaptive()], ids=str)
def test_adaptive_refuses_partial_fit(three_classes, rates, schedule, fitted):
    """Chunks are no epochs: what falls with their losses falls by chance."""
    X, y = three_classes
    model = network(learning_rate=schedule, n_iter_no_change=10)
    if fitted:
        model.fit(X, y)
        rates.clear()
    with pytest.raises(ValueError, match=r"does not know what an epoch is.*invscaling"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert rates == []
    assert hasattr(model, "coefs_") == fitted


# Schedules of one's own


class Warmup(Schedule):
    """Rise over some epochs, then stay."""

    def __init__(self, *, n_epochs=4):
        self.n_epochs = n_epochs

    def rate(self, base, *, epoch, n_seen, n_plateaus, max_iter):
        return base * min(1, (epoch + 1) / self.n_epochs)


@every_solver
def test_a_schedule_of_ones_own(three_classes, rates, solver):
    X, y = three_classes
    model = network(solver, learning_rate=Warmup(n_epochs=2))
    model.set_params(learning_rate__n_epochs=5).fit(X, y)
    np.testing.assert_allclose(
        rates, expected(lambda e, n: BASE * min(1, (e + 1) / 5)), rtol=1e-13
    )


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Step(step_size=0), "'step_size' parameter of Step"),
        (Step(gamma=1.5), "'gamma' parameter of Step"),
        (Exponential(gamma=0.0), "'gamma' parameter of Exponential"),
        (InverseTime(gamma=-1.0), "'gamma' parameter of InverseTime"),
        (InvScaling(power_t=-1.0), "'power_t' parameter of InvScaling"),
    ],
)
def test_a_parameter_outside_its_domain_is_refused_before_training(
    three_classes, rates, part, message
):
    with pytest.raises(ValueError, match=message):
        network(learning_rate=part).fit(*three_classes)
    assert rates == []


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_lbfgs_needs_no_rate(three_classes):
    X, y = three_classes
    models = [
        network(solver="sgd", learning_rate=name, max_iter=20)
        .set_params(solver="lbfgs")
        .fit(X, y)
        for name in ("constant", "exponential", "cosine")
    ]
    assert len({model.loss_ for model in models}) == 1
