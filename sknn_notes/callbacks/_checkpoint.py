"""The callback that writes a fit to a file, from which another process finishes it."""

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
    """Callback that writes a fit to a file while it runs, to be resumed from there.

    The file holds all the state of a fit of :class:`~sknn_notes.MLPClassifier` or
    :class:`~sknn_notes.MLPRegressor` between two epochs: weights, the solver's state,
    the random generator, curves, the best weights so far, parameters, and fingerprints
    of the data. ``Checkpoint.load(path).resume(X, y)`` finishes the same fit, after a
    crash or in another process, and returns the estimator that the fit would have ended
    with, equal in every bit.

    The file is replaced in one step: a process killed while writing leaves the previous
    one. If a write fails, for example because the disk is full, a warning says so,
    training continues and the previous file stays.

    Parameters
    ----------
    path : str or path-like
        The file. Its folder has to exist. The file is written when a fit begins, and
        replaces the file of an earlier fit.
    every_n_epochs : int, default=None
        Write after this many epochs. If it and ``every_n_minutes`` are both None, write
        after every epoch; if both are set, whichever comes first.
    every_n_minutes : float, default=None
        Write after the first epoch that ends this many minutes after the last write.
        Set it where an epoch takes less time than a write.

    Notes
    -----
    The file is a pickle, and loading it runs whatever code it contains: load only files
    that you trust. It is loaded by the version of sknn_notes that wrote it.

    Bits are equal on the same kind of processor with the same versions of numpy, scipy
    and numba. A fit that began with numba and is resumed without it is the same up to
    rounding, and a warning says so.

    A fit with ``solver="lbfgs"``, whose state scipy keeps to itself, raises an error.
    ``partial_fit`` writes no checkpoint: pickle the estimator between two calls. The
    estimators of :mod:`sknn_notes.tabular` have no checkpoints.

    In a search or a cross-validation only the refit is written: the other fits would
    replace each other's file. Other callbacks of the estimator are written and resumed
    with it, so they have to be picklable.

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

    The file holds the fit as it was after 40 epochs. Had the process ended there,
    another one would finish the fit:

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
        # What ``load`` finds.
        self._record: Any = None
        # One for each fit: clones of an estimator share their callbacks.
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
        """Check, before any work, that the fit can be written to the file.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator that is fitted.
        context : CallbackContext
            The task of the whole fit.

        Raises
        ------
        OSError
            If the file can't be written there.
        ValueError
            If the solver is 'lbfgs'.
        TypeError
            If the estimator is another one.
        """
        record = vars(estimator).get("_fit_record")
        if record is None:
            raise TypeError(
                "Checkpoint is a callback of MLPClassifier and MLPRegressor, got "
                f"{type(estimator).__name__}. Call set_callbacks on the network inside."
            )
        if in_cross_validation():
            return
        record.check()
        # Resolved now: the process may change its folder.
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
        """Write the file if an epoch begins and it is time to.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator that is fitted.
        context : CallbackContext
            The task that begins.
        """
        # Not at the end of an epoch, when what follows from it is still to be decided.
        if context.task_name == "epoch" and estimator in self._writers:
            network = context.parent
            index = network.task_id if network.task_name == "network" else 0
            self._writers[estimator].begin_epoch(index)

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Write the file if all of several networks are trained.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator that is fitted.
        context : CallbackContext
            The task that ends.
        """
        if context.task_name == "fit" and estimator in self._writers:
            self._writers[estimator].end_fit()

    # Resuming.

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load the fit that a file holds.

        Loading runs whatever code the file holds: load only files that you trust.

        Parameters
        ----------
        path : str or path-like
            The file that a checkpoint has written.

        Returns
        -------
        checkpoint : Checkpoint
            The checkpoint that wrote the file; ``resume`` goes on with the fit, and
            goes on writing to ``path``.

        Raises
        ------
        ValueError
            If the file is not a checkpoint, or another version wrote it.
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
        """Finish the fit that was loaded, from where it was written.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data that the fit began with. For a network in a pipeline these are the
            data transformed by the steps before it.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets that it began with.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights that it began with.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Its validation data.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        estimator : MLPClassifier or MLPRegressor
            A new estimator, fitted, as the fit would have ended without interruption.

        Raises
        ------
        ValueError
            If the data are not those that the fit began with, or no fit was loaded.
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
    """Writes one fit to the file of a checkpoint when it is time to.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : Path
    record : FitRecord
    """

    def __init__(self, checkpoint: Checkpoint, path: Path, record: Any) -> None:
        self._checkpoint, self._path, self._record = checkpoint, path, record
        self._has_written = False
        # Of each network the epochs at its last turn, and when that was.
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
            # From its start the file is that of this fit, and of no earlier one.
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
                    "in a module, or leave the checkpoint out."
                ) from error
            warnings.warn(
                f"The checkpoint {self._path} could not be written: {error}. Training "
                "continues, and the file stays as it was.",
                stacklevel=2,
            )
