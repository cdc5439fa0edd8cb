"""What every loss does, and what the losses for one kind of targets share."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknn_notes._part import Part
from sknn_notes._typing import Array, ArrayNamespace, Floats, Integers, Numbers
from sknn_notes.links import Identity, Link


class Loss(Part):
    """Base class of losses."""

    @property
    def is_random(self) -> bool:
        """Whether a step of training draws random numbers for the loss."""
        return False

    @property
    def chooses(self) -> bool:
        """Whether a step of training needs some of the raw outputs alone."""
        return False

    @property
    def n_chosen(self) -> tuple[int, int]:
        """How many of them a sample has of its own and, at most, with others."""
        return 0, 0

    def n_raw(self, n_outputs: int) -> int:
        """Return the number of raw outputs for a problem's number of outputs.

        Parameters
        ----------
        n_outputs : int
            Number of classes, of labels, or of targets; 1 for two classes.
        """
        return n_outputs

    def link(self, multiclass: bool = False) -> Link:
        """Return the link: what the raw outputs stand for.

        Parameters
        ----------
        multiclass : bool, default=False
            Whether the raw outputs are for three classes or more that exclude each
            other.

        Returns
        -------
        link : Link
        """
        return Identity()

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """Return the loss of every sample, and its gradient at the raw outputs.

        Parameters
        ----------
        raw : array of shape (..., n_samples, n_raw)
            Raw outputs of the network, left unchanged.
        y : array
            Targets, in the form that the loss's family defines.
        xp : module
            The array namespace of ``raw``.

        Returns
        -------
        losses : array of shape (..., n_samples)
        gradient : array of shape (..., n_samples, n_raw)
            A new array.
        """
        raise NotImplementedError

    def mean(
        self, raw: Array, y: Array, sample_weight: Array | None, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """Return the weighted mean loss of a batch, and its gradient.

        Parameters
        ----------
        raw : array of shape (..., n_samples, n_raw)
            As in ``per_sample``.
        y : array
            As in ``per_sample``.
        sample_weight : array of shape (..., n_samples) or None
            Weights whose mean over the whole training set is 1.
        xp : module
            As in ``per_sample``.

        Returns
        -------
        value : array of shape (...,)
            ``sum(w * losses) / n_samples``.
        gradient : array of shape (..., n_samples, n_raw)
        """
        losses, gradient = self.per_sample(raw, y, xp)
        return weighted_mean(losses, gradient, sample_weight, xp)

    def sampled(
        self, raw: Array, y: Array, key: int, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """``per_sample`` as training approximates it; ``key`` tells what is drawn."""
        raise NotImplementedError

    # Loops, for the compiled step: static functions of
    #
    #     (raw, y, out, losses, spare, numbers, table)
    #
    # that fill ``losses`` and the gradient ``out``. Raw outputs come units first,
    # (n_raw, n_samples), and so do targets in ``loops``; ``class_loops`` get class
    # indices; ``spare`` is room for a number a sample; ``numbers`` and
    # ``table`` are the float64 and int64 arrays that the methods return.
    loops: Callable[..., Any] | None = None
    class_loops: Callable[..., Any] | None = None

    def numbers(self) -> Numbers:
        """Return the numbers that the loops take."""
        return ()

    def table(self) -> Sequence[int] | Integers:
        """Return the integers that the loops take, in a sequence or an array."""
        return ()

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        """Return the raw outputs of a good prediction that ignores the inputs.

        A network whose loss is not below theirs has learned nothing. A loss that does
        not define them is measured against outputs of 0.

        Parameters
        ----------
        y : ndarray
            As in ``per_sample``.
        sample_weight : ndarray of shape (n_samples,) or None
            Weights that are not all zero.
        n_raw : int
            Number of raw outputs.

        Returns
        -------
        raw : ndarray of shape (n_raw,)
        """
        return np.zeros(n_raw)


def weighted_mean(
    losses: Array, gradient: Array, sample_weight: Array | None, xp: ArrayNamespace
) -> tuple[Array, Array]:
    """Return the mean of the weighted losses; make their gradient that of the mean."""
    share = 1 / losses.shape[-1]
    if sample_weight is None:
        gradient *= share
    else:
        gradient *= sample_weight[..., None] * share
        losses = losses * sample_weight
    return xp.sum(losses, axis=-1) * share, gradient


class Choice(NamedTuple):
    """The raw outputs that training needs of a batch, or of several.

    Attributes
    ----------
    own : ndarray of int of shape (n_samples, n_own)
        Those of each sample; -1 for none.
    targets : ndarray of shape (n_samples, n_own)
        What they should be, in the form that the loss defines.
    shared : ndarray of int of shape (n_batches, n_shared)
        Those of all samples of a batch, each once; -1 for none, at the end.
    shift : ndarray of shape (n_batches, n_shared)
        Is added to them.
    """

    own: np.ndarray
    targets: np.ndarray
    shared: np.ndarray
    shift: np.ndarray


class ClassificationLoss(Loss):
    """Base class of classification losses.

    Targets are class indices, shape (n_samples,) of integers, where the classes exclude
    each other and are three or more; else 0 and 1 as floats of the dtype of the raw
    outputs, shape (n_samples, n_labels), with one column for two classes. A leading
    axis of models may stand in front.

    Attributes
    ----------
    tasks : tuple of str
        The kinds of target that the loss is for.
    indices_for_two : bool
        Whether the targets of two classes are class indices, too.
    """

    tasks: tuple[str, ...] = ("binary", "multiclass", "multilabel")
    indices_for_two = False

    def start(self, classes: NDArray[Any], counts: Floats | None) -> None:
        """Prepare for the classes of a problem, before its first fit.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            Sorted class labels.
        counts : ndarray of shape (n_classes,) or None
            How often each class occurs, sample weights counted; None where
            ``partial_fit`` starts, which sees one batch only.
        """

    # For a loss that ``chooses``, the form of its training on chosen outputs.
    # ``choice_loops(own, places, targets, shared, own_out, shared_out, losses, spare)``
    # is the compiled one of ``of_choice``: raw outputs of a sample are rows of ``own``
    # and columns of ``shared``, those of a row of ``places`` below 0 are none.
    choice_loops: Callable[..., Any] | None = None

    def most_chosen(self, n_samples: int) -> int:
        """Return the most outputs that a batch may need."""
        raise NotImplementedError

    def choose(self, y: Integers, keys: Sequence[int], dtype: Any) -> Choice:
        """Return the outputs that training needs.

        Parameters
        ----------
        y : ndarray of int of shape (n_samples,)
            Classes of the samples of all batches.
        keys : sequence of int
            One of every batch, which tells its random numbers.
        dtype : dtype
            Of the raw outputs.

        Returns
        -------
        choice : Choice
            ``n_chosen`` is the number of outputs of a sample's own, and with others.
        """
        raise NotImplementedError

    def of_choice(
        self, raw: Array, choice: Choice, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """Return the loss of every sample of a batch, and its gradient.

        Parameters
        ----------
        raw : array of shape (n_samples, n_own + n_shared)
            First the raw outputs of each sample's own.
        choice : Choice
            Of one batch. Its outputs may be numbered in another order, with those of
            all samples first.
        xp : module
            The array namespace of ``raw``.

        Returns
        -------
        losses : array of shape (n_samples,)
        gradient : array of shape (n_samples, n_own + n_shared)
            0 where there is no output.
        """
        raise NotImplementedError

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        # Indices have no axis of outputs; labels that models share are floats.
        are_labels = y.ndim == raw.ndim or y.dtype == raw.dtype
        return (self.labels if are_labels else self.multiclass)(raw, y, xp)

    @staticmethod
    def shares(y: NDArray[Any], sample_weight: Floats | None, n_raw: int) -> Floats:
        """Return the weighted share of every class, or of every column's ones."""
        if y.ndim == 1:
            counts = np.bincount(y, sample_weight, minlength=n_raw)
            shares: Floats = counts / counts.sum()
        else:
            shares = np.average(y, axis=0, weights=sample_weight)
        return shares

    def multiclass(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """``per_sample`` for class indices ``y``."""
        raise NotImplementedError

    def labels(self, raw: Array, y: Array, xp: ArrayNamespace) -> tuple[Array, Array]:
        """``per_sample`` for 0 and 1 in ``y``, shape (n_samples, n_labels)."""
        raise NotImplementedError


class RegressionLoss(Loss):
    """Base class of regression losses.

    Targets have the shape (..., n_samples, n_outputs). A loss with several raw outputs
    for a target has the first ones of all targets first, then the second ones.
    """

    def check_targets(self, y: Floats) -> None:
        """Raise ValueError if some target is outside the loss's domain."""
