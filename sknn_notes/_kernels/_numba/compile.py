"""How the kernels of this set are compiled."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit

# No full fastmath: it assumes that NaN and infinity don't occur, and so would blind
# the checks for them. Never parallel: threads of two libraries fight for the cores.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}

# Functions of one file are compiled into those of another, and installed files may all
# bear the same date: what is on disk is good for exactly these sources.
SOURCES = sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()


def compiled(function: Callable, **changes) -> Callable:
    """Compile a function at its first call, and keep the result on disk if possible."""
    options = OPTIONS | changes
    try:
        dispatcher = njit(cache=True, **options)(function)
    except RuntimeError:  # No directory for the cache can be written.
        return njit(**options)(function)
    # By itself numba looks at the date of the function's own file alone.
    dispatcher._cache._cache_file._source_stamp = SOURCES
    return dispatcher


def compiled_inside(function: Callable) -> Callable:
    """Compile a function that only compiled ones call, which takes half as long."""
    return compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def compiled_exactly(function: Callable) -> Callable:
    """Compile a function whose order of operations matters to the last place."""
    return compiled(function, fastmath=False)
