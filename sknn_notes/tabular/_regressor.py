"""The regressor for tables."""

from sklearn.base import RegressorMixin
from sklearn.ensemble import VotingRegressor

from sknn_notes._docstrings import completed
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
        quality="balanced",
        *,
        categorical_features="from_dtype",
        time_limit=None,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.quality = quality
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _network(self, **parameters):
        return MLPRegressor(**parameters)

    def _publish(self, network):
        pass

    def _vote(self, estimators, weights):
        return VotingRegressor(estimators, weights=weights)
