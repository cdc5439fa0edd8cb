"""Training on the active rows of large matrices, the rows that a step needs.

A step on sparse inputs needs those rows of the first weight matrix whose features occur
in the batch, and those units of the last one that the loss chooses. These rows are
copied to a *compact* network, which makes the step, and copied back. All other rows are
idle. When a row becomes active again, the solver's ``idle`` first applies the effect of
the steps that the row has missed.
"""

from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sknn_notes._engine.network import Network
from sknn_notes._engine.program import ChosenLoss, Program, memory_of
from sknn_notes._engine.row_groups import Block, Group
from sknn_notes._engine.rows import is_sparse, n_entries
from sknn_notes._part import NoLoopsError, form_of
from sknn_notes.layers._chosen_outputs import ChosenOutputs
from sknn_notes.layers._dense import Dense
from sknn_notes.optimizers import Optimizer

# Number of steps after which all rows catch up.
N_IDLE = 1024
# Active rows are used if at most this fraction of the rows can be active.
_LARGEST_SHARE = 0.5
# Elements of idle rows that catch up at a time.
_CHUNK_SIZE = 2**18


def capacities(program, batches):
    """Return how many rows of the first and columns of the last matrix a step needs.

    0 stands for steps on the whole matrix, which are exact but take time for every
    weight. All steps are on the whole matrix if the solver has no ``idle``, or if the
    penalty or a bound depends on more than single weights.
    """
    network, loss = program.network, program.loss
    first, last = network.layers[0], network.layers[-1]
    n_inputs = n_outputs = 0
    if not _knows_idle_steps(program):
        return n_inputs, n_outputs
    if is_sparse(batches.X) and _is_plain(first, program):
        counts = np.sort(n_entries(batches.X))[-batches.max_rows :]
        most = max(1, int(counts.sum()))
        n_inputs = most if most <= _LARGEST_SHARE * first.n_inputs else 0
    if loss.chooses and last.transposed and _is_plain(last, program):
        n_outputs = loss.most_chosen(batches.max_rows)
    return n_inputs, n_outputs


def _knows_idle_steps(program):
    penalized = program.penalized
    try:
        idle_of(program)
        if penalized:
            form_of(penalized.penalty, "strengths", "value", "gradient", "prox")
    except NoLoopsError:
        return False
    # The norm of the gradient includes the penalty's gradient on idle rows.
    sees_all = penalized.sees_matrices or program.clip_norm is not None
    return not (penalized and sees_all)


def idle_of(program):
    """Return the function of the solver that applies the effect of missed steps.

    Raises NoLoopsError if there is none.
    """
    names = ["start", "step"]
    if program.smooth:
        return form_of(program.optimizer, "idle", *names)
    return form_of(program.optimizer, "proximal_idle", *names, "proximal_step")


def _is_plain(layer, program):
    """Tell whether rows or columns of a layer's matrix can be trained separately."""
    norms = program.max_norms or [None] * (layer.depth + 1)
    is_dense = isinstance(layer, Dense) and layer.dropconnect is None
    return is_dense and norms[layer.depth] is None


class ActiveRows:
    """The rows of a network's large matrices, and the network of the active ones.

    Parameters
    ----------
    program : Program
        Of the whole network.
    n_inputs, n_outputs : int
        The results of ``capacities``, at least one of which is positive.

    Attributes
    ----------
    program : Program
        Of the compact network.
    theta, grad : ndarray
        Vectors of the compact network, with room for the maximum of active rows.
    state : dict
        The solver's, for ``theta``.
    inputs, outputs : Group or None
    blocks : list of Block
    marks : ndarray of int
        The number of steps since all rows caught up, the numbers of active inputs and
        outputs, and the arrays of the groups.
    ledger : ndarray
        ``start``, the ledgers and the sums.
    """

    def __init__(self, program, n_inputs, n_outputs):
        self.whole, self.optimizer = program.network, program.optimizer
        self.whole_state: Any = None
        self.n_own = program.loss.n_chosen[0] if n_outputs else 0
        layers = list(self.whole.layers)
        last = len(layers) - 1
        self.inputs: Any = None
        self.outputs: Any = None
        arrays = []
        if n_inputs:
            self.inputs = Group(layers[0].n_inputs, n_inputs)
            layers[0] = copy(layers[0])
            layers[0].n_inputs = n_inputs
            arrays.append((n_inputs * layers[0].n_units, self.inputs, [(0, "W")]))
        if n_outputs:
            output = layers[last]
            self.outputs = Group(output.n_units, n_outputs)
            sizes = output.n_inputs, n_outputs, output.depth
            layers[last] = ChosenOutputs(*sizes, *program.loss.n_chosen)
            size = n_outputs * output.n_inputs
            arrays.append((size, self.outputs, [(last, "b"), (last, "W")]))
        # The largest array comes last, where unused rows can be left out.
        arrays.sort(key=lambda x: x[0])
        keys = [(group, key) for _, group, keys in arrays for key in keys]
        network = Network(layers, self.whole.theta.dtype, [key for _, key in keys])
        network.running = self.whole.running
        network.bind()
        self.theta, self.grad = network.theta, network.grad
        self.program = self._program(program, network)
        self.blocks = [self._block(group, key) for group, key in keys]
        self._lay_out()
        # Arrays that the compact network has as a whole.
        rows = [block.compact for block in self.blocks]
        self._shared = [
            (self.whole.layout.entry(entry.layer, entry.name), entry)
            for entry in network.layout.learned
            if entry not in rows
        ]

    def _program(self, program, network):
        penalized = program.penalized
        small = Program(
            network,
            program.loss,
            penalized.penalty,
            penalized.specs,
            penalized.penalize_bias,
            program.max_norms,
            program.optimizer,
            program.clip_norm,
        )
        if self.outputs is not None:
            small.objective[1] = ChosenLoss(small)
        return small

    def _block(self, group, key):
        entry = self.program.network.layout.entry(*key)
        depth = self.program.penalized.depth_at(entry.start)
        return Block(group, key, self.whole.layout.entry(*key), entry, depth)

    def _lay_out(self):
        """Lay out the marks and the ledgers of the rows in two vectors."""
        groups = [x for x in (self.inputs, self.outputs) if x is not None]
        sizes = [(x.n_rows, x.n_rows, x.capacity) for x in groups]
        self.marks = np.zeros(3 + sum(map(sum, sizes)), np.int64)
        ends = 3 + np.cumsum([0, *(size for each in sizes for size in each)])
        parts = [self.marks[a:b] for a, b in pairwise(ends)]
        for i, group in enumerate(groups):
            group.start = int(ends[3 * i])
            group.place, group.last, group.rows = parts[3 * i : 3 * i + 3]
            group.place[:] = -1
        self.start = np.array(self.optimizer.idle_start, np.float64)
        n = len(self.start)
        depths = list(dict.fromkeys(block.depth for block in self.blocks))
        size = (N_IDLE + 1) * n
        n_ledgers = n + len(depths) * size
        self.ledger = np.zeros(n_ledgers + 2 * len(self.blocks))
        self.ledger[:n] = self.start
        for i, block in enumerate(self.blocks):
            block.ledger_start = n + depths.index(block.depth) * size
            block.sums_start = n_ledgers + 2 * i
            ledger = self.ledger[block.ledger_start : block.ledger_start + size]
            block.ledger = ledger.reshape(N_IDLE + 1, n)
            block.sums = self.ledger[block.sums_start : block.sums_start + 2]

    @property
    def now(self):
        """The number of steps since all rows caught up."""
        return int(self.marks[0])

    @property
    def keeps_iterates(self):
        """Whether steps start elsewhere than at the rows; see ``ahead``."""
        moves = type(self.optimizer).begin_epoch is not Optimizer.begin_epoch
        return moves and not self.program.smooth

    def load(self, state):
        """Load the parameters of the whole network and the state of the solver."""
        self.whole_state = state
        self.state = {
            name: np.zeros_like(self.theta) if isinstance(value, np.ndarray) else value
            for name, value in state.items()
        }
        for whole, compact in self._vectors():
            for entry, own in self._shared:
                compact[own.start : own.stop] = whole[entry.start : entry.stop]
        self.marks[0] = 0
        for block in self.blocks:
            block.group.last[:] = 0
            block.ledger[0] = self.start

    def _vectors(self):
        """Return pairs of a vector of the whole network and one of the compact one."""
        states = zip(memory_of(self.whole_state), memory_of(self.state), strict=False)
        return [(self.whole.theta, self.theta), *states]

    def save(self):
        """Copy parameters and state back; all rows must have caught up."""
        for whole, compact in self._vectors():
            for entry, own in self._shared:
                whole[entry.start : entry.stop] = compact[own.start : own.stop]
        for name, value in self.state.items():
            if not isinstance(value, np.ndarray):
                self.whole_state[name] = value

    # A step: choose and read rows, make the step, write the rows.

    def choose_inputs(self, X):
        """Choose the features of a sparse batch; return the batch with only these."""
        rows, places = np.unique(X.indices, return_inverse=True)
        self.inputs.choose(rows)
        return csr_array((X.data, places, X.indptr), shape=(X.shape[0], len(rows)))

    def choose_outputs(self, choice):
        """Let the network compute the outputs of a choice for one batch."""
        group, (shared,) = self.outputs, choice.shared
        shared = shared[shared >= 0]
        own = np.unique(choice.own)
        # The outputs of all samples come first.
        own = own[(own >= 0) & ~np.isin(own, shared)]
        group.choose(np.concatenate([shared, own]))
        places = np.where(choice.own < 0, -1, group.place[choice.own])
        self.program.network.layers[-1].choice = choice._replace(
            own=places, shared=np.arange(len(shared)), shift=choice.shift[0]
        )

    def numbers(self):
        """Return the numbers of a step: the rate, the solver's, four of every block.

        The numbers of a block are the strengths of the L1 and the L2 term of its
        penalty, of the L2 term in the gradient, and of weight decay.
        """
        decoupled, numbers = self.program.decoupled, []
        for block in self.blocks:
            l1, l2 = self.program.penalized.strengths(block.depth)
            pull, decay = (0.0, l2) if decoupled else (l2, 0.0)
            numbers += [l1, l2, pull, decay]
        return 0.0, *self.optimizer.numbers(), *numbers

    def _constants(self, rate, t):
        return self.optimizer.constants(self.optimizer.numbers(), rate, t, 1.0)

    def read(self, rate, t):
        """Let the active rows catch up, and copy them to the compact network."""
        p, n_idle = self._constants(rate, t), self.now
        vectors = self._vectors()
        for block in self.blocks:
            rows = block.group.active
            W, *memory = (block.all_rows(whole)[rows] for whole, _ in vectors)
            block.add_to_sums(W, -1)
            if n_idle:
                W, *memory = self._idle(block, rows, W, memory, p)
            for (_, compact), array in zip(vectors, (W, *memory), strict=True):
                block.active_rows(compact)[...] = array
            if not self.program.smooth:
                theta, state = self._in_block(block)
                self.optimizer.begin_epoch(theta, state)
                for name, array in state.items():
                    block.active_rows(self.state[name])[...] = array
        self._use()

    def _in_block(self, block):
        """Return parameters and state of the active rows of an array."""
        state = {
            name: block.active_rows(value)
            for name, value in self.state.items()
            if isinstance(value, np.ndarray)
        }
        return block.active_rows(self.theta), state

    def _idle(self, block, rows, W, memory, p):
        """Return rows and their memory after the steps that they have missed."""
        s = block.ledger[block.group.last[rows]].astype(W.dtype)
        p = [W.dtype.type(number) for number in p]
        c = self.optimizer.idle_factors(s.T[..., None], p, W.dtype.type(0))
        a, b = (*memory, memory[0])[:2]
        w, a, b = idle_of(self.program)(W, a, b, c)
        return w, *(a, b)[: len(memory)]

    def _use(self):
        """Set the arrays of the network to those of the active rows."""
        network, block = self.program.network, self.blocks[-1]
        self.n_used = block.compact.start + block.group.n_active * block.width
        network.theta = self.theta[: self.n_used]
        network.grad = self.grad[: self.n_used]
        for block in self.blocks:
            layer, name = block.key
            for arrays, vector in ((network.p, self.theta), (network.g, self.grad)):
                array = block.active_rows(vector)
                if block.compact.transposed:
                    array = array.T
                arrays[layer][name] = array[:, 0] if name == "b" else array

    @property
    def state_in_use(self):
        """The state of the solver for the parameters in use."""
        return {
            name: value[: self.n_used] if isinstance(value, np.ndarray) else value
            for name, value in self.state.items()
        }

    def write(self, rate, t, state):
        """Copy the active rows back; return the penalty of the idle ones.

        ``state`` is the state that the step has changed.
        """
        self.state.update(
            (k, v) for k, v in state.items() if not isinstance(v, np.ndarray)
        )
        value, vectors = self.penalty, self._vectors()
        for block in self.blocks:
            rows = block.group.active
            if not self.program.smooth:
                self.optimizer.end_epoch(*self._in_block(block))
            for whole, compact in vectors:
                block.all_rows(whole)[rows] = block.active_rows(compact)
            block.add_to_sums(block.active_rows(self.theta), 1)
            # Zeros, so that unused elements do not count in sums over the parameters.
            for vector in (self.theta, self.grad, *memory_of(self.state)):
                block.active_rows(vector)[...] = 0
            block.group.last[rows] = self.now + 1
        self._record(rate, t)
        for group in {id(block.group): block.group for block in self.blocks}.values():
            group.release()
        if self.now == N_IDLE:
            value += self.catch_up()
        return value

    def _record(self, rate, t):
        """Record a step in the ledgers."""
        p, now, program = self._constants(rate, t), self.now, self.program
        for block in {block.ledger_start: block for block in self.blocks}.values():
            l1, l2 = program.penalized.strengths(block.depth)
            pull, decay = (0.0, l2) if program.decoupled else (l2, 0.0)
            s, proximal = block.ledger[: now + 1].T, float(not program.smooth)
            self.optimizer.idle_step(s, p, l1, pull, 1 - rate * decay, proximal)
            block.ledger[now + 1] = self.start
        self.marks[0] = now + 1

    @property
    def penalty(self):
        """The penalty on idle rows, with their values when they were last active."""
        value = 0.0
        for block in self.blocks:
            l1, l2 = self.program.penalized.strengths(block.depth)
            value += l1 * block.sums[0] + 0.5 * l2 * block.sums[1]
        return value

    def catch_up(self):
        """Let all rows catch up, and compute the sums of all rows again.

        Returns
        -------
        change : float
            Correction of the penalties of the steps since the rows last caught up,
            which used the values of idle rows when they were last active: half of the
            change per missed step, except the first one.
        """
        p = self._constants(1.0, 1)  # Idle factors use only its constants.
        change = 0.0
        vectors = [whole for whole, _ in self._vectors()]
        for block in self.blocks:
            last = block.group.last
            block.sums[:] = 0
            l1, l2 = self.program.penalized.strengths(block.depth)
            for chunk in _chunks(block.group.n_rows, block.width):
                rows = chunk.start + np.flatnonzero(last[chunk] < self.now)
                W, *memory = (block.all_rows(vector)[rows] for vector in vectors)
                arrays = self._idle(block, rows, W, memory, p)
                for vector, array in zip(vectors, arrays, strict=True):
                    block.all_rows(vector)[rows] = array
                n_idle = self.now - last[rows]
                for sign, array in ((-0.5, W), (0.5, arrays[0])):
                    array = array.astype(np.float64, copy=False)
                    values = l1 * np.abs(array) + 0.5 * l2 * array * array
                    change += sign * np.dot(n_idle - 1, values.sum(axis=1))
                block.add_to_sums(block.all_rows(self.whole.theta)[chunk], 1)
        self.marks[0] = 0
        for block in self.blocks:
            block.group.last[:] = 0
            block.ledger[0] = self.start
        return float(change)


def _chunks(n_rows, width):
    size = max(1, _CHUNK_SIZE // width)
    return [slice(i, min(i + size, n_rows)) for i in range(0, n_rows, size)]
