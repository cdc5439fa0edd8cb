"""Grid and randomized search that fit all their networks together."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn import model_selection

from sknn_notes._base import BaseObject
from sknn_notes._docstrings import completed
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._messages import pass_on
from sknn_notes._threads import on_this_machine
from sknn_notes._typing import MatrixLike, RandomState
from sknn_notes.model_selection._backend import together
from sknn_notes.model_selection._program import network_in
from sknn_notes.neural_network._together import STACK_SIZE

Grid: TypeAlias = Mapping[str, Sequence[Any] | NDArray[Any]]
# The values are lists, or have a method ``rvs``.
Distributions: TypeAlias = Mapping[str, Any]

# What the docstrings of both searches share.
SHARED = """
Parameters
----------
estimator : estimator
    Estimator whose parameters are searched.
scoring : str, callable, list, tuple or dict, default=None
    How to evaluate the candidates. None uses the estimator's ``score``; a str is the
    name of a scorer; a callable is a scorer, or returns a dict of several scores; a
    list or tuple of names, or a dict of scorers, evaluates several metrics.
n_jobs : int, default=None
    Number of threads. None means 1 unless in a :obj:`joblib.parallel_config` context,
    -1 uses all processors.
refit : bool, str or callable, default=True
    Whether to refit the best candidate on all the data. With several metrics, the name
    of the metric that decides. A callable takes ``cv_results_`` and returns
    ``best_index_``.
cv : int, cross-validation generator or iterable, default=None
    How to split the data. An int is the number of folds, None means 5; the folds are
    stratified for a classifier.
verbose : int, default=0
    Above 0, the number of fits is printed; above 1, each candidate on each split with
    its time; above 2, its score too; above 9, also its start.
pre_dispatch : int or str, default='2*n_jobs'
    Number of tasks that scikit-learn's own search dispatches in advance. When networks
    are fitted together, all tasks are dispatched at once.
error_score : 'raise' or float, default=np.nan
    Score of a candidate whose fit fails. 'raise' raises the error.
return_train_score : bool, default=False
    Whether ``cv_results_`` includes the scores on the training data.
stack_size : 'auto' or int, default='auto'
    Maximum number of networks that a device trains at once. It has no effect on the
    CPU, where every thread trains one network.

Attributes
----------
cv_results_ : dict of str to ndarray
    Parameters, scores, ranks and times of all candidates;
    ``pandas.DataFrame(search.cv_results_)`` shows them as a table.
best_estimator_ : estimator
    Best candidate, refitted on all the data. Not available with ``refit=False``.
best_score_ : float
    Mean score of the best candidate over the splits.
best_params_ : dict
    Parameters of the best candidate.
best_index_ : int
    Row of the best candidate in ``cv_results_``.
scorer_ : callable or dict of str to callable
    Scorer that evaluated the candidates, or several by the names of their metrics.
n_splits_ : int
    Number of splits.
refit_time_ : float
    Time of the fit on all the data, in seconds.
multimetric_ : bool
    Whether there are several metrics.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features, if the best estimator has them.

Notes
-----
Networks are fitted together if the estimator is an :class:`~sknn_notes.MLPClassifier`
or :class:`~sknn_notes.MLPRegressor`, alone or as the last step of a pipeline (or of a
pipeline that is the last step of another one). Then

- the networks are fitted on threads of this process, which share the rows of each
  split; nothing is copied to other processes;
- on a device, networks that differ only in numerical parameters are trained at once,
  and the threads score those that are done;
- the steps before the network are fitted once for each split and each set of their own
  parameters. Several candidates share them, so a scorer must not change them;
- ``mean_fit_time`` is the time of the network plus that of the steps before it, which
  counts in full for every candidate;
- an interruption ends the search after the epochs that are running.

With a fixed ``random_state``, the scores are those of scikit-learn's search, bit for
bit with the same number of BLAS threads.

scikit-learn's own search runs, with processes for ``n_jobs``, for any other estimator,
with callbacks, for a pipeline with ``verbose=True``, and with the joblib backend of a
cluster, such as Dask.
"""


class _FitsTogether(BaseObject):
    """Base of the searches, which fits networks together where possible."""

    # Fitted attributes, described above.
    cv_results_: dict[str, Any]
    best_estimator_: Any
    best_score_: float
    best_params_: dict[str, Any]
    best_index_: int
    scorer_: Any
    n_splits_: int
    refit_time_: float
    multimetric_: bool
    feature_names_in_: NDArray[np.object_]

    def fit(self, X: MatrixLike, y: Any = None, **params: Any) -> Self:
        """Evaluate all candidates, and refit the best one on all the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.
        **params : dict
            Parameters passed to the estimator's ``fit``, the scorer and the splitter.
            An array as long as ``X``, such as ``sample_weight``, is split like ``X``;
            ``groups`` is passed to the splitter.

        Returns
        -------
        self : object
            Fitted search.
        """
        network, _ = network_in(self.estimator)
        callbacks = getattr(self, "_skl_callbacks", None)
        with unchanged_on_error(self):
            if network is None or callbacks or not on_this_machine():
                super().fit(X, y, **params)
                return self
            with together(self.stack_size) as tasks:
                try:
                    super().fit(X, y, **params)
                finally:
                    pass_on(tasks.told, tasks.n_tasks, "fits")
        return self


@completed(SHARED)
class GridSearchCV(_FitsTogether, model_selection.GridSearchCV):
    """Exhaustive search over a grid that fits all its networks together.

    It has the parameters, methods and attributes of scikit-learn's class of the same
    name.

    Parameters
    ----------
    param_grid : dict or list of dict
        Lists of values by parameter name; all combinations are candidates. A list holds
        several grids.

    See Also
    --------
    RandomizedSearchCV : Search over a fixed number of random candidates.
    sklearn.model_selection.GridSearchCV : Base of this search.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sknn_notes import MLPClassifier, Standardizer
    >>> from sknn_notes.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(
    ...     Standardizer(), MLPClassifier(solver="lbfgs", random_state=0)
    ... )
    >>> grid = {"mlpclassifier__alpha": [1e-4, 1e-2, 100.0]}
    >>> search = GridSearchCV(model, grid, cv=3, n_jobs=2).fit(X, y)
    >>> search.cv_results_["mean_test_score"].round(1)
    array([1. , 1. , 0.3])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **model_selection.GridSearchCV._parameter_constraints,
        "stack_size": STACK_SIZE,
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Grid | Sequence[Grid],
        *,
        scoring: str
        | Callable[..., Any]
        | Collection[str]
        | Mapping[str, Any]
        | None = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: float | Literal["raise"] = np.nan,
        return_train_score: bool = False,
        stack_size: int | Literal["auto"] = "auto",
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.stack_size = stack_size


@completed(SHARED)
class RandomizedSearchCV(_FitsTogether, model_selection.RandomizedSearchCV):
    """Search over random candidates that fits all its networks together.

    It has the parameters, methods and attributes of scikit-learn's class of the same
    name.

    Parameters
    ----------
    param_distributions : dict or list of dict
        Lists of values, or distributions with a method ``rvs`` such as those of
        ``scipy.stats``, by parameter name. From a list of dicts, one is drawn for each
        candidate.
    n_iter : int, default=10
        Number of candidates.
    random_state : int, RandomState instance or None, default=None
        Seeds the draw of the candidates.

    See Also
    --------
    GridSearchCV : Search over all combinations.
    sklearn.model_selection.RandomizedSearchCV : Base of this search.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.model_selection import RandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(solver="lbfgs", random_state=0)
    >>> search = RandomizedSearchCV(
    ...     model, {"alpha": loguniform(1e-5, 1e-1)}, n_iter=4, random_state=0
    ... ).fit(X, y)
    >>> print(f"{search.best_score_:.2f}")
    0.98
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **model_selection.RandomizedSearchCV._parameter_constraints,
        "stack_size": STACK_SIZE,
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Distributions | Sequence[Distributions],
        *,
        n_iter: int = 10,
        scoring: str
        | Callable[..., Any]
        | Collection[str]
        | Mapping[str, Any]
        | None = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: RandomState = None,
        error_score: float | Literal["raise"] = np.nan,
        return_train_score: bool = False,
        stack_size: int | Literal["auto"] = "auto",
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.stack_size = stack_size
