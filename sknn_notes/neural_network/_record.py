"""A fit from its start to where it stands, which a checkpoint keeps and resumes."""

import copy
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from sknn_notes._engine.training import TrainingState
from sknn_notes.callbacks._fingerprint import check_same, fingerprints


class Progress(NamedTuple):
    """How far the training of one network has come, at the beginning of an epoch.

    Nothing of it changes when training goes on.
    """

    theta: np.ndarray
    running: np.ndarray
    state: TrainingState
    epochs: dict
    executor: str


class FitRecord:
    """What it takes to repeat the start of a fit, and the progress of its networks.

    To resume, a fit is prepared once more, with the same draws, and its networks take
    up their progress.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Before the fit changes it.
    data : dict of str to (array-like, sparse matrix or None)
        The arguments of ``fit``.

    Attributes
    ----------
    progress : dict of int to Progress
        Of the networks that are in training.
    finished : dict of int to tuple
        Of networks that are trained the fitted attributes, and what they warned of;
        kept where there are several networks.
    """

    def __init__(self, estimator, data):
        self._estimator = copy.copy(estimator)
        # The context of a pipeline or search that this fit is part of.
        vars(self._estimator).pop("_parent_callback_ctx", None)
        # The draws from it come when the fit is prepared.
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
        """Raise ValueError if the fit can't be resumed where it stood."""
        solver = self._estimator.solver
        if not self._estimator._resolve("solver").stochastic:
            raise ValueError(
                f"solver={solver!r} can't be checkpointed: its estimate of the "
                "curvature stays inside scipy, so that a fit can't be resumed where it "
                "stood. Choose solver='adam' or 'sgd', or leave the checkpoint out."
            )

    def follow(self, index, training):
        """Follow the training of a network, which is about to run.

        Returns
        -------
        progress : Progress or None
            Where it is to go on from, if the fit is resumed.
        """
        self._trainings[index] = training
        return self.progress.get(index)

    def n_epochs(self, index):
        """Return the number of epochs that a network has made."""
        return len(self._trainings[index].monitor.losses)

    def capture(self, index):
        """Take the progress of a network, between two of its epochs."""
        self.progress[index] = self._trainings[index].progress()

    def close(self):
        """Let go of the data and the trainings when the fit is over."""
        self._data = None
        self._trainings.clear()

    def finish(self, index, attributes, told):
        """Keep the fitted attributes of a network, and what it warned of."""
        self.finished[index] = attributes, told
        self.progress.pop(index, None)

    @property
    def all_finished(self):
        """Whether all of several networks are trained."""
        return len(self.finished) == self._estimator.n_networks

    def resume(self, data, checkpoint):
        """Return a new estimator, for which the fit is finished.

        Parameters
        ----------
        data : dict of str to (array-like, sparse matrix or None)
            The arguments of ``fit``.
        checkpoint : Checkpoint
            Goes on writing the fit.
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
