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
    """Distributions of the hidden units' outputs and gradients, one panel a layer.

    Healthy layers keep their spread from first to last, in the outputs as in the
    gradients. Each panel tells two shares. A unit is *saturated* on a sample where the
    slope of its activation is below 5 % of the steepest (for ReLU: where the unit is
    off), and *dead* where it is below 0.1 % on every sample: no gradient reaches its
    weights. It is recommended to use
    :meth:`~sknn_notes.inspection.ActivationsDisplay.from_estimator`. All parameters
    are stored as attributes.

    Parameters
    ----------
    outputs : list of ndarray of shape (n_samples, n_units)
        Outputs of the units of every hidden layer.
    slopes : list of ndarray of shape (n_samples, n_units)
        Absolute slopes of the activations where the units stand, relative to the
        steepest slope of the activation.
    gradients : list of ndarray of shape (n_samples, n_units), default=None
        Gradients of each sample's loss with respect to the dense outputs of every
        hidden layer, before batch norm and activation.

    Attributes
    ----------
    saturated_fractions : ndarray of shape (n_layers,)
        Share of (sample, unit) pairs that are saturated.
    dead_fractions : ndarray of shape (n_layers,)
        Share of units that are dead.
    axes_ : ndarray of matplotlib Axes of shape (1 or 2, n_layers)
        The panels: outputs and, where given, gradients below.

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
        """Share of (sample, unit) pairs of every layer that are saturated."""
        return saturated_fractions(self.slopes)

    @property
    def dead_fractions(self) -> Floats:
        """Share of units of every layer that are dead."""
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
        """Pass data through a fitted network and plot what its units do.

        The network must have hidden layers. The pass is as in training, but without
        noise: batch norm normalizes over ``X``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data, one batch: some hundred samples are enough.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, for the gradients; None leaves those out.

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
                "The network has no hidden layers, and so no activations. Set "
                "hidden_layer_sizes."
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
        """Draw the distributions.

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
        """Draw a histogram; tell a share of it in the title, or beside the name."""
        # On a linear scale a peak, as that of ReLU at 0, would flatten all the rest.
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
