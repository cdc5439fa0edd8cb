"""Training by the compiled steps of a kernel set, where it has them and they apply."""

import math

import numpy as np
from scipy.sparse import issparse

from sknn_notes import _kernels
from sknn_notes.activations import ReLU
from sknn_notes.losses import Hinge, LogLoss, SquaredError, SquaredHinge
from sknn_notes.optimizers import SGD, Adam, AdamW
from sknn_notes.penalties import L2

# Exactly these classes: a subclass may compute something else. Of the losses with a
# margin, and of those without, one is squared.
_SQUARED: dict[type, bool] = {
    LogLoss: False,
    SquaredError: True,
    Hinge: False,
    SquaredHinge: True,
}
_SOLVERS = {Adam, AdamW, SGD}

# Numbers in the widest buffer that the steps of one call go through.
_BLOCK_SIZE = 2**18


def fused_steps(objective, batches, optimizer):
    """Return a ``FusedSteps``, or None where steps are made one by one."""
    steps = getattr(_kernels.active(), "steps", None)
    network, loss, penalty = objective.network, objective.loss, objective.penalty
    covered = (
        steps is not None
        and type(loss) in _SQUARED
        and not getattr(loss, "label_smoothing", 0)
        and type(optimizer) in _SOLVERS
        and (penalty is None or type(penalty) is L2)
        and all(type(layer.activation) is ReLU for layer in network.layers[:-1])
        and not (network.augment or network.input_dropout)
        and network.layers[0].dropconnect is None
        and not issparse(batches.X)
    )
    return FusedSteps(steps, objective, batches, optimizer) if covered else None


class FusedSteps:
    """Several training steps in one compiled call.

    Parameters
    ----------
    steps : module
        With ``train_steps`` and the tuples that it takes.
    objective : Objective
    batches : Batches
    optimizer : Adam, AdamW or SGD
    """

    def __init__(self, steps, objective, batches, optimizer):
        self.steps, self.batches = steps, batches
        self.network, self.optimizer = objective.network, optimizer
        self.squared = _SQUARED[type(objective.loss)]
        network, number = objective.network, objective.network.theta.dtype.type
        self.margin: tuple = ()
        if isinstance(objective.loss, Hinge):
            self.margin = (number(objective.loss.margin),)
        widths = np.array([len(layer.b) for layer in network.layers])
        places = batches.max_rows * (np.cumsum(widths) - widths)
        self.n_dropped = sum(layer.dropout is not None for layer in network.layers)
        self.layers = _layers(steps, network, widths, places)
        self.norms = _normalizers(steps, network, widths, batches.max_rows)
        self.max_norms: tuple = ()
        if objective.max_norms is not None:
            bounds = [np.inf if c is None else c for c in objective.max_norms]
            self.max_norms = (np.array(bounds, number),)
        self.ends, self.alpha = _stretches(objective)
        words = np.empty((batches.max_rows * widths.max() + 1) // 2, np.uint32)
        self.buffers = steps.Buffers(
            *np.empty((2, batches.max_rows * widths.sum()), number),
            words,
            words.view(np.uint16),
            np.empty((2, batches.max_rows), number),
            *np.empty((2, widths.max()), number),
        )
        widest = max(network.shapes[0][0], *widths)
        self.n_batches = max(1, _BLOCK_SIZE // (batches.max_rows * widest))

    def run_epoch(self, rates, state):
        """Go once over the data; return the mean loss, or one that is not finite."""
        total, memory, done = 0.0, state.optimizer_state, 0
        for X, y, sample_weight, edges in self.batches.blocks(
            state.rng, self.n_batches
        ):
            rows = self._rows(X, y, sample_weight, edges, state.rng)
            n_steps = len(edges) - 1
            value = self.steps.train_steps(
                rows,
                self.layers,
                self.norms,
                self.max_norms,
                self.buffers,
                self.network.theta,
                self.network.grad,
                self._arrays(memory),
                self.squared,
                self.margin,
                self._solver(rates[done : done + n_steps], memory),
            )
            done += n_steps
            if "t" in memory:
                memory["t"] += n_steps
            if not math.isfinite(value):
                return value
            total += value
        return total / self.batches.n_samples

    def _rows(self, X, y, sample_weight, edges, rng):
        weights = np.empty(0, X.dtype) if sample_weight is None else sample_weight
        keys = rng.bit_generator.random_raw(self.n_dropped * (len(edges) - 1))
        return self.steps.Rows(X, y, weights, keys, edges)

    def _arrays(self, memory):
        """Return the arrays of the solver's state."""
        if isinstance(self.optimizer, Adam):
            return memory["m"], memory["v"]
        return (memory["velocity"],)

    def _solver(self, rates, memory):
        solver = self.optimizer
        if isinstance(solver, Adam):
            settings = solver.beta_1, solver.beta_2, solver.epsilon
        else:
            settings = solver.momentum, solver.nesterovs_momentum, 0
        return self.steps.Solver(
            rates,
            memory.get("t", 0),
            tuple(map(float, settings)),
            self.ends,
            self.alpha,
            solver.decoupled,
        )


def _layers(steps, network, widths, places):
    dropouts = [layer.dropout for layer in network.layers[:-1]]
    number = network.theta.dtype.type
    return steps.Layers(
        units=np.array([network.shapes[0][0], *widths]),
        W=np.array([_place(layer.W, network.theta) for layer in network.layers]),
        b=np.array([_place(layer.b, network.theta) for layer in network.layers]),
        out=places,
        drops=np.array([d is not None for d in dropouts], bool),
        threshold=np.array([d.threshold - 1 if d else 0 for d in dropouts], np.uint16),
        keep_scale=np.array([d.training_scale if d else 1 for d in dropouts], number),
    )


def _normalizers(steps, network, widths, n_rows):
    if not len(network.running):
        return ()
    norms = [layer.batch_norm for layer in network.layers[:-1]]
    running = network.running.reshape(2, -1)
    return steps.Normalizers(
        scale=np.array([_place(norm.scale, network.theta) for norm in norms]),
        stat=np.cumsum(widths) - widths,
        momentum=norms[0].momentum,
        eps=network.theta.dtype.type(norms[0].eps),
        running=running,
        batch=np.empty_like(running),
        normalized=np.empty(n_rows * running.shape[1], running.dtype),
    )


def _place(view, vector):
    """Return where in ``vector`` its view starts."""
    return (view.ctypes.data - vector.ctypes.data) // vector.itemsize


def _stretches(objective):
    """Return where stretches that cover theta end, and the penalty's strength there."""
    size = objective.network.theta.size
    edges = {0, size}
    for stretch, _ in objective.segments:
        edges |= {stretch.start, stretch.stop}
    ends = sorted(edges)[1:]
    alphas = np.zeros(len(ends))
    for stretch, alpha in objective.segments:
        alphas[[stretch.start < end <= stretch.stop for end in ends]] = alpha
    return np.array(ends, np.intp), alphas
