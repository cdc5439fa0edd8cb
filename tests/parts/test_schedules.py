"""Schedules, by formula."""

import pytest

from sknn_notes.schedules import SCHEDULES, Adaptive, Constant, InvScaling


def rate(schedule, base=0.2, *, epoch=0, n_seen=0, n_plateaus=0, max_iter=100):
    return schedule.rate(
        base, epoch=epoch, n_seen=n_seen, n_plateaus=n_plateaus, max_iter=max_iter
    )


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_training_starts_at_the_base_rate(schedule):
    assert rate(schedule(), 0.2) == 0.2


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_rate_scales_with_the_base_rate_and_never_rises(schedule):
    part = schedule()
    progress = [
        {"epoch": e, "n_seen": 50 * e, "n_plateaus": e // 10} for e in range(100)
    ]
    rates = [rate(part, 0.2, **where) for where in progress]
    assert rates == sorted(rates, reverse=True)
    doubled = [rate(part, 0.4, **where) for where in progress]
    assert doubled == pytest.approx([2 * r for r in rates])


def test_constant():
    assert rate(Constant(), epoch=50, n_seen=5000, n_plateaus=3) == 0.2


@pytest.mark.parametrize(
    ("power_t", "n_seen", "expected"),
    [(0.5, 3, 0.1), (0.5, 99, 0.02), (1.0, 3, 0.05), (0.0, 1000, 0.2)],
)
def test_invscaling_falls_with_the_samples_seen(power_t, n_seen, expected):
    schedule = InvScaling(power_t=power_t)
    assert rate(schedule, n_seen=n_seen) == pytest.approx(expected)
    assert rate(schedule, n_seen=n_seen, epoch=9) == rate(schedule, n_seen=n_seen)


@pytest.mark.parametrize(("n_plateaus", "expected"), [(0, 0.2), (1, 0.04), (3, 0.0016)])
def test_adaptive_divides_by_five_at_every_plateau(n_plateaus, expected):
    assert rate(Adaptive(), n_plateaus=n_plateaus, epoch=50) == pytest.approx(expected)


@pytest.mark.parametrize(
    "schedule", [InvScaling(power_t=200), InvScaling(power_t=500.0), Adaptive()]
)
def test_a_rate_too_small_for_a_float_is_0(schedule):
    assert rate(schedule, n_seen=10**5, n_plateaus=1000) == 0.0


@pytest.mark.parametrize(
    ("at", "goes_on"), [(0.1, True), (1.1e-6, True), (1e-6, False)]
)
def test_adaptive_stops_at_a_tiny_rate(at, goes_on):
    assert Adaptive().goes_on(at) is goes_on


@pytest.mark.parametrize(
    "schedule", [cls for cls in SCHEDULES.values() if cls is not Adaptive]
)
def test_other_schedules_stop_at_the_first_plateau(schedule):
    assert schedule().goes_on(0.1) is False
