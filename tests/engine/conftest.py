"""Executors by name, and comparisons of fits."""

from importlib.util import find_spec
from numbers import Number

import numpy as np
import pytest
from sklearn.base import clone, is_regressor
from threadpoolctl import threadpool_limits

from sknn_notes import _kernels
from sknn_notes._engine.training import TrainingState
from sknn_notes.neural_network import _devices


@pytest.fixture
def use(monkeypatch):
    """Choose "numba" or "numpy" to make the steps, until the test ends."""

    def choose(name):
        monkeypatch.setenv("SKNN_NOTES_KERNELS", name)
        _kernels.active.cache_clear()

    yield choose
    _kernels.active.cache_clear()


@pytest.fixture(params=_kernels.available())
def executor(request, use):
    """The name of an executor, which is in use."""
    use(request.param)
    return request.param


@pytest.fixture(scope="module")
def one_thread():
    """The matrices here are so small that threads only wait for each other."""
    pytest.importorskip("torch")
    with threadpool_limits(1):
        yield


@pytest.fixture
def fits(use, monkeypatch):
    """Return a function that yields fits by all executors, and their names.

    PyTorch is among them if it is installed; its tensors are on the CPU.
    """

    def each(model, fit, on_device=True):
        for name in _kernels.available():
            use(name)
            yield fit(clone(model)), name
        if on_device and find_spec("torch"):
            with monkeypatch.context() as patch:
                patch.setattr(_devices, "is_host", lambda spec: False)
                yield fit(clone(model).set_params(device="cpu")), "torch"

    return each


@pytest.fixture
def tensors(one_thread, monkeypatch):
    """Let device="cpu" train on tensors of PyTorch, in the way of a GPU."""
    monkeypatch.setattr(_devices, "is_host", lambda spec: False)


def assert_close(actual, desired, tolerance, name):
    """Compare nested containers of numbers and arrays; the sizes of arrays count."""
    kinds = dict, list | tuple, TrainingState, np.random.Generator
    dicts, lists, states, generators = (isinstance(desired, kind) for kind in kinds)
    if generators:
        actual, desired = (x.bit_generator.state for x in (actual, desired))
    if states:
        actual, desired = vars(actual), vars(desired)
    if dicts or states or generators:
        assert actual.keys() == desired.keys(), name
        for key in desired:
            assert_close(actual[key], desired[key], tolerance, f"{name} {key}")
    elif lists and not all(isinstance(x, Number) for x in desired):
        assert len(actual) == len(desired), name
        for pair in zip(actual, desired, strict=True):
            assert_close(*pair, tolerance, name)
    elif isinstance(desired, np.ndarray | Number | list | tuple):
        assert type(actual) is type(desired), name
        actual, desired = np.asarray(actual), np.asarray(desired)
        assert actual.dtype == desired.dtype, name
        if desired.dtype.kind != "f":
            np.testing.assert_array_equal(actual, desired, name)
            return
        size = np.max(np.abs(desired[np.isfinite(desired)]), initial=0)
        np.testing.assert_allclose(actual, desired, 0, tolerance * size, err_msg=name)
    elif desired is None or isinstance(desired, str):
        assert actual == desired, name


@pytest.fixture
def assert_agree():
    """Return a function that compares two fits, and what they predict for ``X``.

    All fitted attributes and all that a fit leaves for the next one are the same up to
    rounding; so are, where it counts, whole numbers and generators.
    """

    def compare(one, other, X, tolerance=None):
        dtype = other.coefs_[0].dtype
        tolerance = tolerance or {"float32": 1e-4, "float64": 1e-9}[dtype.name]
        assert vars(one).keys() == vars(other).keys()
        fitted = [name for name in vars(other) if name.endswith("_")]
        for name in {*fitted, "_training_state"} - {"executor_", "networks_"}:
            actual, desired = getattr(one, name), getattr(other, name)
            assert_close(actual, desired, tolerance, name)
        losses = one.loss_curve_, other.loss_curve_
        np.testing.assert_allclose(*losses, rtol=tolerance / 10)
        name = "predict" if is_regressor(other) else "decision_function"
        predictions = [getattr(fit, name)(X) for fit in (one, other)]
        assert_close(*predictions, tolerance, name)

    return compare
