"""Uncertainty of predictions, estimated by Monte Carlo passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from sknn_notes._docstrings import completed
from sknn_notes._sklearn import check_array, check_matplotlib_support
from sknn_notes._typing import Floats, MatrixLike
from sknn_notes.inspection._access import fitted_network
from sknn_notes.inspection._docs import DISPLAY, PLOT
from sknn_notes.inspection._plotting import named, single_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_ROWS = 10
_GRID = 80


@completed(DISPLAY)
class UncertaintyDisplay:
    """Mean and standard deviation of predictions over Monte Carlo passes.

    The passes draw the training noise. The plot depends on the number of features. With
    one feature, it shows the mean and a band of one standard deviation on either side.
    With two, it shows a map of the standard deviation (of the predicted class, for a
    classifier). With more, it shows the samples side by side, for a classifier with the
    probability of each class.

    It is recommended to use
    :meth:`~sknn_notes.inspection.UncertaintyDisplay.from_estimator` to create a
    display. All parameters are stored as attributes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Inputs of the predictions; with two features, the points of a grid.
    mean : ndarray of shape (n_samples, n_outputs)
        Mean over the passes: of the predictions of a regressor, or of the probabilities
        of a classifier (with two classes, that of the second one). If the loss has no
        probabilities, the mean of the raw outputs.
    spread : ndarray of shape (n_samples, n_outputs)
        Standard deviation over the passes.
    labels : sequence of length n_outputs, default=None
        Names of the outputs, such as the classes. None for regression.
    quantity : str, default='prediction'
        Name of the averaged quantity, for the axis labels.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features, for the axis labels if there are one or two.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes import MLPRegressor
    >>> from sknn_notes.inspection import UncertaintyDisplay
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> model = MLPRegressor(dropout=0.2, random_state=0).fit(x, x[:, 0] ** 2)
    >>> display = UncertaintyDisplay.from_estimator(model, x)
    >>> display.mean.shape, display.spread.shape
    ((50, 1), (50, 1))
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        X: Floats,
        mean: Floats,
        spread: Floats,
        *,
        labels: Sequence[Any] | NDArray[Any] | None = None,
        quantity: str = "prediction",
        feature_names: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        self.X = X
        self.mean = mean
        self.spread = spread
        self.labels = labels
        self.quantity = quantity
        self.feature_names = feature_names
        self.name = name

    @classmethod
    @completed(PLOT)
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        **plot_kw: Any,
    ) -> Self:
        """Predict many times with noise, and plot mean and spread of the predictions.

        The network must have noise (dropout, dropconnect or augment). It makes
        ``n_mc_samples`` passes, whatever its ``marginalization``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs. With two features, they are replaced by a grid over their range;
            with more than two, a classifier takes at most 10 samples.

        Returns
        -------
        display : UncertaintyDisplay
            The plotted display.
        """
        owner = f"{cls.__name__}.from_estimator"
        check_matplotlib_support(owner)
        points = check_array(X, dtype=None)
        feature_names = list(X.columns) if hasattr(X, "columns") else None
        if points.shape[1] == 2:
            points = _grid_over(points)
            X = _like(X, points)
        mlp, X = fitted_network(estimator, owner, X)
        mlp.predict_spread(X[:1])  # raises for a network without noise
        labels, quantity = None, "prediction"
        if is_classifier(mlp):
            labels = mlp.classes_[-mlp.n_outputs_ :]
            has_probabilities = hasattr(mlp, "predict_proba")
            quantity = "probability" if has_probabilities else "raw output"
            if points.shape[1] > 2 and len(points) > _MOST_ROWS:
                raise ValueError(
                    f"With {points.shape[1]} features each sample is plotted by "
                    f"itself, at most {_MOST_ROWS} samples. Got {len(points)}. Pass a "
                    "few samples, such as X[:5]."
                )
        mean, spread = mlp._response_and_spread(X)
        display = cls(
            points,
            mean,
            spread,
            labels=labels,
            quantity=quantity,
            feature_names=feature_names,
            name=name,
        )
        return display.plot(ax, **plot_kw)

    @completed(PLOT)
    def plot(self, ax: Axes | None = None, **plot_kw: Any) -> Self:
        """Plot mean and standard deviation.

        Returns
        -------
        display : UncertaintyDisplay
            The display itself.
        """
        ax = single_axes(self, ax)
        n_features = self.X.shape[1]
        if n_features == 2:
            self._plot_map(ax, plot_kw)
            return self
        if n_features == 1:
            self._plot_bands(ax, plot_kw)
        elif self.labels is None:
            self._plot_numbers(ax, plot_kw)
        else:
            self._plot_classes(ax, plot_kw)
        if self.name is not None or len(ax.get_legend_handles_labels()[0]) > 1:
            ax.legend()
        return self

    def _plot_bands(self, ax: Axes, plot_kw: dict[str, Any]) -> None:
        order = np.argsort(self.X[:, 0])
        x = self.X[order, 0]
        for mean, spread, label in self._outputs():
            low, high = (mean - spread)[order], (mean + spread)[order]
            (line,) = ax.plot(x, mean[order], **{"label": label} | plot_kw)
            color = line.get_color()
            ax.fill_between(x, low, high, color=color, alpha=0.3, linewidth=0)
        ax.set(xlabel=self._feature(0, "feature"), ylabel=self.quantity)

    def _plot_map(self, ax: Axes, plot_kw: dict[str, Any]) -> None:
        predicted = np.argmax(self.mean, axis=1)
        spread = self.spread[np.arange(len(predicted)), predicted]
        style: dict[str, Any] = {"shading": "gouraud", "cmap": "viridis"} | plot_kw
        mesh = ax.tripcolor(self.X[:, 0], self.X[:, 1], spread, **style)
        label = named(self.name, f"spread of the {self.quantity}")
        ax.figure.colorbar(mesh, ax=ax, label=label)
        x, y = (self._feature(i, f"feature {i}") for i in (0, 1))
        ax.set(xlabel=x, ylabel=y)

    def _plot_numbers(self, ax: Axes, plot_kw: dict[str, Any]) -> None:
        samples = np.arange(len(self.X))
        for mean, spread, label in self._outputs():
            style = {"marker": "o", "linestyle": "none", "label": label}
            ax.errorbar(samples, mean, spread, **style | plot_kw)
        ax.set(xlabel="sample", ylabel=self.quantity)

    def _plot_classes(self, ax: Axes, plot_kw: dict[str, Any]) -> None:
        assert self.labels is not None
        places = np.arange(len(self.labels))
        shifts = np.linspace(-0.25, 0.25, len(self.X) + 2)[1:-1]
        for i, shift in enumerate(shifts):
            style: dict[str, Any] = {"marker": "o", "linestyle": "none"}
            style["markersize"], style["label"] = 4, named(self.name, f"sample {i}")
            ax.errorbar(places + shift, self.mean[i], self.spread[i], **style | plot_kw)
        ax.set_xticks(places, self.labels)
        ax.set(xlabel="class", ylabel=self.quantity)

    def _outputs(self) -> Iterator[tuple[Floats, Floats, str]]:
        """Return mean, spread and label of every output."""
        n_outputs = self.mean.shape[1]
        names = self.labels
        if names is None:
            names = [f"output {i}" for i in range(n_outputs)]
        labels = [named(self.name, str(name)) for name in names]
        if self.name is not None and n_outputs == 1:
            labels = [self.name]
        return zip(self.mean.T, self.spread.T, labels, strict=True)

    def _feature(self, i: int, default: str) -> str:
        return default if self.feature_names is None else self.feature_names[i]


def _like(X: MatrixLike, points: Floats) -> Any:
    """Return points as a frame with the column names of X, if X is a frame."""
    if not hasattr(X, "columns"):
        return points
    if hasattr(X, "iloc"):
        return type(X)(points, columns=X.columns)
    return type(X)(points, schema=list(X.columns), orient="row")


def _grid_over(X: Floats) -> Floats:
    """Return the points of a grid that extends slightly beyond the data."""
    low, high = X.min(axis=0), X.max(axis=0)
    margin = 0.05 * (high - low)
    sides = np.linspace(low - margin, high + margin, _GRID)
    return np.array(np.meshgrid(*sides.T)).reshape(2, -1).T
