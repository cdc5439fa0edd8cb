"""Compiled operations one by one, where numbers come to their ends."""

import numpy as np
import pytest

from sknn_notes import _kernels
from sknn_notes._compile import Memory
from sknn_notes._engine import operations
from sknn_notes._engine.network import Network, hidden_layers
from sknn_notes._engine.program import Program
from sknn_notes._engine.tape import CompiledTape, Operation, Recorder
from sknn_notes.activations import Identity
from sknn_notes.layers import BatchNorm
from sknn_notes.layers._batch_norm import BatchNormLayer
from sknn_notes.layers._dropout import Dropout, Mask, forward
from sknn_notes.losses import SquaredError
from sknn_notes.optimizers import SGD

pytestmark = pytest.mark.skipif(
    "numba" not in _kernels.available(), reason="needs numba"
)
RTOL = {"float32": 2e-5, "float64": 1e-12}
every_dtype = pytest.mark.parametrize("dtype", RTOL)


def run(recorded, dtype, n=1, key=0, **arrays):
    """Run operations on a batch of ``n`` rows; return the sum of what they return."""
    tape = CompiledTape(recorded, (), (), np.dtype(dtype))
    memory = dict.fromkeys(Memory._fields, np.zeros(1, dtype)) | {
        "classes": np.zeros(1, np.int64),
        "bits": np.zeros(100, np.uint32),
    }
    keys = np.array([[key]], np.uint64)
    numbers, edges = tape.numbers(np.zeros(1)), np.array([0, n])
    return tape.run(Memory(**(memory | arrays)), numbers, 0, edges, keys, 0)


def make_network(units, dtype, **options):
    activations = [Identity()] * (len(units) - 2)
    return Network(hidden_layers(units, activations, **options), dtype)


# Max norm and clipping


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("float32", 1.0), ("float32", 1e20), ("float32", 1e37), ("float64", 1e200)],
)
@pytest.mark.parametrize("norm", [0.01, 3.0])
def test_columns_whose_squares_overflow_are_shortened(dtype, size, norm):
    network = make_network([5, 4], dtype)
    W = network.p[0]["W"]
    W[:] = np.random.default_rng(0).normal(size=(5, 4))
    expected = W * np.minimum(1, norm / np.linalg.norm(W, axis=0))
    if size > 1:
        W[:, 1:3] *= np.dtype(dtype).type(size)
        expected[:, 1:3] *= norm / np.linalg.norm(expected[:, 1:3], axis=0)
    program = Program(network, SquaredError(), max_norms=[norm], optimizer=SGD())
    tape = Recorder(network, 1)
    program.bounds.record(tape, None)
    work = np.zeros(tape.n_work, dtype)
    run(tape.updates, dtype, theta=network.theta, work=work)
    np.testing.assert_allclose(W, expected, rtol=RTOL[dtype])


@every_dtype
@pytest.mark.parametrize("size", [1.0, 1e25])
@pytest.mark.parametrize("n", [1, 1024, 3000])
@pytest.mark.parametrize("bound", [0.5, 1e30])
def test_a_gradient_is_shortened_to_its_bound(dtype, size, n, bound):
    grad = (size * np.random.default_rng(0).normal(size=n)).astype(dtype)
    length = np.linalg.norm(grad.astype(float))
    expected = grad * min(1.0, bound / length)
    clip = Operation(operations.clip, (), (), lambda: (bound,), -1)
    run([clip], dtype, grad=grad)
    np.testing.assert_allclose(grad, expected, rtol=RTOL[dtype])


# Batch norm


def normalized(X):
    """Return what batch norm makes of ``X``: columns, mean and unbiased variance."""
    n, width = X.shape
    network = make_network([width, width, 1], X.dtype, batch_norm=BatchNorm(momentum=1))
    (layer,) = (x for x in network.layers if isinstance(x, BatchNormLayer))
    tape = Recorder(network, n)
    inputs = tape.value(width)
    outputs = layer.record(tape, inputs)
    work = np.zeros(tape.n_work, X.dtype)
    work[inputs.start : inputs.start + X.size] = X.ravel()
    run(
        [tape.objective[0], *tape.averages],
        X.dtype,
        n,
        theta=network.theta,
        running=network.running,
        work=work,
    )
    columns = work[outputs.start : outputs.start + X.size].reshape(X.shape)
    (norm,) = network.fitted.batch_norms
    return columns, norm["mean"], norm["var"]


@pytest.mark.parametrize(("scale", "shift"), [(1e8, 0), (1e15, 0), (1, 1e4), (1, -1e6)])
def test_batch_norm_of_badly_scaled_float32(scale, shift):
    rng = np.random.default_rng(0)
    X = (scale * rng.normal(size=(200, 6)) + shift).astype(np.float32)
    exact = X.astype(np.float64)
    columns, mean, var = normalized(X)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(var, exact.var(axis=0, ddof=1), rtol=1e-4)
    exact -= exact.mean(axis=0)
    exact /= np.sqrt(exact.var(axis=0) + 1e-5)
    np.testing.assert_allclose(columns, exact, atol=1e-4)


@every_dtype
@pytest.mark.parametrize("value", [0.1, 1e8, -1e15])
def test_batch_norm_of_a_column_that_does_not_vary(dtype, value):
    columns, _, var = normalized(np.full((200, 6), value, dtype))
    assert np.all((var >= 0) & (var <= (np.finfo(dtype).eps * value) ** 2 * 1e3))
    assert np.isfinite(columns).all()


# Dropout


@every_dtype
@pytest.mark.parametrize("rate", [1e-7, 0.3, 1 - 1e-9])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 9])
def test_masks_are_those_of_the_definition(dtype, rate, width):
    key, n, mask = 2**63 + 12345678901, 50, Mask(rate)
    X = np.random.default_rng(0).normal(size=(n, width)).astype(dtype)
    network = make_network([width, 1], dtype)
    tape = Recorder(network, n)
    inputs = tape.value(width)
    Dropout(mask, 0, width).record(tape, inputs)
    assert tape.objective[0].function is forward
    work = np.zeros(tape.n_work, dtype)
    work[: X.size] = X.ravel()
    run(tape.objective[:1], dtype, n, key, work=work)
    expected = X * mask.draw(key, X.shape, X, np)
    np.testing.assert_array_equal(work[: X.size].reshape(X.shape), expected)
    assert (rate > 1e-6) or np.array_equal(expected, X)


# Penalties


@every_dtype
@pytest.mark.parametrize("n", [1, 40_000])
def test_penalties_are_summed_in_float64(dtype, n):
    rng = np.random.default_rng(0)
    theta, grad = np.abs(rng.normal(size=(2, n))).astype(dtype)
    expected = grad + np.dtype(dtype).type(0.3) * theta
    numbers = 0.2, 0.3, 0.3
    penalize = Operation(operations.penalize, (), (n,), lambda: numbers, -1)
    value = run([penalize], dtype, theta=theta, grad=grad)
    exact = theta.astype(float)
    total = 0.2 * exact.sum() + 0.15 * (exact**2).sum()
    assert value == pytest.approx(total, rel=RTOL[dtype])
    np.testing.assert_allclose(grad, expected, rtol=RTOL[dtype])
