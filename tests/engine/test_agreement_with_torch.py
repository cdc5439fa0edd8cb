"""Training agrees with PyTorch's, from the same weights through the same batches."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.embeddings import Periodic
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.losses import Hinge, LogLoss
from sknn_notes.optimizers import RMSProp

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.usefixtures("executor")

# 23 samples in batches of 5: the last one of an epoch has 3.
N_SAMPLES, N_FEATURES, N_CLASSES, BATCH_SIZE, N_EPOCHS = 23, 6, 4, 5, 3

ACTIVATIONS = {
    "identity": lambda Z: Z,
    "logistic": torch.sigmoid,
    "relu": torch.relu,
    "tanh": torch.tanh,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Arrays this small gain nothing from threads, and lose much to waiting."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def squared_error(raw, y):
    return 0.5 * ((raw - y) ** 2).sum(1)


def softmax_log_loss(raw, y):
    return F.cross_entropy(raw, y, reduction="none")


def smoothed_log_loss(raw, y):
    return F.cross_entropy(raw, y, reduction="none", label_smoothing=0.3)


def logistic_log_loss(raw, y):
    return F.binary_cross_entropy_with_logits(raw, y, reduction="none").sum(1)


def multiclass_hinge(raw, y, margin=1.0):
    # PyTorch divides by the number of classes.
    return raw.shape[1] * F.multi_margin_loss(raw, y, margin=margin, reduction="none")


def binary_hinge(raw, y):
    return torch.relu(1 - (2 * y - 1) * raw).sum(1)


def poisson(raw, y):
    # PyTorch leaves out the part that depends on the targets alone.
    constant = torch.special.xlogy(y, y) - y
    return (F.poisson_nll_loss(raw, y, reduction="none") + constant).sum(1)


# Loss of the library, kind of target, and the same loss in PyTorch.
LOSSES = [
    ("log_loss", "classes", softmax_log_loss),
    (LogLoss(label_smoothing=0.3), "classes", smoothed_log_loss),
    ("log_loss", "two classes", logistic_log_loss),
    ("log_loss", "labels", logistic_log_loss),
    ("hinge", "classes", multiclass_hinge),
    (Hinge(margin=0.25), "classes", lambda raw, y: multiclass_hinge(raw, y, 0.25)),
    ("hinge", "two classes", binary_hinge),
    ("hinge", "labels", binary_hinge),
    ("squared_error", "outputs", squared_error),
    ("squared_error", "one output", squared_error),
    ("poisson", "outputs", poisson),
]


def make_data(kind, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_SAMPLES, N_FEATURES))
    if kind == "classes":
        return X, rng.permutation(np.arange(N_SAMPLES) % N_CLASSES)
    if kind == "two classes":
        return X, rng.permutation(np.arange(N_SAMPLES) % 2)
    if kind == "labels":
        return X, rng.integers(2, size=(N_SAMPLES, 3))
    if kind == "one output":
        return X, rng.poisson(2.0, size=N_SAMPLES).astype(float)
    return X, rng.poisson(2.0, size=(N_SAMPLES, 3)).astype(float)


def make_estimator(loss, kind, **parameters):
    cls = MLPClassifier
    if "output" in kind:
        cls = partial(MLPRegressor, standardize_target=False)
    return cls(
        loss=loss,
        random_state=3,
        shuffle=False,
        batch_size=BATCH_SIZE,
        max_iter=N_EPOCHS,
        **({"hidden_layer_sizes": (7, 5), "alpha": 0.0, "bias_init": 0.1} | parameters),
    )


def initial_network(estimator, X, y):
    """Return the weights that the estimator starts from, as tensors with gradients."""
    # A rate that rounding swallows: the weights after training are those before it.
    start = clone(estimator).set_params(solver="sgd", learning_rate_init=1e-300)
    start.fit(X, y)
    return [
        [torch.tensor(array, requires_grad=True) for array in arrays]
        for arrays in (start.coefs_, start.intercepts_)
    ]


def train_torch(estimator, loss, optimizer, X, y, weight=None, before_step=None):
    """Return PyTorch's weights, biases and loss per epoch for the same training."""
    coefs, intercepts = initial_network(estimator, X, y)
    activation = ACTIVATIONS[estimator.activation]
    if not np.issubdtype(y.dtype, np.integer) or y.ndim == 2 or y.max() == 1:
        y = y.reshape(len(y), -1).astype(float)
    X, y = torch.tensor(X), torch.tensor(y)
    weight = torch.ones(len(X)) if weight is None else torch.tensor(weight)
    solver = optimizer([*coefs, *intercepts])
    curve = []
    for _ in range(N_EPOCHS):
        total = 0.0
        for rows in torch.arange(len(X)).split(BATCH_SIZE):
            A = X[rows]
            for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
                A = activation(A @ W + b)
            raw = A @ coefs[-1] + intercepts[-1]
            losses = loss(raw, y[rows]) * weight[rows] / weight.mean()
            penalized = [*coefs, *intercepts] if estimator.penalize_bias else coefs
            squares = sum((array**2).sum() for array in penalized)
            objective = losses.mean() + 0.5 * estimator.alpha * squares
            solver.zero_grad()
            objective.backward()
            if before_step:
                before_step(solver)
            solver.step()
            total += objective.item() * len(rows)
        curve.append(total / len(X))
    return coefs, intercepts, curve


def assert_same_training(estimator, loss, optimizer, kind, weight=None, **options):
    X, y = make_data(kind)
    coefs, intercepts, curve = train_torch(
        estimator, loss, optimizer, X, y, weight, **options
    )
    estimator.fit(X, y, sample_weight=weight)
    ours = [*estimator.coefs_, *estimator.intercepts_]
    for array, tensor in zip(ours, [*coefs, *intercepts], strict=True):
        np.testing.assert_allclose(
            array, tensor.detach().numpy(), rtol=1e-11, atol=1e-13
        )
    np.testing.assert_allclose(estimator.loss_curve_, curve, rtol=1e-12)


def torch_sgd(rate, momentum=0.0, nesterov=False):
    return lambda tensors: torch.optim.SGD(
        tensors, lr=rate, momentum=momentum, nesterov=nesterov
    )


def torch_adam(rate, **options):
    return lambda tensors: torch.optim.Adam(tensors, lr=rate, **options)


def scikit_learn_epsilon(epsilon, beta_2):
    """Return the adaptation of PyTorch's epsilon to scikit-learn's placement."""
    t = 0

    def before_step(solver):
        nonlocal t
        t += 1
        solver.param_groups[0]["eps"] = epsilon / (1 - beta_2**t) ** 0.5

    return before_step


@pytest.mark.parametrize(("loss", "kind", "torch_loss"), LOSSES)
def test_every_loss(loss, kind, torch_loss):
    estimator = make_estimator(
        loss, kind, solver="sgd", momentum=0.0, learning_rate_init=0.05
    )
    assert_same_training(estimator, torch_loss, torch_sgd(0.05), kind)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden_layer_sizes", [(7,), (7, 5), (6, 5, 4)])
def test_every_activation(activation, hidden_layer_sizes):
    estimator = make_estimator(
        "log_loss",
        "classes",
        activation=activation,
        hidden_layer_sizes=hidden_layer_sizes,
        solver="sgd",
        learning_rate_init=0.05,
    )
    solver = torch_sgd(0.05, momentum=0.9, nesterov=True)
    assert_same_training(estimator, softmax_log_loss, solver, "classes")


@pytest.mark.parametrize(
    ("momentum", "nesterov"), [(0.0, False), (0.5, False), (0.9, True)]
)
def test_sgd(momentum, nesterov):
    estimator = make_estimator(
        "log_loss",
        "classes",
        solver="sgd",
        momentum=momentum,
        nesterovs_momentum=nesterov,
        learning_rate_init=0.1,
        alpha=0.01,
    )
    solver = torch_sgd(0.1, momentum=momentum, nesterov=nesterov)
    assert_same_training(estimator, softmax_log_loss, solver, "classes")


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
@pytest.mark.parametrize(("beta_1", "beta_2"), [(0.9, 0.999), (0.5, 0.8), (0.0, 0.9)])
def test_adam(epsilon, beta_1, beta_2):
    estimator = make_estimator(
        "log_loss",
        "classes",
        solver="adam",
        learning_rate_init=0.01,
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
        alpha=0.01,
    )
    assert_same_training(
        estimator,
        softmax_log_loss,
        torch_adam(0.01, betas=(beta_1, beta_2)),
        "classes",
        before_step=scikit_learn_epsilon(epsilon, beta_2),
    )


@pytest.mark.filterwarnings("ignore:.* has no effect")
def test_adamw():
    # The penalty is in no gradient, so that PyTorch's objective has none.
    X, y = make_data("classes")
    estimator = make_estimator(
        "log_loss", "classes", solver="adamw", learning_rate_init=0.01, epsilon=1e-4
    )

    def optimizer(tensors):
        weights, biases = tensors[:3], tensors[3:]
        groups = [
            {"params": weights, "weight_decay": 0.5},
            {"params": biases, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=0.01)

    adapt = scikit_learn_epsilon(1e-4, 0.999)

    def before_step(solver):
        adapt(solver)
        solver.param_groups[1]["eps"] = solver.param_groups[0]["eps"]

    coefs, intercepts, _ = train_torch(
        estimator, softmax_log_loss, optimizer, X, y, before_step=before_step
    )
    estimator.set_params(alpha=0.5).fit(X, y)
    ours = [*estimator.coefs_, *estimator.intercepts_]
    for array, tensor in zip(ours, [*coefs, *intercepts], strict=True):
        np.testing.assert_allclose(array, tensor.detach().numpy(), 1e-10, 1e-13)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
@pytest.mark.parametrize("rho", [0.9, 0.5])
def test_rmsprop(rho, epsilon):
    estimator = make_estimator(
        "log_loss",
        "classes",
        solver=RMSProp(rho=rho, epsilon=epsilon),
        learning_rate_init=0.01,
        alpha=0.01,
    )
    assert_same_training(
        estimator,
        softmax_log_loss,
        lambda tensors: torch.optim.RMSprop(tensors, lr=0.01, alpha=rho, eps=epsilon),
        "classes",
    )


@pytest.mark.parametrize("momentum", [0.1, 1.0])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_batch_norm(activation, momentum):
    X, y = make_data("classes")
    estimator = make_estimator(
        "log_loss",
        "classes",
        activation=activation,
        batch_norm=BatchNorm(momentum=momentum, eps=1e-3),
        solver="sgd",
        learning_rate_init=0.05,
        alpha=0.01,
    )
    coefs, intercepts = initial_network(estimator, X, y)
    bias = intercepts[-1]
    norms = [torch.nn.BatchNorm1d(n, 1e-3, momentum).double() for n in (7, 5)]
    parameters = [p for norm in norms for p in norm.parameters()]
    solver = torch_sgd(0.05, 0.9, True)([*coefs, bias, *parameters])
    tensors = torch.tensor(X), torch.tensor(y)

    def forward(A):
        for W, norm in zip(coefs[:-1], norms, strict=True):
            A = ACTIVATIONS[activation](norm(A @ W))
        return A @ coefs[-1] + bias

    for _ in range(N_EPOCHS):
        for rows in torch.arange(len(X)).split(BATCH_SIZE):
            losses = softmax_log_loss(forward(tensors[0][rows]), tensors[1][rows])
            squares = sum((W**2).sum() for W in coefs)
            solver.zero_grad()
            (losses.mean() + 0.005 * squares).backward()
            solver.step()

    estimator.fit(X, y)
    for W, tensor in zip(estimator.coefs_, coefs, strict=True):
        np.testing.assert_allclose(W, tensor.detach().numpy(), 1e-10, 1e-12)
    for ours, norm in zip(estimator.batch_norm_, norms, strict=True):
        theirs = norm.weight, norm.bias, norm.running_mean, norm.running_var
        for name, tensor in zip(("scale", "shift", "mean", "var"), theirs, strict=True):
            np.testing.assert_allclose(
                ours[name], tensor.detach().numpy(), 1e-10, 1e-12, err_msg=name
            )
    for norm in norms:
        norm.eval()
    np.testing.assert_allclose(
        estimator.decision_function(X), forward(tensors[0]).detach().numpy(), 1e-9
    )


def train_module(parameters, forward, X, y, *, alpha, penalized):
    """Train with Nesterov's momentum as the estimators do under this penalty."""
    solver = torch_sgd(0.05, 0.9, True)(parameters)
    tensors = torch.tensor(X), torch.tensor(y)
    for _ in range(N_EPOCHS):
        for rows in torch.arange(len(X)).split(BATCH_SIZE):
            losses = softmax_log_loss(forward(tensors[0][rows]), tensors[1][rows])
            squares = sum((W**2).sum() for W in penalized)
            solver.zero_grad()
            (losses.mean() + 0.5 * alpha * squares).backward()
            solver.step()


def assert_near(ours, tensor, name=""):
    array = tensor.detach().numpy()
    np.testing.assert_allclose(ours, array, 1e-10, 1e-12, err_msg=name)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_layer_norm(activation, eps):
    X, y = make_data("classes")
    estimator = make_estimator(
        "log_loss",
        "classes",
        activation=activation,
        layer_norm=LayerNorm(eps=eps),
        solver="sgd",
        learning_rate_init=0.05,
        alpha=0.01,
    )
    coefs, intercepts = initial_network(estimator, X, y)
    bias = intercepts[-1]
    norms = [torch.nn.LayerNorm(n, eps).double() for n in (7, 5)]

    def forward(A):
        for W, norm in zip(coefs[:-1], norms, strict=True):
            A = ACTIVATIONS[activation](norm(A @ W))
        return A @ coefs[-1] + bias

    learned = [p for norm in norms for p in norm.parameters()]
    train_module([*coefs, bias, *learned], forward, X, y, alpha=0.01, penalized=coefs)
    estimator.fit(X, y)
    for W, tensor in zip(estimator.coefs_, coefs, strict=True):
        assert_near(W, tensor)
    assert_near(estimator.intercepts_[-1], bias)
    for ours, norm in zip(estimator.layer_norm_, norms, strict=True):
        assert_near(ours["scale"], norm.weight, "scale")
        assert_near(ours["shift"], norm.bias, "shift")
    raw = forward(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(estimator.decision_function(X), raw, 1e-9)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("hidden_layer_sizes", [(7,), (6, 6), (7, 7, 5)], ids=str)
def test_residual_connections(activation, hidden_layer_sizes):
    X, y = make_data("classes")
    estimator = make_estimator(
        "log_loss",
        "classes",
        activation=activation,
        hidden_layer_sizes=hidden_layer_sizes,
        residual=True,
        solver="sgd",
        learning_rate_init=0.05,
        alpha=0.01,
    )
    coefs, intercepts = initial_network(estimator, X, y)
    start = clone(estimator).set_params(learning_rate_init=1e-300).fit(X, y)
    skips = [
        None if R is None else torch.tensor(R, requires_grad=True)
        for R in start.residual_coefs_
    ]
    widths = [N_FEATURES, *hidden_layer_sizes]
    assert [R is None for R in skips] == [a == b for a, b in pairwise(widths)]

    def forward(A):
        for W, b, R in zip(coefs[:-1], intercepts[:-1], skips, strict=True):
            A = ACTIVATIONS[activation](A @ W + b) + (A if R is None else A @ R)
        return A @ coefs[-1] + intercepts[-1]

    matrices = [*coefs, *(R for R in skips if R is not None)]
    train_module(
        [*matrices, *intercepts], forward, X, y, alpha=0.01, penalized=matrices
    )
    estimator.fit(X, y)
    ours = [*estimator.coefs_, *estimator.intercepts_]
    for array, tensor in zip(ours, [*coefs, *intercepts], strict=True):
        assert_near(array, tensor)
    for R, tensor in zip(estimator.residual_coefs_, skips, strict=True):
        assert (R is None) == (tensor is None)
        if R is not None:
            assert_near(R, tensor)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize("clip_norm", [0.05, 0.8, 100.0])
@pytest.mark.parametrize("penalize_bias", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_clip_norm(solver, clip_norm, penalize_bias):
    estimator = make_estimator(
        "log_loss",
        "classes",
        solver=solver,
        learning_rate_init=0.05,
        alpha=0.1,
        penalize_bias=penalize_bias,
        clip_norm=clip_norm,
    )
    adapt = scikit_learn_epsilon(1e-8, 0.999)
    lengths = []

    def before_step(optimizer):
        tensors = optimizer.param_groups[0]["params"]
        length = torch.nn.utils.get_total_norm([tensor.grad for tensor in tensors])
        lengths.append(float(length))
        # PyTorch adds 1e-6 to the length.
        torch.nn.utils.clip_grad_norm_(tensors, clip_norm * (1 + 1e-6 / length))
        if solver == "adam":
            adapt(optimizer)

    makers = {"sgd": torch_sgd(0.05, momentum=0.9, nesterov=True)}
    makers["adam"] = torch_adam(0.05)
    assert_same_training(
        estimator, softmax_log_loss, makers[solver], "classes", before_step=before_step
    )
    assert len(lengths) == 5 * N_EPOCHS
    assert (max(lengths) > clip_norm) == (clip_norm < 100)


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize(("loss", "kind", "torch_loss"), LOSSES)
def test_every_loss_under_adam(loss, kind, torch_loss):
    estimator = make_estimator(
        loss, kind, solver="adam", learning_rate_init=0.01, epsilon=1e-4
    )
    assert_same_training(
        estimator,
        torch_loss,
        torch_adam(0.01),
        kind,
        before_step=scikit_learn_epsilon(1e-4, 0.999),
    )


@pytest.mark.parametrize("penalize_bias", [False, True])
@pytest.mark.parametrize(("loss", "kind", "torch_loss"), LOSSES)
def test_l2(loss, kind, torch_loss, penalize_bias):
    estimator = make_estimator(
        loss,
        kind,
        solver="sgd",
        learning_rate_init=0.05,
        alpha=0.1,
        penalize_bias=penalize_bias,
    )
    solver = torch_sgd(0.05, momentum=0.9, nesterov=True)
    assert_same_training(estimator, torch_loss, solver, kind)


@pytest.mark.parametrize(("loss", "kind", "torch_loss"), LOSSES)
def test_sample_weights(loss, kind, torch_loss):
    weight = np.random.default_rng(1).exponential(size=N_SAMPLES)
    weight[:BATCH_SIZE] = 0
    estimator = make_estimator(
        loss, kind, solver="sgd", learning_rate_init=0.05, alpha=0.01
    )
    solver = torch_sgd(0.05, momentum=0.9, nesterov=True)
    assert_same_training(estimator, torch_loss, solver, kind, weight)


def test_partial_fit_goes_on_as_the_same_solver():
    X, y = make_data("classes")
    estimator = make_estimator("log_loss", "classes", learning_rate_init=0.01)
    coefs, _, _ = train_torch(
        estimator,
        softmax_log_loss,
        torch_adam(0.01),
        X,
        y,
        before_step=scikit_learn_epsilon(1e-8, 0.999),
    )
    for _ in range(N_EPOCHS):
        estimator.partial_fit(X, y, classes=np.arange(N_CLASSES))
    for W, tensor in zip(estimator.coefs_, coefs, strict=True):
        np.testing.assert_allclose(W, tensor.detach().numpy(), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("scaling", [False, True])
def test_periodic_embedding(activation, scaling):
    X, y = make_data("classes")
    estimator = make_estimator(
        "log_loss",
        "classes",
        embedding=Periodic(n_frequencies=5, n_units=2, activation=activation),
        feature_scaling=scaling,
        solver="sgd",
        learning_rate_init=0.05,
        alpha=0.01,
    )
    coefs, intercepts = initial_network(estimator, X, y)
    start = clone(estimator).set_params(learning_rate_init=1e-300).fit(X, y)
    embedding = {
        name: torch.tensor(array, requires_grad=True)
        for name, array in start.embedding_.items()
    }
    scales = torch.ones(len(coefs[0]), dtype=torch.float64, requires_grad=scaling)

    def forward(A):
        c, s, w, b = embedding.values()
        Z = torch.cos(2 * torch.pi * (A[:, :, None] * c + s))
        Z = torch.einsum("ndk,dkh->ndh", Z, w) + b
        Z = torch.relu(Z) if activation else Z
        A = torch.cat([A, Z.flatten(1)], 1) * scales
        for W, bias in zip(coefs[:-1], intercepts[:-1], strict=True):
            A = torch.relu(A @ W + bias)
        return A @ coefs[-1] + intercepts[-1]

    learned = [*coefs, *intercepts, *embedding.values(), *([scales] if scaling else [])]
    train_module(learned, forward, X, y, alpha=0.01, penalized=coefs)
    estimator.fit(X, y)
    for W, tensor in zip(estimator.coefs_, coefs, strict=True):
        assert_near(W, tensor)
    for name, tensor in embedding.items():
        assert_near(estimator.embedding_[name], tensor, name)
    if scaling:
        assert_near(estimator.feature_scales_, scales)
