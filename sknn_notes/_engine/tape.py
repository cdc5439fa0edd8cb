"""Recording of a training step as compiled operations on flat arrays."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sknn_notes import _compile
from sknn_notes._compile import Tape


class Value(NamedTuple):
    """Positions in ``work`` of the outputs of a layer and of their gradient.

    ``start`` is negative for the inputs of the network, ``delta`` if no gradient is
    needed. ``bias`` is the position in theta of biases that have not been added yet. If
    ``is_flat_at_zero``, dropped outputs need no mask in the backward pass.
    """

    start: int
    width: int
    delta: int
    bias: int = -1
    is_flat_at_zero: bool = False


class Operation(NamedTuple):
    """A compiled operation and its arguments, of which the numbers may change."""

    function: Callable
    loops: tuple
    at: tuple | np.ndarray
    numbers: Callable[[], tuple]
    key: int


def _none():
    return ()


class Recorder:
    """Recorder of the operations of a step.

    Parameters
    ----------
    network : Network
    max_rows : int
        Number of rows of the largest batch.
    n_done : int, default=0
        Number of first layers that are not recorded.
    is_sparse : bool, default=False
        Whether the inputs are sparse.
    chooses_inputs : bool, default=False
        Whether a step chooses the inputs that it has weights for.

    Attributes
    ----------
    layers : list of Layer
        Recorded layers.
    n_inputs : int
        Number of inputs of the first recorded layer.
    stack : list
        Values that residual connections pass from their start to their end.
    has_rate : list of int
        Indices of the updates whose first number is the learning rate.
    """

    def __init__(
        self, network, max_rows, n_done=0, is_sparse=False, chooses_inputs=False
    ):
        self._layout, self.max_rows = network.layout, max_rows
        self.is_sparse, self.chooses_inputs = is_sparse, chooses_inputs
        self.layers = network.layers[n_done:]
        self.n_inputs = network.n_inputs
        self._index = {id(layer): i for i, layer in enumerate(network.layers)}
        self._forward: list[Operation] = []
        self._backward: list[Operation] = []
        self._update: list[Operation] = []
        self._averages: list[Operation] = []
        self.stack: list = []
        self.has_rate: list[int] = []
        self.n_keys = 0
        self.n_work = 0

    def place(self, layer, name):
        """Return the start of an array of a layer in its vector."""
        return self._layout.entry(self._index[id(layer)], name).start

    def room(self, width, per_row=True):
        """Reserve ``width`` elements, once or per row of a batch; return the start."""
        start = self.n_work
        self.n_work += width * (self.max_rows if per_row else 1)
        return start

    def value(self, width, *, delta=None, has_delta=True, bias=-1):
        """Reserve memory for outputs and, without ``delta``, for their gradient."""
        start = self.room(width)
        if delta is None:
            delta = self.room(width) if has_delta else -1
        return Value(start, width, delta, bias)

    def forward(self, function, *loops, at, numbers=_none, random=False):
        """Add to the forward pass; return the index of the key, -1 without a key."""
        key = self.n_keys if random else -1
        self.n_keys += random
        self._forward.append(Operation(function, loops, at, numbers, key))
        return key

    def backward(self, function, *loops, at, numbers=_none, key=-1):
        """Add to the backward pass, in reverse order."""
        self._backward.append(Operation(function, loops, at, numbers, key))

    def update(self, function, *loops, at, numbers=_none):
        """Add to the operations after the objective and its gradient."""
        self._update.append(Operation(function, loops, at, numbers, -1))

    def average(self, function, *, at, numbers=_none):
        """Add to the operations at the end of a step."""
        self._averages.append(Operation(function, (), at, numbers, -1))

    @property
    def objective(self):
        """The operations that compute the objective and its gradient."""
        return [*self._forward, *reversed(self._backward)]

    @property
    def updates(self):
        """The operations that change the parameters."""
        return self._update

    @property
    def averages(self):
        """The operations that update running averages."""
        return self._averages


class CompiledTape:
    """Compiled operations and their numbers.

    Parameters
    ----------
    objective, updates : sequence of Operation
    has_rate : sequence of int
        Indices of the updates whose first number is the learning rate.
    dtype : dtype
    active_numbers : callable, default=None
        Returns the numbers of the operations on active rows, the learning rate first.
    """

    def __init__(self, objective, updates, has_rate, dtype, active_numbers=None):
        from sknn_notes._compile import _numba

        self._functions = _numba
        self._operations = [*objective, *updates]
        self._active_numbers = active_numbers or _none
        addresses = [
            _compile.address(x.function, *x.loops, dtype=dtype)
            for x in self._operations
        ]
        at = [np.asarray(x.at, np.int64) for x in self._operations]
        self._tape = Tape(
            np.array(addresses, np.int64),
            np.concatenate([np.empty(0, np.int64), *at]),
            _edges(map(len, at)),
            _edges(len(x.numbers()) for x in self._operations),
            np.array([x.key for x in self._operations], np.int64),
            len(objective),
        )
        rates = [len(objective) + i for i in has_rate]
        self._row = None
        self._rate_columns = self._tape.number_edges[rates]
        if active_numbers is not None:
            last = self._tape.number_edges[-1]
            self._rate_columns = np.append(self._rate_columns, last)

    def numbers(self, rates, fresh=False):
        """Return the numbers of all operations, one row per rate or one for all.

        Numbers are those of the first call, or the current ones if ``fresh``.
        """
        if fresh or self._row is None:
            row = [number for x in self._operations for number in x.numbers()]
            self._row = np.array([*row, *self._active_numbers()], np.float64)
        n_rows = 1 if (rates == rates[0]).all() else len(rates)
        numbers = np.empty((n_rows, len(self._row)))
        numbers[:] = self._row
        numbers[:, self._rate_columns] = rates[:n_rows, None]
        return numbers

    def run(self, memory, numbers, n_features, edges, keys, t):
        """Run all operations for each batch; see ``run_steps``."""
        run_steps = self._functions.run_steps
        return run_steps(self._tape, numbers, memory, n_features, edges, keys, t)

    def run_active(self, memory, active, numbers, n_features, widths, edges, keys, t):
        """Run all operations for each batch; see ``run_active_steps``."""
        run = self._functions.run_active_steps
        sizes = n_features, *widths
        return run(self._tape, numbers, memory, active, *sizes, edges, keys, t)

    def run_active_operation(self, active, memory, numbers, i):
        """Run operation ``i`` on active rows alone."""
        run = self._functions.run_active_operation
        return run(active, memory, numbers, i, 1)


def _edges(lengths):
    return np.cumsum([0, *lengths]).astype(np.int64)
