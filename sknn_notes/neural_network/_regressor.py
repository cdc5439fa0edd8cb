"""Multi-layer perceptron regressor."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, overload

from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin

from sknn_notes._checks import shown
from sknn_notes._docstrings import completed
from sknn_notes._sklearn import _fit_context
from sknn_notes._typing import Floats, MatrixLike, RandomState
from sknn_notes.activations import Activation
from sknn_notes.embeddings import Embedding
from sknn_notes.initializers import Initializer
from sknn_notes.layers import BatchNorm, LayerNorm
from sknn_notes.losses import REGRESSION_LOSSES, RegressionLoss
from sknn_notes.neural_network._base import BaseMLP
from sknn_notes.neural_network._docs import DATA, NETWORK, PARTIAL_FIT
from sknn_notes.neural_network._guidance import available_if
from sknn_notes.neural_network._namespaces import as_numpy, follows_input
from sknn_notes.neural_network._number_targets import (
    NumberTargets,
    moments_of_mixture,
    r2,
)
from sknn_notes.neural_network._parameters import (
    CONSTRAINTS,
    REGISTRIES,
    PerLayer,
    Sizes,
    part,
)
from sknn_notes.noise import Noise
from sknn_notes.optimizers import Optimizer
from sknn_notes.penalties import Penalty
from sknn_notes.schedules import Schedule


def _predicts(estimator: Any, name: str) -> bool:
    """Whether the link of the loss has a method of this name."""
    # The loss of the fit counts, even if the parameter has changed.
    fitted = hasattr(estimator, "_targets")
    loss = estimator._targets.loss if fitted else estimator.loss
    if isinstance(loss, str) and loss in REGRESSION_LOSSES:
        loss = REGRESSION_LOSSES[loss]()
    is_loss = isinstance(loss, RegressionLoss)
    return is_loss and getattr(loss.link(), name) is not None


def _has_quantiles(estimator: Any) -> None:
    if not _predicts(estimator, "quantiles"):
        raise AttributeError(
            f"loss={shown(estimator.loss)} predicts no quantiles. Train with "
            "loss=Quantile([0.1, 0.5, 0.9]) of sknn_notes.losses, for example."
        )


@completed(NETWORK)
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor.

    It takes every parameter of scikit-learn's class of the same name, in the same order
    and with the same meaning except for the scale of ``alpha``, and adds the choice of
    initialization, penalty and dropout. Targets have one or several outputs.

    Parameters
    ----------
    loss : {'squared_error', 'absolute_error', 'huber', 'quantile', 'gaussian_nll', \
            'poisson', 'gamma', 'tweedie'} or RegressionLoss, default='squared_error'
        Loss, summed over outputs; 'squared_error' is half the squared error.
        'gaussian_nll' predicts a mean and a standard deviation, which
        ``predict(X, return_std=True)`` returns. 'poisson', 'gamma' and 'tweedie' are
        half deviances with a log link, for ``y >= 0``, ``y > 0`` and, with power 1.5,
        ``y >= 0``. An object of :mod:`sknn_notes.losses` has parameters of its own, as
        in ``Quantile(0.9)``. ``Quantile([0.1, 0.5, 0.9])`` predicts several quantiles
        that never cross, which ``predict_quantiles`` returns.
    standardize_target : bool, default=True
        Whether to standardize each output by its weighted mean and standard deviation
        on the training data, so that nothing depends on the unit of ``y``; a constant
        output is only centered. Predictions, scores and the weights of the output layer
        are in the unit of ``y``; losses, ``tol``, ``alpha`` and Huber's ``delta`` refer
        to standardized targets. ``partial_fit`` keeps the statistics of its first
        chunk. Not used by losses with a log link, such as 'poisson'.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weight matrix of every layer; each column belongs to one unit. A loss that
        predicts a distribution has several units per output in the last layer. For
        'gaussian_nll' these are the means of all outputs, then the logarithms of their
        variances, in the unit of ``y``. For several quantiles they are the lowest
        quantiles in the unit of ``y``, then the increments before the softplus, in
        standard deviations of the targets.

    See Also
    --------
    MLPClassifier : The same network for class labels.
    sklearn.neural_network.MLPRegressor : Scikit-learn's regressor.

    Notes
    -----
    The objective is the weighted mean of the losses of the samples, each summed over
    outputs, plus the penalty, with targets standardized (``standardize_target``).

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sknn_notes import MLPRegressor
    >>> X, y = make_regression(n_samples=200, n_features=5, random_state=0)
    >>> model = MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
    >>> print(f"{model.score(X, y):.3f}")
    1.000
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **CONSTRAINTS,
        "loss": part(REGRESSION_LOSSES, RegressionLoss),
        "standardize_target": ["boolean"],
    }
    _registries = {**REGISTRIES, "loss": REGRESSION_LOSSES}
    _target_kind = NumberTargets
    _targets: NumberTargets

    def __init__(
        self,
        loss: str | RegressionLoss = "squared_error",
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
        scoring: str | Callable[..., float] | None = "loss",
        dtype: Literal["auto", "float32", "float64"] = "auto",
        standardize_target: bool = True,
        n_networks: int = 1,
        n_jobs: int | None = None,
        device: str | None = None,
    ) -> None:
        self.loss = loss
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
        self.scoring = scoring
        self.dtype = dtype
        self.standardize_target = standardize_target
        self.n_networks = n_networks
        self.n_jobs = n_jobs
        self.device = device

    @available_if(lambda self: self._can_partial_fit())
    @_fit_context(prefer_skip_nested_validation=True)
    @completed(PARTIAL_FIT)
    def partial_fit(
        self, X: MatrixLike, y: Any, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on the given data, from the current weights."""
        return self._fit(X, y, sample_weight, partial=True)

    @overload
    def predict(self, X: MatrixLike, return_std: Literal[False] = ...) -> Floats: ...

    @overload
    def predict(
        self, X: MatrixLike, return_std: Literal[True]
    ) -> tuple[Floats, Floats]: ...

    @follows_input
    @completed(DATA)
    def predict(
        self, X: MatrixLike, return_std: bool = False
    ) -> Floats | tuple[Floats, Floats]:
        """Predict the targets.

        Parameters
        ----------
        return_std : bool, default=False
            Whether to return the standard deviation of the predicted distribution too;
            only for ``loss="gaussian_nll"``. Averaged over Monte Carlo passes or
            networks, it is that of their mixture: the square root of the mean variance
            plus the variance of the means.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the data type of the computation: the mean where the loss
            predicts a distribution, and of several quantiles the one closest to the
            median.
        std : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviations in the unit of ``y``; only with ``return_std=True``.
        """
        self._check_is_fitted()
        targets = self._targets
        if not return_std:
            return targets.decode(self._mean(X, NumberTargets.response))
        if not _predicts(self, "std"):
            raise ValueError(
                f"return_std=True needs a loss that predicts a standard deviation, and "
                f"loss={shown(self.loss)} does not. Train with loss='gaussian_nll'; "
                "predict_spread measures how predictions vary with the training noise."
            )
        moments = self._mean(X, NumberTargets.moments, moments_of_mixture)
        return targets.decode(moments[..., 0]), targets.decode(moments[..., 1])

    @completed(DATA)
    def score(
        self, X: MatrixLike, y: Any, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the coefficient of determination, R2, of the predictions.

        It does not depend on the unit of ``y``. Of several outputs it is the mean.

        Returns
        -------
        score : float
            At most 1; 0 if the predictions are as good as the mean of ``y``.
        """
        predicted = as_numpy(self.predict(X))
        return r2(as_numpy(y), predicted, as_numpy(sample_weight))

    @available_if(_has_quantiles)
    @follows_input
    @completed(DATA)
    def predict_quantiles(self, X: MatrixLike) -> Floats:
        """Predict the quantiles of ``loss=Quantile(...)``.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_quantiles) or \
                (n_samples, n_outputs, n_quantiles)
            Quantiles in increasing order, in the unit of ``y``; they never cross. Over
            Monte Carlo passes or networks, each of them is averaged.

        Examples
        --------
        >>> import numpy as np
        >>> from sknn_notes import MLPRegressor
        >>> from sknn_notes.losses import Quantile
        >>> rng = np.random.default_rng(0)
        >>> X = rng.uniform(size=(500, 1))
        >>> y = rng.exponential(scale=1 + X[:, 0])
        >>> model = MLPRegressor(Quantile([0.1, 0.5, 0.9]), random_state=0).fit(X, y)
        >>> (y[:, None] <= model.predict_quantiles(X)).mean(axis=0).round(1)
        array([0.1, 0.5, 0.9])
        """
        self._check_is_fitted()
        return self._targets.decode(self._mean(X, NumberTargets.quantiles))
