"""Base class of the targets of an estimator; there is a subclass for each kind.

``start`` builds the targets of a first fit, and ``resume`` returns new ones for a fit
that continues: the targets that an estimator was fitted with do not change.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import namespace, unit_near
from sknn_notes._checks import holding_numbers
from sknn_notes._typing import ArrayNamespace, Floats, Integers
from sknn_notes.layers._base import Fitted
from sknn_notes.neural_network._inputs import is_tensor
from sknn_notes.neural_network._namespaces import as_inputs, like, mapped

# Weights up to this size have finite sums, and finite products with class weights.
LARGE_WEIGHT = 1e100


def fitted_arrays(estimator: Any) -> Fitted:
    """Return the arrays of a fitted estimator that prediction needs."""
    fitted = Fitted(
        estimator.coefs_,
        estimator.intercepts_,
        estimator.batch_norm_,
        estimator.layer_norm_,
        estimator.residual_coefs_,
        estimator.embedding_,
        estimator.feature_scales_,
    )
    if isinstance(fitted.coefs[0], np.ndarray):
        return fitted
    return mapped(partial(as_inputs, xp=namespace(fitted.coefs[0])), fitted)


def set_arrays(estimator: Any, fitted: Fitted) -> None:
    """Set the arrays that ``fitted_arrays`` returns."""
    estimator.coefs_, estimator.intercepts_ = fitted.coefs, fitted.intercepts
    estimator.batch_norm_, estimator.layer_norm_ = (
        fitted.batch_norms,
        fitted.layer_norms,
    )
    estimator.residual_coefs_ = fitted.residuals
    estimator.embedding_ = fitted.embedding
    estimator.feature_scales_ = fitted.feature_scales


def move_arrays(estimator: Any, X: Any, xp: ArrayNamespace) -> None:
    """Move the fitted arrays to the namespace and the device of ``X``."""
    set_arrays(estimator, mapped(partial(like, X=X, xp=xp), fitted_arrays(estimator)))


class Targets:
    """Targets of an estimator, with defaults for what not every kind of target needs.

    A subclass adds ``start``, ``resume``, ``check``, ``encode``, ``decode``,
    ``predicted`` and ``score``, which compares the results of ``predicted`` with
    targets. In the methods, ``y`` are targets as the first three return them, and
    ``encoded`` are the targets as the loss takes them.

    Attributes
    ----------
    loss : Loss
        Loss, with what it has learned from the targets.
    multiclass : bool
        Whether targets are three or more mutually exclusive classes.
    n_outputs : int
        Number of targets per sample.
    attributes : dict
        Fitted attributes of the estimator that describe its targets.
    """

    numeric = False
    multiclass = False
    loss: Any = None
    n_outputs: int
    attributes: dict[str, Any]

    @property
    def link(self) -> Any:
        """Link from raw outputs of the network to predictions."""
        return self.loss.link(self.multiclass)

    def response(self, raw: Floats) -> Floats:
        """Return predictions, or probabilities if the loss gives them."""
        return self.link.inverse(raw)

    def strata(self, y: Any) -> Integers | None:
        """Return the class indices that stratify the split, or None."""

    def weights(
        self, y: Any, sample_weight: Floats | None, partial: bool = False
    ) -> Floats | None:
        """Return the weights of the samples in the loss, or None for equal weights.

        With ``partial`` they are not rescaled, and may all be zero.
        """
        return sample_weight

    def learn_scale(self, y: Any, weight: Floats | None) -> None:
        """Learn the scale of the targets from the rows to train on."""

    def check_validation(self, encoded: NDArray[Any]) -> None:
        """Warn if validation targets differ a lot from the training targets."""

    def remedy(self, encoded: NDArray[Any]) -> str:
        """Return advice for a training that failed because of its targets, or ''."""
        return ""

    def publish(self, network: Any) -> Fitted:
        """Return the arrays that become fitted attributes."""
        return network.fitted

    def keep(self, network: Any) -> None:
        """Store what ``load`` needs in addition to the fitted attributes."""

    def load(self, network: Any, estimator: Any) -> None:
        """Set the parameters of a network to those at the end of the last fit."""
        network.load(fitted_arrays(estimator))


def with_finite_sum(sample_weight: Any) -> Any:
    """Return weights for a score as floats, in a unit in which their sum is finite.

    Anything that can't be weights is returned unchanged; scikit-learn raises its error.
    """
    if sample_weight is None or is_tensor(sample_weight):
        return sample_weight
    weight = np.asarray(sample_weight)
    if weight.ndim != 1 or weight.dtype.kind not in "iufOUS":
        return sample_weight
    with holding_numbers("sample_weight"):
        weight = weight.astype(np.float64)
    if not (weight.any() and np.isfinite(weight).all()):
        return weight
    return weight / unit_near(weight)
