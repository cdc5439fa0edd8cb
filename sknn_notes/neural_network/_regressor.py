"""The multi-layer perceptron for continuous targets."""

from sklearn.base import RegressorMixin

from sknn_notes._checks import shown
from sknn_notes._sklearn import _fit_context
from sknn_notes.losses import REGRESSION_LOSSES, RegressionLoss
from sknn_notes.neural_network._base import BaseMLP
from sknn_notes.neural_network._guidance import available_if
from sknn_notes.neural_network._namespaces import follows_input
from sknn_notes.neural_network._number_targets import (
    NumberTargets,
    moments_of_mixture,
)
from sknn_notes.neural_network._parameters import CONSTRAINTS, REGISTRIES, part
from sknn_notes.neural_network._validation import check_given


def _predicts(estimator, name):
    """Tell whether predictions are distributions whose link has such a method."""
    # What was fitted counts, whatever the parameter says now.
    fitted = hasattr(estimator, "_targets")
    loss = estimator._targets.loss if fitted else estimator.loss
    if isinstance(loss, str) and loss in REGRESSION_LOSSES:
        loss = REGRESSION_LOSSES[loss]()
    is_loss = isinstance(loss, RegressionLoss)
    return is_loss and getattr(loss.link(), name) is not None


def _has_quantiles(estimator):
    if not _predicts(estimator, "quantiles"):
        raise AttributeError(
            f"loss={shown(estimator.loss)} predicts no quantiles. Train with "
            "loss=Quantile([0.1, 0.5, 0.9]) of sknn_notes.losses, for example."
        )


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor.

    It takes every parameter of scikit-learn's class of the same name, in the same order
    and with the same meaning but for ``alpha``'s scale, and adds the choice of
    initialization, penalty and dropout. One or several outputs are handled.

    Parameters
    ----------
    loss : {'squared_error', 'absolute_error', 'huber', 'quantile', 'gaussian_nll', \
            'poisson', 'gamma', 'tweedie'} or RegressionLoss, default='squared_error'
        The loss, summed over outputs; 'squared_error' is half the squared error.
        'gaussian_nll' predicts mean and standard deviation,
        ``predict(X, return_std=True)``. 'poisson', 'gamma' and 'tweedie' are half the
        deviances of these names with a log link, for ``y >= 0``, ``y > 0`` and, with
        power 1.5, ``y >= 0``. A part of :mod:`sknn_notes.losses` carries its own
        parameters: ``Quantile(0.9)``, or ``Quantile([0.1, 0.5, 0.9])`` for several
        quantiles that never cross, which ``predict_quantiles`` returns.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Number of units of each hidden layer; ``()`` is a linear model.
    activation : {'relu', 'leaky_relu', 'elu', 'gelu', 'silu', 'tanh', 'logistic', \
            'identity'} or Activation, or a list of these, default='relu'
        Activation of the hidden layers, one for all or one per layer.
    solver : {'adam', 'adamw', 'sgd', 'rmsprop', 'lbfgs'} or Optimizer, default='adam'
        The solver. A part of :mod:`sknn_notes.optimizers` carries its own parameters.
        'lbfgs' computes in float64 on all the data at once and takes no noise, no
        max norm and no non-smooth penalty.
    alpha : float or Schedule, or list of these, default=0.0001
        Strength of the penalty, one value or one per weight matrix (hidden layers + 1).
        A schedule needs a ``start``, as in ``Cosine(start=0.1)``.
        The penalty is not divided by the batch size: scikit-learn's ``alpha`` equals
        this one times its batch size.
    batch_size : int or 'auto', default='auto'
        Samples per step; 'auto' is ``min(200, n_samples)``. Not used by 'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive', 'step', 'exponential', \
            'cosine', 'flat_cosine', 'inverse_time', 'onecycle'} or Schedule, \
            default='constant'
        How the learning rate changes, for every solver but 'lbfgs': not at all,
        'invscaling' (``learning_rate_init / (t_ + 1)**power_t``), 'adaptive' (divided
        by 5 after ``n_iter_no_change`` epochs without improvement), or by the epoch. A
        part of :mod:`sknn_notes.schedules` has parameters of its own, such as
        ``Cosine(warmup=5)``.
    learning_rate_init : float, default=0.001
        The learning rate that the schedule scales: the one at the start, under
        'onecycle' the largest.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Largest number of epochs (of iterations under 'lbfgs').
    shuffle : bool, default=True
        Whether every epoch visits the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Seeds the generator of all random draws: weights, validation split, order of
        samples, dropout. An int makes results repeat.
    tol : float, default=1e-4
        An epoch that does not improve the loss (or the validation score) by ``tol``
        counts as no improvement. Under 'lbfgs' the bound on the gradient.
    verbose : bool, default=False
        Whether to print the loss of every epoch.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last solution and the solver's state.
    momentum : float, default=0.9
        Momentum of 'sgd', between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.
    early_stopping : bool, default=False
        Whether to hold out validation data, stop when the score on it no longer
        improves, and restore the weights of its best epoch.
    validation_fraction : float, default=0.1
        Share of the training data held out under early stopping: rows drawn at random,
        also with ``shuffle=False``. To hold out the last ones, pass
        them as ``X_val`` and ``y_val``.
    beta_1 : float, default=0.9
        Decay of the running mean of the gradient of 'adam' and 'adamw', in [0, 1).
    beta_2 : float, default=0.999
        Decay of the running mean of the squared gradient, in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of 'adam', 'adamw' and 'rmsprop'.
    n_iter_no_change : int or inf, default=10
        Training stops after more than this many epochs in a row without improvement.
    max_fun : int, default=15000
        Largest number of evaluations of the objective under 'lbfgs'.
    n_hidden_layers : int or None, default=None
        Repeats a ``hidden_layer_sizes`` that is one int this many times, so that a
        search over depth and width needs no tuples.
    init : {'auto', 'zeros', 'normal', 'uniform', 'lecun_normal', \
            'lecun_uniform', 'glorot_normal', 'glorot_uniform', 'he_normal', \
            'he_uniform', 'sparse', 'orthogonal', 'lsuv'} or Initializer, default='auto'
        Initial weights; 'auto' is Glorot's uniform distribution, or He's for the ReLU
        family from 20 hidden layers on.
    bias_init : float, default=0.0
        Initial value of every bias; at 0 ``init='auto'`` draws them from the
        distribution of the weights, as scikit-learn does. The shifts of a norm, which
        take the place of the hidden layers' biases, start at 0.
    penalty : {'l2', 'l1', 'elasticnet'}, Penalty or None, default='l2'
        Penalty on the weights, of strength ``alpha``, added to the mean loss: 'l2' is
        ``alpha / 2 * sum(W**2)``, 'l1' ``alpha * sum(abs(W))`` with exact zeros.
    l1_ratio : float, default=0.5
        Share of L1 in ``penalty='elasticnet'``, between 0 and 1.
    penalize_bias : bool, default=False
        Whether the penalty covers the biases too.
    max_norm : float, list of float or None, default=None
        Largest length of the incoming weights of a unit, one value or one per weight
        matrix (None for no bound); longer ones are scaled back to it after every step.
    dropout : float or Schedule, or list of these, default=0.0
        Probability of dropping a hidden unit in a training step, one value or one per
        hidden layer; a schedule needs a ``start``. The units kept are scaled up by
        ``1 / (1 - dropout)``.
    input_dropout : float, default=0.0
        Probability of dropping an input in a training step.
    dropconnect : float, default=0.0
        Probability of dropping a single weight, drawn anew for every batch.
    dropout_scaling : {'inverted', 'standard'}, default='inverted'
        Whether what is kept is scaled up in training ('inverted'), or scaled down in
        prediction by the probability of keeping ('standard').
    marginalization : {'analytic', 'monte_carlo'}, default='analytic'
        How predictions average over the training noise: by scaling, or over
        ``n_mc_samples`` passes through sub-networks drawn from a seed fixed in ``fit``.
    n_mc_samples : int, default=30
        Number of passes of 'monte_carlo' and of ``predict_spread``.
    batch_norm : bool or BatchNorm, default=False
        Whether to normalize every hidden unit over the batch before its activation.
    layer_norm : bool or LayerNorm, default=False
        Whether to normalize the units of each sample before each activation, in place
        of batch norm; it computes the same in training and prediction.
    residual : bool, default=False
        Whether to add what enters a hidden layer to what leaves it, through a learned
        matrix where their widths differ.
    embedding : {'periodic', 'piecewise_linear'}, Embedding or None, default=None
        What stands for each feature at the first layer: learned periodic functions of
        it, or its piecewise linear components, and the feature beside them. A part of
        :mod:`sknn_notes.embeddings` carries its own parameters, such as
        ``Periodic(sigma=0.3)``. ``X`` must be dense, and should be standardized.
    feature_scaling : bool, default=False
        Whether to multiply each input of the first layer (each embedded one, where
        there is an embedding) by a learned factor, which starts at 1 and has no
        penalty.
    clip_norm : float or None, default=None
        Largest length of the gradient, penalty included; a longer one is shortened.
    augment : Noise, list of Noise or None, default=None
        Noise on the inputs, drawn anew for every batch: parts of
        :mod:`sknn_notes.noise`, applied in order.
    scoring : str, callable or None, default='loss'
        What early stopping watches on the validation data, larger being better: 'loss'
        is the negative loss without the penalty; None is
        the R2 score; else the name of a scorer, or a callable
        ``scorer(estimator, X, y)``.
        A scorer gets ``sample_weight`` if it takes it.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        Type to compute in. 'auto' takes that of ``X``: float32 stays float32, anything
        else is float64. A fit that goes on from an earlier one keeps its type.
    standardize_target : bool, default=True
        Whether to train on targets standardized by the weighted mean and standard
        deviation of the training rows, one of each an output; a constant is divided
        by 1. Predictions, scores and the published weights of the output layer are in
        the unit of ``y``; losses, ``tol``, ``alpha`` and Huber's ``delta`` refer to
        standardized targets, so that nothing depends on the unit. ``partial_fit``
        keeps the statistics of its first chunk. Not used by losses with a log link,
        such as 'poisson'.
    n_networks : int, default=1
        Number of networks, trained from seeds that ``random_state`` draws. Their
        predictions are averaged, in the unit of ``y``.
        Under early stopping each holds out other rows, so that every row trains some
        network; ``validation_fraction`` may then be up to ``1 - 1 / n_networks``.
    n_jobs : int or None, default=None
        Number of networks that are trained at the same time, on threads; -1 is one a
        processor. None is 1 unless in a :obj:`joblib.parallel_config` context. The
        results do not depend on it. It has no effect on a device, which trains them all
        at once, except by 'lbfgs'.
    device : str or None, default=None
        Where the network is trained: 'cpu', or a device of PyTorch such as 'cuda' or
        'cuda:1'. None is where ``X`` is: arrays of numpy are trained on the CPU, and
        a tensor on its device. Arrays of numpy are moved there once; what they fit are
        arrays of numpy, too, which predict on the CPU.

    Attributes
    ----------
    networks_ : list of MLPRegressor or None
        The fitted networks, each an estimator with ``n_networks=1`` and a seed of its
        own as ``random_state``; the attributes below are those of the first. None
        where ``n_networks=1``.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights of every layer; one column is one unit. The last layer has several
        units for an output where the loss is of a distribution: under 'gaussian_nll'
        the means of all outputs, then the logarithms of their variances, in the unit of
        ``y``; for several quantiles the lowest ones in the unit of ``y``, then the
        increments before the softplus, which are in standard deviations of the
        targets.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases of every layer.
    loss_ : float
        Training loss of the last epoch, penalty included.
    loss_curve_ : list of float
        Training loss of every epoch (of every iteration under 'lbfgs').
    history_ : list of dict
        The curves of all networks as records, one for every epoch, with the keys
        ``"network"``, ``"epoch"``, ``"loss"``, ``"validation_loss"`` and
        ``"validation_score"``; what is not known is NaN.
        ``pandas.DataFrame(model.history_)`` shows it.
    best_loss_ : float or None
        Smallest training loss of this fit; a warm start counts the loss of the weights
        that it starts from. None under early stopping.
    best_epoch_ : int
        Number of the epoch of the last call whose weights are kept, from 1; ``n_iter_``
        without early stopping. 0 where a warm start found nothing better than the
        weights that it started from.
    validation_scores_ : list of float or None
        What ``scoring`` names, on the validation data after every epoch; by default
        negative losses. None without early stopping.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after every epoch, without the penalty; None without
        early stopping.
    best_validation_score_ : float or None
        Best of the validation scores; its weights are the ones kept. A warm start also
        counts the score of the weights that it starts from, on its own validation
        set. None without early stopping.
    batch_norm_ : list of dict or None
        Learned scale and shift, running mean and var of every hidden layer, arrays of
        shape (n_units,); None without batch norm.
    layer_norm_ : list of dict or None
        Learned scale and shift of every hidden layer, arrays of shape (n_units,); None
        without layer norm.
    residual_coefs_ : list of (ndarray of shape (fan_in, fan_out) or None) or None
        Matrices of the residual connections, None where the widths are equal; None
        without such connections.
    embedding_ : dict of ndarray or None
        Arrays of the embedding by their names: of 'periodic' the ``frequencies``,
        ``phases``, ``weights`` and ``biases``, feature by feature; of
        'piecewise_linear' the ``features`` of all components, and the ``lower`` edge
        and ``width`` of their bins, ``mean`` and ``scale``. None without embedding.
    feature_scales_ : ndarray of shape (n_inputs,) or None
        Learned factors of the (embedded) inputs; None without feature scaling.
    executor_ : str
        Who made the training steps: 'numba', or 'numpy' and what kept numba away.
    n_iter_ : int
        Epochs (iterations) of the last call; 1 where lbfgs found no step down.
    t_ : int
        Training samples shown so far, over all epochs.
    n_layers_ : int
        Number of layers, inputs and outputs included.
    n_outputs_ : int
        Number of outputs.
    out_activation_ : str
        Function that turns raw outputs into predictions.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` has names that are all strings.

    See Also
    --------
    MLPClassifier : The same network for classes and labels.
    sklearn.neural_network.MLPRegressor : Scikit-learn's own.

    Notes
    -----
    The objective is the weighted mean of the samples' losses, each summed over outputs,
    plus the penalty, with targets standardized (``standardize_target``).

    References
    ----------
    Srivastava, N., Hinton, G., Krizhevsky, A., Sutskever, I. and Salakhutdinov, R.
    (2014). Dropout: a simple way to prevent neural networks from overfitting. JMLR 15.

    Kingma, D. P. and Ba, J. (2015). Adam: a method for stochastic optimization. ICLR.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sknn_notes import MLPRegressor
    >>> X, y = make_regression(n_samples=200, n_features=5, random_state=0)
    >>> model = MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
    >>> print(f"{model.score(X, y):.3f}")
    1.000
    """

    _parameter_constraints: dict = {
        **CONSTRAINTS,
        "loss": part(REGRESSION_LOSSES, RegressionLoss),
        "standardize_target": ["boolean"],
    }
    _registries = {**REGISTRIES, "loss": REGRESSION_LOSSES}
    _target_kind = NumberTargets

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        n_hidden_layers=None,
        init="auto",
        bias_init=0.0,
        penalty="l2",
        l1_ratio=0.5,
        penalize_bias=False,
        max_norm=None,
        dropout=0.0,
        input_dropout=0.0,
        dropconnect=0.0,
        dropout_scaling="inverted",
        marginalization="analytic",
        n_mc_samples=30,
        batch_norm=False,
        layer_norm=False,
        residual=False,
        embedding=None,
        feature_scaling=False,
        clip_norm=None,
        augment=None,
        scoring="loss",
        dtype="auto",
        standardize_target=True,
        n_networks=1,
        n_jobs=None,
        device=None,
    ):
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        checkpoint=None,
    ):
        """Fit the network to training data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data; sparse matrices are used as CSR.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; None is 1 for each.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data for early stopping, in place of a part of ``X``. In a
            :class:`~sklearn.pipeline.Pipeline` with ``transform_input=["X_val"]`` it
            goes through the same steps as ``X``.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation data.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation samples in the score and the loss.
        checkpoint : Checkpoint, default=None
            Writes the fit to a file while it runs, to be resumed from there; see
            :class:`~sknn_notes.callbacks.Checkpoint`. Where scikit-learn has callbacks,
            ``set_callbacks`` takes it, too.

        Returns
        -------
        self : MLPRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, the data or their combination can't work, or training ends
            with a loss, weights or predictions for the training data that are not
            finite. The estimator is then left as it was.
        """
        validation = check_given(self, X, X_val, y_val, sample_weight_val)
        return self._fit(
            X, y, sample_weight, validation=validation, checkpoint=checkpoint
        )

    @available_if(lambda self: self._can_partial_fit())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Go once over the given data, from where training stands.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; None is 1 for each. They are taken as
            they are, while ``fit`` divides them by their mean, and samples without
            weight count in batch norm's averages.

        Returns
        -------
        self : MLPRegressor
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, partial=True)

    @follows_input
    def predict(self, X, return_std=False):
        """Predict the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.
        return_std : bool, default=False
            Whether to return the standard deviation of the targets' predicted
            distribution, too; for ``loss="gaussian_nll"`` alone. Over Monte Carlo
            passes it is that of their mixture: the square root of the mean variance
            plus the variance of the means.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the type that the network computes in. Where the loss is of
            a distribution they are its mean, and of several quantiles the one nearest
            to the median.
        std : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Standard deviations in the unit of ``y``, with ``return_std=True``.
        """
        self._check_is_fitted()
        targets = self._targets
        if not return_std:
            return targets.decode(self._mean(X, NumberTargets.response))
        if not _predicts(self, "std"):
            raise ValueError(
                f"return_std=True needs a loss that predicts a standard deviation, and "
                f"loss={shown(self.loss)} does not. Train with loss='gaussian_nll'; "
                "predict_spread measures what training noise does to predictions."
            )
        moments = self._mean(X, NumberTargets.moments, moments_of_mixture)
        return targets.decode(moments[..., 0]), targets.decode(moments[..., 1])

    @available_if(_has_quantiles)
    @follows_input
    def predict_quantiles(self, X):
        """Predict all quantiles of ``loss=Quantile(...)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_quantiles) or \
                (n_samples, n_outputs, n_quantiles)
            In increasing order and in the unit of ``y``; they never cross. Over Monte
            Carlo passes each of them is averaged.

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
