"""Memory of one process that fits, predicts, searches and fails for an hour.

    python benchmarks/soak.py                # an hour
    python benchmarks/soak.py --minutes 5

A round makes every kind of work once: fits of both networks with numpy's and with
compiled steps, ensembles, ``partial_fit``, warm starts, checkpoints and callbacks,
tables, transformers, searches, pickles, fits and predictions on threads, and fits that
fail. Twenty different rounds follow each other in a circle, so that a process which
keeps nothing needs the same memory in every circle.

The resident memory is read after every round. After a warm-up of a third of the time,
in which everything is compiled and every cache is filled, its slope is the median of
the slopes between pairs of rounds. Memory has grown if the slope adds up to more than
``--allowed`` MB over the rest of the run, and if the last circle needs that much more
than the first one after the warm-up, too. The program then lists the types with more
live objects than before, and ends with code 1. It does so for open files and threads,
too.
"""

import argparse
import gc
import pickle
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from _timing import start, use_kernels, write_json
from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
    Whitener,
    _kernels,
)
from sknn_notes._threads import run_on_threads
from sknn_notes.activations import ACTIVATIONS, Tanh
from sknn_notes.callbacks import Checkpoint
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sknn_notes.model_selection import GridSearchCV, RandomizedSearchCV
from sknn_notes.noise import GaussianNoise
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.penalties import PENALTIES
from sknn_notes.schedules import SCHEDULES
from sknn_notes.tabular import TabularMLPClassifier, TabularMLPRegressor

N_ROWS, N_FEATURES, CIRCLE = 300, 12, 20
OPTIONS = [
    {},
    {"dropout": 0.2, "input_dropout": 0.1},
    {"batch_norm": True, "early_stopping": True},
    {"layer_norm": True, "residual": True},
    {"dropconnect": 0.1, "max_norm": 2.0},
    {"embedding": "periodic"},
    {"augment": GaussianNoise(), "clip_norm": 1.0},
    {"dtype": "float32", "early_stopping": True},
]


class FailingTanh(Tanh):
    """Fails in its third call; a part of the user's own."""

    def forward(self, Z, xp):
        self.n_calls = getattr(self, "n_calls", 0) + 1
        if self.n_calls % 3 == 0:
            raise RuntimeError("a part that fails")
        return super().forward(Z, xp)


class Round:
    """All kinds of work once; what is drawn depends on the seed alone."""

    def __init__(self, seed, folder):
        self.rng, self.folder = np.random.default_rng(seed), folder
        self.seed, self.n_rejected = seed, 0
        self.X = self.rng.normal(size=(N_ROWS, N_FEATURES))
        self.number = self.X[:, 0] + 0.1 * self.rng.normal(size=N_ROWS)
        self.classes = np.digitize(self.number, [-0.5, 0.5])

    def _one_of(self, names):
        names = list(names)
        return names[self.rng.integers(len(names))]

    def _network(self, **params):
        is_classifier = self.rng.random() < 0.5
        cls = MLPClassifier if is_classifier else MLPRegressor
        options = {
            "hidden_layer_sizes": (16, 8),
            "max_iter": 5,
            "batch_size": 50,
            "random_state": self.seed,
            "activation": self._one_of(ACTIVATIONS),
            **OPTIONS[self.rng.integers(len(OPTIONS))],
            **params,
        }
        return cls(**options), self.classes if is_classifier else self.number

    def _fitted(self, model, X, y):
        """Fit and predict; some options exclude each other or some data."""
        try:
            return model.fit(X, y).predict(X)
        except ValueError:
            self.n_rejected += 1
            return None

    def fits(self):
        """Every solver, and a loss, a penalty and a schedule each."""
        for solver in OPTIMIZERS:
            model, y = self._network(solver=solver, penalty=self._one_of(PENALTIES))
            if OPTIMIZERS[solver].stochastic:
                model.set_params(learning_rate=self._one_of(SCHEDULES))
            yield self._fitted(model, self.X, y)

    def losses(self):
        for losses, cls, y in [
            (CLASSIFICATION_LOSSES, MLPClassifier, self.classes),
            (REGRESSION_LOSSES, MLPRegressor, np.exp(self.number)),
        ]:
            model = cls(hidden_layer_sizes=(8,), loss=self._one_of(losses), max_iter=3)
            yield self._fitted(model, self.X, y)

    def sparse(self):
        model, y = self._network(embedding=None, augment=None)
        X = csr_array(np.where(self.X > 1, self.X, 0))
        yield self._fitted(model, X, y)

    def continued(self):
        model, y = self._network(early_stopping=False)
        for _ in range(4):
            given = {"classes": [0, 1, 2]} if hasattr(model, "predict_proba") else {}
            yield model.partial_fit(self.X[:50], y[:50], **given).predict(self.X)
        model, y = self._network(warm_start=True)
        for _ in range(3):
            yield self._fitted(model, self.X, y)

    def ensembles(self):
        for n_jobs in (1, 2):
            model, y = self._network(n_networks=3, n_jobs=n_jobs)
            yield self._fitted(model, self.X, y)

    def pickles(self):
        model, y = self._network()
        model.fit(self.X, y)
        for _ in range(3):
            model = pickle.loads(pickle.dumps(clone(model).fit(self.X, y)))
            yield model.predict(self.X)

    def checkpoints(self):
        path = self.folder / "fit.ckpt"
        model, y = self._network(solver="adam")
        yield model.fit(self.X, y, checkpoint=Checkpoint(path))
        yield Checkpoint.load(path).resume(self.X, y)
        path.unlink()

    def callbacks(self):
        model, y = self._network()
        if hasattr(model, "set_callbacks"):
            yield model.set_callbacks(StopAfter(3)).fit(self.X, y)

    def tables(self):
        table = pd.DataFrame(self.X[:, :4], columns=list("abcd"))
        table["kind"] = self.rng.choice(["u", "v", "w"], size=N_ROWS)
        for cls, y in [
            (TabularMLPClassifier, self.classes),
            (TabularMLPRegressor, self.number),
        ]:
            yield cls("fast", random_state=self.seed).fit(table, y).predict(table)

    def transformers(self):
        for each in [
            Centerer(),
            Standardizer(),
            MinMaxNormalizer(),
            RobustStandardizer(),
            PiecewiseLinearEncoder(),
            Whitener("pca"),
            Whitener("zca_cor", shrinkage="oas"),
        ]:
            yield each.fit_transform(self.X)
            for _ in range(3):
                yield each.partial_fit(self.X).transform(self.X)

    def searches(self):
        network = MLPClassifier(hidden_layer_sizes=(8,), max_iter=3, random_state=0)
        model = make_pipeline(Standardizer(), network)
        grid = {
            "mlpclassifier__alpha": [1e-4, 1e-2],
            "mlpclassifier__dropout": [0, 0.2],
        }
        search = GridSearchCV(model, grid, cv=3, n_jobs=2)
        yield search.fit(self.X, self.classes).predict(self.X)
        search = RandomizedSearchCV(model, grid, n_iter=2, cv=2, random_state=0)
        yield search.fit(self.X, self.classes).cv_results_

    def failures(self):
        model, y = self._network()
        model.fit(self.X, y)
        wrong = {"alpha": -1.0}, {"activation": FailingTanh()}, {"solver": "none"}
        for params in wrong:
            failing = clone(model).set_params(**params)
            yield fails((ValueError, RuntimeError), failing.fit, self.X, y)
        yield fails(ValueError, model.fit, np.full_like(self.X, np.nan), y)
        yield fails(ValueError, model.predict, self.X[:, :3])
        diverging = MLPRegressor(solver="sgd", learning_rate_init=1e6, max_iter=5)
        yield fails(ValueError, diverging.fit, 1e6 * self.X, self.number)
        yield fails(ValueError, Whitener().fit, self.X[:, 0])

    def threads(self):
        model, y = self._network()
        model.fit(self.X, y)

        def work(i):
            clone(model).set_params(random_state=i).fit(self.X, y)
            model.predict(self.X)

        yield run_on_threads(work, 6, 3)


def fails(error, call, *args, **kwargs):
    """Call what is expected to raise an error."""
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"{call} raised nothing")


class StopAfter:
    """Stop a training after some epochs; a callback of scikit-learn's."""

    def __init__(self, n_epochs):
        self.n_epochs, self.n_seen = n_epochs, 0

    def setup(self, estimator, context):
        self.n_seen = 0

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.n_seen += context.task_name == "epoch"
        return self.n_seen >= self.n_epochs


KINDS = [
    "fits",
    "losses",
    "sparse",
    "continued",
    "ensembles",
    "pickles",
    "checkpoints",
    "callbacks",
    "tables",
    "transformers",
    "searches",
    "failures",
    "threads",
]


def resident():
    """Return the resident memory of the process, in MB."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import psutil

        return psutil.Process().memory_info().rss / 1e6
    import resource

    return pages * resource.getpagesize() / 1e6


def n_open_files():
    """Return the number of open files; 0 where the system doesn't list them."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def live_objects():
    """Return the number of objects of each type that the collector knows."""
    gc.collect()
    return Counter(
        f"{type(each).__module__}.{type(each).__qualname__}"
        for each in gc.get_objects()
    )


def slope(x, y):
    """Return the median of the slopes between the points of two halves."""
    half = len(x) // 2
    pairs = zip(x, y, x[half:], y[half:], strict=False)
    return median((d - b) / (c - a) for a, b, c, d in pairs)


def main():
    """Run the program from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--allowed", type=float, default=8, help="growth in MB")
    options = start(parser, threads=1)
    begin = time.monotonic()
    warm_up, end = 20 * options.minutes, 60 * options.minutes
    minutes, memory, counts = [], [], Counter()
    seconds = defaultdict(float)
    warm = None
    with tempfile.TemporaryDirectory() as folder:
        number = 0
        # Whole circles only.
        while number % CIRCLE or time.monotonic() - begin < end:
            use_kernels(_kernels.available()[number % len(_kernels.available())])
            work = Round(number % CIRCLE, Path(folder))
            for kind in KINDS:
                since = time.monotonic()
                counts[kind] += sum(1 for _ in getattr(work, kind)())
                seconds[kind] += time.monotonic() - since
            counts["rejected"] += work.n_rejected
            number += 1
            gc.collect()
            minutes.append((time.monotonic() - begin) / 60)
            memory.append(resident())
            if number % CIRCLE == 0:
                mean = np.mean(memory[-CIRCLE:])
                print(
                    f"{minutes[-1]:6.1f} min {number:5} rounds {memory[-1]:8.1f} MB, "
                    f"in this circle {mean:.2f}; {n_open_files()} files, "
                    f"{threading.active_count()} threads",
                    flush=True,
                )
                if warm is None and time.monotonic() - begin >= warm_up:
                    warm = number, live_objects(), n_open_files()
    grown = report(options, minutes, memory, warm, counts, seconds)
    sys.exit(int(grown))


def report(options, minutes, memory, warm, counts, seconds):
    """Print and write the figures; tell whether something has grown."""
    first, objects, n_files = warm
    minutes, after = minutes[first:], memory[first:]
    if len(after) < 2 * CIRCLE:
        sys.exit("Too short: two circles after the warm-up take more minutes.")
    per_minute = slope(minutes, after)
    by_slope = per_minute * (minutes[-1] - minutes[0])
    by_circle = np.mean(after[-CIRCLE:]) - np.mean(after[:CIRCLE])
    now = live_objects()
    more = {k: n - objects[k] for k, n in now.items() if n > objects[k]}
    print("calls:", ", ".join(f"{kind} {n}" for kind, n in counts.items()))
    print("seconds:", ", ".join(f"{kind} {s:.0f}" for kind, s in seconds.items()))
    print(
        f"resident after the warm-up: {np.mean(after[:CIRCLE]):.1f} MB in the first "
        f"circle, {np.mean(after[-CIRCLE:]):.1f} MB in the last; "
        f"{60 * per_minute:+.2f} MB/h, {by_slope:+.2f} MB over "
        f"{minutes[-1] - minutes[0]:.1f} min and {len(after)} rounds"
    )
    print(f"objects: {sum(objects.values())}, then {sum(now.values())}")
    files, threads = n_open_files() - n_files, threading.active_count() - 1
    grown = min(by_slope, by_circle) > options.allowed
    if grown or sum(more.values()) > 1000:
        for kind in sorted(more, key=more.get, reverse=True)[:20]:
            print(f"  {kind}: {objects[kind]}, then {now[kind]}")
    grown = grown or files > 0 or threads > 0
    print(f"more open files: {files}; threads left: {threads}")
    print("GROWN" if grown else "no growth")
    write_json(
        options,
        minutes=minutes,
        memory=after,
        mb_per_hour=60 * per_minute,
        growth=by_circle,
        calls=counts,
    )
    return grown


if __name__ == "__main__":
    main()
