"""Class labels to the targets that classification losses take, and back."""

import numpy as np
from scipy.sparse import issparse
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
