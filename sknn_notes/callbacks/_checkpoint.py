"""The callback that writes a fit to a file, from which it can be resumed."""

import os
import warnings
from numbers import Integral, Real
from pathlib import Path
from time import monotonic
from typing import Any, Self
from weakref import WeakKeyDictionary

from sknn_notes._checks import Interval, check_value
from sknn_notes._sklearn import in_cross_validation
from sknn_notes.callbacks import _storage

_CONSTRAINTS: dict[str, list[Any]] = {
    "path": [str, os.PathLike],
    "every_n_epochs": [None, Interval(Integral, 1, None, closed="left")],
    "every_n_minutes": [None, Interval(Real, 0, None, closed="neither")],
}


class Checkpoint:
    """Callback that writes a running fit to a file, so that it can be resumed.

    The file holds the complete state of a fit of :class:`~sknn_notes.MLPClassifier` or
    :class:`~sknn_notes.MLPRegressor` between two epochs: weights, the state of the
    optimizer and of the random generator, curves, the best weights so far, parameters,
    and fingerprints of the data. ``Checkpoint.load(path).resume(X, y)`` finishes the
    fit, after a crash or in another process. The result is bitwise equal to that of an
    uninterrupted fit.

    The file is replaced atomically: if the process is killed while writing, the
    previous file remains. If a write fails, for example because the disk is full, a
    warning is issued, training continues, and the previous file remains.

    Parameters
    ----------
    path : str or path-like
        Path of the file, in an existing folder. The file is written when a fit begins,
        and replaces the file of an earlier fit.
    every_n_epochs : int, default=None
        Write every this many epochs. If this and ``every_n_minutes`` are both None,
        write after every epoch; if both are set, whichever comes first.
    every_n_minutes : float, default=None
        Write after the first epoch that ends at least this many minutes after the last
        write. Set it if an epoch takes less time than a write.

    Notes
    -----
    The file is a pickle. Loading it can run arbitrary code: load only files that you
    trust. Only the version of sknn_notes that wrote a file can load it.

    Results are bitwise equal on the same type of processor with the same versions of
    numpy, scipy and numba. If a fit began with numba and is resumed without it, results
    are equal up to rounding, and a warning is issued.

    A fit with ``solver="lbfgs"`` raises an error, since scipy does not expose its
    state. ``partial_fit`` writes no checkpoint: pickle the estimator between two calls.
    The estimators of :mod:`sknn_notes.tabular` do not support checkpoints.

    In a search or a cross-validation only the refit writes a file, since the other fits
    would overwrite each other's. The other callbacks of the estimator are part of the
    file, so they have to be picklable.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.callbacks import Checkpoint
    >>> X, y = load_iris(return_X_y=True)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "fit.ckpt")
    >>> model = MLPClassifier(max_iter=50, random_state=0)
    >>> model = model.fit(X, y, checkpoint=Checkpoint(path, every_n_epochs=20))

    The file holds the state of the fit after 40 epochs. If the process had ended then,
    another process could finish the fit:

    >>> resumed = Checkpoint.load(path).resume(X, y)
    >>> resumed.n_iter_
    50
    >>> print(resumed.loss_ - model.loss_)
    0.0
    >>> folder.cleanup()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every_n_epochs: int | None = None,
        every_n_minutes: float | None = None,
    ) -> None:
        self.path = path
        self.every_n_epochs = every_n_epochs
        self.every_n_minutes = every_n_minutes
        for name, constraints in _CONSTRAINTS.items():
            check_value("Checkpoint", name, getattr(self, name), constraints)
        self._start()

    def _start(self) -> None:
        # The fit that ``load`` has read.
        self._record: Any = None
        # One writer per fit: clones of an estimator share their callbacks.
        self._writers: WeakKeyDictionary[Any, _Writer] = WeakKeyDictionary()

    def __repr__(self) -> str:
        options = [
            f"{name}={getattr(self, name)!r}"
            for name in ("every_n_epochs", "every_n_minutes")
            if getattr(self, name) is not None
        ]
        return f"Checkpoint({', '.join([repr(self.path), *options])})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _CONSTRAINTS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start()

    # Writing.

    def setup(self, estimator: Any, context: Any) -> None:
        """Check, before training, that the fit can be written to the file.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator that is being fitted.
        context : CallbackContext
            The task of the whole fit.

        Raises
        ------
        OSError
            If the file can't be written.
        ValueError
            If ``solver="lbfgs"``.
        TypeError
            If the estimator is not an MLPClassifier or MLPRegressor.
        """
        record = vars(estimator).get("_fit_record")
        if record is None:
            raise TypeError(
                "Checkpoint is a callback for MLPClassifier and MLPRegressor, got "
                f"{type(estimator).__name__}. Call set_callbacks on the network inside."
            )
        if in_cross_validation():
            return
        record.check()
        # Resolved now, since the process may change its working directory.
        path = Path(os.path.realpath(self.path))
        _storage.check_writable(path)
        self._writers[estimator] = _Writer(self, path, record)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Forget the fit.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator that was fitted.
        context : CallbackContext
            The task of the whole fit.
        """
        self._writers.pop(estimator, None)

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Write the file if an epoch begins and a write is due.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator that is being fitted.
        context : CallbackContext
            The task that begins.
        """
        # Not at the end of an epoch, when early stopping is still to be decided.
        if context.task_name == "epoch" and estimator in self._writers:
            network = context.parent
            index = network.task_id if network.task_name == "network" else 0
            self._writers[estimator].begin_epoch(index)

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Write the file once all networks of an ensemble are trained.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator that is being fitted.
        context : CallbackContext
            The task that ends.
        """
        if context.task_name == "fit" and estimator in self._writers:
            self._writers[estimator].end_fit()

    # Resuming.

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load a fit from a file.

        Loading can run arbitrary code: load only files that you trust.

        Parameters
        ----------
        path : str or path-like
            The file that a checkpoint wrote.

        Returns
        -------
        checkpoint : Checkpoint
            The checkpoint that wrote the file. Its method ``resume`` continues the fit,
            and continues to write to ``path``.

        Raises
        ------
        ValueError
            If the file is not a checkpoint, or was written by another version.
        """
        checkpoint: Self
        checkpoint, record = _storage.read(path)
        checkpoint.path, checkpoint._record = path, record
        return checkpoint

    def resume(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Finish the fit that was loaded.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data of the original fit. For a network in a pipeline, these are
            the data transformed by the preceding steps.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets of the original fit.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights of the original fit.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data of the original fit.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation data.
        sample_weight_val : array-like of shape (n_val,), default=None
            Sample weights of the validation data.

        Returns
        -------
        estimator : MLPClassifier or MLPRegressor
            A new fitted estimator, the result of the fit without interruption.

        Raises
        ------
        ValueError
            If the data are not those of the original fit, or no fit was loaded.
        """
        if self._record is None:
            raise ValueError(
                "This checkpoint holds no fit to resume. Load one from its file: "
                f"Checkpoint.load({os.fspath(self.path)!r}).resume(X, y)."
            )
        data = {
            "X": X,
            "y": y,
            "sample_weight": sample_weight,
            "X_val": X_val,
            "y_val": y_val,
            "sample_weight_val": sample_weight_val,
        }
        return self._record.resume(data, self)


class _Writer:
    """Writes one fit to the file of a checkpoint whenever a write is due.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : Path
    record : FitRecord
    """

    def __init__(self, checkpoint: Checkpoint, path: Path, record: Any) -> None:
        self._checkpoint, self._path, self._record = checkpoint, path, record
        self._has_written = False
        # For each network: number of epochs and time at its last write.
        self._last: dict[int, tuple[int, float]] = {}

    def begin_epoch(self, index: int) -> None:
        n_epochs, now = self._record.n_epochs(index), monotonic()
        if self._is_time(index, n_epochs, now):
            self._record.capture(index)
            self._write()
            self._last[index] = n_epochs, monotonic()

    def end_fit(self) -> None:
        if self._record.all_finished:
            self._write()

    def _is_time(self, index: int, n_epochs: int, now: float) -> bool:
        if index not in self._last:
            # Written at the start, so that the file never holds an earlier fit.
            return True
        epochs, minutes = (
            self._checkpoint.every_n_epochs,
            self._checkpoint.every_n_minutes,
        )
        if epochs is None and minutes is None:
            epochs = 1
        last_epoch, last_time = self._last[index]
        return (epochs is not None and n_epochs - last_epoch >= epochs) or (
            minutes is not None and now - last_time >= 60 * minutes
        )

    def _write(self) -> None:
        try:
            _storage.write(self._path, (self._checkpoint, self._record))
            self._has_written = True
        except Exception as error:
            if not (self._has_written or isinstance(error, OSError)):
                raise TypeError(
                    "The fit can't be written to a checkpoint, since a parameter or a "
                    f"callback can't be pickled: {error}. Define classes and functions "
                    "in a module, or remove the checkpoint."
                ) from error
            warnings.warn(
                f"The checkpoint {self._path} could not be written: {error}. Training "
                "continues, and the previous file remains.",
                stacklevel=2,
            )
