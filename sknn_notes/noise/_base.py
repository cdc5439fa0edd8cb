"""What every noise part does, and how flattened images are read."""

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

    A subclass says how to ``draw`` randomness for some rows, how to ``apply`` it, and
    what takes its place in ``predict``. Draws are made in float64 or integers whatever
    the dtype of X, so that the same seed gives the same noise in both dtypes.

    Attributes
    ----------
    needs_non_negative : bool
        Whether inputs below 0 raise an error; then no part before this one may make
        some.
    in_array_code : bool
        Whether ``noisy`` and ``predict`` take arrays of any namespace, and keys that
        are arrays. Otherwise a device hands the inputs to numpy.
    """

    needs_non_negative = False
    in_array_code = False

    # The compiled form, an operation of a training step (see ``sknn_notes._compile``):
    # ``at`` are the places of the inputs and of the outputs, and their number.
    loops: Callable[..., Any] | None = None

    def numbers(self) -> Numbers:
        """Return the numbers that ``loops`` takes."""
        return ()

    def keeps_non_negative(self) -> bool:
        """Whether inputs of at least 0 always give outputs of at least 0."""
        return False

    def start(self, n_features: int, rng: np.random.Generator) -> int:
        """Prepare for inputs of ``n_features`` columns; called once, before training.

        Parameters
        ----------
        n_features : int
            Number of inputs.
        rng : numpy.random.Generator
            Source of what is drawn once and kept for prediction.

        Returns
        -------
        n_outputs : int
            Number of outputs.

        Raises
        ------
        ValueError
            If the part's parameters don't fit the number of inputs.
        """
        self._n_features = n_features
        return n_features

    def check_input(self, X: Floats) -> None:
        """Raise ValueError if X holds values that the part can't take."""
        if self.needs_non_negative and X.size and X.min() < 0:
            raise ValueError(
                f"{type(self).__name__} takes inputs of at least 0, but the smallest "
                f"is {X.min():g}. Scale them without centering, for example with "
                "sknn_notes.MinMaxNormalizer(feature_range=(0, 1), clip=True), and put "
                "no part before this one that makes negative values."
            )

    def draw(self, n_draws: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return ``n_draws`` independent draws, one a row of the array.

        Parameters
        ----------
        n_draws : int
            Number of draws.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        draws : ndarray of shape (n_draws, ...)
        """
        raise NotImplementedError

    def apply(self, X: Floats, draws: NDArray[Any]) -> Floats:
        """Return X under the noise that ``draws`` stand for.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.
        draws : ndarray of shape (n_samples, ...) or (1, ...)
            One draw a row, or one for all.

        Returns
        -------
        noisy : ndarray of shape (n_samples, n_outputs)
            A new array of X's dtype.
        """
        raise NotImplementedError

    def train(self, X: Floats, rng: np.random.Generator) -> Floats:
        """Return X under fresh noise for every row.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.
        rng : numpy.random.Generator
            Source of the noise.

        Returns
        -------
        noisy : ndarray of shape (n_samples, n_outputs)
            A new array of X's dtype.
        """
        return self.apply(X, self.draw(len(X), rng))

    def noisy(self, X: Array, key: Any) -> Array:
        """Return X under the fresh noise of one batch in training.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.
        key : int
            Of 64 bits; tells the noise.

        Returns
        -------
        noisy : ndarray of shape (n_samples, n_outputs)
            A new array of X's dtype.
        """
        return self.train(X, np.random.Generator(np.random.SFC64(int(key))))

    def sample(self, X: Floats, rng: np.random.Generator) -> Floats:
        """Return X under one draw that all rows share.

        What a row becomes depends on that row and the draw alone, so Monte Carlo
        predictions don't depend on which rows come together.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.
        rng : numpy.random.Generator
            Source of the draw.

        Returns
        -------
        noisy : ndarray of shape (n_samples, n_outputs)
            A new array of X's dtype.
        """
        return self.apply(X, self.draw(1, rng))

    def predict(self, X: Array) -> Array:
        """Return what stands for X at prediction, without randomness.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Inputs, left unchanged.

        Returns
        -------
        inputs : ndarray of shape (n_samples, n_outputs)
            An array of X's dtype; it may be X itself.
        """
        return X

    def onnx(self, graph: Graph, X: str) -> str:
        """Add the nodes of ``predict`` to an ONNX graph; return their output's name.

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
    """Raise ValueError if the parts, one after the other, can't take ``X``.

    Parameters
    ----------
    noises : list of Noise
        In the order in which they see the inputs.
    X : {ndarray, sparse array} of shape (n_samples, n_features)
        Inputs of the first one.
    """
    if noises and issparse(X):
        raise ValueError(
            f"augment={noises} works on dense inputs; X is sparse. Pass X.toarray(), "
            "or leave out augment."
        )
    for i, noise in enumerate(noises):
        # Past a part that may put out negative values nothing is promised.
        if all(before.keeps_non_negative() for before in noises[:i]):
            noise.check_input(X)
        elif noise.needs_non_negative:
            raise ValueError(
                f"{noise!r} takes inputs of at least 0, and the parts before it may "
                "put out negative ones. Change their order."
            )


class ImageNoise(Noise):
    """Base class of noise on flattened images.

    A subclass has the parameters ``image_shape`` and ``channels``; its ``draw`` and
    ``apply`` find the size of the images in ``_height``, ``_width`` and
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

    # The compiled form, an operation of a training step (see ``sknn_notes._compile``):
    # ``at`` are the places of the inputs and of the outputs, and their number.
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
        """Read the shape of the images; see the base class."""
        super().start(n_features, rng)
        owner = type(self).__name__
        shape = self.image_shape
        if shape is None:
            side = math.isqrt(n_features)
            if side**2 != n_features:
                raise ValueError(
                    f"{owner}(image_shape=None) takes square images of one channel, "
                    f"but {n_features} inputs make no square. Pass the height and "
                    "width, and the number of channels if there are several, as "
                    "image_shape."
                )
            shape = (side, side)
        # numpy's narrow integers would overflow in the product.
        shape = tuple(int(side) for side in shape)
        if math.prod(shape) != n_features:
            raise ValueError(
                f"{owner}(image_shape={shown(shape)}) takes images of "
                f"{shown(math.prod(shape))} values, but there are {n_features} inputs. "
                "Pass the shape of the images that reach this part; pooling and crops "
                "before it make them smaller."
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
        """View rows as images of shape (n_samples, height, width, channels)."""
        if self.channels == "last":
            return X.reshape(-1, self._height, self._width, self._n_channels)
        images = X.reshape(-1, self._n_channels, self._height, self._width)
        return images.transpose(0, 2, 3, 1)

    def _rows(self, images: NDArray[Any]) -> NDArray[Any]:
        """Flatten images of shape (n_samples, height, width, channels) into rows."""
        if self.channels == "first":
            images = images.transpose(0, 3, 1, 2)
        return images.reshape(len(images), math.prod(images.shape[1:]))


def check_sizes(part: Part, name: str, lengths: tuple[int, ...], *, least: int) -> None:
    """Raise ValueError unless a parameter is a sequence of integers of some length."""
    value: Any = getattr(part, name)
    whole = all(isinstance(size, Integral) and int(size) >= least for size in value)
    if len(value) not in lengths or not whole:
        expected = " or ".join(str(length) for length in lengths)
        raise ValueError(
            f"The {name!r} parameter of {type(part).__name__} must hold {expected} "
            f"integers of at least {least}. Got {value!r} instead."
        )


def as_pair(size: Any) -> tuple[int, int]:
    """Return (height, width) for one number that stands for both, or for a pair."""
    height, width = (size, size) if isinstance(size, Integral) else size
    return int(height), int(width)
