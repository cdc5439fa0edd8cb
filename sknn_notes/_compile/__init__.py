"""Compiled operations of a training step, and the functions that their loops call.

A training step is a list of operations. Each is a function of one signature,

    operation(memory, at, numbers, n, key, t) -> float

that reads and writes slices of flat arrays (`Memory`). The integers ``at`` are the
positions of the slices, and ``numbers`` contains its parameters. It is compiled once
per dtype, independently of the other operations of the step, and called by its address.

This module does not require numba, so loops can be written beside the definitions of
which they are the fast form; ``_numba`` compiles them.
"""

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np

__all__ = [
    "HELPERS",
    "Active",
    "Memory",
    "Tape",
    "address",
    "cast",
    "fill",
    "helper",
    "matrix",
    "n_missing",
    "prefetch",
]

# Fits may run on several threads.
_compiling = Lock()

F = TypeVar("F", bound=Callable[..., Any])


class Memory(NamedTuple):
    """Flat arrays that the operations of a step read and write.

    ``x``, ``targets``, ``classes`` and ``weights`` are the rows of the batch; the last
    three are empty if there are none. ``work`` contains intermediate results of a step,
    ``bits`` the random bits of a row; ``first`` and ``second`` are the memory of the
    optimizer.

    For a sparse batch, ``x`` contains the stored entries, and ``entries`` their
    positions: the columns of row ``i`` are its elements from ``entries[i] + i`` to
    ``entries[i + 1] + i + 1``. If a step chooses outputs, ``classes`` contains their
    indices, and ``targets`` their targets; see ``ChosenOutputs``.
    """

    x: np.ndarray
    targets: np.ndarray
    classes: np.ndarray
    weights: np.ndarray
    work: np.ndarray
    bits: np.ndarray
    theta: np.ndarray
    grad: np.ndarray
    running: np.ndarray
    first: np.ndarray
    second: np.ndarray
    entries: np.ndarray


class Active(NamedTuple):
    """Arrays that the operations on active rows read and write.

    ``theta``, ``first`` and ``second`` are parameters and memory of the whole network;
    see ``sknn_notes._engine.active``.
    """

    theta: np.ndarray
    first: np.ndarray
    second: np.ndarray
    marks: np.ndarray
    ledger: np.ndarray
    at: np.ndarray
    addresses: np.ndarray


class Tape(NamedTuple):
    """The operations of a step, in order, and their arguments.

    Operation ``i`` takes the integers from ``at_edges[i]`` to ``at_edges[i + 1]`` of
    ``at``, the numbers from ``number_edges[i]`` to ``number_edges[i + 1]``, and the key
    in column ``keys[i]``. The first ``n_objective`` operations compute the objective
    and its gradient.
    """

    addresses: np.ndarray
    at: np.ndarray
    at_edges: np.ndarray
    number_edges: np.ndarray
    keys: np.ndarray
    n_objective: int


# Functions that compiled loops may call, not yet registered with numba.
HELPERS: list[Callable[..., Any]] = []


def helper(function: F) -> F:
    """Let compiled loops call a plain function, which is compiled into them."""
    HELPERS.append(function)
    # An attribute is pickled with a function that is sent to another process.
    vars(function)["is_helper"] = True
    return function


@helper
def matrix(flat: Any, start: int, n_rows: int, n_columns: int) -> Any:
    """Return the matrix that starts at a position of a flat array."""
    return flat[start : start + n_rows * n_columns].reshape(n_rows, n_columns)


@helper
def fill(flat: Any, number: Any) -> None:
    """Set all elements of a flat array; a loop compiles faster than an assignment."""
    for i in range(len(flat)):
        flat[i] = number


def cast(number: float, like: Any) -> Any:
    """Return a number; in compiled loops, it gets the type of ``like``."""
    return number


def prefetch(array: np.ndarray, place: int) -> None:
    """Do nothing; in compiled loops, prefetch an element of an array."""


def n_missing(operations: Iterable[Any], dtype: Any) -> int:
    """Return the number of operations that are not compiled yet.

    Parameters
    ----------
    operations : iterable of (callable, tuple of callable)
        Arguments of ``address``.
    dtype : dtype
        float32 or float64.
    """
    from sknn_notes._compile import _numba

    keys = {(*operation, np.dtype(dtype)) for operation in operations}
    return sum(not _numba.is_kept(*key) for key in keys)


def address(
    function: Callable[..., Any],
    *loops: Callable[..., Any],
    dtype: Any,
    active: bool = False,
) -> int:
    """Return the address of a compiled operation.

    Parameters
    ----------
    function : callable
        The operation or, with ``loops``, a function of them that returns it.
    *loops : callable
        Plain functions of parts.
    dtype : dtype
        float32 or float64.
    active : bool, default=False
        Whether the operation also takes an ``Active``.
    """
    from sknn_notes._compile import _numba

    with _compiling:
        place: int = _numba.address(function, loops, np.dtype(dtype), active)
    return place
