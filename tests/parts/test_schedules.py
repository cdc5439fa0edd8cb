"""Schedules: by formula, by hand and against PyTorch."""

from dataclasses import FrozenInstanceError, replace
from math import cos, inf, nan, pi

import numpy as np
import pytest
from sklearn.base import clone

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
    Progress,
    Schedule,
    Step,
    values,
)

BASE = 0.2
every_schedule = pytest.mark.parametrize("cls", SCHEDULES.values(), ids=SCHEDULES)


def rate(schedule, base=BASE, **progress):
    """Return the rate of the only step of an epoch."""
    (at,) = schedule.rates(base, Progress(**{"max_iter": 100} | progress))
    return at


def curve(schedule, max_iter=20, n_steps=5, base=BASE):
    """Return the rates of all steps of a training of 50 samples."""
    progress = [
        Progress(epoch=e, n_steps=n_steps, n_seen=50 * e, max_iter=max_iter)
        for e in range(max_iter)
    ]
    return np.concatenate([schedule.rates(base, each) for each in progress])


# Contract of all schedules


@every_schedule
def test_there_is_one_rate_per_step(cls):
    for n_steps in (1, 4):
        rates = cls().rates(BASE, Progress(epoch=3, n_steps=n_steps, n_seen=90))
        assert rates.shape == (n_steps,)
        assert rates.dtype == np.float64


@every_schedule
def test_rates_are_in_proportion_to_the_base(cls):
    rates = curve(cls())
    assert np.all(rates >= 0)
    assert np.max(rates) <= BASE * (1 + 1e-12)
    np.testing.assert_allclose(curve(cls(), base=2 * BASE), 2 * rates, rtol=1e-13)


@pytest.mark.parametrize("cls", [c for c in SCHEDULES.values() if c is not OneCycle])
def test_all_but_onecycle_start_at_the_base_and_never_rise(cls):
    rates = curve(cls())
    assert rates[0] == BASE
    assert np.all(np.diff(rates) <= 1e-16)


@pytest.mark.parametrize("warmup", [1, 2.5, 4, 30])
@every_schedule
def test_a_warmup_climbs_linearly_to_what_the_schedule_says(cls, warmup):
    n_steps, steps = 5, np.arange(100)
    climb = np.minimum(1, (steps + 1) / (warmup * n_steps))
    rates = curve(cls(warmup=warmup), n_steps=n_steps)
    np.testing.assert_allclose(rates, climb * curve(cls(), n_steps=n_steps), rtol=1e-12)
    assert rates[0] > 0


@every_schedule
@pytest.mark.parametrize("warmup", [0, 1e-9, 0.05])
def test_a_warmup_shorter_than_a_step_changes_nothing(cls, warmup):
    np.testing.assert_array_equal(curve(cls(warmup=warmup)), curve(cls()))


@every_schedule
def test_asking_leaves_no_trace(cls):
    schedule = cls(start=0.3, warmup=2)
    before, progress = vars(schedule).copy(), Progress(epoch=1, n_steps=3)
    first = schedule.rates(BASE, progress)
    first[:] = -1.0
    second = schedule.rates(BASE, progress)
    assert np.all(second >= 0)
    np.testing.assert_array_equal(second, clone(schedule).rates(BASE, progress))
    assert vars(schedule) == before


@every_schedule
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"warmup": -1}, "'warmup' parameter of .* must be a float in the range .0.0"),
        ({"warmup": inf}, "'warmup' parameter"),
        ({"start": -0.1}, "'start' parameter of .* or None"),
        ({"start": nan}, "'start' parameter"),
    ],
)
def test_start_and_warmup_have_domains(cls, parameters, message):
    with pytest.raises(ValueError, match=message):
        cls(**parameters).check()


@pytest.mark.parametrize(
    ("schedule", "name"),
    [
        (Step(step_size=0), "step_size"),
        (Step(gamma=1.5), "gamma"),
        (Exponential(gamma=0.0), "gamma"),
        (InverseTime(gamma=-1.0), "gamma"),
        (FlatCosine(flat=1.0), "flat"),
        (FlatCosine(flat=-0.1), "flat"),
        (OneCycle(pct_start=0), "pct_start"),
        (OneCycle(pct_start=1.0), "pct_start"),
        (OneCycle(anneal_strategy="cosine"), "anneal_strategy"),
        (OneCycle(div_factor=0.5), "div_factor"),
        (OneCycle(final_div_factor=0), "final_div_factor"),
    ],
    ids=str,
)
def test_parameters_outside_their_domain_raise(schedule, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of "):
        schedule.check()


def test_those_that_plan_over_all_epochs_say_so():
    planning = [name for name, cls in SCHEDULES.items() if cls.needs_max_iter]
    assert planning == ["cosine", "flat_cosine", "onecycle"]
    assert not Schedule.needs_max_iter


def test_adaptive_alone_needs_plateaus():
    needing = [name for name, cls in SCHEDULES.items() if cls.needs_plateaus]
    assert needing == ["adaptive"]
    assert not Schedule.needs_plateaus


@pytest.mark.parametrize("cls", [c for c in SCHEDULES.values() if c is not Adaptive])
def test_all_but_adaptive_stop_at_the_first_plateau(cls):
    assert cls().goes_on(0.1) is False


@pytest.mark.parametrize(
    ("at", "goes_on"), [(0.1, True), (1.1e-6, True), (1e-6, False)]
)
def test_adaptive_stops_at_a_tiny_rate(at, goes_on):
    assert Adaptive().goes_on(at) is goes_on


# By formula


@pytest.mark.parametrize(
    ("schedule", "epoch", "expected"),
    [
        (Constant(), 50, 0.2),
        (Step(), 0, 0.2),
        (Step(), 29, 0.2),
        (Step(), 30, 0.02),
        (Step(), 89, 0.002),
        (Step(step_size=7, gamma=0.5), 6, 0.2),
        (Step(step_size=7, gamma=0.5), 21, 0.025),
        (Exponential(), 1, 0.19),
        (Exponential(gamma=0.5), 3, 0.025),
        (Exponential(gamma=1.0), 99, 0.2),
        (InverseTime(), 20, 0.1),
        (InverseTime(gamma=1.0), 3, 0.05),
        (InverseTime(gamma=0.0), 99, 0.2),
        (Cosine(), 0, 0.2),
        (Cosine(), 25, 0.1 * (1 + cos(pi / 4))),
        (Cosine(), 50, 0.1),
        (Cosine(), 100, 0),
        (FlatCosine(), 50, 0.2),
        (FlatCosine(), 75, 0.1),
        (FlatCosine(), 100, 0),
        (FlatCosine(flat=0.8), 80, 0.2),
        (FlatCosine(flat=0.8), 85, 0.1 * (1 + cos(pi / 4))),
        (FlatCosine(flat=0.0), 50, 0.1),
        (OneCycle(), 0, 0.2 / 25),
        (OneCycle(), 15, 0.2 * (1 + 1 / 25) / 2),
        (OneCycle(), 30, 0.2),
        (OneCycle(), 65, 0.1 * (1 + 4e-6)),
        (OneCycle(), 100, 0.2 / 25 / 1e4),
        (OneCycle(anneal_strategy="linear", div_factor=4.0), 10, 0.1),
        (OneCycle(anneal_strategy="linear", final_div_factor=5.0), 65, 0.1008),
        (OneCycle(pct_start=0.5), 50, 0.2),
    ],
    ids=str,
)
def test_rates_by_formula(schedule, epoch, expected):
    assert rate(schedule, epoch=epoch) == pytest.approx(expected, rel=1e-12, abs=1e-16)


@pytest.mark.parametrize(
    "cls", [Exponential, InverseTime, Cosine, FlatCosine, OneCycle]
)
def test_smooth_schedules_change_at_every_step(cls):
    """Steps have the rates of epochs with one step each, at the same times."""
    fine = cls().rates(BASE, Progress(epoch=14, n_steps=4, max_iter=20))
    epochs = [14, 14.25, 14.5, 14.75]
    np.testing.assert_allclose(
        fine, [rate(cls(), epoch=e, max_iter=20) for e in epochs]
    )
    assert np.all(np.diff(fine) < 0)


@pytest.mark.parametrize("cls", [Constant, Step, InvScaling, Adaptive])
def test_other_schedules_change_between_epochs(cls):
    progress = Progress(epoch=7, n_steps=4, n_seen=80, n_plateaus=2)
    assert len(set(cls().rates(BASE, progress))) == 1


@pytest.mark.parametrize(
    ("power_t", "n_seen", "expected"),
    [(0.5, 3, 0.1), (0.5, 99, 0.02), (1.0, 3, 0.05), (0.0, 1000, 0.2)],
)
def test_invscaling_falls_with_the_samples_seen(power_t, n_seen, expected):
    schedule = InvScaling(power_t=power_t)
    assert rate(schedule, n_seen=n_seen) == pytest.approx(expected)
    assert rate(schedule, n_seen=n_seen, epoch=9) == rate(schedule, n_seen=n_seen)


@pytest.mark.parametrize("n_seen", [0, 1, 119, 10**9])
def test_invscaling_is_scikit_learns_to_the_last_place(n_seen):
    theirs = 0.001 / (n_seen + 1) ** 0.3
    assert rate(InvScaling(power_t=0.3), 0.001, n_seen=n_seen) == theirs


@pytest.mark.parametrize(("n_plateaus", "expected"), [(0, 0.2), (1, 0.04), (3, 0.0016)])
def test_adaptive_divides_by_five_at_every_plateau(n_plateaus, expected):
    assert rate(Adaptive(), n_plateaus=n_plateaus, epoch=50) == pytest.approx(expected)


@pytest.mark.parametrize(
    "schedule", [InvScaling(power_t=200), InvScaling(power_t=500.0), Adaptive()]
)
def test_a_rate_too_small_for_a_float_is_0(schedule):
    assert rate(schedule, n_seen=10**5, n_plateaus=1000) == 0.0


def test_onecycle_rises_to_the_base_and_falls_far_below_its_start():
    rates = curve(OneCycle(pct_start=0.4), max_iter=20, n_steps=5)
    top = np.argmax(rates)
    assert top == 0.4 * 20 * 5
    assert rates[top] == BASE
    assert np.all(np.diff(rates[: top + 1]) > 0)
    assert np.all(np.diff(rates[top:]) < 0)
    assert rates[-1] < rates[0] / 10


# Against PyTorch


def of_torch(name, n_steps=20, **parameters):
    """Return the rates of a PyTorch schedule before each step."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **parameters)
    rates = []
    for _ in range(n_steps):
        rates += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "name", "parameters"),
    [
        (Step(step_size=4, gamma=0.3), "StepLR", {"step_size": 4, "gamma": 0.3}),
        (Exponential(gamma=0.8), "ExponentialLR", {"gamma": 0.8}),
        (Cosine(), "CosineAnnealingLR", {"T_max": 20}),
    ],
)
def test_rates_between_epochs_are_torchs(schedule, name, parameters):
    theirs = of_torch(name, **parameters)
    np.testing.assert_allclose(curve(schedule, n_steps=1), theirs, rtol=1e-10)


@pytest.mark.parametrize("anneal_strategy", ["cos", "linear"])
@pytest.mark.parametrize(
    "factors",
    [{}, {"div_factor": 10.0, "final_div_factor": 100.0}, {"final_div_factor": 1.0}],
    ids=str,
)
@pytest.mark.parametrize("pct_start", [0.3, 0.45])
def test_onecycle_is_torchs(anneal_strategy, factors, pct_start):
    max_iter, n_steps = 20, 5
    total = max_iter * n_steps
    schedule = OneCycle(pct_start=pct_start, anneal_strategy=anneal_strategy, **factors)
    # PyTorch's schedule reaches the last rate at the last step, ours after it.
    # PyTorch's has its maximum one step before the fraction of all steps.
    theirs = of_torch(
        "OneCycleLR",
        total,
        max_lr=BASE,
        total_steps=total + 1,
        pct_start=(pct_start * total + 1) / (total + 1),
        anneal_strategy=anneal_strategy,
        cycle_momentum=False,
        **factors,
    )
    ours = curve(schedule, max_iter=max_iter, n_steps=n_steps)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_the_warmup_is_torchs():
    theirs = of_torch("LinearLR", start_factor=1 / 8, total_iters=7)
    ours = curve(Constant(warmup=2), max_iter=5, n_steps=4)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# A schedule that a user defines


class Own(Schedule):
    """Returns a given object."""

    def __init__(self, *, returned=None):
        self.returned = returned

    def formula(self, base, epochs, progress):
        return self.returned


class Waves(Schedule):
    """Rises and falls."""

    def formula(self, base, epochs, progress):
        return base * (1 + np.sin(epochs)) / 2


def test_a_schedule_of_a_user_gets_epochs_and_may_rise():
    progress = Progress(epoch=6, n_steps=4)
    expected = 0.1 * (1 + np.sin([6, 6.25, 6.5, 6.75]))
    np.testing.assert_allclose(Waves().rates(BASE, progress), expected)
    np.testing.assert_allclose(
        Waves(warmup=14).rates(BASE, progress),
        expected * [6.25 / 14, 6.5 / 14, 6.75 / 14, 7 / 14],
    )


def test_it_reads_the_loss():
    class Follows(Schedule):
        def formula(self, base, epochs, progress):
            return base if np.isnan(progress.loss) else base * progress.loss

    assert Follows().rates(BASE, Progress()) == [BASE]
    np.testing.assert_allclose(Follows().rates(BASE, Progress(loss=0.5)), BASE / 2)


@pytest.mark.parametrize("returned", [1, np.float32(1), [1, 1, 1], np.ones(3, int)])
def test_it_may_return_numbers_of_any_type(returned):
    rates = Own(returned=returned).rates(BASE, Progress(n_steps=3))
    assert rates.dtype == np.float64
    assert rates.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("wrong", [-1e-3, nan, inf])
@pytest.mark.parametrize("make", [lambda x: x, lambda x: np.array([0.1, 0.1, x])])
def test_what_is_no_rate_is_an_error_that_names_the_class(wrong, make):
    with pytest.raises(ValueError, match=r"Own\.formula .* finite and >= 0\. Got") as e:
        Own(returned=make(wrong)).rates(BASE, Progress(epoch=2, n_steps=3))
    assert f"{wrong:g} at epoch 2" in str(e.value)


@pytest.mark.parametrize(
    "returned", [np.ones(4), np.ones((3, 1)), [], "fast", {}, 10**400, 1j]
)
def test_a_wrong_shape_is_an_error_that_names_the_class(returned):
    with pytest.raises(ValueError, match=r"Own\.formula must .*\(3,\).* Got"):
        Own(returned=returned).rates(BASE, Progress(n_steps=3))


# The value of a parameter


def test_values_of_a_number_are_constant():
    np.testing.assert_array_equal(values(0.3, Progress(n_steps=2)), [0.3, 0.3])


@every_schedule
def test_values_of_a_schedule_scale_its_start(cls):
    progress = Progress(epoch=3, n_steps=4, n_seen=30, max_iter=20)
    schedule = cls(start=0.5, warmup=2)
    np.testing.assert_array_equal(
        values(schedule, progress), schedule.rates(0.5, progress)
    )


def test_values_stay_below_their_bound():
    class Grows(Schedule):
        def formula(self, base, epochs, progress):
            return base * (1 + epochs)

    schedule = Grows(start=0.4)
    np.testing.assert_allclose(values(schedule, Progress(epoch=1), below=1), 0.8)
    with pytest.raises(ValueError, match=r"Grows must stay below 1 here\. Got 1\.2 in"):
        values(schedule, Progress(epoch=2), below=1)


def test_progress_is_read_only():
    progress = Progress(epoch=1)
    with pytest.raises(FrozenInstanceError):
        progress.epoch = 2
    assert replace(progress, epoch=2).epoch == 2


def test_values_of_a_schedule_without_a_start_are_an_error():
    with pytest.raises(ValueError, match=r"Cosine\(\) has no value to scale\. Pass"):
        values(Cosine(), Progress())
