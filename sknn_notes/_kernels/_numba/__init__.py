"""Kernels compiled by numba, each with a single pass over memory."""

from numba import config

if vars(config)["DISABLE_JIT"]:
    raise ImportError(
        "NUMBA_DISABLE_JIT is set, so numba compiles nothing. Unset it, or set "
        "SKNN_NOTES_KERNELS=numpy."
    )

from sknn_notes._kernels._numba.columns import *
