"""Mini-batches: an epoch's worth of rows, in a new order each time."""

from itertools import pairwise

import numpy as np
from scipy.sparse import issparse


class Batches:
    """Batches of ``X``, ``y`` and ``sample_weight``, gathered into buffers used again.

    Parameters
    ----------
    X : {ndarray, CSR array} of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,) or None
    batch_size : int
        Rows of a batch; the last one of an epoch may have fewer.
    shuffle : bool
        Whether each epoch visits the rows in a new random order.
    min_rows : int, default=1
        A last batch with fewer rows is merged into the one before.
    """

    def __init__(self, X, y, sample_weight, *, batch_size, shuffle, min_rows=1):
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.n_samples, self.shuffle = X.shape[0], shuffle
        starts = list(range(0, self.n_samples, batch_size))
        if len(starts) > 1 and self.n_samples - starts[-1] < min_rows:
            del starts[-1]
        self._rows = [slice(*pair) for pair in pairwise([*starts, self.n_samples])]
        self.max_rows = max(rows.stop - rows.start for rows in self._rows)
        if shuffle:
            self._buffers = [
                None if a is None or issparse(a) else np.empty_like(a[: self.max_rows])
                for a in (X, y, sample_weight)
            ]

    def epoch(self, rng):
        """Yield the (X, y, sample_weight) of every batch of one epoch."""
        if self.shuffle:
            self._order = rng.permutation(self.n_samples)
        for rows in self._rows:
            yield self._gathered(rows) if self.shuffle else self._sliced(rows)

    def sample(self, rng):
        """Return the inputs of as many random rows as a batch has."""
        return self.X[np.sort(rng.permutation(self.n_samples)[: self.max_rows])]

    def _sliced(self, rows):
        weight = self.sample_weight
        return self.X[rows], self.y[rows], None if weight is None else weight[rows]

    def _gathered(self, rows):
        indices = self._order[rows]
        return [
            None
            if array is None
            else array[indices]
            if buffer is None
            # mode="clip" lets take write straight to the buffer; indices are in range.
            else array.take(indices, 0, buffer[: len(indices)], "clip")
            for array, buffer in zip(
                (self.X, self.y, self.sample_weight), self._buffers, strict=True
            )
        ]
