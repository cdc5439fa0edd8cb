"""Time of the transformers, compared with scikit-learn's and with copying the data.

    python benchmarks/preprocessing.py                  # 1,000,000 x 50, both types
    python benchmarks/preprocessing.py --rows 100000    # a shorter run

Every line is a call of a public method, including validation, with every installed
kernel set. It is compared with the call named next to it, by the best of several
interleaved runs of each. A target is an upper bound of this ratio, or a minimum speedup
if it ends in "x". ``--json FILE`` stores the results.

Two more tables follow: ``Whitener.partial_fit``, which only computes the matrix of
cross products, for 50 to 4,000 features; and ``Standardizer.fit`` on sparse matrices
with a tenth as many values, with its peak memory relative to the size of the matrix.
"""

import argparse
import tracemalloc
from time import sleep

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from _timing import seconds, start, use_kernels, write_json
from sknn_notes import Centerer, MinMaxNormalizer, Standardizer, Whitener, _kernels

WIDTHS = (50, 200, 784, 3072, 4000)
SCALERS = (Centerer, Standardizer, MinMaxNormalizer)

# call -> {baseline: {kernel set: target}}; "5x" means five times faster.
TARGETS = {
    **{
        f"{scaler.__name__}.fit": {
            "StandardScaler.fit": {"numba": "5x", "numpy": "2x"},
            "MinMaxScaler.fit": {"numba": "3x", "numpy": "1x"},
        }
        for scaler in SCALERS
    },
    **{
        f"{scaler.__name__}.transform": {"X.copy()": {"numba": "1.3"}}
        for scaler in SCALERS
    },
    "Whitener.fit": {
        "X.T @ X": {"numba": "1.6", "numpy": "1.6"},
        "PCA.fit": {},
    },
    "Whitener.transform": {"X @ W": {"numba": "1.4", "numpy": "1.4"}},
}
GRAM = {"Whitener.partial_fit": {"X.T @ X": {"numba": "1.6", "numpy": "1.6"}}}
SPARSE = {"Standardizer.fit": {"StandardScaler.fit": {"numba": "1", "numpy": "1"}}}


def calls(X, kernel_set):
    """Return the public calls to time, by name."""
    use_kernels(kernel_set)
    whitener = Whitener().fit(X)
    timed = {}
    for scaler in SCALERS:
        fitted = scaler().fit(X)
        timed[f"{scaler.__name__}.fit"] = lambda fitted=fitted: fitted.fit(X)
        timed[f"{scaler.__name__}.transform"] = lambda fitted=fitted: fitted.transform(
            X
        )
    timed["Whitener.fit"] = lambda: whitener.fit(X)
    timed["Whitener.transform"] = lambda: whitener.transform(X)
    return timed


def baselines(X):
    """Return what the calls are compared with, by name."""
    W = np.eye(X.shape[1], dtype=X.dtype)
    return {
        "StandardScaler.fit": lambda: StandardScaler().fit(X),
        "MinMaxScaler.fit": lambda: MinMaxScaler().fit(X),
        "PCA.fit": lambda: PCA(whiten=True).fit(X),
        "X.copy()": X.copy,
        "X.T @ X": lambda: X.T @ X,
        "X @ W": lambda: X @ W,
    }


def gram_calls(X, kernel_set):
    """Return the call that makes the matrix of cross products of X."""
    use_kernels(kernel_set)
    return {"Whitener.partial_fit": lambda: Whitener().partial_fit(X)}


def sparse_calls(X, kernel_set):
    """Return the call that standardizes a sparse X."""
    use_kernels(kernel_set)
    return {"Standardizer.fit": lambda: Standardizer(with_mean=False).fit(X)}


def best_times(contenders, repeats):
    """Return the best time of every call, {(kernel set or None, name): seconds}."""
    best = dict.fromkeys(contenders, np.inf)
    for _ in range(repeats):
        for key, call in contenders.items():
            use_kernels(key[0])
            # The threads of BLAS spin for a while after a product: let them rest.
            sleep(0.1)
            for _ in range(2):
                best[key] = min(best[key], seconds(call))
    return best


def contenders(baselines, make_calls, X, kernel_sets):
    """Return what is timed, {(kernel set or None, name): call}."""
    found = {(None, name): call for name, call in baselines.items()}
    for kernel_set in kernel_sets:
        for name, call in make_calls(X, kernel_set).items():
            call()  # compiles
            found[kernel_set, name] = call
    return found


def peak(call):
    """Return the peak memory of a call, in bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def met(ratio, target):
    """Whether a ratio of times is within its target."""
    if target.endswith("x"):
        return 1 / ratio >= float(target[:-1])
    return ratio <= float(target)


def report(best, data, kernel_sets, targets_of=TARGETS):
    """Print one line per comparison and return them as records."""
    records = []
    for name, comparisons in targets_of.items():
        for baseline, targets in comparisons.items():
            for kernel_set in kernel_sets:
                ratio = best[kernel_set, name] / best[None, baseline]
                target = targets.get(kernel_set, "")
                verdict = "" if not target else "met" if met(ratio, target) else "NOT"
                print(
                    f"{data:12} {kernel_set:6} {name:26} {ratio:5.2f} of "
                    f"{baseline:18} = {1 / ratio:5.1f}x faster   "
                    f"target {target or '-':4} {verdict}"
                )
                records.append(
                    {
                        "data": data,
                        "kernels": kernel_set,
                        "call": name,
                        "baseline": baseline,
                        "ratio": ratio,
                        "target": target,
                    }
                )
    return records


def report_gram(kernel_sets, repeats):
    """Compare the matrix of cross products with ``X.T @ X``, wide and narrow."""
    records = []
    for width in WIDTHS:
        X = np.random.default_rng(0).standard_normal(
            (max(width, 20_000_000 // width), width)
        )
        timed = contenders({"X.T @ X": lambda X=X: X.T @ X}, gram_calls, X, kernel_sets)
        best = best_times(timed, repeats)
        records += report(best, f"{width} features", kernel_sets, GRAM)
    return records


def report_sparse(shape, kernel_sets, repeats):
    """Compare ``Standardizer.fit`` on sparse matrices with scikit-learn's."""
    records = []
    for layout in ("csr", "csc"):
        for dtype in ("float32", "float64"):
            X = sparse.random_array(
                shape, density=0.1, format=layout, dtype=dtype, random_state=0
            )
            timed = contenders(
                {
                    "StandardScaler.fit": lambda X=X: StandardScaler(
                        with_mean=False
                    ).fit(X)
                },
                sparse_calls,
                X,
                kernel_sets,
            )
            best = best_times(timed, repeats)
            records += report(best, f"{layout} {dtype}", kernel_sets, SPARSE)
            size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
            peaks = {name: peak(call) / size for (_, name), call in timed.items()}
            print(f"{'':12} memory {peaks}")
            records.append({"data": f"{layout} {dtype}", "memory": peaks})
    return records


def main():
    """Run the comparisons that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=7)
    options = start(parser)
    kernel_sets = _kernels.available()
    shape = options.rows, options.columns
    print(f"{options.rows:,} x {options.columns}, kernel sets {kernel_sets}")
    records = []
    for dtype in ("float32", "float64"):
        rng = np.random.default_rng(0)
        X = rng.standard_normal(shape, dtype=dtype)
        X += rng.standard_normal(options.columns, dtype=dtype)
        timed = contenders(baselines(X), calls, X, kernel_sets)
        records += report(best_times(timed, options.repeats), dtype, kernel_sets)
    records += report_gram(kernel_sets, options.repeats)
    records += report_sparse(shape, kernel_sets, options.repeats)
    write_json(options, comparisons=records)


if __name__ == "__main__":
    main()
