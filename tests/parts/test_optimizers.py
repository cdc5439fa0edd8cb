"""Solvers: by hand, against the textbook, and what every one promises."""

import copy

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from sknn_notes.optimizers import LBFGS, OPTIMIZERS, SGD, Adam, AdamW, RMSProp
from sknn_notes.penalties import L1, L2, ElasticNet

STOCHASTIC = {name: cls for name, cls in OPTIMIZERS.items() if cls.stochastic}
every_solver = pytest.mark.parametrize("solver", STOCHASTIC.values(), ids=STOCHASTIC)


def train(form, solver, theta, gradient, n_steps, rate=0.1):
    """Return theta after some steps down the gradient, a function of theta."""
    theta = theta.copy()
    state = solver.start(theta)
    for _ in range(n_steps):
        form.step(solver, theta, gradient(theta), rate, state)
    return theta


# By hand, from theta = 1 with the gradients 2 and 4 at a rate of 0.1


def two_steps(form, solver):
    theta = np.array([1.0])
    state = solver.start(theta)
    path = []
    for gradient in (2.0, 4.0):
        form.step(solver, theta, np.array([gradient]), 0.1, state)
        path.append(theta[0])
    return path


def test_plain_gradient_descent_by_hand(form):
    assert two_steps(form, SGD(momentum=0.0)) == pytest.approx([0.8, 0.4])


def test_momentum_by_hand(form):
    # v = -0.2, then 0.5 * -0.2 - 0.4 = -0.5.
    sgd = SGD(momentum=0.5, nesterovs_momentum=False)
    assert two_steps(form, sgd) == pytest.approx([0.8, 0.3])


def test_nesterov_by_hand(form):
    # The same velocities; steps of 0.5 * -0.2 - 0.2 and 0.5 * -0.5 - 0.4.
    sgd = SGD(momentum=0.5, nesterovs_momentum=True)
    assert two_steps(form, sgd) == pytest.approx([0.7, 0.05])


def test_adam_by_hand(form):
    # m = 1, v = 1, both halves of what they correct to: a step of 0.1 * 2 / 2.
    # m = 0.5 + 2, v = 0.75 + 4, corrected by 1 - 0.5**2 and 1 - 0.75**2.
    adam = Adam(beta_1=0.5, beta_2=0.75, epsilon=1e-300)
    second = 0.1 * (2.5 / 0.75) / np.sqrt((0.75 * 1 + 0.25 * 16) / 0.4375)
    assert two_steps(form, adam) == pytest.approx([0.9, 0.9 - second], rel=1e-14)


# The textbook


def quadratic(n=50, seed=0):
    """Return a start, and the gradient of a badly scaled quadratic."""
    rng = np.random.default_rng(seed)
    scale = 10 ** rng.uniform(-2, 0, n)
    return rng.normal(size=n), lambda theta: scale * (theta - 1)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_the_textbooks(form, momentum, nesterov):
    start, gradient = quadratic()
    theta, velocity = start.copy(), np.zeros(50)
    for _ in range(20):
        g = gradient(theta)
        velocity = momentum * velocity - 0.1 * g
        theta = theta + (momentum * velocity - 0.1 * g if nesterov else velocity)
    solver = SGD(momentum=momentum, nesterovs_momentum=nesterov)
    np.testing.assert_allclose(
        train(form, solver, start, gradient, 20), theta, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("beta_1", "beta_2", "epsilon", "n_steps"),
    [
        (0.9, 0.999, 1e-8, 20),
        (0.5, 0.9, 1e-2, 20),
        (0.0, 0.5, 1.0, 20),
        # Without a memory of squares rounding grows with every change of sign.
        (0.9, 0.0, 1e-3, 15),
    ],
)
def test_adam_is_the_papers_with_scikit_learns_epsilon(
    form, beta_1, beta_2, epsilon, n_steps
):
    start, gradient = quadratic()
    theta, m, v = start.copy(), np.zeros(50), np.zeros(50)
    for t in range(1, n_steps + 1):
        g = gradient(theta)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        # Kingma and Ba, end of section 2: epsilon joins the uncorrected root.
        rate = 0.1 * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        theta = theta - rate * m / (np.sqrt(v) + epsilon)
    solver = Adam(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
    np.testing.assert_allclose(
        train(form, solver, start, gradient, n_steps), theta, rtol=1e-11
    )


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient(form):
    start = np.zeros(4)
    theta = train(
        form, Adam(), start, lambda _: np.array([1e-3, 1.0, 1e3, -5.0]), 1, 0.01
    )
    np.testing.assert_allclose(theta, [-0.01, -0.01, -0.01, 0.01], rtol=1e-3)


# Contract of all stochastic optimizers


@every_solver
def test_a_minimum_is_found(form, solver):
    start, _ = quadratic()
    theta = train(form, solver(), start, lambda theta: theta - 1, 1000, rate=0.01)
    np.testing.assert_allclose(theta, 1, atol=0.01)


@every_solver
def test_no_gradient_no_step(form, solver):
    start, _ = quadratic()
    theta = train(form, solver(), start, np.zeros_like, 3)
    np.testing.assert_array_equal(theta, start)


@every_solver
def test_parameters_are_stepped_one_by_one(form, solver):
    """This includes more parameters than a kernel handles at a time."""
    start, _ = quadratic(40_000)
    scale = np.linspace(0.1, 2, 40_000)
    theta = train(form, solver(), start, lambda theta: scale * theta, 3)
    for part in (slice(5), slice(16_380, 16_390), slice(39_990, None)):
        alone = train(
            form, solver(), start[part], lambda theta, p=part: scale[p] * theta, 3
        )
        np.testing.assert_allclose(theta[part], alone, rtol=1e-13)


@every_solver
def test_a_copied_state_goes_on_as_the_original(form, solver):
    theta, gradient = quadratic()
    part = solver()
    state = part.start(theta)
    for _ in range(3):
        form.step(part, theta, gradient(theta), 0.1, state)
    theta_2, state_2 = theta.copy(), copy.deepcopy(state)
    for values, memory in ((theta, state), (theta_2, state_2)):
        form.step(part, values, gradient(values), 0.1, memory)
    np.testing.assert_array_equal(theta, theta_2)


@every_solver
def test_float32_stays_float32(form, solver):
    start, gradient = quadratic()
    theta = start.astype(np.float32)
    part = solver()
    state = part.start(theta)
    for _ in range(10):
        form.step(part, theta, gradient(theta).astype(np.float32), 0.1, state)
    assert theta.dtype == np.float32
    assert {
        value.dtype for value in state.values() if isinstance(value, np.ndarray)
    } == {np.dtype(np.float32)}
    wide = train(form, solver(), start, gradient, 10)
    np.testing.assert_allclose(theta, wide, rtol=1e-4, atol=1e-5)


@every_solver
def test_models_may_stand_in_front(solver):
    """A stack of vectors, each with a different rate, moves as each vector alone."""
    rng = np.random.default_rng(0)
    start, target = rng.normal(size=(2, 3, 5))
    rates = np.array([[0.1], [0.01], [0.3]])
    part = solver()
    theta, state = start.copy(), part.start(start)
    for _ in range(5):
        part.step(theta, theta - target, rates, state)
    for model in range(3):
        alone, state = start[model].copy(), part.start(start[model])
        for _ in range(5):
            part.step(alone, alone - target[model], float(rates[model, 0]), state)
        np.testing.assert_allclose(theta[model], alone, rtol=1e-13)


# Proximal steps: the soft threshold of an L1 penalty after the step


NESTEROV = SGD(momentum=0.9)
PROXIMAL = [
    SGD(momentum=0.0),
    SGD(momentum=0.9, nesterovs_momentum=False),
    NESTEROV,
    Adam(),
    AdamW(beta_1=0.5),
    RMSProp(),
]
every_proximal = pytest.mark.parametrize("part", PROXIMAL, ids=str)


def proximal_path(form, part, theta, gradient, n_steps, rate, alpha):
    """Return theta after each step with a gradient and an L1 penalty."""
    theta, path = theta.copy(), []
    state = part.start(theta)

    def prox(sizes):
        theta[:] = L1().prox(theta, alpha, sizes)

    part.begin_epoch(theta, state)
    for _ in range(n_steps):
        form.proximal_step(part, theta, gradient(theta), rate, state, prox)
        path.append(theta.copy())
    part.end_epoch(theta, state)
    path.append(theta.copy())
    return path


@pytest.mark.parametrize("part", [p for p in PROXIMAL if p is not NESTEROV], ids=str)
def test_without_a_penalty_a_proximal_step_is_the_step(form, part):
    """Except of Nesterov's, which ends where momentum has not carried it ahead."""
    start, gradient = quadratic()
    *_, theta = proximal_path(form, part, start, gradient, 20, 0.1, alpha=0.0)
    expected = train(form, part, start, gradient, 20)
    np.testing.assert_allclose(theta, expected, rtol=1e-10)


def test_without_a_penalty_nesterovs_proximal_steps_are_the_textbooks(form):
    start, gradient = quadratic()
    path = proximal_path(form, NESTEROV, start, gradient, 20, 0.1, alpha=0.0)
    ahead, before = start.copy(), start
    for theta in path[:-1]:
        iterate = ahead - 0.1 * gradient(ahead)
        ahead, before = iterate + 0.9 * (iterate - before), iterate
        np.testing.assert_allclose(theta, ahead, rtol=1e-12)
    np.testing.assert_allclose(path[-1], before, rtol=1e-12)


@every_proximal
def test_the_loops_of_a_proximal_step_are_the_definition(both_forms, part):
    start, gradient = quadratic()
    paths = [
        proximal_path(form, part, start, gradient, 20, 0.1, alpha=0.05)
        for form in both_forms
    ]
    np.testing.assert_allclose(*paths, rtol=1e-10, atol=1e-14)


@every_proximal
def test_proximal_steps_end_at_the_minimum_with_exact_zeros(form, part):
    """It is the soft threshold of the targets, here of a gradient theta - target."""
    target = np.linspace(-1, 1, 50)
    *_, theta = proximal_path(
        form, part, np.zeros(50), lambda theta: theta - target, 3000, 0.01, alpha=0.3
    )
    minimum = np.sign(target) * np.maximum(np.abs(target) - 0.3, 0)
    # Steps of RMSProp keep their size near the minimum, those of Adam nearly.
    np.testing.assert_allclose(theta, minimum, atol=0.01)
    zeros = np.abs(target) < 0.25
    assert not theta[zeros].any()


def test_lbfgs_takes_no_steps_of_its_own():
    assert not LBFGS.stochastic
    assert set(STOCHASTIC) == set(OPTIMIZERS) - {"lbfgs"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_defaults_are_those_of_scikit_learn(name):
    theirs = {"rho": 0.9, **MLPClassifier().get_params()}  # No RMSProp there.
    own = OPTIMIZERS[name]().get_params()
    assert own == {parameter: theirs[parameter] for parameter in own}


# Idle steps


def idle_problem(solver, n=40):
    """Return weights, a state during training, and rates of the steps."""
    rng = np.random.default_rng(0)
    theta = rng.normal(size=n) * 0.1
    state = solver.start(theta)
    for name, array in state.items():
        if name == "t":
            state["t"] = 20
        else:
            array[...] = 0.01 * rng.normal(size=n)
    if "v" in state:
        state["v"][...] = state.get("m", 0.01) ** 2 * rng.uniform(5, 50, n)
    return theta, state, 1e-3 * rng.uniform(0.5, 1.5, 30)


def with_gradient_0(solver, penalty, alpha, theta, state, rates):
    """Return weights and state after steps with the penalty only."""
    theta, state = theta.copy(), copy.deepcopy(state)

    def prox(size):
        theta[...] = penalty.prox(theta[None], alpha, size)[0]

    if not penalty.smooth:
        solver.begin_epoch(theta, state)
    for rate in rates:
        gradient = penalty.gradient(theta[None], alpha)
        grad = np.zeros_like(theta)
        if solver.decoupled:
            theta *= 1 - rate * penalty.decay(alpha)
        elif gradient is not None:
            grad += gradient[0]
        if penalty.smooth:
            solver.step(theta, grad, rate, state)
        else:
            solver.proximal_step(theta, grad, rate, state, prox)
    if not penalty.smooth:
        solver.end_epoch(theta, state)
    return [theta, *(x for x in state.values() if isinstance(x, np.ndarray))]


def at_once(solver, penalty, alpha, theta, state, rates, dtype=np.float64):
    """Return weights and state after ``idle``, which makes these steps at once."""
    s, (l1, l2) = np.array(solver.idle_start), penalty.strengths(alpha)
    pull, decay = (0.0, l2) if solver.decoupled else (l2, 0.0)
    for i, rate in enumerate(rates):
        t = state.get("t", 0) + 1 + i
        p = solver.constants(solver.numbers(), rate, t, 1.0)
        proximal = float(not penalty.smooth)
        solver.idle_step(s, p, l1, pull, 1 - rate * decay, proximal)
    numbers = [dtype(number) for number in p]
    c = solver.idle_factors(s.astype(dtype), numbers, dtype(0))
    memory = [x.astype(dtype) for x in state.values() if isinstance(x, np.ndarray)]
    idle = solver.idle if penalty.smooth else solver.proximal_idle
    return idle(theta.astype(dtype), *(*memory, memory[0])[:2], c)[: 1 + len(memory)]


PLAIN, HEAVY = SGD(momentum=0), SGD(nesterovs_momentum=False)


@pytest.mark.parametrize(
    ("solver", "penalty", "alpha", "error"),
    [
        (HEAVY, L2(), 0.1, 1e-12),
        (SGD(), L2(), 0.1, 1e-12),
        (PLAIN, L1(), 1.0, 1e-12),
        (PLAIN, ElasticNet(), 1.0, 1e-12),
        # With momentum a step may move a weight past 0.
        (HEAVY, L1(), 0.1, 0.2),
        (SGD(), ElasticNet(), 0.1, 0.2),
        # Without a pull the steps are exact, except for epsilon.
        (Adam(), L2(), 0.0, 1e-5),
        (AdamW(), L2(), 0.1, 1e-5),
        (RMSProp(), L2(), 0.0, 1e-12),
        (Adam(), L2(), 1e-3, 0.03),
        (RMSProp(), L2(), 1e-3, 0.03),
        (Adam(), L1(), 1e-3, 0.03),
        (AdamW(), ElasticNet(), 1e-3, 0.03),
        (RMSProp(), ElasticNet(), 1e-3, 0.03),
    ],
    ids=repr,
)
@pytest.mark.parametrize("n_steps", [1, 30])
def test_idle_steps_are_those_with_a_gradient_of_0(
    solver, penalty, alpha, error, n_steps
):
    theta, state, rates = idle_problem(solver)
    problem = penalty, alpha, theta, state, rates[:n_steps]
    results = at_once(solver, *problem), with_gradient_0(solver, *problem)
    moved = np.mean(np.abs(results[1][0] - theta))
    for i, (one, other) in enumerate(zip(*results, strict=True)):
        scale = max(moved, 1e-12) if i == 0 else np.mean(np.abs(other)) + 1e-12
        assert np.mean(np.abs(one - other)) <= error * scale


@pytest.mark.parametrize("solver", [HEAVY, SGD()], ids=repr)
@pytest.mark.parametrize("penalty", [L1(), ElasticNet()], ids=repr)
def test_idle_steps_with_momentum_are_exact_away_from_0(solver, penalty):
    theta, state, rates = idle_problem(solver)
    theta += np.sign(theta)
    problem = penalty, 1.0, theta, state, rates
    results = at_once(solver, *problem), with_gradient_0(solver, *problem)
    assert (np.sign(results[1][0]) == np.sign(theta)).all()
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


@every_solver
def test_idle_steps_of_a_strong_l1_penalty_leave_exact_zeros(solver):
    theta, state, rates = idle_problem(solver())
    for dtype in (np.float64, np.float32):
        w, *_ = at_once(solver(), L1(), 1e3, theta, state, rates, dtype)
        assert w.dtype == dtype
        assert (w == 0).all()


@every_solver
def test_a_thousand_idle_steps_are_finite(solver):
    theta, state, _ = idle_problem(solver())
    rates = np.full(1024, 1e-3)
    for dtype in (np.float64, np.float32):
        for penalty in (L2(), ElasticNet()):
            results = at_once(solver(), penalty, 0.01, theta, state, rates, dtype)
            assert all(np.isfinite(x).all() for x in results)
