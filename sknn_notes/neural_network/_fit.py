"""One call of fit or partial_fit: prepare the training, run it, publish its results."""

import copy
import pickle
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sknn_notes._arrays import numpy_dtype
from sknn_notes._checks import shown
from sknn_notes._engine.active_executor import make_executor
from sknn_notes._engine.batches import Batches
from sknn_notes._engine.device import Device
from sknn_notes._engine.device_objective import DeviceObjective
from sknn_notes._engine.finite import DivergenceError, divergence
from sknn_notes._engine.monitor import Monitor
from sknn_notes._engine.prediction import Predictor
from sknn_notes._engine.rows import as_matrix, rows_of
from sknn_notes._engine.side_by_side import Member, train_side_by_side
from sknn_notes._engine.training import Epochs, TrainingState, train, train_lbfgs
from sknn_notes._messages import say, warn
from sknn_notes._threads import threads_for
from sknn_notes.neural_network._baseline import warn_if_at_chance
from sknn_notes.neural_network._build import Plan
from sknn_notes.neural_network._devices import device_of
from sknn_notes.neural_network._guidance import check_scorer
from sknn_notes.neural_network._inactive import tell_inactive
from sknn_notes.neural_network._parameters import (
    LEARNING_RATE,
    base_rate,
    check_start,
)
from sknn_notes.neural_network._record import Progress
from sknn_notes.neural_network._shared import Shared
from sknn_notes.neural_network._targets import fitted_arrays
from sknn_notes.neural_network._validation import (
    ValidationSet,
    check_scores,
    check_watched,
    check_weighted,
    evaluation,
    hold_out,
    of_validation,
)


def is_first(estimator, partial):
    """Tell whether a fit starts from new weights."""
    return not hasattr(estimator, "coefs_") or not (estimator.warm_start or partial)


def prepare(
    estimator,
    X,
    y,
    sample_weight=None,
    *,
    validation=None,
    partial=False,
    fold=None,
    shared=None,
    known=None,
):
    """Check the data and the parameters, and build all that training needs.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        It learns what the data tell: the number of features, the classes.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), default=None
    validation : tuple of (X_val, y_val, sample_weight_val), default=None
    partial : bool, default=False
        Whether the data are a chunk, to go over once.
    fold : Fold, default=None
        What early stopping holds out where the estimator is one network of an ensemble.
    shared : Shared, default=None
        What first fits of other estimators to the same data have computed.
    known : Shared, default=None
        What first fits of other estimators have found of their parameters.

    Returns
    -------
    training : Training
    """
    first = is_first(estimator, partial)
    # What continues has targets of its own.
    shared = shared if shared is not None and first else Shared()
    known = known if known is not None and first else Shared()
    parameters = _parameters(estimator)
    solver = known.once(("solver", parameters), lambda: estimator._resolve("solver"))
    types = dtypes(estimator, solver, first)
    X, y, sample_weight = _validated(
        estimator, X, y, sample_weight, types, first, partial, shared
    )
    begin = estimator._target_kind.start if first else estimator._targets.resume
    spec = _what_targets_read(estimator), str(types)
    targets, y = shared.once(
        ("targets", spec), lambda: begin(estimator, y, sample_weight, partial)
    )
    vars(estimator).update(targets.attributes)

    def plan_fit():
        plan = Plan(estimator, targets.loss, solver)
        schedule = _schedule(estimator, plan, partial)
        check_scorer(estimator)
        tell_inactive(estimator, plan, validation is not None)
        return plan, schedule

    plan, schedule = known.once(("plan", parameters), plan_fit)
    # What a fit changes is its own.
    plan = copy.copy(plan)
    plan.loss, plan.init = targets.loss, copy.copy(plan.init)
    plan.check_inputs(X)
    kind = "device", estimator.device, type(X)
    device = known.once(kind, lambda: device_of(estimator, X))
    state = _start_state(estimator, first, partial)
    # What they learn of the rows to train on is their own.
    estimator._targets = copy.copy(targets)

    def divide():
        loss_weight = targets.weights(y, sample_weight, partial)
        data = X, y, sample_weight, loss_weight
        return _divided(estimator, plan, data, validation, state, partial, fold)

    has_validation = validation is not None or estimator.early_stopping
    norm = plan.has_batch_norm, bool(plan.hidden)
    batches_of = "batches", spec, norm, solver.stochastic
    key = *batches_of, estimator.batch_size, estimator.shuffle
    if has_validation:  # Which rows are held out depends on the seed.
        shared = Shared()
    batches, validation, targets = shared.once(key, divide)
    if device is None:
        batches = batches.own()
    estimator._targets = copy.copy(targets)
    network = _network(estimator, plan, batches, state, first)
    return Training(
        estimator,
        plan,
        schedule,
        network,
        batches,
        validation,
        state,
        first,
        partial,
        device,
    )


def _validated(estimator, X, y, sample_weight, types, first, partial, shared):
    """Return the data checked; the estimator learns what they are."""

    def validate():
        data = estimator._validate_data(X, y, types, first)
        weight = estimator._check_weights(sample_weight, data[0], partial)
        names = "n_features_in_", "feature_names_in_"
        seen = {k: v for k, v in vars(estimator).items() if k in names}
        return *data, weight, seen

    *data, seen = shared.once(("data", str(types)), validate)
    vars(estimator).update(seen)
    return data


def _parameters(estimator):
    """Return what tells the parameters that a plan depends on."""
    values = estimator.get_params(deep=False)
    if values["augment"] is not None or values["embedding"] is not None:
        return id(estimator)  # Parts that learn from the data.
    del values["random_state"]
    return tuple((k, _token(v)) for k, v in values.items())


def _token(value):
    """Return what equal values have in common, all digits and elements of them.

    What can't be pickled equals itself alone.
    """
    if value is None or isinstance(value, str | int | float):
        return type(value), value
    try:
        return type(value), pickle.dumps(value)
    except Exception:  # Each kind of object raises its own.
        return type(value), id(value)


def _what_targets_read(estimator):
    """Return what targets depend on beside the data."""
    cls: Any = type(estimator)
    names = "class_weight", "standardize_target", "loss", *_of_losses(cls)
    values = [getattr(estimator, name, None) for name in names]
    return cls, *map(_token, values)


@cache
def _of_losses(cls):
    """Return the estimator's parameters that some losses take."""
    registry = cls._registries["loss"]
    return sorted({name for x in registry.values() for name in x._get_param_names()})


def _divided(estimator, plan, data, validation, state, partial, fold):
    """Return the batches to train on, the validation set, and what the targets know."""
    targets = estimator._targets
    if plan.has_batch_norm and not partial:
        data = _weighted_rows(*data)
    X, y, sample_weight, loss_weight = data
    if validation is not None:
        validation = _check_validation(estimator, plan, numpy_dtype(X), *validation)
    elif estimator.early_stopping:
        rows, validation = _split(
            estimator, X, y, sample_weight, loss_weight, state, partial, fold
        )
        X, y, _, loss_weight = rows
    targets.learn_scale(y, loss_weight)
    dtype = numpy_dtype(X)
    y = targets.encode(y, dtype)
    if validation is not None:
        encoded = targets.encode(validation.y, dtype)
        validation = validation._replace(targets=encoded)
        targets.check_validation(encoded)
        check_watched(estimator, validation)
    batches = _batches(estimator, X, y, loss_weight, plan, partial)
    return batches, validation, targets


_NO_CONTEXT = nullcontext()


@dataclass
class Training:
    """A training that may begin.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    plan : Plan
    schedule : Schedule
    network : Network
        With the weights to start from.
    batches : Batches
        The training data, encoded.
    validation : ValidationSet or None
    state : TrainingState
        What training goes on from, and leaves for the next call.
    first, partial : bool
        Whether the weights are new, and whether the data are a chunk.
    device : Device or None
        What trains it, None for the CPU.
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
        """Train, on from some progress; ``tasks`` are told of every epoch."""
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
        # Numbers that overflow end in a loss that is not finite, which is reported.
        with threads_for(self.batches.max_rows, units), np.errstate(all="ignore"):
            self._begin(tasks, progress)
            try:
                self._minimize(tasks)
            except DivergenceError as error:
                raise self._explained(error) from None

    @property
    def in_steps_of_device(self):
        """Whether a device makes the steps."""
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
        """Tell that training is over; check what the monitor has seen."""
        if tasks is not None:
            tasks.end_fit()
        if self.validation is not None:
            check_scores(self.estimator, self.validation, self.monitor)

    def _explained(self, error):
        """Return an error with what the targets tell about it."""
        remedy = self.estimator._targets.remedy(self.batches.y)
        return DivergenceError(f"{error} {remedy}") if remedy else error

    def member(self, tasks=None, progress=None, context=_NO_CONTEXT):
        """Begin, and return what a device trains beside others.

        What is done for this training alone is done in the context.
        """
        with np.errstate(all="ignore"):
            self._begin(tasks, progress)
        self._tell_executor(f"torch on {self.device}")
        program = self.plan.program(self.network)
        member = Member(program, self._epochs(program.scheduled, tasks), context)
        member.is_followed = tasks is not None
        if self.validation is not None:
            member.validation = self.validation.X
            # A scorer asks the estimator.
            member.is_followed |= self.estimator.scoring not in (None, "loss")
            self.monitor.evaluate = evaluation(
                self.estimator,
                self.network,
                self.validation,
                lambda: [(slice(None), member.raw)],
            )
        return member

    def take(self, member):
        """Take what a device has trained; raise what ended it before its time."""
        if isinstance(member.error, DivergenceError):
            raise self._explained(member.error)
        if member.error is not None:
            raise member.error
        self._warn_unless_converged(member.epochs)

    def progress(self):
        """Return how far training has come, between two epochs."""
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
            raise divergence(f"In the unit of y the weights overflow {dtype}.")
        for name, value in fitted.items():
            setattr(estimator, name, value)
        estimator._targets.keep(self.network)
        estimator._training_state = self.state
        if not self.partial and losses:
            reached = losses[estimator.best_epoch_ - 1]
            warn_if_at_chance(estimator, self.network, self.plan, self.batches, reached)

    def _monitor(self):
        """Return the monitor, whose bar is what the first weights reach here."""
        estimator, evaluate, best = self.estimator, None, np.inf
        if self.validation is not None:
            evaluate = evaluation(estimator, self.network, self.validation)
            best = -np.inf if self.first else evaluate()[0]
        elif self.partial and not self.first:
            best = np.inf if estimator.best_loss_ is None else estimator.best_loss_
        elif not self.first and self.plan.solver.stochastic:
            # A copy of the generator: training draws the same whether this was asked.
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
            # It looks at all rows at once.
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
                max_iter=estimator.max_iter,
                tol=estimator.tol,
                tasks=tasks,
            )
            return
        self.state.use(solver, self.network.theta)
        program = self.plan.program(self.network)
        executor = make_executor(program, batches, estimator.verbose)
        self._tell_executor(executor.description)
        epochs = self._epochs(executor.program.scheduled, tasks)
        train(executor, epochs)
        self._warn_unless_converged(epochs)

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
        if not (epochs.converged or self.partial):
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
                f"This fit began in {self._resumed.executor} and goes on in "
                f"{self.executor}: its results are the same up to rounding only.",
            )

    def fitted(self):
        """Return the fitted attributes as training has them now."""
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
        """What the validation scores are of, as a tuple; empty where there are none."""
        return () if self.validation is None else (self.estimator.scoring,)

    def _earlier(self, name, watched=None):
        """Return a curve of the calls that this one goes on from, of the same score."""
        estimator = self.estimator
        if self.first or (watched is not None and watched != estimator._watched):
            return []
        return getattr(estimator, name)


def dtypes(estimator, solver, first):
    """Return the types that the data may have; the first one stands for others."""
    if not solver.stochastic:
        return np.float64
    if not first:
        return numpy_dtype(estimator.coefs_[0])
    if estimator.dtype != "auto":
        return np.dtype(estimator.dtype)
    return [np.float64, np.float32]


def _start_state(estimator, first, partial):
    if first:
        random_state = check_random_state(estimator.random_state)
        seed = random_state.randint(2**31 - 1, size=5)
        rng = np.random.Generator(np.random.SFC64(seed[1:].tolist()))
        return TrainingState(rng, lasting_seed=int(seed[0]))
    # A copy, so that a call that fails leaves no trace.
    state = copy.deepcopy(estimator._training_state)
    if not partial:
        state.epoch = state.n_plateaus = state.n_without_improvement = 0
        state.loss = np.nan
    return state


def _weighted_rows(X, y, sample_weight, loss_weight):
    """Leave out the samples without weight, which batch norm would count as others."""
    data = X, y, sample_weight, loss_weight
    if loss_weight is None or loss_weight.all():
        return data
    return _some(np.flatnonzero(loss_weight), *data)


def _some(rows, X, *arrays):
    """Return some rows of the data. Those of X are read when they are needed."""
    return [rows_of(X, rows), *(None if a is None else a[rows] for a in arrays)]


def _check_validation(estimator, plan, dtype, X_val, y_val, sample_weight_val):
    """Return the validation set that was passed to ``fit``, checked."""
    with of_validation():
        X, y = estimator._validate_data(X_val, y_val, dtype, reset=False)
        y = estimator._targets.check(y)
        plan.check_inputs(X)
        weight = estimator._check_weights(sample_weight_val, X, partial=False)
        loss_weight = estimator._targets.weights(y, weight)
    return ValidationSet("X_val, y_val", X, y, None, weight, loss_weight)


def _split(estimator, X, y, sample_weight, loss_weight, state, partial, fold):
    """Return the rows to train on, and the validation set of those held out."""
    if partial:
        raise ValueError(
            "partial_fit does not support early_stopping=True: it sees no data to "
            "hold out. Set early_stopping=False."
        )
    data = X, y, sample_weight, loss_weight
    strata = estimator._targets.strata(y)
    fraction = estimator.validation_fraction
    parts = hold_out(X.shape[0], fraction, state.lasting_seed, strata, fold)
    train_part, held_out = (_some(rows, *data) for rows in parts)
    if loss_weight is not None:
        check_weighted(train_part[3], held_out[3])
    name = f"the held-out {len(parts[1])} of {X.shape[0]} samples"
    X_val, y_val, *weights = held_out
    return train_part, ValidationSet(name, X_val, y_val, None, *weights)


def _schedule(estimator, plan, partial):
    """Return the schedule of the learning rate; check what the schedules need."""
    schedule = estimator._resolve("learning_rate")
    check_start("learning_rate", schedule, LEARNING_RATE)
    if partial:
        for name, each in [("learning_rate", schedule), *plan.schedules]:
            _check_endless(name, getattr(estimator, name), each)
    return schedule


def _check_endless(name, spec, schedule):
    """Raise ValueError if a schedule needs what ``partial_fit`` does not know."""
    of_rate = name == "learning_rate"
    other = "'inverse_time'" if of_rate else "InverseTime(start=...)"
    if schedule.needs_max_iter:
        raise ValueError(
            f"{name}={spec!r} plans over max_iter epochs, and partial_fit does not "
            f"know how many will come. Choose another schedule, such as {other}."
        )
    if schedule.needs_plateaus:
        raise ValueError(
            f"{name}={spec!r} waits for n_iter_no_change epochs over the data without "
            "improvement. partial_fit does not know what an epoch is: each call may "
            "bring other samples, whose losses differ by chance. Choose another "
            f"schedule, such as {other}, or lower "
            f"{'learning_rate_init' if of_rate else name} yourself between calls."
        )


def _batches(estimator, X, y, sample_weight, plan, partial):
    if sample_weight is not None:
        # A chunk does not know the mean over all of them.
        if not partial:
            sample_weight = sample_weight / np.max(sample_weight)
            sample_weight /= np.mean(sample_weight)
        with np.errstate(over="ignore"):
            sample_weight = sample_weight.astype(numpy_dtype(X))
        if not np.isfinite(sample_weight).all():
            raise ValueError(
                "The weights of the samples, times those of their classes, are "
                f"too large for {numpy_dtype(X)}. partial_fit takes them as they "
                "are: divide sample_weight by its mean over all the data."
            )
    stochastic, min_rows = plan.solver.stochastic, 1
    if plan.batch_norm is not None and plan.hidden:
        min_rows = 2
        if X.shape[0] < 2 or (stochastic and estimator.batch_size == 1):
            raise ValueError(
                "batch_norm needs batches of at least 2 samples to normalize. Got "
                f"{X.shape[0]} samples with batch_size={estimator.batch_size!r}. Pass "
                "more samples at a time, or set batch_norm=False."
            )
    return Batches(
        X,
        y,
        sample_weight,
        batch_size=_batch_size(estimator, X.shape[0]) if stochastic else X.shape[0],
        shuffle=estimator.shuffle and stochastic,
        min_rows=min_rows,
    )


def _batch_size(estimator, n_samples):
    if estimator.batch_size == "auto":
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warn(
            f"Got batch_size={estimator.batch_size}, larger than the {n_samples} "
            "training samples. It is going to be clipped.",
        )
    return min(estimator.batch_size, n_samples)


def _network(estimator, plan, batches, state, first):
    """Return the network where this training starts; set what predicts with it."""
    fitted_noise = [] if first else estimator._predictor.augment
    n_inputs = plan.start_noise(batches.X, state.rng, fitted_noise)
    if plan.embedding is not None:
        fitted = None if first else estimator._predictor.embedding
        weight = batches.sample_weight
        n_inputs = plan.start_embedding(batches.X, weight, fitted)
    n_raw = plan.loss.n_raw(estimator.n_outputs_)
    network = plan.network(n_inputs, n_raw, numpy_dtype(batches.X))
    if first:
        network.initialize(plan.init, plan.bias_init, state.rng)
        if plan.init.needs_data:
            network.calibrate(plan.init, batches.sample(state.rng))
    else:
        _check_same_shape(estimator, network)
        estimator._targets.load(network, estimator)
    estimator._predictor = Predictor(network, state.lasting_seed)
    return network


def _check_same_shape(estimator, network):
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    fitted = [len(coefs[0]), *(len(b) for b in intercepts)]
    asked = [network.shapes[0][0], *(fan_out for _, fan_out in network.shapes)]
    arrays = fitted_arrays(estimator), network.fitted
    embeddings = estimator._predictor.embedding, network.embedding
    had, has = (
        {
            "batch_norm": each.batch_norms is not None,
            "layer_norm": each.layer_norms is not None,
            "residual": each.residuals is not None,
            "embedding": repr(each_embedding),
            "feature_scaling": each.feature_scales is not None,
        }
        for each, each_embedding in zip(arrays, embeddings, strict=True)
    )
    if fitted[-1] != asked[-1]:
        raise ValueError(
            f"The network fitted so far has {fitted[-1]} raw outputs, and "
            f"loss={shown(estimator.loss)} needs {asked[-1]}. Keep the loss to go on "
            "training it, or set warm_start=False and call fit to start from new "
            "weights."
        )
    if (fitted, had) != (asked, has):
        changed = [name for name in had if had[name] != has[name]] or ["batch_norm"]
        before, now = (
            " and ".join(f"{name}={each[name]}" for name in changed)
            for each in (had, has)
        )
        raise ValueError(
            f"The network fitted so far has layers of {fitted} units and {before}; the "
            f"parameters now ask for {asked} and {now}. Keep hidden_layer_sizes and "
            f"{', '.join(changed)} to go on training it, or set warm_start=False and "
            "call fit to start from new weights."
        )
