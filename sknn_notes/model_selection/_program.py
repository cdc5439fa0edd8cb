"""Runs all tasks of a search together: rows, transformers, networks, scores."""

from collections.abc import Callable, Hashable
from functools import partial
from inspect import unwrap
from itertools import islice
from numbers import Number
from time import perf_counter
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sknn_notes._messages import Listening
from sknn_notes._sklearn import cross_validating, rows_of_fold
from sknn_notes._threads import run_on_threads
from sknn_notes.model_selection._lines import end_line, start_line
from sknn_notes.neural_network._base import BaseMLP
from sknn_notes.neural_network._inputs import Inputs
from sknn_notes.neural_network._together import Job, Outcome, fit_together

# Maximum size of the training rows in memory at the same time, in bytes.
_ROWS_AT_ONCE = 2**30
# Keyword arguments of a task of scikit-learn's searches.
_KEYWORDS = {
    "train",
    "test",
    "parameters",
    "fit_params",
    "score_params",
    "return_train_score",
    "verbose",
}


def network_in(estimator: Any) -> tuple[Any, str]:
    """Return the network at the end of pipelines and the prefix of its parameters.

    Returns
    -------
    network : MLPClassifier, MLPRegressor or None
        None if the estimator must be fitted as a whole: it is another estimator, it has
        callbacks, which follow the whole fit, or it prints each of its steps.
    prefix : str
    """
    prefix = ""
    while type(estimator) is Pipeline and estimator.steps:
        if estimator.verbose or getattr(estimator, "_skl_callbacks", None):
            return None, prefix
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    is_network = isinstance(estimator, BaseMLP)
    if not is_network or getattr(estimator, "_skl_callbacks", None):
        return None, prefix
    return estimator, prefix


class _Task(NamedTuple):
    """One candidate on one split, as the arguments of scikit-learn's function."""

    function: Any
    estimator: Any
    X: Any
    y: Any
    keywords: dict[str, Any]

    @classmethod
    def of(cls, call: Any) -> Self | None:
        """Return the task of a call, or None if the call has other arguments.

        The function is taken without scikit-learn's wrapper, which sets the
        configuration, which the threads here have already, and the warning filters,
        which belong to the whole process.
        """
        function, arguments, keywords = call
        if len(arguments) != 3 or not keywords.keys() >= _KEYWORDS:
            return None
        estimator, X, y = arguments
        return cls(unwrap(function), estimator, X, y, keywords)

    def group(self) -> Hashable:
        """Return the key of the tasks whose networks are fitted to the same rows.

        None if the task must be called as it is.
        """
        parameters = self.keywords["parameters"]
        self.estimator.set_params(**clone(parameters, safe=False))
        network, prefix = network_in(self.estimator)
        pairwise = get_tags(self.estimator).input_tags.pairwise
        if network is None or self.y is None or pairwise:
            return None
        before_network = [
            (name, _token(parameters[name]))
            for name in sorted(parameters)
            if not name.startswith(prefix)
        ]
        return id(self.keywords["train"]), prefix, *before_network


def _token(value: Any) -> Any:
    """Return a key that is equal for equal plain values and for identical objects."""
    plain = value is None or isinstance(value, str | Number)
    return (type(value), value) if plain else id(value)


class _Fold:
    """Rows of a split, with the parameters of ``fit`` and of the scorer."""

    def __init__(self, task: _Task) -> None:
        cut = partial(rows_of_fold, task.estimator, task.X, task.y)
        keywords = task.keywords
        self.train = cut(keywords["fit_params"], keywords["train"])
        # For training scores, scikit-learn's function splits the whole data itself.
        self.test = None
        if not keywords["return_train_score"]:
            self.test = cut(keywords["score_params"], keywords["test"])
        # The rows that networks without previous steps predict on.
        self.inputs = Inputs(None if self.test is None else self.test[0])


class _Group:
    """Tasks whose networks are fitted to the same rows."""

    def __init__(self) -> None:
        self.indices: list[int] = []
        self.fold: Any = None
        self.rows: Any = None
        self.failure: Any = None
        self.seconds = 0.0
        self.told: list[Any] = []

    def prepare(self, tasks: dict[int, _Task]) -> None:
        """Fit the transformers and share them among the tasks."""
        first, *others = (tasks[i].estimator for i in self.indices)
        begin = perf_counter()
        with Listening(f"Transformers of fit {self.indices[0]}") as self.told:
            try:
                self.rows = _fit_transformers(first, *self.fold.train)
            except Exception as error:
                self.failure = error
        self.seconds = perf_counter() - begin
        if self.failure is None:
            for other in others:
                _take_transformers(other, first)


def _fit_transformers(estimator: Any, X: Any, y: Any, fit_params: Any) -> Any:
    """Fit the steps before the network; return the arguments of the network's fit."""
    network, prefix = network_in(estimator)
    if not prefix:
        return X, y, fit_params
    arguments: Any = None

    def keep(X: Any, y: Any, **fit_params: Any) -> Any:
        nonlocal arguments
        arguments = X, y, fit_params
        return network

    network.fit = keep
    try:
        estimator.fit(X, y, **fit_params)
    finally:
        del network.fit
    return arguments


def _take_transformers(estimator: Any, fitted: Any) -> None:
    """Replace the steps of a pipeline by fitted ones, except the network."""
    while type(estimator) is Pipeline:
        estimator.steps = [*fitted.steps[:-1], estimator.steps[-1]]
        estimator, fitted = estimator.steps[-1][1], fitted.steps[-1][1]


class Program:
    """All tasks of a search.

    Parameters
    ----------
    calls : list of tuple
        Function, arguments and keywords of each task. The list is cleared, so that a
        network is freed when its task is done.
    n_jobs : int
        Number of threads.
    stack_size : "auto" or int
    told : list
        Collects the warnings of the fits.
    """

    def __init__(
        self,
        calls: list[Any],
        n_jobs: int,
        stack_size: int | Literal["auto"],
        told: list[Any],
    ) -> None:
        self._n_jobs, self._stack_size, self._told = n_jobs, stack_size, told
        self._results: list[Any] = [None] * len(calls)
        # Tasks whose networks are fitted together, and calls to make as they are.
        self._tasks: dict[int, _Task] = {}
        self._calls: dict[int, Any] = {}
        self._groups: dict[Hashable, _Group] = {}
        for i, call in enumerate(calls):
            task = _Task.of(call)
            key = None if task is None else task.group()
            if task is None or key is None:
                function, *arguments = call
                self._calls[i] = unwrap(function), *arguments
            else:
                self._tasks[i] = task
                self._groups.setdefault(key, _Group()).indices.append(i)
        calls.clear()

    def run(self) -> list[Any]:
        """Return the results of the calls, in order."""
        indices = list(self._calls)
        self._on_threads(lambda i: self._call(indices[i]), len(indices))
        with cross_validating():
            groups = iter(self._groups.values())
            while some := list(islice(groups, self._n_groups())):
                self._run_groups(some)
        return self._results

    def _on_threads(self, function: Callable[[int], None], n_calls: int) -> None:
        run_on_threads(function, n_calls, max(1, min(self._n_jobs, n_calls)))

    def _call(self, i: int) -> None:
        function, arguments, keywords = self._calls.pop(i)
        self._results[i] = function(*arguments, **keywords)

    def _n_groups(self) -> int:
        """Return the number of groups whose rows may be in memory at the same time."""
        X = next(iter(self._tasks.values())).X if self._tasks else None
        return max(self._n_jobs, _ROWS_AT_ONCE // max(1, _n_bytes(X)))

    def _run_groups(self, groups: list[_Group]) -> None:
        folds: dict[int, _Fold] = {}
        for group in groups:
            task = self._tasks[group.indices[0]]
            split = id(task.keywords["train"])
            if split not in folds:
                folds[split] = _Fold(task)
            group.fold = folds[split]
            for i in group.indices:
                start_line(self._tasks[i].keywords)
        self._on_threads(lambda i: groups[i].prepare(self._tasks), len(groups))
        jobs: list[Any] = []
        places = []
        for group in groups:
            self._told += group.told
            for i in group.indices:
                if group.failure is not None:
                    self._finish(group, i, Outcome(0.0, group.failure, []))
                    continue
                network, _ = network_in(self._tasks[i].estimator)
                jobs.append(Job(network, *group.rows))
                places.append((group, i))

        def finish(job: int, outcome: Outcome) -> None:
            jobs[job] = None
            group, i = places[job]
            self._finish(group, i, outcome)

        outcomes = fit_together(
            jobs, n_jobs=self._n_jobs, stack_size=self._stack_size, finish=finish
        )
        self._told += [each for outcome in outcomes for each in outcome.told]
        for group in groups:
            group.fold = group.rows = None

    def _finish(self, group: _Group, i: int, outcome: Outcome) -> None:
        task = self._tasks.pop(i)
        with group.fold.inputs.known():
            result = _scored(task, group.fold, outcome.error)
        result["fit_time"] = group.seconds + outcome.seconds
        end_line(task.keywords, result)
        self._results[i] = result


def _scored(task: _Task, fold: _Fold, error: BaseException | None) -> dict[str, Any]:
    """Return scikit-learn's result for a task whose estimator is fitted or failed."""
    estimator, X, y = task.estimator, task.X, task.y
    keywords = task.keywords | {"fit_params": None, "verbose": 0}
    if fold.test is not None:
        X, y, score_params = fold.test
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        keywords["score_params"] = score_params
        keywords["train"], keywords["test"] = np.arange(0), np.arange(n_rows)
    traceback = None if error is None else error.__traceback__

    def fit(*arguments: Any, **keywords: Any) -> Any:
        del estimator.fit, estimator.set_params
        if error is not None:
            raise error
        return estimator

    estimator.fit, estimator.set_params = fit, lambda **parameters: estimator
    try:
        result: dict[str, Any] = task.function(estimator, X, y, **keywords)
        return result
    finally:
        if error is not None:
            # The error may be raised again for other tasks, with the same traceback.
            error.__traceback__ = traceback


def _n_bytes(X: Any) -> int:
    if hasattr(X, "nbytes"):
        return int(X.nbytes)
    if hasattr(X, "nnz"):
        return int(12 * X.nnz)
    return 8 * int(np.prod(np.shape(X), dtype=float))
