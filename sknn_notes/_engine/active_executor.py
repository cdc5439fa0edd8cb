"""Executor of steps on active rows, and the choice between the executors."""

import math
from itertools import pairwise

import numpy as np
from scipy.sparse import issparse

from sknn_notes import _compile
from sknn_notes._compile import Active
from sknn_notes._engine import active_operations
from sknn_notes._engine.active import ActiveRows, capacities, idle_of
from sknn_notes._engine.executor import Executor
from sknn_notes._engine.program import Step, memory_of, run


def make_executor(program, batches, verbose=False):
    """Return the executor for the steps of a program on batches."""
    sizes = capacities(program, batches)
    arguments = program, batches.X, batches.y, batches.max_rows, verbose
    return ActiveExecutor(*arguments, sizes) if any(sizes) else Executor(*arguments)


class ActiveExecutor(Executor):
    """Executor of steps on active rows.

    Either all operations are compiled or none.

    Parameters
    ----------
    program : Program
        Of the whole network.
    X, y, max_rows, verbose
        As those of ``Executor``.
    sizes : tuple of int
        The results of ``capacities``.
    """

    def __init__(self, program, X, y, max_rows, verbose, sizes):
        self.rows = ActiveRows(program, *sizes)
        self.chooses_inputs = self.rows.inputs is not None
        super().__init__(self.rows.program, X, y, max_rows, verbose)
        self.whole = program.network
        if self._whole is not None:
            self._active_at = active_operations.layout(self.rows)
            self._addresses = self._compile_active()

    @property
    def _active_numbers(self):
        return self.rows.numbers

    def _compile_active(self):
        part, dtype = self.program.optimizer, self.network.theta.dtype
        idle = part.constants, part.idle_factors, idle_of(self.program)
        operations = [
            (active_operations.read_rows, *idle, part.ahead),
            (active_operations.write_rows, part.constants, part.idle_step),
            (active_operations.catch_up, *idle),
        ]
        addresses = [
            _compile.address(*operation, dtype=dtype, active=True)
            for operation in operations
        ]
        return np.array(addresses, np.int64)

    def run_epoch(self, batches, rates, state, scheduled=()):
        rows = self.rows
        if rows.whole_state is not state.optimizer_state:
            rows.load(state.optimizer_state)
            self._catch_up()
        theta, memory = rows.theta, rows.state
        if not self.program.smooth:
            self.program.optimizer.begin_epoch(theta, memory)
        try:
            run_epoch = self._run_blocks if self._whole else self._run_batches
            total = run_epoch(batches, rates, state, scheduled)
        finally:
            self.network.theta, self.network.grad = theta, rows.grad
            if not self.program.smooth:
                self.program.optimizer.end_epoch(theta, memory)
            # After every epoch, so that results do not depend on who reads them.
            change = self._catch_up()
            rows.save()
        return total / batches.n_samples + change / batches.n_batches

    def _catch_up(self):
        rows = self.rows
        if self._whole is None:
            return rows.catch_up()
        numbers = np.array(rows.numbers())
        memory, active = self._memory(None, rows.state), self._active()
        return self._whole.run_active_operation(active, memory, numbers, 2)

    # In array code.

    def _run_batches(self, batches, rates, state, scheduled):
        total = 0.0
        for i, (X, y, sample_weight) in enumerate(batches.epoch(state.rng)):
            for change, values in scheduled:
                change(float(values[i]))
            value = self._step(X, y, sample_weight, float(rates[i]), state.rng)
            if not math.isfinite(value):
                return value
            total += value * len(y)
        return total

    def _step(self, X, y, sample_weight, rate, rng):
        rows, keys = self.rows, self.keys(rng)
        t = rows.state.get("t", 0) + 1
        if rows.inputs is not None:
            X = rows.choose_inputs(X)
        if rows.outputs is not None:
            rows.choose_outputs(self._choose(y, [keys]))
        rows.read(rate, t)
        step = Step(X, y, sample_weight, keys, rate, rows.state_in_use)
        run(self.program.objective, step)
        if math.isfinite(step.value):
            run(self.program.updates, step)
            step.value += rows.write(rate, t, step.state)
            self._average(len(y))
        return step.value

    def _choose(self, y, keys):
        """Return the outputs that batches need; ``keys`` has a row per batch."""
        loss = self.program.loss
        own = [each[-1] if loss.is_random else 0 for each in keys]
        return loss.choose(y, own, self.network.theta.dtype)

    # Compiled.

    def _call(self, tape, data, numbers, state, edges, keys):
        if tape is not self._whole:
            return super()._call(tape, data, numbers, state, edges, keys)
        rows = self.rows
        X, y, sample_weight = data
        widths = 0, 0
        if rows.outputs is not None:
            widths = self.program.loss.n_chosen
            y = self._flat_choice(self._choose(y, keys), edges)
        memory = self._memory((X, y, sample_weight), rows.state)
        t = rows.state.get("t", 0)
        n_features = 0 if issparse(X) else X.shape[1]
        arguments = numbers, n_features, widths, edges, keys, t
        value = self._whole.run_active(memory, self._active(), *arguments)
        if "t" in rows.state:
            rows.state["t"] = t + len(edges) - 1
        return value

    def _active(self):
        rows = self.rows
        arrays = [*memory_of(rows.whole_state), self._none, self._none]
        first, second = arrays[:2]
        return Active(
            self.whole.theta,
            first,
            second,
            rows.marks,
            rows.ledger,
            self._active_at,
            self._addresses,
        )

    @staticmethod
    def _flat_choice(choice, edges):
        """Return classes and targets of all batches, one after the other."""
        flat = []
        for own, shared in (
            (choice.own, choice.shared),
            (choice.targets, choice.shift),
        ):
            parts = []
            for i, (first, last) in enumerate(pairwise(edges)):
                parts += [own[first:last].ravel(), shared[i]]
            flat.append(np.concatenate(parts))
        return flat
