"""Errors for wrong parts that users define; no loop writes outside its arrays."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from sknn_notes import MLPRegressor, _kernels
from sknn_notes.activations import ACTIVATIONS, ReLU, Tanh
from sknn_notes.losses import SquaredError
from sknn_notes.optimizers import SGD, Optimizer
from sknn_notes.penalties import L1

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5))
y = X @ RNG.normal(size=5)

needs_numba = pytest.mark.skipif(
    "numba" not in _kernels.available(), reason="loops need numba"
)


def network(**parameters):
    defaults = {"hidden_layer_sizes": (6, 4), "max_iter": 3, "random_state": 0}
    return MLPRegressor(**(defaults | parameters))


@pytest.fixture
def numba(monkeypatch):
    monkeypatch.setenv("SKNN_NOTES_KERNELS", "numba")
    _kernels.active.cache_clear()
    yield
    _kernels.active.cache_clear()


class OneNumber(Optimizer):
    """A solver whose memory is not like theta."""

    memory = staticmethod(lambda theta: np.zeros(1))

    def start(self, theta, xp=np):
        return {"a": type(self).memory(theta)}

    def step(self, theta, grad, rate, state, xp=np):
        theta -= rate * grad

    @staticmethod
    def constants(numbers, rate, t, like):
        return (rate,)

    @staticmethod
    def move(w, g, a, b, p):
        return w - p[0] * g, a, b


class Matrix(OneNumber):
    memory = staticmethod(lambda theta: np.zeros((2, len(theta))))


class Number(OneNumber):
    memory = staticmethod(lambda theta: 0.0)


@needs_numba
@pytest.mark.parametrize("solver", [OneNumber(), Matrix()])
def test_memory_that_is_not_like_theta_is_an_error(numba, solver):
    with pytest.raises(TypeError, match=r"start returned 'a' of shape .* like theta"):
        network(solver=solver).fit(X, y)


@needs_numba
def test_a_solver_without_arrays_has_no_loops(numba):
    assert "has no loops" in network(solver=Number()).fit(X, y).executor_


class Raises(Tanh):
    @staticmethod
    def value(z, p):
        if z > 1:
            raise AssertionError("too large")
        return z

    @staticmethod
    def slope(a, z, p):
        return 1.0


class RaisesLoss(SquaredError):
    @staticmethod
    def loops(raw, y, out, losses, spare, numbers, table):
        raise ValueError("no such target")


@needs_numba
@pytest.mark.parametrize(
    ("part", "error"),
    [
        ({"activation": Raises()}, AssertionError),
        ({"loss": RaisesLoss()}, ValueError),
    ],
)
def test_what_loops_raise_reaches_the_user(numba, part, error):
    model = network(**part)
    with pytest.raises(error):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


class NotStatic(Tanh):
    def value(self, z, p):
        return z

    @staticmethod
    def slope(a, z, p):
        return 1.0


class NotCompiled(NotStatic):
    @staticmethod
    def value(z, p):
        return z.nothing


@needs_numba
@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (NotStatic(), "Define the loops of a part as static methods"),
        (NotCompiled(), r"can't compile NotCompiled.value.*remove them"),
    ],
)
def test_loops_that_numba_can_not_compile(numba, activation, message):
    with pytest.raises(TypeError, match=message):
        network(activation=activation).fit(X, y)


class ThreeNumbers(Tanh):
    def numbers(self):
        return 1.0, 2.0, 3.0


@needs_numba
def test_more_numbers_than_loops_take_are_an_error(numba):
    with pytest.raises(
        TypeError, match=r"ThreeNumbers\.numbers .* at most two numbers"
    ):
        network(activation=ThreeNumbers()).fit(X, y)


class Leaky(ReLU):
    """A subclass whose slope is not 0 where its output is."""

    def forward(self, Z, xp):
        return xp.maximum(Z, 0.1 * Z)

    def backward(self, delta, A, Z, xp):
        return delta * xp.where(A > 0, 1.0, 0.1)

    @staticmethod
    def value(z, p):
        return 0.1 * z if z < 0 else z

    @staticmethod
    def slope(a, z, p):
        return 1.0 if a > 0 else 0.1


@needs_numba
def test_a_flat_slope_is_not_inherited_by_another_slope(monkeypatch):
    curves = []
    for name in ("numba", "numpy"):
        monkeypatch.setenv("SKNN_NOTES_KERNELS", name)
        _kernels.active.cache_clear()
        curves.append(network(activation=Leaky(), dropout=0.5).fit(X, y).loss_curve_)
    _kernels.active.cache_clear()
    np.testing.assert_allclose(*curves, rtol=1e-10)


class First(L1):
    def covers(self, layer):
        return layer == 0


class Last(L1):
    def covers(self, layer):
        return layer == 2


@pytest.mark.parametrize("alpha", [1.0, [1.0, 1.0, 1.0], [1.0, 2.0, 1.0]])
@pytest.mark.parametrize(("penalty", "depth"), [(First(), 0), (Last(), 2)])
def test_a_penalty_is_on_the_layers_that_it_covers_alone(penalty, depth, alpha):
    model = network(
        penalty=penalty, alpha=alpha, solver="sgd", learning_rate_init=0.05
    ).fit(X, y)
    zeros = [np.mean(W == 0) > 0 for W in model.coefs_]
    assert zeros == [i == depth for i in range(3)]


@pytest.mark.parametrize("layers", [{}, {"layer_norm": True}, {"dropout": 0.2}])
def test_residual_connections_of_sparse_matrices(layers):
    parameters = {"hidden_layer_sizes": (5, 3), "residual": True} | layers
    dense = network(**parameters).fit(X, y)
    sparse = network(**parameters).fit(csr_matrix(X), y)
    np.testing.assert_allclose(dense.loss_curve_, sparse.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(dense.predict(X), sparse.predict(csr_matrix(X)))


@pytest.mark.parametrize("name", _kernels.available())
def test_a_gradient_whose_squares_overflow_is_clipped(monkeypatch, name):
    monkeypatch.setenv("SKNN_NOTES_KERNELS", name)
    _kernels.active.cache_clear()
    model = network(
        solver=SGD(momentum=0.0), clip_norm=1.0, standardize_target=False, penalty=None
    ).fit((1e10 * X).astype(np.float32), (1e12 * y).astype(np.float32))
    _kernels.active.cache_clear()
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.parametrize("part", [int, ReLU(), SGD, "relu"])
def test_what_is_no_part_of_the_family_can_not_be_registered(part):
    with pytest.raises(TypeError, match=r"subclass of sknn_notes\.activations\.Activa"):
        ACTIVATIONS.register("new", part)


def test_a_part_that_needs_arguments_can_not_be_registered():
    class Needs(ReLU):
        def __init__(self, *, slope):
            self.slope = slope

    with pytest.raises(TypeError, match=r"All parameters of .*Needs need defaults"):
        ACTIVATIONS.register("needs", Needs)
