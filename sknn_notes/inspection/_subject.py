"""The subject of ``sanity_check``: a network before training, and its data."""

from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from sknn_notes._engine.batches import Batches
from sknn_notes._engine.finite import DivergenceError
from sknn_notes._engine.network import Network
from sknn_notes._engine.objective import Objective
from sknn_notes._typing import Integers, MatrixLike
from sknn_notes.inspection._access import fit_on, start, train_freely
from sknn_notes.inspection._units import UnitStates, unit_states
from sknn_notes.inspection._update_ratio import update_ratios
from sknn_notes.neural_network._base import BaseMLP
from sknn_notes.neural_network._parameters import base_rate

# Maximum number of rows that the checks before training use.
_N_ROWS = 1000
# Maximum numbers of steps of the short training and of overfitting a few rows, and of
# products of a weight and an activation in them, which bounds the time.
_N_STEPS, _N_OVERFIT_STEPS, _N_PRODUCTS = 50, 500, 1e9

# X, y and sample_weight, as the objective takes them.
Batch: TypeAlias = tuple[Any, Any, Any]


class ShortTraining(NamedTuple):
    """Result of a training of ``n_steps`` steps.

    ``ratios`` are the update-to-weight ratios, averaged over the steps, one per weight
    matrix. ``loss`` and ``states`` are those of the subject's batch after the training.
    """

    n_steps: int
    ratios: np.ndarray
    loss: float
    states: UnitStates


class Subject:
    """A network with its initial weights, the encoded data, and a short training.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
        Network whose clones are trained.
    X, y
        Data, as passed to ``fit``.

    Attributes
    ----------
    plan, network, batches
        Those of a fit before its first step.
    batch : tuple of (X, y, sample_weight)
        Some of the rows, in the form that the objective takes.
    start_loss : float
        Loss of the batch with the initial weights, without penalty and noise.
    start_states : UnitStates
        States of the hidden units with the initial weights.
    """

    def __init__(self, mlp: BaseMLP, X: MatrixLike, y: ArrayLike) -> None:
        seed = 0 if mlp.random_state is None else mlp.random_state
        self.mlp = clone(mlp).set_params(
            early_stopping=False, warm_start=False, verbose=False, random_state=seed
        )
        self.X, self.y = X, y
        training = start(clone(self.mlp), X, y)
        self.plan, self.network = training.plan, training.network
        self.batches = training.batches
        rng = np.random.default_rng(0)
        self.order = rng.permutation(self.batches.n_samples)
        self.batch = take(self.batches, self.order[:_N_ROWS])
        objective = self.plan.objective(self.network)
        self.start_loss = data_loss(objective, self.batch)
        self.start_states = unit_states(objective, self.batch[0])

    @property
    def n_raw(self) -> int:
        """Number of raw outputs."""
        return int(self.network.shapes[-1][1])

    def _n_steps(self, n_rows: int, most: int) -> int:
        """Return how many steps on ``n_rows`` rows fit in the time, up to ``most``."""
        n_products = n_rows * self.network.theta.size
        return int(np.clip(_N_PRODUCTS / n_products, 10, most))

    @cached_property
    def short_training(self) -> ShortTraining | None:
        """A training of some steps with all parameters as set; None if it diverged."""
        batch_size = self.batches.max_rows
        n_steps = self._n_steps(batch_size, _N_STEPS)
        rows = self.order[: n_steps * batch_size]
        n_epochs = -(-n_steps * batch_size // len(rows))
        mlp, trained = clone(self.mlp), []
        if getattr(mlp.learning_rate, "warmup", 0) > n_epochs / 2:
            # Some of the steps should have the full rate.
            mlp.set_params(learning_rate__warmup=n_epochs / 2)

        def some(network: Network, batches: Batches) -> Batches:
            trained.append(network)
            short = Batches(
                *take(batches, rows),
                batch_size=batch_size,
                shuffle=batches.shuffle,
                min_rows=2,
            )
            return short

        try:
            ratios = update_ratios(mlp, self.X, self.y, n_epochs, some)
        except DivergenceError:
            return None
        objective = self.plan.objective(trained[0])
        loss = data_loss(objective, self.batch)
        states = unit_states(objective, self.batch[0])
        return ShortTraining(n_steps, ratios.mean(axis=0), loss, states)

    def overfit(self, rows: Integers) -> list[float]:
        """Fit a clone to a few rows, without penalty, max norm and noise.

        Returns
        -------
        losses : list of float
            Loss of each epoch. Empty if the training diverged.
        """
        n_steps = self._n_steps(len(rows), _N_OVERFIT_STEPS)
        mlp = clone(self.mlp).set_params(
            penalty=None,
            max_norm=None,
            dropout=0.0,
            input_dropout=0.0,
            dropconnect=0.0,
            augment=None,
            batch_size="auto",
            learning_rate="constant",
            learning_rate_init=base_rate(self.mlp)[1],
            tol=0.0,
        )
        if "loss__label_smoothing" in mlp.get_params():
            mlp.set_params(loss__label_smoothing=0.0)

        def few(network: Network, batches: Batches) -> Batches:
            return Batches(
                *take(batches, rows), batch_size=len(rows), shuffle=False, min_rows=2
            )

        try:
            fit_on(train_freely(mlp, n_steps), self.X, self.y, few)
        except DivergenceError:
            return []
        losses: list[float] = mlp.loss_curve_
        return losses


def data_loss(objective: Objective, batch: Batch) -> float:
    """Return the loss of a batch, without penalty and noise."""
    return float(objective.mean_loss(*batch)[0])


def take(batches: Batches, rows: Integers) -> Batch:
    """Return some rows of the data of batches, with sample weights of mean 1."""
    weight = batches.sample_weight
    if weight is not None:
        weight = weight[rows] / np.mean(weight[rows])
    return batches.X[rows], batches.y[rows], weight
