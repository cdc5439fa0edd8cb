"""What the two estimators for tables share: from a table to a fitted pipeline."""

import time
from numbers import Integral, Real

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from sknn_notes._base import BaseObject
from sknn_notes._checks import Interval
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._sklearn import StrOptions
from sknn_notes.tabular._recipes import RECIPES, parameters, recipe_for
from sknn_notes.tabular._table import check_kinds, check_table, columns, preparation
from sknn_notes.tabular._training import Trainer


class BaseTabularMLP(BaseObject):
    """Networks for a table: what does not depend on the kind of target."""

    _parameter_constraints: dict = {
        "quality": [StrOptions(set(RECIPES))],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Set by fit; the classes document them.
    pipeline_: Pipeline
    history_: list

    def _fit(self, X, y, sample_weight):
        start = time.monotonic()
        deadline = np.inf if self.time_limit is None else start + self.time_limit
        with unchanged_on_error(self):
            X = check_table(self, X, reset=True)
            check_consistent_length(X, y, sample_weight)
            shape = np.asarray(y).shape
            if shape[1:] == (1,):
                y, shape = column_or_1d(y, warn=True), shape[:1]
            names = getattr(self, "feature_names_in_", None)
            table = preparation(columns(X, self.categorical_features, names))
            inputs = table.fit_transform(X).astype(np.float32)
            n_weighted = len(inputs)
            if sample_weight is not None:
                n_weighted = int(np.count_nonzero(np.asarray(sample_weight)))
            recipe = recipe_for(self.quality, n_weighted)
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            network = self._network(
                **parameters(recipe, len(inputs)), n_jobs=self.n_jobs, random_state=seed
            )
            trainer = Trainer(network, inputs, y, sample_weight, deadline, self.verbose)
            groups, weights = trainer.train(recipe)
            model = groups[0]
            self._publish(model)
            # Voting is for targets of one column.
            if len(groups) > 1 and len(shape) == 1:
                voters = [
                    (f"group_{i}", FrozenEstimator(group))
                    for i, group in enumerate(groups)
                ]
                model = self._vote(voters, weights).fit(inputs, y)
                # They were frozen for the fit alone.
                model.estimators_ = groups
                model.named_estimators_.update(
                    zip(model.named_estimators_, groups, strict=True)
                )
            self.pipeline_ = Pipeline([("table", table), ("networks", model)])
            self.history_ = trainer.history
            self.best_epoch_ = groups[0].max_iter
        return self

    def _check_table(self, X):
        check_is_fitted(self)
        X = check_table(self, X, reset=False)
        return check_kinds(X, self.pipeline_["table"])

    def predict(self, X):
        """Predict the target.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The table, with the columns that ``fit`` saw.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        X = self._check_table(X)
        return self.pipeline_.predict(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags
