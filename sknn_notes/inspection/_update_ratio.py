"""Ratios of the size of training steps to the size of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sknn_notes._docstrings import completed
from sknn_notes._engine.batches import Batches
from sknn_notes._engine.network import Network
from sknn_notes._sklearn import check_matplotlib_support
from sknn_notes._typing import Floats, MatrixLike
from sknn_notes.inspection._access import (
    BatchesFor,
    fit_on,
    train_freely,
    untrained_network,
)
from sknn_notes.inspection._docs import DISPLAY, PLOT, TRAINING
from sknn_notes.inspection._plotting import (
    label_epochs,
    named,
    rescale,
    single_axes,
)
from sknn_notes.neural_network._base import BaseMLP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RULE = "rule of thumb"


@completed(DISPLAY)
class UpdateRatioDisplay:
    """Update-to-weight ratio of each weight matrix over the epochs.

    As a rule of thumb, the ratio should be near 1e-3. If it is much larger, the
    learning rate is too high; if it is much smaller, the learning rate is too low.

    It is recommended to use
    :meth:`~sknn_notes.inspection.UpdateRatioDisplay.from_estimator` to create a
    display. All parameters are stored as attributes.

    Parameters
    ----------
    ratios : ndarray of shape (n_epochs, n_layers)
        For each epoch and weight matrix W, the mean of ``norm(change of W) / norm(W)``
        over the steps of the epoch, in Frobenius norms. The change includes weight
        decay and max norm. NaN if W was zero. With 'sgd' and an L1 penalty, W includes
        the look-ahead of the momentum.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.inspection import UpdateRatioDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(random_state=0)
    >>> display = UpdateRatioDisplay.from_estimator(model, X, y, n_epochs=5)
    >>> display.ratios.shape
    (5, 2)
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, ratios: Floats, *, name: str | None = None) -> None:
        self.ratios = ratios
        self.name = name

    @classmethod
    @completed(PLOT)
    @completed(TRAINING)
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike,
        *,
        n_epochs: int = 20,
        name: str | None = None,
        ax: Axes | None = None,
        **line_kw: Any,
    ) -> Self:
        """Train a clone for some epochs and plot the relative size of its steps.

        The solver must be stochastic. Early stopping is switched off.

        Parameters
        ----------
        n_epochs : int, default=20
            Number of epochs. A schedule such as 'cosine' decays over them.

        Returns
        -------
        display : UpdateRatioDisplay
            The plotted display.
        """
        owner = f"{cls.__name__}.from_estimator"
        check_matplotlib_support(owner)
        mlp, X, y = untrained_network(estimator, X, y, owner)
        solver = mlp._resolve("solver")
        if not solver.stochastic:
            raise ValueError(
                f"solver={solver!r} finds the size of its steps by a line search. "
                "Choose a stochastic solver, such as 'adam' or 'sgd'."
            )
        return cls(update_ratios(mlp, X, y, n_epochs), name=name).plot(ax, **line_kw)

    @completed(PLOT)
    def plot(self, ax: Axes | None = None, **line_kw: Any) -> Self:
        """Plot the curves.

        Returns
        -------
        display : UpdateRatioDisplay
            The display itself.
        """
        ax = single_axes(self, ax)
        epochs = np.arange(1, len(self.ratios) + 1)
        for i, ratios in enumerate(self.ratios.T, start=1):
            style = {"marker": ".", "label": named(self.name, f"weights {i}")}
            ax.plot(epochs, ratios, **style | line_kw)
        if _RULE not in ax.get_legend_handles_labels()[1]:
            ax.axhline(1e-3, color="0.5", linestyle=":", zorder=0, label=_RULE)
        rescale(ax, y="log")
        label_epochs(ax)
        ax.set_ylabel("norm of a step / norm of the weights")
        ax.legend()
        return self


def update_ratios(
    mlp: BaseMLP,
    X: MatrixLike,
    y: ArrayLike,
    n_epochs: int,
    batches_for: BatchesFor | None = None,
) -> Floats:
    """Fit ``mlp`` for ``n_epochs``; return the ratios of ``UpdateRatioDisplay``.

    ``batches_for(network, batches)`` may return batches other than those of ``X, y``.
    """
    watched = []

    def watch(network: Network, batches: Batches) -> _WatchedBatches:
        if batches_for is not None:
            batches = batches_for(network, batches)
        watched.append(_WatchedBatches(network, batches))
        return watched[0]

    fit_on(train_freely(mlp, n_epochs), X, y, watch)
    return np.array(watched[0].ratios)


class _WatchedBatches:
    """Batches that compare the weights before and after each step."""

    def __init__(self, network: Network, batches: Batches) -> None:
        self._network, self._batches = network, batches
        self.ratios: list[Floats] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)

    def epoch(self, rng: np.random.Generator) -> Iterator[Any]:
        return self._watched(self._batches.epoch(rng))

    def blocks(self, rng: np.random.Generator, n_batches: int) -> Iterator[Any]:
        # Compiled steps take several batches at a time; here they take only one.
        return self._watched(self._batches.blocks(rng, 1))

    def _watched(self, batches: Iterable[Any]) -> Iterator[Any]:
        steps = []
        for batch in batches:
            before = [W.copy() for W in self._network.fitted.coefs]
            yield batch
            steps.append(
                [
                    _ratio(W, old)
                    for W, old in zip(self._network.fitted.coefs, before, strict=True)
                ]
            )
        self.ratios.append(np.mean(steps, axis=0))


def _ratio(W: Floats, before: Floats) -> float:
    size = np.linalg.norm(before)
    return float(np.linalg.norm(W - before) / size) if size else np.nan
