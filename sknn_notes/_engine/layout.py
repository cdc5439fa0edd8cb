"""Positions of the arrays of a network in its flat vectors."""

from itertools import groupby
from math import prod
from typing import NamedTuple

import numpy as np

from sknn_notes._arrays import transpose

# The order in theta, so that penalized arrays are adjacent.
ROLES = ("weights", "biases", "others")


class Entry(NamedTuple):
    """Layer, name and position of an array.

    ``layer`` is the index in the list of layers, ``depth`` that of the hidden layer or
    output that the layer belongs to. A ``transposed`` matrix is stored by columns.
    """

    layer: int
    name: str
    role: str
    depth: int
    shape: tuple
    transposed: bool
    start: int
    stop: int

    def view(self, vector, xp=np):
        """Return the array within a vector, or within each of several."""
        shape = self.shape[::-1] if self.transposed else self.shape
        slices = vector[..., self.start : self.stop]
        array = xp.reshape(slices, (*vector.shape[:-1], *shape))
        return transpose(array) if self.transposed else array


class Layout:
    """Positions of learned arrays in ``theta``, and of averages in ``running``.

    Parameters
    ----------
    layers : list of Layer
    last : sequence of (int, str), default=()
        Indices of layers, and names, of the learned arrays at the end, in order.
    """

    def __init__(self, layers, last=()):
        learned = [
            (i, name, role, layer.depth, parameter.shape, parameter.transposed)
            for role in ROLES
            for i, layer in enumerate(layers)
            for name, parameter in layer.parameters().items()
            if parameter.role == role
        ]
        keys = list(last)
        learned.sort(key=lambda x: keys.index(x[:2]) if x[:2] in keys else -1)
        averages = [
            (i, name, "running", layer.depth, shape, False)
            for i, layer in enumerate(layers)
            for name, shape in layer.running().items()
        ]
        self.learned, self.size = _placed(learned)
        self.averages, self.n_averages = _placed(averages)
        entries = [*self.learned, *self.averages]
        self._entries = {(entry.layer, entry.name): entry for entry in entries}
        self._n_layers = len(layers)

    def entry(self, layer, name):
        """Return the entry of an array of a layer."""
        return self._entries[layer, name]

    def views(self, theta, running=None, xp=np):
        """Return a dict of arrays for each layer, views of the vectors."""
        views: list[dict] = [{} for _ in range(self._n_layers)]
        for entry in self.learned:
            views[entry.layer][entry.name] = entry.view(theta, xp)
        if running is not None:
            for entry in self.averages:
                views[entry.layer][entry.name] = entry.view(running, xp)
        return views

    def matrices(self):
        """Return the entries of the weights."""
        return [entry for entry in self.learned if entry.role == "weights"]

    def slices(self, keys, penalize_bias):
        """Return (start, stop, key) of adjacent arrays with equal keys.

        Parameters
        ----------
        keys : list
            One per depth, such as the strength of a penalty.
        penalize_bias : bool
            Whether the biases are covered, too.
        """
        roles = ROLES[: 1 + penalize_bias]
        kinds = [
            (entry.role in roles, keys[entry.depth] if entry.role in roles else None)
            for entry in self.learned
        ]
        slices = []
        for (covered, key), group in groupby(
            zip(kinds, self.learned, strict=True), lambda pair: pair[0]
        ):
            entries = [entry for _, entry in group]
            if covered:
                slices.append((entries[0].start, entries[-1].stop, key))
        return slices


def _placed(arrays):
    """Return entries at consecutive positions, and the end of the last one."""
    entries, start = [], 0
    for what in arrays:
        stop = start + prod(what[4])
        entries.append(Entry._make([*what, start, stop]))
        start = stop
    return entries, start
