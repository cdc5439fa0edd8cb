"""What the two estimators share: one fit, from validated input to fitted attributes."""

from abc import abstractmethod
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_notes._base import BaseObject
from sknn_notes._callbacks import CallbackSupportMixin, EpochTasks
from sknn_notes._checks import check_parameters
from sknn_notes._engine.finite import check_predicted
from sknn_notes._engine.prediction import Predictor
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._part import kept, resolve
from sknn_notes._sklearn import _check_sample_weight
from sknn_notes.neural_network._fit import prepare
from sknn_notes.neural_network._guidance import no_larger_than_floats
from sknn_notes.neural_network._parameters import CONSTRAINTS, REGISTRIES
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
        # A result that underflows is 0, also where the caller raises for it.
        with unchanged_on_error(self), np.errstate(under="ignore"):
            if partial:
                # scikit-learn checks the parameters of an unfitted estimator alone.
                check_parameters(self)
            training = prepare(
                self, X, y, sample_weight, validation=validation, partial=partial
            )
            training.run(tasks)
            training.publish()
        return self

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

    def _start_targets(self, y, sample_weight, keep):
        """Learn from the rows to train on what encoding targets needs.

        With ``keep`` a stream goes on, whose first chunk they are not.
        """

    def _check_validation_targets(self, y):
        """Warn where encoded validation targets are unlike those to train on."""

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

    def _strata(self, y):
        return None

    def _start_loss(self, first, partial, y, sample_weight):
        """Set and return the loss; on a first fit it may learn from the targets."""
        loss = self._resolve("loss")
        self._loss = loss if first else kept(loss, self._loss)
        return self._loss

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
