"""Time and memory of training on sparse rows against the number of columns.

    python benchmarks/sparse_text.py --threads 1
    python benchmarks/sparse_text.py --threads 1 --agreement

Networks with 100 hidden units are trained by Adam with L2 on batches of 200 rows with
50 entries in 10,000 to 1,000,000 columns, drawn uniformly or from a log-uniform
distribution, like words. The measurements are:

- a step: the difference of ``partial_fit`` on many batches and on few, divided by the
  difference of their steps;
- the end of an epoch, where all rows of the first matrix W are updated: the difference
  of fits of several epochs and of one, without the steps;
- the peak memory of a fit, in units of W, measured by ``tracemalloc``.

``--agreement`` trains on names of airports, as a sparse and as a dense matrix, with
every optimizer and penalty, and prints the differences of the results. It needs
airportsdata.

Times are processor times, which are less affected by other programs.
"""

import argparse
import tracemalloc
from functools import partial

import numpy as np
from scipy.sparse import csr_array
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from _airports import Airports
from _timing import interleaved, processor_seconds, start, write_json
from sknn_notes import MLPClassifier
from sknn_notes.optimizers import SGD

SIZES = 10_000, 100_000, 1_000_000
N_ENTRIES, N_HIDDEN, N_CLASSES, BATCH = 50, 100, 5, 200
DISTRIBUTIONS = "uniform", "log_uniform"
# Batches of a run. Up to 1,024 steps, all rows are only updated at the end of a call.
FEW, MORE = 100, 900
EPOCHS, BATCHES_PER_EPOCH = 4, 2
# Whole matrices make a step of scikit-learn's slow.
SKLEARN_BATCHES = {10_000: (2, 20), 100_000: (1, 4), 1_000_000: (1, 3)}


def draw(n_columns, n_batches, distribution):
    """Return sparse rows and classes. Entries in the same column are one."""
    rng = np.random.default_rng(0)
    n_samples = BATCH * n_batches
    shares = rng.random((n_samples, N_ENTRIES))
    if distribution == "uniform":
        columns = (n_columns * shares).astype(np.int32)
    else:
        ranks = (np.exp(shares * np.log(n_columns + 1)) - 1).astype(np.int32)
        # Frequent words are not neighbors.
        columns = rng.permutation(n_columns).astype(np.int32)[ranks]
    ends = N_ENTRIES * np.arange(n_samples + 1, dtype=np.int32)
    data = np.ones(columns.size, np.float32)
    X = csr_array((data, columns.ravel(), ends), shape=(n_samples, n_columns))
    X.sum_duplicates()
    return X, np.arange(n_samples) % N_CLASSES


def network(make=MLPClassifier, **parameters):
    return make(
        (N_HIDDEN,),
        solver="adam",
        batch_size=BATCH,
        random_state=0,
        n_iter_no_change=1_000,
        **parameters,
    )


def call_time(model, X, y):
    """Return the processor time of one call of ``partial_fit``."""
    return processor_seconds(lambda: model.partial_fit(X, y))


def fit_time(X, y, n_epochs):
    """Return the processor time of a fit of ours."""
    return processor_seconds(lambda: network(max_iter=n_epochs).fit(X, y))


def measure(n_columns, distribution, options):
    """Return times in seconds and memory in units of W."""
    X, y = draw(n_columns, MORE, distribution)
    few = BATCH * FEW
    ours = network().partial_fit(X[:BATCH], y[:BATCH], classes=np.arange(N_CLASSES))
    epoch = BATCH * BATCHES_PER_EPOCH
    contenders = {
        "ours, few": partial(call_time, ours, X[:few], y[:few]),
        "ours, more": partial(call_time, ours, X, y),
        "an epoch": partial(fit_time, X[:epoch], y[:epoch], 1),
        "epochs": partial(fit_time, X[:epoch], y[:epoch], 1 + EPOCHS),
    }
    if n_columns <= options.sklearn_columns:
        theirs = network(SklearnMLPClassifier)
        theirs.partial_fit(X[:BATCH], y[:BATCH], classes=np.arange(N_CLASSES))
        for name, n in zip(("few", "more"), SKLEARN_BATCHES[n_columns], strict=True):
            rows = slice(BATCH * n)
            contenders[f"scikit-learn, {name}"] = partial(
                call_time, theirs, X[rows], y[rows]
            )
    times = interleaved(contenders, options.repeats)
    shortest = {name: min(times[name]) for name in contenders}
    step = (shortest["ours, more"] - shortest["ours, few"]) / (MORE - FEW)
    epoch_time = (shortest["epochs"] - shortest["an epoch"]) / EPOCHS
    found = {
        "entries": X.nnz / len(y),
        "step": step,
        "end of an epoch": epoch_time - BATCHES_PER_EPOCH * step,
        "memory": peak_memory(X[:few], y[:few]),
    }
    if "scikit-learn, few" in shortest:
        few, more = SKLEARN_BATCHES[n_columns]
        found["scikit-learn"] = (
            shortest["scikit-learn, more"] - shortest["scikit-learn, few"]
        ) / (more - few)
    return found


def peak_memory(X, y):
    """Return the peak memory of a fit beyond its data, in units of the first matrix."""
    tracemalloc.start()
    try:
        network(max_iter=1).fit(X, y)
        return tracemalloc.get_traced_memory()[1] / (4 * X.shape[1] * N_HIDDEN)
    finally:
        tracemalloc.stop()


def show(distribution, table):
    """Print the figures for a distribution."""
    print(f"\ncolumns with a {distribution} distribution")
    print(
        f"{'columns':>10} {'entries':>8} {'step, ms':>9} {'scikit-learn':>13} "
        f"{'end of epoch, ms':>17} {'memory / W':>11}"
    )
    for n_columns, found in table.items():
        theirs = found.get("scikit-learn")
        print(
            f"{n_columns:10,} {found['entries']:8.1f} {1e3 * found['step']:9.2f} "
            f"{f'{1e3 * theirs:.1f}' if theirs else 'left out':>13} "
            f"{max(1e3 * found['end of an epoch'], 0):17.1f} {found['memory']:11.1f}"
        )
    steps = [found["step"] for found in table.values()]
    print(f"a step grows {steps[-1] / steps[0]:.1f} times", end="")
    for n_columns, found in table.items():
        if "scikit-learn" in found:
            ratio = found["scikit-learn"] / found["step"]
            print(f"; {ratio:.0f} times faster at {n_columns:,}", end="")
    print(flush=True)


# Sparse and dense.

SOLVERS = {
    "sgd, no momentum": SGD(momentum=0.0),
    "sgd, momentum": SGD(nesterovs_momentum=False),
    "sgd, Nesterov": SGD(),
    "rmsprop": "rmsprop",
    "adam": "adam",
    "adamw": "adamw",
}
PENALTIES = {
    "l2": {"penalty": "l2", "alpha": 1e-3},
    "l1": {"penalty": "l1", "alpha": 1e-4},
    "elastic net": {"penalty": "elasticnet", "alpha": 1e-3, "l1_ratio": 0.1},
}
AGREEMENT = {
    "hidden_layer_sizes": (20,),
    "batch_size": 50,
    "max_iter": 10,
    "n_iter_no_change": 1_000,
    "random_state": 0,
    "dtype": "float64",
}


def agreement():
    """Print the differences of fits on sparse and on dense inputs."""
    X, X_test, y, y_test = Airports().trigrams(4_000, 2**13)
    dense = X.toarray()
    print(
        f"\n{X.shape[0]:,} rows, {X.shape[1]:,} columns, {X.nnz / X.shape[0]:.1f} "
        f"entries a row, {len(np.unique(y))} classes, "
        f"{AGREEMENT['max_iter']} epochs\n{'':30} {'difference of':>14} "
        f"{'accuracy':>9} {'':>9} {'equal':>12}\n{'':30} {'the weights':>14} "
        f"{'dense':>9} {'sparse':>9} {'predictions':>12}"
    )
    results = {}
    for solver_name, solver in SOLVERS.items():
        rate = 0.05 if solver_name.startswith("sgd") else 2e-3
        for penalty_name, penalty in PENALTIES.items():
            model = MLPClassifier(
                solver=solver, learning_rate_init=rate, **penalty, **AGREEMENT
            )
            W, accuracies, predictions = [], [], []
            for inputs in (dense, X):
                model.fit(inputs, y)
                W.append(model.coefs_[0])
                predictions.append(model.predict(X_test))
                accuracies.append(np.mean(predictions[-1] == y_test))
            difference = np.linalg.norm(W[1] - W[0]) / np.linalg.norm(W[0])
            equal = np.mean(predictions[0] == predictions[1])
            name = f"{solver_name}, {penalty_name}"
            print(
                f"{name:30} {difference:14.1e} {accuracies[0]:9.3f} "
                f"{accuracies[1]:9.3f} {equal:12.3f}",
                flush=True,
            )
            results[name] = {
                "difference": difference,
                "accuracies": accuracies,
                "equal predictions": equal,
            }
    return results


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--distributions", nargs="+", choices=DISTRIBUTIONS, default=DISTRIBUTIONS
    )
    parser.add_argument(
        "--sklearn-columns",
        type=int,
        default=100_000,
        help="the most for scikit-learn (default: %(default)s)",
    )
    parser.add_argument("--agreement", action="store_true", help="sparse against dense")
    options = start(parser, threads=1)
    if options.agreement:
        write_json(options, agreement=agreement())
        return
    results: dict[str, dict] = {}
    for distribution in options.distributions:
        results[distribution] = {
            size: measure(size, distribution, options) for size in SIZES
        }
        show(distribution, results[distribution])
    write_json(options, figures=results)


if __name__ == "__main__":
    main()
