"""Base class of the classifier and the regressor: fitting and prediction."""

from collections.abc import Callable
from contextlib import closing, nullcontext
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
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
from sknn_notes._checks import check_parameters, holding_numbers
from sknn_notes._docstrings import completed
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
from sknn_notes._numpy import errstate
from sknn_notes._part import resolve
from sknn_notes._sklearn import (
    _check_sample_weight,
    _fit_context,
    has_array_dispatch,
)
from sknn_notes._typing import Array, Floats, MatrixLike
from sknn_notes.callbacks import Checkpoint
from sknn_notes.layers._base import Fitted
from sknn_notes.neural_network._docs import DATA
from sknn_notes.neural_network._ensemble import fit_networks, networks_to_continue
from sknn_notes.neural_network._guidance import check_numbers, explained
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
from sknn_notes.neural_network._validation import check_given
from sknn_notes.optimizers import OPTIMIZERS


class BaseMLP(CallbackSupportMixin, ReportsMixin, BaseObject):
    """Multi-layer perceptron for any kind of target."""

    _parameter_constraints: dict[str, list[Any]] = CONSTRAINTS
    _registries = REGISTRIES
    _target_kind: type[Targets]

    # Fitted attributes; ``_docs.py`` describes them.
    networks_: list[Self] | None
    coefs_: list[Floats]
    intercepts_: list[Floats]
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    best_epoch_: int
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None
    batch_norm_: list[dict[str, Floats]] | None
    layer_norm_: list[dict[str, Floats]] | None
    residual_coefs_: list[Floats | None] | None
    embedding_: dict[str, NDArray[Any]] | None
    feature_scales_: Floats | None
    executor_: str
    n_iter_: int
    t_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    _targets: Any
    _predictor: Predictor

    # Fitting.

    @_fit_context(prefer_skip_nested_validation=True)
    @completed(DATA)
    def fit(
        self,
        X: MatrixLike,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Fit the network to training data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data; sparse matrices are converted to CSR.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data for early stopping, instead of a part of ``X``. In a
            :class:`~sklearn.pipeline.Pipeline` with ``transform_input=["X_val"]`` it
            goes through the same steps as ``X``.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation data.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation samples in the score and the loss.
        checkpoint : Checkpoint, default=None
            Saves the fit to a file while it runs, from which it can be resumed; see
            :class:`~sknn_notes.callbacks.Checkpoint`. With scikit-learn 1.9 or later,
            ``set_callbacks`` takes it too.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If the parameters or the data are invalid or do not fit together, or if the
            loss, the weights or the predictions for the training data are not finite
            after training. The estimator is then left as it was.
        """
        validation = check_given(self, X, X_val, y_val, sample_weight_val)
        return self._fit(
            X, y, sample_weight, validation=validation, checkpoint=checkpoint
        )

    def _fit(
        self,
        X: MatrixLike,
        y: Any,
        sample_weight: ArrayLike | None,
        *,
        validation: tuple[Any, ...] | None = None,
        partial: bool = False,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        xp, given = input_namespace(X, self), X
        X = as_inputs(X, xp)
        if validation is not None:
            X_val, *others = validation
            validation = as_inputs(X_val, xp), *map(as_numpy, others)
        # Targets and weights may be on any device.
        y, sample_weight = as_numpy(y), as_numpy(sample_weight)
        tasks: Any = None
        record: Any = None
        if not partial:
            tasks, record = self._tasks(X, y, sample_weight, validation, checkpoint)
        followed = nullcontext() if record is None else closing(record)
        # Underflow gives 0, even if the caller has set NumPy to raise for it.
        with unchanged_on_error(self), np.errstate(under="ignore"), followed:
            if partial:
                # scikit-learn checks only the parameters of an unfitted estimator.
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

    def _tasks(
        self,
        X: MatrixLike,
        y: Any,
        sample_weight: ArrayLike | None,
        validation: tuple[Any, ...] | None,
        checkpoint: Checkpoint | None,
    ) -> tuple[Any, Any]:
        """Return the tasks that callbacks follow, and the record for checkpoints."""
        record = self.__dict__.pop("_fit_record", None)
        if not (checkpoint is None or isinstance(checkpoint, Checkpoint)):
            raise TypeError(
                "checkpoint must be a Checkpoint of sknn_notes.callbacks or None. Got "
                f"{checkpoint!r}. Pass other callbacks to set_callbacks."
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

    # Validation finds values that overflow the type of the network; underflow gives 0.
    @errstate(all="ignore")
    def _validate_data(
        self, X: MatrixLike, y: Any, dtypes: Any, reset: bool
    ) -> tuple[Any, Any]:
        if isinstance(X, Rows):  # The ensemble has validated the data.
            self.n_features_in_ = X.shape[1]
            return X, y
        numeric = self._target_kind.numeric
        if numeric:
            check_numbers(y)
        with explained(self, X), holding_numbers("X and y" if numeric else "X"):
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

    def _check_weights(self, sample_weight: Any, X: MatrixLike, partial: bool) -> Any:
        """Return the validated sample weights, or None if none were passed."""
        if sample_weight is None:
            return None
        # Weights are NumPy arrays, on whatever device X is.
        like = np.empty((X.shape[0], 1)) if is_tensor(X) else X
        with holding_numbers("sample_weight"):
            sample_weight = _check_sample_weight(
                sample_weight,
                like,
                dtype=np.float64,
                ensure_non_negative=True,
                allow_all_zero_weights=partial,
            )
        largest = np.max(sample_weight)
        if not partial and largest > LARGE_WEIGHT:
            # Only ratios matter; sums and products must not overflow.
            sample_weight = sample_weight / largest
        return sample_weight

    def _resolve(self, name: str) -> Any:
        return resolve(
            getattr(self, name), self._registries[name], self.get_params(deep=False)
        )

    # Prediction.

    @property
    def _first_array(self) -> Array:
        """A fitted array, which has the namespace and the device of the fit."""
        return self.coefs_[0]

    def _check_is_fitted(self) -> None:
        # scikit-learn's check reads all tags first, a tenth of the time for one row.
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)

    @errstate(all="ignore")
    def _fitted_arrays(self, X: MatrixLike) -> tuple[Any, Fitted]:
        """Return the validated ``X``, and the arrays that prediction needs."""
        with explained(self, X), holding_numbers("X"):
            X = validated(self, X, dtype=numpy_dtype(self.coefs_[0]), reset=False)
        self._predictor.check_inputs(X)
        return X, fitted_arrays(self)

    def _of_raw(self, X: MatrixLike, function: Callable[..., Any]) -> NDArray[Any]:
        """Apply a function to the raw outputs for ``X``, chunk by chunk."""
        X, fitted = self._fitted_arrays(X)
        results: NDArray[Any] = self._predictor.mapped(function, X, fitted)
        return results

    def _mean(
        self,
        X: MatrixLike,
        transform: Callable[..., Any],
        average: Callable[..., Any] = np.mean,
        finish: Callable[[Any], Any] = lambda mean: mean,
    ) -> NDArray[Any]:
        """Return the average of ``transform(targets, raw)`` over networks and passes.

        Each network makes several passes with ``marginalization="monte_carlo"``, else
        one. ``finish`` maps the averages for a chunk of rows to the results.
        """
        results: NDArray[Any]
        if not self._averages:
            of_raw = partial(transform, self._targets)
            results = finish(check_predicted(self._of_raw(X, of_raw)))
            return results
        n_passes = self.n_mc_samples if self._monte_carlo else None
        X, networks = self._networks(X, transform)

        def compute(function: Callable[..., Any]) -> Any:
            chunks = averages(networks, X, n_passes, average)
            return gathered(X.shape[0], ((r, function(mean)) for r, mean, _ in chunks))

        results = checked(compute, finish)
        return results

    def _mean_and_spread(
        self, X: MatrixLike, transform: Callable[..., Any], n_passes: int | None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        X, networks = self._networks(X, transform)
        mean, spread = averaged(networks, X, n_passes)
        return check_predicted(mean), spread

    def _networks(
        self, X: MatrixLike, transform: Callable[..., Any]
    ) -> tuple[Any, list[Any]]:
        """Return the validated ``X``, and the networks in the form for ``averages``."""
        X, _ = self._fitted_arrays(X)
        networks = [
            (each._predictor, fitted_arrays(each), partial(transform, each._targets))
            for each in self._members
        ]
        return X, networks

    @property
    def _averages(self) -> bool:
        """Whether predictions are averages of several passes."""
        return self._monte_carlo or len(self._members) > 1

    @property
    def _monte_carlo(self) -> bool:
        check_parameters(self, ["marginalization"])
        if self.marginalization == "analytic":
            return False
        check_parameters(self, ["n_mc_samples"])
        return True

    @follows_input
    @completed(DATA)
    def predict_spread(self, X: MatrixLike) -> Floats:
        """Standard deviation of the predictions over Monte Carlo passes and networks.

        Each of ``n_mc_samples`` passes draws one sub-network (dropout masks, input
        noise) for all rows, with a seed fixed in ``fit``. With ``n_networks`` above 1,
        the passes of all networks are pooled, so that their disagreement is included;
        networks trained without noise make one pass each.

        Returns
        -------
        spread : ndarray of shape (n_samples, n_outputs)
            Standard deviation of what is averaged: a regressor's predictions; a
            classifier's probabilities, or raw outputs if the loss gives none.
        """
        self._check_is_fitted()
        return self._response_and_spread(X)[1]

    def _response_and_spread(self, X: MatrixLike) -> tuple[NDArray[Any], NDArray[Any]]:
        noisy = self._predictor.has_noise
        if not noisy and len(self._members) == 1:
            raise ValueError(
                "predict_spread measures how the predictions vary with the training "
                "noise, but this network was trained without noise. Set dropout, "
                "input_dropout, dropconnect or augment, or train several networks, as "
                "with n_networks=5."
            )
        check_parameters(self, ["n_mc_samples"])
        n_passes = self.n_mc_samples if noisy else None
        return self._mean_and_spread(X, type(self._targets).response, n_passes)

    def _can_partial_fit(self) -> None:
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = has_array_dispatch
        # Tags are read before parameters are checked, whatever these hold.
        none = isinstance(self.augment, list | tuple) and len(self.augment) == 0
        augments = self.augment is not None and not none
        tags.input_tags.sparse = not augments and self.embedding is None
        return tags
