"""What the two estimators share: one fit, from validated input to fitted attributes."""

import copy
import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_notes._base import BaseObject
from sknn_notes._callbacks import CallbackSupportMixin, EpochTasks
from sknn_notes._checks import check_parameters
from sknn_notes._component import kept, resolve
from sknn_notes._engine.batches import Batches
from sknn_notes._engine.finite import DivergenceError, check_predicted
from sknn_notes._engine.monitor import Monitor
from sknn_notes._engine.prediction import Predictor
from sknn_notes._engine.training import (
    TrainingState,
    train,
    train_lbfgs,
)
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._sklearn import _check_sample_weight
from sknn_notes._threads import threads_for
from sknn_notes.neural_network._baseline import warn_if_at_chance
from sknn_notes.neural_network._build import Plan
from sknn_notes.neural_network._guidance import check_scorer, no_larger_than_floats
from sknn_notes.neural_network._inactive import tell_inactive
from sknn_notes.neural_network._parameters import CONSTRAINTS, REGISTRIES
from sknn_notes.neural_network._validation import (
    ValidationSet,
    check_scores,
    check_watched,
    check_weighted,
    evaluation,
    hold_out,
)
from sknn_notes.optimizers import OPTIMIZERS

# Sums of many weights up to here, and products with weights of classes, are finite.
LARGE_WEIGHT = 1e100


class BaseMLP(CallbackSupportMixin, BaseObject):
    """Multi-layer perceptron: what does not depend on the kind of target."""

    _parameter_constraints: dict = CONSTRAINTS
    _registries = REGISTRIES
    _numeric_targets = False

    # Fitted attributes that both share; the classes document them.
    coefs_: list
    intercepts_: list
    loss_curve_: list
    best_loss_: float | None
    validation_scores_: Any
    validation_loss_curve_: Any
    _watched: tuple
    best_validation_score_: Any
    n_outputs_: int
    _loss: Any
    _predictor: Predictor

    # What a kind of target defines.

    @abstractmethod
    def _check_targets(self, y, first, partial):
        """Return ``y`` validated; on a first fit, set what it tells (as classes_)."""

    @abstractmethod
    def _encode_targets(self, y, dtype):
        """Return ``y`` in the form that the loss takes."""

    @abstractmethod
    def _score_raw(self, raw, y, sample_weight):
        """Return the validation score of raw outputs against encoded targets."""

    @abstractmethod
    def _averaged(self, raw):
        """Return what Monte Carlo passes average: predictions, where there are such."""

    @abstractmethod
    def _out_activation(self):
        """Return the name of the function from raw outputs to predictions."""

    # Fitting.

    def _fit(self, X, y, sample_weight, *, validation=None, partial=False):
        tasks = None
        if hasattr(self, "_skl_callbacks") and not partial:
            tasks = EpochTasks(self, X, y, sample_weight)
        # What vanishes is 0, also for callers who want to be told of it.
        with unchanged_on_error(self), np.errstate(under="ignore"):
            if partial:
                # scikit-learn checks the parameters of an unfitted estimator alone.
                check_parameters(self)
            first = not hasattr(self, "coefs_") or not (self.warm_start or partial)
            solver = self._resolve("solver")
            X, y = self._validate_data(X, y, self._dtypes(solver, first), first)
            y = self._check_targets(y, first, partial)
            sample_weight = self._check_weights(sample_weight, X, partial)
            loss = self._start_loss(first, partial, y, sample_weight)
            plan = Plan(self, loss, solver)
            plan.check_inputs(X)
            check_scorer(self)
            tell_inactive(self, plan, validation is not None)
            loss_weight = self._class_weighted(sample_weight, y, partial)
            self._start_history(first)
            state = self._start_state(first, partial)
            data = X, y, sample_weight, loss_weight
            if plan.batch_norm is not None and not partial:
                data = _weighted_rows(*data)
            if validation is None:
                data, validation = self._split(*data, state, partial)
            else:
                validation = self._check_validation(plan, X.dtype, *validation)
            X, y, _, loss_weight = data
            if first or not partial:
                self._start_targets(y, loss_weight)
            y = self._encode_targets(y, X.dtype)
            if validation is not None:
                targets = self._encode_targets(validation.y, X.dtype)
                validation = validation._replace(targets=targets)
            batches = self._batches(X, y, loss_weight, plan, partial)
            network = self._start_network(plan, batches, state, first)
            units = network.shapes[0][0], *(width for _, width in network.shapes)
            # Numbers that overflow end in a loss that is not finite, which is reported.
            with threads_for(batches.max_rows, units), np.errstate(all="ignore"):
                monitor = self._start_monitor(
                    plan, network, batches, validation, state, first, partial
                )
                if tasks is not None:
                    tasks.begin_fit(
                        lambda: copy.deepcopy(self._fitted(network, monitor, state))
                    )
                try:
                    n_iter, loss = self._train(
                        plan, network, batches, monitor, state, tasks, partial
                    )
                except DivergenceError as error:
                    remedy = self._remedy(batches.y)
                    if not remedy:
                        raise
                    raise DivergenceError(f"{error} {remedy}") from None
            if tasks is not None:
                tasks.end_fit()
            if validation is not None:
                check_scores(self, validation, monitor)
            for name, value in self._fitted(network, monitor, state).items():
                setattr(self, name, value)
            self.n_iter_, self.loss_ = n_iter, loss
            state.output_layer = self._kept(network)
            self._training_state = state
            if not partial:
                reached = monitor.losses[self.best_epoch_ - 1] if n_iter else loss
                warn_if_at_chance(self, network, plan, batches, reached)
        return self

    def _dtypes(self, solver, first):
        """Return the types that the data may have; the first one stands for others."""
        if not solver.stochastic:
            return np.float64
        if not first:
            return self.coefs_[0].dtype
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        return [np.float64, np.float32]

    # What overflows the network's type is found, and what vanishes there is 0.
    @np.errstate(all="ignore")
    def _validate_data(self, X, y, dtypes, reset):
        with no_larger_than_floats("X and y"):
            return validate_data(
                self,
                X,
                y,
                accept_sparse="csr",
                multi_output=True,
                y_numeric=self._numeric_targets,
                dtype=dtypes,
                order="C",
                reset=reset,
            )

    def _check_weights(self, sample_weight, X, partial):
        """Return the weights of the samples, or None where all are equal to 1."""
        if sample_weight is None:
            return None
        with no_larger_than_floats("sample_weight"):
            sample_weight = _check_sample_weight(
                sample_weight,
                X,
                dtype=np.float64,
                ensure_non_negative=True,
                allow_all_zero_weights=partial,
            )
        largest = np.max(sample_weight)
        if not partial and largest > LARGE_WEIGHT:
            # Only their ratios count, and neither sums nor products may overflow.
            sample_weight = sample_weight / largest
        return sample_weight

    def _class_weighted(self, sample_weight, y, partial=False, learn=True):
        """Return the weights of the samples times those of their classes.

        These are learned from ``y``, or with ``learn=False`` as they were before.
        """
        return sample_weight

    def _start_targets(self, y, sample_weight):
        """Learn from the rows to train on what encoding targets needs."""

    def _published(self, network):
        """Return the weights and biases that the fitted estimator shows and uses."""
        return network.coefs, network.intercepts

    def _load(self, network, state):
        """Set the network's parameters to the fitted ones, where training stopped."""
        network.load(self.coefs_, self.intercepts_, self.batch_norm_)

    def _remedy(self, y):
        """Return what encoded targets say about why training diverged, or ''."""
        return ""

    def _kept(self, network):
        """Return a tuple of what ``_load`` needs besides what is published, or None."""

    def _resolve(self, name):
        return resolve(
            getattr(self, name), self._registries[name], self.get_params(deep=False)
        )

    def _start_history(self, first):
        """Start the curves that this fit will add to, or keep those of the last one."""
        if first:
            self.loss_curve_ = []
        watched = (self.scoring,) if self.early_stopping else ()
        if first or watched != self._watched:
            self._watched = watched
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_ = [] if self.early_stopping else None
            self.validation_loss_curve_ = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _start_state(self, first, partial):
        if first:
            seed = check_random_state(self.random_state).randint(2**31 - 1, size=5)
            rng = np.random.Generator(np.random.SFC64(seed[1:].tolist()))
            return TrainingState(rng, lasting_seed=int(seed[0]))
        # A copy, so that a call that fails leaves no trace.
        state = copy.deepcopy(self._training_state)
        if not partial:
            state.epoch = state.n_plateaus = state.n_without_improvement = 0
        return state

    def _split(self, X, y, sample_weight, loss_weight, state, partial):
        """Return the training data and, under early stopping, a validation set."""
        data = X, y, sample_weight, loss_weight
        if not self.early_stopping:
            return data, None
        if partial:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it sees no data to "
                "hold out. Set early_stopping=False."
            )
        parts = hold_out(
            X.shape[0], self.validation_fraction, state.lasting_seed, self._strata(y)
        )
        train, held_out = (
            [None if array is None else array[rows] for array in data] for rows in parts
        )
        if loss_weight is not None:
            check_weighted(train[3], held_out[3])
        name = f"the held-out {len(parts[1])} of {X.shape[0]} samples"
        X_val, y_val, *weights = held_out
        return train, ValidationSet(name, X_val, y_val, None, *weights)

    def _check_validation(self, plan, dtype, X_val, y_val, sample_weight_val):
        """Return the validation set that was passed to ``fit``, checked."""
        try:
            X, y = self._validate_data(X_val, y_val, dtype, reset=False)
            y = self._check_targets(y, first=False, partial=True)
            plan.check_inputs(X)
            weight = self._check_weights(sample_weight_val, X, partial=False)
            loss_weight = self._class_weighted(weight, y, learn=False)
        except ValueError as error:
            raise ValueError(f"X_val, y_val or sample_weight_val: {error}") from error
        return ValidationSet("X_val, y_val", X, y, None, weight, loss_weight)

    def _strata(self, y):
        return None

    def _start_loss(self, first, partial, y, sample_weight):
        """Set and return the loss; on a first fit it may learn from the targets."""
        loss = self._resolve("loss")
        self._loss = loss if first else kept(loss, self._loss)
        return self._loss

    def _batches(self, X, y, sample_weight, plan, partial):
        if sample_weight is not None:
            # A chunk does not know the mean over all of them.
            if not partial:
                sample_weight = sample_weight / np.max(sample_weight)
                sample_weight /= np.mean(sample_weight)
            with np.errstate(over="ignore"):
                sample_weight = sample_weight.astype(X.dtype)
            if not np.isfinite(sample_weight).all():
                raise ValueError(
                    "The weights of the samples, times those of their classes, are "
                    f"too large for {X.dtype.name}. partial_fit takes them as they "
                    "are: divide sample_weight by its mean over all the data."
                )
        min_rows = 1
        if plan.batch_norm is not None and plan.hidden:
            min_rows = 2
            if X.shape[0] < 2 or (plan.solver.stochastic and self.batch_size == 1):
                raise ValueError(
                    "batch_norm needs batches of at least 2 samples to normalise. Got "
                    f"{X.shape[0]} samples with batch_size={self.batch_size!r}. Pass "
                    "more samples at a time, or set batch_norm=False."
                )
        return Batches(
            X,
            y,
            sample_weight,
            batch_size=self._batch_size(X.shape[0])
            if plan.solver.stochastic
            else X.shape[0],
            shuffle=self.shuffle and plan.solver.stochastic,
            min_rows=min_rows,
        )

    def _start_network(self, plan, batches, state, first):
        """Return the network where this fit starts; set what predicts with it."""
        fitted_noise = [] if first else self._predictor.augment
        n_inputs = plan.start_noise(batches.X, state.rng, fitted_noise)
        n_raw = plan.loss.n_raw(self.n_outputs_)
        network = plan.network(n_inputs, n_raw, batches.X.dtype)
        network.allocate(batches.max_rows)
        self.n_layers_ = len(network.layers) + 1
        if first:
            network.initialize(plan.init, plan.bias_init, state.rng)
            if plan.init.needs_data:
                network.calibrate(plan.init, batches.sample(state.rng))
        else:
            self._check_same_shape(network)
            self._load(network, state)
        self._predictor = Predictor(network, plan.batch_norm, state.lasting_seed)
        return network

    def _check_same_shape(self, network):
        fitted = [len(self.coefs_[0]), *(len(b) for b in self.intercepts_)]
        asked = [network.shapes[0][0], *(fan_out for _, fan_out in network.shapes)]
        had, has = self.batch_norm_ is not None, network.batch_norms is not None
        if (fitted, had) != (asked, has):
            raise ValueError(
                f"The network fitted so far has layers of {fitted} units, batch_norm="
                f"{had}; the parameters now ask for {asked} and batch_norm={has}. Keep "
                "hidden_layer_sizes and batch_norm to go on training it, or set "
                "warm_start=False and call fit to start anew."
            )

    def _start_monitor(self, plan, network, batches, validation, state, first, partial):
        """Return the monitor, whose bar is what the first weights reach here."""
        evaluate, best = None, np.inf
        if validation is not None:
            check_watched(self, validation)
            evaluate = evaluation(self, network, validation, self._published)
            best = -np.inf if first else evaluate()[0]
        elif partial:
            best = np.inf if self.best_loss_ is None else self.best_loss_
        elif not first:
            # A copy of the generator: training draws the same whether this was asked.
            objective = plan.objective(network)
            best = objective.mean(batches, copy.deepcopy(state.rng))
        return Monitor(
            [network.theta, network.running],
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            best=best,
            evaluate=evaluate,
            verbose=self.verbose,
            max_iter=1 if partial else self.max_iter,
        )

    def _train(self, plan, network, batches, monitor, state, tasks, partial):
        objective = plan.objective(network)
        if not plan.solver.stochastic:
            return train_lbfgs(
                objective,
                (batches.X, batches.y, batches.sample_weight),
                monitor,
                max_fun=plan.solver.max_fun,
                max_iter=self.max_iter,
                tol=self.tol,
                tasks=tasks,
            )
        state.use(plan.solver, network.theta)
        converged = train(
            objective,
            batches,
            plan.solver,
            self._schedule(partial),
            monitor,
            state,
            learning_rate_init=float(self.learning_rate_init),
            max_iter=self.max_iter,
            n_epochs=1 if partial else self.max_iter,
            verbose=self.verbose,
            tasks=tasks,
        )
        if not converged and not partial:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached "
                "and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )
        return len(monitor.losses), monitor.losses[-1] if monitor.losses else np.nan

    def _schedule(self, partial):
        schedule = self._resolve("learning_rate")
        if partial and schedule.needs_max_iter:
            raise ValueError(
                f"learning_rate={self.learning_rate!r} plans its rates over max_iter "
                "epochs, and partial_fit does not know how many will come. Choose "
                "another schedule, such as 'inverse_time'."
            )
        if partial and schedule.needs_plateaus:
            raise ValueError(
                f"learning_rate={self.learning_rate!r} waits for n_iter_no_change "
                "epochs over the data without improvement. partial_fit does not know "
                "what an epoch is: each call may bring other samples, whose losses "
                "differ by chance. Choose another schedule, such as 'invscaling', or "
                "lower learning_rate_init yourself between calls."
            )
        return schedule

    def _batch_size(self, n_samples):
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                f"Got batch_size={self.batch_size}, larger than the {n_samples} "
                "training samples. It is going to be clipped.",
                stacklevel=6,
            )
        return min(self.batch_size, n_samples)

    def _fitted(self, network, monitor, state):
        """Return the fitted attributes as training has them now."""
        coefs, intercepts = self._published(network)
        fitted = {
            "coefs_": coefs,
            "intercepts_": intercepts,
            "batch_norm_": network.batch_norms,
            "out_activation_": self._out_activation(),
            "t_": state.n_seen,
            "n_iter_": len(monitor.losses),
            "best_epoch_": monitor.best_epoch,
            "loss_": monitor.losses[-1] if monitor.losses else np.nan,
            "loss_curve_": self.loss_curve_ + monitor.losses,
        }
        if self.early_stopping:
            fitted["validation_scores_"] = self.validation_scores_ + monitor.scores
            fitted["validation_loss_curve_"] = (
                self.validation_loss_curve_ + monitor.validation_losses
            )
            fitted["best_validation_score_"] = monitor.best
        else:
            fitted["best_loss_"] = monitor.best
        return fitted

    # Prediction.

    def _check_is_fitted(self):
        # scikit-learn's check reads all tags first: a tenth of the time for one row.
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)

    @np.errstate(all="ignore")
    def _fitted_arrays(self, X):
        """Return ``X`` validated and the arrays that prediction takes."""
        X = validate_data(
            self,
            X,
            accept_sparse="csr",
            dtype=self.coefs_[0].dtype,
            reset=False,
        )
        self._predictor.check_inputs(X)
        return X, self.coefs_, self.intercepts_, self.batch_norm_

    def _raw(self, X):
        """Return the raw outputs for ``X``, shape (n_samples, n_raw)."""
        return check_predicted(self._predictor.raw(*self._fitted_arrays(X)))

    def _sampled(self, X, transform, average=np.mean):
        """Return mean and spread of transformed raw outputs over sampled passes."""
        arrays = self._fitted_arrays(X)
        mean, spread = self._predictor.sampled(
            arrays, self.n_mc_samples, transform, average
        )
        return check_predicted(mean), spread

    @property
    def _monte_carlo(self):
        check_parameters(self, ["marginalization"])
        if self.marginalization == "analytic":
            return False
        check_parameters(self, ["n_mc_samples"])
        return True

    def predict_spread(self, X):
        """Return the predictive uncertainty that the training noise brings.

        Each of ``n_mc_samples`` passes draws one sub-network (dropout masks, input
        noise) for all rows, from a seed fixed in ``fit``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        spread : ndarray of shape (n_samples, n_outputs)
            Standard deviation over the passes of what is averaged: a regressor's
            predictions; a classifier's probabilities where the loss has them, else raw
            outputs.
        """
        self._check_is_fitted()
        if not self._predictor.has_noise:
            raise ValueError(
                "predict_spread measures what the training noise does to predictions, "
                "and this network was trained without. Set dropout, input_dropout, "
                "dropconnect or augment."
            )
        check_parameters(self, ["n_mc_samples"])
        return self._sampled(X, self._averaged)[1]

    def _can_partial_fit(self):
        solver = self.solver
        stochastic = (
            OPTIMIZERS[solver].stochastic
            if isinstance(solver, str) and solver in OPTIMIZERS
            else getattr(solver, "stochastic", True)
        )
        if not stochastic:
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{solver} is not stochastic. Choose solver='adam' or 'sgd'."
            )
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.augment
        return tags


def _weighted_rows(X, y, sample_weight, loss_weight):
    """Leave out the samples without weight, which batch norm would count as others."""
    data = X, y, sample_weight, loss_weight
    if loss_weight is None or loss_weight.all():
        return data
    rows = np.flatnonzero(loss_weight)
    return [None if array is None else array[rows] for array in data]
