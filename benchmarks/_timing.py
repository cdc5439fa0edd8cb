"""Shared code of the benchmarks: options, interleaved runs, and the description."""

import json
import os
import platform
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from time import perf_counter, process_time, sleep

from threadpoolctl import threadpool_info

from sknn_notes import _kernels

# Settings for old BLAS builds that slow a current one down.
OUTDATED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
PACKAGES = ("sknn_notes", "scikit-learn", "numpy", "scipy", "numba", "joblib")


def start(parser, threads=None):
    """Add the common options, parse, and describe the machine.

    Libraries read the number of threads when they are loaded, so the program restarts
    itself if the environment differs from ``--threads``.
    """
    parser.add_argument(
        "--threads",
        type=int,
        default=threads or os.cpu_count(),
        help="threads of every contender (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the results here")
    options = parser.parse_args()
    environment = thread_environment(options.threads)
    if environment != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    # Fits end after a fixed number of epochs on purpose.
    warnings.simplefilter("ignore")
    about = machine(options.threads)
    print(
        f"{about['processor']}, {about['cores']} cores, {options.threads} threads; "
        f"{'; '.join(about['blas'])}"
    )
    print(", ".join(f"{name} {number}" for name, number in about["versions"].items()))
    return options


def thread_environment(threads):
    """Return the environment with which every library uses ``threads`` threads."""
    environment = {k: v for k, v in os.environ.items() if k not in OUTDATED}
    for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "VECLIB_MAXIMUM"):
        name = f"{library}_THREADS" if "MAX" in library else f"{library}_NUM_THREADS"
        environment[name] = str(threads)
    environment["NPROC"] = str(threads)  # of XLA, which JAX runs on
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return environment


def machine(threads, packages=PACKAGES):
    """Return a dict of everything besides the code that the figures depend on."""
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "blas": sorted(
            {
                f"{pool['internal_api']} {pool['version']} "
                f"({pool.get('architecture')}, {pool['num_threads']} threads)"
                for pool in threadpool_info()
                if pool["user_api"] == "blas"
            }
        ),
        "python": platform.python_version(),
        "versions": installed_versions(packages),
    }


def installed_versions(packages):
    """Return the versions of those packages that are installed, by name."""
    return {name: installed for name in packages if (installed := _of(name))}


def _of(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def use_kernels(kernel_set):
    """Choose the kernel set by name, or the default with None."""
    os.environ["SKNN_NOTES_KERNELS"] = kernel_set or ""
    _kernels.active.cache_clear()


def seconds(call):
    """Return how long a call takes."""
    begin = perf_counter()
    result = call()
    elapsed = perf_counter() - begin
    del result  # not before the clock has stopped
    return elapsed


def processor_seconds(call):
    """Return the processor time of a call, on all threads."""
    begin = process_time()
    result = call()
    elapsed = process_time() - begin
    del result
    return elapsed


def interleaved(contenders, repeats, pause=0.05):
    """Run every contender in turn, ``repeats`` times, and return its results by name.

    A contender is a callable that returns its time. The order is reversed from one
    repeat to the next, so that no contender always follows the same one.
    """
    results: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    for _ in range(repeats):
        for name in order:
            # The threads of BLAS spin for a while after a product: let them rest.
            sleep(pause)
            results[name].append(contenders[name]())
        order.reverse()
    return results


def ratio(results, name, baseline):
    """Return the median over the repeats of one contender's time over another's."""
    pairs = zip(results[name], results[baseline], strict=True)
    return median(one / other for one, other in pairs)


def write_json(options, packages=PACKAGES, **numbers):
    """Store the results of a run if ``--json`` is set."""
    if options.json:
        content = {"machine": machine(options.threads, packages)} | numbers
        with open(options.json, "w") as file:
            json.dump(content, file, indent=1)
