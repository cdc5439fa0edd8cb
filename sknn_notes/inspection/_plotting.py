"""Axes and labels of the displays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknn_notes._sklearn import check_matplotlib_support

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def single_axes(display: Any, ax: Axes | None) -> Axes:
    """Return ``ax`` or new axes; set the axes and the figure on the display."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def label_epochs(ax: Axes) -> None:
    """Label the x axis as epochs, which are whole numbers."""
    from matplotlib.ticker import AutoLocator

    ax.set_xlabel("epoch")
    locator = ax.xaxis.get_major_locator()
    if isinstance(locator, AutoLocator):  # The default: no log scale, no fixed ticks.
        locator.set_params(integer=True)


def rescale(ax: Axes, **scales: str) -> None:
    """Set ``x`` and ``y`` scales, unless the user has set a scale or ticks."""
    for name, scale in scales.items():
        axis = getattr(ax, f"{name}axis")
        if axis.get_scale() == "linear" and axis.isDefault_majloc:
            getattr(ax, f"set_{name}scale")(scale)


def named(name: str | None, what: str) -> str:
    """Return a label, after the name of the model if there is one."""
    return what if name is None else f"{name}: {what}"


def grid_of_axes(
    display: Any,
    ax: ArrayLike | None,
    n_rows: int,
    n_columns: int,
    panel: tuple[float, float] = (3.2, 2.8),
    **share: Any,
) -> NDArray[np.object_]:
    """Return axes of shape (n_rows, n_columns), ``ax`` or those of a new figure.

    ``panel`` is the width and height of one panel in inches; ``share`` goes to
    ``matplotlib.pyplot.subplots``.
    """
    name = type(display).__name__
    check_matplotlib_support(f"{name}.plot")
    import matplotlib.pyplot as plt

    axes: NDArray[np.object_]
    if ax is None:
        _, axes = plt.subplots(
            n_rows,
            n_columns,
            squeeze=False,
            figsize=(n_columns * panel[0], n_rows * panel[1]),
            layout="constrained",
            **share,
        )
    else:
        axes = np.asarray(ax, dtype=object)
        if axes.size != n_rows * n_columns:
            raise ValueError(
                f"{name} draws {n_rows * n_columns} panels, but ax holds {axes.size} "
                f"axes. Pass plt.subplots({n_rows}, {n_columns})[1], or ax=None."
            )
        axes = axes.reshape(n_rows, n_columns)
    display.axes_, display.figure_ = axes, axes[0, 0].figure
    return axes
