"""Activations of the hidden layers: one class each, registered in ``ACTIVATIONS``."""

from math import pi, sqrt
from numbers import Real

import numpy as np
from scipy.special import expit, ndtr

from sknn_notes._checks import Interval, Registry
from sknn_notes._part import Part

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "Activation",
    "Identity",
    "LeakyReLU",
    "Logistic",
    "ReLU",
    "SiLU",
    "Tanh",
]


class Activation(Part):
    """Base class of activations.

    Attributes
    ----------
    keeps_input : bool
        True where the derivative is written in the pre-activation ``Z``, which the
        network then keeps; False where the output ``A`` alone gives it, so that the
        forward pass may work in place.
    fused_as : str or None
        Name under which compiled kernels fuse the activation with what surrounds it.
    rectifies : bool
        True for the ReLU family, whose outputs keep half of the signal's power:
        ``init="auto"`` takes He's variance for it.
    """

    keeps_input = False
    rectifies = False
    fused_as: str | None = None

    def forward(self, Z, out):
        """Write the activation of ``Z`` to ``out``, which may be ``Z`` itself.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, n_units)
            Pre-activations.
        out : ndarray of shape (n_samples, n_units)
        """
        raise NotImplementedError

    def backward(self, delta, A, Z):
        """Multiply ``delta`` in place by the derivative. ``A`` and ``Z`` may be lost.

        Parameters
        ----------
        delta : ndarray of shape (n_samples, n_units)
            Gradient of the loss with respect to the activation's output.
        A : ndarray of shape (n_samples, n_units)
            What ``forward`` wrote.
        Z : ndarray of shape (n_samples, n_units)
            The pre-activations where ``keeps_input``, else the same array as ``A``.
        """
        raise NotImplementedError


class Identity(Activation):
    """No activation, ``f(z) = z``: a linear layer.

    Examples
    --------
    >>> from sknn_notes import MLPRegressor
    >>> MLPRegressor(activation="identity").activation
    'identity'
    """

    def forward(self, Z, out):
        if out is not Z:
            np.copyto(out, Z)

    def backward(self, delta, A, Z):
        pass


class ReLU(Activation):
    """Rectified linear unit, ``f(z) = max(0, z)``; its derivative at 0 is 0.

    References
    ----------
    Nair, V. and Hinton, G. E. (2010). Rectified linear units improve restricted
    Boltzmann machines. ICML.

    Examples
    --------
    >>> from sknn_notes.activations import ReLU
    >>> ReLU()
    ReLU()
    """

    rectifies = True
    fused_as = "relu"

    def forward(self, Z, out):
        np.maximum(Z, 0, out=out)

    def backward(self, delta, A, Z):
        np.greater(A, 0, out=A)
        delta *= A


class LeakyReLU(Activation):
    """ReLU that leaks: ``f(z) = z`` if ``z > 0``, else ``negative_slope * z``.

    Parameters
    ----------
    negative_slope : float, default=0.01
        Slope where ``z <= 0``, in [0, 1); 0 is the ReLU.

    References
    ----------
    Maas, A. L., Hannun, A. Y. and Ng, A. Y. (2013). Rectifier nonlinearities improve
    neural network acoustic models. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import LeakyReLU
    >>> Z = np.array([[-2.0, 3.0]])
    >>> LeakyReLU(negative_slope=0.1).forward(Z, Z)
    >>> Z
    array([[-0.2,  3. ]])
    """

    rectifies = True
    _parameter_constraints = {"negative_slope": [Interval(Real, 0, 1, closed="left")]}

    def __init__(self, *, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, Z, out):
        np.maximum(Z, Z * float(self.negative_slope), out=out)

    def backward(self, delta, A, Z):
        np.greater(A, 0, out=A)
        np.maximum(A, float(self.negative_slope), out=A)
        delta *= A


class ELU(Activation):
    """Exponential linear unit, ``z`` if ``z > 0``, else ``alpha * (exp(z) - 1)``.

    Parameters
    ----------
    alpha : float, default=1.0
        Minus the value that the unit saturates at for very negative ``z``.

    References
    ----------
    Clevert, D.-A., Unterthiner, T. and Hochreiter, S. (2016). Fast and accurate deep
    network learning by exponential linear units (ELUs). ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import ELU
    >>> Z = np.array([[-100.0, 3.0]])
    >>> ELU(alpha=2.0).forward(Z, Z)
    >>> Z
    array([[-2.,  3.]])
    """

    rectifies = True
    _parameter_constraints = {"alpha": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, alpha=1.0):
        self.alpha = alpha

    def forward(self, Z, out):
        below = np.minimum(Z, 0)
        np.expm1(below, out=below)
        below *= float(self.alpha)
        np.maximum(Z, 0, out=out)
        out += below

    def backward(self, delta, A, Z):
        # f' = f + alpha below 0, which is alpha where f is cut off at 0, and 1 above.
        alpha = float(self.alpha)
        slope = np.minimum(A, 0)
        slope += alpha
        np.greater(A, 0, out=A)
        A *= 1 - alpha
        slope += A
        delta *= slope


class GELU(Activation):
    """Gaussian error linear unit, ``f(z) = z * P(N(0, 1) <= z)``, in its exact form.

    References
    ----------
    Hendrycks, D. and Gimpel, K. (2016). Gaussian error linear units (GELUs).
    arXiv:1606.08415.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import GELU
    >>> Z = np.array([[-1.0, 0.0, 1.0]])
    >>> GELU().forward(Z, Z)
    >>> Z.round(4)
    array([[-0.1587,  0.    ,  0.8413]])
    """

    keeps_input = True
    rectifies = True

    def forward(self, Z, out):
        np.multiply(Z, ndtr(Z, out=None if out is Z else out), out=out)

    def backward(self, delta, A, Z):
        # f' = P(z) + z p(z), with p the density of N(0, 1).
        np.multiply(Z, Z, out=A)
        A *= -0.5
        np.exp(A, out=A)
        A *= 1 / sqrt(2 * pi)
        A *= Z
        A += ndtr(Z, out=Z)
        delta *= A


class SiLU(Activation):
    """Sigmoid linear unit or swish, ``f(z) = z / (1 + exp(-z))``.

    References
    ----------
    Elfwing, S., Uchibe, E. and Doya, K. (2018). Sigmoid-weighted linear units for
    neural network function approximation in reinforcement learning. Neural Networks
    107.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import SiLU
    >>> Z = np.array([[-1.0, 0.0, 1.0]])
    >>> SiLU().forward(Z, Z)
    >>> Z.round(4)
    array([[-0.2689,  0.    ,  0.7311]])
    """

    keeps_input = True
    rectifies = True

    def forward(self, Z, out):
        np.multiply(Z, expit(Z, out=None if out is Z else out), out=out)

    def backward(self, delta, A, Z):
        # f' = s (1 + z (1 - s)) = s (1 + z - f), with s the logistic function.
        np.subtract(Z, A, out=A)
        A += 1
        A *= expit(Z, out=Z)
        delta *= A


class Tanh(Activation):
    """Hyperbolic tangent, ``f(z) = tanh(z)``.

    Examples
    --------
    >>> from sknn_notes.activations import Tanh
    >>> Tanh()
    Tanh()
    """

    def forward(self, Z, out):
        np.tanh(Z, out=out)

    def backward(self, delta, A, Z):
        # f' = 1 - f**2
        A *= A
        np.subtract(1, A, out=A)
        delta *= A


class Logistic(Activation):
    """Logistic sigmoid, ``f(z) = 1 / (1 + exp(-z))``.

    Examples
    --------
    >>> from sknn_notes.activations import Logistic
    >>> Logistic()
    Logistic()
    """

    def forward(self, Z, out):
        expit(Z, out=out)

    def backward(self, delta, A, Z):
        # f' = f (1 - f)
        delta *= A
        np.subtract(1, A, out=A)
        delta *= A


ACTIVATIONS: Registry[type[Activation]] = Registry(
    {
        "elu": ELU,
        "gelu": GELU,
        "identity": Identity,
        "leaky_relu": LeakyReLU,
        "logistic": Logistic,
        "relu": ReLU,
        "silu": SiLU,
        "tanh": Tanh,
    },
    aliases={
        "sigmoid": "logistic",
        "linear": "identity",
        "none": "identity",
        "swish": "silu",
        "hardswish": "silu",
        "mish": "silu",
        "lrelu": "leaky_relu",
        "prelu": "leaky_relu",
        "rectifier": "relu",
        "relu6": "relu",
        "softsign": "tanh",
        "hardtanh": "tanh",
        "selu": "'selu' is not provided; 'elu' comes nearest.",
        "celu": "'celu' is not provided; ELU(alpha=...) comes nearest.",
        "softplus": "'softplus' is not provided; 'elu' and 'silu' are smooth as well.",
        "softmax": (
            "It belongs to the outputs, where loss='log_loss' applies it; choose "
            "'relu' or another one for the hidden layers."
        ),
    },
)
