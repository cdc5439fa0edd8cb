"""Training loops: mini-batch steps, and L-BFGS."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknn_notes._arrays import to_numpy
from sknn_notes._engine.finite import (
    LBFGS_REMEDIES,
    REMEDIES,
    check_finite,
    divergence,
)
from sknn_notes._messages import say, warn
from sknn_notes._scipy import minimize
from sknn_notes._threads import stopped
from sknn_notes.schedules import Progress, values


@dataclass
class TrainingState:
    """State that is kept between a call to fit and the next one that continues it.

    Attributes
    ----------
    rng : numpy.random.Generator
        Generator of all random draws of training.
    lasting_seed : int
        Seed of draws that are repeated with the same result: the validation split and
        the sub-networks of Monte Carlo prediction.
    optimizer : tuple or None
        Class of the solver that the state belongs to, and name of the dtype.
    optimizer_state : dict
        State of the solver.
    n_seen : int
        Number of samples seen so far (``t_``).
    epoch, n_plateaus, n_without_improvement : int
        Counters of the schedule and the monitor.
    loss : float
        Training loss of the last epoch, NaN before the first.
    """

    rng: np.random.Generator
    lasting_seed: int = 0
    optimizer: tuple | None = None
    optimizer_state: dict[str, Any] = field(default_factory=dict)
    n_seen: int = 0
    epoch: int = 0
    n_plateaus: int = 0
    n_without_improvement: int = 0
    loss: float = math.nan

    def is_of(self, optimizer, theta):
        """Tell whether the state belongs to a solver of this class and dtype."""
        return self.optimizer == (type(optimizer), theta.dtype.name)

    def use(self, optimizer, theta):
        """Keep the state if it belongs to this class and dtype, otherwise reset it."""
        if not self.is_of(optimizer, theta):
            self.optimizer = type(optimizer), theta.dtype.name
            self.optimizer_state = optimizer.start(theta)


class EpochPlan(NamedTuple):
    """The numbers of the steps of an epoch.

    Attributes
    ----------
    rates : ndarray of shape (n_steps,)
        Learning rates.
    scheduled : list of (callable, ndarray of shape (n_steps,))
        Functions that set other scheduled numbers, and their values.
    """

    rates: np.ndarray
    scheduled: list

    def leave_last(self):
        """Set scheduled numbers to their last values, after steps on a device."""
        for change, numbers in self.scheduled:
            change(float(numbers[-1]))


class Epochs:
    """The epochs of a training: their numbers, and when they end.

    An iteration yields an ``EpochPlan``, after which the caller makes the steps and
    passes the loss to ``finish_epoch``. At the end, ``restore_best`` restores the best
    weights, and ``check`` checks the result.

    Parameters
    ----------
    batches : Batches
    schedule : Schedule
    monitor : Monitor
        Monitor, which stores the curves.
    state : TrainingState
        Updated in place.
    base_rate : float
        Learning rate that the schedule starts from.
    max_iter : int
        Number of epochs that the schedule uses.
    n_epochs : int
        Maximum number of epochs of this call.
    scheduled : sequence of (callable, Schedule or number, float), default=()
        Other scheduled numbers: a function that sets the number, its schedule or value,
        and an upper bound.
    verbose : bool, default=False
        Whether to print messages.
    tasks : EpochTasks, default=None
        Callbacks, called by ``begin()`` and ``end()`` in each epoch. Training ends if
        ``end()`` returns True.

    Attributes
    ----------
    converged : bool
        Whether training stopped before the maximum number of epochs.
    n_left : int
        Maximum number of remaining epochs.
    """

    def __init__(
        self,
        batches,
        schedule,
        monitor,
        state,
        *,
        base_rate,
        max_iter,
        n_epochs,
        scheduled=(),
        verbose=False,
        tasks=None,
    ):
        self.batches, self.schedule = batches, schedule
        self.monitor, self.state = monitor, state
        self.base_rate, self.max_iter, self.n_left = base_rate, max_iter, n_epochs
        self.scheduled, self.verbose, self.tasks = scheduled, verbose, tasks
        self.converged = False
        self._plan: EpochPlan | None = None
        self._rates = np.array([base_rate])
        monitor.n_without_improvement = state.n_without_improvement

    @property
    def done(self):
        """Whether there are no more epochs."""
        return self.converged or self.n_left <= 0

    def __iter__(self):
        while not self.done:
            yield self.plan_epoch()

    def plan_epoch(self):
        """Begin the next epoch, and return its numbers."""
        state = self.state
        if self.tasks is not None:
            self.tasks.begin()
        if self._plan is not None and self.schedule.is_constant and not self.scheduled:
            return self._plan
        progress = Progress(
            epoch=state.epoch,
            n_steps=self.batches.n_batches,
            n_seen=state.n_seen,
            n_plateaus=state.n_plateaus,
            loss=state.loss,
            max_iter=self.max_iter,
        )
        self._rates = self.schedule.rates(self.base_rate, progress)
        others = [
            (change, values(spec, progress, below=below))
            for change, spec, below in self.scheduled
        ]
        self._plan = EpochPlan(self._rates, others)
        return self._plan

    def finish_epoch(self, loss):
        """Record the loss of the epoch, and decide whether another one follows.

        Raises
        ------
        DivergenceError
            If the loss is not finite, and the monitor has no better weights.
        """
        state, monitor, loss = self.state, self.monitor, float(loss)
        self.n_left -= 1
        if not math.isfinite(loss):
            _stop_diverged(monitor, loss, state.epoch + 1, self._rates.max())
            # The state of the solver belongs to the discarded weights.
            state.optimizer, state.optimizer_state = None, {}
            self.converged = True
            return
        state.epoch += 1
        state.n_seen += self.batches.n_samples
        state.loss = loss
        monitor.update(loss)
        if self.tasks is not None and self.tasks.end():
            self.converged = True
        elif monitor.on_plateau:
            self._leave_plateau()

    def _leave_plateau(self):
        if not self.schedule.goes_on(float(self._rates[-1])):
            if self.verbose:
                say(_plateau_message(self.monitor) + " Stopping.")
            self.converged = True
            return
        self.state.n_plateaus += 1
        self.monitor.n_without_improvement = 0
        if self.verbose:
            say(_plateau_message(self.monitor) + " Lowering the learning rate.")

    def interrupt(self):
        """Stop training with a warning, since the user interrupted it."""
        _stop_interrupted(self.monitor)
        self.converged = True

    def restore_best(self):
        """Restore the weights with the best score; tell whether there are any."""
        restored = self.monitor.restore_best()
        self.state.n_without_improvement = self.monitor.n_without_improvement
        return restored

    def check(self, network, loss, restored):
        """Raise DivergenceError if the predictions of the result are not finite."""
        rate = self._rates.max()
        when = f"after epoch {self.state.epoch} at a learning rate of {rate:g}"
        # Weights with the best validation score have finite predictions.
        X, size = None, None
        if not restored:
            X, size = self.batches.X, self.batches.input_size
        check_finite(network, loss, X, when, size)


def train(executor, epochs):
    """Minimize the objective batch by batch.

    The network's ``theta`` is updated in place.

    Parameters
    ----------
    executor : Executor
        Executor of the steps.
    epochs : Epochs

    Raises
    ------
    DivergenceError
        If the loss is not finite, and the monitor has no better weights, or if the
        predictions for the training data are not finite at the end.
    """
    try:
        for plan in epochs:
            loss = executor.run_epoch(
                epochs.batches, plan.rates, epochs.state, plan.scheduled
            )
            epochs.finish_epoch(loss)
    except KeyboardInterrupt:
        epochs.interrupt()
    finally:
        restored = epochs.restore_best()
    epochs.check(executor.whole, executor.program.loss, restored)


def _plateau_message(monitor):
    watched = "Validation score" if monitor.watches_score else "Training loss"
    return (
        f"{watched} did not improve more than tol={monitor.tol:f} for "
        f"{monitor.n_iter_no_change} consecutive epochs."
    )


def _stop_diverged(monitor, value, epoch, rate):
    what = f"became {value} in epoch {epoch} at a learning rate of {rate:g}"
    if not monitor.diverged(value):
        raise divergence(f"The training loss {what}.")
    warn(
        f"The training loss {what}. Training stopped and the best weights so far were "
        f"restored. {REMEDIES}",
        ConvergenceWarning,
    )


def _warn_unless_converged(result, max_iter):
    """Warn if the result of L-BFGS is not a minimum."""
    if result.status == 0:
        return
    n_iter = min(result.nit, max_iter)
    message = (
        f"lbfgs failed to converge after {n_iter} iteration(s) "
        f"(status={result.status}): {result.message}. "
    )
    if n_iter == max_iter:
        message += f"Raise max_iter={max_iter}. "
    warn(
        f"{message}Scale the inputs, for example with sknn_notes.Standardizer. Another "
        "fit with warm_start=True continues from these weights, but estimates the "
        "curvature from scratch: many short fits reach a much higher loss than one fit "
        "with as many iterations.",
        ConvergenceWarning,
    )


def train_lbfgs(objective, batch, monitor, *, max_fun, max_iter, tol, tasks=None):
    """Minimize the objective on a single batch of all the data by L-BFGS.

    Every iteration counts as an epoch. ``tol`` bounds the gradient.

    Returns
    -------
    n_iter : int
        Number of iterations; 1 if there were none.
    loss : float
        The objective at the last iterate.

    Raises
    ------
    DivergenceError
        If the objective is not finite at the start, or if the predictions for the
        training data are not finite at the end.
    """
    network = objective.network
    # The weights after the last iteration that the monitor recorded.
    accepted = network.theta.copy()
    ended = False

    def value_and_gradient(theta):
        network.theta[:] = theta
        value = objective(*batch)
        if not math.isfinite(value):
            # A high and steep value makes the line search try a third of the step.
            step = theta - accepted
            return 1e100, step * (1e104 / np.dot(step, step))
        return value, network.grad.copy()

    def update(theta, value):
        network.theta[:] = theta
        if monitor.watches_score and len(network.running):
            _take_averages(network, batch[0])
        monitor.update(float(value))
        accepted[:] = theta

    def record(intermediate_result):
        nonlocal ended
        update(intermediate_result.x, intermediate_result.fun)
        if tasks is not None:
            # The beginning of an iteration is only known at its end.
            tasks.begin()
            ended = tasks.end()
        if ended or (monitor.watches_score and monitor.on_plateau):
            ended = True
            raise StopIteration

    start = objective(*batch)
    if not math.isfinite(start):
        what = f"The training loss is {start} before the first iteration."
        raise divergence(what, LBFGS_REMEDIES)
    monitor.start(start)
    try:
        result = minimize(
            value_and_gradient,
            network.theta.copy(),
            method="L-BFGS-B",
            jac=True,
            callback=record,
            options={
                "maxfun": max_fun,
                "maxiter": max_iter,
                "gtol": tol,
                # The default would stop with a gradient far above ``tol``.
                "ftol": 64 * np.finfo(float).eps,
            },
        )
        if not ended:
            _warn_unless_converged(result, max_iter)
    except KeyboardInterrupt:
        _stop_interrupted(monitor)
    if not monitor.losses:  # No step lowered the loss: keep the initial weights.
        update(accepted.copy(), start)
    # Not the weights at which a line search failed.
    network.theta[:] = accepted
    restored = monitor.restore_best()
    if not restored and len(network.running):
        _take_averages(network, batch[0])
    n_iter = len(monitor.losses)
    X = None if restored else batch[0]
    when = f"after iteration {n_iter}"
    check_finite(network, objective.loss, X, when, remedies=LBFGS_REMEDIES)
    return n_iter, monitor.losses[-1]


def _take_averages(network, X):
    """Set the running averages of batch norm to those of all the data."""
    network.forward(to_numpy(X))
    network.set_running()


def _stop_interrupted(monitor):
    monitor.interrupted = True
    if stopped():  # The caller of run_on_threads reports it, once.
        return
    warn(
        f"Training interrupted by user after {len(monitor.losses)} epochs; the weights "
        "reached so far are kept.",
    )
