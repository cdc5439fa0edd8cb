"""Solvers: one class each, registered in ``OPTIMIZERS``.

A solver sees one flat vector of parameters and its gradient, never a layer.
"""

from numbers import Integral, Real
from typing import Any

import numpy as np

from sknn_notes import _kernels
from sknn_notes._checks import Interval, Registry
from sknn_notes._part import Part

__all__ = ["LBFGS", "OPTIMIZERS", "SGD", "Adam", "AdamW", "Optimizer", "RMSProp"]


class Optimizer(Part):
    """Base class of solvers.

    Attributes
    ----------
    stochastic : bool
        True for solvers that step batch by batch, and so can train with noise in the
        forward pass and through ``partial_fit``.
    proximal : bool
        True for solvers that have a ``proximal_step``, for penalties with kinks.
    decoupled : bool
        True for solvers that shrink the weights outside their step (weight decay) in
        place of the penalty's gradient.
    """

    stochastic = True
    proximal = False
    decoupled = False

    def start(self, theta) -> dict[str, Any]:
        """Return the state before the first step, a dict of arrays and numbers.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)
        """
        raise NotImplementedError

    def step(self, theta, grad, rate, state):
        """Update ``theta`` and ``state`` in place; ``grad`` may be lost.

        Parameters
        ----------
        theta, grad : ndarray of shape (n_parameters,)
        rate : float
            Learning rate.
        state : dict
            What ``start`` returned.
        """
        raise NotImplementedError

    def proximal_step(self, theta, grad, rate, state, prox):
        """Make a step and the proximal step of the penalty that belongs to it.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,)
            As in ``step``.
        grad : ndarray of shape (n_parameters,)
            As in ``step``.
        rate : float
            As in ``step``.
        state : dict
            As in ``step``.
        prox : callable
            Takes the step size, a float or an array like ``theta``, and changes
            ``theta`` in place.
        """
        raise NotImplementedError

    def begin_epoch(self, theta, state):
        """Move ``theta`` to where proximal steps take their gradients."""

    def end_epoch(self, theta, state):
        """Move ``theta`` back to the last result of a proximal step."""


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    ``v = momentum * v - rate * grad``, then ``theta += v``, or with Nesterov's momentum
    ``theta += momentum * v - rate * grad``. With a penalty that has kinks the velocity
    is the difference of iterates after their proximal step, which keeps the minimum
    where it is whatever the momentum.

    Parameters
    ----------
    momentum : float, default=0.9
        Between 0 and 1.
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

    def __init__(self, *, momentum=0.9, nesterovs_momentum=True):
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum

    def start(self, theta):
        return {"velocity": np.zeros_like(theta)}

    def step(self, theta, grad, rate, state):
        _kernels.active().sgd_step(
            theta,
            grad,
            state["velocity"],
            rate,
            float(self.momentum),
            self.nesterovs_momentum,
        )

    def proximal_step(self, theta, grad, rate, state, prox):
        velocity, momentum = state["velocity"], float(self.momentum)
        grad *= rate
        if self.nesterovs_momentum:
            # theta is ahead of the iterate by momentum * velocity.
            theta -= grad
            prox(rate)
            np.subtract(theta, state["iterate"], out=velocity)
            np.copyto(state["iterate"], theta)
            np.multiply(velocity, momentum, out=grad)
            theta += grad
        else:
            velocity *= momentum
            velocity -= grad
            np.copyto(grad, theta)
            theta += velocity
            prox(rate)
            np.subtract(theta, grad, out=velocity)

    def begin_epoch(self, theta, state):
        if self.nesterovs_momentum:
            state["iterate"] = theta.copy()
            theta += float(self.momentum) * state["velocity"]

    def end_epoch(self, theta, state):
        if self.nesterovs_momentum:
            np.copyto(theta, state.pop("iterate"))


class Adam(Optimizer):
    """Adam: steps scaled by running moments of the gradient, corrected for their start.

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

    def __init__(self, *, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def start(self, theta):
        return {"t": 0, "m": np.zeros_like(theta), "v": np.zeros_like(theta)}

    def step(self, theta, grad, rate, state):
        # The state holds m / (1 - beta_1) and v / (1 - beta_2): two passes fewer. Their
        # factors move to the rate and to epsilon.
        state["t"] += 1
        t = state["t"]
        beta_1, beta_2 = float(self.beta_1), float(self.beta_2)
        root = (1 - beta_2) ** 0.5
        rate *= (1 - beta_2**t) ** 0.5 / (1 - beta_1**t) * (1 - beta_1) / root
        _kernels.active().adam_step(
            theta,
            grad,
            state["m"],
            state["v"],
            rate,
            beta_1,
            beta_2,
            float(self.epsilon) / root,
        )

    def proximal_step(self, theta, grad, rate, state, prox):
        self.step(theta, grad, rate, state)
        # The step size of each weight: rate / (sqrt(v_hat) + epsilon).
        root = (1 - float(self.beta_2)) ** 0.5
        correction = (1 - float(self.beta_2) ** state["t"]) ** 0.5
        _step_sizes(
            state["v"], rate * correction / root, float(self.epsilon) / root, grad
        )
        prox(grad)


def _step_sizes(v, rate, epsilon, out):
    np.sqrt(v, out=out)
    out += epsilon
    np.divide(rate, out, out=out)


class AdamW(Adam):
    """Adam with decoupled weight decay: ``W -= rate * alpha * W`` outside the step.

    The L2 part of the penalty is taken out of the gradient, so that it shrinks all
    weights alike instead of those with small gradients most.

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
    >>> AdamW().decoupled
    True
    """

    decoupled = True


class RMSProp(Optimizer):
    """Steps scaled by a running mean of the squared gradient.

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

    def __init__(self, *, rho=0.9, epsilon=1e-8):
        self.rho = rho
        self.epsilon = epsilon

    def start(self, theta):
        return {"v": np.zeros_like(theta)}

    def step(self, theta, grad, rate, state):
        rho = float(self.rho)
        # The state holds v / (1 - rho), as Adam's.
        root = (1 - rho) ** 0.5
        _kernels.active().rmsprop_step(
            theta, grad, state["v"], rate / root, rho, float(self.epsilon) / root
        )

    def proximal_step(self, theta, grad, rate, state, prox):
        self.step(theta, grad, rate, state)
        root = (1 - float(self.rho)) ** 0.5
        _step_sizes(state["v"], rate / root, float(self.epsilon) / root, grad)
        prox(grad)


class LBFGS(Optimizer):
    """Limited-memory BFGS on all the data at once.

    It runs :func:`scipy.optimize.minimize`, needs a smooth objective without noise, and
    computes in float64. ``max_iter`` and ``tol`` (on the gradient) of the estimator
    bound it.

    Parameters
    ----------
    max_fun : int, default=15000
        The number of objective evaluations that it may take.

    References
    ----------
    Liu, D. C. and Nocedal, J. (1989). On the limited memory BFGS method for large scale
    optimization. Mathematical Programming 45.

    Examples
    --------
    >>> from sknn_notes.optimizers import LBFGS
    >>> LBFGS().stochastic
    False
    """

    stochastic = False
    _parameter_constraints = {"max_fun": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, *, max_fun=15000):
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
        "adadelta": "'adadelta' is not provided; 'rmsprop' and 'adam' come nearest.",
        "adamax": "'adamax' is not provided; 'adam' comes nearest.",
        "nadam": "'nadam' is not provided; 'adam' comes nearest.",
        "lion": "'lion' is not provided; 'adamw' comes nearest.",
    },
    number="Pass learning_rate_init={} for the size of a step.",
)
