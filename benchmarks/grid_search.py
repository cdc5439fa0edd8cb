"""Time of a grid search: this library's, and scikit-learn's in processes and threads.

    python benchmarks/grid_search.py --threads 1

Each search has twelve candidates and five folds of the digits, 60 fits, with two jobs.
All searches except the last are over dropout and alpha of this library's network, with
100 hidden units and a scaler; the last one is over the learning rate and alpha of
scikit-learn's MLPClassifier, for the same number of epochs. The first search starts
with an empty cache of compiled functions and is reported separately.
"""

import argparse
import os
import tempfile
from statistics import median

import numpy as np
from joblib import parallel_config
from sklearn import model_selection
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _timing import interleaved, ratio, seconds, start, write_json
from sknn_notes import MLPClassifier
from sknn_notes.model_selection import GridSearchCV

ALPHAS = [1e-5, 1e-4, 1e-3]
OURS = MLPClassifier, {"dropout": [0.0, 0.1, 0.25, 0.5], "alpha": ALPHAS}
THEIRS = (
    SklearnMLPClassifier,
    {"learning_rate_init": [3e-4, 1e-3, 3e-3, 1e-2], "alpha": ALPHAS},
)


def contender(search, network, n_epochs, n_jobs, backend="loky"):
    """Return a callable that makes a whole search and returns its seconds."""
    make, grid = network
    model = make(
        (100,), max_iter=n_epochs, n_iter_no_change=np.inf, tol=0.0, random_state=0
    )
    step = make.__name__.lower()
    searching = search(
        make_pipeline(StandardScaler(), model),
        {f"{step}__{parameter}": values for parameter, values in grid.items()},
        cv=5,
        n_jobs=n_jobs,
        refit=False,
        error_score="raise",
    )
    data = load_digits(return_X_y=True)

    def run():
        with parallel_config(backend):
            return seconds(lambda: searching.fit(*data))

    return run


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    # With one job per core, each has one thread.
    options = start(parser, threads=1)
    n_epochs, theirs = options.epochs, model_selection.GridSearchCV
    contenders = {
        "ours": contender(GridSearchCV, OURS, n_epochs, 2),
        "one thread": contender(GridSearchCV, OURS, n_epochs, 1),
        "processes": contender(theirs, OURS, n_epochs, 2),
        "threads": contender(theirs, OURS, n_epochs, 2, "threading"),
        "scikit-learn": contender(theirs, THEIRS, n_epochs, 2),
    }
    with tempfile.TemporaryDirectory() as cache:
        # Read when numba is loaded, which is at the first fit.
        os.environ["NUMBA_CACHE_DIR"] = cache
        cold = contenders["ours"]()
        times = interleaved(contenders, options.repeats)
    print(
        f"12 candidates x 5 folds x {n_epochs} epochs, n_jobs=2: ours "
        f"{median(times['ours']):.2f} s ({cold:.1f} s with compiling). In its time:"
    )
    for name, what in [
        ("one thread", "our search with n_jobs=1"),
        ("processes", "scikit-learn's search in two processes"),
        ("threads", "scikit-learn's search in two threads"),
    ]:
        print(f"  {ratio(times, name, 'ours'):.2f}  {what}")
    print(
        "scikit-learn's search in two processes takes "
        f"{ratio(times, 'scikit-learn', 'processes'):.2f} times as long over "
        "scikit-learn's network as over ours."
    )
    write_json(options, cold_seconds=cold, seconds=times)


if __name__ == "__main__":
    main()
