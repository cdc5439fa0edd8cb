"""The learning rates that solvers are given while an estimator trains."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.neural_network._build import Plan
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.schedules import (
    SCHEDULES,
    Adaptive,
    Constant,
    Cosine,
    Exponential,
    FlatCosine,
    InverseTime,
    InvScaling,
    OneCycle,
    Schedule,
    Step,
)

BASE, N_EPOCHS, N_ROWS, N_BATCHES = 0.02, 7, 90, 3
STOCHASTIC = [name for name, cls in OPTIMIZERS.items() if cls.stochastic]
every_solver = pytest.mark.parametrize("solver", STOCHASTIC)

# What the rate of a step is, by formula: e is the epoch, with its part that is done,
# and n are the samples seen before it.
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
    "flat cosine": (
        "flat_cosine",
        lambda e, n: BASE * (1 + np.cos(np.pi * max(0, 2 * e / N_EPOCHS - 1))) / 2,
    ),
    "onecycle": (
        "onecycle",
        lambda e, n: BASE * one_cycle(e / N_EPOCHS),
    ),
    "warmup part": (
        Exponential(gamma=0.5, warmup=2),
        lambda e, n: BASE * 0.5**e * min(1, (e + 1 / N_BATCHES) / 2),
    ),
}


def one_cycle(share):
    if share < 0.3:
        return 0.04 + 0.96 * (1 - np.cos(np.pi * share / 0.3)) / 2
    return 4e-6 + (1 - 4e-6) * (1 + np.cos(np.pi * (share - 0.3) / 0.7)) / 2


every_schedule = pytest.mark.parametrize(
    ("schedule", "formula"), FORMULAS.values(), ids=FORMULAS
)
ENDLESS = {
    k: v
    for k, v in FORMULAS.items()
    if not k.startswith(("adaptive", "cosine", "flat", "onecycle"))
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
        def step(self, theta, grad, rate, state, xp=np):
            recorded.append(rate)
            super().step(theta, grad, rate, state, xp)

        def proximal_step(self, theta, grad, rate, state, prox, xp=np):
            recorded.append(rate)
            cls(**self.get_params()).proximal_step(theta, grad, rate, state, prox, xp)

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
    return [
        formula(e + i / N_BATCHES, n_seen + N_ROWS * e)
        for e in range(n_epochs)
        for i in range(N_BATCHES)
    ]


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
    np.testing.assert_allclose(rates[::N_BATCHES], by_epoch, rtol=1e-12)


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


PLANNING = ["cosine", Cosine(), "flat_cosine", FlatCosine(), "onecycle", OneCycle()]


@pytest.mark.parametrize("schedule", PLANNING, ids=str)
def test_what_plans_over_all_epochs_rejects_partial_fit(three_classes, rates, schedule):
    X, y = three_classes
    model = network(learning_rate=schedule)
    with pytest.raises(ValueError, match=r"partial_fit does not know how many"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert rates == []
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("schedule", ["adaptive", Adaptive()], ids=str)
def test_adaptive_rejects_partial_fit(three_classes, rates, schedule, fitted):
    """Chunks are no epochs: what falls with their losses falls by chance."""
    X, y = three_classes
    model = network(learning_rate=schedule, n_iter_no_change=10)
    if fitted:
        model.fit(X, y)
        rates.clear()
    with pytest.raises(ValueError, match=r"no epochs over the same data.*inverse_time"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert rates == []
    assert hasattr(model, "coefs_") == fitted


# Schedules of one's own


class Warmup(Schedule):
    """Rise over some epochs, then stay."""

    def __init__(self, *, n_epochs=4):
        self.n_epochs = n_epochs

    def formula(self, base, epochs, progress):
        return base * np.minimum(1, (epochs + 1) / self.n_epochs)


@every_solver
def test_a_schedule_of_ones_own(three_classes, rates, solver):
    X, y = three_classes
    model = network(solver, learning_rate=Warmup(n_epochs=2))
    model.set_params(learning_rate__n_epochs=5).fit(X, y)
    np.testing.assert_allclose(
        rates, expected(lambda e, n: BASE * min(1, (e + 1) / 5)), rtol=1e-13
    )


@every_solver
def test_it_reads_where_training_is(three_classes, rates, solver):
    asked = []

    class Asked(Schedule):
        def formula(self, base, epochs, progress):
            asked.append(progress)
            return base

    model = network(solver, learning_rate=Asked(), batch_size=40).fit(*three_classes)
    assert [each.epoch for each in asked] == list(range(N_EPOCHS))
    assert {each.n_steps for each in asked} == {3}
    assert {each.max_iter for each in asked} == {N_EPOCHS}
    assert [each.n_seen for each in asked] == [N_ROWS * e for e in range(N_EPOCHS)]
    assert np.isnan(asked[0].loss)
    assert [each.loss for each in asked[1:]] == model.loss_curve_[:-1]
    # partial_fit goes on, another fit starts anew.
    model.partial_fit(*three_classes)
    assert (asked[-1].epoch, asked[-1].n_steps) == (N_EPOCHS, 3)
    asked.clear()
    model.set_params(warm_start=True).fit(*three_classes)
    assert asked[0].epoch == 0
    assert np.isnan(asked[0].loss)


@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_a_rate_that_is_none_ends_training_with_an_error(three_classes, rates, bad):
    class Bad(Schedule):
        def formula(self, base, epochs, progress):
            return base if progress.epoch < 2 else bad

    model = network(learning_rate=Bad())
    with pytest.raises(ValueError, match=r"Bad\.formula must return .* at epoch 2"):
        model.fit(*three_classes)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize(
    "schedule", ["onecycle", Cosine(warmup=1.5), Warmup()], ids=str
)
def test_compiled_steps_follow_the_same_rates(three_classes, solver, schedule):
    """The recording solvers make their steps one by one, these many in a call."""
    X, y = three_classes
    one_by_one = network(solver, learning_rate=schedule).fit(X, y)
    together = clone(one_by_one).set_params(solver=solver).fit(X, y)
    for a, b in zip(one_by_one.coefs_, together.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)


# Its base


def test_start_takes_the_place_of_learning_rate_init(three_classes, rates):
    schedule = Exponential(gamma=0.5, start=BASE)
    with pytest.warns(
        UserWarning, match=r"learning_rate_init=0\.5 has no effect: .*start"
    ):
        network(learning_rate=schedule, learning_rate_init=0.5).fit(*three_classes)
    np.testing.assert_allclose(rates, expected(lambda e, n: BASE * 0.5**e))


def test_start_can_be_searched(three_classes, rates):
    model = network(learning_rate=Constant(), learning_rate_init=1e-3)
    model.set_params(learning_rate__start=0.5, learning_rate__warmup=1)
    model.fit(*three_classes)
    np.testing.assert_allclose(rates[: N_BATCHES + 1], [1 / 6, 1 / 3, 0.5, 0.5])


def test_a_start_of_0_is_no_learning_rate(three_classes, rates):
    with pytest.raises(ValueError, match=r"start of learning_rate=Cosine\(start=0\)"):
        network(learning_rate=Cosine(start=0)).fit(*three_classes)
    assert rates == []


# In place of alpha and dropout


def plan(cls=MLPClassifier, solver="adam", **parameters):
    model = cls(hidden_layer_sizes=(4, 3), solver=solver, **parameters)
    model._validate_params()
    loss, solver = model._resolve("loss"), model._resolve("solver")
    return Plan(model, loss, solver)


@pytest.mark.parametrize(("name", "n"), [("alphas", 3), ("dropout", 2)])
def test_a_plan_holds_a_checked_copy_for_every_layer(name, n):
    passed = Cosine(start=np.float32(0.5))
    specs = getattr(plan(**{name.removesuffix("s"): passed}), name)
    assert [type(spec) for spec in specs] == [Cosine] * n
    for spec in specs:
        assert spec is not passed
        assert type(spec.start) is float
    mixed = [0.25, *[Step(start=0.5, warmup=2)] * (n - 1)]
    first, *others = getattr(plan(**{name.removesuffix("s"): mixed}), name)
    assert first == 0.25
    assert all(spec.get_params() == mixed[1].get_params() for spec in others)


@pytest.mark.parametrize("name", ["alpha", "dropout"])
@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Cosine(), r"{name}=Cosine\(\) has no start value. Pass start"),
        (Cosine(start=-1.0), "'start' parameter of Cosine"),
        (Step(start=0.1, gamma=2.0), "'gamma' parameter of Step"),
        (Cosine(start=0.1, warmup=-1), "'warmup' parameter of Cosine"),
    ],
)
def test_a_schedule_that_cannot_drive_raises(three_classes, name, schedule, message):
    n = 2 if name == "alpha" else 1
    for spec in (schedule, [schedule] * n):
        model = MLPClassifier((4,), **{name: spec})
        with pytest.raises(ValueError, match=message.format(name=name)):
            model.fit(*three_classes)


def test_a_dropout_that_starts_at_1_raises(three_classes):
    message = r"start of dropout=Cosine\(start=1\.0\) must be .*\[0\.0, 1\.0\)"
    with pytest.raises(ValueError, match=message):
        MLPClassifier(dropout=Cosine(start=1.0)).fit(*three_classes)


def test_max_norm_takes_no_schedule(three_classes):
    for spec in (Cosine(start=1.0), [Cosine(start=1.0), 1.0]):
        with pytest.raises(ValueError, match="max_norm"):
            MLPClassifier((4,), max_norm=spec).fit(*three_classes)


@pytest.mark.parametrize("name", ["alpha", "dropout"])
@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Cosine(start=0.1), "defined over max_iter"),
        (OneCycle(start=0.1), "defined over max_iter"),
        (Adaptive(start=0.1), "no epochs over the same data"),
    ],
)
def test_partial_fit_rejects_them_there_too(three_classes, name, schedule, message):
    model = MLPClassifier((4,), **{name: schedule})
    with pytest.raises(ValueError, match=f"{name}=.* {message}.*InverseTime"):
        model.partial_fit(*three_classes, classes=[0, 1, 2])


@pytest.mark.parametrize("name", ["alpha", "dropout"])
def test_lbfgs_takes_no_schedule_there(name):
    with pytest.raises(ValueError, match=rf"lbfgs.* can't train with {name}=Cosine"):
        plan(solver="lbfgs", **{name: Cosine(start=0.1)})


def test_a_schedule_counts_as_a_penalty():
    with pytest.raises(ValueError, match=r"can't train with penalty='l1'"):
        plan(solver="lbfgs", penalty="l1", alpha=[0.0, Cosine(start=0.1), 0.0])


@pytest.mark.parametrize("parameters", [{}, {"penalty": "elasticnet"}], ids=str)
def test_adamw_decays_by_a_schedule(parameters):
    alphas = plan(solver="adamw", alpha=Cosine(start=0.1), **parameters).alphas
    assert [alpha.start for alpha in alphas] == [0.1] * 3


def test_a_start_that_float32_cannot_hold_raises():
    for name in ("alpha", "learning_rate"):
        made = plan(**{name: Cosine(start=1e300)})
        with pytest.raises(ValueError, match=rf"{name}.* 1e\+300.*float32"):
            made.network(2, 1, np.float32)


# Parameters outside their domains


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
def test_a_parameter_outside_its_domain_raises_before_training(
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
