"""Trainings side by side on a device, until each one is done."""

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

# Fraction of the free memory that a stack may use.
_SHARE_OF_MEMORY = 0.5
# Numbers of arrays of the size of theta, and of a batch per layer, that a step needs.
_N_VECTORS, _N_ARRAYS = 8, 8
# A stack is rebuilt without finished members once at most this fraction is left.
_SHARE_LEFT = 0.5
# Maximum number of outputs of a layer in a chunk of a prediction.
_PREDICTED = 2**26


@dataclass(eq=False)
class Member:
    """A training that may run beside others.

    Parameters
    ----------
    program : Program
        Program of a network on the CPU, which has the weights before and after.
    epochs : Epochs
    context : context manager
        Context for everything that concerns only this training.

    Attributes
    ----------
    validation : array of shape (n_samples, n_features) or None
        Validation inputs, predicted after each epoch for ``epochs.monitor``.
    is_followed : bool
        Whether the network on the CPU is updated after each epoch.
    error : Exception or None
        The error that ended the training.
    raw : array of shape (n_samples, n_raw) or None
        Raw outputs for the validation set, after the last epoch.
    seconds : float
        Duration of the training, as a share of that of its stacks.
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
        """The state of the training."""
        return self.epochs.state

    @property
    def is_new(self):
        """Whether the solver has no state yet."""
        return not self.state.is_of(self.program.optimizer, self.network.theta)

    @property
    def is_done(self):
        """Whether there are no more epochs."""
        return self.error is not None or self.epochs.done

    def signature(self):
        """Return a key that is equal for members that can be in one stack."""
        state = {} if self.is_new else self.state.optimizer_state
        return (
            signature(self.program),
            self.batches.signature(self.network.has_batch_norm),
            tuple((k, v) for k, v in state.items() if not np.ndim(v)),
            self.is_new,
            # Programs that draw numbers on the host can't share a stack.
            id(self) if needs_host(self.program) else None,
        )

    def n_bytes(self):
        """Return an estimate of the memory of a step, in bytes."""
        widths = [n_units for _, n_units in self.network.shapes]
        widths += [self.network.shapes[0][0]]
        size = self.network.theta.size * _N_VECTORS
        size += self.batches.max_rows * sum(widths) * _N_ARRAYS
        return size * self.network.theta.itemsize


def train_side_by_side(members, device, most=None, finish=None, n_alike=1):
    """Train networks on a device, those of the same signature together.

    Each network has its own numbers, weights and number of epochs. An error that ends
    the training of a member is stored in its ``error``.

    Parameters
    ----------
    members : list of Member
    device : Device
    most : int, default=None
        Maximum number of members of a stack, besides the limit of the free memory.
    finish : callable, default=None
        Called with each member whose training is done.
    n_alike : int, default=1
        How many times a search makes this call with members of the same kind and
        number.

    Returns
    -------
    interrupted : bool
        Whether the user interrupted the training.
    """
    # Overflows lead to a loss that is not finite, which is reported.
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
        # Members whose training is not done.
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
                    self._fail(raised)
                self._leave([member for member in self._active if member.is_done])
        except KeyboardInterrupt:
            for member in self._active:
                if not member.is_done:
                    with member.context:
                        member.epochs.interrupt()
            self._leave(self._active)
            return True
        return False

    def _fail(self, raised):
        """End the training of all active members; other stacks continue."""
        error = self._device.explained(raised, len(self._active))
        for member in self._active:
            member.error = error

    def _go_on(self):
        """Train for an epoch, on a stack with few finished members."""
        active = self._active
        if self._stack is None:
            self._use(Stack(active, self._device, n_alike=self._n_alike))
        members = self._stack.members
        if len(active) <= _SHARE_LEFT * len(members):
            gone = [i for i, member in enumerate(members) if member.is_done]
            self._use(self._stack.without(gone))
        self._train_epoch(active)

    def _use(self, stack):
        """Use a stack from now on."""
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
        """Train for an epoch."""
        stack, plans = self._stack, {}
        for member in active:
            plan = self._attempt(member, member.epochs.plan_epoch)
            if plan is not None:
                plans[id(member)] = plan
        if not plans:
            return
        # Finished members are trained until the stack is rebuilt.
        any_plan = next(iter(plans.values()))
        of_all = [plans.get(id(member), any_plan) for member in stack.members]
        losses = stack.run_epoch(of_all).tolist()
        for plan in plans.values():
            plan.leave_last()
        self._look_at(active)
        for member, loss in zip(stack.members, losses, strict=True):
            if id(member) in plans:
                self._attempt(member, member.epochs.finish_epoch, loss)
        self._share_time(active)

    def _look_at(self, active):
        """Compute what monitors and callbacks need after an epoch."""
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
        try:
            self._bring_home([member for member in members if member.error is None])
        except Exception as raised:
            self._fail(raised)
            members = self._active
        self._end(members)

    def _end(self, members):
        for member in members:
            # Removed first, so that a training ends only once.
            self._active = [each for each in self._active if each is not member]
            restored = self._attempt(member, member.epochs.restore_best)
            if member.error is None:
                network, loss = member.network, member.program.loss
                self._attempt(member, member.epochs.check, network, loss, restored)
            # The monitor should not keep memory of the device.
            vars(member.epochs.monitor).pop("copy_weights", None)
            if self._finish is not None:
                self._finish(member)

    def _attempt(self, member, function, *arguments):
        """Call a function; an error ends the training of this member only."""
        try:
            with member.context:
                return function(*arguments)
        except Exception as error:
            # The first error is the cause of later ones.
            member.error = member.error or self._device.explained(error)


class Predictions:
    """Raw outputs of several networks for the same inputs, on a device.

    Parameters
    ----------
    programs : list of Program
        Programs of the same signature.
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
        # In prediction, the rates of dropout are those of the last step.
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
