"""The training step, as a list of stages.

Each stage computes its result in array code (``run``), and adds the compiled operations
that compute the same to a tape (``record``).
"""

import math
from typing import Any

import numpy as np

from sknn_notes._arrays import maximum, minimum, of_matrices
from sknn_notes._engine import operations
from sknn_notes._engine.penalized import Penalized
from sknn_notes._engine.tape import Value
from sknn_notes._part import NoLoopsError, form_of
from sknn_notes.layers._dropout import Dropout
from sknn_notes.losses._base import weighted_mean

# Elements that numpy processes at a time in several passes over arrays of the size of
# theta. Blocks of this size stay in the cache of a core between the passes.
_BLOCK_SIZE = 32768


class Program:
    """A training step of a network.

    Parameters
    ----------
    network : Network
    loss : Loss
    penalty : Penalty or None, default=None
    alphas : sequence of (float, Schedule or array), default=()
        Strengths of the penalty, one per weight matrix of the dense layers.
    penalize_bias : bool, default=False
        Whether the penalty also applies to the biases.
    max_norms : sequence of (float or None), default=()
        Maximum norm of the incoming weights of a unit, one per weight matrix; empty for
        no bounds.
    optimizer : Optimizer or None, default=None
        None if only the objective is needed.
    clip_norm : float or None, default=None
        Maximum norm of the gradient.

    Notes
    -----
    If the vectors of the network have a leading axis of models, numbers may be arrays
    with one number per model: strengths, norms, and numbers of the loss and the
    activations of shape (..., 1, 1); ``clip_norm``, the learning rate and numbers of
    the solver of shape (..., 1). Such a program runs in array code.

    Attributes
    ----------
    objective : list of stage
        Stages that compute the objective and its gradient, without the penalty.
    updates : list of stage
        Stages after that: the penalty, and the update of the parameters. A step ends
        with the update of the running averages of the network.
    """

    def __init__(
        self,
        network,
        loss,
        penalty=None,
        alphas=(),
        penalize_bias=False,
        max_norms=(),
        optimizer=None,
        clip_norm=None,
    ):
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.clip_norm, self.max_norms = clip_norm, list(max_norms)
        penalized = Penalized(network.layout, penalty, alphas, penalize_bias)
        self.penalized = penalized
        self.bounds = Project(self)
        self.objective = [Forward(self), Loss(self), Backward(self)]
        self.updates: list[Any] = [AddPenalty(self)] if penalized else []
        if optimizer is not None and optimizer.stochastic:
            self.updates += [Clip(self)] if clip_norm is not None else []
            self.updates.append(Optimize(self))
            # A proximal step includes the projection.
            self.updates += [self.bounds] if self.smooth and self.bounds else []

    @property
    def n_random(self):
        """Number of keys of random numbers that a step needs."""
        return self.network.n_random + self.loss.is_random

    @property
    def scheduled(self):
        """Scheduled numbers other than the learning rate.

        Triples of the function that sets a number, its schedule, and an upper bound.
        """
        layers = [x for x in self.network.layers if isinstance(x, Dropout)]
        rates = [(x.mask.set_rate, x.schedule, 1.0) for x in layers if x.schedule]
        return [*self.penalized.scheduled, *rates]

    @property
    def smooth(self):
        """Whether there is no proximal step."""
        return not self.penalized or self.penalized.penalty.smooth

    @property
    def decoupled(self):
        """Whether the solver decays the weights instead of using the gradient."""
        return self.optimizer is not None and self.optimizer.decoupled

    @property
    def has_split_steps(self):
        """Whether proximal steps depend on more than single weights."""
        return not self.smooth and (self.penalized.sees_matrices or bool(self.bounds))

    @property
    def adds_penalty_first(self):
        """Whether the penalty's gradient is added before the pass of the solver."""
        return (
            self.clip_norm is not None
            or self.optimizer is None
            or not self.optimizer.stochastic
        )


class Step:
    """State of a training step.

    Parameters
    ----------
    X, y, sample_weight : array or None
        The batch.
    keys : iterable of int or None
        Keys of the random numbers; None for a step without noise.
    rate : float
        Learning rate.
    state : dict
        State of the solver.

    Attributes
    ----------
    value : float, or array of shape (...,)
        The objective; with several models, that of each.
    raw, delta : array
        Raw outputs, and the gradient of the mean loss with respect to them.
    """

    raw: Any
    delta: Any

    def __init__(self, X, y, sample_weight=None, keys=None, rate=0.0, state=None):
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.keys, self.rate, self.state = keys, rate, state
        self.value = 0.0


def run(stages, step):
    """Run stages one by one, until the objective is not finite.

    Several models always continue, since one that diverges does not affect the others.
    """
    for stage in stages:
        stage.run(step)
        if is_lost(step.value):
            break


def is_lost(value):
    """Tell whether an objective is not finite; several models always continue."""
    return isinstance(value, float) and not math.isfinite(value)


def as_value(array):
    """Return the value of one model as a float, those of several as an array."""
    return array if getattr(array, "ndim", 0) else float(array)


class Stage:
    """Stage of a training step."""

    def __init__(self, program):
        self.program, self.network = program, program.network

    def run(self, step):
        """Compute the stage in array code."""

    def record(self, tape, y):
        """Add the operations of the stage to a tape; ``y`` are example targets."""


class Forward(Stage):
    """Forward pass, from the inputs to the raw outputs."""

    def run(self, step):
        step.raw = self.network.forward(step.X, step.keys)

    def record(self, tape, y):
        value = Value(-1, tape.n_inputs, -1)
        for layer in tape.layers:
            value = layer.record(tape, value)
        tape.raw = value


class Loss(Stage):
    """The mean loss, and its gradient with respect to the raw outputs."""

    _DEFINITION = (
        "per_sample",
        "multiclass",
        "labels",
        "mean",
        "of_paths",
        "_terms",
        "_smoothed",
    )

    def run(self, step):
        xp, part = self.network.xp, self.program.loss
        raw, y, weight = step.raw, step.y, step.sample_weight
        if part.is_random and step.keys is not None:
            losses, gradient = part.sampled(raw, y, step.keys[-1], xp)
            value, step.delta = weighted_mean(losses, gradient, weight, xp)
        else:
            value, step.delta = part.mean(raw, y, weight, xp)
        step.value = step.value + as_value(value)

    def record(self, tape, y):
        part, raw = self.program.loss, tape.raw
        if part.is_random:
            raise NoLoopsError(part)
        kind = operations.class_loss if y.ndim == 1 else operations.loss
        name = "class_loops" if y.ndim == 1 else "loops"
        n_targets = 1 if y.ndim == 1 else y.shape[1]
        places = raw.start, raw.delta, tape.room(1), tape.room(1)
        tape.forward(
            kind,
            form_of(part, name, *self._DEFINITION),
            at=np.concatenate([(*places, raw.width, n_targets), part.table()]),
            numbers=part.numbers,
        )


class ChosenLoss(Stage):
    """Like ``Loss``, for chosen outputs."""

    def run(self, step):
        xp, part = self.network.xp, self.program.loss
        choice = self.network.layers[-1].choice
        losses, gradient = part.of_choice(step.raw, choice, xp)
        value, step.delta = weighted_mean(losses, gradient, step.sample_weight, xp)
        step.value = step.value + as_value(value)

    def record(self, tape, y):
        raw, rooms = tape.raw, (tape.room(1), tape.room(1))
        at = raw.start, raw.delta, *rooms, self.network.layers[-1].n_own, tape.max_rows
        loops = form_of(self.program.loss, "choice_loops", "of_choice")
        tape.forward(operations.chosen_loss, loops, at=at)


class Backward(Stage):
    """Backward pass, from the raw outputs to the gradient of the parameters."""

    def run(self, step):
        self.network.backward(step.delta)

    # The layers record their backward pass together with the forward pass.


class AddPenalty(Stage):
    """The penalty, and the gradient of its smooth part."""

    def run(self, step):
        program, penalized = self.program, self.program.penalized
        xp, theta, grad = self.network.xp, self.network.theta, self.network.grad
        step.value = step.value + as_value(penalized.value(theta, xp))
        if program.decoupled:
            return
        for (W, alpha), (g, _) in zip(
            penalized.views(theta, xp), penalized.views(grad, xp), strict=True
        ):
            gradient = penalized.penalty.gradient(W, alpha, xp)
            if gradient is not None:
                g += gradient

    def record(self, tape, y):
        penalized = self.program.penalized
        penalized.check_loops()
        program, by_matrix = self.program, penalized.sees_matrices
        if by_matrix:
            penalized.record(tape, operations.matrix_value, "value_loops")
        elif not (program.adds_penalty_first or program.has_split_steps):
            return  # The pass of the solver includes it.
        adds = program.adds_penalty_first and not program.decoupled
        if by_matrix and not adds:
            return
        ends = penalized.ends(self.network.layout.size)

        def numbers():
            rows = [penalized.strengths(depth) for _, depth in ends]
            if by_matrix:
                return tuple(n for _, l2 in rows for n in (0.0, 0.0, l2))
            return tuple(n for l1, l2 in rows for n in (l1, l2, l2 * adds))

        at = tuple(end for end, _ in ends)
        tape.update(operations.penalize, at=at, numbers=numbers)


class Clip(Stage):
    """Clipping of the norm of the gradient."""

    def run(self, step):
        grad, xp = self.network.grad, self.network.xp
        # Scaled so that squares do not overflow.
        tiny = float(xp.finfo(grad.dtype).smallest_normal)
        top = maximum(xp.max(xp.abs(grad), axis=-1, keepdims=True), tiny, xp)
        scaled = grad / top
        length = top * xp.sqrt(xp.sum(scaled * scaled, axis=-1, keepdims=True))
        bound = self.program.clip_norm
        grad *= minimum(bound / maximum(length, bound, xp), 1, xp)

    def record(self, tape, y):
        tape.update(operations.clip, at=(), numbers=lambda: (self.program.clip_norm,))


class Optimize(Stage):
    """Step of the solver, and proximal step of the penalty."""

    def run(self, step):
        program, network, optimizer = self.program, self.network, self.program.optimizer
        theta, grad, state, xp = network.theta, network.grad, step.state, network.xp
        penalized = program.penalized
        if program.decoupled and penalized:
            rate = of_matrices(step.rate)
            for W, alpha in penalized.views(theta, xp):
                W *= 1 - rate * penalized.penalty.decay(alpha)
        if not program.smooth:
            prox = self._prox
            optimizer.proximal_step(theta, grad, step.rate, state, prox, xp)
        elif xp is np and theta.ndim == 1 and len(theta) > _BLOCK_SIZE:
            self._step_in_blocks(theta, grad, step)
        else:
            optimizer.step(theta, grad, step.rate, state, xp)

    def _prox(self, sizes):
        penalized, xp = self.program.penalized, self.network.xp
        theta = self.network.theta
        one_size = not getattr(sizes, "ndim", 0) or sizes.shape[-1] == 1
        views = penalized.views(theta if one_size else sizes, xp)
        pairs = zip(penalized.views(theta, xp), views, strict=True)
        for (W, alpha), (own, _) in pairs:
            size = of_matrices(sizes) if one_size else own
            W[...] = penalized.penalty.prox(W, alpha, size, xp)
        self.program.bounds.run(None)

    def _step_in_blocks(self, theta, grad, step):
        size, state = len(theta), step.state
        arrays = {k: v for k, v in state.items() if np.shape(v) == (size,)}
        numbers = {k: v for k, v in state.items() if k not in arrays}
        for start in range(0, size, _BLOCK_SIZE):
            block = slice(start, start + _BLOCK_SIZE)
            own = numbers | {k: v[block] for k, v in arrays.items()}
            self.program.optimizer.step(theta[block], grad[block], step.rate, own)
        state.update({k: own[k] for k in numbers})

    def record(self, tape, y):
        program, penalized = self.program, self.program.penalized
        part = program.optimizer
        penalized.check_loops()
        definition = "start", "step", "proximal_step", "_sizes"
        arrays = memory_of(part.start(self.network.theta[:1]))
        if len(arrays) not in (1, 2):
            raise NoLoopsError(part)  # The loops support one or two arrays.
        ends = penalized.ends(self.network.layout.size)
        at = len(part.numbers()), *(end for end, _ in ends)

        is_first = program.adds_penalty_first
        by_matrix = penalized.sees_matrices
        counts = not (is_first or by_matrix or program.has_split_steps)

        def numbers():
            strengths = []
            for _, depth in ends:
                l1, l2 = penalized.strengths(depth)
                pull = 0.0 if is_first or program.decoupled else l2
                decay = l2 if program.decoupled else 0.0
                strengths += [l1, l1 * counts, l2 * counts, pull, decay]
            return 0.0, *part.numbers(), *strengths

        def loops(*names):
            return [form_of(part, name, *definition) for name in names]

        def add(function, *names):
            tape.has_rate.append(len(tape.updates))
            tape.update(function, *loops(*names), at=at, numbers=numbers)

        if program.smooth:
            one = len(arrays) == 1
            kind = operations.smooth_update if one else operations.smooth_update_of_two
            add(kind, "constants", "move")
        elif not program.has_split_steps:
            add(
                operations.proximal_update,
                "constants",
                "proximal_move",
                "size",
                "settle",
            )
        else:
            add(operations.begin_proximal, "constants", "proximal_move", "size")
            if by_matrix:
                penalized.record(tape, operations.matrix_prox, "prox_loops")
            else:
                tape.update(
                    operations.soft_threshold,
                    at=at[1:],
                    numbers=lambda: tuple(penalized.strengths(d)[0] for _, d in ends),
                )
            program.bounds.record(tape, y)
            add(operations.end_proximal, "constants", "settle")


def memory_of(state):
    """Return the arrays of the state of a solver."""
    return [array for array in state.values() if isinstance(array, np.ndarray)]


class Project(Stage):
    """Projection of the incoming weights of units to the max norm."""

    def __init__(self, program):
        super().__init__(program)
        entries, norms = self.network.layout.matrices(), program.max_norms
        pairs = [(x, norms[x.depth]) for x in entries] if norms else []
        self._bounds = [pair for pair in pairs if pair[1] is not None]

    def __bool__(self):
        return bool(self._bounds)

    def run(self, step):
        xp = self.network.xp
        for entry, norm in self._bounds:
            shorten_columns(entry.view(self.network.theta, xp), norm, xp)

    def record(self, tape, y):
        for entry, norm in self._bounds:
            room = tape.room(entry.shape[1], per_row=False)
            at = entry.start, *entry.shape, room, entry.transposed
            tape.update(operations.project, at=at, numbers=lambda norm=norm: (norm,))


def shorten_columns(W, norm, xp):
    """Scale columns of ``W`` with a norm above ``norm`` to it, in place."""
    squares = xp.sum(W * W, axis=-2, keepdims=True)
    # Outside numpy, the test would cost more than it may save.
    if xp is np and np.all(squares <= norm * norm):
        return
    top = xp.max(xp.abs(W), axis=-2, keepdims=True)
    if xp is not np or np.any(squares == np.inf):
        # Columns whose squares overflow are scaled to elements of up to ``norm`` first.
        huge = squares == xp.inf
        W *= xp.where(huge, norm / xp.where(huge, top, 1), 1)
        squares = xp.sum(W * W, axis=-2, keepdims=True)
    W *= norm / xp.sqrt(maximum(squares, norm * norm, xp))
