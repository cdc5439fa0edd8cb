"""Numerical kernels of the transformers, and which executor the networks use.

There is one set in plain numpy, the definition, and others that are faster: subpackages
with the same functions, the same arguments and the same results to rounding. Networks
compile their steps where the numba set is in use.

``SKNN_NOTES_KERNELS`` names the set; without it the fastest one that can be imported is
taken.
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
    """Names of the kernel sets whose requirement is installed, fastest first."""
    return [
        name
        for name, requirement in KERNEL_SETS.items()
        if importlib.util.find_spec(requirement) is not None
    ]


@cache
def active() -> ModuleType:
    """Return the kernel set in use, a module of functions; chosen at the first call."""
    name = os.environ.get("SKNN_NOTES_KERNELS")
    if name:
        if name not in available():
            raise ValueError(
                f"SKNN_NOTES_KERNELS={name!r} names no kernel set that can be used "
                f"here. Accepted: {available()}; unset it to take the fastest."
            )
        return importlib.import_module(f"sknn_notes._kernels._{name}")
    *faster, slowest = available()
    for name in faster:
        try:
            return importlib.import_module(f"sknn_notes._kernels._{name}")
        except Exception as error:
            warnings.warn(
                f"The {name} kernels can't be used ({type(error).__name__}: {error}); "
                f"the {slowest} kernels are used instead. Set "
                f"SKNN_NOTES_KERNELS={slowest} to use these without a warning.",
                stacklevel=2,
            )
    return importlib.import_module(f"sknn_notes._kernels._{slowest}")
