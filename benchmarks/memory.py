"""Peak memory of a fit, in copies of its data, its parameters and its batches.

    python benchmarks/memory.py

The peak is the memory allocated during ``fit``, measured by ``tracemalloc``, to which
numpy reports its arrays. Three slopes show what it consists of:

- parameters: bytes per byte of the network's parameters, from two widths. The target is
  6 in all: Adam keeps the weights, their gradient and two moments.
- batch: bytes per byte of a batch's activations and inputs, from two batch sizes.
- data: bytes per byte of ``X``, from two numbers of samples; 0 if it isn't copied.

"lbfgs" computes in float64 on all rows at once and stores ten pairs of past steps; it
has no target.
"""

import argparse
import tracemalloc
from itertools import pairwise

import numpy as np
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from _timing import start, use_kernels, write_json
from sknn_notes import MLPClassifier, _kernels

N_INPUTS, N_CLASSES = 100, 10
TARGET = 6.0

# name -> (estimator, its parameters)
FITS = {
    "adam": (MLPClassifier, {"solver": "adam"}),
    "adam, dropout": (MLPClassifier, {"solver": "adam", "dropout": 0.5}),
    "adam, batch norm": (MLPClassifier, {"solver": "adam", "batch_norm": True}),
    "adam, l1": (MLPClassifier, {"solver": "adam", "penalty": "l1"}),
    "adam, early stopping": (
        MLPClassifier,
        {"solver": "adam", "early_stopping": True},
    ),
    "adamw": (MLPClassifier, {"solver": "adamw"}),
    "rmsprop": (MLPClassifier, {"solver": "rmsprop"}),
    "sgd": (MLPClassifier, {"solver": "sgd"}),
    "sgd, l1": (MLPClassifier, {"solver": "sgd", "penalty": "l1"}),
    "lbfgs": (MLPClassifier, {"solver": "lbfgs"}),
    "scikit-learn, adam": (SklearnMLPClassifier, {"solver": "adam"}),
    "scikit-learn, sgd": (SklearnMLPClassifier, {"solver": "sgd"}),
    "scikit-learn, lbfgs": (SklearnMLPClassifier, {"solver": "lbfgs"}),
}


def peak(fit, *, width=20, batch_size=32, n_samples=2_000):
    """Return the peak memory of a fit, in bytes."""
    make, parameters = fit
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, N_INPUTS), dtype=np.float32)
    y = np.arange(n_samples) % N_CLASSES
    estimator = make(
        (width, width),
        batch_size=batch_size,
        max_iter=2,
        random_state=0,
        **parameters,
    )
    tracemalloc.start()
    try:
        estimator.fit(X, y)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def slope(fit, name, sizes, unit, **fixed):
    """Return how many units of memory the peak grows by from one size to another."""
    # The first fit also compiles, and fills caches.
    _, low, high = (peak(fit, **fixed, **{name: size}) for size in (sizes[0], *sizes))
    return (high - low) / (unit(sizes[1]) - unit(sizes[0]))


def n_parameter_bytes(width):
    """Return the size of the network's parameters in float32."""
    units = [N_INPUTS, width, width, N_CLASSES]
    return 4 * sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(units))


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=1000, help="of the largest net")
    options = start(parser)
    half = options.width // 2
    batch_width = 200

    def batch_bytes(rows):
        return 4 * rows * (N_INPUTS + 2 * batch_width + N_CLASSES)

    print(f"{'':30} {'parameters':>10} {'batch':>10} {'data':>10}")
    slopes = {}
    for name, fit in FITS.items():
        ours = fit[0] is MLPClassifier
        for kernels in _kernels.available() if ours else [""]:
            use_kernels(kernels)
            found = {
                # A handful of rows: their activations don't count beside the weights.
                "parameters": slope(
                    fit,
                    "width",
                    (half, options.width),
                    n_parameter_bytes,
                    batch_size=4,
                    n_samples=40,
                ),
                "batch": slope(
                    fit,
                    "batch_size",
                    (1_000, 2_000),
                    batch_bytes,
                    width=batch_width,
                    n_samples=2_000,
                ),
                "data": slope(
                    fit, "n_samples", (20_000, 60_000), lambda n: 4 * n * N_INPUTS
                ),
            }
            has_target = ours and "lbfgs" not in name
            verdict = "met" if found["parameters"] <= TARGET else f"NOT {TARGET:.0f}"
            print(
                f"{name:22} {kernels:7} "
                f"{found['parameters']:10.2f} {found['batch']:10.2f} "
                f"{found['data']:10.2f}   {verdict if has_target else ''}",
                flush=True,
            )
            slopes[f"{name} {kernels}".strip()] = found
    not_copied(slopes)
    write_json(options, slopes=slopes)


def not_copied(slopes):
    """Print whether a large float32 C-ordered input is not copied."""
    use_kernels(None)
    n_samples = 200_000
    whole = peak(FITS["adam"], n_samples=n_samples, width=4)
    size = 4 * n_samples * N_INPUTS
    print(
        f"X of {size / 1e6:.0f} MB, a tiny network: peak {whole / 1e6:.1f} MB; "
        f"{'not copied' if whole < size else 'COPIED'}"
    )
    slopes["X not copied"] = {"peak": whole, "X": size}


if __name__ == "__main__":
    main()
