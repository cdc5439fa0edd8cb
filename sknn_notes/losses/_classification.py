"""Losses for classification, including multilabel targets."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import (
    add_at,
    astype,
    equal_numbers,
    expit,
    maximum,
    of_rows,
    put_at,
    softplus,
    take,
)
from sknn_notes._checks import Interval
from sknn_notes._compile import cast, fill, helper, math
from sknn_notes._typing import Array, ArrayNamespace, Floats, Numbers, Scalar
from sknn_notes.links import Link, Logit, Softmax
from sknn_notes.losses._base import ClassificationLoss


class LogLoss(ClassificationLoss):
    """Cross-entropy of a softmax, or of a logistic function for each label.

    ``-f_y + logsumexp(f)`` for K classes; ``sum_j softplus(f_j) - y_j f_j`` for two
    classes (one output) and for multilabel targets. At chance level it is ``ln K``, or
    ``ln 2`` per label.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Fraction ``s`` of the target, in [0, 1), that is spread evenly over the classes:
        the target is ``1 - s + s / K`` for the true class and ``s / K`` for each other
        class. For two classes and for multilabel targets it is ``(1 - s) * y + s / 2``.

    References
    ----------
    Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J. and Wojna, Z. (2016). Rethinking
    the Inception architecture for computer vision. CVPR. (Label smoothing.)

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import LogLoss
    >>> raw = np.zeros((1, 4))
    >>> losses, gradient = LogLoss().per_sample(raw, np.array([2]), np)
    >>> losses
    array([1.38629436])
    >>> gradient
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """

    _parameter_constraints = {"label_smoothing": [Interval(Real, 0, 1, closed="left")]}

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def multiclass(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        share, n_classes = self.label_smoothing, raw.shape[-1]
        z = raw - xp.max(raw, axis=-1, keepdims=True)
        p = xp.exp(z)
        total = xp.sum(p, axis=-1, keepdims=True)
        losses = xp.log(total[..., 0]) - of_rows(1 - share) * take(z, y, xp)
        p /= total
        p = add_at(p, y, share - 1, xp)
        if not equal_numbers(share, 0):
            losses -= xp.sum(z * (share / n_classes), axis=-1)
            p -= share / n_classes
        return losses, p

    def labels(self, raw: Array, y: Array, xp: ArrayNamespace) -> tuple[Array, Array]:
        costs, slopes = logistic_terms(raw, y, self.label_smoothing / 2, xp)
        return xp.sum(costs, axis=-1), slopes

    def numbers(self) -> Numbers:
        return (self.label_smoothing,)

    @staticmethod
    def class_loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        n_classes, n = raw.shape
        for i in range(n):
            spare[i] = raw[0, i]
        for k in range(1, n_classes):
            for i in range(n):
                spare[i] = spare[i] if raw[k, i] < spare[i] else raw[k, i]
        for k in range(n_classes):
            for i in range(n):
                out[k, i] = raw[k, i] - spare[i]
        share = cast(numbers[0], raw[0, 0])
        part = cast(numbers[0] / n_classes, raw[0, 0])
        for i in range(n):
            losses[i] = (share - 1) * out[y[i], i]
            spare[i] = 0
        if numbers[0] > 0:
            for k in range(n_classes):
                for i in range(n):
                    losses[i] -= part * out[k, i]
        for k in range(n_classes):
            for i in range(n):
                e = math.exp(out[k, i])
                out[k, i] = e
                spare[i] += e
        for k in range(n_classes):
            for i in range(n):
                out[k, i] = out[k, i] / spare[i] - part
        for i in range(n):
            out[y[i], i] -= 1 - share
            losses[i] += math.log(spare[i])

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        half, one = cast(numbers[0] / 2, raw[0, 0]), cast(1, raw[0, 0])
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                sign = one - (y[k, i] + y[k, i])
                z = sign * raw[k, i]
                losses[i] += math.softplus(z)
                out[k, i] = sign * math.logistic(z)
        if numbers[0] > 0:
            for k in range(raw.shape[0]):
                for i in range(raw.shape[1]):
                    part = half * (one - (y[k, i] + y[k, i]))
                    losses[i] -= part * raw[k, i]
                    out[k, i] -= part

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        smoothing = float(self.label_smoothing)
        p = self.shares(y, sample_weight, n_raw)
        p = (1 - smoothing) * p + smoothing / (n_raw if y.ndim == 1 else 2)
        return self.link(y.ndim == 1).raw(p)

    def link(self, multiclass: bool = False) -> Link:
        return Softmax() if multiclass else Logit()


class Hinge(ClassificationLoss):
    """Hinge loss of the support vector machine.

    The loss is zero once the true class leads by the margin. It is ``sum_{j != y}
    max(0, f_j - f_y + margin)`` for K classes (Weston and Watkins; not divided by K),
    and ``sum_j max(0, margin - s_j f_j)`` with ``s_j = -1 or +1`` for two classes (one
    output) and for multilabel targets. At chance level it is ``K - 1`` times the
    margin, or the margin per label.

    Parameters
    ----------
    margin : float, default=1.0
        Lead of the true class at which the loss becomes 0.

    References
    ----------
    Weston, J. and Watkins, C. (1999). Support vector machines for multi-class pattern
    recognition. ESANN.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Hinge
    >>> raw = np.array([[2.0, 1.5, 0.0]])
    >>> losses, gradient = Hinge().per_sample(raw, np.array([0]), np)
    >>> losses
    array([0.5])
    >>> gradient
    array([[-1.,  1.,  0.]])
    """

    _parameter_constraints = {"margin": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, margin: float = 1.0) -> None:
        self.margin = margin

    def multiclass(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        right = take(raw, y, xp)
        z = raw - right[..., None] + self.margin
        # Terms below 0 do not count: -1 removes the term of the true class.
        z = put_at(z, y, xp.zeros_like(right) - 1, xp)
        terms, slopes = self._terms(z, xp)
        # The gradient of the true class is minus the sum of the others.
        slopes = put_at(slopes, y, -xp.sum(slopes, axis=-1), xp)
        return xp.sum(terms, axis=-1), slopes

    def labels(self, raw: Array, y: Array, xp: ArrayNamespace) -> tuple[Array, Array]:
        sign = 2 * y - 1
        terms, slopes = self._terms(self.margin - sign * raw, xp)
        return xp.sum(terms, axis=-1), -sign * slopes

    @staticmethod
    def _terms(z: Array, xp: ArrayNamespace) -> tuple[Array, Array]:
        """Return the terms of the sum and their slopes, both 0 for ``z`` below 0."""
        return maximum(z, 0, xp), astype(z > 0, z.dtype, xp)

    def numbers(self) -> Numbers:
        return (self.margin,)

    # Comparisons with NaN are False: NaN has to take the branch that returns z.
    @staticmethod
    def class_loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        margin = cast(numbers[0], raw[0, 0])
        one, zero = cast(1, margin), cast(0, margin)
        n_classes, n = raw.shape
        for i in range(n):
            spare[i] = raw[y[i], i]
            losses[i] = 0
        for k in range(n_classes):
            for i in range(n):
                z = raw[k, i] - spare[i] + margin
                z = zero if z <= 0 or k == y[i] else z
                losses[i] += z
                out[k, i] = one if z > 0 else zero
        pull_up(out, y, spare)

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        margin = cast(numbers[0], raw[0, 0])
        one, zero = cast(1, margin), cast(0, margin)
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                sign = y[k, i] + y[k, i] - one
                z = margin - sign * raw[k, i]
                z = zero if z <= 0 else z
                losses[i] += z
                out[k, i] = -sign if z > 0 else zero

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        # The margin for the most frequent class, if that is better than 0 for all.
        p = self.shares(y, sample_weight, n_raw)
        raw: Floats
        if y.ndim == 1:
            raw = float(self.margin) * (p == np.max(p)) * (np.max(p) > 1 / n_raw)
        else:
            raw = float(self.margin) * np.sign(p - 0.5)
        return raw


class SquaredHinge(Hinge):
    """Squared hinge loss: the hinge loss with each term squared.

    It is ``sum_{j != y} max(0, f_j - f_y + margin)**2`` for K classes, and
    ``sum_j max(0, margin - s_j f_j)**2`` with ``s_j = -1 or +1`` for two classes (one
    output) and for multilabel targets. Unlike the hinge loss it is differentiable, and
    penalizes large errors more. At chance level it is ``K - 1``, or 1 per label, times
    the squared margin.

    Parameters
    ----------
    margin : float, default=1.0
        Lead of the true class at which the loss becomes 0.

    References
    ----------
    Tang, Y. (2013). Deep learning using linear support vector machines. ICML Workshop
    on Challenges in Representation Learning.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import SquaredHinge
    >>> raw = np.array([[2.0, 1.5, 0.0]])
    >>> losses, gradient = SquaredHinge().per_sample(raw, np.array([0]), np)
    >>> losses
    array([0.25])
    >>> gradient
    array([[-1.,  1.,  0.]])
    """

    @staticmethod
    def _terms(z: Array, xp: ArrayNamespace) -> tuple[Array, Array]:
        z = maximum(z, 0, xp)
        return z * z, 2 * z

    @staticmethod
    def class_loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        margin = cast(numbers[0], raw[0, 0])
        zero = cast(0, margin)
        n_classes, n = raw.shape
        for i in range(n):
            spare[i] = raw[y[i], i]
            losses[i] = 0
        for k in range(n_classes):
            for i in range(n):
                z = raw[k, i] - spare[i] + margin
                z = zero if z <= 0 or k == y[i] else z
                losses[i] += z * z
                out[k, i] = z + z
        pull_up(out, y, spare)

    @staticmethod
    def loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        margin = cast(numbers[0], raw[0, 0])
        one, zero = cast(1, margin), cast(0, margin)
        fill(losses, 0)
        for k in range(raw.shape[0]):
            for i in range(raw.shape[1]):
                sign = y[k, i] + y[k, i] - one
                z = margin - sign * raw[k, i]
                z = zero if z <= 0 else z
                losses[i] += z * z
                out[k, i] = -sign * (z + z)


@helper
def pull_up(out: Any, y: Any, spare: Any) -> None:
    """Set the gradient of the true class to minus the sum of the others."""
    fill(spare, 0)
    for k in range(out.shape[0]):
        for i in range(out.shape[1]):
            spare[i] += out[k, i]
    for i in range(out.shape[1]):
        out[y[i], i] = -spare[i]


def logistic_terms(
    raw: Array, y: Array, half: Scalar, xp: ArrayNamespace
) -> tuple[Array, Array]:
    """Return ``softplus(raw) - t * raw`` and its slope, accurate also if small.

    The target is ``t = half`` where ``y`` is 0, and ``1 - half`` where ``y`` is 1.
    """
    # The loss is the same for raw outputs and targets of the opposite class.
    sign = 1 - 2 * y
    z = sign * raw
    return softplus(z, xp) - half * z, sign * (expit(z, xp) - half)
