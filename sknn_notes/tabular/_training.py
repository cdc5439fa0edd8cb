"""Training of the networks for tables: validation and the time limit."""

import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sknn_notes._typing import Floats
from sknn_notes.tabular._recipes import (
    HELD_OUT,
    Recipe,
    candidates,
    n_parts_to_compare_on,
)

# A validation loss that is higher by this fraction lowers the weight by a factor of e.
_TOLERANCE = 0.03
# Groups with a lower weight are left out.
_LEAST_WEIGHT = 0.05


class Trainer:
    """Trains networks on a prepared table and records their results.

    Parameters
    ----------
    network : MLPClassifier or MLPRegressor
        Has the parameters that all fits share.
    X : ndarray of shape (n_samples, n_inputs)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,) or None
    deadline : float
        Time limit on the clock of ``time.monotonic``; infinity is no limit.
    verbose : bool
        Whether to print a line for every fit.

    Attributes
    ----------
    history : list of dict
        One record for each trained network.
    """

    def __init__(
        self,
        network: Any,
        X: Floats,
        y: Any,
        sample_weight: ArrayLike | None,
        deadline: float,
        verbose: bool | int,
    ) -> None:
        self._network = network
        self._data = X, y, sample_weight
        self._deadline, self._verbose = deadline, verbose
        self._limited = np.isfinite(deadline)
        self.history: list[dict[str, Any]] = []

    def train(self, recipe: Recipe) -> tuple[list[Any], Floats]:
        """Return the best groups of networks, trained on all rows, and their weights.

        Candidates are compared on validation data. Those that are kept are trained
        again on all rows, for the number of epochs that was best.

        Parameters
        ----------
        recipe : Recipe

        Returns
        -------
        groups : list of (MLPClassifier or MLPRegressor)
        weights : ndarray of shape (n_groups,)
            Weights of the groups, which sum to 1.
        """
        X = self._data[0]
        choices = candidates(recipe, X)
        if self._limited:
            self._measure_pace(choices[-1])
        n_parts = n_parts_to_compare_on(recipe, len(X))
        n_fits = n_parts * len(choices) + recipe.n_kept * recipe.n_networks
        if not n_parts or self._n_epochs(recipe, n_fits) < recipe.max_iter:
            return [self._train_within_time(recipe, choices[0])], np.ones(1)
        compared = [
            self._fit(each | HELD_OUT, n_parts, recipe.max_iter) for each in choices
        ]
        losses = [_validation_loss(group) for group in compared]
        kept, weights = _favored(losses, recipe.n_kept)
        groups: list[Any] = []
        for i in kept:
            epochs = [each.best_epoch_ for each in _networks(compared[i])]
            n_epochs = int(np.median(epochs))
            allowed = self._n_epochs(recipe, recipe.n_networks)
            if groups and allowed < n_epochs:
                break
            n_epochs = min(n_epochs, allowed)
            groups.append(self._fit(choices[i], recipe.n_networks, n_epochs))
        weights = weights[: len(groups)]
        return groups, weights / weights.sum()

    def _train_within_time(self, recipe: Recipe, choice: dict[str, Any]) -> Any:
        """Train as many networks as the time allows, without validation."""
        n_networks = recipe.n_networks
        while n_networks > 1 and self._n_epochs(recipe, n_networks) < recipe.max_iter:
            n_networks -= 1
        return self._fit(choice, n_networks, self._n_epochs(recipe, n_networks))

    def _n_epochs(self, recipe: Recipe, n_networks: int) -> int:
        """Return how many epochs the time allows for the networks, at least 1."""
        if not self._limited:
            return recipe.max_iter
        left = self._deadline - time.monotonic()
        return int(np.clip(left / (n_networks * self._pace), 1, recipe.max_iter))

    def _measure_pace(self, choice: dict[str, Any]) -> None:
        """Measure the seconds per epoch of one network."""
        self._run(**choice, max_iter=1)  # Compiles the kernels.
        start = time.monotonic()
        self._run(**choice, max_iter=1)
        self._pace = time.monotonic() - start

    def _run(self, **parameters: Any) -> Any:
        X, y, sample_weight = self._data
        network = clone(self._network).set_params(**parameters)
        if network.n_networks == 1:
            network.set_params(n_jobs=None)
        with warnings.catch_warnings():
            # The one-cycle schedule is meant to end at ``max_iter``.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return network.fit(X, y, sample_weight)

    def _fit(self, choice: dict[str, Any], n_networks: int, n_epochs: int) -> Any:
        """Train the networks of a candidate and record their results."""
        start = time.monotonic()
        group = self._run(**choice, n_networks=n_networks, max_iter=n_epochs)
        seconds = time.monotonic() - start
        number = self.history[-1]["group"] + 1 if self.history else 0
        for network in _networks(group):
            if not network.loss_curve_:
                # The user interrupted its first epoch: there is nothing to keep.
                raise KeyboardInterrupt
            reached = network.best_epoch_ - 1
            validation = network.validation_loss_curve_
            self.history.append(
                {
                    "group": number,
                    "embedding": group.embedding,
                    "n_iter": network.n_iter_,
                    "best_epoch": network.best_epoch_,
                    "training_loss": network.loss_curve_[reached],
                    "validation_loss": validation[reached] if validation else np.nan,
                    "seconds": seconds / n_networks,
                }
            )
        if self._verbose:
            print(_line(group, seconds))
        return group


def _line(group: Any, seconds: float) -> str:
    """Return the line that ``verbose`` prints for a fit."""
    n_networks, n_epochs = len(_networks(group)), group.max_iter
    loss = _validation_loss(group)
    rows = "all rows" if np.isnan(loss) else f"validation loss {loss:.4g}"
    return (
        f"{n_networks} network{'s' * (n_networks > 1)} with embedding="
        f"{group.embedding}, {n_epochs} epoch{'s' * (n_epochs > 1)}: {rows} "
        f"({seconds:.1f} s)"
    )


def _favored(losses: Any, n_kept: int) -> tuple[list[int], Floats]:
    """Return the indices of the candidates to keep, best first, and their weights."""
    order = np.argsort(losses)[:n_kept]
    losses = np.asarray(losses)[order]
    # Losses may be negative.
    relative = (losses - losses[0]) / max(abs(losses[0]), np.finfo(float).tiny)
    weights = np.exp(-relative / _TOLERANCE)
    weights /= weights.sum()
    kept = weights >= _LEAST_WEIGHT
    return order[kept].tolist(), weights[kept] / weights[kept].sum()


def _networks(group: Any) -> list[Any]:
    """Return the networks of an estimator, or itself if it is a single network."""
    return group.networks_ or [group]


def _validation_loss(group: Any) -> float:
    """Return the mean validation loss of the networks of an estimator, or NaN."""
    scores = [network.best_validation_score_ for network in _networks(group)]
    return np.nan if None in scores else -float(np.mean(scores))
