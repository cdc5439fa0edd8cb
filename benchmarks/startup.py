"""Time of the first fit of a process: with nothing compiled, and from the cache.

    python benchmarks/startup.py

The program measures the imports and a fit with dropout, batch norm and the hinge loss
in a new process: without numba, with an empty cache of compiled functions, and with a
filled one. Then it measures the processor time of compilation: for the search of the
README, and for each part that is used after it. Finally it tests several processes that
start at once with an empty cache, and an installation where neither the package nor the
home directory is writable.
"""

import argparse
import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from statistics import median

import sknn_notes
from _timing import interleaved, seconds, start, write_json
from sknn_notes import _kernels

FIRST_FIT = """
from time import perf_counter
begin = perf_counter()
import warnings
import numpy as np
from sknn_notes import MLPClassifier
imported = perf_counter()
warnings.simplefilter("ignore")
X = np.random.default_rng(0).standard_normal((200, 20), dtype=np.float32)
y = np.arange(200) % 3
model = MLPClassifier(
    (50,), dropout=0.5, batch_norm=True, loss="hinge", max_iter=2, random_state=0
)
assert model.fit(X, y).predict(X).shape == (200,)
print(imported - begin, perf_counter() - imported)
"""

# The search of the README, two losses and three values of dropout, then other parts.
COMPILING = """
from time import process_time
import warnings
import numpy as np
from sknn_notes import MLPClassifier
from sknn_notes._compile import _numba
warnings.simplefilter("ignore")
X, y = np.random.default_rng(0).random((40, 64)), np.arange(40) % 10
def seconds(**parameters):
    begin = process_time()
    MLPClassifier(max_iter=1, random_state=0, **parameters).fit(X, y)
    return process_time() - begin
search = [
    seconds(loss=loss, dropout=rate, early_stopping=True, validation_fraction=0.5)
    for loss in ("log_loss", "hinge")
    for rate in (0.0, 0.25, 0.5)
]
print("search", sum(search))
for name, value in {
    "loss": ("squared_hinge", "hierarchical_softmax"),
    "activation": ("tanh", "gelu", "elu", "silu", "leaky_relu", "logistic"),
    "solver": ("sgd", "rmsprop"),
    "penalty": ("l1", "group_lasso"),
    "batch_norm": (True,),
    "layer_norm": (True,),
    "residual": (True,),
    "embedding": ("periodic", "piecewise_linear"),
    "feature_scaling": (True,),
    "dropconnect": (0.5,),
    "max_norm": (3.0,),
    "clip_norm": (1.0,),
}.items():
    for each in value:
        print(f"{name}={each}", seconds(**{name: each}))
"""


def first_fit(**environment):
    """Start a process that makes a first fit."""
    return subprocess.Popen(
        [sys.executable, "-c", FIRST_FIT],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Wait for a first fit; return the seconds of its import and of its fit."""
    output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"The fit failed:\n{errors}")
    return tuple(map(float, output.split()))


def emptied(directory):
    """Return the directory, with nothing in it."""
    shutil.rmtree(directory, ignore_errors=True)
    os.mkdir(directory)
    return str(directory)


def measure(scratch, repeats):
    """Return the seconds of whole processes, by what they start with."""
    full, empty = scratch / "full", scratch / "empty"
    contenders = {
        "numpy kernels": lambda: finish(first_fit(SKNN_NOTES_KERNELS="numpy")),
    }
    if "numba" in _kernels.available():
        finish(first_fit(NUMBA_CACHE_DIR=emptied(full)))
        contenders |= {
            "numba, empty cache": lambda: finish(
                first_fit(NUMBA_CACHE_DIR=emptied(empty))
            ),
            "numba, from cache": lambda: finish(first_fit(NUMBA_CACHE_DIR=str(full))),
        }
    return interleaved(contenders, repeats)


def compiling(scratch):
    """Return the seconds of processor time for compiling each configuration."""
    environment = os.environ | {"NUMBA_CACHE_DIR": emptied(scratch / "compiling")}
    command = [sys.executable, "-c", COMPILING]
    output = subprocess.check_output(command, env=environment, text=True)
    rows = [line.rsplit(maxsplit=1) for line in output.splitlines()]
    return {name: float(value) for name, value in rows}


def at_once(scratch, n_processes):
    """Start processes together on an empty cache; return the seconds of all."""
    cache = emptied(scratch / "shared")

    def race():
        started = [first_fit(NUMBA_CACHE_DIR=cache) for _ in range(n_processes)]
        for process in started:
            finish(process)

    return seconds(race)


def obey_permissions():
    """Remove the permission to write anywhere from the superuser."""
    if os.geteuid() == 0 and sys.platform == "linux":
        pr_capbset_drop, cap_dac_override = 24, 1
        ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0)


def read_only(scratch):
    """Fit where nothing can be written; return the seconds of import and fit."""
    package = pathlib.Path(sknn_notes.__file__).parent
    library, home = scratch / "library", scratch / "home"
    home.mkdir()
    shutil.copytree(
        package, library / package.name, ignore=shutil.ignore_patterns("__pycache__")
    )
    locked = [str(home), str(library / package.name)]
    everything = [home, library, *library.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "SKNN_NOTES_KERNELS")
    }
    environment |= {"HOME": str(home), "PYTHONPATH": str(library)}
    check = (
        f"import os; assert not any(os.access(path, os.W_OK) for path in {locked})\n"
    )
    check_package = (
        f"\nimport sknn_notes; assert {str(library)!r} in sknn_notes.__file__"
    )
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", check + FIRST_FIT + check_package],
            env=environment,
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=obey_permissions,
        )
        return finish(process)
    finally:
        for path in everything:
            path.chmod(0o755 if path.is_dir() else 0o644)


def outcome(call):
    """Return what a call returns, or the error that it raised."""
    try:
        return call()
    except RuntimeError as error:
        return error


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--processes", type=int, default=4, help="that start at once")
    options = start(parser)
    with tempfile.TemporaryDirectory() as directory:
        scratch = pathlib.Path(directory)
        times = measure(scratch, options.repeats)
        has_numba = "numba" in _kernels.available()
        compiled = compiling(scratch) if has_numba else {}
        race = outcome(lambda: at_once(scratch, options.processes))
        locked = outcome(lambda: read_only(scratch))
    print(f"{'first fit':28} {'import':>8} {'fit':>8}   seconds")
    for name, runs in times.items():
        imported, fit = (median(part) for part in zip(*runs, strict=True))
        print(f"{name:28} {imported:8.2f} {fit:8.2f}")
    for name, value in compiled.items():
        print(f"compiling {name:25} {value:10.2f}   seconds of processor time")
    if isinstance(locked, Exception):
        print(f"{'nothing can be written':28} FAILED: {locked}")
    else:
        print(f"{'nothing can be written':28} {locked[0]:8.2f} {locked[1]:8.2f}")
    together = f"{options.processes} processes at once"
    if isinstance(race, Exception):
        print(f"{together:28} FAILED: {race}")
    else:
        print(f"{together:28} {race:17.2f}   all of it")
    write_json(
        options,
        import_and_fit_seconds=times,
        compiling_seconds=compiled,
        nothing_can_be_written=locked if isinstance(locked, tuple) else str(locked),
        at_once_seconds=race if isinstance(race, float) else str(race),
    )


if __name__ == "__main__":
    main()
