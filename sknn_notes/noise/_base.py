"""Base classes of noise on the inputs, and of noise on flattened images."""

import math
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_notes._checks import shown
from sknn_notes._part import Part
from sknn_notes._sklearn import StrOptions
from sknn_notes._typing import Array, Floats, Graph, Numbers


class Noise(Part):
    """Base class of noise on the inputs.

    A subclass defines how to ``draw`` random numbers, how to ``apply`` them to the
    inputs, and what ``predict`` does in place of noise. Random numbers are float64 or
    integers whatever the dtype of X, so that a seed gives the same noise in both
    dtypes.

    Attributes
    ----------
    needs_non_negative : bool
        Whether negative inputs raise an error. The noise parts before this one must
        then not produce any.
    in_array_code : bool
        Whether ``noisy`` and ``predict`` take arrays of any namespace, and arrays of
        keys. Otherwise inputs on a device are converted to numpy and back.
    """

    needs_non_negative = False
    in_array_code = False

    # The loops, an operation of the training step (see ``sknn_notes._compile``). ``at``
    # holds the places of the inputs and of the outputs, and the number of inputs.
    loops: Callable[..., Any] | None = None

    def numbers(self) -> Numbers:
        """Return the numbers that ``loops`` takes."""
        return ()

    def keeps_non_negative(self) -> bool:
        """Return whether non-negative inputs always give non-negative outputs."""
        return False

    def start(self, n_features: int, rng: np.random.Generator) -> int:
        """Prepare for inputs with ``n_features`` columns; called once, before training.

        Parameters
        ----------
        n_features : int
            Number of inputs.
        rng : numpy.random.Generator
            Generator for what is drawn once and kept for prediction.

        Returns
        -------
        n_outputs : int
            Number of outputs.

        Raises
        ------
        ValueError
            If the parameters don't fit the number of inputs.
        """
        self._n_features = n_features
        return n_features

    def check_input(self, X: Floats) -> None:
        """Raise ValueError if X holds values that this noise does not support."""
        if self.needs_non_negative and X.size and X.min() < 0:
            raise ValueError(
                f"{type(self).__name__} takes inputs of at least 0, but the smallest "
                f"is {X.min():g}. Scale them without centering, for example with "
                "sknn_notes.MinMaxNormalizer(feature_range=(0, 1), clip=True), and use "
                "no noise before this one that produces negative values."
            )

    def draw(self, n_draws: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return ``n_draws`` independent draws, one per row.

        Parameters
        ----------
        n_draws : int
            Number of draws.
        rng : numpy.random.Generator
            Generator for the draws.

        Returns
        -------
        draws : ndarray of shape (n_draws, ...)
        """
        raise NotImplementedError

    def apply(self, X: Floats, draws: NDArray[Any]) -> Floats:
        """Return X with the noise of some draws.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.
        draws : ndarray of shape (n_samples, ...) or (1, ...)
            One draw per row, or one for all rows.

        Returns
        -------
        noisy : ndarray of shape (n_samples, n_outputs)
            A new array with the dtype of X.
        """
        raise NotImplementedError

    def train(self, X: Floats, rng: np.random.Generator) -> Floats:
        """Return X with independent noise for each row.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.
        rng : numpy.random.Generator
            Generator for the noise.

        Returns
        -------
        noisy : ndarray of shape (n_samples, n_outputs)
            A new array with the dtype of X.
        """
        return self.apply(X, self.draw(len(X), rng))

    def noisy(self, X: Array, key: Any) -> Array:
        """Return X with the noise of one training batch.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.
        key : int
            Key of 64 bits that determines the noise.

        Returns
        -------
        noisy : ndarray of shape (n_samples, n_outputs)
            A new array with the dtype of X.
        """
        return self.train(X, np.random.Generator(np.random.SFC64(int(key))))

    def sample(self, X: Floats, rng: np.random.Generator) -> Floats:
        """Return X with the noise of one draw that all rows share.

        Each row depends only on itself and the draw, so Monte Carlo predictions don't
        depend on which rows are predicted together.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.
        rng : numpy.random.Generator
            Generator for the draw.

        Returns
        -------
        noisy : ndarray of shape (n_samples, n_outputs)
            A new array with the dtype of X.
        """
        return self.apply(X, self.draw(1, rng))

    def predict(self, X: Array) -> Array:
        """Return the inputs in prediction, without randomness.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.

        Returns
        -------
        inputs : ndarray of shape (n_samples, n_outputs)
            An array with the dtype of X; it may be X itself.
        """
        return X

    def onnx(self, graph: Graph, X: str) -> str:
        """Add the nodes of ``predict`` to an ONNX graph; return the name of the output.

        Parameters
        ----------
        graph : Graph
            ``graph.add(op_type, *inputs)`` adds a node and returns the name of its
            output; numbers and arrays among its inputs become constants.
        X : str
            Name of the inputs.
        """
        return X


def check_inputs(noises: list[Noise], X: Any) -> None:
    """Raise ValueError if some noise parts, in this order, don't support ``X``.

    Parameters
    ----------
    noises : list of Noise
        Noise parts in the order in which they are applied.
    X : {ndarray, sparse array} of shape (n_samples, n_features)
        Inputs of the first one.
    """
    if noises and issparse(X):
        raise ValueError(
            f"augment={noises} needs dense inputs, but X is sparse. Pass X.toarray(), "
            "or set augment=None."
        )
    for i, noise in enumerate(noises):
        # After a part that may produce negative values, the signs are unknown.
        if all(before.keeps_non_negative() for before in noises[:i]):
            noise.check_input(X)
        elif noise.needs_non_negative:
            raise ValueError(
                f"{noise!r} takes inputs of at least 0, but the noise before it may "
                "produce negative values. Change their order."
            )


class ImageNoise(Noise):
    """Base class of noise on flattened images.

    A subclass has the parameters ``image_shape`` and ``channels``. Its ``draw`` and
    ``apply`` can read the size of the images from ``_height``, ``_width`` and
    ``_n_channels``.
    """

    image_shape: Sequence[int] | None
    channels: str
    _height: int
    _width: int
    _n_channels: int

    _parameter_constraints = {
        "image_shape": [tuple, list, None],
        "channels": [StrOptions({"first", "last"})],
    }

    # The loops, an operation of the training step (see ``sknn_notes._compile``). ``at``
    # holds the places of the inputs and of the outputs, and the number of inputs.
    loops: Callable[..., Any] | None = None

    def numbers(self) -> Numbers:
        """Return the numbers that ``loops`` takes."""
        return ()

    def keeps_non_negative(self) -> bool:
        return True

    def check(self) -> None:
        super().check()
        if self.image_shape is not None:
            check_sizes(self, "image_shape", (2, 3), least=1)

    def start(self, n_features: int, rng: np.random.Generator) -> int:
        """Determine the shape of the images; see the base class."""
        super().start(n_features, rng)
        owner = type(self).__name__
        shape = self.image_shape
        if shape is None:
            side = math.isqrt(n_features)
            if side**2 != n_features:
                raise ValueError(
                    f"{owner}(image_shape=None) takes square images of one channel, "
                    f"but {n_features} is not a square number. Pass height, width and, "
                    "if there are several, the number of channels as image_shape."
                )
            shape = (side, side)
        # The product would overflow in numpy's narrow integers.
        shape = tuple(int(side) for side in shape)
        if math.prod(shape) != n_features:
            raise ValueError(
                f"{owner}(image_shape={shown(shape)}) takes images of "
                f"{shown(math.prod(shape))} values, but there are {n_features} inputs. "
                "Pass the shape of the images that this part receives; pooling and "
                "crops before it make them smaller."
            )
        if len(shape) == 2:
            (height, width), n_channels = shape, 1
        elif self.channels == "last":
            height, width, n_channels = shape
        else:
            n_channels, height, width = shape
        self._height, self._width, self._n_channels = height, width, n_channels
        return n_features

    def _images(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return a view of rows as (n_samples, height, width, channels)."""
        if self.channels == "last":
            return X.reshape(-1, self._height, self._width, self._n_channels)
        images = X.reshape(-1, self._n_channels, self._height, self._width)
        return images.transpose(0, 2, 3, 1)

    def _rows(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return the rows for images (n_samples, height, width, channels)."""
        if self.channels == "first":
            images = images.transpose(0, 3, 1, 2)
        return images.reshape(len(images), math.prod(images.shape[1:]))


def check_sizes(part: Part, name: str, lengths: tuple[int, ...], *, least: int) -> None:
    """Raise ValueError unless a parameter holds integers, as many as required."""
    value: Any = getattr(part, name)
    whole = all(isinstance(size, Integral) and int(size) >= least for size in value)
    if len(value) not in lengths or not whole:
        expected = " or ".join(str(length) for length in lengths)
        raise ValueError(
            f"The {name!r} parameter of {type(part).__name__} must hold {expected} "
            f"integers of at least {least}. Got {value!r} instead."
        )


def as_pair(size: Any) -> tuple[int, int]:
    """Return (height, width), given as a pair or as one number for both."""
    height, width = (size, size) if isinstance(size, Integral) else size
    return int(height), int(width)
