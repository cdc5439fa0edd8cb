"""scikit-learn's callbacks, the only module that knows their API.

A fit of a network has one task an epoch; a fit of a transformer is one task.
"""

from contextlib import contextmanager

import sklearn

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator without callbacks, which says what they need."""

        @property
        def set_callbacks(self):
            """Raise AttributeError, so that the method is absent for ``hasattr``."""
            raise AttributeError(
                f"{type(self).__name__} has callbacks from scikit-learn 1.9 on, and "
                f"scikit-learn {sklearn.__version__} is installed. Install "
                "scikit-learn>=1.9 to call set_callbacks."
            )


__all__ = ["CallbackSupportMixin", "EpochTasks", "fit_task"]


@contextmanager
def fit_task(estimator, X, y=None, **metadata):
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
    """

    def __init__(self, estimator, X, y, sample_weight):
        self._data = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": None
            if sample_weight is None
            else {"sample_weight": sample_weight},
        }
        self._fit = estimator._init_callback_context(max_subtasks=estimator.max_iter)

    def begin_fit(self, fitted):
        """Tell the callbacks that training begins.

        ``fitted`` returns the fitted attributes as they are when a callback asks.
        """
        self._fitted = fitted
        self._fit.call_on_fit_task_begin(**self._data)

    def begin(self):
        """Tell the callbacks that an epoch begins."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._data)

    def end(self):
        """Tell the callbacks that the epoch has ended.

        Returns
        -------
        stop : bool
            Whether a callback asks for the end of training.
        """
        return self._epoch.call_on_fit_task_end(
            **self._data, reconstruction_attributes=self._fitted
        )

    def end_fit(self):
        """Tell the callbacks that training has ended."""
        self._fit.call_on_fit_task_end(
            **self._data, reconstruction_attributes=self._fitted
        )
