"""Multi-layer perceptron classifier."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from sknn_notes._arrays import numpy_dtype
from sknn_notes._docstrings import completed
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._sklearn import StrOptions, _check_partial_fit_first_call, _fit_context
from sknn_notes._typing import Floats, MatrixLike, RandomState
from sknn_notes.activations import Activation
from sknn_notes.embeddings import Embedding
from sknn_notes.initializers import Initializer
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.links import TreePaths
from sknn_notes.losses import CLASSIFICATION_LOSSES, ClassificationLoss
from sknn_notes.neural_network._base import BaseMLP
from sknn_notes.neural_network._class_targets import ClassTargets
from sknn_notes.neural_network._docs import DATA, NETWORK, PARTIAL_FIT
from sknn_notes.neural_network._guidance import available_if
from sknn_notes.neural_network._namespaces import follows_input
from sknn_notes.neural_network._parameters import (
    CONSTRAINTS,
    REGISTRIES,
    PerLayer,
    Sizes,
    part,
)
from sknn_notes.neural_network._targets import with_finite_sum
from sknn_notes.noise import Noise
from sknn_notes.optimizers import Optimizer
from sknn_notes.penalties import Penalty
from sknn_notes.schedules import Schedule

# With at least this many raw outputs and at most this many tree levels, searching for
# the most probable leaf is faster than computing all outputs. With 128 hidden units and
# fitted balanced and Huffman trees of 100 to 10,000 classes, the search was slower
# below 30,000 outputs, and 2 to 40 times faster above 300,000.
_MANY_OUTPUTS, _DEEP_TREE = 2**16, 100

ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"] | None


def _loss_part(loss: Any) -> Any:
    if isinstance(loss, str) and loss in CLASSIFICATION_LOSSES:
        return CLASSIFICATION_LOSSES[loss]()
    return loss


def _has_probabilities(estimator: Any) -> None:
    # The loss of the fit counts, even if the parameter has changed.
    fitted = hasattr(estimator, "_targets")
    loss = estimator._targets.loss if fitted else estimator.loss
    part = _loss_part(loss)
    is_loss = isinstance(part, ClassificationLoss)
    if not (is_loss and part.link().gives_probabilities):
        raise AttributeError(
            f"loss={loss!r} gives no probabilities. Use decision_function, train with "
            "loss='log_loss', or calibrate the scores with "
            "sklearn.calibration.CalibratedClassifierCV."
        )


def _are_plain_labels(y: Any) -> bool:
    return isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "iub"


@completed(NETWORK)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier.

    It takes every parameter of scikit-learn's class of the same name, in the same order
    and with the same meaning except for the scale of ``alpha``, and adds the choice of
    loss, initialization, penalty and dropout. Targets are binary, multiclass or
    multilabel.

    Parameters
    ----------
    loss : {'log_loss', 'hinge', 'squared_hinge', 'hierarchical_softmax', \
            'sampled_softmax'} or ClassificationLoss, default='log_loss'
        Loss. An object of :mod:`sknn_notes.losses` has parameters of its own, as in
        ``Hinge(margin=0.5)``. The hinge losses give no probabilities.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Class weights, multiplied with the sample weights; for multilabel targets a list
        with one dict per label. 'balanced' is
        ``n_samples / (n_classes * np.bincount(y))``, computed from the weighted
        samples. They apply to the validation loss, but not to a scorer.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel targets the column numbers.

    See Also
    --------
    MLPRegressor : The same network for continuous targets.
    sklearn.neural_network.MLPClassifier : Scikit-learn's classifier.

    Notes
    -----
    The objective is the weighted mean of the losses of the samples plus the penalty.
    All random draws come from one generator, seeded by ``random_state``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sknn_notes import MLPClassifier, Standardizer
    >>> X, y = load_iris(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(
    ...     X, y, stratify=y, random_state=0)
    >>> model = make_pipeline(
    ...     Standardizer(),
    ...     MLPClassifier(dropout=0.1, learning_rate_init=0.01, random_state=0))
    >>> print(f"{model.fit(X_train, y_train).score(X_test, y_test):.1f}")
    1.0
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **CONSTRAINTS,
        "loss": part(CLASSIFICATION_LOSSES, ClassificationLoss),
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }
    _registries = {**REGISTRIES, "loss": CLASSIFICATION_LOSSES}
    _target_kind = ClassTargets
    classes_: NDArray[Any]
    _targets: ClassTargets

    def __init__(
        self,
        hidden_layer_sizes: Sizes = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: PerLayer = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: str | Schedule = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: RandomState = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: str | ClassificationLoss = "log_loss",
        n_hidden_layers: int | None = None,
        init: str | Initializer = "auto",
        bias_init: float = 0.0,
        penalty: str | Penalty | None = "l2",
        l1_ratio: float = 0.5,
        penalize_bias: bool = False,
        max_norm: float | Sequence[float | None] | Floats | None = None,
        dropout: PerLayer = 0.0,
        input_dropout: float = 0.0,
        dropconnect: float = 0.0,
        dropout_scaling: Literal["inverted", "standard"] = "inverted",
        marginalization: Literal["analytic", "monte_carlo"] = "analytic",
        n_mc_samples: int = 30,
        batch_norm: bool | BatchNorm = False,
        layer_norm: bool | LayerNorm = False,
        residual: bool = False,
        embedding: str | Embedding | None = None,
        feature_scaling: bool = False,
        clip_norm: float | None = None,
        augment: Noise | Sequence[Noise] | None = None,
        class_weight: ClassWeight | Sequence[Mapping[Any, float]] = None,
        scoring: str | Callable[..., float] | None = "loss",
        dtype: Literal["auto", "float32", "float64"] = "auto",
        n_networks: int = 1,
        n_jobs: int | None = None,
        device: str | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.n_hidden_layers = n_hidden_layers
        self.init = init
        self.bias_init = bias_init
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.penalize_bias = penalize_bias
        self.max_norm = max_norm
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.dropconnect = dropconnect
        self.dropout_scaling = dropout_scaling
        self.marginalization = marginalization
        self.n_mc_samples = n_mc_samples
        self.batch_norm = batch_norm
        self.layer_norm = layer_norm
        self.residual = residual
        self.embedding = embedding
        self.feature_scaling = feature_scaling
        self.clip_norm = clip_norm
        self.augment = augment
        self.class_weight = class_weight
        self.scoring = scoring
        self.dtype = dtype
        self.n_networks = n_networks
        self.n_jobs = n_jobs
        self.device = device

    @available_if(lambda self: self._can_partial_fit())
    @_fit_context(prefer_skip_nested_validation=True)
    @completed(PARTIAL_FIT)
    def partial_fit(
        self,
        X: MatrixLike,
        y: Any,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on the given data, from the current weights.

        Parameters
        ----------
        classes : array-like of shape (n_classes,), default=None
            All class labels that can occur; required in the first call.

        Raises
        ------
        ValueError
            As in ``fit``, and for labels that are not in ``classes``.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "partial_fit can't balance classes, since it does not see all samples; "
                f"got class_weight={self.class_weight!r}. Pass a dict of weights: "
                "sklearn.utils.class_weight.compute_class_weight computes them from "
                "all labels."
            )
        # scikit-learn casts floats to int to compare them.
        with unchanged_on_error(self), np.errstate(invalid="ignore"):
            _check_partial_fit_first_call(self, classes)
            return self._fit(X, y, sample_weight, partial=True)

    @follows_input
    @completed(DATA)
    def predict(self, X: MatrixLike) -> NDArray[Any]:
        """Predict class labels.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 in one column per label.
        """
        self._check_is_fitted()
        link, decode = self._targets.link, self._targets.decode
        if self._averages:
            return self._scores(X, decode)
        X, fitted = self._fitted_arrays(X)
        if self._searches(X, link):
            leaves = self._predictor.best_leaves(X, fitted, link)
            if leaves is not None:
                return np.asarray(self.classes_[leaves])
        labels: NDArray[Any] = self._predictor.mapped(
            lambda raw: decode(link.scores(raw)), X, fitted
        )
        return labels

    def _searches(self, X: MatrixLike, link: Any) -> bool:
        """Whether to search for the best leaf of a tree."""
        if not isinstance(link, TreePaths) or len(link.tree.levels) > _DEEP_TREE:
            return False
        return bool(X.shape[0] * len(self.classes_) >= _MANY_OUTPUTS)

    @completed(DATA)
    def score(
        self, X: MatrixLike, y: Any, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy of the predicted labels.

        Returns
        -------
        score : float
            Fraction of the samples with all labels predicted correctly.
        """
        predicted = self.predict(X)
        plain = sample_weight is None and _are_plain_labels(y)
        if plain and _are_plain_labels(predicted) and predicted.shape == y.shape:
            # accuracy_score's own checks would take a large part of a search's time.
            return float(np.mean(predicted == y))
        weight = with_finite_sum(sample_weight)
        with np.errstate(invalid="ignore"):  # scikit-learn casts floats to int.
            return float(accuracy_score(y, predicted, sample_weight=weight))

    @follows_input
    @completed(DATA)
    def decision_function(self, X: MatrixLike) -> Floats:
        """Return the scores before the softmax or the logistic function.

        With ``marginalization='monte_carlo'`` or several networks, the scores are the
        logarithms of averaged probabilities (their log-odds for two classes and for
        multilabel targets).

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores, of which the largest is for the predicted class. For two classes one
            score, positive for ``classes_[1]``; for multilabel targets one score per
            label, positive for 1.
        """
        self._check_is_fitted()
        scores = self._scores(X)
        return scores[:, 0] if self._targets.binary else scores

    def _scores(
        self, X: MatrixLike, finish: Callable[[Any], Any] = lambda scores: scores
    ) -> NDArray[Any]:
        """Return the scores, shape (n_samples, n_outputs).

        ``finish`` maps the scores for a chunk of rows to the results.
        """
        link = self._targets.link
        if not self._averages:
            return self._of_raw(X, lambda raw: finish(link.scores(raw)))
        if not link.gives_probabilities:
            return self._mean(X, ClassTargets.response, finish=finish)
        if self._targets.multiclass:
            return self._mean_logs(X, finish)

        def log_odds(logs: Floats) -> Any:
            log_q, log_p = np.hsplit(logs, 2)
            return finish(log_p - log_q)

        return self._mean_logs(X, log_odds)

    def _mean_logs(
        self, X: MatrixLike, finish: Callable[[Any], Any] = lambda logs: logs
    ) -> NDArray[Any]:
        """Return the logarithms of the averaged probabilities.

        ``finish`` maps those for a chunk of rows to the results. Except for more than
        two classes, the logarithms of 1 - p stand before those of p. Averages are taken
        of logarithms in float64, and so stay finite if p rounds to 0 or 1.
        """

        def logs(targets: ClassTargets, raw: Floats) -> Any:
            raw = raw.astype(np.float64)
            raw = raw if targets.multiclass else np.hstack([-raw, raw])
            return targets.link.log_inverse(raw)

        def average(passes: Floats, axis: int) -> Any:
            return logsumexp(passes, axis=axis) - np.log(len(passes))

        dtype = numpy_dtype(self.coefs_[0])
        return self._mean(X, logs, average, lambda logs: finish(logs.astype(dtype)))

    @available_if(_has_probabilities)
    @follows_input
    @completed(DATA)
    def predict_proba(self, X: MatrixLike) -> Floats:
        """Predict class probabilities; not available for losses such as 'hinge'.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probability of each class in the order of ``classes_``, or of each label.
        """
        self._check_is_fitted()
        if self._averages:
            proba = self._mean(X, ClassTargets.response)
            return np.hstack([1 - proba, proba]) if self._targets.binary else proba
        return self._of_raw_of_classes(X, self._targets.response)

    def _of_raw_of_classes(
        self, X: MatrixLike, function: Callable[[Floats], Any]
    ) -> NDArray[Any]:
        """Apply a function to raw outputs with one column per class, chunk by chunk."""
        if not self._targets.binary:
            return self._of_raw(X, function)
        return self._of_raw(X, lambda raw: function(np.hstack([-raw, raw])))

    @available_if(_has_probabilities)
    @follows_input
    @completed(DATA)
    def predict_log_proba(self, X: MatrixLike) -> Floats:
        """Predict log-probabilities, which are finite even if probabilities round to 0.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Log-probabilities, equal to ``np.log(predict_proba(X))`` up to rounding.
        """
        self._check_is_fitted()
        if self._averages:
            logs = self._mean_logs(X)
            return np.hsplit(logs, 2)[1] if self._targets.multilabel else logs
        return self._of_raw_of_classes(X, self._targets.link.log_inverse)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = "multilabel" in getattr(
            _loss_part(self.loss), "tasks", ()
        )
        return tags
