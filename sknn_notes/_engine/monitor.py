"""Watching training: curves, the best epoch, and when nothing improves any more."""

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
    score : callable or None
        Returns the validation score of the weights as they are; None watches the loss.
    verbose : bool
        Whether to print every epoch.
    """

    def __init__(self, arrays, *, tol, n_iter_no_change, best, score, verbose):
        self.arrays, self.tol, self.n_iter_no_change = arrays, tol, n_iter_no_change
        self.best, self.score, self.verbose = best, score, verbose
        self.losses: list[float] = []
        self.scores: list[float] = []
        self.n_without_improvement = 0
        # Weights that training starts from count as the best where they have a score.
        self._has_best = score is not None and np.isfinite(best)
        self._best: list = [] if score is None else [a.copy() for a in arrays]

    def update(self, loss):
        """Record an epoch that ended with this training loss."""
        self.losses.append(loss)
        if self.verbose:
            print(f"Iteration {len(self.losses)}, loss = {loss:.8f}")
        if self.score is None:
            improved = loss <= self.best - self.tol
            self.best = min(self.best, loss)
        else:
            improved = self._update_score(self.score())
        self.n_without_improvement = 0 if improved else self.n_without_improvement + 1

    def _update_score(self, score):
        self.scores.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        improved = score >= self.best + self.tol
        if score > self.best:
            self.best, self._has_best = score, True
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
        if self.score is not None:
            self.scores.append(float("nan"))
        return self._has_best

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
