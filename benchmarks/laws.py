"""Scaling laws: time against rows, columns, stored entries and cores, and a floor.

    python benchmarks/laws.py --threads 1
    python benchmarks/laws.py --threads 1 --sweeps rows entries

Networks with 100 hidden units and two classes are trained by Adam with L2 on float32
batches of 200. The floor of a time is that of its matrix products alone, or that of the
bytes that must be read and written, at the bandwidth of `numpy.copyto` between large
arrays.

- rows: a fit of three epochs on 50 columns, per row and epoch. Bytes: the batches
  gathered from X.
- columns: a step on dense rows. Bytes: the batch gathered from X, and the parameters
  and two moments of Adam.
- entries: a step on sparse rows in 100,000 columns, drawn uniformly, without the end of
  the call, where all rows of the first matrix W are updated. Bytes: the active rows of
  W and their two moments.
- cores: a grid search in two processes and an ensemble on two threads, relative to one;
  products alone show the possible gain of the second core.
- memory: the peak of a fit, as reported by the operating system, and a formula.

The exponent b of a scaling law, time ~ size^b, is the slope on a logarithmic scale over
the larger half of its sizes. Times are the shortest of the repeats, and processor times
except for cores. Classes are measured by many_classes.py.
"""

import argparse
import resource
import sys

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import csr_array
from sklearn.model_selection import GridSearchCV

from _steps import N_BATCHES, Configuration, products_step
from _timing import interleaved, processor_seconds, seconds, start, write_json
from sknn_notes import MLPClassifier

N_HIDDEN, N_CLASSES, BATCH = 100, 2, 200
N_OUTPUTS = 1  # of a network for two classes
ROWS, ROW_COLUMNS, ROW_EPOCHS = [10**n for n in range(3, 8)], 50, 3
COLUMNS = 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000
ENTRIES, SPARSE_COLUMNS = (5, 10, 25, 50, 100, 250, 500), 100_000
FEW, MORE = 10, 60  # batches of a call on sparse rows
MEMORY_COLUMNS, MEMORY_UNITS = 20_000, 2_000
PARAMETER_COPIES = 4.3  # of Adam, by memory.py


def network(hidden=N_HIDDEN, **parameters):
    return MLPClassifier(
        (hidden,),
        batch_size=BATCH,
        random_state=0,
        n_iter_no_change=np.inf,
        **parameters,
    )


def dense(n_rows, n_columns):
    X = np.random.default_rng(0).standard_normal((n_rows, n_columns), dtype=np.float32)
    return X, np.arange(n_rows) % N_CLASSES


def shortest(calls, repeats, clock=processor_seconds):
    """Return the shortest time of each call; the calls alternate."""
    contenders = {name: lambda c=call: clock(c) for name, call in calls.items()}
    return {
        name: min(times) for name, times in interleaved(contenders, repeats).items()
    }


def bandwidth():
    """Return the bytes a second that `numpy.copyto` reads and writes."""
    a = np.ones(2**26, np.float32)
    b = np.zeros_like(a)
    return 2 * a.nbytes / shortest({"copy": lambda: np.copyto(b, a)}, 5)["copy"]


def products(n_columns):
    """Return a call that computes the products of steps, and the number of steps."""
    configuration = Configuration(n_columns, (N_HIDDEN,), N_OUTPUTS, BATCH)
    n_epochs = max(1, 20_000 // n_columns)
    return products_step(configuration, n_epochs), n_epochs * N_BATCHES


def exponent(sizes, times):
    """Return the slope of log time over log size, from the larger half of the sizes."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(times[half:]), 1)[0])


# Each sweep returns its figures by size: "time", "products" or "bytes", in seconds.


def rows(options, copy_rate):
    """Return seconds per row and epoch of a whole fit."""
    run, n_steps = products(ROW_COLUMNS)
    floor = shortest({"": run}, options.repeats)[""] / (n_steps * BATCH)
    X, y = dense(max(options.rows), ROW_COLUMNS)
    found = {}
    for n in options.rows:
        fit = network(max_iter=ROW_EPOCHS).fit
        call = {"": lambda fit=fit, n=n: fit(X[:n], y[:n])}
        repeats = options.repeats if n <= 10**6 else 1
        found[n] = {
            "time": shortest(call, repeats)[""] / (n * ROW_EPOCHS),
            "products": floor,
            "bytes": 2 * X[0].nbytes / copy_rate,
        }
    return found


def columns(options, copy_rate):
    """Return seconds of a step on dense rows: of a longer fit less one of an epoch."""
    found = {}
    for n in COLUMNS:
        X, y = dense(min(20_000, max(2_000, 20_000_000 // n)), n)
        n_epochs = 4 if n <= 1_000 else 2
        fits = {epochs: network(max_iter=epochs).fit for epochs in (1, 1 + n_epochs)}
        calls = {k: lambda fit=fit, X=X, y=y: fit(X, y) for k, fit in fits.items()}
        calls["products"], n_product_steps = products(n)
        times = shortest(calls, options.repeats)
        n_parameters = (n + 1) * N_HIDDEN + (N_HIDDEN + 1) * N_OUTPUTS
        moved = 2 * X[:BATCH].nbytes + 6 * 4 * n_parameters
        found[n] = {
            "time": (times[1 + n_epochs] - times[1]) / (n_epochs * -(-len(X) // BATCH)),
            "products": times["products"] / n_product_steps,
            "bytes": moved / copy_rate,
        }
    return found


def entries(options, copy_rate):
    """Return seconds of a step on sparse rows."""
    rng = np.random.default_rng(0)
    n_rows = BATCH * MORE
    y = np.arange(n_rows) % N_CLASSES
    found = {}
    for n in ENTRIES:
        indices = rng.integers(SPARSE_COLUMNS, size=n_rows * n, dtype=np.int32)
        ends = n * np.arange(n_rows + 1, dtype=np.int32)
        values = np.ones(len(indices), np.float32)
        X = csr_array((values, indices, ends), shape=(n_rows, SPARSE_COLUMNS))
        X.sum_duplicates()
        model = network().partial_fit(X[:BATCH], y[:BATCH], classes=range(N_CLASSES))
        calls = {
            n_batches: lambda end=n_batches * BATCH, model=model, X=X: (
                model.partial_fit(X[:end], y[:end])
            )
            for n_batches in (FEW, MORE)
        }
        times = shortest(calls, options.repeats)
        n_active = len(np.unique(X[:BATCH].indices))
        step = (times[MORE] - times[FEW]) / (MORE - FEW)
        found[n] = {
            "time": step,
            "per entry": step / (BATCH * n),
            "bytes": 6 * 4 * N_HIDDEN * n_active / copy_rate,
        }
    return found


def cores(options):
    """Return seconds of a search and of an ensemble by their number of jobs."""
    X, y = dense(8_000, ROW_COLUMNS)
    grid = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2]}
    estimator = network(max_iter=20)
    calls = {}
    for n_jobs in (1, 2):
        search = GridSearchCV(estimator, grid, cv=3, refit=False, n_jobs=n_jobs)
        ensemble = network(max_iter=30, n_networks=4, n_jobs=n_jobs)
        calls["search", n_jobs] = lambda search=search: search.fit(X, y)
        calls["ensemble", n_jobs] = lambda ensemble=ensemble: ensemble.fit(X, y)
    run, _ = products(1_000)
    calls["products", 1] = lambda: [run() for _ in range(8)]
    calls["products", 2] = lambda: Parallel(2, "threading")(
        delayed(run)() for _ in range(8)
    )
    shortest(calls, 1)  # starts the workers
    times = shortest(calls, options.repeats, seconds)
    found = {}
    for what in ("products", "search", "ensemble"):
        one, two = found[what] = [times[what, n_jobs] for n_jobs in (1, 2)]
        print(f"{what}: {one:.2f} s, {two:.2f} with n_jobs=2, {one / two:.2f} times")
    return found


def peak_memory():
    """Return the growth of the peak memory of a fit, and the formula's, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    X, y = dense(2 * BATCH, MEMORY_COLUMNS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network(MEMORY_UNITS, max_iter=1).fit(X, y)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n_parameters = (MEMORY_COLUMNS + 1) * MEMORY_UNITS + MEMORY_UNITS + 1
    n_values = BATCH * (MEMORY_COLUMNS + 2 * MEMORY_UNITS + N_OUTPUTS)
    return {
        "measured": unit * (after - before),
        "formula": 4 * (PARAMETER_COPIES * n_parameters + n_values),
    }


SWEEPS = {"rows": rows, "columns": columns, "entries": entries}


def show(name, found):
    """Print a table in microseconds, and return the exponent of its law."""
    for row in found.values():
        row["ratio"] = row["time"] / (row.get("products", 0) + row["bytes"])
    print(f"\n{name:>12}", *(f"{key:>11}" for key in next(iter(found.values()))))
    for n, row in found.items():
        numbers = (x if key == "ratio" else 1e6 * x for key, x in row.items())
        print(f"{n:12,}", *(f"{number:11,.3f}" for number in numbers))
    # With more entries, a step is one on the whole matrix.
    sizes = [n for n in found if name != "entries" or BATCH * n <= SPARSE_COLUMNS / 2]
    times = [found[n]["time"] * (n if name == "rows" else 1) for n in sizes]
    law = exponent(sizes, times)
    print(f"exponent, from {sizes[len(sizes) // 2]:,} on: {law:.2f}", flush=True)
    return law


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="to fit on")
    names = ["memory", *SWEEPS, "cores"]
    parser.add_argument("--sweeps", nargs="+", choices=names, default=names)
    options = start(parser, threads=1)
    network(max_iter=1).fit(*dense(2 * BATCH, 10))  # compiles
    results, laws = {}, {}
    if "memory" in options.sweeps:  # first: a peak never falls
        results["memory"] = peak = peak_memory()
        print("peak memory, MB:", {k: round(v / 1e6) for k, v in peak.items()})
    copy_rate = bandwidth()
    print(f"copy: {copy_rate / 1e9:.1f} GB/s read and written")
    for name, sweep in SWEEPS.items():
        if name in options.sweeps:
            results[name] = sweep(options, copy_rate)
            laws[name] = show(name, results[name])
    if "cores" in options.sweeps:
        results["cores"] = cores(options)
    write_json(options, copy_rate=copy_rate, results=results, exponents=laws)


if __name__ == "__main__":
    main()
