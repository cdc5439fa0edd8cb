"""Watching training: curves, the best epoch, and when nothing improves any more."""

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
        What the network's fit consists of; the best state is kept where a score is
        watched.
    tol : float
        An epoch that does not improve by this much counts as no improvement.
    n_iter_no_change : float
        More epochs than this without improvement in a row are a plateau.
    best : float
        The best loss so far, or with ``score`` the best score; infinite at first.
    evaluate : callable or None
        Returns the score and the loss of the weights as they are on a validation set;
        the score is watched. None watches the training loss.
    verbose : bool
        Whether to print every epoch.
    max_iter : int, default=0
        Most epochs there will be, for the time that is left.

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
        # Of every epoch the loss and, where a score is watched, the score and the loss
        # on the validation set.
        self._epochs: list[tuple[float, ...]] = []
        # The number of epochs, the best value, its epoch and its weights. Weights that
        # training starts from count as the best where they have a score.
        weights = None
        if self.watches_score:
            weights = self.copy_weights() if math.isfinite(best) else None
            best = best if math.isfinite(best) else -math.inf
        self._state = 0, best, 0, weights

    @property
    def watches_score(self):
        """Whether there is a validation set, whose score is watched."""
        return self.evaluate is not None

    @property
    def best(self):
        """The best loss so far, or the best score."""
        return self._state[1]

    @property
    def losses(self):
        """Training loss of every epoch."""
        return self._curve(0)

    @property
    def scores(self):
        """Validation score of every epoch; empty where none is watched."""
        return self._curve(1)

    @property
    def validation_losses(self):
        """Validation loss of every epoch; empty where no score is watched."""
        return self._curve(2)

    def _curve(self, i):
        return [values[i] for values in self._epochs[: self._state[0]] if values[i:]]

    def copy_weights(self):
        """Return copies of the arrays. A stack sets a function that copies its own."""
        return [array.copy() for array in self.arrays]

    def history(self):
        """Return all that the epochs so far have left, which ``take_up`` takes."""
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
        """Go on from the epochs of another monitor."""
        self._epochs, self._state = list(history["epochs"]), history["state"]
        self.n_without_improvement = history["n_without_improvement"]
        self._start = perf_counter() - history["seconds"]

    def start(self, loss):
        """Take the loss of the first weights for the best, where a loss is watched."""
        if not self.watches_score:
            n_epochs, _, *rest = self._state
            self._state = n_epochs, loss, *rest

    def update(self, loss):
        """Record an epoch that ended with this training loss.

        Raises
        ------
        KeyboardInterrupt
            If this fit is one of several that the user has interrupted.
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
        """Make an epoch count, with what is best by then."""
        self._epochs[self._state[0] :] = [values]
        # One assignment: an interruption leaves all of an epoch or nothing of it.
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
        """Record an epoch cut short by a loss that is not finite.

        Returns
        -------
        rescued : bool
            True where an earlier epoch left weights that ``restore_best`` brings back.
        """
        _, *best = self._state
        unknown = (float("nan"),) * 2 if self.watches_score else ()
        self._record((loss, *unknown), *best)
        return self._has_best

    @property
    def best_epoch(self):
        """Number of the epoch whose weights are kept, from 1; 0 for the first weights.

        The last one where no score is watched.
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
        """Put the best weights back where a score chose them; tell whether it did."""
        *_, weights = self._state
        if weights is not None:
            for array, best in zip(self.arrays, weights, strict=True):
                np.copyto(array, to_numpy(best))
        return weights is not None
