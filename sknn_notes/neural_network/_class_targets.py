"""Targets of classifiers: classes, or multilabel targets."""

import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from sknn_notes._checks import holding_numbers
from sknn_notes._numpy import errstate
from sknn_notes._part import kept
from sknn_notes._sklearn import compute_class_weight
from sknn_notes._typing import Floats, Integers
from sknn_notes.neural_network._guidance import check_labels, warn_of_numbers
from sknn_notes.neural_network._targets import LARGE_WEIGHT, Targets


class ClassTargets(Targets):
    """Targets that are mutually exclusive classes, or multilabel targets.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted class labels; for multilabel targets the column numbers.
    multilabel : bool
    """

    def __init__(self, classes: NDArray[Any], multilabel: bool) -> None:
        self.classes, self.multilabel = classes, multilabel
        self._sortable = sortable(classes)
        self.multiclass = not multilabel and len(classes) > 2
        self.binary = not multilabel and len(classes) == 2
        if len(classes) < 2 and not multilabel:
            raise ValueError(
                "A classifier needs samples of at least 2 classes, got one class: "
                f"{classes}."
            )
        self.n_outputs = 1 if self.binary else len(classes)

    @classmethod
    @errstate(invalid="ignore")  # scikit-learn casts floats to int to compare them.
    def start(
        cls, estimator: Any, y: Any, sample_weight: Floats | None, partial: bool
    ) -> tuple[Self, Any]:
        """Return the targets of a first fit, and the validated ``y``.

        ``partial_fit`` has set ``classes_``; ``fit`` finds the classes in ``y``.
        """
        multilabel = y.ndim == 2
        if partial:
            targets = cls(estimator.classes_, multilabel)
            return targets.resume(estimator, y, sample_weight, partial)
        labels = _checked(y)
        check_classification_targets(labels)
        if multilabel:
            classes = np.arange(y.shape[1])
        else:
            classes = np.unique(labels).astype(y.dtype, copy=False)
        targets = cls(classes, multilabel)
        warn_of_numbers(y, classes)
        targets._learn(estimator, labels, sample_weight, partial)
        return targets, labels

    def resume(
        self, estimator: Any, y: Any, sample_weight: Floats | None, partial: bool
    ) -> tuple[Self, Any]:
        """Return the targets of a fit that continues, and the validated ``y``."""
        targets = copy.copy(self)
        y = targets.check(y, complete=not partial)
        targets._learn(estimator, y, sample_weight, partial)
        return targets, y

    def _learn(
        self, estimator: Any, y: Any, sample_weight: Floats | None, partial: bool
    ) -> None:
        """Set the loss and the class weights from the parameters."""
        loss = kept(estimator._resolve("loss"), self.loss)
        task = "multilabel" if self.multilabel else "binary"
        task = "multiclass" if self.multiclass else task
        if task not in loss.tasks:
            raise ValueError(
                f"loss={estimator.loss!r} supports {' and '.join(loss.tasks)} targets, "
                f"but y is {task}. Choose loss='log_loss' or 'hinge'."
            )
        if loss is not self.loss:
            classes, counts = self.classes, None
            if not (partial or self.multilabel):
                counts = np.bincount(self.columns(y)[0], sample_weight, len(classes))
            loss.start(classes, counts)
        self.loss, self.class_weight = loss, estimator.class_weight
        if self.class_weight is not None:
            self._of_class = class_weights(self.class_weight, self, y, sample_weight)
        self.attributes = {
            "classes_": self.classes,
            "n_outputs_": self.n_outputs,
            "out_activation_": self.link.name,
        }

    @errstate(invalid="ignore")
    def check(self, y: Any, complete: bool = False) -> Any:
        """Return ``y``; raise for unknown or, with ``complete``, missing classes."""
        y = _checked(y)
        found = unique_labels(y)
        if self.multilabel != (y.ndim == 2):
            raise ValueError(
                f"y has shape {y.shape}, but the classifier was fitted before on "
                f"{'multilabel targets' if self.multilabel else 'classes'}."
            )
        # Python objects are hashed much faster than NumPy scalars.
        present, known = set(found.tolist()), set(self.classes.tolist())
        if complete and present != known:
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the "
                f"previous call to fit. Previously got {self.classes}, `y` has {found}"
            )
        if not present <= known or (y.ndim == 2 and y.shape[1] != len(self.classes)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. `self.classes_` has "
                f"{self.classes}. 'y' has {found}. Pass all classes to fit, or as "
                "classes in the first call of partial_fit."
            )
        return y

    def columns(self, y: Any) -> Any:
        """Return an array of class indices for each column of ``y``."""
        if self.multilabel:
            return _dense(y).T.astype(np.int8)
        return [np.searchsorted(self._sortable, y)]

    def encode(self, y: Any, dtype: Any) -> NDArray[Any]:
        """Return class indices (n_samples,), or 0s and 1s (n_samples, n_outputs)."""
        if self.multilabel:
            return np.asarray(_dense(y), dtype=dtype)
        (indices,) = self.columns(y)
        if self.multiclass or self.loss.indices_for_two:
            return indices
        return indices.astype(dtype)[:, None]

    def strata(self, y: Any) -> Integers | None:
        return None if self.multilabel else self.columns(y)[0]

    @errstate(over="ignore")
    def weights(
        self, y: Any, sample_weight: Floats | None, partial: bool = False
    ) -> Floats | None:
        if self.class_weight is None:
            return sample_weight
        weight = np.ones(y.shape[0])
        for of_class, indices in zip(self._of_class, self.columns(y), strict=True):
            weight *= of_class[indices]
        if not partial:
            weight /= max(np.max(weight) / LARGE_WEIGHT, 1)
        if sample_weight is not None:
            weight *= sample_weight
        if not partial and not weight.any():
            raise ValueError(
                "All samples have weight zero with "
                f"class_weight={self.class_weight!r}. At least one class must have a "
                "positive weight."
            )
        return weight

    def decode(self, scores: Floats) -> NDArray[Any]:
        """Return the predicted labels for scores of shape (n_samples, n_outputs)."""
        if self.multiclass:
            return self.classes[np.argmax(scores, axis=1)]
        positive = (scores > 0).astype(int)
        return positive if self.multilabel else self.classes[positive[:, 0]]

    def predicted(self, raw: Floats) -> NDArray[Any]:
        """Return class indices, or for each output whether it is positive."""
        scores = self.link.scores(raw)
        return np.argmax(scores, axis=1) if self.multiclass else scores > 0

    def score(
        self,
        predicted: NDArray[Any],
        encoded: NDArray[Any],
        sample_weight: Floats | None,
    ) -> float:
        """Return the weighted fraction of samples with all targets correct."""
        if self.multiclass:
            right = predicted == encoded
        else:
            yes = encoded.reshape(predicted.shape) > 0
            right = np.all(predicted == yes, axis=1)
        return float(np.average(right, weights=sample_weight))


def _checked(y: Any) -> Any:
    """Return sortable ``y``; raise if several columns hold more than 0 and 1."""
    if y.ndim == 1:
        y = sortable(y)
        if y.dtype == object:
            check_labels(y)
        return y
    if not issparse(y) and type_of_target(y).startswith("continuous"):
        check_classification_targets(y)
    values = np.unique(y.data if issparse(y) else y)
    if not np.isin(values, [0, 1]).all():
        raise ValueError(
            "y has several columns, which must hold 0 and 1 only, but holds the values "
            f"{values[:5]}. For several outputs with more classes, wrap the classifier "
            "in sklearn.multioutput.MultiOutputClassifier."
        )
    return y


def sortable(y: Any) -> NDArray[Any]:
    """Return labels, with an array of ``str`` objects converted to a string dtype.

    Sorting, searching and comparing such an array takes a tenth of the time.
    """
    is_text = y.dtype == object and set(map(type, y)) == {str}
    return y.astype(str) if is_text else y


def _dense(y: Any) -> Any:
    return y.toarray() if issparse(y) else y


def class_weights(
    class_weight: Any, targets: ClassTargets, y: Any, sample_weight: Floats | None
) -> list[Floats]:
    """Return the class weights, one array for each column of ``y``.

    Parameters
    ----------
    class_weight : dict, "balanced" or list of dict
        Weights by class; for multilabel targets "balanced" or one dict per column.
    targets : ClassTargets
    y : {ndarray, sparse array} of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,) or None
        Balanced weights are computed from weighted counts.
    """
    balanced = isinstance(class_weight, str)
    specs, columns = [class_weight], targets.columns(y)
    if targets.multilabel:
        specs = [class_weight] * len(columns) if balanced else class_weight
        if not isinstance(specs, list) or len(specs) != len(columns):
            raise ValueError(
                f"For {len(columns)} labels, class_weight must be 'balanced' or a list "
                f"of {len(columns)} dicts with weights of 0 and 1. Got "
                f"{class_weight!r}."
            )
    elif isinstance(class_weight, list):
        raise ValueError(
            "A list for class_weight is for multilabel targets, but y has one column. "
            f"Pass a dict of weights by class, or 'balanced'. Got {class_weight!r}."
        )
    of_columns = []
    for spec, column in zip(specs, columns, strict=True):
        if targets.multilabel:
            present = np.unique(column)
        elif balanced:  # Counting indices is faster than comparing labels.
            present = np.arange(len(targets.classes))
        else:
            present = column = targets.classes
        weight = sample_weight if balanced else None
        with np.errstate(divide="ignore"), holding_numbers("class_weight"):
            weights = compute_class_weight(
                spec, classes=present, y=column, sample_weight=weight
            )
        # A class whose samples all have weight 0 has an infinite balanced weight.
        weights[np.isposinf(weights) & balanced] = 0
        if not np.isfinite(weights).all() or np.min(weights) < 0:
            raise ValueError(
                f"class_weight must give finite weights >= 0. Got {class_weight!r}."
            )
        if targets.multilabel and len(present) == 1:
            # A value that the column does not hold gets weight 1.
            weights = np.insert(weights, 1 - present[0], 1.0)
        of_columns.append(weights)
    return of_columns
