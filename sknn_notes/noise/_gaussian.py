"""Gaussian noise on the inputs."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import astype, fill_bits, namespace, normals
from sknn_notes._checks import Interval
from sknn_notes._compile import Memory, cast, math, matrix
from sknn_notes._typing import Array, Floats, Integers, Numbers
from sknn_notes.noise._base import Noise


class GaussianNoise(Noise):
    """Add Gaussian noise, ``std * N(0, 1)``, to all inputs.

    Predictions are made without noise. In a linear model with the squared error the
    noise acts like an L2 penalty of strength ``std**2`` on the weights of the inputs.

    Parameters
    ----------
    std : float, default=0.1
        Standard deviation of the noise, in the units of X; with 0 there is none.

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
    >>> noise.predict(X).std()
    np.float64(0.0)
    """

    in_array_code = True
    _parameter_constraints = {"std": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, *, std: float = 0.1) -> None:
        self.std = std

    def draw(self, n_draws: int, rng: np.random.Generator) -> NDArray[Any]:
        key, shape = rng.bit_generator.random_raw(), (n_draws, self._n_features)
        draws: Floats = normals(key, shape) * self.std
        return draws

    def noisy(self, X: Array, key: Any) -> Array:
        draws = normals(key, X.shape[-2:], namespace(X), X)
        return self.apply(X, draws * self.std)

    def numbers(self) -> Numbers:
        return (self.std,)

    @staticmethod
    def loops(
        m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
    ) -> float:
        width = at[2]
        X = matrix(m.x if at[0] < 0 else m.work, max(0, at[0]), n, width)
        out, std = matrix(m.work, at[1], n, width), cast(numbers[0], m.theta[0])
        n_words = 2 * ((width + 1) // 2)
        for i in range(n):
            fill_bits(key, i * n_words, n_words, m.bits)
            for j in range(0, width - 1, 2):
                a, b = math.normal_pair(m.bits[j], m.bits[j + 1], std)
                out[i, j] = X[i, j] + a
                out[i, j + 1] = X[i, j + 1] + b
            if width % 2:
                j = width - 1
                a, b = math.normal_pair(m.bits[j], m.bits[j + 1], std)
                out[i, j] = X[i, j] + a
        return 0.0

    def apply(self, X: Array, draws: Array) -> Array:
        return X + astype(draws, X.dtype, namespace(X))
