"""Compiled operations of a training step, and the functions that their loops call.

A training step is a list of operations. Each is a function of one signature,

    operation(memory, at, numbers, n, key, t) -> float

that reads and writes slices of flat arrays (`Memory`). The integers ``at`` say where
the slices lie, and ``numbers`` holds its parameters. It is compiled once for a dtype,
whatever the other operations of the step are, and called through its address.

This module needs no numba, so that loops can be written beside the definitions that
they are the fast form of; ``_numba`` compiles them.
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
    """All that the operations of a step read and write, as flat arrays.

    ``x``, ``targets``, ``classes`` and ``weights`` are the rows of the batch, the last
    three empty where there are none. ``work`` holds what lives for a step, ``bits`` is
    room for the random bits of a row; ``first`` and ``second`` are the memory of the
    optimizer.

    Of a sparse batch, ``x`` are the stored entries. ``entries`` tells where they stand:
    the columns of row ``i`` are its elements from ``entries[i] + i`` to
    ``entries[i + 1] + i + 1``. Where a step chooses outputs, they are ``classes``, and
    ``targets`` belong to them; see ``ChosenOutputs``.
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
    """What the operations read and write that choose the active rows of a step.

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
    """The operations of a step, in order, and what each is called with.

    Operation ``i`` has the integers from ``at_edges[i]`` to ``at_edges[i + 1]`` of
    ``at``, the same of the numbers, and the key in column ``keys[i]``. The first
    ``n_objective`` compute the objective and its gradient.
    """

    addresses: np.ndarray
    at: np.ndarray
    at_edges: np.ndarray
    number_edges: np.ndarray
    keys: np.ndarray
    n_objective: int


# Functions that compiled loops may call, and are yet to be made known to numba.
HELPERS: list[Callable[..., Any]] = []


def helper(function: F) -> F:
    """Let compiled loops call a plain function, which is compiled into them."""
    HELPERS.append(function)
    # Pickled with a function that is sent to another process by value.
    vars(function)["is_helper"] = True
    return function


@helper
def matrix(flat: Any, start: int, n_rows: int, n_columns: int) -> Any:
    """Return the matrix that starts at a place of a flat array."""
    return flat[start : start + n_rows * n_columns].reshape(n_rows, n_columns)


@helper
def fill(flat: Any, number: Any) -> None:
    """Set all elements of a flat array; a loop compiles faster than an assignment."""
    for i in range(len(flat)):
        flat[i] = number


def cast(number: float, like: Any) -> Any:
    """Return a number in the type of another, in which compiled loops then compute."""
    return number


def prefetch(array: np.ndarray, place: int) -> None:
    """Have an element of an array fetched to the cache, which compiled loops do."""


def n_missing(operations: Iterable[Any], dtype: Any) -> int:
    """Return how many operations are yet to be compiled.

    Parameters
    ----------
    operations : iterable of (callable, tuple of callable)
        What ``address`` takes.
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
        The operation or, with ``loops``, what makes it of them.
    *loops : callable
        Plain functions of parts.
    dtype : dtype
        float32 or float64.
    active : bool, default=False
        Whether it is an operation on ``Active``, too.
    """
    from sknn_notes._compile import _numba

    with _compiling:
        place: int = _numba.address(function, loops, np.dtype(dtype), active)
    return place
