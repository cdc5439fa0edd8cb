"""The objective by hand, its start at chance, and what it averages over."""

import numpy as np
import pytest
from scipy.special import xlogy

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._engine.batches import Batches
from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes._engine.objective import Objective
from sknn_notes._engine.program import Program
from sknn_notes.activations import ReLU, Tanh
from sknn_notes.initializers import Auto
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.layers._base import Fitted
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    LogLoss,
    SquaredError,
)
from sknn_notes.penalties import L1, L2

N = 60


def make_network(units, activations=(), dtype=np.float64, **options):
    return Network(hidden_layers(units, list(activations), **options), dtype)


def make_objective(*args, **options):
    return Objective(Program(*args, **options))


def linear_objective(penalty=None, alpha=0.0, **options):
    """Return the objective of y = 2 x + 1 under the squared error."""
    network = make_network([1, 1])
    network.load(Fitted([np.array([[2.0]])], [np.array([1.0])]))
    return make_objective(network, SquaredError(), penalty, [alpha], **options)


def small_network(dtype=np.float64, loss=None, **options):
    """Return the objective of a 4-5-3 network for three classes, with data for it."""
    rng = np.random.default_rng(0)
    loss = loss or LogLoss()
    network = make_network([4, 5, loss.n_raw(3)], [Tanh()], dtype, **options)
    network.initialize(Auto(), 0.1, rng)
    X = rng.normal(size=(N, 4)).astype(dtype)
    y = rng.integers(3, size=N)
    return make_objective(network, loss, L2(), [0.1, 0.1]), X, y


def test_a_case_by_hand():
    # x = 3, y = 5: f = 7, loss = (7 - 5)**2 / 2 = 2; penalty = 0.5 / 2 * 2**2 = 1.
    # dJ/dW = (7 - 5) * 3 + 0.5 * 2 = 7, dJ/db = 2.
    objective = linear_objective(L2(), 0.5)
    assert objective(np.array([[3.0]]), np.array([[5.0]])) == 3
    np.testing.assert_array_equal(objective.network.grad, [7, 2])


def test_a_case_by_hand_with_the_bias_penalized():
    objective = linear_objective(L2(), 0.5, penalize_bias=True)
    assert objective(np.array([[3.0]]), np.array([[5.0]])) == 3.25
    np.testing.assert_array_equal(objective.network.grad, [7, 2.5])


def test_a_hidden_layer_by_hand():
    # Units: relu(1 * 2 + 1) = 3 and relu(-1 * 2 + 0) = 0; f = 2 * 3 + 5 * 0 - 1 = 5.
    # Loss (5 - 3)**2 / 2 = 2; the second unit is off, so nothing flows back through it.
    network = make_network([1, 2, 1], [ReLU()])
    coefs = [np.array([[1.0, -1.0]]), np.array([[2.0], [5.0]])]
    network.load(Fitted(coefs, [np.array([1.0, 0.0]), np.array([-1.0])]))
    objective = make_objective(network, SquaredError())
    assert objective(np.array([[2.0]]), np.array([[3.0]])) == 2
    np.testing.assert_array_equal(network.grad, [2 * 2 * 2, 0, 2 * 3, 0, 2 * 2, 0, 2])


def test_the_loss_averages_over_samples_and_sums_over_outputs():
    X = np.array([[0.0], [0.0]])
    objective = make_objective(make_network([1, 2]), SquaredError())
    # (1 + 4 + 9 + 16) / 2 over 2 samples
    assert objective(X, np.array([[1.0, 2.0], [3.0, 4.0]])) == 7.5


def test_the_penalty_is_not_divided_by_the_batch_size():
    objective = linear_objective(L2(), 0.5)
    for n in (1, 2, 10):
        X, y = np.full((n, 1), 3.0), np.full((n, 1), 7.0)
        assert objective(X, y) == 1
        np.testing.assert_array_equal(objective.network.grad, [1, 0])


def test_one_alpha_per_layer():
    network = make_network([2, 2, 1], [Tanh()])
    coefs = [np.full((2, 2), 3.0), np.full((2, 1), 5.0)]
    network.load(Fitted(coefs, [np.ones(2), np.ones(1)]))
    batch = np.zeros((1, 2)), np.zeros((1, 1)), np.zeros(1)
    objective = make_objective(network, SquaredError(), L2(), [0.1, 2.0])
    assert objective(*batch) == pytest.approx(0.1 / 2 * 4 * 9 + 2 / 2 * 2 * 25)
    np.testing.assert_allclose(network.grad, 4 * [0.3] + 2 * [10.0] + 3 * [0])

    objective = make_objective(
        network, SquaredError(), L2(), [0.1, 2.0], penalize_bias=True
    )
    assert objective(*batch) == pytest.approx(0.05 * (36 + 2) + 1 * (50 + 1))
    np.testing.assert_allclose(network.grad[6:], [0.1, 0.1, 2.0])


def test_equal_alphas_are_one_alpha():
    gradients = []
    for alphas in ([0.3, 0.3], [0.3, 0.3 * (1 + 1e-15)]):
        objective, X, y = small_network()
        objective = make_objective(objective.network, LogLoss(), L2(), alphas, True)
        gradients.append([objective(X, y), *objective.network.grad])
    np.testing.assert_allclose(*gradients, rtol=1e-13)


# Sample weights


def test_weights_of_one_change_nothing():
    objective, X, y = small_network()
    value = objective(X, y)
    gradient = objective.network.grad.copy()
    assert objective(X, y, np.ones(N)) == pytest.approx(value, rel=1e-15)
    np.testing.assert_allclose(objective.network.grad, gradient, rtol=1e-13)


def test_a_weight_of_two_is_the_sample_twice():
    objective, X, y = small_network()
    weight = np.ones(N)
    weight[5] = 2
    value = objective(X, y, weight / weight.mean())
    gradient = objective.network.grad.copy()
    again = np.append(np.arange(N), 5)
    assert objective(X[again], y[again]) == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(objective.network.grad, gradient, rtol=1e-12)


def test_a_batch_of_weights_zero_leaves_the_penalty_alone():
    objective, X, y = small_network()
    weights = np.concatenate([p["W"].ravel() for _, p in objective.network.dense])
    assert objective(X, y, np.zeros(N)) == pytest.approx(0.05 * np.sum(weights**2))
    np.testing.assert_allclose(
        objective.network.grad[: len(weights)], 0.1 * weights, rtol=1e-15
    )
    assert not objective.network.grad[len(weights) :].any()


def test_mini_batches_add_up_to_the_weighted_mean():
    objective, X, y = small_network()
    objective = make_objective(objective.network, LogLoss())
    weight = np.random.default_rng(1).exponential(size=N)
    weight /= weight.mean()
    whole = objective(X, y, weight)
    parts = [slice(i, i + 10) for i in range(0, N, 10)]
    values = [objective(X[rows], y[rows], weight[rows]) for rows in parts]
    assert np.mean(values) == pytest.approx(whole, rel=1e-14)


# At chance: small weights, no penalty


def _mean_log_fact(y):
    return np.mean(np.sum(1 + xlogy(y, y) - y, axis=1))


def _mean_huber(y):
    return np.mean(np.sum(np.where(y <= 1, 0.5 * y**2, y - 0.5), axis=1))


def _mean_depth_times_ln_2(K):
    # The balanced tree over N samples of K classes in turn: halves of halves.
    return np.mean([_depth(y, K) for y in np.arange(N) % K]) * np.log(2)


def _depth(leaf, K):
    if K == 1:
        return 0
    left = (K + 1) // 2
    return 1 + (_depth(leaf, left) if leaf < left else _depth(leaf - left, K - left))


# The first loss for K classes, or for targets y of shape (n_samples, n_outputs).
CLASSES_AT_CHANCE = {
    "hierarchical_softmax": _mean_depth_times_ln_2,
    "hinge": lambda K: K - 1,
    "log_loss": np.log,
    "squared_hinge": lambda K: K - 1,
}
LABELS_AT_CHANCE = {
    "hierarchical_softmax": lambda K: K * np.log(2),
    "hinge": lambda K: K,
    "log_loss": lambda K: K * np.log(2),
    "squared_hinge": lambda K: K,
}
for of_loss in (CLASSES_AT_CHANCE, LABELS_AT_CHANCE):
    of_loss["sampled_softmax"] = of_loss["log_loss"]
TARGETS_AT_CHANCE = {
    "absolute_error": lambda y: np.mean(np.sum(y, axis=1)),
    "gamma": lambda y: np.mean(np.sum(y - np.log(y) - 1, axis=1)),
    "gaussian_nll": lambda y: 0.5 * np.mean(np.sum(y**2, axis=1)),
    "huber": _mean_huber,
    "poisson": _mean_log_fact,
    "quantile": lambda y: 0.5 * np.mean(np.sum(y, axis=1)),
    "squared_error": lambda y: 0.5 * np.mean(np.sum(y**2, axis=1)),
    "tweedie": lambda y: 2 * np.mean(np.sum((1 - np.sqrt(y)) ** 2, axis=1)),
}


def first_loss(estimator, y, **parameters):
    """Return the loss of the whole data before the first step."""
    X = np.random.default_rng(0).normal(size=(len(y), 5))
    estimator.set_params(batch_size=len(y), max_iter=1, random_state=0, **parameters)
    return estimator.fit(X, y).loss_curve_[0]


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
@pytest.mark.parametrize("n_classes", [3, 10])
@pytest.mark.parametrize("init", ["normal", "uniform", "zeros"])
def test_classes_start_at_chance(loss, n_classes, init):
    y = np.arange(N) % n_classes
    value = first_loss(MLPClassifier(loss=loss, init=init, alpha=0), y)
    assert value == pytest.approx(CLASSES_AT_CHANCE[loss](n_classes), rel=1e-3)


@pytest.mark.parametrize(
    ("loss", "n_labels"),
    [
        (name, n_labels)
        for name, cls in CLASSIFICATION_LOSSES.items()
        for n_labels in ([1, 2, 5] if "multilabel" in cls.tasks else [1])
    ],
)
def test_two_classes_and_labels_start_at_chance(loss, n_labels):
    y = np.random.default_rng(1).integers(2, size=(N, n_labels))
    y = y.ravel() if n_labels == 1 else y
    value = first_loss(MLPClassifier(loss=loss, init="normal", alpha=0), y)
    assert value == pytest.approx(LABELS_AT_CHANCE[loss](n_labels), rel=1e-3)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_regression_starts_at_an_output_of_zero(loss, n_outputs):
    y = np.random.default_rng(1).poisson(2.0, size=(N, n_outputs)).astype(float)
    y += loss == "gamma"
    expected = TARGETS_AT_CHANCE[loss](y)
    y = y.ravel() if n_outputs == 1 else y
    model = MLPRegressor(loss=loss, init="normal", alpha=0, standardize_target=False)
    assert first_loss(model, y) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)
def test_a_larger_alpha_raises_the_first_loss_of_classifiers(loss):
    y = np.arange(N) % 3
    values = [
        first_loss(MLPClassifier(loss=loss), y, alpha=alpha)
        for alpha in (0, 0.1, 1, 10)
    ]
    assert values == sorted(set(values))
    np.testing.assert_allclose(
        np.diff(values) / [0.1, 0.9, 9], (values[3] - values[0]) / 10
    )


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_a_larger_alpha_raises_the_first_loss_of_regressors(loss):
    y = np.arange(N) % 3 + 1
    values = [
        first_loss(MLPRegressor(loss=loss), y, alpha=alpha) for alpha in (0, 0.1, 1, 10)
    ]
    assert values == sorted(set(values))


# Numbers


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_input_that_is_not_finite_reaches_the_loss(value):
    network = make_network([2, 3, 1], [ReLU()])
    network.initialize(Auto(), 0.0, np.random.default_rng(0))
    objective = make_objective(network, SquaredError())
    X = np.array([[1.0, 2.0], [value, 0.0]])
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(objective(X, np.zeros((2, 1))))


@pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES.values())
def test_nan_in_the_weights_reaches_the_loss(loss):
    part = loss()
    part.start(np.arange(3), counts=None)
    objective, X, y = small_network(loss=part)
    objective.network.p[0]["W"][:] = np.nan
    assert np.isnan(objective(X, y))


def test_float32_agrees_with_float64():
    wide, X, y = small_network(np.float64)
    narrow, X32, _ = small_network(np.float32)
    assert narrow(X32, y) == pytest.approx(wide(X, y), rel=1e-5)
    assert narrow.network.grad.dtype == np.float32
    np.testing.assert_allclose(narrow.network.grad, wide.network.grad, atol=1e-5)


def test_every_layer_writes_to_the_one_gradient():
    objective, X, y = small_network()
    network = objective.network
    grad = network.grad
    grad[:] = np.nan
    objective(X, y)
    assert network.grad is grad
    assert np.isfinite(grad).all()
    for arrays in network.g:
        for array in arrays.values():
            assert np.shares_memory(array, grad)


@pytest.mark.parametrize("options", [{}, {"dropout": [0.5]}], ids=str)
def test_the_mean_of_an_epoch_is_that_of_its_steps(options):
    objective, X, y = small_network(**options)
    batches = Batches(X, y, None, batch_size=25, shuffle=True)
    total, rng = 0.0, np.random.default_rng(3)
    for rows, classes, _ in batches.epoch(rng):
        keys = rng.bit_generator.random_raw(1) if options else None
        loss, _ = objective.mean_loss(rows, classes, keys=keys)
        total += len(classes) * loss
    mean = objective.mean(batches, np.random.default_rng(3))
    assert mean == pytest.approx(total / N + objective.penalty(), rel=1e-14)
    noiseless = objective.mean_loss(X, y)[0] + objective.penalty()
    assert (mean == pytest.approx(noiseless, rel=1e-9)) == (not options)


# Compiled


@pytest.mark.parametrize(
    "options",
    [{}, {"residual": True}, {"batch_norm": BatchNorm()}, {"layer_norm": LayerNorm()}],
    ids=str,
)
@pytest.mark.parametrize("penalty", [None, L2(), L1()], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_compiled_operations_compute_the_same(use, options, penalty, weighted):
    pytest.importorskip("numba")
    use("numba")
    objective, X, y = small_network(**options)
    weight = np.random.default_rng(1).exponential(size=N) if weighted else None
    program = Program(objective.network, LogLoss(), penalty, [0.3, 0.1])
    plain, compiled = Objective(program), Objective(program, (X, y, weight))
    assert compiled.executor.description == "numba"
    for n in (N, 7):
        rows = slice(n)
        batch = X[rows], y[rows], weight[rows] if weighted else None
        value, gradient = plain(*batch), objective.network.grad.copy()
        objective.network.grad[:] = np.nan
        assert compiled(*batch) == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(
            objective.network.grad, gradient, rtol=1e-11, atol=1e-14
        )


def test_compiled_operations_are_not_asked_for_noise_that_is_off(use):
    pytest.importorskip("numba")
    use("numba")
    objective, X, y = small_network(dropout=[0.5])
    compiled = Objective(objective.program, (X, y, None))
    assert compiled(X, y) == objective(X, y)
    keys = np.array([2**60 + 1], np.uint64)
    noisy = objective(X, y, keys=keys)
    assert compiled(X, y, keys=keys) == pytest.approx(noisy, rel=1e-13)
    assert noisy != objective(X, y)
