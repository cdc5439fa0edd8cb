"""Monitoring of training: curves, the best epoch, and plateaus."""

import math
from time import perf_counter

import numpy as np

from sknn_notes._arrays import to_numpy
from sknn_notes._messages import say
from sknn_notes._threads import stopped


class Monitor:
    """Records every epoch and tells when training has stopped improving.

    Parameters
    ----------
    arrays : list of ndarray
        Arrays of the network. If a score is monitored, those of the best epoch are
        kept.
    tol : float
        Smallest change that counts as an improvement.
    n_iter_no_change : float
        More consecutive epochs than this without improvement are a plateau.
    best : float
        The best loss so far or, if a score is monitored, the best score; infinite at
        first.
    evaluate : callable or None
        Returns score and loss of the current weights on a validation set, and the score
        is monitored. None monitors the training loss.
    verbose : bool
        Whether to print every epoch.
    max_iter : int, default=0
        Maximum number of epochs, to estimate the remaining time.

    Attributes
    ----------
    interrupted : bool
        Whether the user interrupted training.
    """

    def __init__(
        self, arrays, *, tol, n_iter_no_change, best, evaluate, verbose, max_iter=0
    ):
        self.arrays, self.tol, self.n_iter_no_change = arrays, tol, n_iter_no_change
        self.evaluate, self.verbose = evaluate, verbose
        self.max_iter, self._start = max_iter, perf_counter()
        self.n_without_improvement = 0
        self.interrupted = False
        # The loss of each epoch and, if a score is monitored, score and loss on the
        # validation set.
        self._epochs: list[tuple[float, ...]] = []
        # The number of epochs, the best value, its epoch and its weights. Initial
        # weights that have a score are the best ones at first.
        weights = None
        if self.watches_score:
            weights = self.copy_weights() if math.isfinite(best) else None
            best = best if math.isfinite(best) else -math.inf
        self._state = 0, best, 0, weights

    @property
    def watches_score(self):
        """Whether the score on a validation set is monitored."""
        return self.evaluate is not None

    @property
    def best(self):
        """The best loss so far, or the best score."""
        return self._state[1]

    @property
    def losses(self):
        """Training loss of each epoch."""
        return self._curve(0)

    @property
    def scores(self):
        """Validation score of each epoch; empty if no score is monitored."""
        return self._curve(1)

    @property
    def validation_losses(self):
        """Validation loss of each epoch; empty if no score is monitored."""
        return self._curve(2)

    def _curve(self, i):
        return [values[i] for values in self._epochs[: self._state[0]] if values[i:]]

    def copy_weights(self):
        """Return copies of the arrays. A stack replaces this by its own function."""
        return [array.copy() for array in self.arrays]

    def history(self):
        """Return the history of the epochs so far, for ``take_up``."""
        *state, weights = self._state
        if weights is not None:
            weights = [to_numpy(array) for array in weights]
        return {
            "epochs": self._epochs[: self._state[0]],
            "state": (*state, weights),
            "n_without_improvement": self.n_without_improvement,
            "seconds": perf_counter() - self._start,
        }

    def take_up(self, history):
        """Continue from the history of another monitor."""
        self._epochs, self._state = list(history["epochs"]), history["state"]
        self.n_without_improvement = history["n_without_improvement"]
        self._start = perf_counter() - history["seconds"]

    def start(self, loss):
        """Set the loss of the initial weights as the best, if a loss is monitored."""
        if not self.watches_score:
            n_epochs, _, *rest = self._state
            self._state = n_epochs, loss, *rest

    def update(self, loss):
        """Record an epoch with its training loss.

        Raises
        ------
        KeyboardInterrupt
            If this fit is one of several that the user interrupted.
        """
        watched = self.evaluate() if self.watches_score else ()
        n_epochs, best, epoch, weights = self._state
        if not watched:
            improved = loss <= best - self.tol
            best = min(best, loss)
        elif math.isfinite(watched[0]):
            improved = watched[0] >= best + self.tol
            if watched[0] > best:
                best, epoch, weights = watched[0], n_epochs + 1, self.copy_weights()
        else:
            improved = False
        self._record((loss, *watched), best, epoch, weights)
        self.n_without_improvement = 0 if improved else self.n_without_improvement + 1
        if self.verbose:
            say(self._progress())
        if stopped():
            raise KeyboardInterrupt

    def _record(self, values, *best):
        """Record the values of an epoch, and the best state so far."""
        self._epochs[self._state[0] :] = [values]
        # A single assignment, so that an interruption keeps or discards an epoch.
        self._state = len(self._epochs), *best

    def _progress(self):
        done = len(self.losses)
        line = f"Iteration {done}, loss = {self.losses[-1]:.8f}"
        if self.watches_score:
            line += f", validation score = {self.scores[-1]:.6f}"
        if done < self.max_iter:
            left = (perf_counter() - self._start) / done * (self.max_iter - done)
            line += f", at most {left:.0f} s left"
        return line

    def diverged(self, loss):
        """Record an epoch that ended early because its loss is not finite.

        Returns
        -------
        rescued : bool
            Whether ``restore_best`` can restore the weights of an earlier epoch.
        """
        _, *best = self._state
        unknown = (float("nan"),) * 2 if self.watches_score else ()
        self._record((loss, *unknown), *best)
        return self._has_best

    @property
    def best_epoch(self):
        """Epoch of the kept weights, counted from 1; 0 for the initial weights.

        The last epoch if no score is monitored.
        """
        n_epochs, _, epoch, _ = self._state
        return epoch if self._has_best else n_epochs

    @property
    def _has_best(self):
        return self._state[-1] is not None

    @property
    def on_plateau(self):
        """Whether more than ``n_iter_no_change`` epochs in a row did not improve."""
        return self.n_without_improvement > self.n_iter_no_change

    def restore_best(self):
        """Restore the weights with the best score; tell whether there are any."""
        *_, weights = self._state
        if weights is not None:
            for array, best in zip(self.arrays, weights, strict=True):
                np.copyto(array, to_numpy(best))
        return weights is not None
