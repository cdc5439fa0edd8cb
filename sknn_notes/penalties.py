"""Penalties on the weights: one class each, registered in ``PENALTIES``.

``R(W) = alpha * value(W)`` is added to the loss as it stands, whatever the batch size.
A penalty has a smooth part, which acts through its gradient, and may have one with
kinks, which acts through a proximal step after the solver's own.
"""

from numbers import Real

import numpy as np

from sknn_notes import _kernels
from sknn_notes._checks import Interval, Registry
from sknn_notes._part import Part

__all__ = ["L1", "L2", "PENALTIES", "ElasticNet", "Penalty"]


class Penalty(Part):
    """Base class of penalties.

    Attributes
    ----------
    smooth : bool
        False where the penalty has a part with kinks, for which ``prox`` is called
        after every step.
    """

    smooth = True

    def value(self, weights, alpha):
        """Return the penalty on the contiguous array ``weights``."""
        raise NotImplementedError

    def add_gradient(self, weights, alpha, grad):
        """Add the gradient of the smooth part to ``grad`` and return the whole penalty.

        Parameters
        ----------
        weights : ndarray of shape (n,)
            Contiguous.
        alpha : float
            Strength.
        grad : ndarray of shape (n,)
            Added to in place.

        Returns
        -------
        penalty : float
        """
        raise NotImplementedError

    def prox(self, weights, alpha, step):
        """Move ``weights`` in place by the proximal step of the part with kinks.

        Parameters
        ----------
        weights : ndarray of shape (n,)
        alpha : float
            Strength.
        step : float or ndarray of shape (n,)
            Step size of the solver, one for all weights or one each.
        """

    def decay(self, alpha):
        """Return the strength of the L2 part, which 'adamw' applies as weight decay."""
        return 0.0


class L2(Penalty):
    """Squared magnitude of the weights, ``alpha / 2 * sum(W**2)``.

    Its gradient ``alpha * W`` shrinks every weight in proportion to its size, so it
    prefers many small weights to few large ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.penalties import L2
    >>> grad = np.zeros(2)
    >>> L2().add_gradient(np.array([3.0, 4.0]), 0.1, grad)
    1.25
    >>> grad
    array([0.3, 0.4])
    """

    def value(self, weights, alpha):
        return 0.5 * alpha * float(np.dot(weights, weights))

    def add_gradient(self, weights, alpha, grad):
        return _kernels.active().add_l2_gradient(weights, alpha, grad)

    def decay(self, alpha):
        return alpha


class L1(Penalty):
    """Absolute values of the weights, ``alpha * sum(abs(W))``, which gives exact zeros.

    After every step each weight moves towards 0 by ``step * alpha`` and stops there
    (the soft threshold), so that units end up with few inputs and ignore noisy ones.

    References
    ----------
    Parikh, N. and Boyd, S. (2014). Proximal algorithms. Foundations and Trends in
    Optimization 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.penalties import L1
    >>> weights = np.array([3.0, -0.05, -1.0])
    >>> L1().prox(weights, alpha=1.0, step=0.1)
    >>> weights
    array([ 2.9,  0. , -0.9])
    """

    smooth = False

    def value(self, weights, alpha):
        return alpha * _kernels.active().l1_norm(weights)

    def add_gradient(self, weights, alpha, grad):
        return self.value(weights, alpha)

    def prox(self, weights, alpha, step):
        _kernels.active().soft_threshold(weights, alpha, step)


class ElasticNet(Penalty):
    """L1 and L2 mixed as in scikit-learn.

    ``alpha * (l1_ratio * sum(abs(W)) + (1 - l1_ratio) / 2 * sum(W**2))``. Where it is
    written with two strengths, ``lambda_1 * abs(w) + lambda_2 * w**2``, these are
    ``lambda_1 = alpha * l1_ratio`` and ``lambda_2 = alpha * (1 - l1_ratio) / 2``.

    Parameters
    ----------
    l1_ratio : float, default=0.5
        Share of L1, between 0 (L2 alone) and 1 (L1 alone).

    References
    ----------
    Zou, H. and Hastie, T. (2005). Regularization and variable selection via the elastic
    net. Journal of the Royal Statistical Society B 67.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.penalties import ElasticNet
    >>> ElasticNet(l1_ratio=0.5).value(np.array([3.0, -4.0]), alpha=2.0)
    19.5
    """

    smooth = False
    _parameter_constraints = {"l1_ratio": [Interval(Real, 0, 1, closed="both")]}

    def __init__(self, *, l1_ratio=0.5):
        self.l1_ratio = l1_ratio

    def _strengths(self, alpha):
        return alpha * self.l1_ratio, alpha * (1 - self.l1_ratio)

    def value(self, weights, alpha):
        l1, l2 = self._strengths(alpha)
        return L1().value(weights, l1) + L2().value(weights, l2)

    def add_gradient(self, weights, alpha, grad):
        l1, l2 = self._strengths(alpha)
        return L1().value(weights, l1) + L2().add_gradient(weights, l2, grad)

    def prox(self, weights, alpha, step):
        L1().prox(weights, self._strengths(alpha)[0], step)

    def decay(self, alpha):
        return self._strengths(alpha)[1]


PENALTIES: Registry[type[Penalty]] = Registry(
    {
        "elasticnet": ElasticNet,
        "l1": L1,
        "l2": L2,
    },
    aliases={
        "ridge": "l2",
        "tikhonov": "l2",
        "lasso": "l1",
        "elastic": "elasticnet",
        "l1l2": "elasticnet",
        "l1_l2": "elasticnet",
        "weightdecay": "Choose solver='adamw' with penalty='l2' for decoupled decay.",
    },
    number="Pass alpha={} for the strength of the penalty.",
)
