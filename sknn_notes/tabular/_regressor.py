"""Regressor for tables."""

from typing import Any, Literal

from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.ensemble import VotingRegressor

from sknn_notes._docstrings import completed
from sknn_notes._typing import RandomState
from sknn_notes.neural_network import MLPRegressor
from sknn_notes.tabular._base import SHARED, BaseTabularMLP


@completed(SHARED)
class TabularMLPRegressor(RegressorMixin, BaseTabularMLP):
    """Neural network regressor for tables, with tuned parameters.

    It takes a table as it is, with numbers, categories, strings and missing values. The
    parameters of its networks are tuned; those that depend on the data are chosen on a
    validation set.

    See Also
    --------
    TabularMLPClassifier : The same for class labels.
    sknn_notes.MLPRegressor : The network, with all its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.tabular import TabularMLPRegressor
    >>> X = np.array([["red", 1.0], ["blue", 2.0], ["red", np.nan]] * 40, dtype=object)
    >>> y = np.array([10.0, 20.0, 30.0] * 40)
    >>> model = TabularMLPRegressor(quality="fast", random_state=0).fit(X, y)
    >>> model.predict([["red", 1.0], ["blue", 2.0]]).round(-1)
    array([10., 20.], dtype=float32)
    """

    def __init__(
        self,
        quality: Literal["fast", "balanced", "best"] = "balanced",
        *,
        categorical_features: ArrayLike | None = "from_dtype",
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: bool | int = False,
    ) -> None:
        self.quality = quality
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _network(self, **parameters: Any) -> MLPRegressor:
        return MLPRegressor(**parameters)

    def _publish(self, network: Any) -> None:
        pass

    def _vote(self, estimators: list[tuple[str, Any]], weights: Any) -> VotingRegressor:
        return VotingRegressor(estimators, weights=weights)
