"""Outputs and gradients of the hidden units, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknn_notes._arrays import numpy_dtype
from sknn_notes._docstrings import completed
from sknn_notes._sklearn import check_matplotlib_support
from sknn_notes._typing import Floats, MatrixLike
from sknn_notes.inspection._access import fitted_network, fitted_objective
from sknn_notes.inspection._docs import GRID_DISPLAY, GRID_PLOT
from sknn_notes.inspection._plotting import grid_of_axes, named
from sknn_notes.inspection._units import (
    dead_fractions,
    saturated_fractions,
    unit_states,
)
from sknn_notes.neural_network._namespaces import as_numpy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@completed(GRID_DISPLAY)
class ActivationsDisplay:
    """Distributions of the outputs and gradients of hidden units, one panel per layer.

    In a healthy network, outputs and gradients have a similar spread in all layers.
    Each panel shows two fractions. A unit is *saturated* on a sample if the slope of
    its activation is below 5 % of the steepest slope (for ReLU: if the unit is off). It
    is *dead* if the slope is below 0.1 % on every sample, so that no gradient reaches
    its weights. The fractions appear in the titles, or in the legend if the display
    has a name.

    It is recommended to use
    :meth:`~sknn_notes.inspection.ActivationsDisplay.from_estimator` to create a
    display. All parameters are stored as attributes.

    Parameters
    ----------
    outputs : list of ndarray of shape (n_samples, n_units)
        Outputs of the units of each hidden layer.
    slopes : list of ndarray of shape (n_samples, n_units)
        Absolute slopes of the activations at the inputs of the units, relative to the
        steepest slope of the activation.
    gradients : list of ndarray of shape (n_samples, n_units), default=None
        Gradients of the loss of each sample with respect to the dense outputs of each
        hidden layer, before batch norm and activation.

    Attributes
    ----------
    saturated_fractions : ndarray of shape (n_layers,)
        Fraction of (sample, unit) pairs that are saturated, per layer.
    dead_fractions : ndarray of shape (n_layers,)
        Fraction of units that are dead, per layer.
    axes_ : ndarray of matplotlib Axes of shape (1 or 2, n_layers)
        The panels: outputs in the first row, gradients in the second if given.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.inspection import ActivationsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((20, 10), random_state=0).fit(X, y)
    >>> display = ActivationsDisplay.from_estimator(model, X, y)
    >>> [layer.shape for layer in display.outputs]
    [(150, 20), (150, 10)]
    """

    axes_: NDArray[np.object_]
    figure_: Figure

    def __init__(
        self,
        outputs: list[Floats],
        slopes: list[Floats],
        gradients: list[Floats] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.outputs = outputs
        self.slopes = slopes
        self.gradients = gradients
        self.name = name

    @property
    def saturated_fractions(self) -> Floats:
        """Fraction of (sample, unit) pairs that are saturated, per layer."""
        return saturated_fractions(self.slopes)

    @property
    def dead_fractions(self) -> Floats:
        """Fraction of units that are dead, per layer."""
        return dead_fractions(self.slopes)

    @classmethod
    @completed(GRID_PLOT)
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        name: str | None = None,
        ax: ArrayLike | None = None,
        **hist_kw: Any,
    ) -> Self:
        """Pass data through a fitted network and plot the states of its hidden units.

        The network must have hidden layers. The forward pass is that of training, but
        without noise: batch norm uses the statistics of ``X``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data, passed as one batch; a few hundred samples are enough.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, required for the gradients. None omits the gradients.

        Returns
        -------
        display : ActivationsDisplay
            The plotted display.
        """
        owner = f"{cls.__name__}.from_estimator"
        check_matplotlib_support(owner)
        mlp, X = fitted_network(estimator, owner, X)
        X, y = as_numpy(X), as_numpy(y)
        if len(mlp.coefs_) == 1:
            raise ValueError(
                "The network has no hidden layers, so there are no activations to "
                "plot. Set hidden_layer_sizes."
            )
        if y is None:
            X = mlp._fitted_arrays(X)[0]
        else:
            dtype = numpy_dtype(mlp.coefs_[0])
            X, y = mlp._validate_data(X, y, dtype, reset=False)
            y = mlp._targets.encode(mlp._targets.check(y), X.dtype)
        objective = fitted_objective(mlp)
        return cls(*unit_states(objective, X, y), name=name).plot(ax, **hist_kw)

    @completed(GRID_PLOT)
    def plot(self, ax: ArrayLike | None = None, **hist_kw: Any) -> Self:
        """Plot the distributions.

        Returns
        -------
        display : ActivationsDisplay
            The display itself.
        """
        n_rows = 1 if self.gradients is None else 2
        axes = grid_of_axes(self, ax, n_rows, len(self.outputs), sharex="row")
        shares = zip(self.saturated_fractions, self.dead_fractions, strict=True)
        bins = _shared_bins(self.outputs)
        panels = zip(axes[0], self.outputs, shares, strict=True)
        for i, (axis, outputs, (saturated, dead)) in enumerate(panels, start=1):
            told = f"{saturated:.0%} saturated, {dead:.0%} dead"
            self._histogram(axis, outputs, bins, f"layer {i}", told, hist_kw)
            axis.set_xlabel("output")
        if self.gradients is not None:
            logs = [np.log10(np.abs(g[g != 0])) for g in self.gradients]
            bins = _shared_bins(logs)
            for axis, gradients, values in zip(
                axes[1], self.gradients, logs, strict=True
            ):
                zeros = f"{np.mean(gradients == 0):.0%} are exactly 0"
                self._histogram(axis, values, bins, "", zeros, hist_kw)
                axis.set_xlabel("log10 |gradient|")
        for axis in axes[:, 0]:
            axis.set_ylabel("units × samples")
        return self

    def _histogram(
        self,
        axis: Axes,
        values: Floats,
        bins: Floats,
        title: str,
        told: str,
        hist_kw: dict[str, Any],
    ) -> None:
        """Plot a histogram, with a note in the title, or in the legend."""
        # On a linear scale, a peak such as that of ReLU at 0 would hide the rest.
        style: dict[str, Any] = {"bins": bins, "log": True, "alpha": 0.7}
        style |= {"histtype": "stepfilled", "label": named(self.name, told)}
        if values.size:
            axis.hist(values.ravel(), **style | hist_kw)
        if self.name is None:
            axis.set_title(f"{title}\n{told}" if title else told)
        else:
            axis.set_title(title)
            axis.legend(fontsize="small")


def _shared_bins(layers: list[Floats]) -> Floats:
    values = np.concatenate([layer.ravel() for layer in layers])
    return np.histogram_bin_edges(values, bins=40)
