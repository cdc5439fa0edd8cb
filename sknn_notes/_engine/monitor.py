"""Watching training: curves, the best epoch, and when nothing improves any more."""

import math
from time import perf_counter

import numpy as np


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
    """

    def __init__(
        self, arrays, *, tol, n_iter_no_change, best, evaluate, verbose, max_iter=0
    ):
        self.arrays, self.tol, self.n_iter_no_change = arrays, tol, n_iter_no_change
        self.best, self.evaluate, self.verbose = best, evaluate, verbose
        self.max_iter, self._start = max_iter, perf_counter()
        self.losses: list[float] = []
        self.scores: list[float] = []
        self.validation_losses: list[float] = []
        self.n_without_improvement = 0
        self._best_epoch = 0
        # Weights that training starts from count as the best where they have a score.
        self._has_best = self.watches_score and math.isfinite(best)
        if self.watches_score and not self._has_best:
            self.best = -np.inf
        self._best: list = [a.copy() for a in arrays] if self.watches_score else []

    @property
    def watches_score(self):
        """Whether there is a validation set, whose score is watched."""
        return self.evaluate is not None

    def update(self, loss):
        """Record an epoch that ended with this training loss."""
        # First, as it may be interrupted: curves stay of one length.
        watched = self.evaluate() if self.watches_score else None
        self.losses.append(loss)
        if watched is not None:
            improved = self._update_score(*watched)
        else:
            improved = loss <= self.best - self.tol
            self.best = min(self.best, loss)
        if self.verbose:
            print(self._progress())
        self.n_without_improvement = 0 if improved else self.n_without_improvement + 1

    def _progress(self):
        done = len(self.losses)
        line = f"Iteration {done}, loss = {self.losses[-1]:.8f}"
        if self.watches_score:
            line += f", validation score = {self.scores[-1]:.6f}"
        if done < self.max_iter:
            left = (perf_counter() - self._start) / done * (self.max_iter - done)
            line += f", at most {left:.0f} s left"
        return line

    def _update_score(self, score, loss):
        self.scores.append(score)
        self.validation_losses.append(loss)
        if not math.isfinite(score):
            return False
        improved = score >= self.best + self.tol
        if score > self.best:
            self.best, self._has_best = score, True
            self._best_epoch = len(self.losses)
            for best, array in zip(self._best, self.arrays, strict=True):
                np.copyto(best, array)
        return improved

    def diverged(self, loss):
        """Record an epoch cut short by a loss that is not finite.

        Returns
        -------
        rescued : bool
            True where an earlier epoch left weights that ``restore_best`` brings back.
        """
        self.losses.append(loss)
        if self.watches_score:
            self.scores.append(float("nan"))
            self.validation_losses.append(float("nan"))
        return self._has_best

    @property
    def best_epoch(self):
        """Number of the epoch whose weights are kept, from 1; 0 for the first weights.

        The last one where no score is watched.
        """
        return self._best_epoch if self._has_best else len(self.losses)

    @property
    def on_plateau(self):
        """Whether more than ``n_iter_no_change`` epochs in a row did not improve."""
        return self.n_without_improvement > self.n_iter_no_change

    def restore_best(self):
        """Put the best weights back where a score chose them; tell whether it did."""
        if self._has_best:
            for best, array in zip(self._best, self.arrays, strict=True):
                np.copyto(array, best)
        return self._has_best
