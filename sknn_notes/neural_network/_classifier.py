"""The multi-layer perceptron for classes and labels."""

import numpy as np
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from sknn_notes._arrays import numpy_dtype
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._sklearn import StrOptions, _check_partial_fit_first_call, _fit_context
from sknn_notes.links import TreePaths
from sknn_notes.losses import CLASSIFICATION_LOSSES, ClassificationLoss
from sknn_notes.neural_network._base import BaseMLP
from sknn_notes.neural_network._class_targets import ClassTargets
from sknn_notes.neural_network._guidance import available_if
from sknn_notes.neural_network._namespaces import follows_input
from sknn_notes.neural_network._parameters import CONSTRAINTS, REGISTRIES, part
from sknn_notes.neural_network._validation import check_given

# From so many raw outputs on, in a tree of so many levels at most, it is faster to
# search for the most probable leaf than to compute them all. With 128 hidden units and
# fitted balanced and Huffman trees of 100 to 10,000 classes, the search was slower
# below 30,000 outputs, and 2 to 40 times faster above 300,000.
_MANY_OUTPUTS, _DEEP_TREE = 2**16, 100


def _loss_part(loss):
    if isinstance(loss, str) and loss in CLASSIFICATION_LOSSES:
        return CLASSIFICATION_LOSSES[loss]()
    return loss


def _has_probabilities(estimator):
    # What was fitted counts, whatever the parameter says now.
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
    return True


def _are_plain_labels(y):
    return isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "iub"


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier.

    It takes every parameter of scikit-learn's class of the same name, in the same order
    and with the same meaning but for ``alpha``'s scale, and adds the choice of loss,
    initialization, penalty and dropout. Two classes, more classes, and any number of
    labels per sample are handled.

    Parameters
    ----------
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
        improves, and restore the weights of its best epoch. Two classes are
        stratified. ``fit`` also takes validation data of your own, as ``X_val``.
    validation_fraction : float, default=0.1
        Share of the training data held out under early stopping: rows drawn at random,
        also with ``shuffle=False``, in the classes' proportions. To hold out the last
        ones, pass them as ``X_val`` and ``y_val``.
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
    loss : {'log_loss', 'hinge', 'squared_hinge', 'hierarchical_softmax', \
            'sampled_softmax'} or ClassificationLoss, default='log_loss'
        The loss. A part of :mod:`sknn_notes.losses` carries its own parameters, such as
        ``Hinge(margin=0.5)``. The hinge losses have no probabilities.
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
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, multiplied with the sample weights; for labels a list
        with one dict per column. 'balanced' takes
        ``n_samples / (n_classes * np.bincount(y))``, of the weighted samples.
    scoring : str, callable or None, default='loss'
        What early stopping watches on the validation data, larger being better: 'loss'
        is the negative loss without the penalty, with class weights; None is
        the accuracy; else the name of a scorer, or a callable
        ``scorer(estimator, X, y)``.
        A scorer gets ``sample_weight`` if it takes it, and no class weights.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        Type to compute in. 'auto' takes that of ``X``: float32 stays float32, anything
        else is float64. A fit that goes on from an earlier one keeps its type.
    n_networks : int, default=1
        Number of networks, trained from seeds that ``random_state`` draws. Their
        probabilities are averaged, or raw outputs under a loss without them.
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
    networks_ : list of MLPClassifier or None
        The fitted networks, each an estimator with ``n_networks=1`` and a seed of its
        own as ``random_state``; the attributes below are those of the first. None
        where ``n_networks=1``.
    classes_ : ndarray of shape (n_classes,)
        Class labels; the numbers of the columns for multilabel targets.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights of every layer; one column is one unit.
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
    MLPRegressor : The same network for continuous targets.
    sklearn.neural_network.MLPClassifier : Scikit-learn's own.

    Notes
    -----
    The objective is the weighted mean of the samples' losses plus the penalty. All
    random draws come from one generator, seeded by ``random_state``.

    References
    ----------
    Srivastava, N., Hinton, G., Krizhevsky, A., Sutskever, I. and Salakhutdinov, R.
    (2014). Dropout: a simple way to prevent neural networks from overfitting. JMLR 15.

    Kingma, D. P. and Ba, J. (2015). Adam: a method for stochastic optimization. ICLR.

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
    >>> model.fit(X_train, y_train).score(X_test, y_test) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **CONSTRAINTS,
        "loss": part(CLASSIFICATION_LOSSES, ClassificationLoss),
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }
    _registries = {**REGISTRIES, "loss": CLASSIFICATION_LOSSES}
    _target_kind = ClassTargets
    classes_: np.ndarray

    def __init__(
        self,
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
        loss="log_loss",
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
        class_weight=None,
        scoring="loss",
        dtype="auto",
        n_networks=1,
        n_jobs=None,
        device=None,
    ):
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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 in one column per label.
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
        self : MLPClassifier
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
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Go once over the given data, from where training stands.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 in one column per label.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; None is 1 for each. They are taken as
            they are, while ``fit`` divides them by their mean, and samples without
            weight count in batch norm's averages.
        classes : array-like of shape (n_classes,), default=None
            All class labels that will ever occur; needed in the first call.

        Returns
        -------
        self : MLPClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            As ``fit``, and for labels that are not in ``classes``.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "partial_fit can't balance classes, since it sees them one batch at a "
                f"time; got class_weight={self.class_weight!r}. Pass a dict: "
                "sklearn.utils.class_weight.compute_class_weight gives the weights "
                "from all the labels."
            )
        with unchanged_on_error(self):
            _check_partial_fit_first_call(self, classes)
            return self._fit(X, y, sample_weight, partial=True)

    @follows_input
    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.

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
                return self.classes_[leaves]
        return self._predictor.mapped(lambda raw: decode(link.scores(raw)), X, fitted)

    def _searches(self, X, link):
        """Whether a search for the best leaf of a tree may be faster."""
        if not isinstance(link, TreePaths) or len(link.tree.levels) > _DEEP_TREE:
            return False
        return X.shape[0] * len(self.classes_) >= _MANY_OUTPUTS

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the predicted labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            The share of samples whose every label is predicted.
        """
        if not _are_plain_labels(y) or sample_weight is not None:
            return super().score(X, y, sample_weight)
        predicted = self.predict(X)
        if _are_plain_labels(predicted) and predicted.shape == y.shape:
            # What accuracy_score checks first takes longer than the rest: a large part
            # of the time of a search.
            return float(np.mean(predicted == y))
        return float(accuracy_score(y, predicted))

    @follows_input
    def decision_function(self, X):
        """Return the scores that decide, before softmax or logistic function.

        With ``marginalization='monte_carlo'`` or several networks, the logarithms of
        the averaged probabilities (for two classes and for labels their log-odds).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The largest is the predicted class; for two classes one score, positive for
            ``classes_[1]``; for labels one each, positive for 1.
        """
        self._check_is_fitted()
        scores = self._scores(X)
        return scores[:, 0] if self._targets.binary else scores

    def _scores(self, X, finish=lambda scores: scores):
        """Return what decides, shape (n_samples, n_outputs).

        ``finish`` takes those of a chunk of rows, and returns what to keep of them.
        """
        link = self._targets.link
        if not self._averages:
            return self._of_raw(X, lambda raw: finish(link.scores(raw)))
        if not link.gives_probabilities:
            return self._mean(X, ClassTargets.response, finish=finish)
        if self._targets.multiclass:
            return self._mean_logs(X, finish)

        def log_odds(logs):
            log_q, log_p = np.hsplit(logs, 2)
            return finish(log_p - log_q)

        return self._mean_logs(X, log_odds)

    def _mean_logs(self, X, finish=lambda logs: logs):
        """Return the logarithms of the averaged probabilities.

        ``finish`` takes those of a chunk of rows, and returns what to keep of them. But
        for classes, those of 1 - p stand before those of p. They are averaged as
        logarithms in float64, and so stay finite where p rounds to 0 or 1.
        """

        def logs(targets, raw):
            raw = raw.astype(np.float64)
            raw = raw if targets.multiclass else np.hstack([-raw, raw])
            return targets.link.log_inverse(raw)

        def average(passes, axis):
            return logsumexp(passes, axis=axis) - np.log(len(passes))

        dtype = numpy_dtype(self.coefs_[0])
        return self._mean(X, logs, average, lambda logs: finish(logs.astype(dtype)))

    @available_if(_has_probabilities)
    @follows_input
    def predict_proba(self, X):
        """Predict probabilities; absent for losses that have none, such as 'hinge'.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probability of every class in the order of ``classes_``, or of every label.
        """
        self._check_is_fitted()
        if self._averages:
            proba = self._mean(X, ClassTargets.response)
            return np.hstack([1 - proba, proba]) if self._targets.binary else proba
        return self._of_raw_of_classes(X, self._targets.response)

    def _of_raw_of_classes(self, X, function):
        """Return what a function makes of raw outputs with a column for every class."""
        if not self._targets.binary:
            return self._of_raw(X, function)
        return self._of_raw(X, lambda raw: function(np.hstack([-raw, raw])))

    @available_if(_has_probabilities)
    @follows_input
    def predict_log_proba(self, X):
        """Predict logarithms of probabilities, finite also where those round to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            As ``np.log(predict_proba(X))``.
        """
        self._check_is_fitted()
        if self._averages:
            logs = self._mean_logs(X)
            return np.hsplit(logs, 2)[1] if self._targets.multilabel else logs
        return self._of_raw_of_classes(X, self._targets.link.log_inverse)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = "multilabel" in getattr(
            _loss_part(self.loss), "tasks", ()
        )
        return tags
