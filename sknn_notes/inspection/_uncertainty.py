"""What Monte Carlo passes tell about the uncertainty of predictions."""

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_array

from sknn_notes._sklearn import check_matplotlib_support
from sknn_notes.inspection._access import fitted_network
from sknn_notes.inspection._plotting import single_axes

_MOST_ROWS = 10
_GRID = 80


class UncertaintyDisplay:
    """Mean and spread of predictions over Monte Carlo passes with the training noise.

    How it is drawn depends on the features. One feature: the mean and a band of one
    spread to either side. Two: a map of the spread, of the predicted class where there
    are several. More: the samples side by side, for classes the probability of each
    with its spread. It is recommended to use
    :meth:`~sknn_notes.inspection.UncertaintyDisplay.from_estimator`. All parameters
    are stored as attributes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Where the network was asked; for two features the points of a grid.
    mean : ndarray of shape (n_samples, n_outputs)
        Mean over the passes: of a regressor's predictions, of a classifier's
        probabilities where the loss has them (for two classes that of the second), else
        of raw outputs.
    spread : ndarray of shape (n_samples, n_outputs)
        Standard deviation over the passes.
    labels : sequence of length n_outputs, default=None
        Names of the outputs, such as the classes; None for regression.
    quantity : str, default='prediction'
        What was averaged, for the labels of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the plot.
    figure_ : matplotlib Figure
        The figure that holds them.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes import MLPRegressor
    >>> from sknn_notes.inspection import UncertaintyDisplay
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> model = MLPRegressor(dropout=0.2, random_state=0).fit(x, x[:, 0] ** 2)
    >>> display = UncertaintyDisplay.from_estimator(model, x)
    >>> np.array_equal(display.spread, model.predict_spread(x))
    True
    """

    def __init__(self, X, mean, spread, *, labels=None, quantity="prediction"):
        self.X = X
        self.mean = mean
        self.spread = spread
        self.labels = labels
        self.quantity = quantity

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None):
        """Ask a fitted network many times and plot mean and spread of its answers.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            A fitted network with noise (dropout, dropconnect, augment), or a Pipeline
            that ends in one. It makes ``n_mc_samples`` passes whatever its
            ``marginalization``.
        X : array-like of shape (n_samples, n_features)
            The data. With two features a grid over their range is asked instead; with
            more, a classifier takes up to 10 samples.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : UncertaintyDisplay
            The plotted display.
        """
        owner = f"{cls.__name__}.from_estimator"
        check_matplotlib_support(owner)
        points = check_array(X, dtype=None)
        if points.shape[1] == 2:
            points = _grid_over(points)
            # A data frame stays one, so that its columns keep their names.
            in_frame = hasattr(X, "iloc")
            X = type(X)(points, columns=X.columns) if in_frame else points
        mlp, X = fitted_network(estimator, owner, X)
        mlp.predict_spread(X[:1])  # refuses a network without noise
        labels, quantity = None, "prediction"
        if is_classifier(mlp):
            labels = mlp.classes_[-mlp.n_outputs_ :]
            has_probabilities = hasattr(mlp, "predict_proba")
            quantity = "probability" if has_probabilities else "raw output"
            if points.shape[1] > 2 and len(points) > _MOST_ROWS:
                raise ValueError(
                    f"With {points.shape[1]} features every sample gets marks of its "
                    f"own, {_MOST_ROWS} samples at most. Got {len(points)}; choose "
                    "some, such as X[:5]."
                )
        mean, spread = mlp._sampled(X, mlp._averaged)
        return cls(points, mean, spread, labels=labels, quantity=quantity).plot(ax)

    def plot(self, ax=None):
        """Draw mean and spread.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : UncertaintyDisplay
            The display itself.
        """
        ax = single_axes(self, ax)
        n_features = self.X.shape[1]
        if n_features == 2:
            self._plot_map(ax)
            return self
        if n_features == 1:
            self._plot_bands(ax)
        elif self.labels is None:
            self._plot_numbers(ax)
        else:
            self._plot_classes(ax)
        if len(ax.get_legend_handles_labels()[0]) > 1:
            ax.legend()
        return self

    def _plot_bands(self, ax):
        order = np.argsort(self.X[:, 0])
        x = self.X[order, 0]
        for i, (mean, spread) in enumerate(self._outputs()):
            low, high = (mean - spread)[order], (mean + spread)[order]
            ax.plot(x, mean[order], color=f"C{i}", label=self._name(i))
            ax.fill_between(x, low, high, color=f"C{i}", alpha=0.3, linewidth=0)
        ax.set(xlabel="feature", ylabel=self.quantity)

    def _plot_map(self, ax):
        predicted = np.argmax(self.mean, axis=1)
        spread = self.spread[np.arange(len(predicted)), predicted]
        mesh = ax.tripcolor(*self.X.T, spread, shading="gouraud", cmap="viridis")
        ax.figure.colorbar(mesh, ax=ax, label=f"spread of the {self.quantity}")
        ax.set(xlabel="feature 0", ylabel="feature 1")

    def _plot_numbers(self, ax):
        samples = np.arange(len(self.X))
        for i, (mean, spread) in enumerate(self._outputs()):
            ax.errorbar(samples, mean, spread, fmt="o", label=self._name(i))
        ax.set(xlabel="sample", ylabel=self.quantity)

    def _plot_classes(self, ax):
        places = np.arange(len(self.labels))
        shifts = np.linspace(-0.25, 0.25, len(self.X) + 2)[1:-1]
        for i, shift in enumerate(shifts):
            ax.errorbar(
                places + shift,
                self.mean[i],
                self.spread[i],
                fmt="o",
                markersize=4,
                label=f"sample {i}",
            )
        ax.set_xticks(places, self.labels)
        ax.set(xlabel="class", ylabel=self.quantity)

    def _outputs(self):
        """Return the pairs of mean and spread of every output."""
        return zip(self.mean.T, self.spread.T, strict=True)

    def _name(self, i):
        return f"output {i}" if self.labels is None else str(self.labels[i])


def _grid_over(X):
    """Return the points of a grid that reaches a little beyond the data."""
    low, high = X.min(axis=0), X.max(axis=0)
    margin = 0.05 * (high - low)
    sides = np.linspace(low - margin, high + margin, _GRID)
    return np.array(np.meshgrid(*sides.T)).reshape(2, -1).T
