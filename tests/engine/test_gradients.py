"""The gradient of every network, against centered differences of its objective.

The cases come from the registries, so that a new loss, activation or penalty is checked
without a change here. Each is checked as its definition and as compiled operations.
"""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone

from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes._engine.objective import Objective
from sknn_notes._engine.program import Program
from sknn_notes.activations import ACTIVATIONS, ReLU, Tanh
from sknn_notes.embeddings import Periodic, PiecewiseLinear
from sknn_notes.initializers import Auto
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.layers._embeddings import Embed
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    Gamma,
    Hinge,
    Huber,
    LogLoss,
    Poisson,
    Quantile,
    SquaredError,
    Tweedie,
)
from sknn_notes.noise import GaussianNoise
from sknn_notes.penalties import L2, PENALTIES, GroupLasso

pytestmark = pytest.mark.usefixtures("executor")

STEP = 1e-5
TOLERANCE = 1e-7
SHARE_AT_KINKS = 0.05

N_SAMPLES, N_FEATURES, N_OUTPUTS = 13, 5, 3
HIDDEN = {0: [], 1: [4], 2: [4, 3], 3: [5, 5, 4]}

LOSSES = [
    pytest.param(cls, task, id=f"{name}-{task}")
    for name, cls in CLASSIFICATION_LOSSES.items()
    for task in cls.tasks
] + [
    pytest.param(cls, task, id=f"{name}-{task}")
    for name, cls in REGRESSION_LOSSES.items()
    for task in ("one output", "outputs")
]
every_loss = pytest.mark.parametrize(("loss", "task"), LOSSES)
every_activation = pytest.mark.parametrize(
    "activation", ACTIVATIONS.values(), ids=ACTIVATIONS
)
every_penalty = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
every_depth = pytest.mark.parametrize("n_hidden", [0, 1, 2])
every_layout = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])


def make_batch(loss, task, *, weighted=False, sparse=False, seed=0):
    """Return X, targets that all losses accept, and weights of mean 1."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES))
    n_targets = 1 if task in ("binary", "one output") else N_OUTPUTS
    if task == "multiclass":
        y = rng.permutation(np.arange(N_SAMPLES) % N_OUTPUTS)
    elif task in ("binary", "multilabel"):
        y = rng.integers(2, size=(N_SAMPLES, n_targets)).astype(float)
        if task == "binary" and loss.indices_for_two:
            y = y[:, 0].astype(int)
    else:
        y = rng.poisson(1.5, size=(N_SAMPLES, n_targets)).astype(float)
        y += loss is Gamma
    weight = rng.exponential(size=N_SAMPLES) if weighted else None
    if weighted:
        weight[3] = 0
        weight /= weight.mean()
    if sparse:
        X = csr_array(np.where(rng.random(X.shape) < 0.4, X, 0))
    return X, y, weight


def make_objective(
    loss, task, activations, penalty=None, alpha=0.0, *, penalize_bias=False, **noise
):
    """Return the objective of a network with one hidden layer per activation."""
    hidden = HIDDEN[len(activations)]
    n_outputs = 1 if task in ("binary", "one output") else N_OUTPUTS
    if task in ("binary", "multiclass"):
        loss.start(np.arange(max(2, n_outputs)), counts=None)
    n_inputs = N_FEATURES
    if "embedding" in noise:
        noise["embedding"] = clone(noise["embedding"])
        n_inputs = noise["embedding"].start(make_batch(loss, task)[0])
    units = [n_inputs, *hidden, loss.n_raw(n_outputs)]
    for part in noise.get("augment", ()):
        part.start(N_FEATURES, np.random.default_rng(0))
    network = Network(hidden_layers(units, activations, **noise), np.float64)
    network.initialize(Auto(), 0.1, np.random.default_rng(1))
    alphas = alpha if isinstance(alpha, list) else [alpha] * (len(hidden) + 1)
    return Objective(Program(network, loss, penalty, alphas, penalize_bias))


def frozen_noise(network):
    """Return the same keys at every call."""
    return np.random.default_rng(7).integers(
        2**63, size=network.n_random, dtype=np.uint64
    )


def train_a_little(objective, batch, n_steps=5):
    for _ in range(n_steps):
        objective(*batch, frozen_noise(objective.network))
        objective.network.theta -= 0.02 * objective.network.grad


def parameter_arrays(network):
    """Return where every array lies in theta."""
    return [slice(entry.start, entry.stop) for entry in network.layout.learned]


def n_weights(network):
    return max(entry.stop for entry in network.layout.matrices())


def active_set(objective, X, y):
    """Return which piece of every piecewise function this batch is on.

    Units are above or below zero, and so are weights under a non-smooth penalty. The
    loss pulls an output up, down or not at all, or as hard as it can.
    """
    network = objective.network
    raw = network.forward(X, frozen_noise(network))
    pieces = [A > 0 for A, _ in network.hidden_states]
    pairs = zip(network.layers, network.kept, strict=True)
    # The functions of a periodic embedding, which may be rectified.
    pieces += [kept[-1] > 0 for x, kept in pairs if isinstance(x, Embed) and kept]
    _, pull = objective.loss.per_sample(raw, y, np)
    strength = np.abs(pull)
    pieces += [np.sign(pull), strength == strength.max()]
    pieces += [] if objective.program.smooth else [np.sign(network.theta)]
    return np.concatenate([piece.ravel() for piece in pieces])


def differences(objective, batch):
    """Return the centered difference for every parameter, and where it exists."""
    theta, (X, y, _) = objective.network.theta, batch
    slope, smooth = np.empty_like(theta), np.empty(len(theta), bool)
    for i, middle in enumerate(theta.copy()):
        theta[i] = above = middle + STEP
        value_above = objective(*batch, frozen_noise(objective.network))
        pieces_above = active_set(objective, X, y)
        theta[i] = below = middle - STEP
        value_below = objective(*batch, frozen_noise(objective.network))
        pieces_below = active_set(objective, X, y)
        theta[i] = middle
        slope[i] = (value_above - value_below) / (above - below)
        smooth[i] = np.array_equal(pieces_above, pieces_below)
    return slope, smooth


def gradient_of(objective):
    """Return the last gradient, with the part that acts through proximal steps."""
    theta = objective.network.theta
    before, penalized = theta.copy(), objective.program.penalized
    if penalized:
        for W, alpha in penalized.views(theta):
            W[...] = penalized.penalty.prox(W, alpha, STEP)
    pulled, theta[:] = (before - theta) / STEP, before
    return objective.network.grad + pulled


def check_gradient(objective, batch):
    """Assert that the gradient of every parameter array is the slope of the value."""
    objective = Objective(objective.program, batch)
    slope, smooth = differences(objective, batch)
    for _ in range(2):
        if np.mean(~smooth) <= SHARE_AT_KINKS:
            break
        # A unit may be at a non-smooth point by chance: move a step away from it.
        train_a_little(objective, batch, n_steps=1)
        slope, smooth = differences(objective, batch)
    assert np.mean(~smooth) <= SHARE_AT_KINKS
    value = objective(*batch, frozen_noise(objective.network))
    gradient = gradient_of(objective)
    gradient[~smooth] = slope[~smooth] = 0
    # What rounding of the value makes of a slope of 0.
    zero = 4 * np.finfo(float).eps * max(1, value) / STEP
    for place in parameter_arrays(objective.network):
        analytic, numeric = gradient[place], slope[place]
        size = max(np.linalg.norm(analytic), np.linalg.norm(numeric))
        error = np.linalg.norm(analytic - numeric)
        assert error <= TOLERANCE * size or size <= zero * analytic.size**0.5, (
            f"{place}: relative error {error / size:.1e}, {analytic} != {numeric}"
        )
    return gradient


def check_trained(objective, batch):
    """Check the gradient at a point after some training, where it is not zero."""
    train_a_little(objective, batch)
    assert np.any(check_gradient(objective, batch))


# The data loss alone


@pytest.mark.one_in(3)
@every_loss
@every_depth
def test_every_loss(loss, task, n_hidden):
    objective = make_objective(loss(), task, [Tanh()] * n_hidden)
    check_trained(objective, make_batch(loss, task))


@pytest.mark.one_in(3)
@every_activation
@pytest.mark.parametrize("n_hidden", [1, 2])
@pytest.mark.parametrize(
    ("loss", "task"), [(LogLoss, "multiclass"), (Hinge, "binary"), (Poisson, "outputs")]
)
def test_every_activation(loss, task, activation, n_hidden):
    objective = make_objective(loss(), task, [activation() for _ in range(n_hidden)])
    check_trained(objective, make_batch(loss, task))


@pytest.mark.parametrize("pair", list(pairwise(ACTIVATIONS)), ids="-".join)
def test_a_different_activation_per_layer(pair):
    activations = [ACTIVATIONS[name]() for name in pair]
    objective = make_objective(LogLoss(), "multiclass", activations)
    check_trained(objective, make_batch(LogLoss, "multiclass"))


@pytest.mark.one_in(3)
@every_loss
@every_layout
def test_sample_weights(loss, task, sparse):
    objective = make_objective(loss(), task, [Tanh()])
    check_trained(objective, make_batch(loss, task, weighted=True, sparse=sparse))


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("loss", [Hinge(margin=0.3), LogLoss(label_smoothing=0.2)])
def test_losses_with_parameters(loss, task):
    objective = make_objective(loss, task, [Tanh()])
    check_trained(objective, make_batch(type(loss), task))


@pytest.mark.parametrize(
    "loss",
    [
        Huber(delta=0.3),
        Quantile(quantile=0.9),
        Quantile([0.1, 0.5, 0.9]),
        Tweedie(power=1.2),
    ],
    ids=str,
)
def test_regression_losses_with_parameters(loss):
    objective = make_objective(loss, "outputs", [Tanh()])
    check_trained(objective, make_batch(type(loss), "outputs"))


# The penalty alone: weights of zero silence the data


@pytest.mark.one_in(3)
@every_penalty
@every_depth
@pytest.mark.parametrize("penalize_bias", [False, True])
@pytest.mark.parametrize("per_layer", [False, True])
def test_penalty_alone(penalty, n_hidden, penalize_bias, per_layer):
    alpha = [0.3, 0.0, 2.0][: n_hidden + 1] if per_layer else 0.3
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [Tanh()] * n_hidden,
        penalty(),
        alpha,
        penalize_bias=penalize_bias,
    )
    X, y, _ = make_batch(LogLoss, "multiclass")
    train_a_little(objective, (X, y, None))
    gradient = check_gradient(objective, (X, y, np.zeros(N_SAMPLES)))

    weights, biases = np.split(gradient, [n_weights(objective.network)])
    assert np.any(weights)
    assert np.any(biases) == (penalize_bias and not penalty.sees_matrices)


# Loss and penalty together


# A product of all, whose factors have tests of their own.
@pytest.mark.nightly
@every_loss
@every_penalty
@pytest.mark.parametrize(
    ("alpha", "penalize_bias"),
    [(0.1, False), ([0.5, 0.1, 2.0], True)],
    ids=["scalar", "per layer"],
)
def test_loss_and_penalty(loss, task, penalty, alpha, penalize_bias):
    objective = make_objective(
        loss(), task, [Tanh()] * 2, penalty(), alpha, penalize_bias=penalize_bias
    )
    check_trained(objective, make_batch(loss, task, weighted=True))


# Noise in the forward pass, the same in every evaluation


@pytest.mark.one_in(3)
@every_activation
@every_depth
@every_layout
def test_dropout(activation, n_hidden, sparse):
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [activation() for _ in range(n_hidden)],
        dropout=[0.3, 0.5][:n_hidden],
        input_dropout=0.2,
    )
    check_trained(objective, make_batch(LogLoss, "multiclass", sparse=sparse))


@pytest.mark.one_in(3)
@every_activation
@every_layout
@pytest.mark.parametrize("inverted", [True, False], ids=["inverted", "standard"])
def test_dropconnect(activation, sparse, inverted):
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [activation(), activation()],
        dropout=[0.0, 0.2],
        dropconnect=0.3,
        inverted=inverted,
    )
    check_trained(objective, make_batch(LogLoss, "multiclass", sparse=sparse))


# Batch norm, whose statistics depend on every sample of the batch


@pytest.mark.one_in(3)
@every_activation
@pytest.mark.parametrize("n_hidden", [1, 2])
@every_layout
def test_batch_norm(activation, n_hidden, sparse):
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [activation() for _ in range(n_hidden)],
        batch_norm=BatchNorm(eps=0.1),
    )
    check_trained(objective, make_batch(LogLoss, "multiclass", sparse=sparse))


@pytest.mark.one_in(3)
@every_loss
def test_batch_norm_under_every_loss(loss, task):
    objective = make_objective(loss(), task, [Tanh()], batch_norm=BatchNorm())
    check_trained(objective, make_batch(loss, task, weighted=True))


@every_penalty
@pytest.mark.parametrize("alpha", [0.3, [0.3, 0.1, 2.0]], ids=["scalar", "per layer"])
def test_the_scale_of_batch_norm_is_never_penalized(penalty, alpha):
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [Tanh()] * 2,
        penalty(),
        alpha,
        penalize_bias=True,
        batch_norm=BatchNorm(),
    )
    X, y, _ = make_batch(LogLoss, "multiclass")
    train_a_little(objective, (X, y, None))
    gradient = check_gradient(objective, (X, y, np.zeros(N_SAMPLES)))
    # Weights and the output's bias come first, scale and shift last.
    weights, bias, batch_norm = np.split(
        gradient, np.cumsum([n_weights(objective.network), N_OUTPUTS])
    )
    assert np.any(weights)
    assert np.any(bias) == (not penalty.sees_matrices)
    assert not np.any(batch_norm)


# Layer norm and residual connections


@pytest.mark.one_in(3)
@every_activation
@pytest.mark.parametrize("n_hidden", [1, 2])
@every_layout
def test_layer_norm(activation, n_hidden, sparse):
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [activation() for _ in range(n_hidden)],
        layer_norm=LayerNorm(eps=0.1),
    )
    check_trained(objective, make_batch(LogLoss, "multiclass", sparse=sparse))


@pytest.mark.one_in(3)
@every_activation
@pytest.mark.parametrize("n_hidden", [1, 2, 3])
@every_layout
def test_residual_connections(activation, n_hidden, sparse):
    objective = make_objective(
        LogLoss(), "multiclass", [activation() for _ in range(n_hidden)], residual=True
    )
    check_trained(objective, make_batch(LogLoss, "multiclass", sparse=sparse))


@every_penalty
@pytest.mark.parametrize("alpha", [0.3, [0.3, 0.0, 2.0, 0.1]], ids=["scalar", "layers"])
def test_the_weights_of_residual_connections_are_penalized(penalty, alpha):
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [Tanh()] * 3,
        penalty(),
        alpha,
        layer_norm=LayerNorm(),
        residual=True,
    )
    X, y, _ = make_batch(LogLoss, "multiclass")
    train_a_little(objective, (X, y, None))
    gradient = check_gradient(objective, (X, y, np.zeros(N_SAMPLES)))
    for entry in objective.network.layout.learned:
        strength = alpha[entry.depth] if isinstance(alpha, list) else alpha
        is_covered = entry.role == "weights" and penalty().covers(entry.depth)
        assert np.any(entry.view(gradient)) == (is_covered and strength > 0)


# Embeddings and feature scaling

EMBEDDED = [
    Periodic(n_frequencies=4, n_units=2, sigma=0.5),
    Periodic(n_frequencies=3, n_units=3, activation="relu"),
    PiecewiseLinear(n_bins=3),
]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("embedding", EMBEDDED, ids=str)
@pytest.mark.parametrize("activation", [ReLU, Tanh])
@pytest.mark.parametrize("n_hidden", [0, 2])
@pytest.mark.parametrize(
    "options",
    [{}, {"feature_scaling": True}, {"input_dropout": 0.2, "residual": True}],
    ids=str,
)
def test_embeddings(embedding, activation, n_hidden, options):
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [activation() for _ in range(n_hidden)],
        embedding=embedding,
        **options,
    )
    check_trained(objective, make_batch(LogLoss, "multiclass", weighted=True))


@every_layout
@pytest.mark.parametrize("n_hidden", [0, 1, 3])
@pytest.mark.parametrize("options", [{}, {"residual": True}], ids=str)
def test_feature_scaling(sparse, n_hidden, options):
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [Tanh()] * n_hidden,
        feature_scaling=True,
        input_dropout=0.2,
        **options,
    )
    check_trained(objective, make_batch(LogLoss, "multiclass", sparse=sparse))


@every_penalty
def test_embeddings_and_feature_scales_are_never_penalized(penalty):
    objective = make_objective(
        LogLoss(),
        "multiclass",
        [Tanh()],
        penalty(),
        0.3,
        penalize_bias=True,
        embedding=EMBEDDED[0],
        feature_scaling=True,
    )
    X, y, _ = make_batch(LogLoss, "multiclass")
    train_a_little(objective, (X, y, None))
    gradient = check_gradient(objective, (X, y, np.zeros(N_SAMPLES)))
    for entry in objective.network.layout.learned:
        if entry.role == "others":
            assert not np.any(entry.view(gradient))


@pytest.mark.parametrize(
    "options",
    [
        {"batch_norm": BatchNorm(), "layer_norm": LayerNorm()},
        {"residual": True, "dropout": [0.2, 0.3, 0.0], "dropconnect": 0.1},
        {"residual": True, "input_dropout": 0.2, "batch_norm": BatchNorm()},
        {"augment": [GaussianNoise(std=0.3)], "residual": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("activation", [ReLU, Tanh, ACTIVATIONS["gelu"]])
def test_layers_together(options, activation):
    objective = make_objective(
        LogLoss(), "multiclass", [activation() for _ in range(3)], **options
    )
    check_trained(objective, make_batch(LogLoss, "multiclass", weighted=True))


def test_groups_of_units():
    objective = make_objective(
        SquaredError(), "outputs", [Tanh()] * 2, GroupLasso(groups="units"), 0.3
    )
    check_trained(objective, make_batch(SquaredError, "outputs"))


# All at once


@pytest.mark.nightly
@every_loss
@every_penalty
@pytest.mark.parametrize(("sparse", "residual"), [(True, False), (False, True)])
def test_everything_at_once(loss, task, penalty, sparse, residual):
    objective = make_objective(
        loss(),
        task,
        [ReLU(), Tanh()],
        penalty(),
        [0.1, 0.2, 0.3],
        penalize_bias=True,
        dropout=[0.25, 0.0],
        input_dropout=0.1,
        dropconnect=0.1,
        batch_norm=BatchNorm(),
        residual=residual,
    )
    # Connections past the layers make outputs larger, of which Poisson takes exp.
    objective.network.theta *= 0.5
    check_trained(objective, make_batch(loss, task, weighted=True, sparse=sparse))


# The check itself


class _ForgottenHalf(SquaredError):
    def per_sample(self, raw, y, xp):
        losses, gradient = super().per_sample(raw, y, xp)
        return 2 * losses, gradient


class _SlightlyWrong(L2):
    def gradient(self, W, alpha, xp=np):
        return super().gradient(W, alpha * (1 + 2e-6), xp)


@pytest.mark.parametrize(
    ("loss", "penalty"), [(_ForgottenHalf(), None), (SquaredError(), _SlightlyWrong())]
)
def test_a_wrong_gradient_is_noticed(loss, penalty):
    objective = make_objective(loss, "outputs", [Tanh()], penalty, 10.0)
    with pytest.raises(AssertionError, match="relative error"):
        check_gradient(objective, make_batch(SquaredError, "outputs"))


def test_a_probe_across_a_non_smooth_point_is_skipped():
    objective = make_objective(SquaredError(), "one output", [ReLU()])
    batch = make_batch(SquaredError, "one output")
    (_, first), *_ = objective.network.dense
    # One sample is at the non-smooth point of the first unit, which depends on five
    # weights and the bias.
    first["b"][0] = -(batch[0][0] @ first["W"][:, 0]) + 1e-7
    _, smooth = differences(objective, batch)
    views = objective.network.layout.views(smooth)
    W, b = views[0]["W"], views[0]["b"]
    assert not W[:, 0].any()
    assert not b[0]
    assert W[:, 1:].all()
    assert b[1:].all()
