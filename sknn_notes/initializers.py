"""Initial weights of a dense layer: one class each, registered in ``INITIALIZERS``.

They differ mainly in the variance of a weight, as a function of the fan-in (number of
inputs of a unit) and the fan-out (number of units of the layer). Weights are drawn in
float64 whatever the dtype of the network, so that a seed gives the same weights in both
dtypes.
"""

from numbers import Integral, Real
from typing import Any

import numpy as np

from sknn_notes._checks import Interval, Registry
from sknn_notes._part import Part
from sknn_notes._typing import Floats

__all__ = [
    "INITIALIZERS",
    "LSUV",
    "Auto",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Normal",
    "Orthogonal",
    "Sparse",
    "Uniform",
    "Zeros",
]


# The squares of larger weights would overflow.
SCALE = Interval(Real, 0, 1e150, closed="right")


class Initializer(Part):
    """Base class of initializers.

    Attributes
    ----------
    needs_data : bool
        Whether the weights depend on the data: the first batch passes through the
        network, and the weights of each layer are multiplied by what ``scale`` returns.
    """

    needs_data = False

    def start(self, n_hidden_layers: int) -> None:
        """Prepare for a network of this depth; called before the first draw."""

    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        """Draw the weights of one layer.

        Parameters
        ----------
        fan_in, fan_out : int
            Number of inputs and of units of the layer.
        activation : Activation
            The activation that follows the layer.
        rng : numpy.random.Generator

        Returns
        -------
        W : ndarray of shape (fan_in, fan_out), float64
            Each column holds the weights of one unit.
        """
        raise NotImplementedError

    def draw_biases(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> float | Floats:
        """Draw the biases of one layer, if ``bias_init`` leaves them at 0.

        Parameters
        ----------
        fan_in, fan_out : int
            Number of inputs and of units of the layer.
        activation : Activation
            The activation that follows the layer.
        rng : numpy.random.Generator
            The generator that has drawn the weights of the layer.

        Returns
        -------
        b : float or ndarray of shape (fan_out,), float64
            0 for every initializer except ``Auto``.
        """
        return 0.0

    def scale(self, Z: Floats) -> float:
        """Return the factor for the weights of a layer, if ``needs_data``.

        Parameters
        ----------
        Z : ndarray of shape (n_samples, fan_out)
            Pre-activations of the layer on the first batch.

        Returns
        -------
        factor : float
        """
        raise NotImplementedError


class Zeros(Initializer):
    """All weights 0, which demonstrates a pitfall: the units of a layer stay identical.

    Examples
    --------
    >>> from sknn_notes.initializers import Zeros
    >>> Zeros().draw(2, 3, None, None)
    array([[0., 0., 0.],
           [0., 0., 0.]])
    """

    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        return np.zeros((fan_in, fan_out))


class Normal(Initializer):
    """Small Gaussian weights, ``std * N(0, 1)`` whatever the size of the layer.

    Parameters
    ----------
    std : float, default=0.01
        Standard deviation of a weight.

    Examples
    --------
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.initializers import Normal
    >>> MLPClassifier(init=Normal(std=0.1)).get_params()["init__std"]
    0.1
    """

    _parameter_constraints = {"std": [SCALE]}

    def __init__(self, *, std: float = 0.01) -> None:
        self.std = std

    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        return rng.normal(0.0, self.std, (fan_in, fan_out))


class Uniform(Initializer):
    """Small uniform weights on ``[-a, a]`` with ``a = std * sqrt(3)``.

    Their variance is ``std**2``, as with ``Normal``.

    Parameters
    ----------
    std : float, default=0.01
        Standard deviation of a weight.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.initializers import Uniform
    >>> W = Uniform(std=0.02).draw(100, 50, None, np.random.default_rng(0))
    >>> float(W.std().round(3))
    0.02
    """

    _parameter_constraints = Normal._parameter_constraints

    def __init__(self, *, std: float = 0.01) -> None:
        self.std = std

    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        return _uniform(self.std, fan_in, fan_out, rng)


def _uniform(std: float, fan_in: int, fan_out: int, rng: np.random.Generator) -> Floats:
    # A uniform distribution on [-a, a] has variance a**2 / 3.
    bound = np.sqrt(3) * std
    return rng.uniform(-bound, bound, (fan_in, fan_out))


class _VarianceScaling(Initializer):
    """Weights whose variance is a function of the layer's fan-in and fan-out."""

    def variance(self, fan_in: int, fan_out: int) -> float:
        """Variance of a weight."""
        raise NotImplementedError


class _ScaledNormal(_VarianceScaling):
    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        std = np.sqrt(self.variance(fan_in, fan_out))
        return rng.normal(0.0, std, (fan_in, fan_out))


class _ScaledUniform(_VarianceScaling):
    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        std = np.sqrt(self.variance(fan_in, fan_out))
        return _uniform(std, fan_in, fan_out, rng)


class _Lecun(_VarianceScaling):
    def variance(self, fan_in: int, fan_out: int) -> float:
        return 1 / fan_in


class _Glorot(_VarianceScaling):
    def variance(self, fan_in: int, fan_out: int) -> float:
        return 2 / (fan_in + fan_out)


class _He(_VarianceScaling):
    def variance(self, fan_in: int, fan_out: int) -> float:
        return 2 / fan_in


class LecunNormal(_Lecun, _ScaledNormal):
    """LeCun's initialization: Gaussian weights of variance ``1 / fan_in``.

    The output of a linear unit then has the variance of its inputs.

    References
    ----------
    LeCun, Y., Bottou, L., Orr, G. and Mueller, K.-R. (1998). Efficient BackProp.

    Examples
    --------
    >>> from sknn_notes.initializers import LecunNormal
    >>> LecunNormal().variance(fan_in=100, fan_out=50)
    0.01
    """


class LecunUniform(_Lecun, _ScaledUniform):
    """LeCun's initialization: uniform weights of variance ``1 / fan_in``.

    The weights lie within ``sqrt(3 / fan_in)`` of 0.

    References
    ----------
    LeCun, Y., Bottou, L., Orr, G. and Mueller, K.-R. (1998). Efficient BackProp.

    Examples
    --------
    >>> from sknn_notes.initializers import LecunUniform
    >>> LecunUniform().variance(fan_in=100, fan_out=50)
    0.01
    """


class GlorotNormal(_Glorot, _ScaledNormal):
    """Glorot's initialization: Gaussian weights of variance ``2 / (fan_in + fan_out)``.

    References
    ----------
    Glorot, X. and Bengio, Y. (2010). Understanding the difficulty of training deep
    feedforward neural networks. AISTATS.

    Examples
    --------
    >>> from sknn_notes.initializers import GlorotNormal
    >>> GlorotNormal().variance(fan_in=150, fan_out=50)
    0.01
    """


class GlorotUniform(_Glorot, _ScaledUniform):
    """Glorot's initialization: uniform weights of variance ``2 / (fan_in + fan_out)``.

    References
    ----------
    Glorot, X. and Bengio, Y. (2010). Understanding the difficulty of training deep
    feedforward neural networks. AISTATS.

    Examples
    --------
    >>> from sknn_notes.initializers import GlorotUniform
    >>> GlorotUniform().variance(fan_in=150, fan_out=50)
    0.01
    """


class HeNormal(_He, _ScaledNormal):
    """He's initialization: Gaussian weights of variance ``2 / fan_in``, for the ReLU.

    The ReLU sets half of a symmetric signal to 0; the factor 2 compensates for it.

    References
    ----------
    He, K., Zhang, X., Ren, S. and Sun, J. (2015). Delving deep into rectifiers. ICCV.

    Examples
    --------
    >>> from sknn_notes.initializers import HeNormal
    >>> HeNormal().variance(fan_in=200, fan_out=50)
    0.01
    """


class HeUniform(_He, _ScaledUniform):
    """He's initialization: uniform weights of variance ``2 / fan_in``, for the ReLU.

    The weights lie within ``sqrt(6 / fan_in)`` of 0.

    References
    ----------
    He, K., Zhang, X., Ren, S. and Sun, J. (2015). Delving deep into rectifiers. ICCV.

    Examples
    --------
    >>> from sknn_notes.initializers import HeUniform
    >>> HeUniform().variance(fan_in=200, fan_out=50)
    0.01
    """


class Sparse(Initializer):
    """A few Gaussian weights per unit at random places; all other weights are 0.

    Parameters
    ----------
    n_connections : int, default=10
        Number of inputs that each unit is connected to; all of them if the layer has
        fewer inputs.
    std : float, default=0.01
        Standard deviation of a weight that is not 0.

    References
    ----------
    Martens, J. (2010). Deep learning via Hessian-free optimization. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.initializers import Sparse
    >>> W = Sparse(n_connections=2).draw(5, 4, None, np.random.default_rng(0))
    >>> (W != 0).sum(axis=0)
    array([2, 2, 2, 2])
    """

    _parameter_constraints = {
        "n_connections": [Interval(Integral, 1, None, closed="left")],
        "std": [SCALE],
    }

    def __init__(self, *, n_connections: int = 10, std: float = 0.01) -> None:
        self.n_connections = n_connections
        self.std = std

    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        n = min(self.n_connections, fan_in)
        # The n smallest of random numbers are at n random places. A partition would be
        # faster, but its order depends on numpy's version and on the processor.
        lottery = rng.random((fan_in, fan_out))
        places = np.argsort(lottery, axis=0)[:n]
        W = np.zeros((fan_in, fan_out))
        weights = rng.normal(0.0, self.std, (n, fan_out))
        np.put_along_axis(W, places, weights, axis=0)
        return W


class Orthogonal(Initializer):
    """Orthonormal columns, or rows if there are fewer of them, times a gain.

    The matrix is drawn uniformly (from the Haar measure). If the layer has at least as
    many units as inputs, it keeps the length of the signal.

    Parameters
    ----------
    gain : float, default=1.0
        Factor of the matrix; ``sqrt(2)`` compensates for the ReLU.

    References
    ----------
    Saxe, A. M., McClelland, J. L. and Ganguli, S. (2014). Exact solutions to the
    nonlinear dynamics of learning in deep linear neural networks. ICLR.

    Mezzadri, F. (2007). How to generate random matrices from the classical compact
    groups. Notices of the AMS 54.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.initializers import Orthogonal
    >>> W = Orthogonal().draw(5, 3, None, np.random.default_rng(0))
    >>> np.abs(W.T @ W).round(6)
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """

    _parameter_constraints = {"gain": [SCALE]}

    def __init__(self, *, gain: float = 1.0) -> None:
        self.gain = gain

    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        return self.gain * _orthonormal(fan_in, fan_out, rng)


def _orthonormal(fan_in: int, fan_out: int, rng: np.random.Generator) -> Floats:
    """Draw a matrix with orthonormal columns, or rows if there are fewer of them."""
    tall = rng.normal(size=(max(fan_in, fan_out), min(fan_in, fan_out)))
    Q, R = np.linalg.qr(tall)
    # The signs that the QR algorithm chooses would make some Q more likely.
    Q *= np.copysign(1, np.diagonal(R))
    return Q if fan_in >= fan_out else Q.T


class LSUV(Initializer):
    """Layer-sequential unit variance: orthonormal weights, scaled on the first batch.

    From the first layer to the last, the weights are divided by the standard deviation
    of the layer's pre-activations over all units and samples of the first batch.

    Notes
    -----
    The paper repeats the division until the variance is 1 within a tolerance. One
    division is exact here, since a dense layer is linear in its weights, and its
    biases, which all start at one value, do not change the variance. There is neither a
    tolerance nor a number of iterations to choose.

    References
    ----------
    Mishkin, D. and Matas, J. (2016). All you need is a good init. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.initializers import LSUV
    >>> LSUV().scale(np.array([[3.0, 1.0], [-3.0, -1.0], [1.0, -1.0], [-1.0, 1.0]]))
    0.57735026...
    """

    needs_data = True

    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        return _orthonormal(fan_in, fan_out, rng)

    def scale(self, Z: Floats) -> float:
        """Return the factor that makes the variance of ``Z`` 1, or 1 for a constant."""
        size = float(np.max(np.abs(Z)))
        if size == 0:
            return 1.0
        # The squares of numbers up to 1 neither overflow nor vanish.
        std = float(np.std(Z / size, dtype=np.float64))
        return 1 / std / size if std > np.finfo(Z.dtype).eps else 1.0


class Auto(Initializer):
    """Glorot's initialization; He's for the ReLU family in very deep networks.

    The weights are uniform. In the default 200 epochs Glorot's initialization scores as
    well as scikit-learn's. He's weights are larger, especially in layers with few
    inputs, and generalize worse on most small tables within that many epochs. Networks
    of about 20 hidden layers or more need them, since the signal vanishes otherwise.

    Biases are drawn from Glorot's distribution, too, as in scikit-learn: the ReLU units
    of a layer with few inputs then have their thresholds at different places.

    Examples
    --------
    >>> from sknn_notes import MLPClassifier
    >>> MLPClassifier().init
    'auto'
    """

    _DEEP = 20
    _is_deep = False

    def start(self, n_hidden_layers: int) -> None:
        self._is_deep = n_hidden_layers >= self._DEEP

    def draw(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> Floats:
        he = self._is_deep and activation.rectifies
        distribution = HeUniform() if he else GlorotUniform()
        return distribution.draw(fan_in, fan_out, activation, rng)

    def draw_biases(
        self, fan_in: int, fan_out: int, activation: Any, rng: np.random.Generator
    ) -> float | Floats:
        bound = np.sqrt(6 / (fan_in + fan_out))
        return rng.uniform(-bound, bound, fan_out)


INITIALIZERS: Registry[type[Initializer]] = Registry(
    {
        "auto": Auto,
        "glorot_normal": GlorotNormal,
        "glorot_uniform": GlorotUniform,
        "he_normal": HeNormal,
        "he_uniform": HeUniform,
        "lecun_normal": LecunNormal,
        "lecun_uniform": LecunUniform,
        "lsuv": LSUV,
        "normal": Normal,
        "orthogonal": Orthogonal,
        "sparse": Sparse,
        "uniform": Uniform,
        "zeros": Zeros,
    },
    aliases={
        "xavier": "glorot_uniform",
        "glorot": "glorot_uniform",
        "xavieruniform": "glorot_uniform",
        "xaviernormal": "glorot_normal",
        "he": "he_uniform",
        "kaiming": "he_uniform",
        "kaiminguniform": "he_uniform",
        "kaimingnormal": "he_normal",
        "lecun": "lecun_normal",
        "gaussian": "normal",
        "randomnormal": "normal",
        "truncatednormal": "normal",
        "randomuniform": "uniform",
        "zero": "zeros",
        "none": "auto",
        "default": "auto",
        "identity": "orthogonal",
        "eye": "orthogonal",
        "ones": "Equal units stay equal. Choose random weights, such as 'auto'.",
        "constant": "Equal units stay equal. Choose random weights, such as 'auto'.",
        "random": "Choose a distribution, such as 'normal' or 'glorot_uniform'.",
    },
    number="Pass Normal(std={}) for Gaussian weights with that standard deviation.",
    base=Initializer,
)
