"""Losses for classes and for labels."""

from numbers import Real

import numpy as np
from scipy.special import expit, log_expit, log_softmax

from sknn_notes import _kernels
from sknn_notes._checks import Interval
from sknn_notes.losses._base import ClassificationLoss


class LogLoss(ClassificationLoss):
    """Cross-entropy of the softmax, or of one logistic function a label.

    ``-f_y + logsumexp(f)`` for K classes; ``sum_j softplus(f_j) - y_j f_j`` for two
    classes (one output) and for labels. A network that knows nothing starts at
    ``ln K``, or at ``ln 2`` a label.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Share ``s`` of the target, in [0, 1), that is spread evenly over the classes:
        ``1 - s + s / K`` for the right one and ``s / K`` for each other. For two
        classes and for labels the targets are ``(1 - s) * y + s / 2``.

    References
    ----------
    Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J. and Wojna, Z. (2016). Rethinking
    the Inception architecture for computer vision. CVPR. (Label smoothing.)

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import LogLoss
    >>> raw = np.zeros((1, 4))
    >>> grad = np.empty_like(raw)
    >>> LogLoss().per_sample(raw, np.array([2]), grad)
    array([1.38629436])
    >>> grad
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """

    has_probabilities = True
    _parameter_constraints = {"label_smoothing": [Interval(Real, 0, 1, closed="left")]}

    def __init__(self, *, label_smoothing=0.0):
        self.label_smoothing = label_smoothing

    def multiclass(self, raw, y, out):
        losses = _kernels.active().softmax_log_loss(raw, y, out)
        if self.label_smoothing:
            # Moving the share s from class y to all adds s (f_y - mean(f)) to the loss.
            share, rows = float(self.label_smoothing), np.arange(len(y))
            losses += share * (raw[rows, y] - np.mean(raw, axis=1))
            out[rows, y] += share
            out -= share / raw.shape[1]
        return losses

    def labels(self, raw, y, out):
        if self.label_smoothing:
            share = float(self.label_smoothing)
            y = (1 - share) * y + share / 2
        return _kernels.active().logistic_log_loss(raw, y, out)

    def constant(self, y, sample_weight, n_raw):
        smoothing = float(self.label_smoothing)
        p = self.shares(y, sample_weight, n_raw)
        p = (1 - smoothing) * p + smoothing / (n_raw if y.ndim == 1 else 2)
        tiny = np.finfo(np.float32).tiny
        log_p = np.log(np.maximum(p, tiny))
        return log_p if y.ndim == 1 else log_p - np.log(np.maximum(1 - p, tiny))

    def out_activation(self, multiclass):
        return "softmax" if multiclass else "logistic"

    @np.errstate(all="ignore")
    def probabilities(self, raw, multiclass):
        """Return the probability of every class or label, of raw's shape."""
        if not multiclass:
            return expit(raw)
        p = raw - np.maximum.reduce(raw, axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= np.add.reduce(p, axis=1, keepdims=True)
        return p

    @np.errstate(all="ignore")
    def log_probabilities(self, raw, multiclass):
        """Return the logarithm of ``probabilities``, finite where those round to 0."""
        exact = log_softmax(raw, axis=1) if multiclass else log_expit(raw)
        p = self.probabilities(raw, multiclass)
        return np.log(p, out=exact, where=p > np.finfo(p.dtype).tiny)


class Hinge(ClassificationLoss):
    """Hinge loss of the support vector machine.

    ``sum_{j != y} max(0, f_j - f_y + margin)`` for K classes (Weston and Watkins; not
    divided by K); ``sum_j max(0, margin - s_j f_j)`` for two classes (one output) and
    for labels, ``s_j = -1 or +1``. With margin 1 a network that knows nothing starts at
    ``K - 1``, or at 1 a label.

    Parameters
    ----------
    margin : float, default=1.0
        How far the right output must be ahead before the loss is 0.

    References
    ----------
    Weston, J. and Watkins, C. (1999). Support vector machines for multi-class pattern
    recognition. ESANN.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Hinge
    >>> raw = np.array([[2.0, 1.5, 0.0]])
    >>> grad = np.empty_like(raw)
    >>> Hinge().per_sample(raw, np.array([0]), grad)
    array([0.5])
    >>> grad
    array([[-1.,  1.,  0.]])
    """

    _parameter_constraints = {"margin": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, margin=1.0):
        self.margin = margin

    def multiclass(self, raw, y, out):
        return _kernels.active().multiclass_hinge(raw, y, float(self.margin), out)

    def labels(self, raw, y, out):
        return _kernels.active().binary_hinge(raw, y, float(self.margin), out)

    def constant(self, y, sample_weight, n_raw):
        # The margin for the most frequent class, where that beats outputs of 0.
        p = self.shares(y, sample_weight, n_raw)
        if y.ndim == 1:
            return float(self.margin) * (p == np.max(p)) * (np.max(p) > 1 / n_raw)
        return float(self.margin) * np.sign(p - 0.5)


class SquaredHinge(Hinge):
    """Squared hinge loss: every term of the hinge loss squared.

    ``sum_{j != y} max(0, f_j - f_y + margin)**2`` for K classes;
    ``sum_j max(0, margin - s_j f_j)**2`` for two classes (one output) and for labels,
    ``s_j = -1 or +1``. It has no kink, and punishes large errors more. With margin 1 a
    network that knows nothing starts at ``K - 1``, or at 1 a label.

    Parameters
    ----------
    margin : float, default=1.0
        How far the right output must be ahead before the loss is 0.

    References
    ----------
    Tang, Y. (2013). Deep learning using linear support vector machines. ICML Workshop
    on Challenges in Representation Learning.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import SquaredHinge
    >>> raw = np.array([[2.0, 1.5, 0.0]])
    >>> grad = np.empty_like(raw)
    >>> SquaredHinge().per_sample(raw, np.array([0]), grad)
    array([0.25])
    >>> grad
    array([[-1.,  1.,  0.]])
    """

    def multiclass(self, raw, y, out):
        kernel = _kernels.active().multiclass_squared_hinge
        return kernel(raw, y, float(self.margin), out)

    def labels(self, raw, y, out):
        kernel = _kernels.active().binary_squared_hinge
        return kernel(raw, y, float(self.margin), out)
