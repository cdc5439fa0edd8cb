"""Shared code of the device checks: the device, profiling, and targets."""

import subprocess
import sys
import warnings
from contextlib import ExitStack, contextmanager
from functools import wraps
from statistics import median
from time import perf_counter
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

from _timing import use_kernels
from sknn_notes import MLPClassifier
from sknn_notes._engine import stack
from sknn_notes._engine.device import Device
from sknn_notes._engine.executor import Executor
from sknn_notes._engine.side_by_side import _SideBySide
from sknn_notes._engine.training import Epochs
from sknn_notes.model_selection import _program
from sknn_notes.neural_network import _search_fits

# The functions in which searches, ensembles and single fits spend their time, by the
# names used in the tables.
PARTS_OF_A_FIT = {
    "prepare": [(_search_fits.PreparedFit, "__init__")],
    "train": [(_SideBySide, "train")],
    "build": [(stack.Stack, "__init__")],
    "record": [(Device, "recorded")],
    "trace": [(Device, "_compiled")],
    "epochs": [(stack.Stack, "run_epoch"), (Executor, "run_epoch")],
    "load": [(stack.Stack, "_load")],
    "plan": [(Epochs, "plan_epoch")],
    "leave": [(_SideBySide, "_leave")],
    "score": [(_program.Program, "_finish")],
}


def say(*cells, sep=" "):
    """Print a line and flush."""
    print(*cells, sep=sep, flush=True)


class Card:
    """The device that is checked.

    With ``name="cpu"``, tensors on the CPU replace it: everything runs, at small sizes,
    and nothing is measured.
    """

    def __init__(self, name):
        import torch

        self.torch, self.name, self.is_gpu = torch, name, name != "cpu"
        if not self.is_gpu:
            torch.set_num_threads(1)
        # All libraries compute products in full float32 precision.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False

    def __str__(self):
        torch = self.torch
        if not self.is_gpu:
            return f"PyTorch {torch.__version__} on the CPU: targets are unmeasured"
        name, cuda = torch.cuda.get_device_name(self.name), torch.version.cuda
        return f"{name}, PyTorch {torch.__version__}, CUDA {cuda}"

    def pick(self, real, tiny):
        """Return a size for a GPU, or that for the CPU."""
        return real if self.is_gpu else tiny

    def set_up(self):
        """Initialize the libraries of the device; return the time."""
        begin = perf_counter()
        with self.in_place():
            X, y = sample(40, 5, 3)
            classifier((4,), max_iter=1, device=self.name).fit(X, y)
        say(f"The device: {perf_counter() - begin:.1f} s to set up.")

    def synchronize(self):
        """Wait until all kernels have finished."""
        if self.is_gpu:
            self.torch.cuda.synchronize()

    def forget(self):
        """Free cached memory, and reset its peak."""
        if self.is_gpu:
            self.torch.cuda.empty_cache()
            self.torch.cuda.reset_peak_memory_stats()

    def peak(self):
        """Return the most bytes in use since ``forget``; None without a GPU."""
        return self.torch.cuda.max_memory_allocated() if self.is_gpu else None

    @contextmanager
    def in_place(self):
        """Treat ``device="cpu"`` as a GPU if it is the device to check."""
        if self.is_gpu:
            yield
            return
        modules = [
            module
            for name, module in list(sys.modules.items())
            if name.startswith("sknn_notes.") and hasattr(module, "is_host")
        ]
        with ExitStack() as patches:
            for module in modules:
                patches.enter_context(patch.object(module, "is_host", lambda _: False))
            patches.enter_context(patch.object(Device, "recorded", _traced))
            yield


def _traced(self, function, changed, others, is_long=False):
    """Return the trace of a long function, which a GPU's compiler would get."""
    if not is_long:
        return function
    before = [tensor.clone() for tensor in changed]
    with patch.object(self.torch, "compile", lambda traced, **_: traced):
        traced = self._compiled(function, [*changed, *others])
    for tensor, old in zip(changed, before, strict=True):
        tensor.copy_(old)
    return traced


def on_card(section):
    """Let a section run with tensors on the CPU instead of the device."""

    @wraps(section)
    def run(card, report, options):
        with card.in_place():
            return section(card, report, options)

    return run


def compiled(always):
    """Return a context in which all steps are compiled, or none."""
    return patch.object(stack, "_LONG", -1 if always else np.inf)


@contextmanager
def numpy_alone():
    """Compute the CPU's steps with numpy: numba would compile parts for minutes."""
    use_kernels("numpy")
    try:
        yield
    finally:
        use_kernels(None)


class Spans:
    """Record when functions of the library run within the block.

    Parameters
    ----------
    functions : dict of str to list of (owner, str)
        By the names of the spans, what has the functions, and their names there.
    """

    def __init__(self, functions=PARTS_OF_A_FIT):
        self._functions, self._patches = functions, ExitStack()
        self.times = {name: [] for name in functions}

    def __enter__(self):
        self.begin = perf_counter()
        for name, places in self._functions.items():
            for owner, attribute in places:
                timed = self._timed(name, getattr(owner, attribute))
                self._patches.enter_context(patch.object(owner, attribute, timed))
        return self

    def __exit__(self, *error):
        self.end = perf_counter()
        self._patches.close()

    def _timed(self, name, function):
        @wraps(function)
        def call(*args, **options):
            begin = perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.times[name].append((begin, perf_counter()))

        return call

    def seconds(self, name):
        """Return the seconds of all calls together."""
        return sum(end - begin for begin, end in self.times[name])

    @property
    def total(self):
        """Seconds of the whole block."""
        return self.end - self.begin

    def epoch(self):
        """Return the median seconds of an epoch, with what lies between two."""
        return median(np.diff([end for _, end in self.times["epochs"]]))

    def set_up(self):
        """Return the seconds before the first epoch, and those of recording in it."""
        return self.times["epochs"][0][1] - self.begin - self.epoch()

    def table(self):
        """Return where the seconds of a search or an ensemble went, by name."""
        train, training = self.times["train"], self.seconds("train")
        build, record = self.seconds("build"), self.seconds("record")
        before, after = train[0][0] - self.begin, self.end - train[-1][1]
        between = self.total - before - training - after
        return {
            "total": self.total,
            "set-up": before + between + build + record,
            "- before training": before,
            "- between stacks": between,
            "- build stacks": build,
            "- record, compile": record,
            "  - of it trace": self.seconds("trace"),
            "training": training - build - record,
            "- epochs": self.seconds("epochs") - record,
            "  - of it load": self.seconds("load"),
            "- plan epochs": self.seconds("plan"),
            "- leave stacks": self.seconds("leave"),
            "after training": after,
            "prepare, on threads": self.seconds("prepare"),
            "scoring, on threads": self.seconds("score"),
            "stacks": len(train),
        }


def timed_fit(estimator, X, y, n_threads=None):
    """Fit on the device or the CPU; return the spans."""
    with threadpool_limits(n_threads, "blas"), Spans() as spans:
        estimator.fit(X, y)
    return spans


def use_cpu_steps():
    """Run all steps of the CPU that are timed once, to compile or load them."""
    for dtype in ("float32", "float64"):
        for n_classes in (3, 2):
            data = sample(40, 5, n_classes, dtype)
            for rate in (0.0, 0.2):
                classifier((4, 4), dropout=rate, max_iter=1).fit(*data)


class Compiling:
    """Compile the CPU's steps in another process, while this one uses numpy."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdout=subprocess.PIPE, text=True
        )
        self._is_done = False

    def wait(self):
        """Wait until they are compiled, and load them."""
        if self._is_done:
            return
        begin = perf_counter()
        told, _ = self._process.communicate()
        self._is_done = True
        waited = perf_counter() - begin
        took = told.strip() or "an error, not seconds"
        say(f"The CPU's steps: {took} s to compile, {waited:.1f} s of them waited for.")
        use_cpu_steps()

    def close(self):
        """End the process if it is still running."""
        if not self._is_done:
            self._process.kill()
            self._process.communicate()


class Report:
    """The results of all sections, and whether targets are met."""

    def __init__(self, card):
        self._card = card
        self.targets = []

    def target(self, what, value, least=None, most=None, always=False):
        """Print a result with its target.

        Times have no target without a GPU; ``always`` is for other results.
        """
        bound = f"at least {least:g}" if most is None else f"at most {most:g}"
        met = value >= least if most is None else value <= most
        verdict = "met" if met else "MISSED"
        if not (self._card.is_gpu or always):
            verdict = "unmeasured"
        self.targets.append(
            {"what": what, "value": value, "target": bound, "verdict": verdict}
        )
        say(f"  {verdict:10} {what}: {value:.4g}, target {bound}")


def sample(n_rows, n_inputs, n_classes, dtype="float32"):
    """Return inputs and noisy classes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_inputs), np.float32).astype(dtype)
    directions = rng.standard_normal((n_inputs, n_classes), np.float32)
    scores = X @ directions
    scores += n_inputs**0.5 * rng.standard_normal(scores.shape, np.float32)
    return X, scores.argmax(axis=1)


def classifier(hidden=(100,), **parameters):
    """Return a classifier that trains for all of its epochs."""
    plain = {"random_state": 0, "n_iter_no_change": 10**6, "tol": 0.0}
    return MLPClassifier(hidden, **plain | parameters)


def largest(found, expected):
    """Return the largest difference of two arrays relative to the largest number."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    if found.shape != expected.shape:
        return np.inf
    if not expected.size:
        return 0.0
    size = max(np.abs(expected).max(), np.finfo(float).tiny)
    return float(np.abs(found - expected).max() / size)


if __name__ == "__main__":
    # The process that ``Compiling`` starts; compiled code is stored on disk.
    warnings.simplefilter("ignore")
    start = perf_counter()
    use_cpu_steps()
    print(round(perf_counter() - start, 1))
