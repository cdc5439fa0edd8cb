"""How long whole fits take, beside scikit-learn's: defaults, and the same training.

    python benchmarks/fits.py

A fit is that of a pipeline of `StandardScaler` and `MLPClassifier`, on three quarters
of the rows. "Defaults" are both networks as they come, which may stop after different
numbers of epochs. "Same" are 30 epochs of one network for both: 100 units, Adam,
batches of 200, and the same penalty, which the two libraries scale differently. Warm
fits of one process take turns. First fits are fits by default in new processes, after
the imports: with the compiled functions on disk, and with an empty cache, so that they
are compiled first.

Times are processor times on one thread, which other programs hardly change.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
from statistics import fmean, median
from time import process_time

from sklearn import datasets, neural_network
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknn_notes
from _timing import (
    interleaved,
    processor_seconds,
    ratio,
    start,
    use_kernels,
    write_json,
)
from sknn_notes import _kernels
from startup import emptied

BATCH_SIZE, PENALTY = 200, 1e-4
SAME = {"max_iter": 30, "n_iter_no_change": 1000, "batch_size": BATCH_SIZE}
# alpha: scikit-learn divides it by the batch size.
SETTINGS = {
    "defaults": ({}, {}),
    "same": (SAME | {"alpha": PENALTY / BATCH_SIZE}, SAME | {"alpha": PENALTY}),
}


def made():
    return datasets.make_classification(
        n_samples=50_000, n_features=30, n_informative=10, n_classes=5, random_state=0
    )


# name -> (data, repeats)
SETS = {
    "breast cancer": (lambda: datasets.load_breast_cancer(return_X_y=True), 9),
    "digits": (lambda: datasets.load_digits(return_X_y=True), 5),
    "50,000 x 30": (made, 3),
}


def load(name):
    """Return the data set as training and test inputs, training and test classes."""
    return train_test_split(*SETS[name][0](), random_state=0)


def model(library, setting, seed=0):
    """Return a pipeline of ours ("ours") or of scikit-learn's network ("sklearn")."""
    ours, theirs = SETTINGS[setting]
    if library == "ours":
        network = sknn_notes.MLPClassifier(random_state=seed, **ours)
    else:
        network = neural_network.MLPClassifier(random_state=seed, **theirs)
    return make_pipeline(StandardScaler(), network)


def first(name):
    """Return the seconds of one fit of ours, the first of this process."""
    X, _, y, _ = load(name)
    return processor_seconds(lambda: model("ours", "defaults").fit(X, y))


def first_of_process(name, cache):
    """Return the seconds of the first fit of a new process."""
    here = str(pathlib.Path(__file__).parent)
    code = (
        "import warnings; warnings.simplefilter('ignore'); import fits; "
        f"print(fits.first({name!r}))"
    )
    path = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def warm_fits(name, setting):
    """Return the seconds of fits that took turns, one a seed, and their results."""
    X, X_test, y, y_test = load(name)
    found = {label: [] for label in ("sklearn", "numpy", "numba")}

    def contender(label, library, kernels=None):
        def run():
            use_kernels(kernels)
            pipeline = model(library, setting, seed=len(found[label]))
            begin = process_time()
            pipeline.fit(X, y)
            elapsed = process_time() - begin
            score = pipeline.score(X_test, y_test)
            found[label].append({"epochs": pipeline[-1].n_iter_, "accuracy": score})
            return elapsed

        return run

    contenders = {
        "sklearn": contender("sklearn", "sklearn"),
        "numpy": contender("numpy", "ours", "numpy"),
    }
    if "numba" in _kernels.available():
        contenders["numba"] = contender("numba", "ours", "numba")
        # Compile, or read from the disk, before the clock runs.
        contenders["numba"]()
        found["numba"].clear()
    return interleaved(contenders, SETS[name][1]), found


def first_fits(name, scratch):
    """Return the seconds of first fits, by what is compiled before."""
    if "numba" not in _kernels.available():
        return {}
    full, empty = scratch / "full", scratch / "empty"
    first_of_process(name, full)
    return {
        "on disk": median(first_of_process(name, full) for _ in range(3)),
        "compiling": median(first_of_process(name, emptied(empty)) for _ in range(3)),
    }


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options = start(parser, threads=1)
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.sets:
            for setting in SETTINGS:
                times, found = warm_fits(name, setting)
                results[f"{name}, {setting}"] = {"times": times, "found": found}
                print_fits(name, setting, times, found)
            firsts = first_fits(name, pathlib.Path(scratch))
            results[f"{name}, first"] = firsts
            for label, elapsed in firsts.items():
                print(f"  first fit, {label:11}{elapsed:8.2f} s", flush=True)
    write_json(options, fits=results)


def print_fits(name, setting, times, found):
    """Print how many times as fast as scikit-learn each is, epochs and accuracy."""
    theirs = median(times["sklearn"])
    print(f"\n{name}, {setting}: scikit-learn {theirs:.2f} s", flush=True)
    for label in times:
        epochs, accuracy = (
            fmean(result[what] for result in found[label])
            for what in ("epochs", "accuracy")
        )
        print(
            f"  {label:22}{ratio(times, 'sklearn', label):8.2f}"
            f"{epochs:6.0f} epochs{accuracy:8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
