"""Docstring entries that the displays share."""

# Of a display of several panels.
GRID_DISPLAY = """
Parameters
----------
name : str, default=None
    Name of the model, for the legend.

Attributes
----------
figure_ : matplotlib Figure
    Figure that contains the axes.
"""

# Of a display of one panel.
DISPLAY = f"""{GRID_DISPLAY}
ax_ : matplotlib Axes
    Axes with the plot.
"""

# Of `from_estimator` and `plot` of a display of one panel.
PLOT = """
Parameters
----------
estimator : MLPClassifier, MLPRegressor, Pipeline or search
    A fitted network, a Pipeline that ends in one, or a search over one.
name : str, default=None
    Name of the model, for the legend.
ax : matplotlib Axes, default=None
    Axes to plot on. None creates a new figure.
**line_kw : dict
    Keyword arguments for the lines, such as ``color``, passed to
    :meth:`matplotlib.axes.Axes.plot`.
**hist_kw : dict
    Keyword arguments for the histograms, such as ``color``, passed to
    :meth:`matplotlib.axes.Axes.hist`.
**imshow_kw : dict
    Keyword arguments for the image, such as ``cmap``, passed to
    :meth:`matplotlib.axes.Axes.imshow`.
**plot_kw : dict
    Keyword arguments passed to :meth:`matplotlib.axes.Axes.plot`, ``errorbar`` or
    ``tripcolor``, whichever draws the plot.
"""

# Of `from_estimator` and `plot` of a display of several panels.
GRID_PLOT = PLOT.replace(
    "matplotlib Axes, default=None\n    Axes to plot on.",
    "array-like of matplotlib Axes, default=None\n    Axes to plot on, one per panel.",
)

# Of functions that train clones of an estimator.
TRAINING = """
Parameters
----------
estimator : MLPClassifier, MLPRegressor or a meta-estimator of one
    A network, a Pipeline that ends in one, a TransformedTargetRegressor of one, or a
    search such as GridSearchCV over one of these. It need not be fitted, and stays
    unchanged: clones are trained. Of a fitted search, its ``best_estimator_`` is used,
    otherwise its ``estimator``.
X : {array-like, sparse matrix} of shape (n_samples, n_features)
    Training data.
y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    Targets.
"""
