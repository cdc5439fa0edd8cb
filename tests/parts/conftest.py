"""The two forms of a part, run on arrays outside of a training."""

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from sknn_notes import _arrays
from sknn_notes._compile import HELPERS
from sknn_notes._engine.program import memory_of
from sknn_notes.losses._base import Choice


class Definition:
    """The array code of a part."""

    @staticmethod
    def activate(part, Z):
        """Return the outputs of an activation and its derivatives."""
        A = part.forward(Z, np)
        kept = Z if part.keeps_input else None
        return A, part.backward(np.ones_like(Z), A, kept, np)

    @staticmethod
    def losses(part, raw, y):
        """Return the loss of each sample, and its gradient."""
        return part.per_sample(raw, y, np)

    @staticmethod
    def chosen(part, raw, targets):
        """Return losses and gradient of chosen outputs, those of each sample first."""
        own = np.zeros(targets.shape, int)
        shared = np.ones(raw.shape[1] - own.shape[1], int)
        return part.of_choice(raw, Choice(own, targets, shared, None), np)

    @staticmethod
    def step(part, theta, grad, rate, state):
        """Make a step of an optimizer in place, as its method of this name."""
        part.step(theta, grad, rate, state)

    @staticmethod
    def proximal_step(part, theta, grad, rate, state, prox):
        """Make a step and a proximal step in place, as its method of this name."""
        part.proximal_step(theta, grad, rate, state, prox)

    @staticmethod
    def prox(part, W, alpha, steps):
        """Return the penalty on a matrix, and the matrix after its proximal step."""
        return part.value(W, alpha), part.prox(W.copy(), alpha, steps)


class Loops:
    """The loops of a part, compiled as in a training step."""

    @staticmethod
    def activate(part, Z):
        """Return the outputs of an activation and its derivatives."""
        A, slopes = np.empty_like(Z), np.empty_like(Z)
        # If the input is not kept, its memory holds other numbers.
        kept = Z if part.keeps_input else np.full_like(Z, np.nan)
        p = tuple(map(Z.dtype.type, (*part.numbers(), 0.0, 0.0)[:2]))
        arrays = (array.reshape(-1) for array in (Z, kept, A, slopes))
        _activate(part.value, part.slope)(*arrays, p)
        return A, slopes

    @staticmethod
    def losses(part, raw, y):
        """Return the loss of each sample, and its gradient."""
        loops = _compiled(part.class_loops if y.ndim == 1 else part.loops)
        out = np.full(raw.T.shape, np.nan, raw.dtype)
        losses, spare = np.full((2, len(raw)), np.nan, raw.dtype)
        y = np.ascontiguousarray(y, np.int64 if y.ndim == 1 else raw.dtype).T
        numbers, table = (
            np.array(part.numbers(), np.float64),
            np.array(part.table(), np.int64),
        )
        loops(np.ascontiguousarray(raw.T), y, out, losses, spare, numbers, table)
        return losses, out.T

    @staticmethod
    def chosen(part, raw, targets):
        """Return losses and gradient of chosen outputs, those of each sample first."""
        n_own = targets.shape[1]
        own, shared = raw[:, :n_own].copy(), raw[:, n_own:].T.copy()
        # No output of a sample is among the shared ones.
        places = np.full(own.shape, len(shared))
        out, shared_out = np.empty_like(own), np.empty_like(shared)
        losses, spare = np.empty((2, len(raw)), raw.dtype)
        _compiled(part.choice_loops)(
            own, places, targets.copy(), shared, out, shared_out, losses, spare
        )
        return losses, np.hstack([out, shared_out.T])

    @staticmethod
    def step(part, theta, grad, rate, state):
        """Make a step of an optimizer in place, as its method of this name."""
        a, b = _memory(state, np.zeros_like(theta))
        p = _constants(part, theta, rate, state)
        _move(_compiled(part.move))(theta, grad, a, b, p)

    @staticmethod
    def proximal_step(part, theta, grad, rate, state, prox):
        """Make a step and a proximal step in place, as its method of this name."""
        # Without a second array, the first one is passed twice and written last.
        a, b = _memory(state, memory_of(state)[0])
        p = _constants(part, theta, rate, state)
        _move(_compiled(part.proximal_move))(theta, grad, a, b, p)
        sizes = np.empty_like(theta)
        _sizes(_compiled(part.size))(a, b, p, sizes)
        prox(sizes)
        _settle(_compiled(part.settle))(theta, a, b, p)

    @staticmethod
    def prox(part, W, alpha, steps):
        """Return the penalty on a matrix, and the matrix after its proximal step."""
        W = W.copy()
        steps = np.broadcast_to(np.asarray(steps, W.dtype), W.shape).copy()
        numbers = np.array(part.numbers(), np.float64)
        spare = np.empty((3, W.shape[1]), W.dtype)
        value = _compiled(part.value_loops)(W, float(alpha), numbers, spare)
        _compiled(part.prox_loops)(W, steps, float(alpha), numbers, spare)
        return value, W


class Device:
    """The array code of a part on tensors."""

    @staticmethod
    def activate(part, Z):
        """Return the outputs of an activation and its derivatives."""
        Z, xp = _tensor(Z)
        A = part.forward(Z, xp)
        slopes = part.backward(xp.ones_like(Z), A, Z if part.keeps_input else None, xp)
        return A.numpy(), slopes.numpy()

    @staticmethod
    def losses(part, raw, y):
        """Return the loss of each sample, and its gradient."""
        raw, xp = _tensor(raw)
        losses, gradient = part.per_sample(raw, _tensor(y)[0], xp)
        return losses.numpy(), gradient.numpy()


def _tensor(array):
    import torch

    return torch.tensor(array), _arrays.namespace(torch.zeros(1))


FORMS = {"definition": Definition, "loops": Loops}


@pytest.fixture(scope="session", params=FORMS)
def form(request):
    """Return the array code or, if numba is installed, the loops."""
    if request.param == "loops":
        pytest.importorskip("numba")
    return FORMS[request.param]


@pytest.fixture(scope="session")
def both_forms():
    """Return array code and, if numba is installed, loops."""
    pytest.importorskip("numba")
    return Definition, Loops


@pytest.fixture(scope="session")
def every_form():
    """Return the forms that the installed packages can run."""
    loops = [Loops] if find_spec("numba") else []
    return [Definition, *loops, *([Device] if find_spec("torch") else [])]


@cache
def _compiled(function, *, inside=True):
    from numba import njit
    from numba.extending import register_jitable

    from sknn_notes._compile._numba import OPTIONS

    while HELPERS:
        register_jitable(**OPTIONS)(HELPERS.pop())
    return njit(**OPTIONS, forceinline=inside)(function)


@cache
def _activate(value, slope):
    value, slope = _compiled(value), _compiled(slope)

    def activate(Z, kept, A, slopes, p):
        for i in range(len(Z)):
            A[i] = value(Z[i], p)
        for i in range(len(Z)):
            slopes[i] = slope(A[i], kept[i], p)

    return _compiled(activate, inside=False)


def _memory(state, stand_in):
    """Return the first two arrays of the state of an optimizer."""
    first, second, *_ = [*memory_of(state), stand_in]
    return first, second


def _constants(part, theta, rate, state):
    if "t" in state:
        state["t"] += 1
    numbers = np.array(part.numbers(), np.float64)
    return _compiled(part.constants)(numbers, rate, state.get("t", 1), theta[0])


@cache
def _move(move):
    def run(theta, grad, a, b, p):
        for i in range(len(theta)):
            theta[i], c, b[i] = move(theta[i], grad[i], a[i], b[i], p)
            a[i] = c

    return _compiled(run, inside=False)


@cache
def _sizes(size):
    def run(a, b, p, sizes):
        for i in range(len(sizes)):
            sizes[i] = size(a[i], b[i], p)

    return _compiled(run, inside=False)


@cache
def _settle(settle):
    def run(theta, a, b, p):
        for i in range(len(theta)):
            theta[i], c, b[i] = settle(theta[i], a[i], b[i], p)
            a[i] = c

    return _compiled(run, inside=False)
