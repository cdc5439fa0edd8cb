"""Predictions of one estimator on several threads, and the threads of searches.

    python benchmarks/concurrency.py
    python benchmarks/concurrency.py --seconds 1

Predictions: calls per second of one fitted network that 1, 2, ... threads share, each
with one BLAS thread, over those of one thread. A single row is Python's work, which
only one thread at a time does. Beside it stands how often two copies of a function that
only computes a product fit into the same time: what the machine gives.

Searches: a grid search by the library's own class on threads, and by scikit-learn's in
processes, for each ``n_jobs``. ``busy`` is the processor time over the elapsed time,
with that of child processes; ``running`` is the largest number of threads of the
process and its children that wanted a core at the same time, sampled every 5 ms, in
the mean and at most. More than ``n_jobs`` of them compete for the cores. The BLAS
libraries are not limited here: the search does that.
"""

import argparse
import os
import threading
import time
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np
import sklearn.model_selection
from threadpoolctl import threadpool_limits

from _timing import start, use_kernels, write_json
from sknn_notes import MLPClassifier, _kernels
from sknn_notes.model_selection import GridSearchCV

N_FEATURES, WIDTH, N_CLASSES = 100, 200, 10


def data(n_rows):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    return X, np.arange(n_rows) % N_CLASSES


def network(**params):
    return MLPClassifier(
        (WIDTH, WIDTH), n_iter_no_change=np.inf, random_state=0, **params
    )


# Predictions


def calls_per_second(call, n_threads, seconds):
    """Return how often threads together make a call in a second."""
    counts, stop = [0] * n_threads, threading.Event()
    begin = threading.Barrier(n_threads + 1)

    def work(i):
        begin.wait()
        while not stop.is_set():
            call()
            counts[i] += 1

    threads = [threading.Thread(target=work, args=(i,)) for i in range(n_threads)]
    for each in threads:
        each.start()
    begin.wait()
    since = time.perf_counter()
    time.sleep(seconds)
    stop.set()
    for each in threads:
        each.join()
    return sum(counts) / (time.perf_counter() - since)


def predictions(options):
    """Print and return calls per second, by kernels, rows and threads."""
    X, y = data(10_000)
    A = np.random.default_rng(0).normal(size=(400, 400))
    numbers = sorted({1, 2, os.cpu_count(), 2 * os.cpu_count()})
    table = {}
    print(f"\n{'calls per second':26}", *(f"{n:>3} threads" for n in numbers))
    for kernels in _kernels.available():
        use_kernels(kernels)
        model = network(max_iter=1).fit(X[:1000], y[:1000])
        for n_rows in (1, 100, 10_000):
            predict = partial(model.predict_proba, X[:n_rows])
            name = f"{kernels}, {n_rows} rows"
            table[name] = scaled(predict, numbers, options)
    table["a product, 400 x 400"] = scaled(lambda: A @ A, numbers, options)
    return table


def scaled(call, numbers, options):
    """Return calls per second over those of one thread, the median of repeats."""
    rates = {n: [] for n in numbers}
    with threadpool_limits(1):
        call()
        for _ in range(options.repeats):
            for n in numbers:
                rates[n].append(calls_per_second(call, n, options.seconds))
    return {n: float(np.median(each)) for n, each in rates.items()}


# Searches


class Watch:
    """Counts the threads of this process and its children that run or want to."""

    def __init__(self):
        self._stop, self.counts = threading.Event(), []
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._begin, self._used = time.perf_counter(), used()
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()
        self.seconds = time.perf_counter() - self._begin
        self.busy = (used() - self._used) / self.seconds

    def _watch(self):
        own = threading.get_native_id()
        while not self._stop.wait(0.005):
            self.counts.append(sum(n_running(pid, own) for pid in processes()))


def used():
    """Return the processor time of this process and of all its children."""
    times = os.times()
    live = sum(map(processor_time, children()))
    return (
        times.user + times.system + times.children_user + times.children_system + live
    )


def children():
    """Return the ids of the children of this process and of their children."""
    found, pending = [], [os.getpid()]
    while pending:
        try:
            tasks = list(Path(f"/proc/{pending.pop()}/task").iterdir())
            new = [p for t in tasks for p in (t / "children").read_text().split()]
        except OSError:
            continue
        found += new
        pending += new
    return found


def processes():
    return [os.getpid(), *children()]


def fields(path):
    """Return the fields of a stat file after the name, or none."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def processor_time(pid):
    line = fields(Path(f"/proc/{pid}/stat"))
    return sum(map(int, line[11:13])) / os.sysconf("SC_CLK_TCK")


def n_running(pid, own):
    """Return the number of threads of a process in state R."""
    try:
        tasks = [t for t in Path(f"/proc/{pid}/task").iterdir() if t.name != str(own)]
    except OSError:
        return 0
    return sum(fields(task / "stat")[:1] == ["R"] for task in tasks)


def searches(options):
    """Print and return processor time and running threads of searches."""
    X, y = data(3_000)
    grid = {"alpha": np.geomspace(1e-5, 1, 6)}
    kinds = {
        "ours, on threads": GridSearchCV,
        "scikit-learn's, in processes": sklearn.model_selection.GridSearchCV,
    }
    print(f"\n{'search':34} {'seconds':>8} {'busy':>6} {'running':>8} {'at most':>8}")
    table = {}
    for name, kind in kinds.items():
        for n_jobs in sorted({1, 2, os.cpu_count()}):
            search = kind(
                network(max_iter=5, batch_size=100),
                grid,
                cv=3,
                n_jobs=n_jobs,
                refit=False,
            )
            search.fit(X[:300], y[:300])  # Compiles, and starts processes.
            with Watch() as watch:
                search.fit(X, y)
            row = watch.seconds, watch.busy, mean(watch.counts), max(watch.counts)
            table[f"{name}, n_jobs={n_jobs}"] = row
            print(
                f"{name}, n_jobs={n_jobs}".ljust(34),
                "{:8.2f} {:6.2f} {:8.2f} {:8}".format(*row),
                flush=True,
            )
    return table


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a measurement")
    options = start(parser)
    rates = predictions(options)
    for name, row in rates.items():
        one = row[1]
        cells = (
            f"{rate:10.0f}" if n == 1 else f"{rate / one:10.2f}"
            for n, rate in row.items()
        )
        print(name.ljust(26), *cells)
    use_kernels(None)
    write_json(options, predictions=rates, searches=searches(options))


if __name__ == "__main__":
    main()
