"""The state of a running fit, from which a checkpoint resumes it."""

import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from sknn_notes._engine.training import TrainingState
from sknn_notes.callbacks._fingerprint import check_same, fingerprints


class Progress(NamedTuple):
    """State of the training of one network at the start of an epoch.

    It does not change when training continues.
    """

    theta: np.ndarray
    running: np.ndarray
    state: TrainingState
    epochs: dict
    executor: str


class FitRecord:
    """All that is needed to start a fit again, and the progress of its networks.

    To resume a fit, it is prepared again with the same random draws, and its networks
    continue from their progress.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Estimator before the fit changes it.
    data : dict of str to (array-like, sparse matrix or None)
        Arguments of ``fit``.

    Attributes
    ----------
    progress : dict of int to Progress
        Progress of the networks that are being trained, by index.
    finished : dict of int to tuple
        Fitted attributes and warnings of the networks that are done, by index. Only
        kept if there are several networks.
    """

    def __init__(self, estimator, data):
        self._estimator = copy.copy(estimator)
        # The callback context of a pipeline or search that this fit belongs to.
        vars(self._estimator).pop("_parent_callback_ctx", None)
        # Its state before the fit is prepared, which draws from it.
        random_state = check_random_state(estimator.random_state)
        self._random_state = random_state.get_state()
        self._data, self._fingerprints = data, None
        self.progress: dict[int, Progress] = {}
        self.finished: dict[int, tuple] = {}
        self._trainings: dict[int, Any] = {}

    def __getstate__(self):
        if self._fingerprints is None:
            self._fingerprints = fingerprints(self._data)
            self._data = None
        return {**vars(self), "_trainings": {}}

    def check(self):
        """Raise ValueError if the solver does not support checkpoints."""
        solver = self._estimator.solver
        if not self._estimator._resolve("solver").stochastic:
            raise ValueError(
                f"solver={solver!r} does not support checkpoints: scipy does not "
                "return its estimate of the curvature, so a fit can't be resumed. "
                "Choose solver='adam' or 'sgd', or leave out the checkpoint."
            )

    def follow(self, index, training):
        """Follow the training of a network that is about to start.

        Returns
        -------
        progress : Progress or None
            State to continue from, if the fit is resumed.
        """
        self._trainings[index] = training
        return self.progress.get(index)

    def n_epochs(self, index):
        """Return the number of epochs that a network has been trained for."""
        return len(self._trainings[index].monitor.losses)

    def capture(self, index):
        """Store the progress of a network, between two of its epochs."""
        self.progress[index] = self._trainings[index].progress()

    def close(self):
        """Release the data and the trainings at the end of the fit."""
        self._data = None
        self._trainings.clear()

    def finish(self, index, attributes, told):
        """Store the fitted attributes and the warnings of a network that is done."""
        self.finished[index] = attributes, told
        self.progress.pop(index, None)

    @property
    def all_finished(self):
        """Whether all networks of an ensemble are trained."""
        return len(self.finished) == self._estimator.n_networks

    def resume(self, data, checkpoint):
        """Finish the fit on a new estimator, and return it.

        Parameters
        ----------
        data : dict of str to (array-like, sparse matrix or None)
            Arguments of ``fit``.
        checkpoint : Checkpoint
            Continues to save the fit.
        """
        check_same(self._fingerprints, data)
        estimator = copy.copy(self._estimator)
        given = estimator.random_state
        if not isinstance(given, int | np.integer):
            estimator.random_state = np.random.RandomState()
            estimator.random_state.set_state(self._random_state)
        if checkpoint not in getattr(estimator, "_skl_callbacks", ()):
            data = {**data, "checkpoint": checkpoint}
        estimator._fit_record = self
        estimator.fit(**data)
        if given is None:
            estimator.random_state = None
        return estimator
