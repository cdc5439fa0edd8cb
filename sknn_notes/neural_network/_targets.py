"""From the user's targets to those that losses take, and back."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from sknn_notes._sklearn import compute_class_weight


def check_labels(y):
    """Raise ValueError unless a ``y`` of several columns holds 0 and 1 alone."""
    if not issparse(y) and type_of_target(y).startswith("continuous"):
        check_classification_targets(y)
    values = np.unique(y.data if issparse(y) else y)
    if not np.isin(values, [0, 1]).all():
        raise ValueError(
            "y has several columns, which are labels of 0 and 1 each, but holds the "
            f"values {values[:5]}. For several outputs of more classes wrap the "
            "classifier in sklearn.multioutput.MultiOutputClassifier."
        )


def sortable(y):
    """Return labels, strings in an array of objects as one of strings.

    Sorting, searching and comparing these takes a tenth of the time.
    """
    is_text = y.ndim == 1 and y.dtype == object and set(map(type, y)) == {str}
    return y.astype(str) if is_text else y


class LabelEncoder:
    """The classes of a problem, and the form of its targets.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels; the column numbers for multilabel problems.
    multilabel : bool
        Whether a sample may belong to any number of classes.
    """

    def __init__(self, classes, multilabel):
        self.classes, self.multilabel = classes, multilabel
        self._sortable = sortable(classes)
        self.multiclass = not multilabel and len(classes) > 2
        self.binary = not multilabel and len(classes) == 2
        if len(classes) < 2 and not multilabel:
            raise ValueError(
                "A classifier needs samples of at least 2 classes, got one class: "
                f"{classes}."
            )

    @classmethod
    def from_targets(cls, y, dtype):
        """Return the encoder for all the classes that occur in ``y``.

        The classes have the type ``dtype``.
        """
        check_classification_targets(y)
        if y.ndim == 2:
            return cls(np.arange(y.shape[1]), multilabel=True)
        return cls(np.unique(y).astype(dtype, copy=False), multilabel=False)

    @property
    def n_outputs(self):
        """Number of targets a sample has: one for two classes."""
        if self.multilabel or self.multiclass:
            return len(self.classes)
        return 1

    def indices(self, y):
        """Return the index of every sample's class."""
        return np.searchsorted(self._sortable, y)

    def encode(self, y, dtype, indices_for_two=False):
        """Return class indices (n_samples,), or 0 and 1 as (n_samples, n_outputs).

        ``indices_for_two`` asks for class indices also where there are two classes.
        """
        if self.multilabel:
            y = y.toarray() if issparse(y) else y
            return np.asarray(y, dtype=dtype)
        indices = self.indices(y)
        if self.multiclass or indices_for_two:
            return indices
        return indices.astype(dtype)[:, None]

    def counts(self, y, sample_weight):
        """Return the total weight of every class, or None for labels."""
        if self.multilabel:
            return None
        return np.bincount(self.indices(y), sample_weight, minlength=len(self.classes))

    def decode(self, raw):
        """Return the predicted labels for raw outputs, shape (n_samples, n_outputs)."""
        if self.multiclass:
            return self.classes[np.argmax(raw, axis=1)]
        positive = (raw > 0).astype(int)
        return positive if self.multilabel else self.classes[positive[:, 0]]

    def accuracy(self, raw, y, sample_weight):
        """Return the weighted share of samples whose every target is predicted."""
        if self.multiclass:
            right = np.argmax(raw, axis=1) == y
        else:
            right = np.all((raw > 0) == (y.reshape(raw.shape) > 0), axis=1)
        return float(np.average(right, weights=sample_weight))


def class_weights(class_weight, encoder, y, sample_weight):
    """Return the weights of the classes, for ``weights_of_samples``.

    Parameters
    ----------
    class_weight : dict, "balanced" or list of dict
        By class; for multilabel targets "balanced" or one dict a column.
    encoder : LabelEncoder
    y : {ndarray, sparse array} of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or 0 and 1.
    sample_weight : ndarray of shape (n_samples,) or None
        Balanced weights are those of the weighted counts.

    Returns
    -------
    columns : list of (classes, weights)
        One pair for every column of the targets.
    """
    balanced = isinstance(class_weight, str)
    if encoder.multilabel:
        n_outputs = y.shape[1]
        specs = [class_weight] * n_outputs if balanced else class_weight
        if not isinstance(specs, list) or len(specs) != n_outputs:
            raise ValueError(
                f"For {n_outputs} labels class_weight must be 'balanced' or a list of "
                f"as many dicts with the weights of 0 and 1. Got {class_weight!r}."
            )
        classes = np.array([0, 1])
    elif isinstance(class_weight, list):
        raise ValueError(
            "A list for class_weight is for several labels a sample; y has one. Pass a "
            f"dict of weights by class, or 'balanced'. Got {class_weight!r}."
        )
    else:
        specs, classes = [class_weight], encoder.classes
    columns = []
    for spec, column in zip(specs, _columns(y), strict=True):
        present = np.unique(column) if encoder.multilabel else classes
        with np.errstate(divide="ignore"):
            weights = compute_class_weight(
                spec, classes=present, y=column, sample_weight=sample_weight
            )
        # A class whose samples all weigh nothing has no balanced weight.
        weights[np.isposinf(weights) & balanced] = 0
        if not np.isfinite(weights).all() or np.min(weights) < 0:
            raise ValueError(
                f"class_weight must give finite weights >= 0. Got {class_weight!r}."
            )
        # A column that holds one value leaves the other one a weight of 1.
        of_class = np.ones(len(classes))
        of_class[np.searchsorted(classes, present)] = weights
        columns.append((classes, of_class))
    return columns


def weights_of_samples(columns, y):
    """Return the weight of every sample's class, or the product over its columns.

    Parameters
    ----------
    columns : list of (classes, weights)
        From ``class_weights``, of the training data.
    y : {ndarray, sparse array} of shape (n_samples,) or (n_samples, n_outputs)
        Targets of the same kind.

    Returns
    -------
    weights : ndarray of shape (n_samples,)
    """
    weights = np.ones(y.shape[0])
    for (classes, of_class), column in zip(columns, _columns(y), strict=True):
        weights *= of_class[np.searchsorted(classes, column)]
    return weights


def _columns(y):
    y = y.toarray() if issparse(y) else y
    return y.T if y.ndim == 2 else [y]


class TargetScale(NamedTuple):
    """Where regression targets lie, and how far they spread, one number an output.

    Targets are standardized by it for training. The output layer takes the inverse on
    when its weights are published, so that the network predicts in the user's unit.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_outputs,)
        float64.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def identity(cls, n_outputs):
        """Return the scale that changes nothing."""
        return cls(np.zeros(n_outputs), np.ones(n_outputs))

    @classmethod
    def from_targets(cls, y, sample_weight):
        """Return the weighted mean and standard deviation; a constant has scale 1.

        Multiplying ``y`` by a power of two multiplies both by it exactly.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_outputs)
        sample_weight : ndarray of shape (n_samples,) or None
            Weights that are all zero count as equal.
        """
        if sample_weight is not None and not sample_weight.any():
            sample_weight = None
        y = y.astype(np.float64)
        largest = np.max(np.abs(y), axis=0)
        # A power of two, so that neither the sum nor the squares overflow.
        unit = np.ldexp(1.0, np.frexp(largest)[1] - 1)
        y /= unit
        mean = np.average(y, axis=0, weights=sample_weight)
        y -= mean
        scale = np.sqrt(np.average(y * y, axis=0, weights=sample_weight))
        # What rounding leaves of a constant is no spread.
        constant = scale <= 8 * np.finfo(np.float64).eps * np.abs(mean)
        scale *= unit
        return cls(mean * unit, np.where(constant | (scale == 0), 1.0, scale))

    def standardize(self, y):
        """Return standardized targets."""
        return (y - self.mean) / self.scale

    def publish(self, W, b):
        """Return the output layer's weights and biases in the user's unit."""
        weights = (W * self.scale).astype(W.dtype)
        return weights, (b * self.scale + self.mean).astype(b.dtype)

    def recover(self, W, b):
        """Return the weights and biases that ``publish`` was given, to rounding."""
        weights = (W / self.scale).astype(W.dtype)
        return weights, self.standardize(b).astype(b.dtype)

    def change(self, W, b, new):
        """Return a layer that predicts the same with targets on the scale ``new``."""
        weights = (W * (self.scale / new.scale)).astype(W.dtype)
        shift = (self.mean - new.mean) / new.scale
        return weights, (b * (self.scale / new.scale) + shift).astype(b.dtype)
