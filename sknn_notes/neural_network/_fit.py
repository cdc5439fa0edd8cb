"""The training of one network, which also publishes its results."""

import copy
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknn_notes._engine.active_executor import make_executor
from sknn_notes._engine.batches import Batches
from sknn_notes._engine.device import Device
from sknn_notes._engine.device_objective import DeviceObjective
from sknn_notes._engine.finite import DivergenceError, divergence
from sknn_notes._engine.monitor import Monitor
from sknn_notes._engine.rows import as_matrix
from sknn_notes._engine.side_by_side import Member, train_side_by_side
from sknn_notes._engine.training import Epochs, TrainingState, train, train_lbfgs
from sknn_notes._messages import say, warn
from sknn_notes._threads import threads_for
from sknn_notes.neural_network._baseline import warn_if_at_chance
from sknn_notes.neural_network._build import Plan
from sknn_notes.neural_network._parameters import (
    base_rate,
)
from sknn_notes.neural_network._record import Progress
from sknn_notes.neural_network._validation import (
    ValidationSet,
    check_scores,
    evaluation,
)

_NO_CONTEXT: Any = nullcontext()
# What to do where L-BFGS needs more memory than a device has.
_IN_BATCHES = (
    "Choose solver='adam', which uses one batch at a time, or set device='cpu'."
)


@dataclass
class Training:
    """The training of one network, ready to start.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    plan : Plan
    schedule : Schedule
    network : Network
        Network with its initial weights.
    batches : Batches
        Encoded training data.
    validation : ValidationSet or None
    state : TrainingState
        State that training starts from and leaves for the next call.
    first, partial : bool
        Whether the weights are new, and whether ``partial_fit`` was called.
    device : Device or None
        Device to train on; None for the CPU.
    """

    estimator: Any
    plan: Plan
    schedule: Any
    network: Any
    batches: Batches
    validation: ValidationSet | None
    state: TrainingState
    first: bool
    partial: bool
    device: Device | None = None

    def run(self, tasks=None, progress=None):
        """Train, from ``progress`` if it is given; ``tasks`` follow every epoch."""
        if self.in_steps_of_device:
            member = self.member(tasks, progress)
            train_side_by_side([member], self.device)
            self.take(member)
        else:
            self._run_here(tasks, progress)
        self.end(tasks)

    def _run_here(self, tasks, progress):
        """Train on the CPU."""
        shapes = self.network.shapes
        units = shapes[0][0], *(width for _, width in shapes)
        # Overflow makes the loss non-finite, which is reported.
        with threads_for(self.batches.max_rows, units), np.errstate(all="ignore"):
            self._begin(tasks, progress)
            try:
                self._minimize(tasks)
            except DivergenceError as error:
                raise self._explained(error) from None

    @property
    def in_steps_of_device(self):
        """Whether the training steps run on a device."""
        return self.device is not None and self.plan.solver.stochastic

    def _begin(self, tasks=None, progress=None):
        self.monitor = self._monitor()
        self._resumed = progress
        if progress is not None:
            np.copyto(self.network.theta, progress.theta)
            np.copyto(self.network.running, progress.running)
            self.state = copy.deepcopy(progress.state)
            self.monitor.take_up(progress.epochs)
        if tasks is not None:
            tasks.begin_fit(lambda: copy.deepcopy(self.fitted()))

    def end(self, tasks=None):
        """Tell ``tasks`` that training is over; check the validation scores."""
        if tasks is not None:
            tasks.end_fit()
        if self.validation is not None:
            check_scores(self.estimator, self.validation, self.monitor)

    def _explained(self, error):
        """Return an error with the advice that the targets suggest."""
        remedy = self.estimator._targets.remedy(self.batches.y)
        return DivergenceError(f"{error} {remedy}") if remedy else error

    def member(self, tasks=None, progress=None, context=_NO_CONTEXT):
        """Start the training, and return the member of a stack that a device trains.

        Whatever concerns this training alone is done in the context.
        """
        with np.errstate(all="ignore"):
            self._begin(tasks, progress)
        self._tell_executor(f"torch on {self.device}")
        program = self.plan.program(self.network)
        member = Member(program, self._epochs(program.scheduled, tasks), context)
        member.is_followed = tasks is not None
        if self.validation is not None:
            member.validation = self.validation.X
            # A scorer calls the estimator after every epoch.
            member.is_followed |= self.estimator.scoring not in (None, "loss")
            self.monitor.evaluate = evaluation(
                self.estimator,
                self.network,
                self.validation,
                lambda: [(slice(None), member.raw)],
            )
        return member

    def take(self, member):
        """Take the results of a device; raise the error that ended the training."""
        if isinstance(member.error, DivergenceError):
            raise self._explained(member.error)
        if member.error is not None:
            raise member.error
        self._warn_unless_converged(member.epochs)

    def progress(self):
        """Return the state of training between two epochs."""
        state = copy.deepcopy(self.state)
        state.n_without_improvement = self.monitor.n_without_improvement
        return Progress(
            self.network.theta.copy(),
            self.network.running.copy(),
            state,
            self.monitor.history(),
            self.executor,
        )

    def publish(self):
        """Set the fitted attributes of the estimator."""
        estimator, losses = self.estimator, self.monitor.losses
        fitted = self.fitted()
        output_layer = fitted["coefs_"][-1], fitted["intercepts_"][-1]
        if not all(np.isfinite(array).all() for array in output_layer):
            dtype = self.network.theta.dtype.name
            raise divergence(f"In the unit of y, the weights overflow {dtype}.")
        for name, value in fitted.items():
            setattr(estimator, name, value)
        estimator._targets.keep(self.network)
        estimator._training_state = self.state
        if not self.partial and losses:
            reached = losses[estimator.best_epoch_ - 1]
            warn_if_at_chance(estimator, self.network, self.plan, self.batches, reached)

    def _monitor(self):
        """Return the monitor; a warm start has to improve on its initial weights."""
        estimator, evaluate, best = self.estimator, None, np.inf
        if self.validation is not None:
            evaluate = evaluation(estimator, self.network, self.validation)
            best = -np.inf if self.first else evaluate()[0]
        elif self.partial and not self.first:
            best = np.inf if estimator.best_loss_ is None else estimator.best_loss_
        elif not self.first and self.plan.solver.stochastic:
            # On a copy of the generator, so that training draws the same numbers.
            objective = self.plan.objective(self.network)
            best = objective.mean(self.batches, copy.deepcopy(self.state.rng))
        return Monitor(
            [self.network.theta, self.network.running],
            tol=estimator.tol,
            n_iter_no_change=estimator.n_iter_no_change,
            best=best,
            evaluate=evaluate,
            verbose=estimator.verbose,
            max_iter=self._n_epochs,
        )

    @property
    def _n_epochs(self):
        return 1 if self.partial else self.estimator.max_iter

    def _minimize(self, tasks):
        estimator, batches, solver = self.estimator, self.batches, self.plan.solver
        if not solver.stochastic:
            device, context = self.device, _NO_CONTEXT
            if device is not None:
                context = device.explaining(_IN_BATCHES)
            with context:
                self._minimize_at_once(tasks)
            return
        self.state.use(solver, self.network.theta)
        program = self.plan.program(self.network)
        executor = make_executor(program, batches, estimator.verbose)
        self._tell_executor(executor.description)
        epochs = self._epochs(executor.program.scheduled, tasks)
        train(executor, epochs)
        self._warn_unless_converged(epochs)

    def _minimize_at_once(self, tasks):
        """Minimize the objective, which is evaluated on all rows at once."""
        batches, solver = self.batches, self.plan.solver
        batch = as_matrix(batches.X), batches.y, batches.sample_weight
        if self.device is None:
            objective: Any = self.plan.objective(self.network, batch)
            self._tell_executor(objective.executor.description)
        else:
            program = self.plan.objective(self.network).program
            objective = DeviceObjective(program, batch, self.device)
            self._tell_executor(f"torch on {self.device}")
        train_lbfgs(
            objective,
            batch,
            self.monitor,
            max_fun=solver.max_fun,
            max_iter=self.estimator.max_iter,
            tol=self.estimator.tol,
            tasks=tasks,
        )

    def _epochs(self, scheduled, tasks):
        estimator = self.estimator
        return Epochs(
            self.batches,
            self.schedule,
            self.monitor,
            self.state,
            base_rate=base_rate(estimator)[1],
            max_iter=estimator.max_iter,
            n_epochs=self._n_epochs - len(self.monitor.losses),
            scheduled=scheduled,
            verbose=estimator.verbose,
            tasks=tasks,
        )

    def _warn_unless_converged(self, epochs):
        # A schedule that ends at ``max_iter`` is meant to use all epochs.
        planned = self.schedule.needs_max_iter
        if not (epochs.converged or self.partial or planned):
            warn(
                f"Stochastic Optimizer: Maximum iterations ({epochs.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
            )

    def _tell_executor(self, executor):
        self.executor = executor
        if self.estimator.verbose:
            say(f"The steps run in {self.executor}.")
        if self._resumed is not None and self._resumed.executor != self.executor:
            warn(
                f"This fit started in {self._resumed.executor} and continues in "
                f"{self.executor}. Its results agree with an uninterrupted fit only up "
                "to rounding.",
            )

    def fitted(self):
        """Return the fitted attributes in the current state of training."""
        estimator, monitor = self.estimator, self.monitor
        arrays = estimator._targets.publish(self.network)
        fitted = {
            "coefs_": arrays.coefs,
            "intercepts_": arrays.intercepts,
            "batch_norm_": arrays.batch_norms,
            "layer_norm_": arrays.layer_norms,
            "residual_coefs_": arrays.residuals,
            "embedding_": arrays.embedding,
            "feature_scales_": arrays.feature_scales,
            "n_layers_": len(arrays.coefs) + 1,
            "networks_": None,
            "executor_": self.executor,
            "t_": self.state.n_seen,
            "n_iter_": len(monitor.losses),
            "best_epoch_": monitor.best_epoch,
            "loss_": monitor.losses[-1] if monitor.losses else np.nan,
            "loss_curve_": self._earlier("loss_curve_") + monitor.losses,
            "best_loss_": monitor.best,
            "validation_scores_": None,
            "validation_loss_curve_": None,
            "best_validation_score_": None,
            "_watched": self._watched,
        }
        if self.validation is not None:
            scores = self._earlier("validation_scores_", self._watched)
            losses = self._earlier("validation_loss_curve_", self._watched)
            fitted |= {
                "best_loss_": None,
                "validation_scores_": scores + monitor.scores,
                "validation_loss_curve_": losses + monitor.validation_losses,
                "best_validation_score_": monitor.best,
            }
        return fitted

    @property
    def _watched(self):
        """The ``scoring`` of the validation scores, in a tuple; empty without them."""
        return () if self.validation is None else (self.estimator.scoring,)

    def _earlier(self, name, watched=None):
        """Return the curve of earlier calls that this one continues."""
        estimator = self.estimator
        if self.first or (watched is not None and watched != estimator._watched):
            return []
        return getattr(estimator, name)
