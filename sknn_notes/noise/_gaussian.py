"""Gaussian noise on any inputs."""

from numbers import Real

import numpy as np

from sknn_notes._checks import Interval
from sknn_notes.noise._base import Noise


class GaussianNoise(Noise):
    """Add gaussian noise, ``std * N(0, 1)``, to every input.

    Nothing is added at prediction. On a linear model with the squared error the noise
    acts as an L2 penalty of strength ``std**2`` on the weights of the inputs.

    Parameters
    ----------
    std : float, default=0.1
        Standard deviation of the noise, in the units of X; 0 adds nothing.

    References
    ----------
    Bishop, C. M. (1995). Training with noise is equivalent to Tikhonov regularization.
    Neural Computation 7(1).

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.noise import GaussianNoise
    >>> rng = np.random.default_rng(0)
    >>> noise = GaussianNoise(std=0.5)
    >>> noise.start(3, rng)
    3
    >>> X = np.zeros((1000, 3))
    >>> noise.train(X, rng).std().round(1)
    np.float64(0.5)
    >>> bool(noise.predict(X).any())
    False
    """

    _parameter_constraints = {"std": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, *, std=0.1):
        self.std = std

    def draw(self, n_draws, rng):
        draws = rng.standard_normal((n_draws, self._n_features))
        draws *= self.std
        return draws

    def apply(self, X, draws):
        return np.add(X, draws, dtype=X.dtype, casting="same_kind")
