"""Scores and weights as functions of the penalty strength."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv, cross_validate
from sklearn.pipeline import Pipeline

from sknn_notes._docstrings import completed
from sknn_notes._sklearn import check_matplotlib_support
from sknn_notes._typing import Floats, MatrixLike
from sknn_notes.inspection._access import fitted_network, no_network
from sknn_notes.inspection._docs import GRID_DISPLAY, GRID_PLOT, TRAINING
from sknn_notes.inspection._plotting import grid_of_axes, named, rescale
from sknn_notes.neural_network._base import BaseMLP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_ALPHAS = np.logspace(-5, 0, 6)


@completed(GRID_DISPLAY)
class RegularizationPathDisplay:
    """Scores, weight norm and fraction of zero weights as functions of ``alpha``.

    Each model has one color, with solid lines for training scores and dashed lines for
    test scores.

    It is recommended to use
    :meth:`~sknn_notes.inspection.RegularizationPathDisplay.from_estimator` to create a
    display. All parameters are stored as attributes.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Strengths of the penalty.
    train_scores : ndarray of shape (n_alphas, n_folds)
        Scores on the training data of each fold.
    test_scores : ndarray of shape (n_alphas, n_folds)
        Scores on the held-out data of each fold.
    weight_norms : ndarray of shape (n_alphas, n_folds)
        Euclidean norm of all weights, without biases.
    zero_fractions : ndarray of shape (n_alphas, n_folds)
        Fraction of the weights that are exactly 0.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (1, 3)
        The panels: scores, norms, fractions of zeros.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.inspection import RegularizationPathDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(5, penalty="l1", learning_rate_init=0.01, random_state=0)
    >>> display = RegularizationPathDisplay.from_estimator(
    ...     model, X, y, alphas=[0, 100], cv=2
    ... )
    >>> display.zero_fractions.mean(axis=1)
    array([0., 1.])
    """

    axes_: NDArray[np.object_]
    figure_: Figure

    def __init__(
        self,
        *,
        alphas: Floats,
        train_scores: Floats,
        test_scores: Floats,
        weight_norms: Floats,
        zero_fractions: Floats,
        name: str | None = None,
    ) -> None:
        self.alphas = alphas
        self.train_scores = train_scores
        self.test_scores = test_scores
        self.weight_norms = weight_norms
        self.zero_fractions = zero_fractions
        self.name = name

    @classmethod
    @completed(GRID_PLOT)
    @completed(TRAINING)
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike,
        *,
        alphas: ArrayLike = _ALPHAS,
        cv: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        name: str | None = None,
        ax: ArrayLike | None = None,
        **line_kw: Any,
    ) -> Self:
        """Cross-validate clones for each ``alpha`` and plot the results.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            A network, or a Pipeline that ends in one. It need not be fitted, and stays
            unchanged: clones are trained.
        alphas : array-like of shape (n_alphas,), default=np.logspace(-5, 0, 6)
            Strengths of the penalty.
        cv : int, cross-validation generator or iterable, default=None
            Splitting strategy, as in :func:`sklearn.model_selection.cross_validate`.
            The folds are the same for each ``alpha``.
        scoring : str or callable, default=None
            Score, as in :func:`sklearn.model_selection.cross_validate`. None uses the
            ``score`` method of the estimator.
        n_jobs : int, default=None
            Number of folds that are fitted in parallel.

        Returns
        -------
        display : RegularizationPathDisplay
            The plotted display.
        """
        owner = f"{cls.__name__}.from_estimator"
        check_matplotlib_support(owner)
        parameter, mlp = "alpha", estimator
        if isinstance(estimator, Pipeline):
            name_of_step, mlp = estimator.steps[-1]
            parameter = f"{name_of_step}__alpha"
        if not isinstance(mlp, BaseMLP):
            raise no_network(mlp, owner)
        splitter = check_cv(cv, y, classifier=is_classifier(estimator))
        folds = list(splitter.split(X, y))
        alphas = np.asarray(alphas, dtype=float)
        rows = []
        for alpha in alphas:
            result = cross_validate(
                clone(estimator).set_params(**{parameter: alpha}),
                X,
                y,
                cv=folds,
                scoring=scoring,
                n_jobs=n_jobs,
                return_train_score=True,
                return_estimator=True,
            )
            weights = [_weights(fitted) for fitted in result["estimator"]]
            rows.append(
                (
                    result["train_score"],
                    result["test_score"],
                    [np.linalg.norm(w) for w in weights],
                    [np.mean(w == 0) for w in weights],
                )
            )
        train_scores, test_scores, norms, zeros = np.array(rows).swapaxes(0, 1)
        return cls(
            alphas=alphas,
            train_scores=train_scores,
            test_scores=test_scores,
            weight_norms=norms,
            zero_fractions=zeros,
            name=name,
        ).plot(ax, **line_kw)

    @completed(GRID_PLOT)
    def plot(self, ax: ArrayLike | None = None, **line_kw: Any) -> Self:
        """Plot the means over the folds, with bands of one standard deviation.

        Returns
        -------
        display : RegularizationPathDisplay
            The display itself.
        """
        axes = grid_of_axes(self, ax, 1, 3, panel=(3.4, 3.2))
        scores, norms, zeros = axes[0]
        scores.set_ylabel("score")
        norms.set_ylabel("norm of the weights")
        # A log scale cannot show a fraction of 0.
        zeros.set(
            ylabel="fraction of zero weights", yscale="linear", ylim=(-0.03, 1.03)
        )
        name, marked = self.name, {"marker": "."} | line_kw
        line = self._curve(scores, self.train_scores, named(name, "training"), marked)
        marked = {"color": line.get_color()} | marked
        dashed = {"linestyle": "--"} | marked
        self._curve(scores, self.test_scores, named(name, "held out"), dashed)
        self._curve(norms, self.weight_norms, name, marked)
        self._curve(zeros, self.zero_fractions, name, marked)
        for axis in axes[0]:
            rescale(axis, x="log" if min(self.alphas) > 0 else "symlog")
            axis.set_xlabel("alpha")
            if axis is scores or name is not None:
                axis.legend()
        return self

    def _curve(
        self, axis: Axes, values: Floats, label: str | None, line_kw: dict[str, Any]
    ) -> Line2D:
        mean, spread = values.mean(axis=1), values.std(axis=1)
        (line,) = axis.plot(self.alphas, mean, label=label, **line_kw)
        axis.fill_between(
            self.alphas,
            mean - spread,
            mean + spread,
            color=line.get_color(),
            alpha=0.2,
            linewidth=0,
        )
        return line


def _weights(estimator: Any) -> Floats:
    """Return all weights of a fitted network or Pipeline as one vector."""
    mlp, _ = fitted_network(estimator, "RegularizationPathDisplay")
    return np.concatenate([W.ravel() for W in mlp.coefs_])
