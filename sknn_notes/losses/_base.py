"""What every loss does, and what the losses for one kind of targets share."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sknn_notes._part import Part
from sknn_notes.links import Identity


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

    def n_raw(self, n_outputs):
        """Return the number of raw outputs for a problem's number of outputs.

        Parameters
        ----------
        n_outputs : int
            Number of classes, of labels, or of targets; 1 for two classes.
        """
        return n_outputs

    def link(self, multiclass=False):
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

    def per_sample(self, raw, y, xp):
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

    def mean(self, raw, y, sample_weight, xp):
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

    def sampled(self, raw, y, key, xp):
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
    loops: Callable | None = None
    class_loops: Callable | None = None

    def numbers(self):
        """Return the numbers that the loops take."""
        return ()

    def table(self):
        """Return the integers that the loops take, in a sequence or an array."""
        return ()

    def constant(self, y, sample_weight, n_raw):
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


def weighted_mean(losses, gradient, sample_weight, xp):
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

    def start(self, classes, counts):
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
    choice_loops: Callable | None = None

    def most_chosen(self, n_samples):
        """Return the most outputs that a batch may need."""
        raise NotImplementedError

    def choose(self, y, keys, dtype):
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

    def of_choice(self, raw, choice, xp):
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

    def per_sample(self, raw, y, xp):
        # Indices have no axis of outputs; labels that models share are floats.
        are_labels = y.ndim == raw.ndim or y.dtype == raw.dtype
        return (self.labels if are_labels else self.multiclass)(raw, y, xp)

    @staticmethod
    def shares(y, sample_weight, n_raw):
        """Return the weighted share of every class, or of every column's ones."""
        if y.ndim == 1:
            counts = np.bincount(y, sample_weight, minlength=n_raw)
            return counts / counts.sum()
        return np.average(y, axis=0, weights=sample_weight)

    def multiclass(self, raw, y, xp):
        """``per_sample`` for class indices ``y``."""
        raise NotImplementedError

    def labels(self, raw, y, xp):
        """``per_sample`` for 0 and 1 in ``y``, shape (n_samples, n_labels)."""
        raise NotImplementedError


class RegressionLoss(Loss):
    """Base class of regression losses.

    Targets have the shape (..., n_samples, n_outputs). A loss with several raw outputs
    for a target has the first ones of all targets first, then the second ones.
    """

    def check_targets(self, y):
        """Raise ValueError if some target is outside the loss's domain."""
