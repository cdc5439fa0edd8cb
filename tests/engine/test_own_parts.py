"""Parts that users define: loops let them join the compiled step."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import sknn_notes
from sknn_notes import MLPClassifier, MLPRegressor, _kernels
from sknn_notes._compile import cast, fill, math, matrix
from sknn_notes._engine import executor as executors
from sknn_notes.activations import Activation, ReLU, Tanh
from sknn_notes.losses import (
    ClassificationLoss,
    Hinge,
    LogLoss,
    RegressionLoss,
    SquaredError,
)
from sknn_notes.noise import GaussianNoise, Noise
from sknn_notes.optimizers import SGD, Adam, Optimizer
from sknn_notes.penalties import L1, L2, ElasticNet, GroupLasso, Penalty

pytestmark = pytest.mark.skipif(
    "numba" not in _kernels.available(), reason="needs numba"
)
KINDS = ["classes", "two classes", "labels", "numbers"]


def fit(kind, **params):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = {
        "classes": np.argmax(X[:, :3], axis=1),
        "two classes": (X[:, 0] > 0).astype(int),
        "labels": (X[:, :3] > 0).astype(int),
        "numbers": X[:, :2] ** 2,
    }[kind]
    cls = MLPRegressor if kind == "numbers" else MLPClassifier
    options = {
        "hidden_layer_sizes": (8, 6),
        "alpha": 0.02,
        "learning_rate_init": 0.02,
        "batch_size": 16,
        "max_iter": 4,
        "random_state": 0,
    }
    return cls(**{**options, **params}).fit(X, y)


def assert_same(one, other):
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-9)
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.fixture
def both(use):
    """Fit with the compiled executor and with the definitions, which must agree."""

    def run(kind, **params):
        use("numba")
        one = fit(kind, **params)
        use("numpy")
        assert_same(one, fit(kind, **params))
        return one

    return run


@pytest.fixture
def halves(monkeypatch):
    """Collect for every fit whether its objective and its update were compiled."""
    seen = []
    original = executors.Executor._compile

    def spy(self, *args):
        original(self, *args)
        seen.append((self._tapes[0] is not None, self._tapes[1] is not None))

    monkeypatch.setattr(executors.Executor, "_compile", spy)
    return seen


# With loops


class Softsign(Activation):
    """``c z / (1 + abs(z))``."""

    keeps_input = True

    def __init__(self, *, c=1.0):
        self.c = c

    def forward(self, Z, xp):
        return self.c * Z / (1 + xp.abs(Z))

    def backward(self, delta, A, Z, xp):
        return delta * self.c / (1 + xp.abs(Z)) ** 2

    def numbers(self):
        return (self.c,)

    @staticmethod
    def value(z, p):
        return p[0] * z / (cast(1, z) + abs(z))

    @staticmethod
    def slope(a, z, p):
        return p[0] / (cast(1, z) + abs(z)) ** 2


class LogCosh(RegressionLoss):
    """``sum_j log(cosh(f_j - y_j))``."""

    def per_sample(self, raw, y, xp):
        residual = raw - y
        return xp.sum(xp.log(xp.cosh(residual)), axis=-1), xp.tanh(residual)

    @staticmethod
    def loops(raw, y, out, losses, spare, numbers, table):
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                residual = raw[k, i] - y[k, i]
                losses[i] += np.log(np.cosh(residual))
                out[k, i] = math.tanh(residual)


class SquaredScores(ClassificationLoss):
    """Half the squared distance of the outputs from indicators of the class."""

    def multiclass(self, raw, y, xp):
        hot = xp.astype(y[..., None] == xp.arange(raw.shape[-1]), raw.dtype)
        return self.labels(raw, hot, xp)

    def labels(self, raw, y, xp):
        residual = raw - y
        return 0.5 * xp.sum(residual**2, axis=-1), residual

    @staticmethod
    def class_loops(raw, y, out, losses, spare, numbers, table):
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                residual = raw[k, i] - cast(1 if y[i] == k else 0, raw[k, i])
                losses[i] += cast(0.5, residual) * residual**2
                out[k, i] = residual

    @staticmethod
    def loops(raw, y, out, losses, spare, numbers, table):
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                residual = raw[k, i] - y[k, i]
                losses[i] += cast(0.5, residual) * residual**2
                out[k, i] = residual


class Doubled(Penalty):
    """Twice L1 and three times L2: a sum over single weights."""

    smooth = False

    def strengths(self, alpha):
        return 2 * alpha, 3 * alpha

    def decay(self, alpha):
        return 3 * alpha

    def value(self, W, alpha, xp=np):
        return L1().value(W, 2 * alpha, xp) + L2().value(W, 3 * alpha, xp)

    def gradient(self, W, alpha, xp=np):
        return 3 * alpha * W

    def prox(self, W, alpha, step, xp=np):
        return L1().prox(W, 2 * alpha, step, xp)


class NonNegative(Penalty):
    """No weight below 0, and an L2 part: what a matrix's loops may do."""

    smooth = False
    sees_matrices = True

    def value(self, W, alpha, xp=np):
        return 0.5 * alpha * xp.sum(W * W, axis=(-2, -1))

    def gradient(self, W, alpha, xp=np):
        return W * alpha

    def decay(self, alpha):
        return alpha

    def prox(self, W, alpha, step, xp=np):
        return xp.maximum(W, 0)

    @staticmethod
    def value_loops(W, alpha, numbers, spare):
        value = 0.0
        for i in range(W.shape[0]):
            for j in range(W.shape[1]):
                value += 0.5 * alpha * W[i, j] ** 2
        return value

    @staticmethod
    def prox_loops(W, steps, alpha, numbers, spare):
        for i in range(W.shape[0]):
            for j in range(W.shape[1]):
                W[i, j] = max(W[i, j], cast(0, W[i, j]))


class Signs(Optimizer):
    """Steps along the signs of a running mean of the gradient."""

    proximal = True

    def start(self, theta, xp=np):
        return {"mean": xp.zeros_like(theta)}

    def step(self, theta, grad, rate, state, xp=np):
        state["mean"] *= 0.9
        state["mean"] += grad
        theta -= 0.1 * rate * xp.sign(state["mean"])

    def proximal_step(self, theta, grad, rate, state, prox, xp=np):
        self.step(theta, grad, rate, state, xp)
        prox(0.1 * rate)

    @staticmethod
    def constants(numbers, rate, t, like):
        return (cast(0.1 * rate, like),)

    @staticmethod
    def move(w, g, a, b, p):
        a = cast(0.9, a) * a + g
        return w - p[0] * np.sign(a), a, b

    proximal_move = move

    @staticmethod
    def size(a, b, p):
        return p[0]

    @staticmethod
    def settle(w, a, b, p):
        return w, a, b


class Shifted(Noise):
    """Every input plus what half of the key's bits say: no more is needed to see it."""

    def noisy(self, X, key):
        return X + (int(key) % 2**32) / 2**32

    def sample(self, X, rng):
        return X

    @staticmethod
    def loops(m, at, numbers, n, key, t):
        X = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, at[2])
        out = matrix(m.work, at[1], n, at[2])
        shift = cast(np.uint32(key) / 2**32, m.theta[0])
        for i in range(n):
            for j in range(at[2]):
                out[i, j] = X[i, j] + shift
        return 0.0


WITH_LOOPS = [
    ("classes", {"activation": Softsign()}),
    ("classes", {"activation": [Softsign(c=2.0), "relu"], "dropout": 0.2}),
    ("numbers", {"loss": LogCosh()}),
    ("classes", {"loss": SquaredScores()}),
    ("two classes", {"loss": SquaredScores()}),
    ("labels", {"loss": SquaredScores()}),
    ("classes", {"penalty": Doubled()}),
    ("classes", {"penalty": Doubled(), "clip_norm": 0.2, "solver": "sgd"}),
    ("classes", {"penalty": Doubled(), "max_norm": 0.5, "solver": "adamw"}),
    ("classes", {"penalty": NonNegative()}),
    ("classes", {"penalty": NonNegative(), "clip_norm": 0.2, "solver": "sgd"}),
    ("classes", {"penalty": NonNegative(), "max_norm": 0.5, "solver": "adamw"}),
    ("classes", {"solver": Signs()}),
    ("classes", {"solver": Signs(), "penalty": "elasticnet"}),
    ("classes", {"solver": Signs(), "penalty": GroupLasso(), "max_norm": 0.5}),
    ("classes", {"augment": Shifted()}),
    ("classes", {"augment": [Shifted(), GaussianNoise()], "input_dropout": 0.1}),
    ("numbers", {"activation": Softsign(), "loss": LogCosh(), "solver": Signs()}),
]


@pytest.mark.filterwarnings("ignore:.* has no effect")
@pytest.mark.parametrize(("kind", "params"), WITH_LOOPS, ids=str)
def test_parts_with_loops_join_the_compiled_step(both, kind, params):
    assert both(kind, **params).executor_ == "numba"


# Without loops: a library part whose definition is another one


class OtherTanh(Tanh):
    def forward(self, Z, xp):
        return xp.tanh(0.5 * Z)

    def backward(self, delta, A, Z, xp):
        return delta * 0.5 * (1 - A * A)


class OtherSlope(ReLU):
    def backward(self, delta, A, Z, xp):
        return delta * (0.1 + 0.9 * (A > 0))


class OtherError(SquaredError):
    def per_sample(self, raw, y, xp):
        losses, gradient = super().per_sample(raw, y, xp)
        return 3 * losses, 3 * gradient


class OtherMean(SquaredError):
    def mean(self, raw, y, sample_weight, xp):
        value, gradient = super().mean(raw, y, sample_weight, xp)
        return 3 * value, 3 * gradient


class OtherClasses(LogLoss):
    def multiclass(self, raw, y, xp):
        losses, gradient = super().multiclass(raw, y, xp)
        return 3 * losses, 3 * gradient


class OtherLabels(LogLoss):
    def labels(self, raw, y, xp):
        losses, gradient = super().labels(raw, y, xp)
        return 3 * losses, 3 * gradient


class OtherPerSample(LogLoss):
    def per_sample(self, raw, y, xp):
        losses, gradient = super().per_sample(raw, y, xp)
        return 3 * losses, 3 * gradient


class OtherTerms(Hinge):
    @staticmethod
    def _terms(z, xp):
        z = xp.maximum(z, 0)
        return z**3, 3 * z**2


class OtherL2(L2):
    def value(self, W, alpha, xp=np):
        return super().value(W, 3 * alpha, xp)

    def gradient(self, W, alpha, xp=np):
        return super().gradient(W, 3 * alpha, xp)


class OtherProx(L1):
    def prox(self, W, alpha, step, xp=np):
        return super().prox(W, 3 * alpha, step, xp)


class OtherGroups(GroupLasso):
    def prox(self, W, alpha, step, xp=np):
        return super().prox(W, 3 * alpha, step, xp)


class OtherGroupValue(GroupLasso):
    def value(self, W, alpha, xp=np):
        return super().value(W, 3 * alpha, xp)


class OtherStep(SGD):
    def step(self, theta, grad, rate, state, xp=np):
        super().step(theta, grad, 2 * rate, state, xp)


class OtherProximalStep(Adam):
    def proximal_step(self, theta, grad, rate, state, prox, xp=np):
        super().proximal_step(theta, grad, 2 * rate, state, prox, xp)


class OtherSizes(Adam):
    def _sizes(self, rate, state, xp):
        return super()._sizes(2 * rate, state, xp)


class OtherStart(Adam):
    def start(self, theta, xp=np):
        return super().start(theta, xp) | {"v": xp.ones_like(theta)}


WITHOUT_LOOPS = [
    ("classes", {"activation": OtherTanh()}, (False, True)),
    ("classes", {"activation": OtherSlope()}, (False, True)),
    ("classes", {"activation": ["relu", OtherTanh()]}, (False, True)),
    ("numbers", {"loss": OtherError()}, (False, True)),
    ("numbers", {"loss": OtherMean()}, (False, True)),
    ("classes", {"loss": OtherClasses()}, (False, True)),
    ("classes", {"loss": OtherPerSample()}, (False, True)),
    ("classes", {"loss": OtherTerms()}, (False, True)),
    ("labels", {"loss": OtherLabels()}, (False, True)),
    ("labels", {"loss": OtherTerms(), "penalty": "l1"}, (False, True)),
    ("two classes", {"loss": OtherLabels(), "batch_norm": True}, (False, True)),
    ("classes", {"penalty": OtherL2()}, (True, False)),
    ("classes", {"penalty": OtherProx()}, (True, False)),
    ("classes", {"penalty": OtherGroups()}, (True, False)),
    ("classes", {"penalty": OtherGroupValue()}, (True, False)),
    ("classes", {"solver": OtherStep()}, (True, False)),
    ("classes", {"solver": OtherStep(), "dropconnect": 0.2}, (True, False)),
    ("classes", {"solver": OtherProximalStep(), "penalty": "l1"}, (True, False)),
    ("classes", {"solver": OtherSizes()}, (True, False)),
    ("classes", {"solver": OtherStart(), "batch_norm": True}, (True, False)),
    ("classes", {"activation": OtherTanh(), "solver": OtherStep()}, (False, False)),
]


@pytest.mark.parametrize(("kind", "params", "compiled"), WITHOUT_LOOPS, ids=str)
def test_inherited_loops_do_not_run_another_definition(
    both, halves, kind, params, compiled
):
    model = both(kind, **params)
    assert halves == [compiled]
    assert model.executor_.startswith("numpy (")
    for part in params.values():
        if type(part).__module__ == __name__:
            assert f"{part!r} has no loops" in model.executor_


class OtherNoise(GaussianNoise):
    def apply(self, X, draws):
        return X + 3 * draws


class OtherDraws(GaussianNoise):
    def noisy(self, X, key):
        return super().noisy(3 * X, key)


@pytest.mark.parametrize("noise", [OtherNoise(), OtherDraws()], ids=str)
@pytest.mark.parametrize("others", [[], [GaussianNoise()]], ids=str)
def test_noise_without_loops_is_made_before_the_compiled_step(both, noise, others):
    model = both("classes", augment=[noise, *others])
    assert model.executor_ == "numba"
    plain = fit("classes", augment=[GaussianNoise(), *others])
    assert not np.allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-3)


class SameLoops(OtherTanh):
    """Brings the loops of its definition with it."""

    @staticmethod
    def value(z, p):
        return math.tanh(cast(0.5, z) * z)

    @staticmethod
    def slope(a, z, p):
        return cast(0.5, a) * (cast(1, a) - a * a)


class Renamed(SameLoops):
    """Inherits both."""


@pytest.mark.parametrize("activation", [SameLoops(), Renamed()])
def test_a_subclass_that_brings_its_loops_joins(both, activation):
    assert both("classes", activation=activation).executor_ == "numba"


class OtherNumbers(ElasticNet):
    """Another strength through the loops of the base class, which take it."""

    def strengths(self, alpha):
        return alpha, 2 * alpha


def test_what_loops_take_may_be_overridden(both):
    assert both("classes", penalty=OtherNumbers()).executor_ == "numba"


# Edited loops

MODULE = """
from sknn_notes._compile import cast, math
from sknn_notes.activations import Activation

class Own(Activation):
    def forward(self, Z, xp):
        return xp.tanh({factor} * Z)

    def backward(self, delta, A, Z, xp):
        return {factor} * delta * (1 - A * A)

    @staticmethod
    def value(z, p):
        return math.tanh(cast({factor}, z) * z)

    @staticmethod
    def slope(a, z, p):
        return cast({factor}, a) * (cast(1, a) - a * a)
"""
FIT = """
import numpy as np
from own_part import Own
from sknn_notes import MLPRegressor
X = np.random.default_rng(0).normal(size=(20, 3))
model = MLPRegressor(activation=Own(), max_iter=3, random_state=0).fit(X, X[:, 0])
print(model.executor_, *map(repr, map(float, model.loss_curve_)))
"""


def imported(path):
    spec = importlib.util.spec_from_file_location("own_part", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_loops_that_are_defined_again_are_compiled_again(both, tmp_path):
    curves = []
    for factor in (0.5, 2.0, 0.5):
        path = tmp_path / f"own_part_{len(curves)}.py"
        path.write_text(MODULE.format(factor=factor))
        model = both("classes", activation=imported(path).Own())
        assert model.executor_ == "numba"
        curves.append(model.loss_curve_)
    assert curves[0] == curves[2]
    assert not np.allclose(curves[0], curves[1], rtol=1e-3)


def test_loops_that_are_replaced_on_their_class_are_compiled_again(both, tmp_path):
    path = tmp_path / "own_part.py"
    path.write_text(MODULE.format(factor=0.5))
    own = imported(path).Own
    first = both("classes", activation=own())
    path.write_text(MODULE.format(factor=2.0))
    other = imported(path).Own
    for name in ("forward", "backward", "value", "slope"):
        setattr(own, name, vars(other)[name])
    second = both("classes", activation=own())
    assert second.executor_ == "numba"
    assert not np.allclose(first.loss_curve_, second.loss_curve_, rtol=1e-3)


def test_loops_that_are_sent_by_value_are_compiled_once(both):
    from sknn_notes._compile._numba import n_operations

    def own(factor):
        class Own(Activation):
            def forward(self, Z, xp):
                return xp.tanh(factor * Z)

            def backward(self, delta, A, Z, xp):
                return factor * delta * (1 - A * A)

            @staticmethod
            def value(z, p):
                return math.tanh(cast(factor, z) * z)

            @staticmethod
            def slope(a, z, p):
                return cast(factor, a) * (cast(1, a) - a * a)

        return Own()

    part = own(0.5)
    first = both("classes", activation=part)
    before = n_operations()
    # The loops that arrive are other objects, with the same code and constants.
    arrived = cloudpickle.loads(cloudpickle.dumps(part))
    again = both("classes", activation=arrived)
    assert n_operations() == before
    assert again.loss_curve_ == first.loss_curve_
    other = both("classes", activation=own(1.0))
    assert n_operations() > before
    assert not np.allclose(first.loss_curve_, other.loss_curve_, rtol=1e-3)


def test_edited_loops_are_compiled_in_the_next_process(tmp_path):
    package = Path(sknn_notes.__file__).parents[1]
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join([str(package), str(tmp_path)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",
    }

    def run(factor, kernels):
        (tmp_path / "own_part.py").write_text(MODULE.format(factor=factor))
        done = subprocess.run(
            [sys.executable, "-c", FIT],
            env=environment | {"SKNN_NOTES_KERNELS": kernels},
            capture_output=True,
            text=True,
            check=True,
        )
        words = done.stdout.split()
        numbers = [float(word) for word in words[-3:]]
        assert (words[0] == "numba") == (kernels == "numba")
        return numbers

    for factor in (0.5, 2.5, 0.5):
        expected = run(factor, "numpy")
        np.testing.assert_allclose(run(factor, "numba"), expected, rtol=1e-9)
