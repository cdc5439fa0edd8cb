"""Mini-batches of an epoch, with the rows in a new random order each time."""

import copy
from functools import cached_property
from itertools import pairwise

import numpy as np

from sknn_notes._arrays import to_numpy
from sknn_notes._engine.finite import input_size
from sknn_notes._engine.rows import Rows, as_matrix, is_sparse, rows_of, take


class Batches:
    """Batches of ``X``, ``y`` and ``sample_weight``, gathered into reused buffers.

    Parameters
    ----------
    X : {ndarray, CSR array, Rows} of shape (n_samples, n_features)
        ``Rows`` of a larger matrix are not copied before their batch.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,) or None
    batch_size : int
        Number of rows of a batch; the last one of an epoch may have fewer.
    shuffle : bool
        Whether to shuffle the rows before each epoch.
    min_rows : int, default=1
        A last batch with fewer rows is merged into the one before.

    Attributes
    ----------
    starts : list of int
        Where the batches of an epoch begin.
    source : object
        Key that identifies the rows, None if not yet computed.
    chances : dict
        Computed losses of constant predictions: the loss and these, by its ``id``.
    """

    source: object = None

    def __init__(self, X, y, sample_weight, *, batch_size, shuffle, min_rows=1):
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.n_samples, self.shuffle = X.shape[0], shuffle
        starts = list(range(0, self.n_samples, batch_size))
        if len(starts) > 1 and self.n_samples - starts[-1] < min_rows:
            del starts[-1]
        self.starts = starts
        self._rows = [slice(*pair) for pair in pairwise([*starts, self.n_samples])]
        self.n_batches = len(self._rows)
        self._edges = np.array([*starts, self.n_samples])
        self.max_rows = max(rows.stop - rows.start for rows in self._rows)
        self.chances: dict = {}
        self._buffers: list = []
        self._capacity = 0

    @cached_property
    def input_size(self):
        """Upper bound of the absolute values of the inputs."""
        return input_size(self.X)

    def own(self):
        """Return the same batches with separate buffers, for another thread."""
        batches = copy.copy(self)
        batches._buffers, batches._capacity = [], 0
        return batches

    def signature(self, counts_rows):
        """Return a key that is equal for batches on which networks can train together.

        Their last batches may have different numbers of rows, unless ``counts_rows``.
        """
        arrays = self.y, self.sample_weight
        kinds = [None if a is None else (str(a.dtype), a.shape[1:]) for a in arrays]
        n_rows = self.n_samples if counts_rows else None
        return tuple(self.starts), self.shuffle, self.X.shape[1], *kinds, n_rows

    def epoch(self, rng):
        """Yield (X, y, sample_weight) of each batch of an epoch."""
        if not self.shuffle:
            yield from map(self._sliced, self._rows)
            return
        order = rng.permutation(self.n_samples)
        for rows in self._rows:
            yield self._gathered(order[rows], self.max_rows)

    def blocks(self, rng, n_batches):
        """Yield the same batches in buffers, up to ``n_batches`` at a time.

        Yields
        ------
        X, y, sample_weight : ndarray or None
            The rows of the batches, one batch after the other.
        edges : ndarray
            Batch ``i`` is rows ``edges[i]`` to ``edges[i + 1]``.
        """
        n = self.n_samples
        order = rng.permutation(n) if self.shuffle else np.arange(n)
        capacity = min(n_batches * self.max_rows, n)
        for i in range(0, self.n_batches, n_batches):
            edges = self._edges[i : i + n_batches + 1]
            indices = order[edges[0] : edges[-1]]
            yield *self._gathered(indices, capacity), edges - edges[0]

    def sample(self, rng):
        """Return the inputs of a batch of random rows."""
        rows = np.sort(rng.permutation(self.n_samples)[: self.max_rows])
        return to_numpy(as_matrix(rows_of(self.X, rows)))

    def _sliced(self, rows):
        weight = self.sample_weight
        X = to_numpy(self.X[rows])
        return X, self.y[rows], None if weight is None else weight[rows]

    def _gathered(self, indices, capacity):
        arrays = self.X, self.y, self.sample_weight
        if capacity > self._capacity:
            self._capacity = capacity
            self._buffers = [
                None
                if a is None or not isinstance(a, np.ndarray | Rows) or is_sparse(a)
                else np.empty((capacity, *a.shape[1:]), a.dtype)
                for a in arrays
            ]
        n, found = len(indices), []
        for array, buffer in zip(arrays, self._buffers, strict=True):
            out = None if buffer is None else buffer[:n]
            rows = None if array is None else take(array, indices, out)
            found.append(None if rows is None else to_numpy(rows))
        return found
