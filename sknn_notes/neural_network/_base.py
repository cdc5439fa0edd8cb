"""What the two estimators share: one fit, from validated input to fitted attributes."""

from contextlib import closing, nullcontext
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from sknn_notes._arrays import input_namespace, numpy_dtype
from sknn_notes._base import BaseObject
from sknn_notes._callbacks import (
    CallbackSupportMixin,
    EpochTasks,
    NetworkTasks,
    called,
)
from sknn_notes._checks import check_parameters
from sknn_notes._engine.prediction import (
    Predictor,
    averaged,
    averages,
    check_predicted,
    checked,
    gathered,
)
from sknn_notes._engine.rows import Rows
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._part import resolve
from sknn_notes._sklearn import _check_sample_weight, has_array_dispatch
from sknn_notes.callbacks import Checkpoint
from sknn_notes.neural_network._ensemble import fit_networks, networks_to_continue
from sknn_notes.neural_network._guidance import check_numbers, no_larger_than_floats
from sknn_notes.neural_network._inputs import is_tensor, validated
from sknn_notes.neural_network._namespaces import (
    as_inputs,
    as_numpy,
    follows_input,
)
from sknn_notes.neural_network._parameters import CONSTRAINTS, REGISTRIES
from sknn_notes.neural_network._prepare import prepare
from sknn_notes.neural_network._record import FitRecord
from sknn_notes.neural_network._reports import ReportsMixin
from sknn_notes.neural_network._targets import (
    LARGE_WEIGHT,
    Targets,
    fitted_arrays,
    move_arrays,
)
from sknn_notes.optimizers import OPTIMIZERS


class BaseMLP(CallbackSupportMixin, ReportsMixin, BaseObject):
    """Multi-layer perceptron: what does not depend on the kind of target."""

    _parameter_constraints: dict = CONSTRAINTS
    _registries = REGISTRIES
    _target_kind: type[Targets]

    # Fitted attributes that both share; the classes document them.
    coefs_: list
    intercepts_: list
    n_outputs_: int
    _targets: Any
    _predictor: Predictor

    # Fitting.

    def _fit(
        self, X, y, sample_weight, *, validation=None, partial=False, checkpoint=None
    ):
        xp, given = input_namespace(X, self), X
        X = as_inputs(X, xp)
        if validation is not None:
            X_val, *others = validation
            validation = as_inputs(X_val, xp), *map(as_numpy, others)
        # They follow X.
        y, sample_weight = as_numpy(y), as_numpy(sample_weight)
        tasks: Any = None
        record: Any = None
        if not partial:
            tasks, record = self._tasks(X, y, sample_weight, validation, checkpoint)
        followed = nullcontext() if record is None else closing(record)
        # A result that underflows is 0, also where the caller raises for it.
        with unchanged_on_error(self), np.errstate(under="ignore"), followed:
            if partial:
                # scikit-learn checks the parameters of an unfitted estimator alone.
                check_parameters(self)
            options = {"validation": validation, "partial": partial}
            networks_to_continue(self, partial)
            if self.n_networks > 1:
                fit_networks(
                    self, X, y, sample_weight, **options, tasks=tasks, record=record
                )
            else:
                self.__dict__.pop("networks_", None)
                training = prepare(self, X, y, sample_weight, **options)
                progress = None if record is None else record.follow(0, training)
                training.run(tasks, progress)
                training.publish()
            if xp is not np:
                for each in {id(x): x for x in (self, *self._members)}.values():
                    move_arrays(each, given, xp)
        return self

    def _tasks(self, X, y, sample_weight, validation, checkpoint):
        """Return what callbacks are told, and what checkpoints keep, of a fit."""
        record = self.__dict__.pop("_fit_record", None)
        if not (checkpoint is None or isinstance(checkpoint, Checkpoint)):
            raise TypeError(
                "checkpoint must be a Checkpoint of sknn_notes.callbacks or None. Got "
                f"{checkpoint!r}. Other callbacks are passed to set_callbacks."
            )
        callbacks = [*getattr(self, "_skl_callbacks", []), checkpoint]
        callbacks = [each for each in callbacks if each is not None]
        if not callbacks:
            return None, None
        if record is None and any(isinstance(x, Checkpoint) for x in callbacks):
            names = "X_val", "y_val", "sample_weight_val"
            val = dict(zip(names, validation or [None] * 3, strict=True))
            data = {"X": X, "y": y, "sample_weight": sample_weight, **val}
            record = FitRecord(self, data)
        kind = EpochTasks if self.n_networks == 1 else NetworkTasks
        with called(self, callbacks):
            self._fit_record = record
            try:
                return kind(self, X, y, sample_weight), record
            finally:
                del self._fit_record

    # What overflows the network's type is found, and what vanishes there is 0.
    @np.errstate(all="ignore")
    def _validate_data(self, X, y, dtypes, reset):
        if isinstance(X, Rows):  # The ensemble has validated them.
            self.n_features_in_ = X.shape[1]
            return X, y
        numeric = self._target_kind.numeric
        if numeric:
            check_numbers(y)
        with no_larger_than_floats("X and y"):
            X, y = validated(
                self,
                X,
                y,
                multi_output=True,
                y_numeric=numeric,
                dtype=dtypes,
                order="C",
                reset=reset,
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _check_weights(self, sample_weight, X, partial):
        """Return the weights of the samples, or None where all are equal to 1."""
        if sample_weight is None:
            return None
        # They are numpy's, wherever X is.
        like = np.empty((X.shape[0], 1)) if is_tensor(X) else X
        with no_larger_than_floats("sample_weight"):
            sample_weight = _check_sample_weight(
                sample_weight,
                like,
                dtype=np.float64,
                ensure_non_negative=True,
                allow_all_zero_weights=partial,
            )
        largest = np.max(sample_weight)
        if not partial and largest > LARGE_WEIGHT:
            # Only their ratios count, and neither sums nor products may overflow.
            sample_weight = sample_weight / largest
        return sample_weight

    def _resolve(self, name):
        return resolve(
            getattr(self, name), self._registries[name], self.get_params(deep=False)
        )

    # Prediction.

    @property
    def _first_array(self):
        """A fitted array, which tells where and in which namespace the fit was."""
        return self.coefs_[0]

    def _check_is_fitted(self):
        # scikit-learn's check reads all tags first: a tenth of the time for one row.
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)

    @np.errstate(all="ignore")
    def _fitted_arrays(self, X):
        """Return ``X`` validated and the arrays that prediction takes."""
        X = validated(self, X, dtype=numpy_dtype(self.coefs_[0]), reset=False)
        self._predictor.check_inputs(X)
        return X, fitted_arrays(self)

    def _of_raw(self, X, function):
        """Return what a function makes of the raw outputs for chunks of ``X``."""
        X, fitted = self._fitted_arrays(X)
        return self._predictor.mapped(function, X, fitted)

    def _mean(self, X, transform, average=np.mean, finish=lambda mean: mean):
        """Return what ``transform(targets, raw)`` is, averaged over what there is.

        That is over the networks, and under ``marginalization="monte_carlo"`` over the
        passes of each. ``finish`` takes averages of a chunk of rows, and returns what
        to keep of them.
        """
        if not self._averages:
            of_raw = partial(transform, self._targets)
            return finish(check_predicted(self._of_raw(X, of_raw)))
        n_passes = self.n_mc_samples if self._monte_carlo else None
        X, networks = self._networks(X, transform)

        def compute(function):
            chunks = averages(networks, X, n_passes, average)
            return gathered(X.shape[0], ((r, function(mean)) for r, mean, _ in chunks))

        return checked(compute, finish)

    def _mean_and_spread(self, X, transform, n_passes):
        X, networks = self._networks(X, transform)
        mean, spread = averaged(networks, X, n_passes)
        return check_predicted(mean), spread

    def _networks(self, X, transform):
        """Return ``X`` validated, and the networks as ``averages`` takes them."""
        X, _ = self._fitted_arrays(X)
        networks = [
            (each._predictor, fitted_arrays(each), partial(transform, each._targets))
            for each in self._members
        ]
        return X, networks

    @property
    def _averages(self):
        """Whether predictions are averages of several passes."""
        return self._monte_carlo or len(self._members) > 1

    @property
    def _monte_carlo(self):
        check_parameters(self, ["marginalization"])
        if self.marginalization == "analytic":
            return False
        check_parameters(self, ["n_mc_samples"])
        return True

    @follows_input
    def predict_spread(self, X):
        """Standard deviation of the predictions over Monte Carlo passes and networks.

        Each of ``n_mc_samples`` passes draws one sub-network (dropout masks, input
        noise) for all rows, from a seed fixed in ``fit``. With ``n_networks`` above 1
        the passes of all networks are taken together, so that their disagreement is
        part of it; networks trained without noise make one pass each.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        spread : ndarray of shape (n_samples, n_outputs)
            Standard deviation of what is averaged: a regressor's predictions; a
            classifier's probabilities where the loss has them, else raw outputs.
        """
        self._check_is_fitted()
        return self._response_and_spread(X)[1]

    def _response_and_spread(self, X):
        noisy = self._predictor.has_noise
        if not noisy and len(self._members) == 1:
            raise ValueError(
                "predict_spread measures what the training noise does to predictions, "
                "and this network was trained without. Set dropout, input_dropout, "
                "dropconnect or augment, or train several networks: n_networks=5."
            )
        check_parameters(self, ["n_mc_samples"])
        n_passes = self.n_mc_samples if noisy else None
        return self._mean_and_spread(X, type(self._targets).response, n_passes)

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
        tags.array_api_support = has_array_dispatch
        tags.input_tags.sparse = not self.augment and self.embedding is None
        return tags
