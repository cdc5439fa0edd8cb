"""Rows of a matrix that are read when they are needed, without a copy."""

import numpy as np
from scipy.sparse import issparse

from sknn_notes._arrays import from_numpy, namespace

# Elements of a block of rows.
_BLOCK_SIZE = 2**20


class Rows:
    """Some rows of a matrix, in the dtype of the network.

    An object holds the unchanged matrix and an index. Rows are gathered and converted
    when they are read, so held-out rows and memory maps need no copy.

    Parameters
    ----------
    X : {ndarray, CSR array} of shape (n_all, n_features)
    index : ndarray of int of shape (n_samples,), default=None
        Indices of the rows, in order. None for all rows.
    dtype : dtype, default=None
        Type of the rows when they are read. None for that of ``X``; a sparse matrix
        must have it already.
    """

    ndim = 2

    def __init__(self, X, index=None, dtype=None):
        self._X, self._index = X, index
        self.dtype = X.dtype if dtype is None else np.dtype(dtype)
        self.shape = (X.shape[0] if index is None else len(index), X.shape[1])
        self.is_sparse = issparse(X)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        """Return the rows of a slice, or of an array of positions."""
        index = rows if self._index is None else self._index[rows]
        found = self._X[index]
        if self.is_sparse:
            return found
        return np.asarray(found, dtype=self.dtype, order="C")

    @property
    def T(self):
        """The columns, one after the other."""
        rows = slice(None) if self._index is None else self._index
        return (
            self._X[rows, j].astype(self.dtype, copy=False)
            for j in range(self.shape[1])
        )

    @property
    def n_entries(self):
        """Number of entries of each row of a sparse matrix."""
        counts = np.diff(self._X.indptr)
        return counts if self._index is None else counts[self._index]

    def read(self, rows, out):
        """Write the rows at some positions into ``out``, and return it."""
        if self._index is not None:
            rows = self._index[rows]
        if out.dtype != self._X.dtype:
            out[...] = self._X.take(rows, 0)
            return out
        return take(self._X, rows, out)

    def of(self, index):
        """Return some of the rows."""
        if self._index is not None:
            index = self._index[index]
        return Rows(self._X, index, self.dtype)


def take(array, rows, out):
    """Write the rows of an array or of ``Rows`` into ``out``, and return it.

    With ``out=None`` they are returned as a new array or sparse array.
    """
    if out is None:
        return array[rows]
    if isinstance(array, Rows):
        return array.read(rows, out)
    # mode="clip" lets take write straight to out; the rows are in range.
    return array.take(rows, 0, out, "clip")


def rows_of(X, index):
    """Return some rows of a matrix or of ``Rows``, not copied; of a tensor, copied."""
    if isinstance(X, Rows):
        return X.of(index)
    if isinstance(X, np.ndarray) or issparse(X):
        return Rows(X, index)
    xp = namespace(X)
    return xp.take(X, from_numpy(index, X, xp), axis=0)


def as_matrix(X):
    """Return ``Rows`` as a matrix; any other matrix is returned unchanged."""
    return X[:] if isinstance(X, Rows) else X


def matrix_and_index(X):
    """Return the matrix of ``Rows`` and their index, None for all rows."""
    return (X._X, X._index) if isinstance(X, Rows) else (X, None)


def is_sparse(X):
    """Tell whether a matrix, or the matrix of ``Rows``, is sparse."""
    return X.is_sparse if isinstance(X, Rows) else issparse(X)


def n_entries(X):
    """Return the number of entries of each row of a sparse matrix."""
    if not isinstance(X, Rows):
        return np.diff(X.indptr)
    return X.n_entries


def blocks_of(X):
    """Yield the matrix itself, and ``Rows`` in blocks."""
    if not isinstance(X, Rows):
        yield X
        return
    n_rows = max(1, _BLOCK_SIZE // X.shape[1])
    for start in range(0, len(X), n_rows):
        yield X[start : start + n_rows]
