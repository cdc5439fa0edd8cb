"""Time of the transformers against scikit-learn's and against what memory allows.

    python benchmarks/preprocessing.py                  # 1,000,000 x 50, both types
    python benchmarks/preprocessing.py --rows 100000    # a shorter run

Every line is a call of the public method, validation included, on every kernel set that
is installed. It is compared with the call named beside it: the best of several
interleaved runs of each. A target is an upper bound of that ratio, or how many times
faster the call has to be where it ends in "x". ``--json FILE`` keeps the numbers.
"""

import argparse
from time import sleep

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from _timing import seconds, start, use_kernels, write_json
from sknn_notes import Centerer, MinMaxNormalizer, Standardizer, Whitener, _kernels

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


def best_times(X, kernel_sets, repeats):
    """Return the best time of every call, {(kernel set or None, name): seconds}."""
    contenders = {(None, name): call for name, call in baselines(X).items()}
    for kernel_set in kernel_sets:
        for name, call in calls(X, kernel_set).items():
            contenders[kernel_set, name] = call
    best = dict.fromkeys(contenders, np.inf)
    for _ in range(repeats):
        for key, call in contenders.items():
            use_kernels(key[0])
            # The threads of BLAS spin for a while after a product: let them rest.
            sleep(0.1)
            for _ in range(2):
                best[key] = min(best[key], seconds(call))
    return best


def met(ratio, target):
    """Whether a ratio of times is within its target."""
    if target.endswith("x"):
        return 1 / ratio >= float(target[:-1])
    return ratio <= float(target)


def report(best, dtype, kernel_sets):
    """Print one line a comparison and return them as records."""
    records = []
    for name, comparisons in TARGETS.items():
        for baseline, targets in comparisons.items():
            for kernel_set in kernel_sets:
                ratio = best[kernel_set, name] / best[None, baseline]
                target = targets.get(kernel_set, "")
                verdict = "" if not target else "met" if met(ratio, target) else "NOT"
                print(
                    f"{dtype:8} {kernel_set:6} {name:26} {ratio:5.2f} of "
                    f"{baseline:18} = {1 / ratio:5.1f}x faster   "
                    f"target {target or '-':4} {verdict}"
                )
                records.append(
                    {
                        "dtype": dtype,
                        "kernels": kernel_set,
                        "call": name,
                        "baseline": baseline,
                        "ratio": ratio,
                        "target": target,
                    }
                )
    return records


def main():
    """Run the comparisons that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=7)
    options = start(parser)
    kernel_sets = _kernels.available()
    print(f"{options.rows:,} x {options.columns}, kernel sets {kernel_sets}")
    records = []
    for dtype in ("float32", "float64"):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((options.rows, options.columns), dtype=dtype)
        X += rng.standard_normal(options.columns, dtype=dtype)
        best = best_times(X, kernel_sets, options.repeats)
        records += report(best, dtype, kernel_sets)
    write_json(options, comparisons=records)


if __name__ == "__main__":
    main()
