"""Penalties on the weights: one class each, registered in ``PENALTIES``.

``R(W) = alpha * value(W)`` is added to the mean loss, whatever the batch size. The
smooth part of a penalty acts through its gradient. The non-smooth part, if there is
one, acts through a proximal step after the step of the optimizer.
"""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np

from sknn_notes._arrays import maximum, minimum
from sknn_notes._checks import Interval, Registry
from sknn_notes._compile import cast, fill, helper
from sknn_notes._part import Part
from sknn_notes._sklearn import StrOptions
from sknn_notes._typing import Array, ArrayNamespace, Numbers, Scalar

__all__ = ["L1", "L2", "PENALTIES", "ElasticNet", "GroupLasso", "Penalty"]


class Penalty(Part):
    """Base class of penalties.

    A subclass defines ``value``, ``gradient`` and ``prox`` in array code.

    Attributes
    ----------
    smooth : bool
        False if the penalty has a non-smooth part, for which ``prox`` is called after
        every step.
    sees_matrices : bool
        Whether rows and columns matter. False if the penalty is a sum over single
        weights, which may then come from several layers as one matrix.
    """

    smooth = True
    sees_matrices = False

    def value(self, W: Array, alpha: Scalar, xp: ArrayNamespace = np) -> Array:
        """Return the penalty on a matrix.

        Parameters
        ----------
        W : array of shape (..., n_inputs, n_units)
        alpha : float, or array of shape (..., 1, 1)
            Strength.
        xp : module
            The array namespace of ``W``.

        Returns
        -------
        penalty : array of shape (...,)
        """
        raise NotImplementedError

    def gradient(
        self, W: Array, alpha: Scalar, xp: ArrayNamespace = np
    ) -> Array | None:
        """Return the gradient of the smooth part, or None if there is none.

        Parameters
        ----------
        W : array of shape (..., n_inputs, n_units)
            As in ``value``.
        alpha : float, or array of shape (..., 1, 1)
            As in ``value``.
        xp : module
            As in ``value``.

        Returns
        -------
        gradient : array of shape (..., n_inputs, n_units), or None
        """
        return None

    def prox(
        self, W: Array, alpha: Scalar, step: Scalar, xp: ArrayNamespace = np
    ) -> Array:
        """Return the result of the proximal step of the non-smooth part.

        Parameters
        ----------
        W : array of shape (..., n_inputs, n_units)
            As in ``value``.
        alpha : float, or array of shape (..., 1, 1)
            As in ``value``.
        step : float, or array that can be broadcast to the shape of ``W``
            Step size of the optimizer, for all weights or for each of them.
        xp : module
            As in ``value``.

        Returns
        -------
        W : array of shape (..., n_inputs, n_units)
        """
        return W

    def covers(self, layer: int) -> bool:
        """Whether the penalty applies to the weights of a layer; the first one is 0."""
        return True

    def decay(self, alpha: Scalar) -> Scalar:
        """Return the strength of the L2 part, which 'adamw' applies as weight decay."""
        return 0.0

    # For the compiled step. If the penalty is the sum of ``l1 * abs(w) + l2 / 2 *
    # w**2`` over all weights, ``strengths`` returns (l1, l2), and nothing else is
    # needed. If it ``sees_matrices``, it needs the loops ``value_loops(W, alpha,
    # numbers, spare)`` and ``prox_loops(W, steps, alpha, numbers, spare)``. The latter
    # changes W in place, with a step size for each weight. ``spare`` has room for three
    # rows of W. The gradient of the smooth part is then ``decay(alpha) * W``.
    value_loops: Callable[..., Any] | None = None
    prox_loops: Callable[..., Any] | None = None

    def strengths(self, alpha: Scalar) -> tuple[Scalar, Scalar] | None:
        """Return the strengths of L1 and L2 if the penalty is their sum, else None."""
        return None

    def numbers(self) -> Numbers:
        """Return the numbers that the loops take."""
        return ()


def _sum(W: Array, xp: ArrayNamespace) -> Array:
    return xp.sum(W, axis=(-2, -1))


def _per_model(number: Scalar) -> Scalar:
    """Return the strengths in the shape of arrays with one value per model."""
    return number[..., 0, 0] if getattr(number, "ndim", 0) else number


class L2(Penalty):
    """Sum of the squared weights, ``alpha / 2 * sum(W**2)``.

    Its gradient ``alpha * W`` shrinks every weight in proportion to its size. It
    prefers many small weights to few large ones.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.penalties import L2
    >>> W = np.array([[3.0, 4.0]])
    >>> L2().value(W, alpha=0.1)
    np.float64(1.25)
    >>> L2().gradient(W, alpha=0.1)
    array([[0.3, 0.4]])
    """

    def value(self, W: Array, alpha: Scalar, xp: ArrayNamespace = np) -> Array:
        return _sum(W * W, xp) * (0.5 * _per_model(alpha))

    def gradient(self, W: Array, alpha: Scalar, xp: ArrayNamespace = np) -> Array:
        return W * alpha

    def decay(self, alpha: Scalar) -> Scalar:
        return alpha

    def strengths(self, alpha: Scalar) -> tuple[Scalar, Scalar]:
        return 0.0, alpha


class L1(Penalty):
    """Sum of the absolute weights, ``alpha * sum(abs(W))``; many weights become 0.

    After every step each weight moves toward 0 by ``step * alpha``, but not past it
    (the soft threshold). Units end up with few inputs, and ignore noisy ones.

    References
    ----------
    Parikh, N. and Boyd, S. (2014). Proximal algorithms. Foundations and Trends in
    Optimization 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.penalties import L1
    >>> L1().prox(np.array([[3.0, -0.05, -1.0]]), alpha=1.0, step=0.1)
    array([[ 2.9,  0. , -0.9]])
    """

    smooth = False

    def value(self, W: Array, alpha: Scalar, xp: ArrayNamespace = np) -> Array:
        return _sum(xp.abs(W), xp) * _per_model(alpha)

    def prox(
        self, W: Array, alpha: Scalar, step: Scalar, xp: ArrayNamespace = np
    ) -> Array:
        cut = alpha * step
        return W - minimum(maximum(W, -cut, xp), cut, xp)

    def strengths(self, alpha: Scalar) -> tuple[Scalar, Scalar]:
        return alpha, 0.0


class ElasticNet(Penalty):
    """A mixture of L1 and L2, parameterized as in scikit-learn.

    ``alpha * (l1_ratio * sum(abs(W)) + (1 - l1_ratio) / 2 * sum(W**2))``. If it is
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
    >>> ElasticNet(l1_ratio=0.5).value(np.array([[3.0, -4.0]]), alpha=2.0)
    np.float64(19.5)
    """

    smooth = False
    _parameter_constraints = {"l1_ratio": [Interval(Real, 0, 1, closed="both")]}

    def __init__(self, *, l1_ratio: float = 0.5) -> None:
        self.l1_ratio = l1_ratio

    def strengths(self, alpha: Scalar) -> tuple[Scalar, Scalar]:
        return alpha * self.l1_ratio, alpha * (1 - self.l1_ratio)

    def value(self, W: Array, alpha: Scalar, xp: ArrayNamespace = np) -> Array:
        l1, l2 = self.strengths(alpha)
        return L1().value(W, l1, xp) + L2().value(W, l2, xp)

    def gradient(self, W: Array, alpha: Scalar, xp: ArrayNamespace = np) -> Array:
        return L2().gradient(W, self.decay(alpha), xp)

    def prox(
        self, W: Array, alpha: Scalar, step: Scalar, xp: ArrayNamespace = np
    ) -> Array:
        return L1().prox(W, self.strengths(alpha)[0], step, xp)

    def decay(self, alpha: Scalar) -> Scalar:
        return self.strengths(alpha)[1]


class GroupLasso(Penalty):
    """Sum of the norms of groups of weights; whole inputs or units become 0.

    ``alpha * sum_g sqrt(n_g) * norm(W_g)``, where a group ``g`` of ``n_g`` weights is a
    row of the first weight matrix (an input), or a column of each matrix (a unit). The
    biases are in no group.

    After every step each group moves toward 0 by its proximal step, but not past it. If
    the optimizer has a step size ``s_i`` for each weight, as Adam has, the proximal
    step minimizes ``sum_i (x_i - w_i)**2 / (2 s_i) + alpha * sqrt(n_g) * norm(x)``. The
    solution ``x_i = w_i / (1 + s_i * alpha * sqrt(n_g) / norm(x))`` is found with
    Newton's method for ``norm(x)``.

    Parameters
    ----------
    groups : {"inputs", "units"}, default="inputs"
        What becomes 0 as a whole.

    References
    ----------
    Yuan, M. and Lin, Y. (2006). Model selection and estimation in regression with
    grouped variables. Journal of the Royal Statistical Society B 68.

    Scardapane, S., Comminiello, D., Hussain, A. and Uncini, A. (2017). Group sparse
    regularization for deep neural networks. Neurocomputing 241.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.penalties import GroupLasso
    >>> W = np.array([[3.0, 4.0], [0.1, 0.1]])
    >>> GroupLasso().prox(W, alpha=1.0, step=1 / np.sqrt(2))
    array([[2.4, 3.2],
           [0. , 0. ]])
    """

    smooth = False
    sees_matrices = True
    _parameter_constraints = {"groups": [StrOptions({"inputs", "units"})]}

    def __init__(self, *, groups: str = "inputs") -> None:
        self.groups = groups

    @property
    def _axis(self) -> int:
        """The axis along which the weights of a group lie."""
        return -1 if self.groups == "inputs" else -2

    def covers(self, layer: int) -> bool:
        return layer == 0 or self.groups == "units"

    def value(self, W: Array, alpha: Scalar, xp: ArrayNamespace = np) -> Array:
        axis = self._axis
        lengths = xp.sqrt(xp.sum(W * W, axis=axis))
        return xp.sum(lengths, axis=-1) * (_per_model(alpha) * W.shape[axis] ** 0.5)

    def prox(
        self, W: Array, alpha: Scalar, step: Scalar, xp: ArrayNamespace = np
    ) -> Array:
        axis = self._axis
        cut = alpha * W.shape[axis] ** 0.5 * step
        lengths = xp.sqrt(xp.sum(W * W, axis=axis, keepdims=True))
        # A group of length 0 stays 0.
        tiny = float(xp.finfo(W.dtype).smallest_normal)
        if getattr(cut, "ndim", 0) == 0 or cut.shape[axis] == 1:
            return W * maximum(1 - cut / maximum(lengths, tiny, xp), 0, xp)
        # The optimal length is 0, or the one for which the vector w_i / (length +
        # cut_i) has norm 1. The inverse of this norm is concave in the length, so
        # Newton's method converges from below. It starts where all cuts are the largest
        # one.
        largest = xp.max(cut, axis=axis, keepdims=True)
        length = maximum(lengths - largest, 0, xp)
        for _ in range(_NEWTON_STEPS):
            total = maximum(length + cut, tiny, xp)
            ratio = W / total
            square = xp.sum(ratio * ratio, axis=axis, keepdims=True)
            slope = xp.sum(ratio * ratio / total, axis=axis, keepdims=True)
            move = (square**0.5 - 1) * square / maximum(slope, tiny, xp)
            length = xp.where(square > 1, length + move, length)
        return W * (length / maximum(length + cut, tiny, xp))

    @property
    def value_loops(self) -> Callable[..., Any]:  # type: ignore[override]
        return value_of_rows if self.groups == "inputs" else value_of_columns

    @property
    def prox_loops(self) -> Callable[..., Any]:  # type: ignore[override]
        return shrink_rows if self.groups == "inputs" else shrink_columns


def value_of_rows(W: Any, alpha: float, numbers: Any, spare: Any) -> Scalar:
    total = 0.0
    for g in range(W.shape[0]):
        w, square = W[g], cast(0, W[0, 0])
        for i in range(len(w)):
            square += w[i] * w[i]
        total += np.sqrt(np.float64(square))
    return alpha * W.shape[1] ** 0.5 * total


def value_of_columns(W: Any, alpha: float, numbers: Any, spare: Any) -> Scalar:
    squares, total = spare[0], 0.0
    fill(squares, 0)
    for i in range(W.shape[0]):
        for g in range(W.shape[1]):
            squares[g] += W[i, g] * W[i, g]
    for g in range(len(squares)):
        total += np.sqrt(np.float64(squares[g]))
    return alpha * W.shape[0] ** 0.5 * total


# The loops start at the length that is optimal if all weights have the mean cut,
# weighted by their squares. By Jensen's inequality it is below the optimal length. The
# two are close if the cuts are small or similar.


def shrink_rows(W: Any, steps: Any, alpha: float, numbers: Any, spare: Any) -> None:
    strength = cast(alpha * W.shape[1] ** 0.5, W[0, 0])
    for g in range(W.shape[0]):
        shrink_row(W[g], steps[g], strength)


@helper
def shrink_row(w: Any, steps: Any, strength: Scalar) -> None:
    """Make the proximal step of a group that is a row of weights."""
    zero, one = cast(0, strength), cast(1, strength)
    square, cuts = zero, zero
    for i in range(len(w)):
        square += w[i] * w[i]
        cuts += w[i] * w[i] * steps[i]
    length = start_length(square, strength * cuts)
    for _ in range(_NEWTON_STEPS):
        square, slope = zero, zero
        for i in range(len(w)):
            inverse = one / (length + strength * steps[i])
            part = w[i] * inverse
            part *= part
            square += part
            slope += part * inverse
        if not square > one:
            break
        move = (np.sqrt(square) - one) * square / slope
        length += move
        if move <= last_move(w) * length:
            break
    if length > zero:
        for i in range(len(w)):
            w[i] *= length / (length + strength * steps[i])
    else:
        fill(w, 0)


def shrink_columns(W: Any, steps: Any, alpha: float, numbers: Any, spare: Any) -> None:
    n_rows, n_columns = W.shape
    strength = cast(alpha * n_rows**0.5, W[0, 0])
    zero, one = cast(0, strength), cast(1, strength)
    square, slope, length = spare[0], spare[1], spare[2]
    fill(square, 0)
    fill(slope, 0)
    for i in range(n_rows):
        for g in range(n_columns):
            square[g] += W[i, g] * W[i, g]
            slope[g] += W[i, g] * W[i, g] * steps[i, g]
    for g in range(n_columns):
        length[g] = start_length(square[g], strength * slope[g])
    for _ in range(_NEWTON_STEPS):
        fill(square, 0)
        fill(slope, 0)
        for i in range(n_rows):
            for g in range(n_columns):
                inverse = one / (length[g] + strength * steps[i, g])
                part = W[i, g] * inverse
                part *= part
                square[g] += part
                slope[g] += part * inverse
        moves = False
        for g in range(n_columns):
            if square[g] > one:
                move = (np.sqrt(square[g]) - one) * square[g] / slope[g]
                length[g] += move
                moves |= move > last_move(W) * length[g]
        if not moves:
            break
    for i in range(n_rows):
        for g in range(n_columns):
            share = length[g] / (length[g] + strength * steps[i, g])
            W[i, g] *= share if length[g] > zero else zero


@helper
def start_length(square: Scalar, cuts: Scalar) -> Scalar:
    """Return a lower bound, from the sums of squares and of squares times cuts."""
    length = np.sqrt(square) - cuts / square
    return length if length > 0 else cast(0, square)


@helper
def last_move(W: Any) -> Scalar:
    """Return the size of the last Newton step, relative to the length."""
    return cast(1e-4 if W.itemsize == 4 else 1e-8, W.dtype)


_NEWTON_STEPS = 8


PENALTIES: Registry[type[Penalty]] = Registry(
    {
        "elasticnet": ElasticNet,
        "group_lasso": GroupLasso,
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
        "sparsegrouplasso": "Choose GroupLasso(), or 'elasticnet'.",
        "weightdecay": "Choose solver='adamw' with penalty='l2' for decoupled decay.",
    },
    number="Pass alpha={} for the strength of the penalty.",
    base=Penalty,
)
