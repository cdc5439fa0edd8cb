"""Class labels to the targets that classification losses take, and back."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target


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


class LabelEncoder:
    """The classes of a problem, and the form of its targets.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels; the column numbers for multi-label problems.
    multilabel : bool
        Whether a sample may belong to any number of classes.
    """

    def __init__(self, classes, multilabel):
        self.classes, self.multilabel = classes, multilabel
        self.multiclass = not multilabel and len(classes) > 2
        self.binary = not multilabel and len(classes) == 2
        if len(classes) < 2 and not multilabel:
            raise ValueError(
                "A classifier needs samples of at least 2 classes, got one class: "
                f"{classes}."
            )

    @classmethod
    def from_targets(cls, y):
        """Return the encoder for all the classes that occur in ``y``."""
        check_classification_targets(y)
        if y.ndim == 2:
            return cls(np.arange(y.shape[1]), multilabel=True)
        return cls(np.unique(y), multilabel=False)

    @property
    def n_outputs(self):
        """Number of targets a sample has: one for two classes."""
        if self.multilabel or self.multiclass:
            return len(self.classes)
        return 1

    def encode(self, y, dtype, indices_for_two=False):
        """Return class indices (n_samples,), or 0 and 1 as (n_samples, n_outputs).

        ``indices_for_two`` asks for class indices also where there are two classes.
        """
        if self.multilabel:
            y = y.toarray() if issparse(y) else y
            return np.asarray(y, dtype=dtype)
        indices = np.searchsorted(self.classes, y)
        if self.multiclass or indices_for_two:
            return indices
        return indices.astype(dtype)[:, None]

    def counts(self, y, sample_weight):
        """Return the total weight of every class, or None for labels."""
        if self.multilabel:
            return None
        indices = np.searchsorted(self.classes, y)
        return np.bincount(indices, sample_weight, minlength=len(self.classes))

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
    """Return the weight of every sample's class, or the product over its labels.

    Parameters
    ----------
    class_weight : dict, "balanced" or list of dict
        By class; for labels "balanced" or one dict a label.
    encoder : LabelEncoder
    y : {ndarray, sparse array} of shape (n_samples,) or (n_samples, n_labels)
        Class labels, or 0 and 1.
    sample_weight : ndarray of shape (n_samples,) or None
        Balanced weights are those of the weighted counts.

    Returns
    -------
    weights : ndarray of shape (n_samples,)
    """
    balanced = isinstance(class_weight, str)
    if encoder.multilabel:
        n_labels = y.shape[1]
        specs = [class_weight] * n_labels if balanced else class_weight
        if not isinstance(specs, list) or len(specs) != n_labels:
            raise ValueError(
                f"For {n_labels} labels class_weight must be 'balanced' or a list of "
                f"as many dicts with the weights of 0 and 1. Got {class_weight!r}."
            )
        y = y.toarray() if issparse(y) else y
        columns = [(spec, np.unique(c), c) for spec, c in zip(specs, y.T, strict=True)]
    elif isinstance(class_weight, list):
        raise ValueError(
            "A list for class_weight is for several labels a sample; y has one. Pass a "
            f"dict of weights by class, or 'balanced'. Got {class_weight!r}."
        )
    else:
        columns = [(class_weight, encoder.classes, y)]
    weights = np.ones(len(columns[0][2]))
    for spec, classes, column in columns:
        with np.errstate(divide="ignore"):
            of_class = compute_class_weight(
                spec, classes=classes, y=column, sample_weight=sample_weight
            )
        # A class whose samples all weigh nothing has no balanced weight.
        of_class[np.isposinf(of_class) & balanced] = 0
        weights *= of_class[np.searchsorted(classes, column)]
    if not np.isfinite(weights).all() or np.min(weights) < 0:
        raise ValueError(
            f"class_weight must give finite weights >= 0. Got {class_weight!r}."
        )
    return weights
