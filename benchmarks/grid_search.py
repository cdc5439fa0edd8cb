"""Time of a grid search against the same search over scikit-learn's MLPClassifier.

    python benchmarks/grid_search.py

Twelve candidates, five folds of the digits, two processes. Ours searches dropout and
alpha, scikit-learn's learning rate and alpha; both have 100 hidden units behind a
scaler and train for the same number of epochs. The first search of ours starts with an
empty cache of compiled functions and is reported apart. The last line tells what two
threads of one process, joblib's "threading", gain over one.
"""

import argparse
import os
import tempfile
from statistics import median

import numpy as np
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _timing import interleaved, ratio, seconds, start, write_json
from sknn_notes import MLPClassifier

ALPHAS = [1e-5, 1e-4, 1e-3]
GRIDS = {
    "ours": (MLPClassifier, {"dropout": [0.0, 0.1, 0.25, 0.5], "alpha": ALPHAS}),
    "scikit-learn": (
        SklearnMLPClassifier,
        {"learning_rate_init": [3e-4, 1e-3, 3e-3, 1e-2], "alpha": ALPHAS},
    ),
}


def search(name, n_epochs, n_jobs):
    """Return a search that has not started."""
    make, grid = GRIDS[name]
    model = make(
        (100,), max_iter=n_epochs, n_iter_no_change=np.inf, tol=0.0, random_state=0
    )
    step = make.__name__.lower()
    return GridSearchCV(
        make_pipeline(StandardScaler(), model),
        {f"{step}__{parameter}": values for parameter, values in grid.items()},
        cv=5,
        n_jobs=n_jobs,
        refit=False,
        error_score="raise",
    )


def contender(name, n_epochs, n_jobs, backend="loky"):
    """Return a callable that makes a whole search and returns its seconds."""
    data = load_digits(return_X_y=True)

    def run():
        with parallel_config(backend):
            return seconds(lambda: search(name, n_epochs, n_jobs).fit(*data))

    return run


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    # A process for each core leaves one thread to each of them.
    options = start(parser, threads=1)
    contenders = {
        "ours": contender("ours", options.epochs, 2),
        "scikit-learn": contender("scikit-learn", options.epochs, 2),
        "one thread": contender("ours", options.epochs, 1),
        "two threads": contender("ours", options.epochs, 2, "threading"),
    }
    with tempfile.TemporaryDirectory() as cache:
        # Read when numba is loaded, which is at the first fit.
        os.environ["NUMBA_CACHE_DIR"] = cache
        cold = contenders["ours"]()
        contender("ours", 1, 1)()
        times = interleaved(contenders, options.repeats)
    print(
        f"12 candidates x 5 folds x {options.epochs} epochs, 2 processes: ours "
        f"{median(times['ours']):.1f} s ({cold:.1f} s with compiling), scikit-learn "
        f"{ratio(times, 'scikit-learn', 'ours'):.2f}x ours"
    )
    print(
        "two threads of one process: "
        f"{ratio(times, 'one thread', 'two threads'):.2f}x as fast as one"
    )
    write_json(options, cold_seconds=cold, seconds=times)


if __name__ == "__main__":
    main()
