"""Predict the hours of a search from rows, columns, candidates, folds and cores.

    python benchmarks/cost_model.py --threads 1

The time of a fit is the sum of the time per row and epoch, proportional to the weights
(products) and to the units (everything else), the time per step, proportional to the
weights (update) plus a constant, the time to read the data, and a constant. The six
constants are measured with small fits on this machine. Then the times of three larger
searches are predicted and measured: two in this process, and one on two Dask workers,
which requires the extra ``dask``. Times are processor times, or their mean over several
workers, which are less affected by other programs; the last line also gives the wall
time. To only predict another search:

    python benchmarks/cost_model.py --rows 1000000 --columns 100 --hidden 256 256 \\
        --epochs 50 --candidates 60 --folds 5 --cores 64
"""

import argparse
from importlib.util import find_spec
from itertools import pairwise
from math import ceil
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
from joblib import parallel_config
from scipy.optimize import nnls
from sklearn.model_selection import GridSearchCV

from _timing import PACKAGES, start, write_json
from sknn_notes import MLPClassifier

N_CLASSES = 10
TERMS = ("row x weight", "row x unit", "step x weight", "step", "number read", "fit")


class Training(NamedTuple):
    """A fit: rows and columns of the data, hidden layers, batch size, epochs."""

    rows: int
    columns: int
    hidden: tuple
    batch_size: int
    epochs: int

    def amounts(self):
        """Return how often each of the terms occurs."""
        units = [self.columns, *self.hidden, N_CLASSES]
        n_weights = sum(a * b for a, b in pairwise(units))
        n_rows = self.rows * self.epochs
        n_steps = ceil(self.rows / self.batch_size) * self.epochs
        return np.array(
            [
                n_rows * n_weights,
                n_rows * sum(units),
                n_steps * n_weights,
                n_steps,
                self.rows * self.columns,
                1.0,
            ]
        )

    def network(self):
        return MLPClassifier(
            self.hidden,
            batch_size=self.batch_size,
            max_iter=self.epochs,
            n_iter_no_change=np.inf,
            tol=0.0,
            random_state=0,
        )

    def data(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.rows, self.columns))
        return X, rng.integers(N_CLASSES, size=self.rows)


class Search(NamedTuple):
    """A grid search: a fit for each candidate and fold, and a last one."""

    training: Training
    candidates: int
    folds: int
    cores: int

    def seconds(self, constants):
        """Return the predicted time, including the last fit on all data."""
        rows = self.training.rows * (self.folds - 1) // self.folds
        fold = self.training._replace(rows=rows).amounts() @ constants
        # A score is one forward pass; training on a row is equivalent to three.
        fold += (
            self.training.rows
            / self.folds
            * constants[:2]
            @ (self.training._replace(rows=1, epochs=1).amounts()[:2] / 3)
        )
        rounds = ceil(self.candidates * self.folds / self.cores)
        return rounds * fold + self.training.amounts() @ constants

    def run(self):
        grid = {"alpha": np.geomspace(1e-6, 1e-3, self.candidates).tolist()}
        search = GridSearchCV(self.training.network(), grid, cv=self.folds)
        search.fit(*self.training.data())


# Each size has two or more values, so that the terms can be distinguished.
SMALL = [
    Training(2_000, 20, (100,), 200, 20),
    Training(2_000, 20, (100,), 20, 10),
    Training(2_000, 200, (100,), 200, 20),
    Training(2_000, 200, (100,), 20, 5),
    Training(2_000, 20, (256, 256), 200, 10),
    Training(2_000, 20, (256, 256), 20, 3),
    Training(2_000, 400, (256, 256), 200, 5),
    Training(200, 20, (32,), 200, 50),
    Training(4_000, 20, (32,), 32, 10),
    Training(40_000, 20, (32,), 500, 1),
    Training(20_000, 200, (32,), 500, 1),
    Training(20_000, 50, (100,), 200, 2),
]
CHECKED = [
    Search(Training(50_000, 30, (100,), 200, 10), 4, 3, 1),
    Search(Training(10_000, 500, (256, 256), 128, 5), 3, 3, 1),
    Search(Training(20_000, 100, (128, 128), 200, 10), 8, 3, 2),
]


def measure_fit(training, repeats):
    """Return the shortest processor time of a fit, least affected by other programs."""
    X, y = training.data()
    times = []
    for _ in range(repeats):
        begin = process_time()
        training.network().fit(X, y)
        times.append(process_time() - begin)
    return min(times)


def fit_constants(repeats):
    """Return the six constants in seconds, and the predictions over the times."""
    Training(200, 20, (32,), 200, 1).network().fit(*SMALL[0].data())  # compiles
    amounts = np.array([training.amounts() for training in SMALL])
    times = np.array([measure_fit(training, repeats) for training in SMALL])
    # Relative errors: a short fit has the same weight as a long one.
    constants, _ = nnls(amounts / times[:, None], np.ones(len(times)))
    return constants, amounts @ constants / times


def measure_here(search):
    """Return the processor time of a search in this process."""
    begin = process_time()
    search.run()
    return process_time() - begin


def measure_on_workers(search):
    """Return the mean processor time of a search over its workers, and wall time."""
    from distributed import Client, LocalCluster

    n = search.cores
    with (
        LocalCluster(n, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        parallel_config("dask"),
    ):
        Search(Training(200, 20, (32,), 200, 1), 2 * n, 2, n).run()  # compiles
        before = sum(client.run(process_time).values())
        begin = perf_counter()
        # The last fit, on all data, runs here.
        here = measure_here(search)
        clock = perf_counter() - begin
        there = sum(client.run(process_time).values()) - before
    return here + there / n, clock


def show(search, constants):
    training = search.training
    seconds = search.seconds(constants)
    print(
        f"{training.rows:,} rows, {training.columns} columns, "
        f"{'-'.join(map(str, training.hidden))} hidden, batches of "
        f"{training.batch_size}, {training.epochs} epochs, {search.candidates} "
        f"candidates x {search.folds} folds, {search.cores} cores: predicted "
        f"{seconds:.1f} s ({seconds / 3600:.3g} hours)",
        flush=True,
    )
    return seconds


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, help="predict this search alone")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--hidden", type=int, nargs="+", default=[100])
    parser.add_argument("--batch-size", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--candidates", type=int, default=10)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=1)
    options = start(parser, threads=1)
    constants, errors = fit_constants(options.repeats)
    for term, constant in zip(TERMS, constants, strict=True):
        print(f"{term:14} {1e9 * constant:12.4g} ns")
    print(f"predicted / measured, small fits: {errors.min():.2f} to {errors.max():.2f}")
    if options.rows:
        training = Training(
            options.rows,
            options.columns,
            tuple(options.hidden),
            options.batch_size,
            options.epochs,
        )
        show(
            Search(training, options.candidates, options.folds, options.cores),
            constants,
        )
        return
    checked = []
    for search in CHECKED:
        predicted, clock = show(search, constants), ""
        if search.cores == 1:
            measured = measure_here(search)
        elif find_spec("distributed") is None:
            print("    not measured: the extra dask is not installed")
            continue
        else:
            measured, seconds = measure_on_workers(search)
            clock = f" ({seconds:.1f} s by the clock)"
        print(
            f"    measured {measured:.1f} s{clock}, predicted / measured "
            f"{predicted / measured:.2f}",
            flush=True,
        )
        checked.append({"predicted": predicted, "measured": measured})
    write_json(
        options,
        (*PACKAGES, "dask"),
        constants=dict(zip(TERMS, constants.tolist(), strict=True)),
        searches=checked,
    )


if __name__ == "__main__":
    main()
