"""Activations of the hidden layers: one class each, registered in ``ACTIVATIONS``."""

from collections.abc import Callable
from math import pi, sqrt
from numbers import Real
from typing import Any

from sknn_notes._arrays import astype, expit, maximum, minimum, ndtr
from sknn_notes._checks import Interval, Registry
from sknn_notes._compile import cast, math
from sknn_notes._part import Part
from sknn_notes._typing import Array, ArrayNamespace, Graph, Numbers, Scalar

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

    A subclass defines ``forward`` and ``backward`` in array code. For the compiled step
    it may add loops, the static methods ``value`` and ``slope``: functions of single
    numbers, which numba compiles. An activation without loops is trained in array code.

    Attributes
    ----------
    keeps_input : bool
        Whether ``backward`` needs the pre-activations ``Z``, which the network then
        keeps. If False, the derivative follows from the output ``A``.
    rectifies : bool
        Whether it belongs to the ReLU family, which halves the power of the signal.
        ``init="auto"`` then uses He's variance in very deep networks.
    flat_at_zero : bool
        Whether the derivative is 0 wherever the output is 0. Dropped units then need no
        mask in the backward pass.
    """

    keeps_input = False
    rectifies = False
    flat_at_zero = False
    # The loops: a = value(z, p) and the derivative slope(a, z, p), where p holds the
    # numbers that ``numbers`` returns.
    value: Callable[..., Any] | None = None
    slope: Callable[..., Any] | None = None

    def forward(self, Z: Array, xp: ArrayNamespace) -> Array:
        """Return the activation of ``Z``.

        Parameters
        ----------
        Z : array of shape (..., n_samples, n_units)
            Pre-activations, left unchanged.
        xp : module
            The array namespace of ``Z``.

        Returns
        -------
        A : array of shape (..., n_samples, n_units)
        """
        raise NotImplementedError

    def backward(self, delta: Array, A: Array, Z: Array, xp: ArrayNamespace) -> Array:
        """Return the gradient with respect to the pre-activations.

        Parameters
        ----------
        delta : array of shape (..., n_samples, n_units)
            Gradient of the loss with respect to the activation's output.
        A : array of shape (..., n_samples, n_units)
            What ``forward`` returned.
        Z : array of shape (..., n_samples, n_units) or None
            Pre-activations, if ``keeps_input``.
        xp : module

        Returns
        -------
        delta : array of shape (..., n_samples, n_units)
            It may be the array that was passed, changed in place.
        """
        raise NotImplementedError

    def numbers(self) -> Numbers:
        """Return at most two numbers, which ``value`` and ``slope`` take as ``p``."""
        return ()

    def onnx(self, graph: Graph, Z: str) -> str:
        """Add the nodes of ``forward`` to an ONNX graph; return the name of the output.

        Parameters
        ----------
        graph : Graph
            ``graph.add(op_type, *inputs)`` adds a node and returns the name of its
            output; numbers and arrays among its inputs become constants.
        Z : str
            Name of the pre-activations.
        """
        raise NotImplementedError


class Identity(Activation):
    """No activation, ``f(z) = z``: a linear layer.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import Identity
    >>> Identity().forward(np.array([[-1.0, 2.0]]), np)
    array([[-1.,  2.]])
    """

    def forward(self, Z: Array, xp: ArrayNamespace) -> Array:
        return Z

    def backward(self, delta: Array, A: Array, Z: Array, xp: ArrayNamespace) -> Array:
        return delta

    @staticmethod
    def value(z: Scalar, p: Numbers) -> Scalar:
        return z

    @staticmethod
    def slope(a: Scalar, z: Scalar, p: Numbers) -> Scalar:
        return cast(1, a)

    def onnx(self, graph: Graph, Z: str) -> str:
        return Z


class ReLU(Activation):
    """Rectified linear unit, ``f(z) = max(0, z)``; its derivative at 0 is 0.

    References
    ----------
    Nair, V. and Hinton, G. E. (2010). Rectified linear units improve restricted
    Boltzmann machines. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import ReLU
    >>> ReLU().forward(np.array([[-1.0, 2.0]]), np)
    array([[0., 2.]])
    """

    rectifies = True
    flat_at_zero = True

    def forward(self, Z: Array, xp: ArrayNamespace) -> Array:
        return maximum(Z, 0, xp)

    def backward(self, delta: Array, A: Array, Z: Array, xp: ArrayNamespace) -> Array:
        delta *= astype(A > 0, A.dtype, xp)
        return delta

    # Comparisons with NaN are False: NaN has to take the branch that returns z.
    @staticmethod
    def value(z: Scalar, p: Numbers) -> Scalar:
        return cast(0, z) if z < 0 else z

    @staticmethod
    def slope(a: Scalar, z: Scalar, p: Numbers) -> Scalar:
        return cast(1, a) if a > 0 else cast(0, a)

    def onnx(self, graph: Graph, Z: str) -> str:
        return graph.add("Relu", Z)


class LeakyReLU(Activation):
    """Leaky ReLU, ``f(z) = z`` if ``z > 0``, else ``negative_slope * z``.

    Parameters
    ----------
    negative_slope : float, default=0.01
        Slope for ``z <= 0``, in [0, 1). With 0 it is the ReLU.

    References
    ----------
    Maas, A. L., Hannun, A. Y. and Ng, A. Y. (2013). Rectifier nonlinearities improve
    neural network acoustic models. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import LeakyReLU
    >>> Z = np.array([[-2.0, 3.0]])
    >>> LeakyReLU(negative_slope=0.1).forward(Z, np)
    array([[-0.2,  3. ]])
    """

    rectifies = True
    _parameter_constraints = {"negative_slope": [Interval(Real, 0, 1, closed="left")]}

    def __init__(self, *, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, Z: Array, xp: ArrayNamespace) -> Array:
        return xp.maximum(Z, Z * self.negative_slope)

    def backward(self, delta: Array, A: Array, Z: Array, xp: ArrayNamespace) -> Array:
        delta *= xp.where(A > 0, 1, xp.ones_like(A) * self.negative_slope)
        return delta

    def numbers(self) -> Numbers:
        return (self.negative_slope,)

    @staticmethod
    def value(z: Scalar, p: Numbers) -> Scalar:
        return p[0] * z if z < 0 else z

    @staticmethod
    def slope(a: Scalar, z: Scalar, p: Numbers) -> Scalar:
        return cast(1, a) if a > 0 else p[0]

    def onnx(self, graph: Graph, Z: str) -> str:
        return graph.add("Max", Z, graph.add("Mul", Z, float(self.negative_slope)))


class ELU(Activation):
    """Exponential linear unit, ``z`` if ``z > 0``, else ``alpha * (exp(z) - 1)``.

    Parameters
    ----------
    alpha : float, default=1.0
        For very negative ``z`` the output approaches ``-alpha``.

    References
    ----------
    Clevert, D.-A., Unterthiner, T. and Hochreiter, S. (2016). Fast and accurate deep
    network learning by exponential linear units (ELUs). ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import ELU
    >>> Z = np.array([[-100.0, 3.0]])
    >>> ELU(alpha=2.0).forward(Z, np)
    array([[-2.,  3.]])
    """

    rectifies = True
    _parameter_constraints = {"alpha": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, Z: Array, xp: ArrayNamespace) -> Array:
        return maximum(Z, 0, xp) + self.alpha * xp.expm1(minimum(Z, 0, xp))

    def backward(self, delta: Array, A: Array, Z: Array, xp: ArrayNamespace) -> Array:
        # f' = f + alpha below 0, and 1 above.
        delta *= xp.where(A > 0, xp.ones_like(A), A + self.alpha)
        return delta

    def numbers(self) -> Numbers:
        return (self.alpha,)

    @staticmethod
    def value(z: Scalar, p: Numbers) -> Scalar:
        below = p[0] * math.expm1(cast(0, z) if z > 0 else z)
        return below if z < 0 else z

    @staticmethod
    def slope(a: Scalar, z: Scalar, p: Numbers) -> Scalar:
        return cast(1, a) if a > 0 else a + p[0]

    def onnx(self, graph: Graph, Z: str) -> str:
        below = graph.add("Exp", graph.add("Min", Z, 0.0))
        below = graph.add("Mul", graph.add("Sub", below, 1.0), float(self.alpha))
        return graph.add("Add", graph.add("Max", Z, 0.0), below)


class GELU(Activation):
    """Gaussian error linear unit, ``f(z) = z * P(N(0, 1) <= z)``, not approximated.

    References
    ----------
    Hendrycks, D. and Gimpel, K. (2016). Gaussian error linear units (GELUs).
    arXiv:1606.08415.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import GELU
    >>> Z = np.array([[-1.0, 0.0, 1.0]])
    >>> GELU().forward(Z, np).round(4)
    array([[-0.1587,  0.    ,  0.8413]])
    """

    keeps_input = True
    rectifies = True

    def forward(self, Z: Array, xp: ArrayNamespace) -> Array:
        return Z * ndtr(Z, xp)

    def backward(self, delta: Array, A: Array, Z: Array, xp: ArrayNamespace) -> Array:
        # f' = P(z) + z p(z), with p the density of N(0, 1).
        slope = xp.exp(Z * Z * -0.5)
        slope *= Z * (1 / sqrt(2 * pi))
        slope += ndtr(Z, xp)
        delta *= slope
        return delta

    @staticmethod
    def value(z: Scalar, p: Numbers) -> Scalar:
        return z * math.ndtr(z)

    @staticmethod
    def slope(a: Scalar, z: Scalar, p: Numbers) -> Scalar:
        density = math.exp(z * z * cast(-0.5, z)) * cast(0.3989422804014327, z)
        return math.ndtr(z) + z * density

    def onnx(self, graph: Graph, Z: str) -> str:
        # onnxruntime computes Erf in single precision only.
        erf = graph.add("Erf", graph.cast(graph.add("Mul", Z, sqrt(0.5)), "float32"))
        probability = graph.add("Add", graph.cast(erf, graph.dtype), 1.0)
        return graph.add("Mul", graph.add("Mul", Z, 0.5), probability)


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
    >>> SiLU().forward(Z, np).round(4)
    array([[-0.2689,  0.    ,  0.7311]])
    """

    keeps_input = True
    rectifies = True

    def forward(self, Z: Array, xp: ArrayNamespace) -> Array:
        return Z * expit(Z, xp)

    def backward(self, delta: Array, A: Array, Z: Array, xp: ArrayNamespace) -> Array:
        # f' = s (1 + z (1 - s)) = s (1 + z - f), with s the logistic function.
        slope = Z - A
        slope += 1
        slope *= expit(Z, xp)
        delta *= slope
        return delta

    @staticmethod
    def value(z: Scalar, p: Numbers) -> Scalar:
        return z * math.logistic(z)

    @staticmethod
    def slope(a: Scalar, z: Scalar, p: Numbers) -> Scalar:
        # Not s (1 + z - f): if the compiler reorders the sum, 1 is lost at large z.
        s = math.logistic(z)
        return s * (cast(1, z) + z * (cast(1, z) - s))

    def onnx(self, graph: Graph, Z: str) -> str:
        # Some versions of onnxruntime fuse a product with a sigmoid into a node that
        # they have in single precision only.
        below = graph.add("Exp", graph.add("Neg", Z))
        return graph.add("Div", Z, graph.add("Add", below, 1.0))


class Tanh(Activation):
    """Hyperbolic tangent, ``f(z) = tanh(z)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import Tanh
    >>> Tanh().forward(np.array([[-1.0, 0.0, 1.0]]), np).round(4)
    array([[-0.7616,  0.    ,  0.7616]])
    """

    def forward(self, Z: Array, xp: ArrayNamespace) -> Array:
        return xp.tanh(Z)

    def backward(self, delta: Array, A: Array, Z: Array, xp: ArrayNamespace) -> Array:
        delta *= 1 - A * A
        return delta

    @staticmethod
    def value(z: Scalar, p: Numbers) -> Scalar:
        return math.tanh(z)

    @staticmethod
    def slope(a: Scalar, z: Scalar, p: Numbers) -> Scalar:
        return cast(1, a) - a * a

    def onnx(self, graph: Graph, Z: str) -> str:
        return graph.add("Tanh", Z)


class Logistic(Activation):
    """Logistic sigmoid, ``f(z) = 1 / (1 + exp(-z))``.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.activations import Logistic
    >>> Logistic().forward(np.array([[-1.0, 0.0, 1.0]]), np).round(4)
    array([[0.2689, 0.5   , 0.7311]])
    """

    def forward(self, Z: Array, xp: ArrayNamespace) -> Array:
        return expit(Z, xp)

    def backward(self, delta: Array, A: Array, Z: Array, xp: ArrayNamespace) -> Array:
        delta *= A * (1 - A)
        return delta

    @staticmethod
    def value(z: Scalar, p: Numbers) -> Scalar:
        return math.logistic(z)

    @staticmethod
    def slope(a: Scalar, z: Scalar, p: Numbers) -> Scalar:
        return a * (cast(1, a) - a)

    def onnx(self, graph: Graph, Z: str) -> str:
        return graph.add("Sigmoid", Z)


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
        "selu": "'selu' is not provided; 'elu' is the closest.",
        "celu": "'celu' is not provided; ELU(alpha=...) is the closest.",
        "softplus": "'softplus' is not provided; 'elu' and 'silu' are smooth as well.",
        "softmax": (
            "Softmax belongs to the output layer, where loss='log_loss' applies it; "
            "choose another activation, such as 'relu', for the hidden layers."
        ),
    },
    base=Activation,
)
