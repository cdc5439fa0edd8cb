"""Classifier for tables."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.ensemble import VotingClassifier

from sknn_notes._docstrings import completed
from sknn_notes._sklearn import StrOptions
from sknn_notes._typing import Floats, MatrixLike, RandomState
from sknn_notes.losses import LogLoss
from sknn_notes.neural_network import MLPClassifier
from sknn_notes.tabular._base import SHARED, BaseTabularMLP


@completed(SHARED)
class TabularMLPClassifier(ClassifierMixin, BaseTabularMLP):
    """Neural network classifier for tables, with tuned parameters.

    It takes a table as it is, with numbers, categories, strings and missing values. The
    parameters of its networks are tuned; those that depend on the data are chosen on a
    validation set.

    Parameters
    ----------
    class_weight : dict, 'balanced' or None, default=None
        Class weights in the loss, as in :class:`~sknn_notes.MLPClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel targets the column numbers.

    See Also
    --------
    TabularMLPRegressor : The same for continuous targets.
    sknn_notes.MLPClassifier : The network, with all its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.tabular import TabularMLPClassifier
    >>> X = np.array([["red", 1.0], ["blue", 2.0], ["red", np.nan]] * 40, dtype=object)
    >>> y = np.array(["stop", "go", "stop"] * 40)
    >>> model = TabularMLPClassifier(quality="fast", random_state=0).fit(X, y)
    >>> model.predict([["red", None], [None, 2.0]])
    array(['stop', 'go'], dtype='<U4')
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **BaseTabularMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    classes_: NDArray[Any]

    def __init__(
        self,
        quality: Literal["fast", "balanced", "best"] = "balanced",
        *,
        categorical_features: ArrayLike | None = "from_dtype",
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: bool | int = False,
    ) -> None:
        self.quality = quality
        self.categorical_features = categorical_features
        self.class_weight = class_weight
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _network(self, **parameters: Any) -> MLPClassifier:
        loss = LogLoss(label_smoothing=0.1)
        return MLPClassifier(loss=loss, class_weight=self.class_weight, **parameters)

    def _publish(self, network: Any) -> None:
        self.classes_ = network.classes_

    def _vote(
        self, estimators: list[tuple[str, Any]], weights: Any
    ) -> VotingClassifier:
        # skl2onnx needs flatten_transform=False; predictions do not depend on it.
        return VotingClassifier(
            estimators, voting="soft", weights=weights, flatten_transform=False
        )

    def predict_proba(self, X: MatrixLike) -> Floats:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Table with the columns seen in ``fit``.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probability of each class in the order of ``classes_``, or of each label.
        """
        X = self._check_table(X)
        return np.asarray(self.pipeline_.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
