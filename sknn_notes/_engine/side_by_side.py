"""Trainings that go on side by side on a device, until each one is done."""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from sknn_notes._arrays import to_numpy
from sknn_notes._engine.alike import Stacked, signature
from sknn_notes._engine.rows import as_matrix
from sknn_notes._engine.stack import Stack, needs_host
from sknn_notes.layers._base import Flow

# Of the memory that is free, what a stack may take.
_SHARE_OF_MEMORY = 0.5
# Arrays of the size of theta, and of a batch in every layer, that a step needs.
_N_VECTORS, _N_ARRAYS = 8, 8
# A stack is rebuilt without the members that are done once this share is left.
_SHARE_LEFT = 0.5
# Numbers of a layer's outputs in prediction at a time.
_PREDICTED = 2**26


@dataclass(eq=False)
class Member:
    """A training that may go on beside others.

    Parameters
    ----------
    program : Program
        Of a network on the CPU, which has the weights before and after.
    epochs : Epochs
    context : context manager
        Around all that is done for this training alone.

    Attributes
    ----------
    validation : array of shape (n_samples, n_features) or None
        Inputs for which ``epochs.monitor`` asks after every epoch.
    is_followed : bool
        Whether the network on the CPU has to follow after every epoch.
    error : Exception or None
        What ended the training.
    raw : array of shape (n_samples, n_raw) or None
        Raw outputs for the validation set, after the last epoch.
    seconds : float
        Time that the training took, by its share in the stack.
    """

    program: Any
    epochs: Any
    context: Any
    validation: Any = None
    is_followed: bool = False
    error: Exception | None = None
    raw: Any = None
    seconds: float = 0.0

    @property
    def network(self):
        """The network on the CPU."""
        return self.program.network

    @property
    def batches(self):
        """The training data."""
        return self.epochs.batches

    @property
    def state(self):
        """What training goes on from, and leaves."""
        return self.epochs.state

    @property
    def is_new(self):
        """Whether there is no state of the solver yet."""
        return not self.state.is_of(self.program.optimizer, self.network.theta)

    @property
    def is_done(self):
        """Whether there are no more epochs."""
        return self.error is not None or self.epochs.done

    def signature(self):
        """Return what members of a stack have in common."""
        state = {} if self.is_new else self.state.optimizer_state
        return (
            signature(self.program),
            self.batches.signature(self.network.has_batch_norm),
            tuple((k, v) for k, v in state.items() if not np.ndim(v)),
            self.is_new,
            # What draws its numbers on the host does it for one network.
            id(self) if needs_host(self.program) else None,
        )

    def n_bytes(self):
        """Return about how much memory a step takes."""
        widths = [n_units for _, n_units in self.network.shapes]
        widths += [self.network.shapes[0][0]]
        size = self.network.theta.size * _N_VECTORS
        size += self.batches.max_rows * sum(widths) * _N_ARRAYS
        return size * self.network.theta.itemsize


def train_side_by_side(members, device, most=None, finish=None, n_alike=1):
    """Train networks on a device, those of one signature in the same steps.

    Each has its own numbers, its own weights and its own end. What ended a training
    before its time is in ``error``.

    Parameters
    ----------
    members : list of Member
    device : Device
    most : int, default=None
        Most members of a stack, beside what the free memory allows.
    finish : callable, default=None
        Is called with each member whose training is over.
    n_alike : int, default=1
        How many times a search makes this call with as many members of this kind.

    Returns
    -------
    interrupted : bool
        Whether the user interrupted the training.
    """
    # Numbers that overflow end in a loss that is not finite, which is reported.
    with np.errstate(all="ignore"):
        for stack in stacks_of(members, device, most):
            if _SideBySide(stack, device, finish, n_alike).train():
                return True
    return False


def stacks_of(members, device, most=None):
    """Return lists of members that can be trained as one."""
    alike = defaultdict(list)
    for member in members:
        alike[member.signature()].append(member)
    stacks = []
    for group in alike.values():
        free = _SHARE_OF_MEMORY * device.free_memory()
        size = max(1, int(free / max(member.n_bytes() for member in group)))
        size = size if most is None else min(most, size)
        stacks += [group[i : i + size] for i in range(0, len(group), size)]
    return stacks


class _SideBySide:
    """The training of a stack."""

    def __init__(self, members, device, finish, n_alike):
        self._members, self._device, self._finish = members, device, finish
        self._n_alike = n_alike
        self._stack: Any = None
        # Those whose training is not over.
        self._active = list(members)

    def train(self):
        """Train all members; return whether the user interrupted it."""
        self._shared_until = perf_counter()
        self._end([member for member in self._members if member.is_done])
        try:
            while self._active:
                try:
                    self._go_on()
                except Exception as raised:
                    error = self._device.explained(raised, len(self._active))
                    # What can't be trained ends here; other stacks go on.
                    for member in self._active:
                        member.error = error
                self._leave([member for member in self._active if member.is_done])
        except KeyboardInterrupt:
            for member in self._active:
                if not member.is_done:
                    with member.context:
                        member.epochs.interrupt()
            self._leave(self._active)
            return True
        return False

    def _go_on(self):
        """Make an epoch, on a stack without many that are done."""
        active = self._active
        if self._stack is None:
            self._use(Stack(active, self._device, n_alike=self._n_alike))
        members = self._stack.members
        if len(active) <= _SHARE_LEFT * len(members):
            gone = [i for i, member in enumerate(members) if member.is_done]
            self._use(self._stack.without(gone))
        self._train_epoch(active)

    def _use(self, stack):
        """Let a stack train from now on."""
        self._stack = stack
        watching = defaultdict(list)
        for index, member in enumerate(stack.members):
            if member.validation is not None:
                watching[id(member.validation)].append(index)
                copies = partial(stack.weights_of, index)
                member.epochs.monitor.copy_weights = copies
        self._watching = [
            (
                indices,
                Predictions(
                    [stack.members[i].program for i in indices],
                    stack.members[indices[0]].validation,
                    self._device,
                ),
            )
            for indices in watching.values()
        ]

    def _share_time(self, active):
        """Add to each member its share of the time since the last call."""
        now = perf_counter()
        for member in active:
            member.seconds += (now - self._shared_until) / len(active)
        self._shared_until = now

    def _train_epoch(self, active):
        """Go once over the data."""
        stack, plans = self._stack, {}
        for member in active:
            plan = _attempt(member, member.epochs.plan_epoch)
            if plan is not None:
                plans[id(member)] = plan
        if not plans:
            return
        # Members that are done are still trained until the stack is rebuilt.
        any_plan = next(iter(plans.values()))
        of_all = [plans.get(id(member), any_plan) for member in stack.members]
        losses = stack.run_epoch(of_all).tolist()
        for plan in plans.values():
            plan.leave_last()
        self._look_at(active)
        for member, loss in zip(stack.members, losses, strict=True):
            if id(member) in plans:
                _attempt(member, member.epochs.finish_epoch, loss)
        self._share_time(active)

    def _look_at(self, active):
        """Find what monitors and callbacks ask for after an epoch."""
        stack = self._stack
        network = stack.network
        for indices, predictions in self._watching:
            raw = predictions.raw(network.theta[indices], network.running[indices])
            for index, own in zip(indices, raw, strict=True):
                stack.members[index].raw = own
        self._bring_home([member for member in active if member.is_followed])

    def _bring_home(self, members):
        if members and self._stack is not None:
            places = {id(member): i for i, member in enumerate(self._stack.members)}
            self._stack.bring_home([places[id(member)] for member in members])

    def _leave(self, members):
        self._bring_home([member for member in members if member.error is None])
        self._end(members)

    def _end(self, members):
        for member in members:
            # Whatever interrupts it, a training ends once.
            self._active = [each for each in self._active if each is not member]
            restored = _attempt(member, member.epochs.restore_best)
            if member.error is None:
                network, loss = member.network, member.program.loss
                _attempt(member, member.epochs.check, network, loss, restored)
            # Nothing keeps the memory of the device.
            vars(member.epochs.monitor).pop("copy_weights", None)
            if self._finish is not None:
                self._finish(member)


def _attempt(member, function, *arguments):
    """Call a function; its error ends the training of the member, and no other one."""
    try:
        with member.context:
            return function(*arguments)
    except Exception as error:
        member.error = error


class Predictions:
    """Raw outputs of several networks for the same inputs, on a device.

    Parameters
    ----------
    programs : list of Program
        Of one signature.
    X : {ndarray, Rows, tensor} of shape (n_samples, n_features)
    device : Device
    """

    def __init__(self, programs, X, device):
        self._device, network = device, programs[0].network
        self._X = device.array(X if device.has(X) else as_matrix(X))
        shape, dtype = (len(programs),), network.theta.dtype.name
        theta = device.zeros((*shape, network.layout.size), dtype)
        running = device.zeros((*shape, network.layout.n_averages), dtype)
        self._stacked = partial(Stacked, programs, device.array, theta, running)
        self._network = self._stacked().program.network
        # Masks in prediction are those of the last step.
        self._varies = bool(programs[0].scheduled)
        widest = max(map(max, network.shapes))
        self._n_rows = max(1, _PREDICTED // (widest * len(programs)))

    def raw(self, theta, running):
        """Return the raw outputs, ndarray of shape (n_networks, n_samples, n_raw)."""
        if self._varies:
            self._network = self._stacked().program.network
        network, parts = self._network, []
        with self._device.active():
            network.theta[...] = theta
            network.running[...] = running
            for start in range(0, len(self._X), self._n_rows):
                A, flow = self._X[start : start + self._n_rows], Flow(theta)
                for layer, p in zip(network.layers, network.p, strict=True):
                    A = layer.predict(p, A, flow)
                parts.append(to_numpy(A))
        return np.concatenate(parts, axis=1)
