"""Sampled softmax: training compares the true class with a sample of the others."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import (
    concatenated,
    from_numpy,
    numpy_dtype,
    put_along_last_axis,
    put_at,
    random_words,
    take,
)
from sknn_notes._checks import Interval
from sknn_notes._compile import math
from sknn_notes._sklearn import StrOptions
from sknn_notes._typing import Array, ArrayNamespace, Floats, Integers
from sknn_notes.losses._base import Choice
from sknn_notes.losses._classification import LogLoss


class SampledSoftmax(LogLoss):
    """Cross-entropy of a softmax over the true class and a sample of the others.

    Each step of training draws ``n_negatives`` classes from a distribution ``q``, the
    same for all samples of the batch. It estimates the sum over all other classes,
    ``sum_j exp(f_j)``, by the mean of ``exp(f_j) / q_j`` over the classes drawn: that
    is the softmax after ``log(n_negatives * q_j)`` is subtracted from their raw
    outputs. If the true class is drawn, it does not count twice. Prediction, validation
    and scores use all classes. With as many negatives as there are other classes, or
    with two classes, training uses all classes, too, and the loss is ``log_loss``.

    The gradient is biased. More negatives reduce the bias.

    Parameters
    ----------
    n_negatives : int, default=256
        Number of classes drawn in each step.
    distribution : {"log_uniform", "frequency", "uniform"}, default="log_uniform"
        Distribution of the classes, which are drawn with replacement. "log_uniform"
        draws the class of rank r, counted from 0, with probability
        ``log((r + 2) / (r + 1)) / log(n_classes + 1)``. Classes are ranked by their
        frequency in the training data, or by their order in ``partial_fit``, which does
        not know the frequencies. "frequency" draws classes in proportion to their
        frequency; it needs ``fit``.

    Attributes
    ----------
    probabilities_ : ndarray of shape (n_classes,)
        Probability of each class to be drawn.

    References
    ----------
    Bengio, Y. and Senecal, J.-S. (2008). Adaptive importance sampling to accelerate
    training of a neural probabilistic language model. IEEE Transactions on Neural
    Networks 19.

    Jean, S., Cho, K., Memisevic, R. and Bengio, Y. (2015). On using very large target
    vocabulary for neural machine translation. ACL.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import SampledSoftmax
    >>> loss = SampledSoftmax(n_negatives=2, distribution="frequency")
    >>> loss.start(np.arange(4), counts=np.array([4.0, 2.0, 1.0, 1.0]))
    >>> loss.probabilities_
    array([0.5  , 0.25 , 0.125, 0.125])
    >>> raw = np.zeros((1, 4))
    >>> losses, gradient = loss.sampled(raw, np.array([3]), key=0, xp=np)
    >>> losses.round(3)  # The step draws classes 0 and 2: log(1 + 1 + 4).
    array([1.792])
    >>> gradient.round(3)
    array([[ 0.167,  0.   ,  0.667, -0.833]])
    """

    tasks = ("binary", "multiclass")
    label_smoothing = 0.0
    _parameter_constraints = {
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "distribution": [StrOptions({"log_uniform", "frequency", "uniform"})],
    }
    probabilities_: np.ndarray

    def __init__(
        self, *, n_negatives: int = 256, distribution: str = "log_uniform"
    ) -> None:
        self.n_negatives = n_negatives
        self.distribution = distribution

    def start(self, classes: NDArray[Any], counts: Floats | None) -> None:
        """Compute the distribution of the classes.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            Sorted class labels.
        counts : ndarray of shape (n_classes,) or None
            Weighted number of samples of each class; needed for "frequency".

        Raises
        ------
        ValueError
            If ``counts`` are needed and are None.
        """
        n_classes = len(classes)
        if self.distribution == "uniform":
            self.probabilities_ = np.full(n_classes, 1 / n_classes)
        elif self.distribution == "log_uniform":
            order = np.arange(n_classes)
            if counts is not None:
                order = np.argsort(-np.asarray(counts), kind="stable")
            shares = np.log1p(1 / np.arange(1.0, n_classes + 1)) / np.log(n_classes + 1)
            self.probabilities_ = np.empty(n_classes)
            self.probabilities_[order] = shares
        elif counts is None:
            raise ValueError(
                "distribution='frequency' needs the frequencies of the classes, which "
                "partial_fit does not know. Call fit, or pass "
                "loss=SampledSoftmax(distribution='log_uniform') or 'uniform'."
            )
        else:
            self.probabilities_ = counts / np.sum(counts)
        self._ends = np.cumsum(self.probabilities_)

    @property
    def is_random(self) -> bool:
        """Whether training draws classes, rather than using all of them."""
        q = vars(self).get("probabilities_")
        return q is not None and 2 < len(q) > self.n_negatives + 1

    @property
    def chooses(self) -> bool:
        """Whether training needs only some of the raw outputs."""
        return self.is_random

    @property
    def n_chosen(self) -> tuple[int, int]:
        """How many outputs a sample has for itself, and shares with others."""
        return 1, self.n_negatives

    def most_chosen(self, n_samples: int) -> int:
        return min(n_samples + self.n_negatives, len(self.probabilities_))

    def choose(self, y: Integers, keys: Sequence[int], dtype: Any) -> Choice:
        drawn = [self._draw(key) for key in keys]
        shared, shift = (np.array(each) for each in zip(*drawn, strict=True))
        own = y[:, None].copy()
        return Choice(own, np.ones(own.shape, dtype), shared, shift.astype(dtype))

    def _draw(self, key: int) -> tuple[Integers, Floats]:
        """Return the distinct classes drawn in a step, and shifts of their outputs."""
        n, q = self.n_negatives, self.probabilities_
        shares = (random_words(key, np.arange(n)) + 0.5) / 2**32
        drawn = np.searchsorted(self._ends, shares * self._ends[-1], side="right")
        classes, counts = np.unique(drawn, return_counts=True)
        shared, shift = np.full(n, -1), np.zeros(n)
        shared[: len(classes)] = classes
        shift[: len(classes)] = np.log(counts / (n * q[classes]))
        return shared, shift

    def of_choice(
        self, raw: Array, choice: Choice, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        own = raw[..., :1]
        others = xp.where(choice.own == choice.shared, -xp.inf, raw[..., 1:])
        logits = concatenated([own, others], xp)
        top = xp.max(logits, axis=-1, keepdims=True)
        p = xp.exp(logits - top)
        total = xp.sum(p, axis=-1, keepdims=True)
        losses = (xp.log(total) + (top - own))[..., 0]
        p /= total
        p[..., 0] -= 1
        return losses, p

    def sampled(
        self, raw: Array, y: Array, key: int, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        classes, shift = self._draw(key)
        drawn = classes >= 0
        classes = from_numpy(classes[drawn], raw, xp)
        shift = from_numpy(shift[drawn].astype(numpy_dtype(raw)), raw, xp)
        others = xp.take(raw, classes, axis=-1) + shift
        chosen = concatenated([take(raw, y, xp)[..., None], others], xp)
        choice = Choice(y[..., None], y[..., None], classes, shift)
        losses, pull = self.of_choice(chosen, choice, xp)
        places = xp.broadcast_to(classes, others.shape)
        gradient = xp.zeros_like(raw)
        gradient = put_along_last_axis(gradient, places, pull[..., 1:], xp)
        own = take(gradient, y, xp) + pull[..., 0]
        return losses, put_at(gradient, y, own, xp)

    @staticmethod
    def choice_loops(
        own: Any,
        places: Any,
        targets: Any,
        shared: Any,
        own_out: Any,
        shared_out: Any,
        losses: Any,
        spare: Any,
    ) -> None:
        n_shared, n = shared.shape
        top, total = losses, spare
        for i in range(n):
            top[i] = own[i, 0]
            if places[i, 0] < n_shared:
                shared[places[i, 0], i] = -np.inf
        for k in range(n_shared):
            for i in range(n):
                top[i] = top[i] if shared[k, i] < top[i] else shared[k, i]
        for i in range(n):
            total[i] = math.exp(own[i, 0] - top[i])
            own_out[i, 0] = total[i]
        for k in range(n_shared):
            for i in range(n):
                e = math.exp(shared[k, i] - top[i])
                shared_out[k, i] = e
                total[i] += e
        for i in range(n):
            own_out[i, 0] = own_out[i, 0] / total[i] - 1
            losses[i] = top[i] - own[i, 0]
        for k in range(n_shared):
            for i in range(n):
                shared_out[k, i] /= total[i]
        # Added last: between large outputs, the logarithm would be rounded off.
        for i in range(n):
            losses[i] += math.log(total[i])
