"""The steps of several networks of one signature, in array code on a device.

The numbers for the steps of an epoch are copied to the device before it begins, and the
losses are read at its end, so the host never waits in between. On a GPU, a step is
recorded once, as a graph.
"""

from operator import is_not
from typing import Any

import numpy as np

from sknn_notes._arrays import (
    Halves,
    keeping_constants,
    namespace,
    numpy_dtype,
    random_halves,
    to_numpy,
)
from sknn_notes._engine.alike import Stacked
from sknn_notes._engine.program import Step, run
from sknn_notes._engine.stacked_data import Shuffles, StackedData
from sknn_notes._part import Part
from sknn_notes.layers._base import Layer
from sknn_notes.layers._dropout import Dropout
from sknn_notes.layers._input_noise import InputNoise

# Estimates for a large GPU: seconds per step to launch kernels, bytes per second, and
# multiplications per second. Training that takes longer than _LONG seconds is compiled.
_LAUNCHES, _BYTES, _PRODUCTS = 2e-4, 2e12, 2e13
_LONG = 40

# Maximum number of random numbers of an epoch that are drawn before it; these stay in a
# cache of the device.
_MOST_HALVES = 2**22


def needs_host(program):
    """Tell whether steps need numbers on the host, so that they can't be recorded.

    This is the case for noise on images, losses that sample classes, and parts of other
    packages.
    """
    layers = program.network.layers
    noises = [layer.noise for layer in layers if isinstance(layer, InputNoise)]
    return (
        program.loss.is_random
        or not all(noise.in_array_code for noise in noises)
        or any(map(_is_foreign, _parts(program)))
    )


def _parts(program):
    yield from (program.loss, program.optimizer, program.penalized.penalty)
    for layer in program.network.layers:
        yield layer
        yield from vars(layer).values()


def _is_foreign(part):
    package = type(part).__module__.partition(".")[0]
    return isinstance(part, Part | Layer) and package != __name__.partition(".")[0]


class Stack:
    """The steps of several networks on a device.

    Parameters
    ----------
    members : list of Member
        Members of the same signature.
    device : Device
    vectors : tuple of (theta, running, state), default=None
        Parameters, running averages and the state of the solver, if they are already on
        the device.
    n_alike : int, default=1
        Number of stacks of this kind and size, which share a compiled step.
    inputs : Inputs, default=None
        Inputs of these members and possibly others, if they are already on the device.

    Attributes
    ----------
    network : Network
        Network of all members.
    """

    def __init__(self, members, device, vectors=None, n_alike=1, inputs=None):
        self.members, self.device, self._n_alike = members, device, n_alike
        first = members[0].program
        self._is_recorded = not needs_host(first)
        theta, running, self._state = vectors or self._vectors()
        programs = [member.program for member in members]
        stacked = Stacked(programs, device.array, theta, running)
        self.program, self._scheduled = stacked.program, stacked.scheduled
        self.network = self.program.network
        batches = [member.batches for member in members]
        rngs = [member.state.rng for member in members]
        sizes = [each.n_samples for each in batches]
        self._shuffles = Shuffles(list(zip(rngs, sizes, stacked.draws, strict=True)))
        self._data = StackedData(batches, self._shuffles, device, inputs)
        self._constants: dict = {}
        self._steps: dict[tuple, Any] = {}
        self._begun: dict[str, Any] = {}
        self._make_tables()

    def _vectors(self):
        """Return the vectors of the members, on the device."""
        array, members = self.device.array, self.members
        networks = [member.network for member in members]
        theta = array(np.stack([network.theta for network in networks]))
        running = array(np.stack([network.running for network in networks]))
        first = members[0]
        optimizer, is_new = first.program.optimizer, first.is_new
        for member in members:
            member.state.use(optimizer, member.network.theta)
        if is_new:
            state = optimizer.start(theta, namespace(theta))
        else:
            states = [member.state.optimizer_state for member in members]
            state = {
                name: array(np.stack([own[name] for own in states]))
                if np.ndim(value)
                else value
                for name, value in states[0].items()
            }
        for name, value in state.items():
            if not getattr(value, "ndim", 0):
                # float64, which PyTorch does not let widen other tensors.
                state[name] = array(np.array(float(value)))
        return theta, running, state

    def _make_tables(self):
        """Allocate the numbers of the steps of an epoch."""
        n, zeros = len(self.members), self.device.zeros
        n_steps = self._data.first.n_batches
        dtype = numpy_dtype(self.network.theta).name
        self._step, self._position = zeros((), "int64"), zeros((), "int64")
        self._totals = zeros((n,), "float64")
        self._rates = zeros((n_steps, n, 1), dtype)
        self._last_rates: list | None = None
        self._n_keys = self.program.n_random
        n_streams = len(self._shuffles.different)
        shape = (1,) if n_streams == 1 else (n, 1)
        self._keys = zeros((n_steps, self._n_keys, *shape), "int64")
        self._halves = {} if n_streams > 1 else self._make_halves(n_steps)
        self._cells = [
            (
                cell,
                of_values,
                self.device.torch.zeros_like(cell).repeat(n_steps, 1, 1, 1),
            )
            for cells in self._scheduled
            for cell, of_values in cells
        ]

    def _make_halves(self, n_steps):
        """Allocate the random bits of dropout for all steps of an epoch, by layer.

        Drawing them at once takes fewer kernels.
        """
        layers = [x for x in self.network.layers if x.is_random]
        n_rows, found = self._data.first.max_rows, {}
        for index, layer in enumerate(layers):
            if isinstance(layer, Dropout):
                shape = n_steps, n_rows, 2 * (-(-layer.n_units // 2))
                if np.prod(shape) <= _MOST_HALVES:
                    found[index] = self.device.zeros(shape, "int32")
        return found if self._is_recorded else {}

    # An epoch.

    def run_epoch(self, plans):
        """Train for an epoch; return the mean loss of each member.

        Parameters
        ----------
        plans : list of EpochPlan
            One per member.
        """
        with self.device.active():
            self._load(plans)
            program, state = self.program, self._state
            theta, xp = self.network.theta, self.network.xp
            if not program.smooth:
                program.optimizer.begin_epoch(theta, state, xp)
                self._keep_places(state)
            try:
                self._take_steps()
            finally:
                if not program.smooth:
                    program.optimizer.end_epoch(theta, state)
            return to_numpy(self._totals) / self._data.n_samples

    def _take_steps(self):
        data = self._data
        starts = [*data.first.starts, data.n_rows]
        for first in range(0, len(starts) - 1, data.block):
            stop = min(first + data.block, len(starts) - 1)
            data.send(starts[first], starts[stop])
            for i in range(first, stop):
                self._take_step(i, starts[i + 1] - starts[i])

    def _load(self, plans):
        """Copy the numbers of the coming epoch to the device."""
        array, data = self.device.array, self._data
        dtype = numpy_dtype(self.network.theta)
        of_members = [plan.rates for plan in plans]
        if self._last_rates is None or any(map(is_not, of_members, self._last_rates)):
            rates = np.stack(of_members, axis=-1)[..., None]
            self._rates[...] = array(rates.astype(dtype))
            self._last_rates = of_members
        data.shuffle()
        if self._n_keys:
            words = self._shuffles.keys(data.first.n_batches)
            self._host_keys = words[..., 0].view(np.uint64)
            if words.shape[-1] > 1:
                words = words[..., self._shuffles.of_member, None]
            self._keys[...] = array(words)
            for index, table in self._halves.items():
                xp = namespace(table)
                keys, shape = self._keys[:, index], table.shape[1:]
                table[...] = random_halves(keys, shape, xp, table)
        scheduled = iter(self._cells)
        for i, cells in enumerate(self._scheduled):
            values = np.stack([plan.scheduled[i][1] for plan in plans], axis=-1)
            for _ in cells:
                cell, of_values, table = next(scheduled)
                numbers = of_values(values).reshape(table.shape)
                table[...] = array(numbers.astype(numpy_dtype(cell)))
        for tensor in self._step, self._position, self._totals:
            tensor.zero_()

    def _keep_places(self, state):
        """Keep the tensors that an optimizer creates for an epoch at fixed addresses.

        The recorded step reads and writes the tensors of the first epoch.
        """
        for name, value in state.items():
            if name not in self._begun:
                self._begun[name] = value
            elif self._begun[name] is not value:
                self._begun[name].copy_(value)
                state[name] = self._begun[name]

    def _take_step(self, index, size):
        is_filled = self._data.is_filled(index)
        if not self._is_recorded:
            keys = self._host_keys[index] if self._n_keys else None
            self._run_step(size, is_filled, keys)
            return
        with keeping_constants(self._constants):
            if (size, is_filled) not in self._steps:
                self._steps[size, is_filled] = self._recorded(size, is_filled)
            self._steps[size, is_filled]()

    def _recorded(self, size, is_filled):
        def step():
            # The compiler has to see the origin of the views.
            self.network.bind()
            self._run_step(size, is_filled)

        network, cells = self.network, self._cells
        changed = [
            *(network.theta, network.running, network.grad, *self._state.values()),
            *(self._step, self._position, self._totals, *(cell for cell, *_ in cells)),
        ]
        tables = [self._rates, self._keys, *self._halves.values()]
        tables += [table for *_, table in cells]
        others = [*tables, *self._data.tensors()]
        is_full = size == self._data.first.max_rows and not is_filled
        is_long = is_full and self._seconds() * self._n_alike > _LONG
        recorded = self.device.recorded(step, changed, others, is_long)
        self.network.bind()
        return recorded

    def _seconds(self):
        """Estimate the training time in seconds, from kernels, bytes and products."""
        n_models = len(self.members)
        weights = sum(fan_in * fan_out for fan_in, fan_out in self.network.shapes)
        units = sum(n_units for _, n_units in self.network.shapes)
        n_rows = self._data.first.max_rows
        n_numbers = 30 * self.network.theta.shape[-1] + 20 * n_rows * units
        n_bytes = n_numbers * numpy_dtype(self.network.theta).itemsize
        step = _LAUNCHES + n_models * (
            n_bytes / _BYTES + 6 * n_rows * weights / _PRODUCTS
        )
        n_epochs = max(member.epochs.n_left for member in self.members)
        return step * n_epochs * self._data.first.n_batches

    def _run_step(self, size, is_filled, keys=None):
        """Make a step on the next batch of ``size`` rows."""
        program, at = self.program, self._step[None]
        for cell, _, table in self._cells:
            cell[...] = table.index_select(0, at)[0]
        X, y, weight = self._data.batch(self._position, size, is_filled)
        if keys is None and self._n_keys:
            keys = list(self._keys.index_select(0, at)[0])
            for index, table in self._halves.items():
                keys[index] = Halves(table.index_select(0, at)[0])
        rate = self._rates.index_select(0, at)[0]
        step = Step(X, y, weight, keys, rate, self._state)
        run(program.objective + program.updates, step)
        self.network.update_running()
        self._totals += step.value * self._data.n_rows_of(size, is_filled)
        self._position += size
        self._step += 1

    # Members that are done.

    def bring_home(self, indices):
        """Copy the vectors of some members to their networks on the CPU."""
        places = self.device.array(np.asarray(indices))
        theta = to_numpy(self.network.theta[places])
        running = to_numpy(self.network.running[places])
        state = {}
        for name, value in self._state.items():
            is_number = not value.ndim
            state[name] = value.item() if is_number else to_numpy(value[places])
        for row, index in enumerate(indices):
            member = self.members[index]
            member.network.theta[...] = theta[row]
            member.network.running[...] = running[row]
            self._shuffles.leave(index)
            known = member.state.optimizer_state
            member.state.optimizer_state = {
                name: state[name][row].copy()
                if np.ndim(state[name])
                else type(known[name])(state[name])
                for name in known
            }

    def weights_of(self, index):
        """Return copies of the vectors of a member, on the device."""
        network = self.network
        return [network.theta[index].clone(), network.running[index].clone()]

    def without(self, indices):
        """Return a stack without some members."""
        left = [i for i in range(len(self.members)) if i not in set(indices)]
        places = self.device.array(np.array(left))
        for index in left:
            self._shuffles.leave(index)
        state = {k: v[places] if v.ndim else v for k, v in self._state.items()}
        vectors = self.network.theta[places], self.network.running[places], state
        members = [self.members[i] for i in left]
        inputs = self._data.inputs
        return Stack(members, self.device, vectors, inputs=inputs)
