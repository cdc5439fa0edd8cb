"""Numerical kernels of the transformers, and the choice of the executor of networks.

The numpy kernels are the reference. Faster sets are subpackages with the same functions
and arguments, and the same results to rounding. Networks compile their steps if the
numba set is in use.

The environment variable ``SKNN_NOTES_KERNELS`` selects a set. By default, the fastest
one that can be imported is used.
"""

import importlib
import importlib.util
import os
import warnings
from functools import cache
from types import ModuleType

# Fastest first: the name of each set and the package it needs.
KERNEL_SETS = {"numba": "numba", "numpy": "numpy"}


def available() -> list[str]:
    """Return the names of the available kernel sets, fastest first."""
    return [
        name
        for name, requirement in KERNEL_SETS.items()
        if importlib.util.find_spec(requirement) is not None
    ]


@cache
def active() -> ModuleType:
    """Return the kernel set in use, a module, chosen in the first call."""
    name = os.environ.get("SKNN_NOTES_KERNELS")
    if name:
        if name not in available():
            raise ValueError(
                f"SKNN_NOTES_KERNELS={name!r} is not an available kernel set. "
                f"Available: {available()}; unset it to use the fastest."
            )
        return importlib.import_module(f"sknn_notes._kernels._{name}")
    *faster, slowest = available()
    for name in faster:
        try:
            return importlib.import_module(f"sknn_notes._kernels._{name}")
        except Exception as error:
            warnings.warn(
                f"The {name} kernels can't be used ({type(error).__name__}: {error}). "
                f"The {slowest} kernels are used instead. Set "
                f"SKNN_NOTES_KERNELS={slowest} to silence this warning.",
                stacklevel=2,
            )
    return importlib.import_module(f"sknn_notes._kernels._{slowest}")
