"""Loss and score of each training epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknn_notes._docstrings import completed
from sknn_notes._sklearn import check_matplotlib_support
from sknn_notes._typing import Floats
from sknn_notes.inspection._access import fitted_network
from sknn_notes.inspection._docs import GRID_DISPLAY, GRID_PLOT
from sknn_notes.inspection._plotting import grid_of_axes, label_epochs, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Curve: TypeAlias = Sequence[float] | Floats


@completed(GRID_DISPLAY)
class TrainingCurveDisplay:
    """Training loss, validation loss and validation score over the epochs.

    Each model has one color, with solid lines for training and dashed lines for
    validation.

    It is recommended to use
    :meth:`~sknn_notes.inspection.TrainingCurveDisplay.from_estimator` to create a
    display. All parameters are stored as attributes.

    Parameters
    ----------
    training_loss : array-like of shape (n_epochs,)
        Objective, including the penalty, averaged over each epoch.
    validation_loss : array-like of shape (n_epochs,), default=None
        Loss on the validation data after each epoch.
    validation_score : array-like of shape (n_epochs,), default=None
        Score on the validation data after each epoch.

    Attributes
    ----------
    best_epoch : int or None
        Epoch with the highest validation score or, without scores, with the lowest
        validation loss, counted from 1. None if neither was recorded.
    axes_ : ndarray of matplotlib Axes of shape (1, n_panels)
        The panel of the losses and, if there are scores other than the negated losses,
        the panel of the scores.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.inspection import TrainingCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(early_stopping=True, random_state=0).fit(X, y)
    >>> display = TrainingCurveDisplay.from_estimator(model)
    >>> len(display.training_loss), display.best_epoch
    (200, 200)
    """

    axes_: NDArray[np.object_]
    figure_: Figure

    def __init__(
        self,
        training_loss: Curve,
        *,
        validation_loss: Curve | None = None,
        validation_score: Curve | None = None,
        name: str | None = None,
    ) -> None:
        self.training_loss = training_loss
        self.validation_loss = validation_loss
        self.validation_score = validation_score
        self.name = name

    @property
    def best_epoch(self) -> int | None:
        """Epoch of the best validation score, or loss, counted from 1."""
        for values, sign in [(self.validation_score, 1), (self.validation_loss, -1)]:
            if values is not None and np.isfinite(values).any():
                return int(np.nanargmax(sign * np.asarray(values))) + 1
        return None

    @classmethod
    @completed(GRID_PLOT)
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        ax: ArrayLike | None = None,
        **line_kw: Any,
    ) -> Self:
        """Plot the curves of a fitted network.

        Returns
        -------
        display : TrainingCurveDisplay
            The plotted display.
        """
        owner = f"{cls.__name__}.from_estimator"
        check_matplotlib_support(owner)
        mlp, _ = fitted_network(estimator, owner)
        display = cls(
            mlp.loss_curve_,
            validation_loss=mlp.validation_loss_curve_,
            validation_score=mlp.validation_scores_,
            name=name,
        )
        return display.plot(ax, **line_kw)

    @completed(GRID_PLOT)
    def plot(self, ax: ArrayLike | None = None, **line_kw: Any) -> Self:
        """Plot the curves.

        Returns
        -------
        display : TrainingCurveDisplay
            The display itself.
        """
        has_scores = self._has_scores()
        axes = grid_of_axes(self, ax, 1, 1 + has_scores, panel=(4, 3.2))
        losses = axes[0, 0]
        (line,) = self._curve(losses, "training", self.training_loss, **line_kw)
        dashed = {"color": line.get_color(), "linestyle": "--"} | line_kw
        if self.validation_loss is not None:
            self._curve(losses, "validation", self.validation_loss, **dashed)
        losses.set_ylabel("loss")
        if has_scores:
            assert self.validation_score is not None
            self._curve(axes[0, 1], "validation", self.validation_score, **dashed)
            axes[0, 1].set_ylabel("validation score")
        for axis in axes[0]:
            if self.best_epoch is not None:
                axis.axvline(
                    self.best_epoch,
                    color=dashed["color"],
                    linestyle=":",
                    zorder=0,
                    label=named(self.name, f"best epoch: {self.best_epoch}"),
                )
            label_epochs(axis)
            axis.legend()
        return self

    def _has_scores(self) -> bool:
        """Return whether there are scores other than the negated losses."""
        score, loss = self.validation_score, self.validation_loss
        if score is None or loss is None:
            return score is not None
        return not np.array_equal(score, np.negative(loss))

    def _curve(
        self, axis: Axes, what: str, values: Curve, **line_kw: Any
    ) -> list[Line2D]:
        epochs = np.arange(1, len(values) + 1)
        return axis.plot(epochs, values, label=named(self.name, what), **line_kw)
