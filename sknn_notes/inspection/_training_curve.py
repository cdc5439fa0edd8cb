"""Loss and score of every epoch of a training."""

import numpy as np

from sknn_notes._sklearn import check_matplotlib_support
from sknn_notes.inspection._access import fitted_network
from sknn_notes.inspection._plotting import grid_of_axes, label_epochs


class TrainingCurveDisplay:
    """Training loss, validation loss and validation score over the epochs.

    It is recommended to use
    :meth:`~sknn_notes.inspection.TrainingCurveDisplay.from_estimator`. All parameters
    are stored as attributes.

    Parameters
    ----------
    training_loss : array-like of shape (n_epochs,)
        The objective, penalty included, averaged over each epoch.
    validation_loss : array-like of shape (n_epochs,), default=None
        The loss on the validation data after each epoch.
    validation_score : array-like of shape (n_epochs,), default=None
        The score on the validation data after each epoch.

    Attributes
    ----------
    best_epoch : int or None
        The epoch, counted from 1, of the highest validation score, or without scores
        of the lowest validation loss; None where neither was recorded.
    axes_ : ndarray of matplotlib Axes of shape (1, n_panels)
        The panel of the losses and, where there are scores, theirs.
    figure_ : matplotlib Figure
        The figure that holds them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.inspection import TrainingCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(early_stopping=True, random_state=0).fit(X, y)
    >>> display = TrainingCurveDisplay.from_estimator(model)
    >>> display.best_epoch == model.validation_scores_.index(
    ...     model.best_validation_score_
    ... ) + 1
    True
    """

    def __init__(self, training_loss, *, validation_loss=None, validation_score=None):
        self.training_loss = training_loss
        self.validation_loss = validation_loss
        self.validation_score = validation_score

    @property
    def best_epoch(self):
        """Epoch of the best validation score, or loss, counted from 1."""
        for values, sign in [(self.validation_score, 1), (self.validation_loss, -1)]:
            if values is not None and np.isfinite(values).any():
                return int(np.nanargmax(sign * np.asarray(values))) + 1
        return None

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Plot the curves of a fitted network.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            A fitted network, or a Pipeline that ends in one.
        ax : array-like of matplotlib Axes, default=None
            Where to draw, one for each panel; None makes a new figure.

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
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : array-like of matplotlib Axes, default=None
            Where to draw, one for each panel; None makes a new figure.

        Returns
        -------
        display : TrainingCurveDisplay
            The display itself.
        """
        panels = [
            (
                "loss",
                [
                    ("training", self.training_loss),
                    ("validation", self.validation_loss),
                ],
            )
        ]
        if self.validation_score is not None:
            panels.append(("validation score", [("validation", self.validation_score)]))
        axes = grid_of_axes(self, ax, 1, len(panels), panel=(4, 3.2))
        for axis, (label, curves) in zip(axes[0], panels, strict=True):
            for name, values in curves:
                if values is not None:
                    epochs = np.arange(1, len(values) + 1)
                    color = "C0" if name == "training" else "C1"
                    axis.plot(epochs, values, color=color, label=name)
            if self.best_epoch is not None:
                axis.axvline(
                    self.best_epoch,
                    color="0.5",
                    linestyle=":",
                    zorder=0,
                    label=f"best epoch: {self.best_epoch}",
                )
            label_epochs(axis)
            axis.set_ylabel(label)
            axis.legend()
        return self
