"""How the kernels of this set are compiled."""

from collections.abc import Callable
from typing import Any

from numba import njit

from sknn_notes._kernels._numba.cache import DiskCache

# No full fastmath: it assumes that NaN and infinity don't occur, and so would blind
# the checks for them. Never parallel: threads of two libraries fight for the cores.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}


def compiled(function: Callable, **changes) -> Callable:
    """Compile a function at its first call, and keep the result on disk if possible."""
    dispatcher = njit(**OPTIONS | changes)(function)
    dispatcher._cache = DiskCache(function)
    return dispatcher


def compiled_inside(function: Callable) -> Callable:
    """Compile a function that only compiled ones call, which takes half as long."""
    return compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def compiled_exactly(function: Callable) -> Callable:
    """Compile a function whose order of operations matters to the last place."""
    return compiled(function, fastmath=False)
