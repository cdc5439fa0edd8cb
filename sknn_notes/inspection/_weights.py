"""Weights and whitening matrices as images or as a heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sknn_notes._arrays import to_numpy
from sknn_notes._docstrings import completed
from sknn_notes._sklearn import check_matplotlib_support
from sknn_notes._typing import Floats
from sknn_notes.inspection._docs import DISPLAY, PLOT
from sknn_notes.inspection._plotting import single_axes
from sknn_notes.neural_network._base import BaseMLP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A smaller square number of inputs is more likely a coincidence than an image.
_LEAST_SIDE = 5
_N_IMAGES = 100
_MOST_NAMES = 50
ImageShape: TypeAlias = tuple[int, ...] | Literal["auto"] | None


@completed(DISPLAY)
class WeightsDisplay:
    """Weight matrix, as one image per unit or as a heat map.

    If the inputs are pixels, the incoming weights of a unit form an image of the
    pattern that the unit responds to. The images share one color scale, symmetric about
    0. Images with three channels show the weights as RGB colors.

    It is recommended to use
    :meth:`~sknn_notes.inspection.WeightsDisplay.from_estimator` to create a display.
    All parameters are stored as attributes.

    Parameters
    ----------
    weights : ndarray of shape (n_inputs, n_units)
        Weight matrix, with one column per unit.
    image_shape : tuple of int, None or 'auto', default='auto'
        Shape of the image that the inputs form: (height, width), or (height, width, 3)
        for colors. None plots a heat map. 'auto' plots square images if the number of
        inputs is a square number of at least 25, and a heat map otherwise.
    feature_names : array-like of str of shape (n_inputs,), default=None
        Names of the inputs, for the ticks of a heat map with at most 50 inputs.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknn_notes import Whitener
    >>> from sknn_notes.inspection import WeightsDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> whitener = Whitener(method="zca", eps=0.1).fit(X)
    >>> WeightsDisplay.from_estimator(whitener).weights.shape
    (64, 64)
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        weights: Floats,
        *,
        image_shape: ImageShape = "auto",
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.weights = weights
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    @completed(PLOT)
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: int = 0,
        units: ArrayLike | None = None,
        image_shape: ImageShape = "auto",
        ax: Axes | None = None,
        **imshow_kw: Any,
    ) -> Self:
        """Plot the weights of a layer, or the filters of a whitening.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor, transformer, Pipeline or search
            A fitted network; a fitted transformer with a matrix, such as ``Whitener``
            or scikit-learn's ``PCA``; a Pipeline that ends in one of them; or a search
            over one. The preceding steps of a Pipeline name the inputs of the first
            layer.
        layer : int, default=0
            Index of the weight matrix; 0 is the one after the inputs.
        units : array-like of int, default=None
            Units (columns) to plot. None plots all units; as images, the first 100.
        image_shape : tuple of int, None or 'auto', default='auto'
            As in the constructor, except that 'auto' plots heat maps for all layers
            after the first one, and also for the first one if it follows an embedding.

        Returns
        -------
        display : WeightsDisplay
            The plotted display.
        """
        owner = f"{cls.__name__}.from_estimator"
        check_matplotlib_support(owner)
        weights = _matrix(_last(estimator), layer, owner)
        names = _input_names(estimator) if layer == 0 else None
        if units is not None:
            weights = weights[:, np.asarray(units)]
        is_embedded = getattr(_last(estimator), "embedding_", None) is not None
        if isinstance(image_shape, str) and (layer or is_embedded):
            image_shape = None
        display = cls(weights, image_shape=image_shape, feature_names=names)
        return display.plot(ax, **imshow_kw)

    @completed(PLOT)
    def plot(self, ax: Axes | None = None, **imshow_kw: Any) -> Self:
        """Plot the weights.

        Returns
        -------
        display : WeightsDisplay
            The display itself.
        """
        shape = self._shape_of_images()
        ax = single_axes(self, ax)
        import matplotlib

        limit = np.abs(self.weights).max() or 1.0
        style = {
            # Gray lines separate the images.
            "cmap": matplotlib.colormaps["RdBu_r"].with_extremes(bad="0.8"),
            "vmin": -limit,
            "vmax": limit,
            **imshow_kw,
        }
        ax.set(xscale="linear", yscale="linear")
        if shape is None:
            image = ax.imshow(self.weights, aspect="auto", **style)
            ax.set(xlabel="unit", ylabel="input")
            if self._shows_names():
                ax.set_yticks(range(len(self.weights)), self.feature_names)
        else:
            tiles = _tiled(self.weights[:, :_N_IMAGES], shape)
            if len(shape) == 3:
                tiles = np.nan_to_num((tiles / limit + 1) / 2, nan=0.8)
            image = ax.imshow(tiles, **style)
            ax.set_axis_off()
        if shape is None or len(shape) == 2:
            ax.figure.colorbar(image, ax=ax, label="weight")
        return self

    def _shows_names(self) -> bool:
        names = self.feature_names
        # Pooling leaves fewer inputs than features.
        return names is not None and len(names) == len(self.weights) <= _MOST_NAMES

    def _shape_of_images(self) -> tuple[int, ...] | None:
        n_inputs, shape = len(self.weights), self.image_shape
        if isinstance(shape, str):
            if shape != "auto":
                raise ValueError(
                    "image_shape must be a tuple such as (8, 8), None or 'auto'. Got "
                    f"{shape!r}."
                )
            side = math.isqrt(n_inputs)
            return (side, side) if _LEAST_SIDE**2 <= n_inputs == side**2 else None
        if shape is None:
            return None
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 3):
            raise ValueError(
                "image_shape must be (height, width), or (height, width, 3) for "
                f"colors. Got {shape!r}."
            )
        if math.prod(shape) != n_inputs:
            raise ValueError(
                f"image_shape={shape!r} has {math.prod(shape)} values, but the matrix "
                f"has {n_inputs} inputs. Pass the shape of the inputs of this layer, "
                "or None for a heat map."
            )
        return tuple(shape)


def _matrix(estimator: Any, layer: int, owner: str) -> Floats:
    """Return the matrix of a layer or of a transformer, with one column per unit."""
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(f"{owner} takes an estimator. Got {estimator!r}.")
    check_is_fitted(estimator)
    matrix: Floats
    if isinstance(estimator, BaseMLP):
        n_layers = len(estimator.coefs_)
        if not -n_layers <= layer < n_layers:
            raise ValueError(
                f"The network has {n_layers} weight matrices; layer must be from 0 to "
                f"{n_layers - 1}. Got {layer}."
            )
        matrix = to_numpy(estimator.coefs_[layer])
    elif hasattr(estimator, "whitening_matrix"):
        matrix = estimator.whitening_matrix()
    elif hasattr(estimator, "components_"):
        matrix = estimator.components_.T
    else:
        raise TypeError(
            f"{owner} takes a network, or a transformer with components_. "
            f"Got {estimator!r}."
        )
    return matrix


def _input_names(estimator: Any) -> Any:
    """Return the names of the inputs of the last step, None if there are none."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        with suppress(AttributeError, ValueError):  # Not every step has them.
            return estimator[:-1].get_feature_names_out()
    return getattr(_last(estimator), "feature_names_in_", None)


def _last(estimator: Any) -> Any:
    """Return the last step of a Pipeline or of the best estimator of a search."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator


def _tiled(weights: Floats, shape: tuple[int, ...]) -> Floats:
    """Return one image of all columns as images side by side, separated by NaN."""
    n_units = weights.shape[1]
    n_columns = math.ceil(math.sqrt(n_units))
    n_rows = math.ceil(n_units / n_columns)
    height, width = shape[0] + 1, shape[1] + 1
    tiles = np.full((n_rows * height - 1, n_columns * width - 1, *shape[2:]), np.nan)
    for unit, column in enumerate(weights.T):
        top, left = unit // n_columns * height, unit % n_columns * width
        tiles[top : top + shape[0], left : left + shape[1]] = column.reshape(shape)
    return tiles
