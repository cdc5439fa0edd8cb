"""Stochastic pooling and fractional max pooling of flattened images."""

from collections.abc import Sequence
from itertools import accumulate, product
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._checks import Interval
from sknn_notes._typing import Array, Floats, Graph, Integers
from sknn_notes.noise._base import ImageNoise, as_pair, check_sizes


class StochasticPooling(ImageNoise):
    """Keep one pixel of each region, drawn in proportion to the values of the pixels.

    With values ``a_i >= 0`` in a region, pixel j is kept with probability
    ``p_j = a_j / sum_i a_i``. In prediction the output of the region is the expected
    value, ``sum_i p_i a_i``. A region of zeros gives 0. Each channel is pooled
    independently.

    Regions don't overlap. If their size doesn't divide that of the image, the regions
    at the lower and right edges are smaller: a side of length n gives ``ceil(n /
    pool)`` outputs.

    Parameters
    ----------
    image_shape : tuple of two or three int, default=None
        Height and width of the images, and optionally the number of channels, in the
        order that ``channels`` defines. None stands for square images with one channel.
    pool_shape : int or tuple of two int, default=2
        Height and width of a region.
    channels : {"last", "first"}, default="last"
        Order of the axes of an image: ``"last"`` for (height, width, channels),
        ``"first"`` for (channels, height, width).

    Notes
    -----
    Inputs must not be negative: scale them without centering. ``sample`` draws one
    uniform number for each region and channel, which all rows share. It finds the pixel
    of each row by inverting the cumulative sums over the region, row by row.

    References
    ----------
    Zeiler, M. D. and Fergus, R. (2013). Stochastic pooling for regularization of deep
    convolutional neural networks. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.noise import StochasticPooling
    >>> rng = np.random.default_rng(0)
    >>> noise = StochasticPooling(image_shape=(2, 4))
    >>> noise.start(8, rng)
    2
    >>> X = np.array([[0.0, 0.0, 1.0, 2.0,
    ...                0.0, 0.0, 2.0, 0.0]] * 4)
    >>> noise.train(X, rng)
    array([[0., 2.],
           [0., 1.],
           [0., 2.],
           [0., 2.]])
    >>> noise.predict(X[:1])
    array([[0. , 1.8]])
    """

    needs_non_negative = True

    _parameter_constraints = {
        **ImageNoise._parameter_constraints,
        "pool_shape": [Interval(Integral, 1, None, closed="left"), tuple, list],
    }

    def __init__(
        self,
        *,
        image_shape: Sequence[int] | None = None,
        pool_shape: int | Sequence[int] = 2,
        channels: str = "last",
    ) -> None:
        self.image_shape = image_shape
        self.pool_shape = pool_shape
        self.channels = channels

    def check(self) -> None:
        super().check()
        if not isinstance(self.pool_shape, Integral):
            check_sizes(self, "pool_shape", (2,), least=1)

    def start(self, n_features: int, rng: np.random.Generator) -> int:
        super().start(n_features, rng)
        pool_height, pool_width = as_pair(self.pool_shape)
        if pool_height > self._height or pool_width > self._width:
            raise ValueError(
                f"StochasticPooling(pool_shape={self.pool_shape!r}) has regions larger "
                f"than the images of height {self._height} and width {self._width}. "
                "Pass a smaller pool_shape, or a pair for height and width."
            )
        self._n_down = -(-self._height // pool_height)
        self._n_across = -(-self._width // pool_width)
        return self._n_down * self._n_across * self._n_channels

    def draw(self, n_draws: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return uniform numbers of shape (n_draws, n_down, n_across, n_channels)."""
        return rng.random((n_draws, self._n_down, self._n_across, self._n_channels))

    def apply(self, X: Floats, draws: NDArray[Any]) -> Floats:
        pixels = self._pixels(X)
        # In float64 a draw times the total is below the total, so some pixel is chosen.
        sums = list(accumulate(pixel.astype(np.float64) for pixel in pixels))
        thresholds = draws * sums[-1]
        chosen = np.zeros(pixels[0].shape, X.dtype)
        # Backward, so that the first sum above the threshold is written last.
        for pixel, sum_so_far in zip(pixels[::-1], sums[::-1], strict=True):
            np.copyto(chosen, pixel, where=sum_so_far > thresholds)
        return self._rows(chosen)

    def predict(self, X: Array) -> Array:
        pixels = self._pixels(X)
        total: Any = sum(pixels)
        total[total == 0] = 1
        return self._rows(sum(pixel / total * pixel for pixel in pixels))

    def onnx(self, graph: Graph, X: str) -> str:
        # A new column 0 holds the zeros that complete the last regions.
        X = graph.add("Pad", X, [0, 1, 0, 0])
        columns = np.arange(1, self._n_features + 1)[None]
        pixels = [
            graph.add("Gather", X, self._rows(pixel)[0], axis=1)
            for pixel in self._pixels(columns)
        ]
        total = graph.add("Sum", *pixels)
        total = graph.add("Where", graph.add("Equal", total, 0.0), 1.0, total)
        weighted = [
            graph.add("Mul", graph.add("Div", pixel, total), pixel) for pixel in pixels
        ]
        return graph.add("Sum", *weighted)

    def _pixels(self, X: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the first pixel of each region, the second pixel, and so on.

        Each is an array of shape (n_samples, n_down, n_across, n_channels).
        """
        pool_height, pool_width = as_pair(self.pool_shape)
        # A pixel of value 0 is never chosen, so zeros complete the last regions.
        below = self._n_down * pool_height - self._height
        beside = self._n_across * pool_width - self._width
        images = self._images(X)
        if below or beside:
            images = np.pad(images, ((0, 0), (0, below), (0, beside), (0, 0)))
        return [
            images[:, i::pool_height, j::pool_width]
            for i, j in product(range(pool_height), range(pool_width))
        ]


class FractionalMaxPooling(ImageNoise):
    """Take maxima over random regions that start one or two pixels apart.

    A side of ``n`` pixels gives ``m = n / ratio`` outputs, rounded to the nearest
    integer. Region i starts at pixel ``a_i - 1``, counted from 0, where
    ``a_i = ceil(alpha * (i + u))``, ``alpha = n / m``, and ``u`` is random for each
    axis. All channels are pooled over the same regions.

    Parameters
    ----------
    image_shape : tuple of two or three int, default=None
        Height and width of the images, and optionally the number of channels, in the
        order that ``channels`` defines. None stands for square images with one channel.
    ratio : float, default=2 ** 0.5
        Factor by which each side shrinks, between 1 and 2 (both excluded).
    overlapping : bool, default=True
        Whether each region includes the first pixel of the next region. Regions are
        then two or three pixels wide instead of one or two, except the last one, which
        ends with the image.
    n_regions : int, default=1
        Number of sets of regions that predictions are averaged over. They are drawn
        once, before training.
    channels : {"last", "first"}, default="last"
        Order of the axes of an image: ``"last"`` for (height, width, channels),
        ``"first"`` for (channels, height, width).

    Notes
    -----
    ``u`` is ``(k + 1) / n`` with k uniform on ``0, ..., m - 1``, so that ``a_0 = 1``.
    This gives all possible sequences with the same probabilities as a uniform u, and
    exactly ``a_i - 1 = floor((i * n + k) / m)``. The regions cover the image, from
    ``a_0 - 1 = 0`` to ``a_m - 1 = n``.

    References
    ----------
    Graham, B. (2014). Fractional max-pooling. arXiv:1412.6071.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.noise import FractionalMaxPooling
    >>> rng = np.random.default_rng(0)
    >>> noise = FractionalMaxPooling(image_shape=(1, 6), ratio=1.5, overlapping=False)
    >>> noise.start(6, rng)
    4
    >>> noise.train(np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]] * 4), rng)
    array([[2., 3., 5., 6.],
           [2., 3., 5., 6.],
           [1., 3., 4., 6.],
           [1., 3., 4., 6.]])
    """

    _parameter_constraints = {
        **ImageNoise._parameter_constraints,
        "ratio": [Interval(Real, 1, 2, closed="neither")],
        "overlapping": ["boolean"],
        "n_regions": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        image_shape: Sequence[int] | None = None,
        ratio: float = 2**0.5,
        overlapping: bool = True,
        n_regions: int = 1,
        channels: str = "last",
    ) -> None:
        self.image_shape = image_shape
        self.ratio = ratio
        self.overlapping = overlapping
        self.n_regions = n_regions
        self.channels = channels

    def start(self, n_features: int, rng: np.random.Generator) -> int:
        super().start(n_features, rng)
        sides = np.array([self._height, self._width])
        # A half is rounded up, since n / m could otherwise be above 2.
        self._pooled = np.floor(sides / self.ratio + 0.5).astype(int)
        if np.array_equal(self._pooled, sides):
            raise ValueError(
                f"FractionalMaxPooling(ratio={self.ratio:g}) does not shrink images of "
                f"height {self._height} and width {self._width}. Pass a larger ratio, "
                "or leave this part out."
            )
        self._kept_draws = self.draw(self.n_regions, rng)
        return int(np.prod(self._pooled)) * self._n_channels

    def draw(self, n_draws: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return k for the vertical and horizontal sequences, of shape (n_draws, 2)."""
        return rng.integers(0, self._pooled, size=(n_draws, 2))

    def apply(self, X: Floats, draws: NDArray[Any]) -> Floats:
        return self._pool(X, draws)

    def _pool(self, X: Floats, draws: Integers) -> Floats:
        n_down, n_across = self._pooled
        pooled = self._pool_rows(self._images(X), draws[:, 0], n_down)
        pooled = self._pool_rows(pooled.swapaxes(1, 2), draws[:, 1], n_across)
        return self._rows(pooled.swapaxes(1, 2))

    def predict(self, X: Array) -> Array:
        total = self._pool(X, self._kept_draws[:1])
        for k in range(1, self.n_regions):
            total += self._pool(X, self._kept_draws[k : k + 1])
        total /= self.n_regions
        return total

    def onnx(self, graph: Graph, X: str) -> str:
        sides, n_channels = (self._height, self._width), self._n_channels
        if self.channels == "last":
            shape, row_axis = (*sides, n_channels), 1
        else:
            shape, row_axis = (n_channels, *sides), 2
        images = graph.add("Reshape", X, [-1, *shape])
        sets = []
        for draw in self._kept_draws:
            pooled = images
            for axis in (0, 1):
                phase = draw[axis : axis + 1]
                regions = self._regions(sides[axis], self._pooled[axis], phase)
                pixels = [
                    graph.add("Gather", pooled, pixel[0], axis=row_axis + axis)
                    for pixel in regions
                ]
                pooled = graph.add("Max", *pixels)
            sets.append(graph.add("Flatten", pooled))
        return graph.add("Div", graph.add("Sum", *sets), float(len(sets)))

    def _pool_rows(
        self, images: NDArray[Any], phases: Integers, n_pooled: int
    ) -> NDArray[Any]:
        """Return the maxima over regions along axis 1, the rows of pixels."""
        first, *others = self._regions(images.shape[1], n_pooled, phases)
        sample = np.arange(len(images))[:, None]
        pooled = images[sample, first]
        for row in others:
            np.maximum(pooled, images[sample, row], out=pooled)
        return pooled

    def _regions(
        self, n_pixels: int, n_pooled: int, phases: Integers
    ) -> list[Integers]:
        """Return the first pixel of each region of an axis, the second, and so on.

        Each is an array of shape (n_draws, n_pooled). Smaller regions repeat their last
        pixel, which does not change the maximum.
        """
        bounds = self._boundaries(n_pixels, n_pooled, phases)
        first, end = bounds[:, :-1], bounds[:, 1:]
        last = np.minimum(end, n_pixels - 1) if self.overlapping else end - 1
        width = int(np.max(last - first, initial=0)) + 1
        return [np.minimum(first + offset, last) for offset in range(width)]

    @staticmethod
    def _boundaries(n_pixels: int, n_pooled: int, phases: Integers) -> Integers:
        """Return the edges of the regions, of shape (n_draws, n_pooled + 1)."""
        return (np.arange(n_pooled + 1) * n_pixels + phases[:, None]) // n_pooled
