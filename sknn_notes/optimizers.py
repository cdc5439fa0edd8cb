"""Optimizers: one class each, registered in ``OPTIMIZERS``.

An optimizer sees one flat vector of parameters and its gradient, never a layer. The
estimators take it as ``solver``, by name or as an object.
"""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from sknn_notes._arrays import copied
from sknn_notes._checks import Interval, Registry
from sknn_notes._compile import cast, helper
from sknn_notes._part import Part
from sknn_notes._typing import Array, ArrayNamespace, Numbers, Scalar

__all__ = ["LBFGS", "OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer", "RMSProp"]


class Optimizer(Part):
    """Base class of optimizers.

    A subclass defines ``start`` and ``step`` in array code, and ``proximal_step`` to
    support non-smooth penalties. For the compiled step it may add loops, the static
    methods ``constants``, ``move``, ``proximal_move``, ``size`` and ``settle``. These
    are functions of single numbers, which numba compiles: a parameter ``w``, its
    gradient ``g`` and its elements ``a`` and ``b`` of the first two arrays in the
    state.

    Attributes
    ----------
    stochastic : bool
        Whether it makes a step for each batch. It can then train with noise in the
        forward pass and in ``partial_fit``.
    proximal : bool
        Whether it has a ``proximal_step``, for non-smooth penalties.
    decoupled : bool
        Whether it shrinks the weights outside its step (weight decay), in place of the
        gradient of the penalty.
    """

    stochastic = True
    proximal = False
    decoupled = False

    # p = constants(numbers, rate, t, like): a tuple of numbers of the type of ``like``,
    # the same for all parameters in step t; the first step is 1. Steps are counted
    # across calls if ``start`` returns {"t": 0, ...}, else every call starts at 1.
    constants: Callable[..., Any] | None = None
    # w, a, b = move(w, g, a, b, p): the step.
    move: Callable[..., Any] | None = None
    # w, a, b = proximal_move(w, g, a, b, p) comes before the proximal step, which has
    # the step size size(a, b, p), and w, a, b = settle(w, a, b, p) after it.
    proximal_move: Callable[..., Any] | None = None
    size: Callable[..., Any] | None = None
    settle: Callable[..., Any] | None = None

    # For a large matrix of which each step changes only some rows. The other rows have
    # a gradient of 0. A few numbers ``s`` describe what several such steps do to the
    # weights of a row; they are ``idle_start`` before the first step.
    idle_start: tuple[float, ...] | None = None
    # idle_step(s, p, l1, pull, keep, proximal) adds a step to ``s``, in place. The
    # penalty has the gradient ``pull * w`` and the soft threshold ``l1`` times the step
    # size. Weight decay multiplies weights by ``keep``. ``proximal`` is 1 for proximal
    # steps, else 0.
    idle_step: Callable[..., Any] | None = None
    # c = idle_factors(s, p, like) are the numbers that all weights of a row share, and
    # w, a, b = idle(w, a, b, c) makes the steps, or proximal_idle(w, a, b, c) if they
    # are proximal. None of these has branches, since array code passes arrays to them.
    idle_factors: Callable[..., Any] | None = None
    idle: Callable[..., Any] | None = None
    proximal_idle: Callable[..., Any] | None = None

    def numbers(self) -> Numbers:
        """Return the numbers that ``constants`` takes."""
        return ()

    def start(self, theta: Array, xp: ArrayNamespace = np) -> dict[str, Any]:
        """Return the state before the first step, a dict of arrays and numbers.

        Parameters
        ----------
        theta : array of shape (..., n_parameters)
        xp : module
            The array namespace of ``theta``.
        """
        raise NotImplementedError

    def step(
        self,
        theta: Array,
        grad: Array,
        rate: Scalar,
        state: dict[str, Any],
        xp: ArrayNamespace = np,
    ) -> None:
        """Update ``theta`` and ``state`` in place; ``grad`` may be overwritten.

        Parameters
        ----------
        theta, grad : array of shape (..., n_parameters)
        rate : float, or array of shape (..., 1)
            Learning rate.
        state : dict
            What ``start`` returned.
        xp : module
            The array namespace of ``theta``.
        """
        raise NotImplementedError

    def proximal_step(
        self,
        theta: Array,
        grad: Array,
        rate: Scalar,
        state: dict[str, Any],
        prox: Callable[[Any], None],
        xp: ArrayNamespace = np,
    ) -> None:
        """Make a step, and the proximal step of the penalty after it.

        Parameters
        ----------
        theta : array of shape (..., n_parameters)
            As in ``step``.
        grad : array of shape (..., n_parameters)
            As in ``step``.
        rate : float, or array of shape (..., 1)
            As in ``step``.
        state : dict
            As in ``step``.
        prox : callable
            A function of the step size, a number or an array like ``theta``, that
            changes ``theta`` in place.
        xp : module
            As in ``step``.
        """
        raise NotImplementedError

    @staticmethod
    def ahead(w: Scalar, a: Scalar, p: Numbers) -> Scalar:
        """Return where the proximal steps of an optimizer with ``begin_epoch`` start.

        It is the loop of ``begin_epoch``. The last array of the state then holds the
        weights themselves.
        """
        return w

    def begin_epoch(
        self, theta: Array, state: dict[str, Any], xp: ArrayNamespace = np
    ) -> None:
        """Move ``theta`` to the point at which proximal steps take their gradients."""

    def end_epoch(self, theta: Array, state: dict[str, Any]) -> None:
        """Move ``theta`` back to the result of the last proximal step."""


@helper
def soft(w: Scalar, cut: Scalar) -> Scalar:
    """Return weights moved toward 0 by ``cut``, but not past it."""
    # w - w is exactly 0, even if a compiler rounds w twice.
    return np.sign(w) * np.maximum(np.abs(w) - cut, w - w)


@helper
def pulled(w: Scalar, pull: Scalar) -> Scalar:
    """Return weights minus a pull, but not past 0."""
    bound = np.abs(w)
    return w - np.minimum(np.maximum(pull, -bound), bound)


@helper
def length_of(square: Scalar, y: Scalar) -> Scalar:
    """Return the length of a vector with the elements ``sqrt(square)`` and ``y``."""
    return np.sqrt(square + y * y)


# Replaces sums that are 0.
_TINY = 1e-30


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    ``v = momentum * v - rate * grad``, then ``theta += v``, or with Nesterov's momentum
    ``theta += momentum * v - rate * grad``. With a non-smooth penalty the velocity
    is the difference of successive iterates, after their proximal steps, so that the
    momentum does not move the minimum.

    Parameters
    ----------
    momentum : float, default=0.9
        Decay of the velocity, in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether to use Nesterov's momentum.

    References
    ----------
    Sutskever, I., Martens, J., Dahl, G. and Hinton, G. (2013). On the importance of
    initialization and momentum in deep learning. ICML.

    Examples
    --------
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.optimizers import SGD
    >>> MLPClassifier(solver=SGD(momentum=0.5)).get_params()["solver__momentum"]
    0.5
    """

    proximal = True
    _parameter_constraints = {
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
    }

    def __init__(
        self, *, momentum: float = 0.9, nesterovs_momentum: bool = True
    ) -> None:
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum

    def numbers(self) -> Numbers:
        return self.momentum, self.nesterovs_momentum

    def start(self, theta: Array, xp: ArrayNamespace = np) -> dict[str, Any]:
        return {"velocity": xp.zeros_like(theta)}

    def step(
        self,
        theta: Array,
        grad: Array,
        rate: Scalar,
        state: dict[str, Any],
        xp: ArrayNamespace = np,
    ) -> None:
        velocity = state["velocity"]
        grad *= rate
        velocity *= self.momentum
        velocity -= grad
        if self.nesterovs_momentum:
            theta += self.momentum * velocity
            theta -= grad
        else:
            theta += velocity

    def proximal_step(
        self,
        theta: Array,
        grad: Array,
        rate: Scalar,
        state: dict[str, Any],
        prox: Callable[[Any], None],
        xp: ArrayNamespace = np,
    ) -> None:
        velocity, iterate = state["velocity"], state["iterate"]
        grad *= rate
        if self.nesterovs_momentum:
            # theta is ahead of the iterate by momentum * velocity.
            theta -= grad
        else:
            iterate[...] = theta
            theta += self.momentum * velocity - grad
        prox(rate)
        velocity[...] = theta - iterate
        if self.nesterovs_momentum:
            iterate[...] = theta
            theta += self.momentum * velocity

    def begin_epoch(
        self, theta: Array, state: dict[str, Any], xp: ArrayNamespace = np
    ) -> None:
        state["iterate"] = copied(theta, xp)
        if self.nesterovs_momentum:
            theta += self.momentum * state["velocity"]

    def end_epoch(self, theta: Array, state: dict[str, Any]) -> None:
        iterate = state.pop("iterate")
        if self.nesterovs_momentum:
            theta[...] = iterate

    @staticmethod
    def constants(numbers: Numbers, rate: Scalar, t: int, like: Scalar) -> Numbers:
        return cast(rate, like), cast(numbers[0], like), cast(numbers[1], like)

    @staticmethod
    def move(
        w: Scalar, g: Scalar, a: Scalar, b: Scalar, p: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        rate, momentum, nesterov = p
        step = rate * g
        a = momentum * a - step
        return w + (momentum * a - step if nesterov > 0 else a), a, b

    @staticmethod
    def proximal_move(
        w: Scalar, g: Scalar, a: Scalar, b: Scalar, p: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        rate, momentum, nesterov = p
        b = b if nesterov > 0 else w
        return w - rate * g + (0 * a if nesterov > 0 else momentum * a), a, b

    @staticmethod
    def size(a: Scalar, b: Scalar, p: Numbers) -> Scalar:
        return p[0]

    @staticmethod
    def settle(
        w: Scalar, a: Scalar, b: Scalar, p: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        _, momentum, nesterov = p
        a = w - b
        return w + (momentum * a if nesterov > 0 else 0 * a), a, w

    @staticmethod
    def ahead(w: Scalar, a: Scalar, p: Numbers) -> Scalar:
        return w + p[1] * p[2] * a

    # Weights and velocities after idle steps are linear in those before:
    # w = s[0] w + s[1] v and v = s[2] w + s[3] v, shrunk by s[4] and s[5].
    idle_start = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)

    @staticmethod
    def idle_step(
        s: Any, p: Numbers, l1: Scalar, pull: Scalar, keep: Scalar, proximal: Scalar
    ) -> None:
        rate, momentum, nesterov = p
        shrink, looks_ahead = rate * pull, nesterov * (1 - proximal)
        # With Nesterov's momentum a proximal step takes the gradient ahead of w.
        drag = momentum * (1 - shrink * nesterov * proximal)
        for i in range(2):
            w, v = keep * s[i], s[2 + i]
            v = drag * v - shrink * w
            s[2 + i] = v
            s[i] = w + v + looks_ahead * (momentum * v - v - shrink * w)
        w = keep * s[4]
        v = drag * s[5] - shrink * w + rate * l1
        s[5] = v
        s[4] = w + v

    @staticmethod
    def idle_factors(s: Numbers, p: Numbers, like: Scalar) -> Numbers:
        return (
            cast(s[0], like),
            cast(s[1], like),
            cast(s[2], like),
            cast(s[3], like),
            cast(s[4], like),
            cast(s[5], like),
            cast(1 - np.sign(s[4]), like),
        )

    @staticmethod
    def idle(
        w: Scalar, a: Scalar, b: Scalar, c: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        return c[0] * w + c[1] * a, c[2] * w + c[3] * a, b

    @staticmethod
    def proximal_idle(
        w: Scalar, a: Scalar, b: Scalar, c: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        z = c[0] * w + c[1] * a
        w, v = soft(z, c[4]), c[2] * w + c[3] * a
        # A weight that the soft threshold has brought to 0 stays there.
        moves = np.maximum(np.abs(np.sign(w)), c[6])
        return w, (v - c[5] * np.sign(z)) * moves, b


class Adam(Optimizer):
    """Adam: steps scaled by bias-corrected running moments of the gradient.

    The step is ``rate_t * m / (sqrt(v) + epsilon)`` as in scikit-learn, with ``rate_t =
    rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)``; PyTorch's is the same with
    ``epsilon / sqrt(1 - beta_2**t)``.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of the gradient.
    beta_2 : float, default=0.999
        Decay of the running mean of the squared gradient.
    epsilon : float, default=1e-8
        Added to the denominator.

    References
    ----------
    Kingma, D. P. and Ba, J. (2015). Adam: a method for stochastic optimization. ICLR.

    Examples
    --------
    >>> from sknn_notes.optimizers import Adam
    >>> Adam(beta_1=0.8)
    Adam(beta_1=0.8)
    """

    proximal = True
    _parameter_constraints = {
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self, *, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def numbers(self) -> Numbers:
        return self.beta_1, self.beta_2, self.epsilon

    def start(self, theta: Array, xp: ArrayNamespace = np) -> dict[str, Any]:
        return {"t": 0, "m": xp.zeros_like(theta), "v": xp.zeros_like(theta)}

    def step(
        self,
        theta: Array,
        grad: Array,
        rate: Scalar,
        state: dict[str, Any],
        xp: ArrayNamespace = np,
    ) -> None:
        # The state holds m / (1 - beta_1) and v / (1 - beta_2), which saves two passes.
        # These factors move to the rate and to epsilon.
        state["t"] += 1
        m, v = state["m"], state["v"]
        m *= self.beta_1
        m += grad
        grad *= grad
        v *= self.beta_2
        v += grad
        step = self._sizes(rate, state, xp)
        step *= (1 - self.beta_1) / (1 - self.beta_1 ** state["t"])
        step *= m
        theta -= step

    def proximal_step(
        self,
        theta: Array,
        grad: Array,
        rate: Scalar,
        state: dict[str, Any],
        prox: Callable[[Any], None],
        xp: ArrayNamespace = np,
    ) -> None:
        self.step(theta, grad, rate, state, xp)
        prox(self._sizes(rate, state, xp))

    def _sizes(self, rate: Scalar, state: dict[str, Any], xp: ArrayNamespace) -> Array:
        """Return the step size of each weight: rate / (sqrt(v_hat) + epsilon)."""
        root = (1 - self.beta_2) ** 0.5
        correction = (1 - self.beta_2 ** state["t"]) ** 0.5
        return (rate * correction / root) / (xp.sqrt(state["v"]) + self.epsilon / root)

    @staticmethod
    def constants(numbers: Numbers, rate: Scalar, t: int, like: Scalar) -> Numbers:
        beta_1, beta_2, root = numbers[0], numbers[1], (1 - numbers[1]) ** 0.5
        rate *= (1 - beta_2**t) ** 0.5 / root
        share = (1 - beta_1) / (1 - beta_1**t)
        return (
            cast(beta_1, like),
            cast(beta_2, like),
            cast(numbers[2] / root, like),
            cast(rate * share, like),
            cast(rate, like),
        )

    @staticmethod
    def move(
        w: Scalar, g: Scalar, a: Scalar, b: Scalar, p: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        beta_1, beta_2, epsilon, rate, _ = p
        a = beta_1 * a + g
        b = beta_2 * b + g * g
        return w - rate * a / (np.sqrt(b) + epsilon), a, b

    proximal_move = move

    @staticmethod
    def size(a: Scalar, b: Scalar, p: Numbers) -> Scalar:
        return p[4] / (np.sqrt(b) + p[2])

    @staticmethod
    def settle(
        w: Scalar, a: Scalar, b: Scalar, p: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        return w, a, b

    # In idle steps the moments decay, and with them the steps by the first moment.
    # Without a penalty the sum of these steps is exact, except that epsilon keeps its
    # ratio to the root of the second moment. The pull of a penalty is computed from the
    # weight before the idle steps, and does not move it past 0. These steps are divided
    # by sqrt(x + y), where x is the rest of the second moment and y what the pull has
    # added to it, as if x and y were proportional. That is accurate if one is small.
    # s: the factors of a weight and of its two moments; the sums of the pull in the
    # first moment and of its square in the second; the sum of the steps by the first
    # moment; the sums of the steps by the pull over sqrt(x) and over sqrt(y); the same
    # two sums for the soft threshold.
    idle_start = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    @staticmethod
    def idle_step(
        s: Any, p: Numbers, l1: Scalar, pull: Scalar, keep: Scalar, proximal: Scalar
    ) -> None:
        beta_1, beta_2, _, rate, size = p
        s[0] *= keep
        s[1] *= beta_1
        s[2] *= beta_2
        s[3] = beta_1 * s[3] + pull
        s[4] = beta_2 * s[4] + pull * pull
        by_old = 1 / np.sqrt(np.maximum(s[2], _TINY))
        by_pull = 1 / np.sqrt(np.maximum(s[4], _TINY))
        s[5] = keep * s[5] + rate * s[1] * by_old
        s[6] = keep * s[6] + rate * s[3] * by_old
        s[7] = keep * s[7] + rate * s[3] * by_pull
        s[8] = keep * s[8] + size * l1 * by_old
        s[9] = keep * s[9] + size * l1 * by_pull

    @staticmethod
    def idle_factors(s: Numbers, p: Numbers, like: Scalar) -> Numbers:
        return (
            cast(s[0], like),
            cast(s[1], like),
            cast(s[2], like),
            cast(s[3], like),
            cast(s[4], like),
            cast(s[5], like),
            cast(s[6], like),
            cast(s[6] / np.maximum(s[7], _TINY), like),
            cast(s[8], like),
            cast(s[8] / np.maximum(s[9], _TINY), like),
            cast(p[2], like),
        )

    @staticmethod
    def idle(
        w: Scalar, a: Scalar, b: Scalar, c: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        factor = 1 / (length_of(b, w * c[7]) + c[10])
        v = pulled(c[0] * w - c[5] * a * factor, c[6] * w * factor)
        return v, c[1] * a + c[3] * v, c[2] * b + c[4] * (w * w)

    @staticmethod
    def proximal_idle(
        w: Scalar, a: Scalar, b: Scalar, c: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        factor = 1 / (length_of(b, w * c[7]) + c[10])
        v = pulled(c[0] * w - c[5] * a * factor, c[6] * w * factor)
        v = soft(v, c[8] / (length_of(b, w * c[9]) + c[10]))
        return v, c[1] * a + c[3] * v, c[2] * b + c[4] * (w * w)


class AdamW(Adam):
    """Adam with decoupled weight decay: ``W -= rate * alpha * W`` outside the step.

    The L2 part of the penalty is not part of the gradient. It shrinks all weights at
    the same rate; within the gradient it would shrink weights with small gradients
    most.

    Parameters
    ----------
    beta_1 : float, default=0.9
        Decay of the running mean of the gradient.
    beta_2 : float, default=0.999
        Decay of the running mean of the squared gradient.
    epsilon : float, default=1e-8
        Added to the denominator.

    References
    ----------
    Loshchilov, I. and Hutter, F. (2019). Decoupled weight decay regularization. ICLR.

    Examples
    --------
    >>> from sknn_notes.optimizers import AdamW
    >>> AdamW(beta_2=0.99)
    AdamW(beta_2=0.99)
    """

    decoupled = True


class RMSProp(Optimizer):
    """RMSProp: steps scaled by a running mean of the squared gradient.

    ``v = rho * v + (1 - rho) * grad**2``, then
    ``theta -= rate * grad / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    rho : float, default=0.9
        Decay of the running mean of the squared gradient.
    epsilon : float, default=1e-8
        Added to the denominator.

    References
    ----------
    Tieleman, T. and Hinton, G. (2012). Lecture 6.5, RMSProp: divide the gradient by a
    running average of its recent magnitude.

    Examples
    --------
    >>> from sknn_notes.optimizers import RMSProp
    >>> RMSProp(rho=0.99)
    RMSProp(rho=0.99)
    """

    proximal = True
    _parameter_constraints = {
        "rho": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, rho: float = 0.9, epsilon: float = 1e-8) -> None:
        self.rho = rho
        self.epsilon = epsilon

    def numbers(self) -> Numbers:
        return self.rho, self.epsilon

    def start(self, theta: Array, xp: ArrayNamespace = np) -> dict[str, Any]:
        return {"v": xp.zeros_like(theta)}

    def step(
        self,
        theta: Array,
        grad: Array,
        rate: Scalar,
        state: dict[str, Any],
        xp: ArrayNamespace = np,
    ) -> None:
        # The state holds v / (1 - rho), as in Adam.
        v = state["v"]
        v *= self.rho
        v += grad * grad
        grad *= self._sizes(rate, state, xp)
        theta -= grad

    def proximal_step(
        self,
        theta: Array,
        grad: Array,
        rate: Scalar,
        state: dict[str, Any],
        prox: Callable[[Any], None],
        xp: ArrayNamespace = np,
    ) -> None:
        self.step(theta, grad, rate, state, xp)
        prox(self._sizes(rate, state, xp))

    def _sizes(self, rate: Scalar, state: dict[str, Any], xp: ArrayNamespace) -> Array:
        root = (1 - self.rho) ** 0.5
        return (rate / root) / (xp.sqrt(state["v"]) + self.epsilon / root)

    @staticmethod
    def constants(numbers: Numbers, rate: Scalar, t: int, like: Scalar) -> Numbers:
        root = (1 - numbers[0]) ** 0.5
        return (
            cast(numbers[0], like),
            cast(numbers[1] / root, like),
            cast(rate / root, like),
        )

    @staticmethod
    def move(
        w: Scalar, g: Scalar, a: Scalar, b: Scalar, p: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        rho, epsilon, rate = p
        a = rho * a + g * g
        return w - rate * g / (np.sqrt(a) + epsilon), a, b

    proximal_move = move

    @staticmethod
    def size(a: Scalar, b: Scalar, p: Numbers) -> Scalar:
        return p[2] / (np.sqrt(a) + p[1])

    @staticmethod
    def settle(
        w: Scalar, a: Scalar, b: Scalar, p: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        return w, a, b

    # As for Adam, without a first moment. s: the factors of a weight and of the mean of
    # the squared gradient; the sum of the squared pull in this mean; the sums of steps.
    idle_start = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    @staticmethod
    def idle_step(
        s: Any, p: Numbers, l1: Scalar, pull: Scalar, keep: Scalar, proximal: Scalar
    ) -> None:
        rho, _, rate = p
        s[0] *= keep
        s[1] *= rho
        s[2] = rho * s[2] + pull * pull
        by_old = 1 / np.sqrt(np.maximum(s[1], _TINY))
        by_pull = 1 / np.sqrt(np.maximum(s[2], _TINY))
        s[3] = keep * s[3] + rate * pull * by_old
        s[4] = keep * s[4] + rate * pull * by_pull
        s[5] = keep * s[5] + rate * l1 * by_old
        s[6] = keep * s[6] + rate * l1 * by_pull

    @staticmethod
    def idle_factors(s: Numbers, p: Numbers, like: Scalar) -> Numbers:
        return (
            cast(s[0], like),
            cast(s[1], like),
            cast(s[2], like),
            cast(s[3], like),
            cast(s[3] / np.maximum(s[4], _TINY), like),
            cast(s[5], like),
            cast(s[5] / np.maximum(s[6], _TINY), like),
            cast(p[1], like),
        )

    @staticmethod
    def idle(
        w: Scalar, a: Scalar, b: Scalar, c: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        v = pulled(c[0] * w, c[3] * w / (length_of(a, w * c[4]) + c[7]))
        return v, c[1] * a + c[2] * (w * w), b

    @staticmethod
    def proximal_idle(
        w: Scalar, a: Scalar, b: Scalar, c: Numbers
    ) -> tuple[Scalar, Scalar, Scalar]:
        v = pulled(c[0] * w, c[3] * w / (length_of(a, w * c[4]) + c[7]))
        v = soft(v, c[5] / (length_of(a, w * c[6]) + c[7]))
        return v, c[1] * a + c[2] * (w * w), b


class LBFGS(Optimizer):
    """Limited-memory BFGS on all the data at once.

    It runs :func:`scipy.optimize.minimize` in float64, and needs a smooth objective
    without noise. It stops after ``max_iter`` iterations, or once the gradient is below
    ``tol``; both are parameters of the estimator.

    Parameters
    ----------
    max_fun : int, default=15000
        Maximum number of evaluations of the objective.

    References
    ----------
    Liu, D. C. and Nocedal, J. (1989). On the limited memory BFGS method for large scale
    optimization. Mathematical Programming 45.

    Examples
    --------
    >>> from sknn_notes.optimizers import LBFGS
    >>> LBFGS(max_fun=500)
    LBFGS(max_fun=500)
    """

    stochastic = False
    _parameter_constraints = {"max_fun": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, *, max_fun: int = 15000) -> None:
        self.max_fun = max_fun


OPTIMIZERS: Registry[type[Optimizer]] = Registry(
    {
        "adam": Adam,
        "adamw": AdamW,
        "lbfgs": LBFGS,
        "rmsprop": RMSProp,
        "sgd": SGD,
    },
    aliases={
        "gd": "sgd",
        "gradientdescent": "sgd",
        "stochasticgradientdescent": "sgd",
        "momentum": "sgd",
        "nesterov": "sgd",
        "bfgs": "lbfgs",
        "lbfgsb": "lbfgs",
        "newtoncg": "lbfgs",
        "adagrad": "'adagrad' is not provided; 'rmsprop' and 'adam' build on it.",
        "adadelta": "'adadelta' is not provided; 'rmsprop' and 'adam' are the closest.",
        "adamax": "'adamax' is not provided; 'adam' is the closest.",
        "nadam": "'nadam' is not provided; 'adam' is the closest.",
        "lion": "'lion' is not provided; 'adamw' is the closest.",
    },
    number="Pass learning_rate_init={} for the size of a step.",
    base=Optimizer,
)
