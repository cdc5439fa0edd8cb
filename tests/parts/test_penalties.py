"""Penalties: by hand, against differences, and what every one promises."""

import numpy as np
import pytest
from scipy.optimize import minimize

from sknn_notes.penalties import L1, L2, PENALTIES, GroupLasso

ALL = [*(cls() for cls in PENALTIES.values()), GroupLasso(groups="units")]
SINGLE = {n: cls for n, cls in PENALTIES.items() if not cls.sees_matrices}
every_penalty = pytest.mark.parametrize("part", ALL, ids=str)
every_sum = pytest.mark.parametrize("penalty", SINGLE.values(), ids=SINGLE)

# Reference implementations of the definitions.
DEFINITIONS = {
    "elasticnet": lambda weights: (
        0.5 * DEFINITIONS["l1"](weights) + 0.5 * DEFINITIONS["l2"](weights)
    ),
    "l1": lambda weights: sum(abs(w) for w in weights.ravel().tolist()),
    "l2": lambda weights: 0.5 * sum(w * w for w in weights.ravel().tolist()),
    "group_lasso": lambda weights: sum(
        len(row) ** 0.5 * sum(w * w for w in row) ** 0.5 for row in weights.tolist()
    ),
}


def some_weights(dtype=np.float64, shape=(8, 5)):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def gradient_of(part, W, alpha):
    """Return the gradient of the smooth part, or 0 if there is none."""
    gradient = part.gradient(W, alpha)
    return np.zeros_like(W) if gradient is None else gradient


def test_l2_by_hand():
    W = np.array([[3.0, -4.0]])
    assert L2().value(W, 0.5) == 6.25
    np.testing.assert_array_equal(L2().gradient(W, 0.5), [[1.5, -2]])


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("alpha", [0.1, 3.0])
def test_the_value_is_alpha_times_the_definition(name, alpha):
    W = some_weights()
    value = PENALTIES[name]().value(W, alpha)
    assert value == pytest.approx(alpha * DEFINITIONS[name](W), rel=1e-13)


@every_sum
def test_the_gradient_is_the_slope_of_the_smooth_part(penalty):
    W, step, part = some_weights(), 1e-5, penalty()
    grad = gradient_of(part, W, 0.7)
    slope = np.empty_like(W)
    for place in np.ndindex(W.shape):
        middle, ends = W[place], []
        for W[place] in (middle + step, middle - step):
            kinks = np.abs(W).sum() if not part.smooth else 0.0
            share = getattr(part, "l1_ratio", 1.0)
            ends.append(part.value(W, 0.7) - 0.7 * share * kinks)
        W[place] = middle
        slope[place] = (ends[0] - ends[1]) / (2 * step)
    # Without a smooth part the gradient is a rounding error.
    bound = 1e-7 * np.linalg.norm(slope) if grad.any() else 1e-9
    assert np.linalg.norm(grad - slope) <= bound


@every_penalty
def test_weights_of_zero_cost_nothing(form, part):
    W = np.zeros((3, 2))
    assert part.value(W, 2.0) == 0
    np.testing.assert_array_equal(gradient_of(part, W, 2.0), 0)
    np.testing.assert_array_equal(part.prox(W, 2.0, 0.5), 0)
    if part.sees_matrices:
        value, moved = form.prox(part, W, 2.0, np.full(W.shape, 0.5))
        assert value == 0
        np.testing.assert_array_equal(moved, 0)


@every_penalty
@pytest.mark.parametrize("each", [False, True])
def test_weights_are_left_alone_and_keep_their_type(part, each):
    W = some_weights(np.float32)
    before, step = W.copy(), np.full(W.shape, 0.1, np.float32) if each else 0.1
    value, moved = part.value(W, 0.7), part.prox(W, 0.7, step)
    gradient = gradient_of(part, W, 0.7)
    np.testing.assert_array_equal(W, before)
    assert {a.dtype for a in (value, moved, gradient)} == {np.dtype(np.float32)}
    assert value == pytest.approx(part.value(before.astype(float), 0.7), rel=1e-6)


@every_penalty
@pytest.mark.parametrize("each", [False, True])
def test_models_may_stand_in_front(part, each):
    """A stack of matrices, each with a different strength."""
    rng = np.random.default_rng(0)
    W, alphas = rng.normal(size=(3, 4, 5)), np.array([0.1, 1.0, 0.0])[:, None, None]
    step = rng.uniform(0.1, 0.5, W.shape) if each else 0.3
    values, moved = part.value(W, alphas), part.prox(W, alphas, step)
    gradient = gradient_of(part, W, alphas)
    assert values.shape == (3,)
    for model, alpha in enumerate(alphas.ravel()):
        own = step[model] if each else step
        assert values[model] == pytest.approx(part.value(W[model], alpha), rel=1e-14)
        expected = part.prox(W[model], alpha, own)
        np.testing.assert_allclose(moved[model], expected, rtol=1e-14)
        expected = gradient_of(part, W[model], alpha)
        np.testing.assert_allclose(gradient[model], expected, rtol=1e-14)


@every_sum
@pytest.mark.parametrize("each", [False, True])
def test_the_proximal_step_minimises_its_own_objective(penalty, each):
    """It is the minimum of non_smooth(w) + sum((w - start)**2 / (2 step))."""
    start, part, alpha = some_weights(shape=(1, 20)), penalty(), 0.7
    step = np.linspace(0.1, 2.0, 20) if each else 0.5
    moved = part.prox(start, alpha, step)
    share = 0.0 if part.smooth else getattr(part, "l1_ratio", 1.0)

    def objective(w):
        return alpha * share * np.abs(w) + (w - start) ** 2 / (2 * step)

    grid = np.linspace(-3, 3, 60_001)[:, None]
    best = grid[np.argmin(objective(grid), axis=0), 0]
    np.testing.assert_allclose(moved[0], best, atol=1e-4)


@every_penalty
def test_decay_is_the_slope_of_the_smooth_part_per_weight(part):
    np.testing.assert_allclose(gradient_of(part, np.ones((3, 1)), 0.7), part.decay(0.7))


@every_sum
def test_the_strengths_say_what_the_definition_says(penalty):
    part, W, alpha, step = penalty(), some_weights(), 0.7, 0.3
    l1, l2 = part.strengths(alpha)
    value = l1 * np.abs(W).sum() + 0.5 * l2 * np.sum(W * W)
    assert part.value(W, alpha) == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(gradient_of(part, W, alpha), l2 * W, rtol=1e-14)
    threshold = np.sign(W) * np.maximum(np.abs(W) - l1 * step, 0)
    np.testing.assert_allclose(part.prox(W, alpha, step), threshold, atol=1e-15)


def test_small_weights_become_exact_zeros():
    weights = np.array([[0.3, -0.2, 0.1, -0.0]])
    moved = L1().prox(weights, alpha=2.0, step=0.125)
    np.testing.assert_allclose(moved, [[0.05, 0, 0, 0]], atol=1e-16)
    assert np.count_nonzero(moved) == 1


# Group lasso


def by_rows(part, W):
    """Return a matrix whose rows are the groups."""
    return W if part.groups == "inputs" else W.T


every_group = pytest.mark.parametrize("groups", ["inputs", "units"])


@every_group
def test_group_lasso_by_hand(form, groups):
    # Lengths 5, sqrt(2) / 10 and 0, of groups of two weights.
    part = GroupLasso(groups=groups)
    W = by_rows(part, np.array([[3.0, 4.0], [0.1, -0.1], [0.0, 0.0]])).copy()
    # A step of 1 / sqrt(2) shortens by alpha.
    value, moved = form.prox(part, W, 0.5, np.full(W.shape, 0.5**0.5))
    assert value == pytest.approx(0.5 * 2**0.5 * (5 + 0.1 * 2**0.5), rel=1e-14)
    expected = [[2.7, 3.6], [0, 0], [0, 0]]
    np.testing.assert_allclose(by_rows(part, moved), expected, rtol=1e-14)
    moved = part.prox(W, 0.5, 0.5**0.5)
    np.testing.assert_allclose(by_rows(part, moved), expected, rtol=1e-14)


@every_group
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.5])
def test_the_proximal_step_of_a_group_is_the_minimum(form, groups, each, alpha):
    part = GroupLasso(groups=groups)
    W = some_weights(shape=(12, 3) if groups == "inputs" else (3, 12))
    steps = np.random.default_rng(1).uniform(0.1, 2, W.shape) if each else 0.7
    _, moved = form.prox(part, W, alpha, steps)
    rows = (by_rows(part, a) for a in (W, moved, np.broadcast_to(steps, W.shape)))
    for w, x, step in zip(*rows, strict=True):

        def objective(x, w=w, step=step):
            distance = np.sum((x - w) ** 2 / (2 * step))
            return distance + alpha * 3**0.5 * np.linalg.norm(x)

        options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 10_000}
        found = minimize(objective, w, method="Nelder-Mead", options=options)
        best = min(found.fun, objective(np.zeros(3)))
        assert objective(x) <= best + 1e-13
        if x.any():
            np.testing.assert_allclose(x, found.x, atol=1e-5)


@every_group
@pytest.mark.parametrize("each", [False, True])
def test_whole_groups_become_exact_zeros_and_no_single_weights(form, groups, each):
    part = GroupLasso(groups=groups)
    rng = np.random.default_rng(0)
    W = rng.normal(size=(40, 40))
    W *= by_rows(part, np.linspace(0.01, 2, 40)[:, None] * np.ones((1, 40)))
    step = rng.uniform(0.5, 1.5, W.shape) if each else 1.0
    _, moved = form.prox(part, W, 1.0, step)
    zeros = by_rows(part, moved == 0)
    assert np.array_equal(zeros.any(axis=1), zeros.all(axis=1))
    assert 10 < zeros.all(axis=1).sum() < 30
    # A group goes where the vector w / step is no longer than the strength.
    lengths = np.linalg.norm(by_rows(part, W / step), axis=1)
    np.testing.assert_array_equal(zeros.all(axis=1), lengths <= 40**0.5)


@every_group
def test_equal_steps_are_one_step(form, groups):
    part, W = GroupLasso(groups=groups), some_weights()
    _, moved = form.prox(part, W, 0.3, np.full(W.shape, 0.6))
    np.testing.assert_allclose(moved, part.prox(W, 0.3, 0.6), rtol=1e-13, atol=1e-15)


@every_group
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_of_any_size_are_exact(form, groups, dtype):
    """Adam's step sizes differ by orders of magnitude within a group."""
    part, rng = GroupLasso(groups=groups), np.random.default_rng(0)
    W = rng.normal(size=(30, 30)).astype(dtype)
    steps = (10 ** rng.uniform(-7, 0, W.shape)).astype(dtype)
    _, moved = form.prox(part, W, 0.1, steps)
    assert moved.dtype == dtype
    W, moved, steps = (by_rows(part, a.astype(float)) for a in (W, moved, steps))
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    np.testing.assert_allclose(
        moved,
        W / (1 + steps * 0.1 * 30**0.5 / lengths),
        rtol=1e-5 if dtype == np.float32 else 1e-12,
    )


@every_group
def test_a_strength_or_a_step_of_zero_moves_nothing(form, groups):
    part, W = GroupLasso(groups=groups), some_weights()
    for alpha, step in [(0.0, 0.5), (0.5, 0.0)]:
        _, moved = form.prox(part, W, alpha, np.full(W.shape, step))
        np.testing.assert_allclose(moved, W, rtol=1e-14)
        np.testing.assert_array_equal(part.prox(W, alpha, step), W)


def test_inputs_are_of_the_first_matrix_and_units_of_all():
    assert [GroupLasso().covers(layer) for layer in range(3)] == [True, False, False]
    assert all(GroupLasso(groups="units").covers(layer) for layer in range(3))


def test_other_groups_raise():
    with pytest.raises(ValueError, match="'groups' parameter of GroupLasso"):
        GroupLasso(groups="rows").check()
