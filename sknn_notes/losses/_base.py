"""What every loss does, and what the losses for one kind of targets share."""

import numpy as np

from sknn_notes._part import Part


class Loss(Part):
    """Base class of losses."""

    def n_raw(self, n_outputs):
        """Return the number of raw outputs for a problem's number of outputs.

        Parameters
        ----------
        n_outputs : int
            Number of classes, or of labels; 1 for two classes.
        """
        return n_outputs

    def per_sample(self, raw, y, out):
        """Return the loss of every sample and write its gradient to ``out``.

        Parameters
        ----------
        raw : ndarray of shape (n_samples, n_outputs)
            Raw outputs of the network, left unchanged.
        y : ndarray
            Targets, in the form that the loss's family defines.
        out : ndarray of shape (n_samples, n_outputs)
            Where the gradient of each sample's loss at its raw outputs goes.

        Returns
        -------
        losses : ndarray of shape (n_samples,)
        """
        raise NotImplementedError

    def value_and_gradient(self, raw, y, sample_weight, out):
        """Return the weighted mean loss of a batch and write its gradient to ``out``.

        Parameters
        ----------
        raw : ndarray of shape (n_samples, n_outputs)
            As in ``per_sample``.
        y : ndarray
            As in ``per_sample``.
        sample_weight : ndarray of shape (n_samples,) or None
            Weights whose mean over the whole training set is 1.
        out : ndarray of shape (n_samples, n_outputs)
            As in ``per_sample``.

        Returns
        -------
        value : float
            ``sum(w * losses) / n_samples``.
        """
        losses = self.per_sample(raw, y, out)
        n_samples = len(losses)
        if sample_weight is None:
            out *= 1 / n_samples
            return float(np.add.reduce(losses)) / n_samples
        out *= sample_weight[:, None] / n_samples
        return float(np.dot(losses, sample_weight)) / n_samples

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


class ClassificationLoss(Loss):
    """Base class of classification losses.

    Targets are class indices, shape (n_samples,) of integers, where the classes exclude
    each other and are three or more; else 0 and 1 as floats, shape (n_samples,
    n_labels), with one column for two classes.

    Attributes
    ----------
    has_probabilities : bool
        Whether the raw outputs can be read as probabilities. The loss then has the
        methods ``probabilities(raw, multiclass)`` and ``log_probabilities``; where
        ``multiclass`` is False every column of ``raw`` is a logit of its own.
    tasks : tuple of str
        The kinds of target that the loss is for.
    indices_for_two : bool
        Whether the targets of two classes are class indices, too.
    """

    has_probabilities = False
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

    def scores(self, raw):
        """Return the decision values, shape (n_samples, n_outputs), for raw outputs.

        The largest one is the predicted class; for two classes, and for each label, a
        positive one is a yes.
        """
        return raw

    def per_sample(self, raw, y, out):
        per_sample = self.multiclass if y.ndim == 1 else self.labels
        return per_sample(raw, y, out)

    @staticmethod
    def shares(y, sample_weight, n_raw):
        """Return the weighted share of every class, or of every column's ones."""
        if y.ndim == 1:
            counts = np.bincount(y, sample_weight, minlength=n_raw)
            return counts / counts.sum()
        return np.average(y, axis=0, weights=sample_weight)

    def multiclass(self, raw, y, out):
        """``per_sample`` for class indices ``y``."""
        raise NotImplementedError

    def labels(self, raw, y, out):
        """``per_sample`` for 0 and 1 in ``y``, shape (n_samples, n_labels)."""
        raise NotImplementedError

    def out_activation(self, multiclass):
        """Name of the function that turns raw outputs into predictions."""
        return "identity"


class RegressionLoss(Loss):
    """Base class of regression losses; targets have raw's shape."""

    out_activation = "identity"

    @property
    def standardizes(self):
        """Whether targets may be standardized: the raw outputs are the predictions."""
        return type(self).predict is RegressionLoss.predict

    def check_targets(self, y):
        """Raise ValueError if some target is outside the loss's domain."""

    def predict(self, raw):
        """Return the predictions that raw outputs stand for."""
        return raw
