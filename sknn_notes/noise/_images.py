"""Augmentation of flattened images: random shifts, flips and crops."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sknn_notes._checks import Interval
from sknn_notes._sklearn import StrOptions
from sknn_notes._typing import Array, Floats, Graph, Integers
from sknn_notes.noise._base import ImageNoise, as_pair, check_sizes


def cut(
    images: NDArray[Any], shape: tuple[int, int], corners: Integers
) -> NDArray[Any]:
    """Cut a window out of each image.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, n_channels)
        Images, left unchanged.
    shape : tuple of two int
        Height and width of the windows.
    corners : ndarray of shape (n_samples, 2) or (1, 2)
        Row and column of the first pixel of each window, or of all windows.

    Returns
    -------
    windows : ndarray of shape (n_samples, *shape, n_channels)
    """
    windows = sliding_window_view(images, shape, axis=(1, 2))
    chosen = windows[np.arange(len(images)), corners[:, 0], corners[:, 1]]
    return np.moveaxis(chosen, 1, 3)


class RandomShift(ImageNoise):
    """Shift images by whole pixels, vertically and horizontally.

    All shifts up to ``max_shift`` in each direction are equally likely. Pixels that
    move out of the image are lost; the pixels that move in have the value ``fill``.
    Predictions are made without shifts.

    Parameters
    ----------
    image_shape : tuple of two or three int, default=None
        Height and width of the images, and optionally the number of channels, in the
        order that ``channels`` defines. None stands for square images with one channel.
    max_shift : int or tuple of two int, default=1
        Largest shift in pixels, less than the side of the image. A pair sets the
        vertical and the horizontal shift.
    fill : float, default=0.0
        Value of the pixels that move in. Pass the value of the background, which is no
        longer 0 after scaling to [-1, 1] or standardizing.
    channels : {"last", "first"}, default="last"
        Order of the axes of an image: ``"last"`` for (height, width, channels),
        ``"first"`` for (channels, height, width).

    References
    ----------
    Simard, P. Y., Steinkraus, D. and Platt, J. C. (2003). Best practices for
    convolutional neural networks applied to visual document analysis. ICDAR.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.noise import RandomShift
    >>> rng = np.random.default_rng(0)
    >>> noise = RandomShift(image_shape=(1, 4), max_shift=(0, 1))
    >>> noise.start(4, rng)
    4
    >>> noise.train(np.array([[1.0, 2.0, 3.0, 4.0]] * 4), rng)
    array([[0., 1., 2., 3.],
           [1., 2., 3., 4.],
           [1., 2., 3., 4.],
           [2., 3., 4., 0.]])
    """

    _parameter_constraints = {
        **ImageNoise._parameter_constraints,
        "max_shift": [Interval(Integral, 0, None, closed="left"), tuple, list],
        "fill": [Interval(Real, None, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        image_shape: Sequence[int] | None = None,
        max_shift: int | Sequence[int] = 1,
        fill: float = 0.0,
        channels: str = "last",
    ) -> None:
        self.image_shape = image_shape
        self.max_shift = max_shift
        self.fill = fill
        self.channels = channels

    def keeps_non_negative(self) -> bool:
        return self.fill >= 0

    def check(self) -> None:
        super().check()
        if not isinstance(self.max_shift, Integral):
            check_sizes(self, "max_shift", (2,), least=0)

    def start(self, n_features: int, rng: np.random.Generator) -> int:
        n_features = super().start(n_features, rng)
        down, right = as_pair(self.max_shift)
        if down >= self._height or right >= self._width:
            raise ValueError(
                f"RandomShift(max_shift={self.max_shift!r}) can move images of height "
                f"{self._height} and width {self._width} out of view. Pass a smaller "
                "max_shift, or a pair for the vertical and the horizontal shift."
            )
        return n_features

    def draw(self, n_draws: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return the shifts down and to the right, of shape (n_draws, 2)."""
        largest = np.array(as_pair(self.max_shift))
        return rng.integers(-largest, largest, size=(n_draws, 2), endpoint=True)

    def apply(self, X: Floats, draws: NDArray[Any]) -> Floats:
        down, right = as_pair(self.max_shift)
        padded = np.pad(
            self._images(X),
            ((0, 0), (down, down), (right, right), (0, 0)),
            constant_values=self.fill,
        )
        # An image moves down if its window starts further up.
        corners = np.array([[down, right]]) - draws
        return self._rows(cut(padded, (self._height, self._width), corners))


class RandomFlip(ImageNoise):
    """Flip images at random.

    Predictions are made without flips.

    Parameters
    ----------
    image_shape : tuple of two or three int, default=None
        Height and width of the images, and optionally the number of channels, in the
        order that ``channels`` defines. None stands for square images with one channel.
    axis : {"horizontal", "vertical", "both"}, default="horizontal"
        ``"horizontal"`` swaps left and right, ``"vertical"`` swaps top and bottom, and
        ``"both"`` draws the two flips independently.
    probability : float, default=0.5
        Probability of a flip.
    channels : {"last", "first"}, default="last"
        Order of the axes of an image: ``"last"`` for (height, width, channels),
        ``"first"`` for (channels, height, width).

    References
    ----------
    Krizhevsky, A., Sutskever, I. and Hinton, G. E. (2012). ImageNet classification with
    deep convolutional neural networks. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.noise import RandomFlip
    >>> rng = np.random.default_rng(0)
    >>> noise = RandomFlip(image_shape=(2, 2), probability=1.0)
    >>> noise.start(4, rng)
    4
    >>> noise.train(np.array([[1.0, 2.0, 3.0, 4.0]]), rng)
    array([[2., 1., 4., 3.]])
    """

    _parameter_constraints = {
        **ImageNoise._parameter_constraints,
        "axis": [StrOptions({"horizontal", "vertical", "both"})],
        "probability": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        *,
        image_shape: Sequence[int] | None = None,
        axis: str = "horizontal",
        probability: float = 0.5,
        channels: str = "last",
    ) -> None:
        self.image_shape = image_shape
        self.axis = axis
        self.probability = probability
        self.channels = channels

    def draw(self, n_draws: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return whether to flip vertically and horizontally, of shape (n_draws, 2)."""
        flips = rng.random((n_draws, 2)) < self.probability
        return flips & [self.axis != "horizontal", self.axis != "vertical"]

    def apply(self, X: Floats, draws: NDArray[Any]) -> Floats:
        images = self._images(X).copy()
        draws = np.broadcast_to(draws, (len(X), 2))
        for axis, flipped in enumerate(draws.T, start=1):
            images[flipped] = np.flip(images[flipped], axis)
        return self._rows(images)


class RandomCrop(ImageNoise):
    """Crop images at random positions.

    All positions are equally likely. Predictions use the crop at the center, rounded to
    the upper left. The network has as many inputs as the crop has values.

    Parameters
    ----------
    image_shape : tuple of two or three int, default=None
        Height and width of the images, and optionally the number of channels, in the
        order that ``channels`` defines. None stands for square images with one channel.
    crop_shape : int or tuple of two int, default=None
        Height and width of the crop. None stands for 7/8 of each side, rounded down and
        at least 1, such as 28 of 32, 24 of 28 or 7 of 8.
    channels : {"last", "first"}, default="last"
        Order of the axes of an image: ``"last"`` for (height, width, channels),
        ``"first"`` for (channels, height, width).

    References
    ----------
    Krizhevsky, A., Sutskever, I. and Hinton, G. E. (2012). ImageNet classification with
    deep convolutional neural networks. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.noise import RandomCrop
    >>> rng = np.random.default_rng(0)
    >>> noise = RandomCrop(image_shape=(1, 5), crop_shape=(1, 3))
    >>> noise.start(5, rng)
    3
    >>> X = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]] * 3)
    >>> noise.train(X, rng)
    array([[3., 4., 5.],
           [2., 3., 4.],
           [2., 3., 4.]])
    >>> noise.predict(X[:1])
    array([[2., 3., 4.]])
    """

    _parameter_constraints = {
        **ImageNoise._parameter_constraints,
        "crop_shape": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
    }

    def __init__(
        self,
        *,
        image_shape: Sequence[int] | None = None,
        crop_shape: int | Sequence[int] | None = None,
        channels: str = "last",
    ) -> None:
        self.image_shape = image_shape
        self.crop_shape = crop_shape
        self.channels = channels

    def check(self) -> None:
        super().check()
        if not isinstance(self.crop_shape, Integral | None):
            check_sizes(self, "crop_shape", (2,), least=1)

    def start(self, n_features: int, rng: np.random.Generator) -> int:
        super().start(n_features, rng)
        if self.crop_shape is None:
            self._crop = max(1, 7 * self._height // 8), max(1, 7 * self._width // 8)
        else:
            self._crop = as_pair(self.crop_shape)
        height, width = self._crop
        if height > self._height or width > self._width:
            raise ValueError(
                f"RandomCrop(crop_shape={self.crop_shape!r}) is larger than the images "
                f"of height {self._height} and width {self._width}. Pass a crop_shape "
                "that fits into them."
            )
        self._n_places = np.array([self._height - height + 1, self._width - width + 1])
        return height * width * self._n_channels

    def draw(self, n_draws: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return row and column of the first pixels, of shape (n_draws, 2)."""
        return rng.integers(0, self._n_places, size=(n_draws, 2))

    def apply(self, X: Floats, draws: NDArray[Any]) -> Floats:
        return self._rows(cut(self._images(X), self._crop, draws))

    def predict(self, X: Array) -> Array:
        center = (self._n_places[None] - 1) // 2
        return self._rows(cut(self._images(X), self._crop, center))

    def onnx(self, graph: Graph, X: str) -> str:
        columns = self.predict(np.arange(self._n_features)[None])[0]
        return graph.add("Gather", X, columns, axis=1)
