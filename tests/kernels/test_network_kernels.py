"""Every kernel set against loops over samples, and every set against the numpy one."""

import inspect
import os
import shutil
import subprocess
import sys
from math import exp, log, log1p, sqrt
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sknn_notes import _kernels
from sknn_notes._kernels import _numpy
from sknn_notes._kernels._numpy import network as reference
from sknn_notes.activations import ACTIVATIONS, ReLU, Tanh

# Rounding of a few operations in each type.
RTOL = {"float32": 2e-5, "float64": 1e-12}

every_dtype = pytest.mark.parametrize("dtype", RTOL)


@pytest.fixture
def environment(monkeypatch):
    """The environment, for a choice of the kernel set that ends with the test."""
    _kernels.active.cache_clear()
    yield monkeypatch
    _kernels.active.cache_clear()


@pytest.fixture(params=_kernels.available())
def kernels(request, environment):
    """One kernel set, in use."""
    environment.setenv("SKNN_NOTES_KERNELS", request.param)
    return _kernels.active()


# Choosing a set


def public_functions(module):
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }


def test_the_numpy_set_is_always_available():
    assert "numpy" in _kernels.available()


@pytest.mark.parametrize("name", _kernels.available())
def test_the_environment_names_the_set(environment, name):
    environment.setenv("SKNN_NOTES_KERNELS", name)
    assert _kernels.active().__name__.endswith(f"_{name}")


@pytest.mark.parametrize("value", [None, ""])
def test_the_fastest_available_set_is_the_default(environment, value):
    environment.delenv("SKNN_NOTES_KERNELS", raising=False)
    if value is not None:
        environment.setenv("SKNN_NOTES_KERNELS", value)
    assert _kernels.active().__name__.endswith(f"_{_kernels.available()[0]}")


def test_a_wrong_name_of_a_set_is_refused(environment):
    environment.setenv("SKNN_NOTES_KERNELS", "nunpy")
    with pytest.raises(ValueError, match=r"SKNN_NOTES_KERNELS='nunpy'.*'numpy'"):
        _kernels.active()


def test_a_set_whose_requirement_is_not_installed_is_refused(environment):
    environment.setitem(_kernels.KERNEL_SETS, "absent", "a_package_nobody_wrote")
    environment.setenv("SKNN_NOTES_KERNELS", "absent")
    assert "absent" not in _kernels.available()
    with pytest.raises(ValueError, match=r"'absent'.*Accepted: \['"):
        _kernels.active()


def test_a_set_that_is_broken_gives_way_with_a_warning(environment):
    environment.delenv("SKNN_NOTES_KERNELS", raising=False)
    environment.setattr(_kernels, "KERNEL_SETS", {"broken": "json", "numpy": "numpy"})
    with pytest.warns(UserWarning, match=r"broken kernels.*numpy kernels are used"):
        assert _kernels.active() is _numpy


def test_every_set_has_the_same_functions_with_the_same_arguments(kernels):
    numpy_set = public_functions(_numpy)
    functions = public_functions(kernels)
    assert set(functions) == set(numpy_set)
    for name, function in functions.items():
        ours, theirs = (inspect.signature(f) for f in (function, numpy_set[name]))
        assert list(ours.parameters) == list(theirs.parameters), name


@pytest.mark.skipif("numba" not in _kernels.available(), reason="needs numba")
def test_what_is_compiled_ages_with_all_of_the_sources(tmp_path):
    package = Path(_kernels.__file__).parents[1]
    shutil.copytree(package, tmp_path / package.name)
    fit = (
        "import numpy as np; from sknn_notes._kernels import active; k = active();"
        "k.dropout_mask(np.zeros((1, 1), np.uint16), 1, 1.0, np.ones((1, 1)));"
        "from sknn_notes._kernels._numba.network import _dropout_mask as f;"
        "print(sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values()))"
    )
    environment = {**os.environ, "SKNN_NOTES_KERNELS": "numba"}
    environment |= {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(tmp_path)}

    def run():
        command = [sys.executable, "-c", fit]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, check=True
        )
        return done.stdout.split()

    assert run() == [b"0", b"1"]
    assert run() == [b"1", b"0"]
    other = tmp_path / package.name / "_kernels" / "_numba" / "passes.py"
    other.write_text(other.read_text() + "\n# changed\n")
    assert run() == [b"0", b"1"]


# The same calls for all sets. Raw outputs are Fortran-ordered, as the network's.


def make_raw(dtype, n=50, n_outputs=4, seed=0):
    raw = np.random.default_rng(seed).normal(scale=2, size=(n, n_outputs))
    return np.asfortranarray(raw, dtype)


def make_labels(raw, seed=1):
    return np.asfortranarray(
        np.random.default_rng(seed).integers(2, size=raw.shape), raw.dtype
    )


def make_layer(dtype, seed=0):
    """Return delta, A (some of it exactly 0), Z and a dropout mask."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(30, 6)).astype(dtype)
    Z[::7] = 0
    delta = rng.normal(size=Z.shape).astype(dtype)
    mask = (rng.random(Z.shape) < 0.7).astype(dtype) / dtype(0.7)
    return delta, np.maximum(Z, 0), Z, mask


def make_vectors(dtype, n_vectors, n=40_000, seed=0):
    """Return vectors longer than the block that kernels work on at a time."""
    rng = np.random.default_rng(seed)
    return [np.abs(rng.normal(size=n)).astype(dtype) for _ in range(n_vectors)]


def calls(dtype):
    """Yield (kernel, arguments); arrays among the arguments may be written to."""
    dtype = np.dtype(dtype).type
    raw = make_raw(dtype)
    classes = np.random.default_rng(1).integers(4, size=len(raw))
    labels = make_labels(raw)
    out = np.empty_like(raw)
    yield "softmax_log_loss", [raw, classes, out.copy("F")]
    yield "multiclass_hinge", [raw, classes, 0.5, out.copy("F")]
    yield "logistic_log_loss", [raw, labels, out.copy("F")]
    yield "binary_hinge", [raw, labels, 0.5, out.copy("F")]
    yield "multiclass_squared_hinge", [raw, classes, 0.5, out.copy("F")]
    yield "binary_squared_hinge", [raw, labels, 0.5, out.copy("F")]
    delta, A, Z, mask = make_layer(dtype)
    b = np.arange(6, dtype=dtype)
    for activation in ACTIVATIONS.values():
        yield "bias_activation", [Z.copy(), b, activation(), np.empty_like(Z)]
        if not activation.keeps_input:
            yield "bias_activation", [in_place := Z.copy(), b, activation(), in_place]
        part = activation()
        part.forward(Z, A := np.empty_like(Z))
        yield "activation_backward", [delta.copy(), A.copy(), Z.copy(), part, None]
        yield "activation_backward", [delta.copy(), A, Z.copy(), part, mask]
    bits = np.random.default_rng(2).integers(2**16, size=(30, 6), dtype=np.uint16)
    yield "random_bits", [0xFEDCBA9876543210, np.empty(70_001, np.uint32)]
    yield "random_bits_at", [0xFEDCBA9876543210, np.array([7, 70_000, 0, 7])]
    yield "dropout_mask", [bits, 30_000, 65536 / 30_000, np.empty((30, 6), dtype)]
    yield "add_l2_gradient", [*make_vectors(dtype, 1), 0.3, *make_vectors(dtype, 1)]
    for nesterov in (False, True):
        yield "sgd_step", [*make_vectors(dtype, 3), 0.1, 0.9, nesterov]
    yield "rmsprop_step", [*make_vectors(dtype, 3), 0.01, 0.9, 1e-6]
    yield "l1_norm", make_vectors(dtype, 1)
    for step in (0.3, np.abs(make_vectors(dtype, 1)[0])):
        yield "soft_threshold", [*make_vectors(dtype, 1), 0.5, step]
    for norm in (0.5, 100.0):
        yield "project_columns", [A.copy(), norm]
    mean, var, scale = np.abs(make_vectors(dtype, 3))[:, :6] + dtype(0.5)
    yield "batch_norm_forward", [Z.copy(), scale, 1e-5, mean, var, np.empty_like(Z)]
    arguments = [scale, 1e-5, var, b, np.empty_like(b)]
    yield "batch_norm_backward", [delta.copy(), A.copy(), *arguments]
    yield "adam_step", [*make_vectors(dtype, 4), 0.01, 0.9, 0.99, 1e-6]


# Arguments, by position, that a kernel may use as scratch.
LOST = {
    "activation_backward": (1, 2),
    "adam_step": (1,),
    "batch_norm_backward": (1,),
    "rmsprop_step": (1,),
    "sgd_step": (1,),
}


def test_every_kernel_is_called_below():
    assert {name for name, _ in calls("float64")} == set(reference.__all__)


@every_dtype
def test_every_set_agrees_with_the_numpy_one(kernels, dtype):
    pairs = zip(calls(dtype), calls(dtype), strict=True)
    for (name, arguments), (_, expected_arguments) in pairs:
        result = getattr(kernels, name)(*arguments)
        expected = getattr(reference, name)(*expected_arguments)
        rtol = 0 if name.startswith(("dropout", "random")) else RTOL[dtype]
        if expected is not None:
            np.testing.assert_allclose(result, expected, rtol=rtol, err_msg=name)
        arrays = zip(arguments, expected_arguments, strict=True)
        for i, (array, expected_array) in enumerate(arrays):
            if isinstance(array, np.ndarray) and i not in LOST.get(name, ()):
                assert array.dtype == expected_array.dtype
                np.testing.assert_allclose(
                    array, expected_array, rtol=rtol, atol=rtol, err_msg=name
                )


def test_random_bits_at_places_are_those_of_a_whole_array(kernels):
    key, words = 0x123456789ABCDEF0, np.empty(70_001, np.uint32)
    kernels.random_bits(key, words)
    places = np.array([70_000, 3, 3, 0, 32_768, 32_767])
    np.testing.assert_array_equal(kernels.random_bits_at(key, places), words[places])


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e20), ("float32", 1e37), ("float64", 1e200)]
)
@pytest.mark.parametrize("norm", [0.01, 3.0])
def test_columns_whose_squares_overflow_are_shortened(kernels, dtype, size, norm):
    W = np.random.default_rng(0).normal(size=(5, 4)).astype(dtype)
    expected = W * np.minimum(1, norm / np.linalg.norm(W, axis=0))
    W[:, 1:3] *= np.dtype(dtype).type(size)
    expected[:, 1:3] *= np.maximum(1, norm / np.linalg.norm(expected[:, 1:3], axis=0))
    kernels.project_columns(W, norm)
    np.testing.assert_allclose(W, expected, rtol=RTOL[dtype])


# Batch norm


def normalized_by(kernels, X):
    """Return what ``batch_norm_forward`` makes of ``X``: columns, mean and variance."""
    X, (mean, var) = X.copy(), np.empty((2, X.shape[1]), X.dtype)
    kernels.batch_norm_forward(X, np.ones_like(mean), 1e-5, mean, var, np.empty_like(X))
    return X, mean, var


@pytest.mark.parametrize(("scale", "shift"), [(1e8, 0), (1e15, 0), (1, 1e4), (1, -1e6)])
def test_batch_norm_of_badly_scaled_float32(kernels, scale, shift):
    rng = np.random.default_rng(0)
    X = (scale * rng.normal(size=(200, 6)) + shift).astype(np.float32)
    exact = X.astype(np.float64)
    columns, mean, var = normalized_by(kernels, X)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(var, exact.var(axis=0), rtol=1e-4)
    exact -= exact.mean(axis=0)
    exact /= np.sqrt(exact.var(axis=0) + 1e-5)
    np.testing.assert_allclose(columns, exact, atol=1e-4)


@every_dtype
@pytest.mark.parametrize("value", [0.1, 1e8, -1e15])
def test_batch_norm_of_a_column_that_does_not_vary(kernels, dtype, value):
    X = np.full((200, 6), value, dtype)
    columns, _, var = normalized_by(kernels, X)
    assert np.all((var >= 0) & (var <= (np.finfo(dtype).eps * value) ** 2 * 1e3))
    assert np.isfinite(columns).all()


# Losses


def loop_softmax(f, y):
    total = sum(exp(v) for v in f)
    gradient = [exp(v) / total - (j == y) for j, v in enumerate(f)]
    return -f[y] + log(total), gradient


def loop_multiclass_hinge(f, y, margin):
    loss, gradient = 0.0, [0.0] * len(f)
    for j in range(len(f)):
        if j != y and f[j] - f[y] + margin > 0:
            loss += f[j] - f[y] + margin
            gradient[j] += 1
            gradient[y] -= 1
    return loss, gradient


def loop_logistic(f, y):
    loss = sum(log1p(exp(v)) - t * v for v, t in zip(f, y, strict=True))
    return loss, [1 / (1 + exp(-v)) - t for v, t in zip(f, y, strict=True)]


def loop_binary_hinge(f, y, margin):
    signs = [1 if t == 1 else -1 for t in y]
    slack = [margin - s * v for v, s in zip(f, signs, strict=True)]
    gradient = [-s if t > 0 else 0 for s, t in zip(signs, slack, strict=True)]
    return sum(t for t in slack if t > 0), gradient


@every_dtype
@pytest.mark.parametrize(
    ("name", "loop", "parameters"),
    [
        ("softmax_log_loss", loop_softmax, []),
        ("multiclass_hinge", loop_multiclass_hinge, [1.0]),
        ("multiclass_hinge", loop_multiclass_hinge, [0.3]),
        ("logistic_log_loss", loop_logistic, []),
        ("binary_hinge", loop_binary_hinge, [1.0]),
        ("binary_hinge", loop_binary_hinge, [0.3]),
    ],
)
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_losses(kernels, dtype, name, loop, parameters, n_outputs, order):
    raw = make_raw(dtype, n_outputs=n_outputs).copy(order)
    multiclass = name in ("softmax_log_loss", "multiclass_hinge")
    y = np.arange(len(raw)) % n_outputs if multiclass else make_labels(raw).copy(order)
    out, before = np.full_like(raw, np.nan), raw.copy()
    losses = getattr(kernels, name)(raw, y, *parameters, out)

    expected = [loop(f, t, *parameters) for f, t in zip(raw.tolist(), y, strict=True)]
    assert losses.shape == (len(raw),)
    assert losses.dtype == dtype
    rtol = RTOL[dtype]
    np.testing.assert_allclose(losses, [e[0] for e in expected], rtol, atol=rtol)
    np.testing.assert_allclose(out, [e[1] for e in expected], rtol, atol=rtol)
    np.testing.assert_array_equal(raw, before)


@every_dtype
@pytest.mark.parametrize("name", ["softmax_log_loss", "multiclass_hinge"])
def test_nan_in_the_raw_outputs_reaches_that_samples_loss(kernels, dtype, name):
    raw = make_raw(dtype)
    raw[3, 1] = np.nan
    parameters = [1.0] if name == "multiclass_hinge" else []
    y = np.zeros(len(raw), int)
    losses = getattr(kernels, name)(raw, y, *parameters, np.empty_like(raw))
    assert np.flatnonzero(np.isnan(losses)).tolist() == [3]


@every_dtype
@pytest.mark.parametrize("name", ["logistic_log_loss", "binary_hinge"])
def test_nan_in_a_label_output_reaches_that_samples_loss(kernels, dtype, name):
    raw = make_raw(dtype)
    raw[3, 1] = np.nan
    parameters = [1.0] if name == "binary_hinge" else []
    losses = getattr(kernels, name)(
        raw, make_labels(raw), *parameters, np.empty_like(raw)
    )
    assert np.flatnonzero(np.isnan(losses)).tolist() == [3]


@every_dtype
@pytest.mark.parametrize("scale", [1e3, 1e5, 1e30])
def test_log_losses_do_not_overflow(kernels, dtype, scale):
    raw = np.array([[scale, -scale], [-scale, scale], [scale, scale]], dtype, order="F")
    out = np.empty_like(raw)
    losses = kernels.softmax_log_loss(raw, np.zeros(3, int), out)
    np.testing.assert_allclose(losses, [0, 2 * scale, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(out, [[0, 0], [-1, 1], [-0.5, 0.5]])

    losses = kernels.logistic_log_loss(raw, np.ones_like(raw), out)
    np.testing.assert_allclose(losses, [scale, scale, 0], rtol=1e-6)
    np.testing.assert_allclose(out, [[0, -1], [-1, 0], [0, 0]])


# Layers


@every_dtype
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_bias_and_activation(kernels, dtype, activation):
    part = activation()
    _, _, Z, _ = make_layer(np.dtype(dtype).type)
    b = np.linspace(-1, 1, 6).astype(dtype)
    expected = np.empty_like(Z)
    part.forward(Z + b, expected)

    out, kept = np.empty_like(Z), Z.copy()
    kernels.bias_activation(kept, b, part, out)
    np.testing.assert_allclose(out, expected, rtol=RTOL[dtype])
    np.testing.assert_allclose(kept, Z + b, rtol=RTOL[dtype])

    in_place = Z.copy()
    kernels.bias_activation(in_place, b, part, in_place)
    np.testing.assert_allclose(in_place, expected, rtol=RTOL[dtype])


@every_dtype
def test_a_mask_is_part_of_the_derivative(kernels, dtype):
    delta, A, Z, mask = make_layer(np.dtype(dtype).type)
    expected = [
        [d * m if a > 0 else 0 for d, m, a in zip(*rows, strict=True)]
        for rows in zip(delta, mask, A, strict=True)
    ]
    kernels.activation_backward(delta, A, Z, ReLU(), mask)
    np.testing.assert_allclose(delta, expected, rtol=RTOL[dtype])


@every_dtype
def test_without_a_mask_the_derivative_alone_counts(kernels, dtype):
    delta, _, Z, _ = make_layer(np.dtype(dtype).type)
    expected = delta * (1 - np.tanh(Z) ** 2)
    kernels.activation_backward(delta, np.tanh(Z), Z, Tanh(), None)
    np.testing.assert_allclose(delta, expected, rtol=RTOL[dtype])


@every_dtype
def test_relu_lets_nan_through(kernels, dtype):
    Z = np.array([[np.nan, -1.0, 2.0]], dtype)
    out = np.empty_like(Z)
    kernels.bias_activation(Z, np.zeros(3, dtype), ReLU(), out)
    np.testing.assert_array_equal(out, [[np.nan, 0, 2]])


def test_random_bits_are_a_hash_of_place_and_key(kernels):
    def word(place, key):
        x = (place * 0x9E3779B9 + (key & 0xFFFFFFFF)) % 2**32
        x = (x ^ (x >> 16)) * 0x21F0AAAD % 2**32 ^ (key >> 32)
        x = (x ^ (x >> 15)) * 0xD35A2D97 % 2**32
        return x ^ (x >> 15)

    key = 2**63 + 12345678901
    out = np.empty(40_000, np.uint32)
    kernels.random_bits(key, out)
    for place in (0, 1, 2, 32_767, 32_768, 39_999):
        assert out[place] == word(place, key)


def test_random_bits_look_independent(kernels):
    rng, words = np.random.default_rng(0), np.empty(5000, np.uint32)
    previous, z = np.zeros(10_000), []
    for _ in range(200):
        kernels.random_bits(int(rng.integers(2**63)), words)
        signs = np.where(words.view(np.uint16) < 2**15, 1.0, -1.0)
        z.append(
            [
                signs.sum(),
                signs[1:] @ signs[:-1],
                signs[2:] @ signs[:-2],
                signs[100:] @ signs[:-100],
                signs @ previous,
            ]
        )
        previous = signs
    z = np.array(z[1:]) / 100
    assert np.all(np.abs(z.mean(axis=0)) < 4 / np.sqrt(len(z)))
    assert np.all(np.abs(z.std(axis=0) - 1) < 0.2)


@every_dtype
def test_dropout_mask_compares_bits_with_the_threshold(kernels, dtype):
    bits = np.array([[0, 99, 100, 101, 65535]], np.uint16)
    out = np.empty(bits.shape, dtype)
    kernels.dropout_mask(bits, 100, 655.36, out)
    scale = np.array(655.36, dtype)
    np.testing.assert_array_equal(out, [[scale, scale, 0, 0, 0]])


@every_dtype
def test_a_threshold_above_all_bits_keeps_everything(kernels, dtype):
    bits = np.array([[0, 65535]], np.uint16)
    out = np.empty(bits.shape, dtype)
    kernels.dropout_mask(bits, 65536, 1.0, out)
    np.testing.assert_array_equal(out, [[1, 1]])


# Penalties and solvers


@every_dtype
@pytest.mark.parametrize("n", [1, 40_000])
def test_l2(kernels, dtype, n):
    weights, grad = make_vectors(dtype, 2, n)
    expected = [
        g + 0.3 * w for g, w in zip(grad.tolist(), weights.tolist(), strict=True)
    ]
    value = kernels.add_l2_gradient(weights, 0.3, grad)
    squares = sum(w * w for w in weights.tolist())
    assert value == pytest.approx(0.15 * squares, rel=RTOL[dtype])
    np.testing.assert_allclose(grad, expected, rtol=RTOL[dtype])


@every_dtype
@pytest.mark.parametrize("n", [1, 40_000])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_step(kernels, dtype, n, nesterov):
    theta, grad, velocity = make_vectors(dtype, 3, n)
    expected, expected_velocity = [], []
    for th, g, v in zip(theta.tolist(), grad.tolist(), velocity.tolist(), strict=True):
        v = 0.9 * v - 0.1 * g
        expected.append(th + 0.9 * v - 0.1 * g if nesterov else th + v)
        expected_velocity.append(v)
    kernels.sgd_step(theta, grad, velocity, 0.1, 0.9, nesterov)
    rtol = RTOL[dtype]
    np.testing.assert_allclose(theta, expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(velocity, expected_velocity, rtol=rtol, atol=rtol)


@every_dtype
@pytest.mark.parametrize("n", [1, 40_000])
def test_adam_step(kernels, dtype, n):
    theta, grad, m, v = make_vectors(dtype, 4, n)
    expected = []
    for th, g, m_, v_ in zip(*(x.tolist() for x in (theta, grad, m, v)), strict=True):
        m_, v_ = 0.9 * m_ + g, 0.99 * v_ + g * g
        expected.append([th - 0.01 * m_ / (sqrt(v_) + 1e-6), m_, v_])
    kernels.adam_step(theta, grad, m, v, 0.01, 0.9, 0.99, 1e-6)
    rtol = RTOL[dtype]
    np.testing.assert_allclose(
        np.transpose([theta, m, v]), expected, rtol=rtol, atol=rtol
    )
