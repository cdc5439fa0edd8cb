"""Versions of the library, of what it runs on, and of the machine, for a report."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from threadpoolctl import threadpool_info

from sknn_notes import _kernels
from sknn_notes._version import __version__

_PACKAGES = [
    *("scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"),
    *("numba", "llvmlite", "torch", "matplotlib", "pandas", "polars", "rich"),
    *("onnx", "skl2onnx", "onnxruntime", "dask", "distributed"),
]


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def show_versions() -> None:
    """Print the versions and settings that a bug report should include.

    Prints the versions of Python and of the packages that the library can use (None
    stands for one that isn't installed), the operating system, the executor of the
    training steps, and the BLAS and OpenMP libraries that the process has loaded.

    Examples
    --------
    >>> import sknn_notes
    >>> sknn_notes.show_versions()  # doctest: +ELLIPSIS
    System:
                python: ...
    """
    blocks: dict[str, dict[str, Any]] = {
        "System": {
            "python": sys.version.replace("\n", " "),
            "executable": sys.executable,
            "machine": platform.platform(),
            "CPU cores": os.cpu_count(),
        },
        "Packages": {
            "sknn_notes": __version__,
            **{package: _installed(package) for package in _PACKAGES},
        },
        "Training steps": {
            "executor": _kernels.active().__name__.rpartition("_")[2],
            "SKNN_NOTES_KERNELS": os.environ.get("SKNN_NOTES_KERNELS"),
        },
    }
    for number, library in enumerate(threadpool_info(), 1):
        blocks[f"Threads of library {number}"] = library
    for title, lines in blocks.items():
        print(f"{title}:")
        for name, value in lines.items():
            print(f"{name:>18}: {value}")
        print()
