"""Time of predictions in onnxruntime, compared with ``predict_proba`` of the estimator.

    python benchmarks/serving.py            # every network
    python benchmarks/serving.py 784        # networks whose name contains this

Latency is the time for one row, throughput that for 10,000 rows at once, both in
float32. onnxruntime runs with one thread and with its default number of threads. Runs
are interleaved and repeated, and the medians are compared. ``--json FILE`` stores the
results.
"""

import argparse
import json
import os
import platform
import warnings
from statistics import median
from time import perf_counter

# Settings for old BLAS builds that slow a current one down.
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)

import numpy as np
import onnxruntime
from threadpoolctl import threadpool_info

import sknn_notes
from sknn_notes.onnx import to_onnx

# (inputs, hidden layers, classes)
NETWORKS = [(64, (100,), 10), (784, (100,), 10), (784, (512, 512), 10)]
N_ROWS = 10_000


def train(n_inputs, hidden, n_classes):
    """Return a network after a few steps on random data, and float32 rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_ROWS, n_inputs), dtype=np.float32)
    y = np.arange(1000) % n_classes
    model = sknn_notes.MLPClassifier(hidden, max_iter=1, random_state=0)
    return model.fit(X[: len(y)], y), X


def serve(graph, n_threads):
    """Return a function from rows to probabilities; 0 is the default of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda X: session.run(["probabilities"], {"X": X})[0]


def seconds(predict, X, n_calls):
    """Return the time of one call, the mean of several."""
    start = perf_counter()
    for _ in range(n_calls):
        predict(X)
    return (perf_counter() - start) / n_calls


def measure(network, repeats):
    """Return the median seconds of every contender for one row and for many."""
    model, X = train(*network)
    graph = to_onnx(model, X[:1])
    contenders = {
        "predict_proba": model.predict_proba,
        "onnxruntime, 1 thread": serve(graph, 1),
        "onnxruntime": serve(graph, 0),
    }
    expected = model.predict_proba(X)
    for predict in contenders.values():
        np.testing.assert_allclose(predict(X), expected, atol=1e-5)
    times: dict[str, dict[str, list[float]]] = {
        name: {"row": [], "rows": []} for name in contenders
    }
    for _ in range(repeats):
        for name, predict in contenders.items():
            times[name]["row"].append(seconds(predict, X[:1], 200))
            times[name]["rows"].append(seconds(predict, X, 2))
    return {
        name: {size: median(values) for size, values in sizes.items()}
        for name, sizes in times.items()
    }


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="?", default="")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    blas = [
        f"{pool['internal_api']} {pool['version']} ({pool['num_threads']} threads)"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]
    print(f"{platform.machine()}, {os.cpu_count()} cores; {'; '.join(blas)}")
    print(f"sknn_notes {sknn_notes.__version__}, onnxruntime {onnxruntime.__version__}")
    print(
        f"{'network':16} {'':22} {'us/row':>9} {'faster':>7} "
        f"{f'ms/{N_ROWS:,} rows':>16} {'faster':>7}"
    )
    results = {}
    for n_inputs, hidden, n_classes in NETWORKS:
        name = "-".join(map(str, [n_inputs, *hidden, n_classes]))
        if options.only not in name:
            continue
        results[name] = times = measure((n_inputs, hidden, n_classes), options.repeats)
        own = times["predict_proba"]
        for contender, of in times.items():
            print(
                f"{name:16} {contender:22} {1e6 * of['row']:9.0f} "
                f"{own['row'] / of['row']:6.1f}x {1e3 * of['rows']:16.1f} "
                f"{own['rows'] / of['rows']:6.1f}x",
                flush=True,
            )
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"blas": blas, "seconds": results}, file, indent=2)


if __name__ == "__main__":
    main()
