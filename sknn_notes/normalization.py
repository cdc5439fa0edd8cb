"""Batch normalization, as a part with parameters of its own."""

from numbers import Real

from sknn_notes._checks import Interval
from sknn_notes._part import Part

__all__ = ["BatchNorm"]


class BatchNorm(Part):
    """Batch normalization before the activation of every hidden layer.

    In training every unit is centered and scaled by the mean and the (biased) variance
    of its batch, then scaled and shifted by two learned numbers. In prediction running
    averages take the place of the batch's mean and of its (unbiased) variance.

    Parameters
    ----------
    momentum : float, default=0.1
        Weight of the newest batch in the running averages.
    eps : float, default=1e-5
        Added to the variance.

    References
    ----------
    Ioffe, S. and Szegedy, C. (2015). Batch normalization: accelerating deep network
    training by reducing internal covariate shift. ICML.

    Examples
    --------
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.normalization import BatchNorm
    >>> MLPClassifier(batch_norm=BatchNorm(momentum=0.2)).batch_norm
    BatchNorm(momentum=0.2)
    """

    _parameter_constraints = {
        "momentum": [Interval(Real, 0, 1, closed="right")],
        "eps": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, *, momentum=0.1, eps=1e-5):
        self.momentum = momentum
        self.eps = eps
