"""Scores and weights along the strength of the penalty."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv, cross_validate
from sklearn.pipeline import Pipeline

from sknn_notes._sklearn import check_matplotlib_support
from sknn_notes.inspection._access import split_pipeline
from sknn_notes.inspection._plotting import grid_of_axes

_ALPHAS = np.logspace(-5, 0, 6)


class RegularizationPathDisplay:
    """Scores, size of the weights and share of exact zeros along ``alpha``.

    It is recommended to use
    :meth:`~sknn_notes.inspection.RegularizationPathDisplay.from_estimator`. All
    parameters are stored as attributes.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Strengths of the penalty.
    train_scores : ndarray of shape (n_alphas, n_folds)
        Scores on the training data of every fold.
    test_scores : ndarray of shape (n_alphas, n_folds)
        Scores on the data held out.
    weight_norms : ndarray of shape (n_alphas, n_folds)
        Euclidean norm of all weights together, biases left out.
    zero_fractions : ndarray of shape (n_alphas, n_folds)
        Share of the weights that are exactly 0.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (1, 3)
        The panels: scores, norms, zeros.
    figure_ : matplotlib Figure
        The figure that holds them.

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

    def __init__(
        self, *, alphas, train_scores, test_scores, weight_norms, zero_fractions
    ):
        self.alphas = alphas
        self.train_scores = train_scores
        self.test_scores = test_scores
        self.weight_norms = weight_norms
        self.zero_fractions = zero_fractions

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        alphas=_ALPHAS,
        cv=None,
        scoring=None,
        n_jobs=None,
        ax=None,
    ):
        """Cross-validate clones at every strength and plot the path.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            A network, or a Pipeline that ends in one; it stays as it is.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        alphas : array-like of shape (n_alphas,), default=np.logspace(-5, 0, 6)
            The strengths.
        cv : int, cross-validation generator or iterable, default=None
            As in :func:`sklearn.model_selection.cross_validate`. The folds are the
            same at every strength.
        scoring : str or callable, default=None
            The score, as there; None is the estimator's own.
        n_jobs : int, default=None
            Folds that are fitted at a time.
        ax : array-like of matplotlib Axes, default=None
            Where to draw, one for each panel; None makes a new figure.

        Returns
        -------
        display : RegularizationPathDisplay
            The plotted display.
        """
        owner = f"{cls.__name__}.from_estimator"
        check_matplotlib_support(owner)
        split_pipeline(estimator, owner)
        name = "alpha"
        if isinstance(estimator, Pipeline):
            name = f"{estimator.steps[-1][0]}__alpha"
        splitter = check_cv(cv, y, classifier=is_classifier(estimator))
        folds = list(splitter.split(X, y))
        alphas = np.asarray(alphas, dtype=float)
        rows = []
        for alpha in alphas:
            result = cross_validate(
                clone(estimator).set_params(**{name: alpha}),
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
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the path: the mean over the folds, with a band of one deviation.

        Parameters
        ----------
        ax : array-like of matplotlib Axes, default=None
            Where to draw, one for each panel; None makes a new figure.

        Returns
        -------
        display : RegularizationPathDisplay
            The display itself.
        """
        axes = grid_of_axes(self, ax, 1, 3, panel=(3.4, 3.2))
        scores, norms, zeros = axes[0]
        self._curve(scores, self.train_scores, "C0", "training")
        self._curve(scores, self.test_scores, "C1", "held out")
        self._curve(norms, self.weight_norms, "C2")
        self._curve(zeros, self.zero_fractions, "C2")
        scores.set(ylabel="score")
        scores.legend()
        norms.set(ylabel="norm of the weights")
        zeros.set(ylabel="share of exact zeros", ylim=(-0.03, 1.03))
        for axis in axes[0]:
            axis.set(xlabel="alpha", xscale="log" if min(self.alphas) > 0 else "symlog")
        return self

    def _curve(self, axis, values, color, label=None):
        mean, spread = values.mean(axis=1), values.std(axis=1)
        axis.plot(self.alphas, mean, color=color, marker=".", label=label)
        axis.fill_between(
            self.alphas,
            mean - spread,
            mean + spread,
            color=color,
            alpha=0.2,
            linewidth=0,
        )


def _weights(estimator):
    """Return all weights of a fitted network or Pipeline as one vector."""
    _, mlp = split_pipeline(estimator, "RegularizationPathDisplay")
    return np.concatenate([W.ravel() for W in mlp.coefs_])
