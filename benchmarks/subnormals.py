"""Time of a step after the solver's averages have decayed to subnormal numbers.

    python benchmarks/subnormals.py

Three quarters of the inputs vary in the first epoch, and are 0 afterwards. The gradient
of their weights is then 0, and the averages of the solver decay. ``idle`` is the time
of a step thereafter, divided by that of the same step where the averages are 0.
``kept`` is the same if subnormal numbers are kept. The columns ``share`` show how many
of the solver's numbers are subnormal. Times are processor times of one thread, medians
over pairs of epochs that alternate.
"""

import argparse
import copy
from time import process_time

import numpy as np

from _timing import start, use_kernels
from sknn_notes import MLPClassifier, _kernels
from sknn_notes._engine import executor
from sknn_notes.optimizers import OPTIMIZERS

NETWORKS = {"64-64-10/32": (64, 64, 32), "784-100-10/200": (784, 100, 200)}
N_CLASSES, N_STEPS = 10, 50
# Steps after which averages with a decay of 0.9 are subnormal.
N_IDLE = {"float32": 1_200, "float64": 8_000}


def arrays_of(model):
    state = model._training_state.optimizer_state
    return [array for array in state.values() if isinstance(array, np.ndarray)]


def share_of_subnormals(model):
    """Return the share of subnormal numbers in the state of the solver."""
    numbers = np.abs(np.concatenate(arrays_of(model)))
    smallest = np.finfo(numbers.dtype).smallest_normal
    return np.mean((numbers > 0) & (numbers < smallest))


def idle_model(network, solver, dtype):
    """Return a model whose averages have decayed, and the data of its epochs."""
    n_inputs, width, batch_size = NETWORKS[network]
    rng = np.random.default_rng(0)
    X = rng.random((batch_size * N_STEPS, n_inputs)).astype(dtype)
    y = rng.integers(N_CLASSES, size=len(X))
    model = MLPClassifier(
        (width,), solver=solver, batch_size=batch_size, penalty=None, random_state=0
    )
    model.partial_fit(X, y, classes=range(N_CLASSES))
    X[:, n_inputs // 4 :] = 0
    for _ in range(N_IDLE[dtype] // N_STEPS):
        model.partial_fit(X, y)
    return model, X, y


def ratio(model, X, y, n_pairs):
    """Return the time of an epoch over that with averages of 0, a median."""
    models = model, copy.deepcopy(model)
    for array in arrays_of(models[1]):
        array[np.abs(array) < 1e-30] = 0
    times = []
    for _ in range(n_pairs):
        for each in models:
            begin = process_time()
            each.partial_fit(X, y)
            times.append(process_time() - begin)
    pairs = np.reshape(times, (-1, 2))
    return np.median(pairs[:, 0] / pairs[:, 1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=21)
    parser.add_argument("--dtypes", nargs="+", default=["float32"], choices=N_IDLE)
    options = start(parser, threads=1)
    print(f"{'network':16}{'solver':9}{'dtype':9}{'kernels':9}share  idle  share  kept")
    remove = executor.remove_subnormals
    solvers = [name for name, cls in OPTIMIZERS.items() if cls.stochastic]
    for network in NETWORKS:
        for solver in solvers:
            for dtype in options.dtypes:
                for kernels in _kernels.available():
                    use_kernels(kernels)
                    cells = []
                    for function in remove, lambda array: None:
                        executor.remove_subnormals = function
                        model, X, y = idle_model(network, solver, dtype)
                        share = share_of_subnormals(model)
                        own = ratio(model, X, y, options.pairs)
                        cells.append(f"{share:5.2f}{own:6.2f}")
                    executor.remove_subnormals = remove
                    row = f"{network:16}{solver:9}{dtype:9}{kernels:9}"
                    print(row + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
