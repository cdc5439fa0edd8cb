"""BLAS threads: the library's choice, compared with one thread and with all threads.

    python benchmarks/threads.py            # on an idle machine
    python benchmarks/threads.py 784-100    # configurations whose name contains this

Fits and predictions of the networks of ``benchmarks/training.py`` are timed with the
number of threads that the library chooses, with one thread, and with all threads of the
machine.

=============  =====================================================================
idle           time with the library's choice over the better of one and all threads
busy, ours     CPU time with the library's choice over that of one thread, while a
               product runs in another process on every core except one
busy, all      the same for all threads, without the library's choice
=============  =====================================================================
"""

import argparse
import multiprocessing
import os
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from statistics import median
from time import perf_counter, process_time, sleep

import numpy as np
from threadpoolctl import threadpool_limits

from _steps import CONFIGURATIONS, Configuration, epochs_for
from _timing import interleaved, ratio, start
from sknn_notes import MLPClassifier, _threads

DIGITS = Configuration(64, (182, 182), 10, 50)


@contextmanager
def all_threads():
    """Don't change the number of threads."""
    chosen = _threads._blas.limit
    _threads._blas.limit = lambda n_threads: nullcontext()
    try:
        yield
    finally:
        _threads._blas.limit = chosen


@contextmanager
def one_thread():
    with threadpool_limits(1, user_api="blas"):
        yield


WAYS = {"ours": nullcontext, "one": one_thread, "all": all_threads}


def timed(call, way, clock):
    """Return a contender that calls under one way of choosing threads."""

    def run():
        with WAYS[way]():
            begin = clock()
            call()
            return clock() - begin

    return run


def calls(configuration, seconds):
    """Return the fit and the prediction of a configuration, by name."""
    X, y = configuration.data()
    n_epochs = max(1, epochs_for(configuration, seconds))
    model = MLPClassifier(
        configuration.hidden,
        batch_size=configuration.batch_size,
        max_iter=n_epochs,
        n_iter_no_change=np.inf,
        random_state=0,
    )
    fitted = MLPClassifier(configuration.hidden, max_iter=1).fit(X, y)
    many = np.tile(X, (max(1, 4096 // len(X)), 1))
    fitted.predict(many)
    return {"fit": lambda: model.fit(X, y), "predict": lambda: fitted.predict(many)}


def _load(stop):
    A = np.random.default_rng(0).normal(size=(500, 500))
    with threadpool_limits(1):
        while not stop.is_set():
            A @ A


@contextmanager
def busy_cores():
    """Keep every core except one busy."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    others = [
        context.Process(target=_load, args=(stop,))
        for _ in range(max(1, os.cpu_count() - 1))
    ]
    for other in others:
        other.start()
    sleep(3)
    try:
        yield
    finally:
        stop.set()
        for other in others:
            other.join()


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="?", default="", help="part of a configuration")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one fit")
    options = start(parser)
    chosen = [c for c in [DIGITS, *CONFIGURATIONS] if options.only in c.name]
    table = {
        (c.name, name): {"largest product": _largest(c, name)} | {"call": call}
        for c in chosen
        for name, call in calls(c, options.seconds).items()
    }
    for row in table.values():
        row["idle"] = _idle(row["call"], options.repeats)
    with busy_cores():
        for row in table.values():
            row["busy, ours"], row["busy, all"] = _busy(row["call"], options.repeats)
    columns = ["largest product", "idle", "busy, ours", "busy, all"]
    print(f"{'configuration':26}{'':9}", *(f"{c:>16}" for c in columns))
    for (name, call), row in table.items():
        largest, *ratios = (row[column] for column in columns)
        print(
            f"{name:26}{call:9} {largest / 1e6:14.1f} M",
            *(f"{r:16.2f}" for r in ratios),
            flush=True,
        )


def _largest(configuration, call):
    n_rows = configuration.batch_size if call == "fit" else 4096
    units = configuration.units
    return n_rows * max(a * b for a, b in pairwise(units))


def _idle(call, repeats):
    times = interleaved({w: timed(call, w, perf_counter) for w in WAYS}, repeats)
    best = min(("one", "all"), key=lambda way: median(times[way]))
    return ratio(times, "ours", best)


def _busy(call, repeats):
    times = interleaved({w: timed(call, w, process_time) for w in WAYS}, repeats)
    return ratio(times, "ours", "one"), ratio(times, "all", "one")


if __name__ == "__main__":
    main()
