"""Executor of training steps, by compiled loops or by array code."""

import math
from typing import Any, cast

import numpy as np
from scipy.sparse import issparse

from sknn_notes import _kernels
from sknn_notes._compile import Memory, n_missing
from sknn_notes._engine.program import Step, memory_of, run
from sknn_notes._engine.rows import is_sparse, n_entries
from sknn_notes._engine.tape import CompiledTape, Recorder
from sknn_notes._messages import say
from sknn_notes._part import NoLoopsError
from sknn_notes.layers._dense import Dense
from sknn_notes.layers._input_noise import InputNoise

# Elements of the widest buffer of the steps of one call.
_BLOCK_SIZE = 2**20
# Number of steps after which subnormal numbers are removed, at the end of an epoch.
_INTERVAL = 128


class Executor:
    """Executor of the steps of a program on all parameters.

    Each half of a step, the objective and the update, runs as compiled operations if
    all its parts have loops, and in array code otherwise.

    Parameters
    ----------
    program : Program
    X : {ndarray, sparse array, Rows} of shape (n_samples, n_features)
    y : ndarray
        Encoded targets.
    max_rows : int
        Number of rows of the largest batch.
    verbose : bool, default=False
        Whether to print a message if operations are compiled, which takes time.

    Attributes
    ----------
    reason : str
        Why steps are not compiled, "" if they are.
    whole : Network
        The network that is trained.
    """

    # Whether the network has weights only for the inputs in a batch, and a function
    # that returns the numbers of active rows.
    chooses_inputs = False
    _active_numbers: Any = None

    def __init__(self, program, X, y, max_rows, verbose=False):
        self.verbose = verbose
        self.program, self.network = program, program.network
        self.whole = program.network
        self.reason = ""
        self._objective, self._updates = program.objective, program.updates
        self._head: list = []
        self._tapes: list[CompiledTape | None] = [None, None, None]
        self._whole: CompiledTape | None = None
        if _kernels.active().__name__.endswith("_numba"):
            self._compile(X, y, max_rows)
        else:
            self.reason = "numba is not in use"

    @property
    def description(self):
        """Name of the executor and, if it is numpy, the reason."""
        if self._whole is not None:
            return "numba"
        return f"numpy ({self.reason})"

    def _compile(self, X, y, max_rows):
        layers, dtype = self.network.layers, self.network.theta.dtype
        noises = [layer for layer in layers if isinstance(layer, InputNoise)]
        # Noise layers without loops run first, together with those before them.
        n_done = max(
            (i + 1 for i, x in enumerate(noises) if not x.has_loops), default=0
        )
        self._head = noises[:n_done]
        kind = {"is_sparse": is_sparse(X), "chooses_inputs": self.chooses_inputs}
        tape = Recorder(self.network, max_rows, len(self._head), **kind)
        reasons = []
        takes_sparse = isinstance(layers[0], Dense) and not layers[0].is_random
        if is_sparse(X) and not takes_sparse:
            reasons.append("X is sparse")
        else:
            reasons.append(_record(self._objective, tape, y))
        if reasons[0]:
            self._head = []
            tape = Recorder(self.network, max_rows, **kind)
        reasons.append(_record(self._updates, tape, y))
        self.reason = "; ".join(filter(None, reasons))
        objective, updates, averages = tape.objective, tape.updates, tape.averages
        if self.verbose:
            _tell_compiling([*objective, *updates, *averages], dtype)
        if not self.reason:
            every = [*updates, *averages]
            arguments = objective, every, tape.has_rate, dtype
            self._whole = CompiledTape(*arguments, self._active_numbers)
        if not reasons[0]:
            self._tapes[0] = CompiledTape(objective, (), (), dtype)
            self._tapes[2] = CompiledTape((), averages, (), dtype)
        if not reasons[1]:
            self._tapes[1] = CompiledTape((), updates, tape.has_rate, dtype)
        self._work, self._none = np.empty(tape.n_work, dtype), np.empty(0, dtype)
        widths = [layer.n_units for layer in layers if hasattr(layer, "n_units")]
        n_inputs = [shape[0] for shape in self.network.shapes]
        if is_sparse(X):
            n_inputs[0] = int(np.ceil(np.mean(n_entries(X))))
        widest = max([*widths, *n_inputs])
        self._bits = np.empty(widest + 1, np.uint32)
        self._n_batches = max(1, _BLOCK_SIZE // (max_rows * widest))

    # An epoch.

    def run_epoch(self, batches, rates, state, scheduled=()):
        """Train for an epoch; return the mean loss, or a loss that is not finite.

        Parameters
        ----------
        batches : Batches
        rates : ndarray of shape (n_steps,)
            Learning rates.
        state : TrainingState
        scheduled : sequence of (callable, ndarray of shape (n_steps,))
            Functions that set other scheduled numbers, and their values.
        """
        program, memory = self.program, state.optimizer_state
        if not program.smooth:
            program.optimizer.begin_epoch(self.network.theta, memory, self.network.xp)
        if self._tapes[1] is not None:
            _check_memory(program.optimizer, memory, self.network.theta)
        try:
            run_epoch = self._run_blocks if self._whole else self._run_batches
            return run_epoch(batches, rates, state, scheduled) / batches.n_samples
        finally:
            if not program.smooth:
                program.optimizer.end_epoch(self.network.theta, memory)
            n_steps = state.epoch * batches.n_batches
            if n_steps // _INTERVAL < (n_steps + batches.n_batches) // _INTERVAL:
                for array in memory_of(memory):
                    # A user's own solver may hold arrays of any kind.
                    if _is_like(array, self.network.theta):
                        remove_subnormals(array)

    def _run_blocks(self, batches, rates, state, scheduled):
        total, done = 0.0, 0
        whole = cast(CompiledTape, self._whole)
        numbers = None if scheduled else whole.numbers(rates)
        for X, y, sample_weight, edges in batches.blocks(state.rng, self._n_batches):
            steps = slice(done, done + len(edges) - 1)
            keys = self._keys(state.rng, len(edges) - 1)
            X, keys = self._through_head(X, edges, keys)
            if numbers is None:
                rows = _scheduled_numbers(whole, rates, scheduled, steps)
            else:
                rows = numbers if len(numbers) == 1 else numbers[steps]
            data = X, y, sample_weight
            memory = state.optimizer_state
            value = self._call(whole, data, rows, memory, edges, keys)
            done = steps.stop
            if not math.isfinite(value):
                return value
            total += value
        return total

    def _run_batches(self, batches, rates, state, scheduled):
        total = 0.0
        for i, (X, y, sample_weight) in enumerate(batches.epoch(state.rng)):
            for change, values in scheduled:
                change(float(values[i]))
            keys = self.keys(state.rng)
            rate, memory = float(rates[i]), state.optimizer_state
            value = self.objective(X, y, sample_weight, keys)
            if not math.isfinite(value):
                return value
            value += self._update(rate, memory)
            if not math.isfinite(value):
                return value
            self._average(len(y))
            total += value * len(y)
        return total

    def objective(self, X, y, sample_weight, keys=None):
        """Return the mean loss of a batch, and fill ``network.grad``.

        ``keys`` are those of the noise; without keys, there is no noise.
        """
        tape = self._tapes[0]
        if tape is None or (keys is None and self.network.has_noise):
            step = Step(X, y, sample_weight, keys)
            run(self._objective, step)
            return step.value
        keys = _NO_KEYS if keys is None else keys.reshape(1, -1)
        edges = np.array([0, len(y)])
        X, keys = self._through_head(X, edges, keys)
        data = X, y, sample_weight
        numbers = tape.numbers(_NO_RATE, fresh=True)
        value = self._call(tape, data, numbers, {}, edges, keys)
        return value / len(y) if math.isfinite(value) else value

    def _update(self, rate, memory):
        """Update the parameters by one step; return the penalty before the step."""
        tape = self._tapes[1]
        if tape is None:
            step = Step(None, None, rate=rate, state=memory)
            run(self._updates, step)
            return step.value
        numbers = tape.numbers(np.array([rate]), fresh=True)
        return self._call(tape, None, numbers, memory, _ONE_ROW, _NO_KEYS)

    def _average(self, n):
        if len(self.network.running) == 0:
            return
        tape = self._tapes[2]
        if tape is None:
            self.network.update_running()
        else:
            edges = np.array([0, n])
            numbers = tape.numbers(_NO_RATE, fresh=True)
            self._call(tape, None, numbers, {}, edges, _NO_KEYS)

    # Compiled calls.

    def keys(self, rng):
        """Return the keys of a step, None if nothing is random."""
        n = self.program.n_random
        return rng.bit_generator.random_raw(n) if n else None

    def _keys(self, rng, n_steps):
        n = self.program.n_random
        return rng.bit_generator.random_raw(n * n_steps).reshape(n_steps, n)

    def _through_head(self, X, edges, keys):
        """Return the inputs of the compiled layers, and their keys."""
        n = len(self._head)
        if not n:
            return X, keys
        noisy = []
        for i, own in enumerate(keys):
            rows = X[edges[i] : edges[i + 1]]
            for layer, key in zip(self._head, own, strict=False):
                rows = layer.noise.noisy(rows, key)
            noisy.append(rows)
        return np.concatenate(noisy), np.ascontiguousarray(keys[:, n:])

    def _memory(self, data, state):
        """Return the arrays that compiled operations read and write.

        ``data`` are inputs, targets and weights of the samples, or None. Inputs may be
        sparse. Targets may be a list of classes and targets.
        """
        network, none = self.network, self._none
        x, targets, classes, weights = none, none, _NO_INTEGERS, none
        entries = _NO_INTEGERS
        if data is not None:
            X, y, sample_weight = data
            x = X.data if issparse(X) else X.reshape(-1)
            entries = entries_of(X) if issparse(X) else entries
            if isinstance(y, list):
                classes, targets = y
            elif y.ndim == 1:
                classes = y
            else:
                targets = y.reshape(-1)
            weights = none if sample_weight is None else sample_weight
        arrays = [*memory_of(state), none, none]
        first, second = arrays[:2]
        return Memory(
            x,
            targets,
            classes,
            weights,
            self._work,
            self._bits,
            network.theta,
            network.grad,
            network.running,
            first,
            second,
            entries,
        )

    def _call(self, tape, data, numbers, state, edges, keys):
        memory = self._memory(data, state)
        t = state.get("t", 0)
        n_features = len(memory.x) // max(1, edges[-1])
        value = tape.run(memory, numbers, n_features, edges, keys, t)
        if "t" in state:
            state["t"] = t + len(edges) - 1
        return value


def remove_subnormals(array):
    """Replace subnormal numbers by 0, in place.

    The averages of a solver decay to them where the gradient is 0, and rounding keeps
    them from reaching 0. Processors may take many times as long to compute with them.
    """
    smallest = np.finfo(array.dtype).smallest_normal
    for start in range(0, len(array), _FEW):
        block = array[start : start + _FEW]
        block[np.abs(block) < smallest] = 0


# Elements that stay in a cache of the processor.
_FEW = 2**14
_ONE_ROW = np.array([0, 1])
_NO_RATE = np.zeros(1)
_NO_KEYS = np.empty((1, 0), np.uint64)
_NO_INTEGERS = np.empty(0, np.int64)


def entries_of(X):
    """Return the positions of the entries of a CSR array; see ``Memory``."""
    n = X.shape[0]
    starts = X.indptr.astype(np.int64) + np.arange(n + 1, 0, -1)
    return np.concatenate([starts, X.indices.astype(np.int64)])


def _check_memory(optimizer, state, theta):
    """Raise TypeError if the arrays of a state don't fit the compiled loops."""
    for name, array in state.items():
        if isinstance(array, np.ndarray) and not _is_like(array, theta):
            raise TypeError(
                f"{type(optimizer).__name__}.start returned {name!r} of shape "
                f"{array.shape} and dtype {array.dtype}, but its loops require arrays "
                f"like theta, of shape {theta.shape} and dtype {theta.dtype}. Correct "
                "start, or remove the loops."
            )


def _is_like(array, theta):
    return array.shape == theta.shape and array.dtype == theta.dtype


def _record(stages, tape, y):
    """Record stages; return which part has no loops, "" if all have loops."""
    try:
        for stage in stages:
            stage.record(tape, y)
    except NoLoopsError as error:
        return str(error)
    return ""


def _scheduled_numbers(tape, rates, scheduled, steps):
    """Return the numbers of some steps according to schedules, one row per step."""
    rows = []
    for i in range(*steps.indices(len(rates))):
        for change, values in scheduled:
            change(float(values[i]))
        rows.append(tape.numbers(rates[i : i + 1], fresh=True)[0])
    return np.array(rows)


def _tell_compiling(operations, dtype):
    n = n_missing(((x.function, x.loops) for x in operations), dtype)
    if n:
        say(
            f"Compiling {n} operations for {dtype}, about {0.4 * n:.0f} s; later fits "
            "find them on disk."
        )
