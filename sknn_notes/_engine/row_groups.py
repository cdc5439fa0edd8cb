"""Groups of rows that are active together, and their positions."""

import numpy as np


class Group:
    """Rows of one or two arrays that are active together.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    capacity : int
        Maximum number of active rows.

    Attributes
    ----------
    place : ndarray of int of shape (n_rows,)
        Index of an active row in the compact network; -1 for idle rows.
    last : ndarray of int of shape (n_rows,)
        The step that a row has caught up with, counted since all rows caught up.
    rows : ndarray of int of shape (capacity,)
        The active rows, in the order of the compact network.
    n_active : int
        Number of active rows.
    start : int
        Start of these arrays in the marks of ``ActiveRows``.
    """

    place: np.ndarray
    last: np.ndarray
    rows: np.ndarray

    def __init__(self, n_rows, capacity):
        self.n_rows, self.capacity = n_rows, capacity
        self.n_active = self.start = 0

    @property
    def active(self):
        """The active rows."""
        return self.rows[: self.n_active]

    def choose(self, rows):
        """Make rows active, in this order."""
        self.n_active = len(rows)
        self.active[:] = rows
        self.place[rows] = np.arange(len(rows))

    def release(self):
        """Make all rows idle."""
        self.place[self.active] = -1
        self.n_active = 0


class Block:
    """One array of a group.

    Parameters
    ----------
    group : Group
    key : tuple of (int, str)
        Layer and name of the array.
    whole, compact : Entry
        Positions in the parameters of the two networks.
    depth : int or None
        Depth of the strength of its penalty.

    Attributes
    ----------
    width : int
        Number of elements of a row.
    ledger : ndarray of shape (N_IDLE + 1, n_numbers)
        Row ``i`` contains the effect on idle rows of the steps after step ``i``.
    sums : ndarray of shape (2,)
        Sums of the absolute values and of the squares of idle rows, when they were last
        active.
    ledger_start, sums_start : int
        Starts of these in the ledger of ``ActiveRows``.
    """

    ledger: np.ndarray
    sums: np.ndarray
    ledger_start: int
    sums_start: int

    def __init__(self, group, key, whole, compact, depth):
        self.group, self.key, self.depth = group, key, depth
        self.whole, self.compact = whole, compact
        self.width = (whole.stop - whole.start) // group.n_rows

    def all_rows(self, vector):
        """Return the rows in a vector of the whole network."""
        rows = vector[self.whole.start : self.whole.stop]
        return rows.reshape(self.group.n_rows, self.width)

    def active_rows(self, vector):
        """Return the active rows in a vector of the compact network."""
        start, n_rows = self.compact.start, self.group.n_active
        return vector[start : start + n_rows * self.width].reshape(n_rows, self.width)

    def add_to_sums(self, W, sign):
        """Add rows to the sums, or subtract them."""
        W = W.astype(np.float64, copy=False)
        self.sums += sign * np.array([np.sum(np.abs(W)), np.sum(W * W)])
