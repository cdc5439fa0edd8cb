"""What noise parts do in prediction, as nodes of a graph."""

from collections.abc import Callable

import numpy as np

from sknn_notes.noise import (
    FractionalMaxPooling,
    GaussianNoise,
    RandomCrop,
    RandomFlip,
    RandomShift,
    StochasticPooling,
)
from sknn_notes.onnx._graph import unchanged


def _center(graph, part, X):
    """Add the choice of the columns that hold the center of the images."""
    columns = part.predict(np.arange(part._n_features)[None])[0]
    return graph.add("Gather", X, columns, axis=1)


def _expected_pixel(graph, part, X):
    """Add the mean of every region, weighted in proportion to its pixels."""
    # Column 0 is new and holds the zeros that make the last regions whole.
    X = graph.add("Pad", X, [0, 1, 0, 0])
    columns = np.arange(1, part._n_features + 1)[None]
    pixels = [
        graph.add("Gather", X, part._rows(pixel)[0], axis=1)
        for pixel in part._pixels(columns)
    ]
    total = graph.add("Sum", *pixels)
    total = graph.add("Where", graph.add("Equal", total, 0.0), 1.0, total)
    weighted = [
        graph.add("Mul", graph.add("Div", pixel, total), pixel) for pixel in pixels
    ]
    return graph.add("Sum", *weighted)


def _mean_of_maxima(graph, part, X):
    """Add the maxima over every set of regions drawn in ``fit``, and their mean."""
    sides, n_channels = (part._height, part._width), part._n_channels
    if part.channels == "last":
        shape, row_axis = (*sides, n_channels), 1
    else:
        shape, row_axis = (n_channels, *sides), 2
    images = graph.add("Reshape", X, [-1, *shape])
    sets = []
    for draw in part._kept_draws:
        pooled = images
        for axis in (0, 1):
            regions = _regions(part, sides[axis], part._pooled[axis], draw[axis])
            pixels = [
                graph.add("Gather", pooled, pixel, axis=row_axis + axis)
                for pixel in regions
            ]
            pooled = graph.add("Max", *pixels)
        sets.append(graph.add("Flatten", pooled))
    return graph.add("Div", graph.add("Sum", *sets), float(len(sets)))


def _regions(part, n_pixels, n_pooled, phase):
    """Return the first pixel of all regions of an axis, the second, and so on.

    Regions that have fewer repeat their last, which leaves the maximum as it is.
    """
    bounds = part._boundaries(n_pixels, n_pooled, np.array([phase]))[0]
    first, end = bounds[:-1], bounds[1:]
    last = np.minimum(end, n_pixels - 1) if part.overlapping else end - 1
    width = np.max(last - first) + 1
    return [np.minimum(first + offset, last) for offset in range(width)]


FORMS: dict[type, Callable] = {
    FractionalMaxPooling: _mean_of_maxima,
    GaussianNoise: unchanged,
    RandomCrop: _center,
    RandomFlip: unchanged,
    RandomShift: unchanged,
    StochasticPooling: _expected_pixel,
}
