"""Penalties: by hand, against differences, and what every one promises."""

import numpy as np
import pytest

from sknn_notes.penalties import L1, L2, PENALTIES

every_penalty = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)

# From the definition, written once more.
DEFINITIONS = {
    "elasticnet": lambda weights: (
        0.5 * DEFINITIONS["l1"](weights) + 0.5 * DEFINITIONS["l2"](weights)
    ),
    "l1": lambda weights: sum(abs(w) for w in weights.tolist()),
    "l2": lambda weights: 0.5 * sum(w * w for w in weights.tolist()),
}


def some_weights(dtype=np.float64, n=40):
    return np.random.default_rng(0).normal(size=n).astype(dtype)


def test_l2_by_hand():
    grad = np.array([1.0, 1.0])
    assert L2().add_gradient(np.array([3.0, -4.0]), 0.5, grad) == 6.25
    np.testing.assert_array_equal(grad, [2.5, -1])


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("alpha", [0.1, 3.0])
def test_the_value_is_alpha_times_the_definition(name, alpha):
    weights = some_weights()
    value = PENALTIES[name]().add_gradient(weights, alpha, np.zeros_like(weights))
    assert value == pytest.approx(alpha * DEFINITIONS[name](weights), rel=1e-13)


@every_penalty
def test_the_gradient_is_the_slope_of_the_smooth_part(penalty):
    weights, step, part = some_weights(), 1e-5, penalty()
    scratch, grad = np.zeros_like(weights), np.zeros_like(weights)
    part.add_gradient(weights, 0.7, grad)
    slope = np.empty_like(weights)
    for i, middle in enumerate(weights.copy()):
        ends = []
        for weights[i] in (middle + step, middle - step):
            kinks = np.abs(weights).sum() if not part.smooth else 0.0
            share = getattr(part, "l1_ratio", 1.0)
            value = part.add_gradient(weights, 0.7, scratch)
            ends.append(value - 0.7 * share * kinks)
        weights[i] = middle
        slope[i] = (ends[0] - ends[1]) / (2 * step)
    # A penalty without a smooth part has no gradient but rounding.
    bound = 1e-7 * np.linalg.norm(slope) if grad.any() else 1e-9
    assert np.linalg.norm(grad - slope) <= bound


@every_penalty
def test_the_gradient_is_added_to_what_is_there(penalty):
    weights = some_weights()
    alone, added = np.zeros_like(weights), np.full_like(weights, 5.0)
    penalty().add_gradient(weights, 0.7, alone)
    penalty().add_gradient(weights, 0.7, added)
    np.testing.assert_allclose(added, 5 + alone, rtol=1e-14)


@every_penalty
def test_weights_of_zero_cost_nothing(penalty):
    grad = np.zeros(3)
    assert penalty().add_gradient(np.zeros(3), 2.0, grad) == 0
    np.testing.assert_array_equal(grad, 0)


@every_penalty
def test_weights_are_left_alone_and_keep_their_type(penalty):
    weights = some_weights(np.float32)
    before, grad = weights.copy(), np.zeros_like(weights)
    value = penalty().add_gradient(weights, 0.7, grad)
    np.testing.assert_array_equal(weights, before)
    assert grad.dtype == np.float32
    assert type(value) is float
    wide = penalty().add_gradient(before.astype(float), 0.7, np.zeros(len(before)))
    assert value == pytest.approx(wide, rel=1e-6)


@every_penalty
def test_value_is_what_add_gradient_returns(penalty):
    weights = some_weights()
    value = penalty().add_gradient(weights, 0.7, np.zeros_like(weights))
    assert penalty().value(weights, 0.7) == pytest.approx(value, rel=1e-13)


@every_penalty
@pytest.mark.parametrize("each", [False, True])
def test_the_proximal_step_minimises_its_own_objective(penalty, each):
    """It is the minimum of kinks(w) + sum((w - start)**2 / (2 step))."""
    start, part, alpha = some_weights(n=20), penalty(), 0.7
    step = np.linspace(0.1, 2.0, 20) if each else 0.5
    moved = start.copy()
    part.prox(moved, alpha, step)
    share = 0.0 if part.smooth else getattr(part, "l1_ratio", 1.0)

    def objective(w):
        return alpha * share * np.abs(w) + (w - start) ** 2 / (2 * step)

    grid = np.linspace(-3, 3, 60_001)[:, None]
    best = grid[np.argmin(objective(grid), axis=0), 0]
    np.testing.assert_allclose(moved, best, atol=1e-4)


@every_penalty
def test_decay_is_the_slope_of_the_smooth_part_per_weight(penalty):
    grad = np.zeros(3)
    penalty().add_gradient(np.ones(3), 0.7, grad)
    np.testing.assert_allclose(grad, penalty().decay(0.7))


def test_small_weights_become_exact_zeros():
    weights = np.array([0.3, -0.2, 0.1, -0.0])
    L1().prox(weights, alpha=2.0, step=0.125)
    np.testing.assert_allclose(weights, [0.05, 0, 0, 0], atol=1e-16)
    assert np.count_nonzero(weights) == 1
