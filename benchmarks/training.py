"""Time of a training step against scikit-learn's and against its matrix products alone.

    python benchmarks/training.py                # every configuration
    python benchmarks/training.py 64-100-10/200  # those whose name contains this

Every contender trains the same network with Adam on the same float32 data, at the same
batch size and for the same epochs; runs are interleaved and repeated, and the medians
are compared. Ours runs under every kernel set that is installed. The products alone are
the ``np.dot`` calls of one step, into arrays that exist already. A table of ratios is
printed, and ``--json FILE`` keeps the numbers.
"""

import argparse
import json
import os
import platform
import warnings
from itertools import pairwise
from statistics import median
from time import perf_counter

# Settings for old BLAS builds that slow a current one down.
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from threadpoolctl import threadpool_info

import sknn_notes
from sknn_notes import _kernels

# (inputs, hidden layers, classes, batch size)
CONFIGURATIONS = [
    (64, (100,), 10, 200),
    (64, (100,), 10, 32),
    (20, (100,), 10, 200),
    (20, (64, 64), 10, 32),
    (784, (100,), 10, 200),
    (784, (512, 512), 10, 128),
    (784, (512, 512), 10, 1024),
]


def make_data(n_inputs, n_classes, n_samples):
    """Return float32 inputs and the class of each."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_inputs)).astype(np.float32)
    y = rng.integers(n_classes, size=n_samples)
    y[:n_classes] = np.arange(n_classes)
    return X, y


def estimator_step(make, X, y, batch_size, n_epochs):
    """Return seconds per step of an estimator with scikit-learn's parameters."""
    estimator = make(
        batch_size=batch_size,
        max_iter=n_epochs,
        n_iter_no_change=np.inf,
        random_state=0,
    )
    start = perf_counter()
    estimator.fit(X, y)
    return (perf_counter() - start) / (n_epochs * -(-len(X) // batch_size))


def products_step(units, batch_size, n_steps):
    """Return seconds per step of the matrix products of a step alone."""
    rng = np.random.default_rng(0)

    def array(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    A = [array(batch_size, n) for n in units]
    W = [array(*shape) for shape in pairwise(units)]
    D, dW = [np.empty_like(a) for a in A], [np.empty_like(w) for w in W]
    layers = range(len(W))
    start = perf_counter()
    for _ in range(n_steps):
        for i in layers:
            np.dot(A[i], W[i], out=D[i + 1])
        for i in reversed(layers):
            np.dot(A[i].T, A[i + 1], out=dW[i])
            if i:
                np.dot(A[i + 1], W[i].T, out=D[i])
    return (perf_counter() - start) / n_steps


def measure(n_inputs, hidden, n_classes, batch_size, repeats, seconds):
    """Return the median seconds per step of every contender."""
    units = [n_inputs, *hidden, n_classes]
    n_steps = 10
    X, y = make_data(n_inputs, n_classes, batch_size * n_steps)
    # Enough epochs that a run of the slowest contender takes about ``seconds``.
    once = products_step(units, batch_size, 20)
    n_epochs = int(np.clip(seconds / (n_steps * 8 * once), 2, 200))

    def ours(**parameters):
        return sknn_notes.MLPClassifier(hidden, **parameters)

    def under(kernels):
        def run():
            os.environ["SKNN_NOTES_KERNELS"] = kernels
            _kernels.active.cache_clear()
            return estimator_step(ours, X, y, batch_size, n_epochs)

        return run

    def theirs(**parameters):
        return SklearnMLPClassifier(hidden, **parameters)

    contenders = {name: under(name) for name in _kernels.available()} | {
        "scikit-learn": lambda: estimator_step(theirs, X, y, batch_size, n_epochs),
        "products": lambda: products_step(units, batch_size, n_steps * n_epochs),
    }
    # Compiled functions are compiled before anything is timed.
    for kernels in _kernels.available():
        contenders[kernels]()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            times[name].append(run())
    return {name: median(values) for name, values in times.items()}


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="?", default="")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--json")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    blas = [
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture')}, "
        f"{pool['num_threads']} threads)"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]
    print(f"{platform.machine()}, {os.cpu_count()} cores; {'; '.join(blas)}")
    print(
        f"sknn_notes {sknn_notes.__version__}, scikit-learn {sklearn.__version__}, "
        f"numpy {np.__version__}"
    )
    sets = _kernels.available()
    print(f"{'':22}" + "".join(f"{'ours, ' + name:^37}" for name in sets))
    columns = f"{'us/step':>9} {'/products':>10} {'scikit-learn/':>14}  "
    print(f"{'configuration':22}" + columns * len(sets))
    results = {}
    for n_inputs, hidden, n_classes, batch_size in CONFIGURATIONS:
        units = [n_inputs, *hidden, n_classes]
        name = "-".join(map(str, units)) + f"/{batch_size}"
        if options.only not in name:
            continue
        times = results[name] = measure(
            n_inputs, hidden, n_classes, batch_size, options.repeats, options.seconds
        )
        row = [
            f"{1e6 * times[kernels]:9.0f} {times[kernels] / times['products']:10.2f} "
            f"{times['scikit-learn'] / times[kernels]:14.2f}  "
            for kernels in sets
        ]
        print(f"{name:22}" + "".join(row), flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"blas": blas, "seconds_per_step": results}, file, indent=2)


if __name__ == "__main__":
    main()
