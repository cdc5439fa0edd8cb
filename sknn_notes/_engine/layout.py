"""Where every array of a network lies in its flat vectors."""

from itertools import groupby
from math import prod
from typing import NamedTuple

import numpy as np

# Within theta in this order: what penalties are on lies together.
ROLES = ("weights", "biases", "others")


class Entry(NamedTuple):
    """One array: of which layer, by which name, and where.

    ``layer`` is the place in the list of layers, ``depth`` that of the layer's part of
    the network: the hidden layer, or the output.
    """

    layer: int
    name: str
    role: str
    depth: int
    shape: tuple
    start: int
    stop: int

    def view(self, vector, xp=np):
        """Return the array within a vector, or within each of several."""
        shape = (*vector.shape[:-1], *self.shape)
        return xp.reshape(vector[..., self.start : self.stop], shape)


class Layout:
    """Places of the learned arrays in ``theta``, and of the averages in ``running``.

    Parameters
    ----------
    layers : list of Layer
    """

    def __init__(self, layers):
        learned = [
            (i, name, parameter.role, layer.depth, parameter.shape)
            for role in ROLES
            for i, layer in enumerate(layers)
            for name, parameter in layer.parameters().items()
            if parameter.role == role
        ]
        averages = [
            (i, name, "running", layer.depth, shape)
            for i, layer in enumerate(layers)
            for name, shape in layer.running().items()
        ]
        self.learned, self.size = _placed(learned)
        self.averages, self.n_averages = _placed(averages)
        entries = [*self.learned, *self.averages]
        self._starts = {(entry.layer, entry.name): entry.start for entry in entries}
        self._n_layers = len(layers)

    def start(self, layer, name):
        """Return where an array of a layer starts in its vector."""
        return self._starts[layer, name]

    def views(self, theta, running=None, xp=np):
        """Return for every layer a dict of its arrays, views of the vectors."""
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
        """Return (start, stop, key) of what has equal keys and lies together.

        Parameters
        ----------
        keys : list
            One for every depth, such as the strength of a penalty.
        penalize_bias : bool
            Whether the biases are covered, too.
        """
        roles = ROLES[: 1 + penalize_bias]
        covered = [entry for entry in self.learned if entry.role in roles]
        slices = []
        for key, group in groupby(covered, lambda entry: keys[entry.depth]):
            entries = list(group)
            slices.append((entries[0].start, entries[-1].stop, key))
        return slices


def _placed(arrays):
    """Return entries one after the other, and where the last one stops."""
    entries, start = [], 0
    for *what, shape in arrays:
        stop = start + prod(shape)
        layer, name, role, depth = what
        entries.append(Entry(layer, name, role, depth, shape, start, stop))
        start = stop
    return entries, start
