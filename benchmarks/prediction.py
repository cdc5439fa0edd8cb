"""Time and memory of predict_proba, for one row and for many.

    python benchmarks/prediction.py --threads 1

For one row of 64 features and 100 hidden units, the time is compared with that of input
validation, ``check_is_fitted`` and scikit-learn's ``validate_data``; the target is 1.1
times that plus 15 microseconds. For ten thousand rows of 784 features and two hidden
layers of 512 units, it is compared with the matrix products alone. Peak memory is
measured by ``tracemalloc`` and includes the result: prediction works in chunks, so that
it does not grow with the rows.
"""

import argparse
import tracemalloc
from statistics import median

import numpy as np
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.utils.validation import check_is_fitted, validate_data

from _timing import interleaved, ratio, seconds, start, write_json
from sknn_notes import MLPClassifier

N_CLASSES = 10
# Number of inputs and hidden layers.
SMALL, LARGE = (64, (100,)), (784, (512, 512))
ONE_ROW_TARGET = 1.1, 15e-6


def rows(n, n_inputs=LARGE[0]):
    """Return ``n`` rows of float32 inputs."""
    return np.random.default_rng(0).standard_normal((n, n_inputs), dtype=np.float32)


def fitted(make, n_inputs, hidden):
    """Return an estimator after a short fit."""
    X, y = rows(200, n_inputs), np.arange(200) % N_CLASSES
    return make(hidden, max_iter=1, random_state=0).fit(X, y)


def validate(estimator, X):
    """Validate the input, as any prediction has to."""
    check_is_fitted(estimator)
    dtype = estimator.coefs_[0].dtype
    return validate_data(estimator, X, accept_sparse="csr", dtype=dtype, reset=False)


def repeated(call, n):
    """Return a contender: seconds per call over ``n`` calls."""

    def run():
        return seconds(lambda: [call() for _ in range(n)]) / n

    return run


def one_row(options):
    """Compare the prediction of one row with its validation."""
    X = rows(1, SMALL[0])
    ours = fitted(MLPClassifier, *SMALL)
    theirs = fitted(SklearnMLPClassifier, *SMALL)
    contenders = {
        "validation": repeated(lambda: validate(ours, X), options.calls),
        "ours": repeated(lambda: ours.predict_proba(X), options.calls),
        "scikit-learn": repeated(lambda: theirs.predict_proba(X), options.calls),
    }
    times = interleaved(contenders, 10 * options.repeats)
    factor, extra = ONE_ROW_TARGET
    # Of the shortest times: noise of microseconds only ever adds to them.
    beyond = min(times["ours"]) - factor * min(times["validation"])
    print(
        f"one row: validation {1e6 * min(times['validation']):.0f} us; ours "
        f"{ratio(times, 'ours', 'validation'):.2f}x that, {1e6 * beyond:.1f} us above "
        f"{factor} times (target {1e6 * extra:.0f}: "
        f"{'met' if beyond <= extra else 'NOT met'}); "
        f"scikit-learn {ratio(times, 'scikit-learn', 'ours'):.2f}x ours"
    )
    return times


def many_rows(ours, theirs, options):
    """Compare the prediction of many rows with its matrix products."""
    X = rows(options.rows)
    A = [X, *(np.zeros((len(X), len(b)), X.dtype) for b in ours.intercepts_)]

    def products():
        for i, W in enumerate(ours.coefs_):
            np.dot(A[i], W, out=A[i + 1])

    contenders = {
        "products": lambda: seconds(products),
        "ours": lambda: seconds(lambda: ours.predict_proba(X)),
        "scikit-learn": lambda: seconds(lambda: theirs.predict_proba(X)),
    }
    interleaved(contenders, 1)
    times = interleaved(contenders, options.repeats)
    print(
        f"{options.rows:,} rows: products {1e3 * median(times['products']):.0f} ms; "
        f"ours {ratio(times, 'ours', 'products'):.2f}x that; "
        f"scikit-learn {ratio(times, 'scikit-learn', 'ours'):.2f}x ours"
    )
    return times


def peak(call):
    """Return the peak of the memory that a call allocates, in bytes."""
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        del result
        tracemalloc.stop()


def memory(ours, theirs, options):
    """Print the peak memory for some rows, and for ten times as many."""
    peaks = {}
    for n in (options.rows, 10 * options.rows):
        X = rows(n)
        peaks[n] = {
            "ours": peak(lambda X=X: ours.predict_proba(X)),
            "scikit-learn": peak(lambda X=X: theirs.predict_proba(X)),
        }
        print(
            f"{n:,} rows, {X.nbytes / 1e6:.1f} MB: peak",
            ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in peaks[n].items()),
        )
    return peaks


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--calls", type=int, default=100, help="of one row, a run")
    parser.add_argument("--rows", type=int, default=10_000)
    options = start(parser)
    single = one_row(options)
    ours, theirs = fitted(MLPClassifier, *LARGE), fitted(SklearnMLPClassifier, *LARGE)
    many = many_rows(ours, theirs, options)
    peaks = memory(ours, theirs, options)
    write_json(options, one_row=single, many_rows=many, peak_bytes=peaks)


if __name__ == "__main__":
    main()
