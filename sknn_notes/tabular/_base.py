"""Base class of the estimators for tables: from a table to a fitted pipeline."""

import time
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from sknn_notes._base import BaseObject
from sknn_notes._checks import Interval
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._sklearn import StrOptions, _fit_context
from sknn_notes._typing import MatrixLike
from sknn_notes.tabular._recipes import RECIPES, parameters, recipe_for
from sknn_notes.tabular._table import check_kinds, check_table, columns, preparation
from sknn_notes.tabular._training import Trainer

# What the docstrings of both estimators share.
SHARED = """
Parameters
----------
quality : {'fast', 'balanced', 'best'}, default='balanced'
    How much to train:

    - 'fast': one network, in a short one-cycle schedule, without validation;
    - 'balanced': three larger networks; a validation set decides whether the inputs
      are embedded and for how many epochs to train, before training on all rows;
    - 'best': up to two groups of five networks, with the embeddings that do best on the
      validation set, in a longer schedule.
categorical_features : 'from_dtype', array-like or None, default='from_dtype'
    Which columns are categorical:

    - 'from_dtype': columns of a categorical data type, and columns with strings;
    - array-like of bool, of int or of str: a mask, positions or names;
    - None: no column.
time_limit : float or None, default=None
    Approximate time limit for ``fit``, in seconds. If it is too short for ``quality``,
    first the comparisons are left out, then networks, then epochs. The results then
    depend on the machine and are not reproducible.
n_jobs : int or None, default=None
    Number of networks to train at the same time, on threads; -1 uses all processors.
random_state : int, RandomState instance or None, default=None
    Seeds all random draws. Pass an int for reproducible results.
verbose : bool, default=False
    Whether to print a line for every group of networks.

Attributes
----------
pipeline_ : Pipeline
    Fitted steps: ``"table"``, a :class:`~sklearn.compose.ColumnTransformer`, and
    ``"networks"``, an :class:`~sknn_notes.MLPClassifier` or
    :class:`~sknn_notes.MLPRegressor`; if two groups of networks vote, a
    :class:`~sklearn.ensemble.VotingClassifier` or
    :class:`~sklearn.ensemble.VotingRegressor` of them.
history_ : list of dict
    One record for every trained network: its group, embedding, epochs, losses and
    seconds. Groups with a validation loss were compared; those without one were trained
    on all rows. ``pandas.DataFrame(model.history_)`` shows them as a table.
best_epoch_ : int
    Number of epochs that the first group was trained for.
n_features_in_ : int
    Number of columns seen in ``fit``.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the columns, if all are strings.

Notes
-----
Missing numbers are imputed by the median, with an additional input that marks them, and
numbers are scaled by :class:`~sknn_notes.RobustStandardizer`. Categories are one-hot
encoded if they have at least four rows and are among the 100 most frequent ones of
their column. Rare, unknown and missing categories are encoded as zeros.

The networks have two hidden layers with dropout, and are trained by AdamW in a
one-cycle schedule [1]_, in single precision: classifiers with label smoothing,
regressors on the squared error of standardized targets. Scaling, embeddings and many of
the other parameters follow RealMLP [2]_.

References
----------
.. [1] L. N. Smith, "A disciplined approach to neural network hyper-parameters",
   arXiv:1803.09820, 2018.
.. [2] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong
   pre-tuned MLPs and boosted trees on tabular data", NeurIPS, 2024.
"""


class BaseTabularMLP(BaseObject):
    """Base of the classifier and the regressor for tables."""

    _parameter_constraints: dict[str, list[Any]] = {
        "quality": [StrOptions(set(RECIPES))],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Fitted attributes, described above.
    pipeline_: Pipeline
    history_: list[dict[str, Any]]
    best_epoch_: int
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: MatrixLike, y: Any, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit the preparation of the columns and the networks to a table.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Table.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: class labels for a classifier (0 and 1 in one column per label for
            multilabel targets), numbers in any unit for a regressor.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative sample weights; None gives every sample weight 1.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is invalid, a column holds dates or values of several kinds,
            or a number is infinite.
        TypeError
            If a column has values that are neither strings nor numbers.
        """
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
            # scikit-learn's voting estimators support one column of targets.
            if len(groups) > 1 and len(shape) == 1:
                voters = [
                    (f"group_{i}", FrozenEstimator(group))
                    for i, group in enumerate(groups)
                ]
                model = self._vote(voters, weights).fit(inputs, y)
                # The groups were frozen only to keep ``fit`` from training them again.
                model.estimators_ = groups
                model.named_estimators_.update(
                    zip(model.named_estimators_, groups, strict=True)
                )
            self.pipeline_ = Pipeline([("table", table), ("networks", model)])
            self.history_ = trainer.history
            self.best_epoch_ = groups[0].max_iter
        return self

    def _check_table(self, X: MatrixLike) -> Any:
        check_is_fitted(self)
        X = check_table(self, X, reset=False)
        return check_kinds(X, self.pipeline_["table"])

    def predict(self, X: MatrixLike) -> NDArray[Any]:
        """Predict the target.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Table with the columns seen in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        X = self._check_table(X)
        return np.asarray(self.pipeline_.predict(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags
