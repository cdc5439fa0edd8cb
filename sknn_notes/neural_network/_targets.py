"""What an estimator knows about its targets: one object for each kind of target.

``start`` builds it on a first fit, and ``resume`` returns a new one for a fit that
continues: an object that the estimator was fitted with does not change.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import namespace
from sknn_notes._typing import ArrayNamespace, Floats, Integers
from sknn_notes.layers._base import Fitted
from sknn_notes.neural_network._namespaces import as_inputs, like, mapped

# Sums of many weights up to here, and products with weights of classes, are finite.
LARGE_WEIGHT = 1e100


def fitted_arrays(estimator: Any) -> Fitted:
    """Return the arrays of a fitted estimator that prediction takes."""
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
    """Let the fitted arrays be in the namespace of an array, and where it is."""
    set_arrays(estimator, mapped(partial(like, X=X, xp=xp), fitted_arrays(estimator)))


class Targets:
    """The targets of an estimator; the methods here suit targets that need no more.

    A kind of target adds ``start``, ``resume``, ``check``, ``encode``, ``decode``,
    ``predicted``, whose results ``score`` compares with targets, and ``score``. Here
    ``y`` are targets as the first three return them, and ``encoded`` are those that
    the loss takes.

    Attributes
    ----------
    loss : Loss
        With what it learned from the targets.
    multiclass : bool
        Whether targets are three classes or more that exclude each other.
    n_outputs : int
        Number of targets a sample has.
    attributes : dict
        The fitted attributes of the estimator that describe its targets.
    """

    numeric = False
    multiclass = False
    loss: Any = None
    n_outputs: int
    attributes: dict[str, Any]

    @property
    def link(self) -> Any:
        """What raw outputs of the network stand for."""
        return self.loss.link(self.multiclass)

    def response(self, raw: Floats) -> Floats:
        """Return predictions, or probabilities where the loss has them."""
        return self.link.inverse(raw)

    def strata(self, y: Any) -> Integers | None:
        """Return the codes of the classes that a split keeps the shares of, or None."""

    def weights(
        self, y: Any, sample_weight: Floats | None, partial: bool = False
    ) -> Floats | None:
        """Return the weights of the samples in the loss, or None for equal ones.

        ``partial_fit`` takes them as they are, and they may all be zero.
        """
        return sample_weight

    def learn_scale(self, y: Any, weight: Floats | None) -> None:
        """Learn the unit of the targets from the rows to train on."""

    def check_validation(self, encoded: NDArray[Any]) -> None:
        """Warn where validation targets are unlike those to train on."""

    def remedy(self, encoded: NDArray[Any]) -> str:
        """Return what the targets tell about a training that went wrong, or ''."""
        return ""

    def publish(self, network: Any) -> Fitted:
        """Return the arrays that the fitted estimator shows and uses."""
        return network.fitted

    def keep(self, network: Any) -> None:
        """Keep what ``load`` needs besides what is published."""

    def load(self, network: Any, estimator: Any) -> None:
        """Set a network's parameters to the fitted ones, where training stopped."""
        network.load(fitted_arrays(estimator))
