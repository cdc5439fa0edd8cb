"""scikit-learn's callbacks; no other module uses their API.

The fit of a network has one task per epoch. The fit of several networks has one task
per network, which contains these. The fit of a transformer is a single task.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sklearn

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class _Context:
        """A task, with the attributes that a checkpoint passed to ``fit`` needs."""

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
        """An estimator without callbacks."""

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
                f"Callbacks of {type(self).__name__} need scikit-learn 1.9 or later, "
                f"but scikit-learn {sklearn.__version__} is installed. Install "
                "scikit-learn>=1.9 to call set_callbacks."
            )


__all__ = ["CallbackSupportMixin", "EpochTasks", "NetworkTasks", "called", "fit_task"]


@contextmanager
def called(estimator: Any, callbacks: list[Any]) -> Iterator[None]:
    """Use these callbacks for the tasks that are created in the block."""
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
    """Notify the callbacks of a transformer, if there are any, of its fit."""
    if not hasattr(estimator, "_skl_callbacks"):
        yield
        return
    data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata or None}
    context = estimator._init_callback_context()
    context.call_on_fit_task_begin(**data)
    yield
    context.call_on_fit_task_end(**data, reconstruction_attributes={})


class EpochTasks:
    """The tasks of one fit, for the callbacks of an estimator.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The estimator during ``fit``, with callbacks set.
    X, y : array-like
        As passed to ``fit``.
    sample_weight : array-like or None
        As passed to ``fit``.
    context : CallbackContext, default=None
        The parent task of the epochs; None creates a new task for the fit.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, context: Any = None
    ) -> None:
        self._data = _data(estimator, X, y, sample_weight)
        if context is None:
            context = estimator._init_callback_context(max_subtasks=estimator.max_iter)
        self._fit = context

    def begin_fit(self, fitted: Callable[[], Any]) -> None:
        """Notify the callbacks that training begins.

        ``fitted`` returns the fitted attributes at the time of the call.
        """
        self._fitted = fitted
        self._fit.call_on_fit_task_begin(**self._data)

    def begin(self) -> None:
        """Notify the callbacks that an epoch begins."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._data)

    def end(self) -> bool:
        """Notify the callbacks that the epoch has ended.

        Returns
        -------
        stop : bool
            Whether a callback requests that training stops.
        """
        stop: bool = self._epoch.call_on_fit_task_end(
            **self._data, reconstruction_attributes=self._fitted
        )
        return stop

    def end_fit(self) -> None:
        """Notify the callbacks that training has ended."""
        self._fit.call_on_fit_task_end(
            **self._data, reconstruction_attributes=self._fitted
        )


class NetworkTasks:
    """The tasks of one fit of several networks, for the callbacks.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The estimator during ``fit``, with callbacks set.
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
        """Notify the callbacks that training begins."""
        self._fit.call_on_fit_task_begin(**self._data)

    def of(self, index: int) -> EpochTasks:
        """Return the tasks of one network."""
        context = self._fit.subcontext("network", index, max_subtasks=self._max_iter)
        return EpochTasks(*self._arguments, context)

    def end_fit(self, fitted: Callable[[], Any]) -> None:
        """Notify the callbacks that all networks are trained."""
        self._fit.call_on_fit_task_end(**self._data, reconstruction_attributes=fitted)


def _data(estimator: Any, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """Return the arguments of the hooks of callbacks."""
    weights = None if sample_weight is None else {"sample_weight": sample_weight}
    return {"estimator": estimator, "X": X, "y": y, "metadata": weights}
