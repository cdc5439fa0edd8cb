"""scikit-learn's callbacks, the only module that knows their API.

A fit of a network has one task an epoch, that of several networks one task a network
with these inside; a fit of a transformer is one task.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sklearn

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class _Context:
        """A task, with what a checkpoint that is passed to ``fit`` asks of it."""

        def __init__(
            self,
            callbacks: list[Any],
            task_name: str,
            task_id: int = 0,
            parent: Any = None,
            **options: Any,
        ) -> None:
            self._callbacks = callbacks
            self.task_name, self.task_id, self.parent = task_name, task_id, parent

        def subcontext(
            self, task_name: str = "", task_id: int = 0, **options: Any
        ) -> "_Context":
            return _Context(self._callbacks, task_name, task_id, self)

        def call_on_fit_task_begin(self, estimator: Any, **data: Any) -> None:
            for callback in self._callbacks:
                callback.on_fit_task_begin(estimator, self)

        def call_on_fit_task_end(self, estimator: Any, **data: Any) -> None:
            for callback in self._callbacks:
                callback.on_fit_task_end(estimator, self)

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator without callbacks, which says what they need."""

        _skl_callbacks: list[Any]

        def _init_callback_context(self, **options: Any) -> _Context:
            context = _Context(self._skl_callbacks, "fit")
            for callback in self._skl_callbacks:
                callback.setup(self, context)
            return context

        @property
        def set_callbacks(self) -> Any:
            """Raise AttributeError, so that the method is absent for ``hasattr``."""
            raise AttributeError(
                f"{type(self).__name__} has callbacks from scikit-learn 1.9 on, and "
                f"scikit-learn {sklearn.__version__} is installed. Install "
                "scikit-learn>=1.9 to call set_callbacks."
            )


__all__ = ["CallbackSupportMixin", "EpochTasks", "NetworkTasks", "called", "fit_task"]


@contextmanager
def called(estimator: Any, callbacks: list[Any]) -> Iterator[None]:
    """Let the tasks that are made in the block call these callbacks."""
    before = vars(estimator).get("_skl_callbacks")
    estimator._skl_callbacks = callbacks
    try:
        yield
    finally:
        if before is None:
            del estimator._skl_callbacks
        else:
            estimator._skl_callbacks = before


@contextmanager
def fit_task(estimator: Any, X: Any, y: Any = None, **metadata: Any) -> Iterator[None]:
    """Tell the callbacks of a transformer, if it has some, of its fit."""
    if not hasattr(estimator, "_skl_callbacks"):
        yield
        return
    data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata or None}
    context = estimator._init_callback_context()
    context.call_on_fit_task_begin(**data)
    yield
    context.call_on_fit_task_end(**data, reconstruction_attributes={})


class EpochTasks:
    """The tasks that the callbacks of an estimator see in one fit.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Inside ``fit``, with callbacks set.
    X, y : array-like
        As passed to ``fit``.
    sample_weight : array-like or None
        As passed to ``fit``.
    context : CallbackContext, default=None
        The task that the epochs are part of; None is a new one, the whole fit.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, context: Any = None
    ) -> None:
        self._data = _data(estimator, X, y, sample_weight)
        if context is None:
            context = estimator._init_callback_context(max_subtasks=estimator.max_iter)
        self._fit = context

    def begin_fit(self, fitted: Callable[[], Any]) -> None:
        """Tell the callbacks that training begins.

        ``fitted`` returns the fitted attributes as they are when a callback asks.
        """
        self._fitted = fitted
        self._fit.call_on_fit_task_begin(**self._data)

    def begin(self) -> None:
        """Tell the callbacks that an epoch begins."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._data)

    def end(self) -> bool:
        """Tell the callbacks that the epoch has ended.

        Returns
        -------
        stop : bool
            Whether a callback asks for the end of training.
        """
        stop: bool = self._epoch.call_on_fit_task_end(
            **self._data, reconstruction_attributes=self._fitted
        )
        return stop

    def end_fit(self) -> None:
        """Tell the callbacks that training has ended."""
        self._fit.call_on_fit_task_end(
            **self._data, reconstruction_attributes=self._fitted
        )


class NetworkTasks:
    """The tasks that the callbacks of several networks see in one fit.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Inside ``fit``, with callbacks set.
    X, y : array-like
        As passed to ``fit``.
    sample_weight : array-like or None
        As passed to ``fit``.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        self._arguments = estimator, X, y, sample_weight
        self._data = _data(*self._arguments)
        self._max_iter = estimator.max_iter
        self._fit = estimator._init_callback_context(
            max_subtasks=estimator.n_networks, sequential_subtasks=False
        )

    def begin_fit(self) -> None:
        """Tell the callbacks that training begins."""
        self._fit.call_on_fit_task_begin(**self._data)

    def of(self, index: int) -> EpochTasks:
        """Return the tasks of one network."""
        context = self._fit.subcontext("network", index, max_subtasks=self._max_iter)
        return EpochTasks(*self._arguments, context)

    def end_fit(self, fitted: Callable[[], Any]) -> None:
        """Tell the callbacks that all networks are trained."""
        self._fit.call_on_fit_task_end(**self._data, reconstruction_attributes=fitted)


def _data(estimator: Any, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """Return what the hooks of callbacks may ask for."""
    weights = None if sample_weight is None else {"sample_weight": sample_weight}
    return {"estimator": estimator, "X": X, "y": y, "metadata": weights}
