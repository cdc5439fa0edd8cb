"""Base classes of losses."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import astype
from sknn_notes._part import Part
from sknn_notes._typing import Array, ArrayNamespace, Floats, Integers, Numbers
from sknn_notes.links import Identity, Link


class Loss(Part):
    """Base class of losses; see ``ClassificationLoss`` and ``RegressionLoss``."""

    @property
    def is_random(self) -> bool:
        """Whether a step of training draws random numbers for the loss."""
        return False

    @property
    def chooses(self) -> bool:
        """Whether a step of training needs only some of the raw outputs."""
        return False

    @property
    def n_chosen(self) -> tuple[int, int]:
        """How many of these a sample has for itself, and at most shares with others."""
        return 0, 0

    def n_raw(self, n_outputs: int) -> int:
        """Return the number of raw outputs.

        Parameters
        ----------
        n_outputs : int
            Number of classes or targets; 1 for two classes.
        """
        return n_outputs

    def link(self, multiclass: bool = False) -> Link:
        """Return the link, which turns raw outputs into predictions.

        Parameters
        ----------
        multiclass : bool, default=False
            Whether there are three or more mutually exclusive classes.

        Returns
        -------
        link : Link
        """
        return Identity()

    def per_sample(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """Return the loss of each sample, and its gradient.

        Parameters
        ----------
        raw : array of shape (..., n_samples, n_raw)
            Raw outputs of the network, left unchanged.
        y : array
            Targets; see ``ClassificationLoss`` and ``RegressionLoss``.
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
            Weights with a mean of 1 over the training set.
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
        """Return ``per_sample`` approximated by a sample, which ``key`` determines."""
        raise NotImplementedError

    # Loops, for the compiled step: static functions of
    #
    #     (raw, y, out, losses, spare, numbers, table)
    #
    # that fill ``losses`` and the gradient ``out``. Raw outputs and their gradient have
    # the shape (n_raw, n_samples). The targets ``y`` have it, too, in ``loops``, and
    # are class indices in ``class_loops``. ``spare`` has room for one number per
    # sample. ``numbers`` and ``table`` are what the methods return, as float64 and
    # int64 arrays.
    loops: Callable[..., Any] | None = None
    class_loops: Callable[..., Any] | None = None

    def numbers(self) -> Numbers:
        """Return the numbers that the loops take."""
        return ()

    def table(self) -> Sequence[int] | Integers:
        """Return the integers that the loops take."""
        return ()

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        """Return the raw outputs of a good constant prediction.

        A network has learned nothing if its loss is not lower. The default is 0 for all
        raw outputs.

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
    """Return the mean of the weighted losses, and its gradient."""
    share = 1 / losses.shape[-1]
    if sample_weight is None:
        gradient *= share
    else:
        gradient *= sample_weight[..., None] * share
        losses = losses * sample_weight
    # In float32, the sum may overflow even if the mean does not.
    value = xp.sum(losses, axis=-1, dtype=xp.float64) * share
    return astype(value, losses.dtype, xp), gradient


class Choice(NamedTuple):
    """The raw outputs that training needs for one or more batches.

    Attributes
    ----------
    own : ndarray of int of shape (n_samples, n_own)
        Indices of the outputs of each sample; -1 for none.
    targets : ndarray of shape (n_samples, n_own)
        Targets of these outputs, in the form that the loss defines.
    shared : ndarray of int of shape (n_batches, n_shared)
        Indices of the outputs that the samples of a batch share, without repetition; -1
        for none, at the end.
    shift : ndarray of shape (n_batches, n_shared)
        Summands of these outputs.
    """

    own: np.ndarray
    targets: np.ndarray
    shared: np.ndarray
    shift: np.ndarray


class ClassificationLoss(Loss):
    """Base class of classification losses.

    For three or more mutually exclusive classes, targets are class indices, integers of
    shape (n_samples,). Otherwise they are 0 and 1 in the dtype of the raw outputs, of
    shape (n_samples, n_outputs), with one column for two classes and one per label for
    multilabel targets. There may be a leading axis of models.

    Attributes
    ----------
    tasks : tuple of str
        Kinds of targets that the loss supports.
    indices_for_two : bool
        Whether targets are class indices for two classes, too.
    """

    tasks: tuple[str, ...] = ("binary", "multiclass", "multilabel")
    indices_for_two = False

    def start(self, classes: NDArray[Any], counts: Floats | None) -> None:
        """Prepare for the classes of a problem; called before training.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            Sorted class labels.
        counts : ndarray of shape (n_classes,) or None
            Weighted number of samples of each class. None in ``partial_fit``, which
            sees only one batch.
        """

    # For a loss that ``chooses``: the loops ``choice_loops(own, places, targets,
    # shared, own_out, shared_out, losses, spare)`` compute the same as ``of_choice``.
    # The raw outputs of a sample are a row of ``own`` and a column of ``shared``. There
    # is no output where ``places`` is below 0.
    choice_loops: Callable[..., Any] | None = None

    def most_chosen(self, n_samples: int) -> int:
        """Return the maximum number of outputs that a batch may need."""
        raise NotImplementedError

    def choose(self, y: Integers, keys: Sequence[int], dtype: Any) -> Choice:
        """Return the outputs that training needs.

        Parameters
        ----------
        y : ndarray of int of shape (n_samples,)
            Class indices of the samples of all batches.
        keys : sequence of int
            One key per batch, which determines its random numbers.
        dtype : dtype
            Dtype of the raw outputs.

        Returns
        -------
        choice : Choice
            ``n_chosen`` tells how many outputs it has.
        """
        raise NotImplementedError

    def of_choice(
        self, raw: Array, choice: Choice, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """Return the loss of each sample of a batch, and its gradient.

        Parameters
        ----------
        raw : array of shape (n_samples, n_own + n_shared)
            The raw outputs of each sample, then those that all samples share.
        choice : Choice
            The choice for one batch. Its indices may follow another order of outputs,
            in which the shared outputs come first.
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
        # Class indices have no axis of outputs. Multilabel targets that models share
        # lack an axis, too, but are floats.
        are_labels = y.ndim == raw.ndim or y.dtype == raw.dtype
        return (self.labels if are_labels else self.multiclass)(raw, y, xp)

    @staticmethod
    def shares(y: NDArray[Any], sample_weight: Floats | None, n_raw: int) -> Floats:
        """Return the weighted frequency of each class, or of 1 in each column."""
        if y.ndim == 1:
            counts = np.bincount(y, sample_weight, minlength=n_raw)
            shares: Floats = counts / counts.sum()
        else:
            shares = np.average(y, axis=0, weights=sample_weight)
        return shares

    def multiclass(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """Return ``per_sample`` for class indices ``y``."""
        raise NotImplementedError

    def labels(self, raw: Array, y: Array, xp: ArrayNamespace) -> tuple[Array, Array]:
        """Return ``per_sample`` for ``y`` of 0 and 1, shape (n_samples, n_outputs)."""
        raise NotImplementedError


class RegressionLoss(Loss):
    """Base class of regression losses.

    Targets have the shape (..., n_samples, n_outputs). If a loss has several raw
    outputs per target, the first raw outputs of all targets come first, then the second
    ones.
    """

    def check_targets(self, y: Floats) -> None:
        """Raise ValueError if a target is outside the domain of the loss."""
