"""A fit on a device gives what a fit on the CPU gives, up to rounding.

The device is PyTorch's CPU here, whose tensors go the way of a GPU's.
"""

import copy
import pickle
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes._engine import stacked_data
from sknn_notes._engine.device import Device
from sknn_notes._engine.finite import DivergenceError
from sknn_notes.activations import ACTIVATIONS, Activation
from sknn_notes.callbacks import Checkpoint, _storage
from sknn_notes.embeddings import EMBEDDINGS
from sknn_notes.initializers import INITIALIZERS, Initializer
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    ClassificationLoss,
    Hinge,
    LogLoss,
    Quantile,
    RegressionLoss,
    SampledSoftmax,
    Tweedie,
)
from sknn_notes.neural_network import _devices
from sknn_notes.noise import NOISES, GaussianNoise, Noise
from sknn_notes.optimizers import OPTIMIZERS, SGD, Optimizer
from sknn_notes.penalties import PENALTIES, GroupLasso, Penalty
from sknn_notes.schedules import SCHEDULES, Cosine, Exponential, Schedule

pytestmark = [
    pytest.mark.usefixtures("tensors"),
    pytest.mark.filterwarnings("ignore:.* has no effect"),
    pytest.mark.filterwarnings("ignore:.*no better than"),
]

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 6))
TARGETS = {
    "classes": np.argmax(X[:, :3] + rng.normal(size=(50, 3)), axis=1),
    "two classes": (X[:, 0] > 0).astype(int),
    "labels": (X[:, :3] > 0.2).astype(int),
    "number": np.abs(X[:, 0]) + 0.1,
    "numbers": X[:, :2] ** 2 + 0.1,
}
KINDS = {"binary": "two classes", "multiclass": "classes", "multilabel": "labels"}
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def network(kind="classes", **params):
    cls = MLPRegressor if kind.startswith("number") else MLPClassifier
    options = {
        "hidden_layer_sizes": (8, 6),
        "alpha": 0.01,
        "batch_size": 16,
        "learning_rate_init": 0.01,
        "max_iter": 3,
        "random_state": 0,
    }
    return cls(**{**options, **params})


def on_device(model):
    return clone(model).set_params(device="cpu")


@pytest.fixture
def agree(assert_agree):
    """Return a function that fits here and there, and returns both fits."""

    def fit(model, X, y, **options):
        here, there = clone(model).fit(X, y, **options), on_device(model)
        there.fit(X, y, **options)
        assert there.executor_ == "torch on cpu"
        assert not here.executor_.startswith("torch")
        assert_agree(there, here, X)
        return there, here

    return fit


# Every part


def parts():
    """Return kinds of targets and parameters that show every part and option."""
    for name in CLASSIFICATION_LOSSES:
        for task in CLASSIFICATION_LOSSES[name].tasks:
            yield KINDS[task], {"loss": name}
    for name in REGRESSION_LOSSES:
        yield "number", {"loss": name}
        yield "numbers", {"loss": name}
    yield "classes", {"loss": LogLoss(label_smoothing=0.1)}
    yield "labels", {"loss": Hinge(margin=0.5)}
    yield "number", {"loss": Quantile(quantile=[0.1, 0.5])}
    yield "number", {"loss": Tweedie(power=2.5)}
    # Adam makes up for steps on other rows on the CPU, where an L2 penalty acts, too.
    yield "classes", {"loss": SampledSoftmax(n_negatives=1), "solver": "sgd"}
    for name in ACTIVATIONS:
        yield "classes", {"activation": name}
    yield "classes", {"activation": ["tanh", "leaky_relu"]}
    for name in INITIALIZERS:
        yield "classes", {"init": name, "bias_init": 0.1}
    for name in SCHEDULES:
        yield "classes", {"learning_rate": SCHEDULES[name](warmup=1)}
    for name in EMBEDDINGS:
        yield "numbers", {"embedding": name}
    for name in NOISES:
        image = {"image_shape": (2, 3)}
        own = image if "image_shape" in NOISES[name]._get_param_names() else {}
        noises = [NOISES[name](**own), GaussianNoise(std=0.2)]
        yield "classes", {"augment": noises, "dropout": 0.2}
    yield from options()


def options():
    for sizes in (), (4,), (4, 4, 4, 4):
        yield "classes", {"hidden_layer_sizes": sizes, "residual": True}
        yield "numbers", {"hidden_layer_sizes": sizes, "feature_scaling": True}
    for norm in {"batch_norm": BatchNorm(momentum=0.3)}, {"layer_norm": LayerNorm()}:
        yield "classes", norm
        yield "labels", {**norm, "dropout": 0.3, "residual": True}
    noises = {"dropout": 0.3, "input_dropout": 0.2, "dropconnect": 0.1}
    for scaling in "inverted", "standard":
        for name, rate in noises.items():
            yield "classes", {name: rate, "dropout_scaling": scaling}
        yield "numbers", {**noises, "dropout_scaling": scaling, "embedding": "periodic"}
    yield "classes", {"dropout": [0.5, 0.0], "alpha": [0, 0.1, 0.2]}
    for name in "l2", "l1":
        yield "classes", {"max_norm": 0.5, "clip_norm": 0.1, "penalty": name}
        yield "classes", {"max_norm": [None, 1.0, 0.3], "penalize_bias": True}
    yield "classes", {"penalty": None}
    yield "classes", {"alpha": 0, "penalty": "l1", "solver": "sgd"}
    for size in 1, 7, 49, 50:
        yield "classes", {"batch_size": size}
    # A last batch of one row is merged.
    yield "classes", {"batch_size": 7, "batch_norm": True}
    yield "numbers", {"batch_size": 49, "shuffle": False, "dropout": 0.2}
    yield "two classes", {"class_weight": "balanced"}
    yield "numbers", {"standardize_target": False}


def shown(case):
    return f"{case[0]} {case[1]}"


@pytest.mark.one_in(3)
@each_dtype
@pytest.mark.parametrize("case", [*parts()], ids=shown)
def test_parts(case, dtype, agree):
    kind, params = case
    inputs = np.abs(X) if "augment" in params else X
    agree(network(kind, **params), inputs.astype(dtype), TARGETS[kind])


SOLVERS = [name for name in OPTIMIZERS if OPTIMIZERS[name].stochastic]


@each_dtype
@pytest.mark.parametrize("penalty", [*PENALTIES, GroupLasso(groups="units")], ids=str)
@pytest.mark.parametrize("solver", [*SOLVERS, SGD(nesterovs_momentum=False)], ids=str)
def test_solvers_with_penalties(solver, penalty, dtype, agree):
    data = X.astype(dtype), TARGETS["classes"]
    model = network(solver=solver, penalty=penalty)
    agree(model, *data)
    model.set_params(max_norm=0.5, clip_norm=0.2, penalize_bias=True, dropout=0.2)
    agree(model, *data)


@pytest.mark.one_in(4)
@each_dtype
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("penalty", ["l2", "l1", None])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_of_other_numbers(name, penalty, early_stopping, dtype, agree):
    def schedule(start):
        return SCHEDULES[name](start=start)

    model = network(
        penalty=penalty,
        alpha=[schedule(0.1), 0.05, schedule(0.02)],
        dropout=[0.2, schedule(0.4)],
        # The masks of the last step count in prediction.
        dropout_scaling="standard",
        early_stopping=early_stopping,
        scoring="loss",
    )
    agree(model, X.astype(dtype), TARGETS["classes"])
    alike = network(alpha=schedule(0.1), dropout=schedule(0.4), penalty=penalty)
    agree(alike, X.astype(dtype), TARGETS["classes"])


@each_dtype
@pytest.mark.parametrize("kind", ["classes", "two classes", "labels", "numbers"])
@pytest.mark.parametrize(
    "weighted", [{}, {"batch_norm": True}, {"embedding": "periodic"}]
)
def test_sample_weights(weighted, kind, dtype, agree):
    weight = np.random.default_rng(1).random(50)
    weight[::7] = 0
    balanced = {"class_weight": "balanced"} if "classes" in kind else {}
    data = X.astype(dtype), TARGETS[kind]
    agree(network(kind, **weighted, **balanced), *data, sample_weight=weight)
    stopping = network(kind, **weighted, early_stopping=True, validation_fraction=0.3)
    agree(stopping, *data, sample_weight=weight)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("kind", TARGETS)
def test_lbfgs(kind, batch_norm, early_stopping, agree):
    model = network(kind, solver="lbfgs", max_iter=6, batch_norm=batch_norm)
    model.set_params(early_stopping=early_stopping)
    agree(model, X, TARGETS[kind], sample_weight=np.linspace(0, 2, 50))


# Parts of the user


class Softsign(Activation):
    keeps_input = True

    def __init__(self, *, c=1.0):
        self.c = c

    def forward(self, Z, xp):
        return self.c * Z / (1 + xp.abs(Z))

    def backward(self, delta, A, Z, xp):
        return delta * self.c / (1 + xp.abs(Z)) ** 2


class Masked(Activation):
    """Its parameter has the name of what an activation of a layer has, too."""

    keeps_input = True

    def __init__(self, *, mask=0.5):
        self.mask = mask

    def forward(self, Z, xp):
        return self.mask * Z

    def backward(self, delta, A, Z, xp):
        return delta * self.mask


class LogCosh(RegressionLoss):
    def per_sample(self, raw, y, xp):
        residual = raw - y
        return xp.sum(xp.log(xp.cosh(residual)), axis=-1), xp.tanh(residual)


class SquaredScores(ClassificationLoss):
    def multiclass(self, raw, y, xp):
        classes = xp.arange(raw.shape[-1])
        hot = xp.where(y[..., None] == classes, xp.ones_like(raw), xp.zeros_like(raw))
        return self.labels(raw, hot, xp)

    def labels(self, raw, y, xp):
        residual = raw - y
        return 0.5 * xp.sum(residual**2, axis=-1), residual


class Fourth(Penalty):
    def value(self, W, alpha, xp=np):
        return alpha / 4 * xp.sum(W**4, axis=(-2, -1))

    def gradient(self, W, alpha, xp=np):
        return alpha * W**3


class NonNegative(Penalty):
    smooth = False
    sees_matrices = True

    def value(self, W, alpha, xp=np):
        return 0 * xp.sum(W, axis=(-2, -1))

    def prox(self, W, alpha, step, xp=np):
        return xp.where(W > 0, W, xp.zeros_like(W))


class Signs(Optimizer):
    """Its state has a count of steps, and one that is shared by all weights."""

    proximal = True

    def start(self, theta, xp=np):
        return {"n": 0, "mean": xp.zeros_like(theta)}

    def step(self, theta, grad, rate, state, xp=np):
        state["n"] += 1
        state["mean"] *= 1 - 1 / state["n"]
        state["mean"] += grad
        theta -= rate * xp.sign(state["mean"])

    def proximal_step(self, theta, grad, rate, state, prox, xp=np):
        self.step(theta, grad, rate, state, xp)
        prox(rate)


class Shifted(Noise):
    """It knows arrays of numpy alone."""

    def noisy(self, X, key):
        assert isinstance(X, np.ndarray)
        return X + (int(key) % 2**32) / 2**32

    def sample(self, X, rng):
        return X


class Halved(Schedule):
    def formula(self, base, epochs, progress):
        return base / 2**epochs


class Alternating(Initializer):
    def draw(self, fan_in, fan_out, activation, rng):
        return (-1.0) ** np.arange(fan_in * fan_out).reshape(fan_in, fan_out) / 2


OWN = [
    ("classes", {"activation": [Softsign(c=2.0), "relu"], "dropout": 0.2}),
    ("classes", {"activation": Masked(), "dropout": 0.2}),
    ("numbers", {"loss": LogCosh()}),
    ("classes", {"loss": SquaredScores()}),
    ("labels", {"loss": SquaredScores()}),
    ("classes", {"penalty": Fourth(), "clip_norm": 0.2}),
    ("classes", {"penalty": NonNegative(), "solver": "sgd", "max_norm": 0.5}),
    ("classes", {"penalty": NonNegative()}),
    ("classes", {"solver": Signs()}),
    ("numbers", {"solver": Signs(), "penalty": "l1"}),
    ("classes", {"augment": [Shifted(), GaussianNoise()], "dropout": 0.1}),
    ("classes", {"learning_rate": Halved(), "dropout": Halved(start=0.5)}),
    ("classes", {"alpha": Halved(start=0.1), "init": Alternating()}),
]


@each_dtype
@pytest.mark.parametrize("case", OWN, ids=shown)
def test_parts_of_the_user(case, dtype, agree):
    kind, params = case
    stopping = {"early_stopping": True, "validation_fraction": 0.2}
    agree(network(kind, **params, **stopping), X.astype(dtype), TARGETS[kind])


def test_an_error_of_a_part_is_raised():
    class Broken(Softsign):
        def forward(self, Z, xp):
            raise RuntimeError("broken on purpose")

    model = on_device(network(activation=Broken()))
    with pytest.raises(RuntimeError, match="on purpose"):
        model.fit(X, TARGETS["classes"])
    assert not hasattr(model, "coefs_")


# The end of training


@each_dtype
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("scoring", [None, "loss", "balanced_accuracy"])
@pytest.mark.parametrize("kind", ["classes", "two classes"])
def test_early_stopping(kind, scoring, own, dtype, agree):
    y, fit = TARGETS[kind], {}
    if own:
        weight = np.linspace(0, 1, 20)
        fit = {"X_val": X[:20], "y_val": y[:20], "sample_weight_val": weight}
    model = network(kind, early_stopping=True, scoring=scoring, max_iter=40, tol=0.02)
    model.set_params(n_iter_no_change=2, batch_norm=True, dropout=0.3)
    there, _ = agree(model, X.astype(dtype), y, **fit)
    assert 2 < there.n_iter_ < 40


def test_a_score_of_the_user_sees_the_network(agree):
    def score(estimator, X, y):
        return -np.mean((estimator.predict(X) - y) ** 2)

    agree(network("number", early_stopping=True, scoring=score), X, TARGETS["number"])


@pytest.mark.parametrize("schedule", ["constant", "adaptive"])
def test_plateaus_of_the_training_loss(schedule, agree):
    model = network(solver="sgd", learning_rate=schedule, learning_rate_init=0.1)
    model.set_params(max_iter=60, n_iter_no_change=1, tol=0.05)
    there, _ = agree(model, X, TARGETS["classes"])
    assert 2 < there.n_iter_ < 60


@each_dtype
@pytest.mark.parametrize("early_stopping", [False, True])
def test_divergence(early_stopping, dtype, assert_agree):
    """The rate overflows the weights of the second epoch."""

    class Growing(Schedule):
        def formula(self, base, epochs, progress):
            return np.where(epochs < 1, base, 1e30)

    model = network("numbers", solver="sgd", learning_rate=Growing())
    model.set_params(early_stopping=early_stopping)
    inputs, y = X.astype(dtype), TARGETS["numbers"]
    fits = model, on_device(model)
    if not early_stopping:
        for fit in fits:
            with pytest.raises(DivergenceError, match=r"became \w+ in epoch 2 at a"):
                fit.fit(inputs, y)
            assert not hasattr(fit, "coefs_")
        return
    for fit in fits:
        with pytest.warns(ConvergenceWarning, match="best weights so far were"):
            fit.fit(inputs, y)
    for fit in fits:  # What is not finite may be NaN or infinity.
        assert not np.isfinite(fit.loss_curve_.pop())
        fit.loss_ = 0.0
    assert_agree(*fits[::-1], inputs)


def test_scores_that_overflow():
    """numpy says nothing of it, as on the CPU."""
    y = TARGETS["number"]
    for device in None, "cpu":
        model = network("number", loss="poisson", early_stopping=True, device=device)
        with pytest.raises(ValueError, match=r"X_val, y_val was nan after"):
            model.fit(X, y, X_val=1e6 * X, y_val=y)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("at", [1, 6])
def test_interruption(at, penalty, monkeypatch):
    seen = 0

    def forward(self, Z, xp):
        nonlocal seen
        seen += 1
        if seen == at:
            raise KeyboardInterrupt
        return xp.tanh(Z)

    monkeypatch.setattr(Softsign, "forward", forward)
    model = network(hidden_layer_sizes=4, activation=Softsign(), penalty=penalty)
    model.set_params(solver="sgd", device="cpu")
    with pytest.warns(UserWarning, match="interrupted by user after"):
        model.fit(X, TARGETS["classes"])
    assert model.n_iter_ == len(model.loss_curve_) == (at > 4)
    assert set(model._training_state.optimizer_state) == {"velocity"}
    assert np.isfinite(model.predict_proba(X)).all()
    model.set_params(warm_start=True).fit(X, TARGETS["classes"])


def test_weights_are_exactly_zero_after_an_interruption(monkeypatch):
    """Between proximal steps with momentum the weights are elsewhere."""
    calls = iter(range(100))

    def prox(self, W, alpha, step, xp=np):
        if next(calls) == 9:
            raise KeyboardInterrupt
        return xp.where(W > 0.1, W, xp.zeros_like(W))

    monkeypatch.setattr(NonNegative, "prox", prox)
    model = network(penalty=NonNegative(), solver="sgd", device="cpu")
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, TARGETS["classes"])
    assert all(np.all((W == 0) | (W > 0.1)) for W in model.coefs_)


# Going on


@pytest.mark.parametrize("how", ["warm start", "partial fit"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"solver": "sgd", "penalty": "l1", "dropout": 0.2},
        {"solver": "rmsprop", "batch_norm": True},
        {"solver": "adamw", "embedding": "periodic", "learning_rate": "invscaling"},
        {"solver": Signs(), "augment": GaussianNoise()},
    ],
    ids=str,
)
def test_fits_go_on_here_and_there(params, how, assert_agree):
    """Every sequence of three calls gives the same, with the fits saved in between."""
    y = TARGETS["classes"]

    def run(*devices):
        model = network(**params, warm_start=True)
        for device in devices:
            model = pickle.loads(pickle.dumps(model.set_params(device=device)))
            if how == "warm start":
                model.fit(X, y)
            else:
                model.partial_fit(X, y, classes=np.unique(y))
        return model

    here = run(None, None, None)
    for devices in ["cpu"] * 3, [None, "cpu", None], ["cpu", None, "cpu"]:
        assert_agree(run(*devices), here, X)


def test_a_warm_start_with_early_stopping(agree, assert_agree):
    model = network(early_stopping=True, warm_start=True, scoring="accuracy")
    there, here = agree(model, X, TARGETS["classes"])
    for fit in there, here:
        fit.fit(X, TARGETS["classes"])
    assert_agree(there, here, X)


@each_dtype
def test_fitted_arrays_are_those_of_a_fit_here(dtype, agree):
    # In small batches, normalizing enlarges rounding.
    model = network(batch_norm=True, residual=True, embedding="piecewise_linear")
    model.set_params(batch_size=len(X))
    there, here = agree(model, X.astype(dtype), TARGETS["classes"])
    there.set_params(device=None).executor_ = here.executor_
    assert len(pickle.dumps(there)) == len(pickle.dumps(here))
    assert b"torch" not in pickle.dumps(there)
    arrays = [*there.coefs_, *there.intercepts_, *there.residual_coefs_]
    assert {type(a) for a in arrays if a is not None} == {np.ndarray}
    assert copy.deepcopy(there).coefs_[0].dtype == dtype


# Callbacks and checkpoints


class Recorder:
    """A callback that predicts after every epoch."""

    def __init__(self):
        self.seen = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **data):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **data):
        if context.task_name == "epoch":
            self.seen.append(fitted_estimator.predict_proba(X))
            return len(self.seen) == 3
        return False


@pytest.mark.needs("scikit-learn>=1.9", "it has callbacks")
def test_callbacks_see_every_epoch(assert_agree):
    model = network(dropout=Exponential(start=0.5), dropout_scaling="standard")
    fits, recorders = [], []
    for device in "cpu", None:
        recorders.append(Recorder())
        fits.append(clone(model).set_params(device=device, max_iter=9, batch_norm=True))
        fits[-1].set_callbacks(recorders[-1]).fit(X, TARGETS["classes"])
    np.testing.assert_allclose(recorders[0].seen, recorders[1].seen, rtol=1e-9)
    assert_agree(*fits, X)
    assert fits[0].n_iter_ == 3


class Cut(BaseException):
    """Ends a fit, as the end of the process would."""


RESUMED = [
    {"dropout": 0.2, "batch_norm": True},
    {"early_stopping": True, "solver": "sgd", "penalty": "l1", "tol": 1.0},
    {"dropout": Cosine(start=0.5), "dropout_scaling": "standard"},
    {"learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0},
]


@pytest.fixture
def cut_off(tmp_path, monkeypatch):
    """Return a function that ends a fit after two epochs, and returns its file."""

    def fit(model, X, y):
        path, write, calls = tmp_path / "fit.ckpt", _storage.write, iter(range(3))

        def write_and_cut(*args):
            write(*args)
            if next(calls) == 2:
                raise Cut

        with monkeypatch.context() as patch:
            patch.setattr(_storage, "write", write_and_cut)
            with pytest.raises(Cut):
                model.fit(X, y, checkpoint=Checkpoint(path))
        return path

    return fit


@pytest.mark.parametrize("params", RESUMED, ids=str)
def test_checkpoints(params, cut_off, assert_agree, monkeypatch):
    model, y = network(**params, max_iter=6), TARGETS["classes"]
    whole = clone(model).fit(X, y)
    path = cut_off(on_device(model), X, y)
    assert b"torch._" not in path.read_bytes()
    resumed = Checkpoint.load(path).resume(X, y)
    assert resumed.executor_ == "torch on cpu"
    assert_agree(resumed, whole, X)
    # Where there is no such device, the fit goes on here.
    monkeypatch.setattr(_devices, "is_host", lambda spec: True)
    path = cut_off(on_device(model), X, y)
    monkeypatch.setattr(_devices, "is_host", lambda spec: False)
    with pytest.warns(UserWarning, match=" and continues in torch on cpu"):
        resumed = Checkpoint.load(path).resume(X, y)
    assert_agree(resumed, whole, X)


def test_a_checkpoint_of_a_device_goes_on_here(cut_off, assert_agree, monkeypatch):
    model, y = network(**RESUMED[1], max_iter=6), TARGETS["classes"]
    whole = clone(model).fit(X, y)
    path = cut_off(on_device(model), X, y)
    monkeypatch.setattr(_devices, "is_host", lambda spec: True)
    with pytest.warns(UserWarning, match="started in torch on cpu and continues in"):
        resumed = Checkpoint.load(path).resume(X, y)
    assert_agree(resumed, whole, X)


# Data


@pytest.fixture
def streamed(monkeypatch):
    """Let inputs be too large for the memory of the device; count what is sent."""
    sent, stream = [], Device.stream
    monkeypatch.setattr(Device, "free_memory", lambda self: 2000)
    monkeypatch.setattr(stacked_data, "_BLOCK_SIZE", 300)

    def counting(self, batches, n_rows):
        sent.append(n_rows)
        return stream(self, batches, n_rows)

    monkeypatch.setattr(Device, "stream", counting)
    return sent


@each_dtype
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"shuffle": False, "batch_size": 7},
        {"batch_size": 50},
        {"early_stopping": True, "dropout": 0.2},
        {"batch_norm": True, "batch_size": 7},
        {"solver": "sgd", "penalty": "l1"},
        {"activation": Softsign()},
    ],
    ids=str,
)
def test_inputs_that_do_not_fit_are_sent_in_pieces(params, dtype, agree, streamed):
    agree(network(**params), X.astype(dtype), TARGETS["classes"])
    # Whole batches, of 50 numbers of each feature at most, or one.
    assert len(streamed) == 1
    assert 35 <= streamed[0] <= 50


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_memory_maps(is_streamed, dtype, tmp_path, agree, request):
    if is_streamed:
        request.getfixturevalue("streamed")
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for params in {}, {"early_stopping": True}:
        model = network(dtype=dtype, **params)
        there, _ = agree(model, mapped, TARGETS["classes"])
        assert there.coefs_[0].dtype == dtype


def test_rows_without_weight(agree, streamed):
    """Batch norm leaves them out: inputs are rows of a larger matrix."""
    weight = np.ones(50)
    weight[::3] = 0
    model = network(batch_norm=True, batch_size=8)
    agree(model, X, TARGETS["classes"], sample_weight=weight)
    assert streamed


def test_read_only_and_transposed_inputs(agree):
    read_only = X.copy()
    read_only.flags.writeable = False
    for inputs in read_only, X.T.copy().T, X[:, ::-1], X.tolist():
        there = on_device(network()).fit(inputs, TARGETS["classes"])
        here = network().fit(inputs, TARGETS["classes"])
        np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-9)
    with pytest.raises(ValueError, match="read-only"):
        read_only[0] = 0


# What can't be


def test_sparse_inputs():
    with pytest.raises(
        ValueError, match=r"device='cpu' needs a dense X, but X is sparse"
    ):
        network(device="cpu").fit(sparse.csr_array(X), TARGETS["classes"])


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x", ""])
def test_devices_that_do_not_exist(device):
    match = rf"device must be None, 'cpu', 'cuda' or .* Got '{device}', for which"
    with pytest.raises(ValueError, match=match):
        network(device=device).fit(X, TARGETS["classes"])


def test_a_device_is_named_by_a_string():
    match = r"'device' parameter .* must be a str or None\. Got 0 instead\.$"
    with pytest.raises(ValueError, match=match):
        network(device=0).fit(X, TARGETS["classes"])


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    match = r"device='cuda' needs PyTorch\. .* pip install torch"
    with pytest.raises(ImportError, match=match):
        network(device="cuda").fit(X, TARGETS["classes"])


@pytest.mark.parametrize("device", [None, "cpu"])
def test_the_cpu_is_the_ordinary_fit(device, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "torch", None)
    fit = network(device=device).fit(X, TARGETS["classes"])
    assert not fit.executor_.startswith("torch")
    sparse_fit = network(device=device).fit(sparse.csr_array(X), TARGETS["classes"])
    assert sparse_fit.n_iter_ == 3
