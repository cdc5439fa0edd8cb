"""Texts that the docstrings of the networks share; ``completed`` puts them in."""

NETWORK = """
Parameters
----------
hidden_layer_sizes : int or array-like of int, default=(100,)
    Number of units of each hidden layer; ``()`` is a linear model.
activation : {'relu', 'leaky_relu', 'elu', 'gelu', 'silu', 'tanh', 'logistic', \
        'identity'} or Activation, or a list of these, default='relu'
    Activation function of the hidden layers, one for all layers or one per layer.
solver : {'adam', 'adamw', 'sgd', 'rmsprop', 'lbfgs'} or Optimizer, default='adam'
    Optimizer. An object of :mod:`sknn_notes.optimizers` has parameters of its own, as
    in ``Adam(beta_1=0.8)``. 'lbfgs' computes in float64 on all samples at once, and
    supports no noise, no max norm and no non-smooth penalty.
alpha : float or Schedule, or list of these, default=0.0001
    Strength of the penalty, one value or one per weight matrix (hidden layers + 1).
    A schedule needs a ``start``, as in ``Cosine(start=0.1)``. The penalty is not
    divided by the batch size: for the same penalty as in scikit-learn, divide
    scikit-learn's ``alpha`` by the batch size.
batch_size : int or 'auto', default='auto'
    Number of samples per step; 'auto' is ``min(200, n_samples)``. Not used by 'lbfgs'.
learning_rate : {'constant', 'invscaling', 'adaptive', 'step', 'exponential', \
        'cosine', 'flat_cosine', 'inverse_time', 'onecycle'} or Schedule, \
        default='constant'
    Schedule of the learning rate. 'invscaling' is
    ``learning_rate_init / (t_ + 1)**power_t``; 'adaptive' divides the rate by 5 after
    ``n_iter_no_change`` epochs without improvement; the others set it by the epoch.
    'cosine', 'flat_cosine' and 'onecycle' end at ``max_iter``, and reaching it gives no
    convergence warning. An object of :mod:`sknn_notes.schedules` has parameters of its
    own, as in ``Cosine(warmup=5)``. Not used by 'lbfgs'.
learning_rate_init : float, default=0.001
    Learning rate that the schedule scales: the initial one, except under 'onecycle',
    where it is the largest.
power_t : float, default=0.5
    Exponent of 'invscaling'.
max_iter : int, default=200
    Maximum number of epochs (of iterations with 'lbfgs').
shuffle : bool, default=True
    Whether to shuffle the samples before each epoch.
random_state : int, RandomState instance or None, default=None
    Seeds all random draws: initial weights, validation split, order of the samples,
    dropout and other noise. Pass an int for reproducible results.
tol : float, default=1e-4
    An epoch that does not improve the loss (or the validation score) by ``tol``
    counts as no improvement. With 'lbfgs', the tolerance of the gradient.
verbose : bool, default=False
    Whether to print the loss of every epoch.
warm_start : bool, default=False
    Whether ``fit`` continues from the previous solution and the state of the optimizer.
momentum : float, default=0.9
    Momentum of 'sgd', between 0 and 1.
nesterovs_momentum : bool, default=True
    Whether 'sgd' uses Nesterov's momentum.
early_stopping : bool, default=False
    Whether to hold out validation data, stop when the score on it no longer improves,
    and restore the weights of the best epoch. The split is stratified by class, except
    for multilabel targets. To use validation data of your own, pass ``X_val`` and
    ``y_val`` to ``fit``.
validation_fraction : float, default=0.1
    Fraction of the training data to hold out for early stopping. The rows are drawn at
    random, also with ``shuffle=False``; to hold out the last ones, pass them as
    ``X_val`` and ``y_val``.
beta_1 : float, default=0.9
    Decay of the running mean of the gradient in 'adam' and 'adamw', in [0, 1).
beta_2 : float, default=0.999
    Decay of the running mean of the squared gradient, in [0, 1).
epsilon : float, default=1e-8
    Added to the denominator in 'adam', 'adamw' and 'rmsprop'.
n_iter_no_change : int or inf, default=10
    Training stops after more than this many epochs in a row without improvement.
max_fun : int, default=15000
    Maximum number of evaluations of the objective with 'lbfgs'.
n_hidden_layers : int or None, default=None
    Number of hidden layers, all of the size ``hidden_layer_sizes``, which must then be
    an int. A search can so vary depth and width without tuples.
init : {'auto', 'zeros', 'normal', 'uniform', 'lecun_normal', \
        'lecun_uniform', 'glorot_normal', 'glorot_uniform', 'he_normal', \
        'he_uniform', 'sparse', 'orthogonal', 'lsuv'} or Initializer, default='auto'
    Distribution of the initial weights. 'auto' is Glorot's uniform distribution; for
    activations of the ReLU family with 20 or more hidden layers it is He's.
bias_init : float, default=0.0
    Initial value of every bias. At 0, ``init='auto'`` draws the biases from the
    distribution of the weights, as scikit-learn does. With batch or layer norm, the
    shifts that replace the biases of the hidden layers start at 0.
penalty : {'l2', 'l1', 'elasticnet', 'group_lasso'}, Penalty or None, default='l2'
    Penalty on the weights, added to the mean loss: 'l2' is
    ``alpha / 2 * sum(W**2)``; 'l1' is ``alpha * sum(abs(W))`` and makes weights exactly
    0; 'elasticnet' mixes the two; 'group_lasso' sets the weights of whole inputs to 0.
l1_ratio : float, default=0.5
    Share of L1 in ``penalty='elasticnet'``, between 0 and 1.
penalize_bias : bool, default=False
    Whether the penalty includes the biases.
max_norm : float, list of float or None, default=None
    Maximum Euclidean norm of the incoming weights of a unit, one value or one per
    weight matrix (None for no bound). Weights above it are scaled back to it after
    every step.
dropout : float or Schedule, or list of these, default=0.0
    Probability of dropping a hidden unit in a training step, one value or one per
    hidden layer. A schedule needs a ``start``. The units kept are scaled up by
    ``1 / (1 - dropout)``.
input_dropout : float, default=0.0
    Probability of dropping an input in a training step.
dropconnect : float, default=0.0
    Probability of dropping a single weight, drawn for every batch.
dropout_scaling : {'inverted', 'standard'}, default='inverted'
    Whether to scale up what is kept during training ('inverted'), or to scale it down
    by the probability of keeping during prediction ('standard').
marginalization : {'analytic', 'monte_carlo'}, default='analytic'
    How predictions average over the training noise: 'analytic' scales the units;
    'monte_carlo' averages ``n_mc_samples`` passes through random sub-networks, from a
    seed fixed in ``fit``.
n_mc_samples : int, default=30
    Number of passes for 'monte_carlo' and ``predict_spread``.
batch_norm : bool or BatchNorm, default=False
    Whether to normalize every hidden unit over the batch before its activation.
layer_norm : bool or LayerNorm, default=False
    Whether to normalize the units of a layer within each sample before their
    activation, instead of batch norm. Training and prediction compute the same.
residual : bool, default=False
    Whether to add the input of each hidden layer to its output, through a learned
    matrix where their widths differ.
embedding : {'periodic', 'piecewise_linear'}, Embedding or None, default=None
    Embedding of each input feature: learned periodic functions of it, or its piecewise
    linear components, along with the feature itself. An object of
    :mod:`sknn_notes.embeddings` has parameters of its own, as in
    ``Periodic(sigma=0.3)``. ``X`` must be dense, and should be standardized.
feature_scaling : bool, default=False
    Whether to multiply each input of the first layer (each embedded input, if there is
    an embedding) by a learned factor, which starts at 1 and is not penalized.
clip_norm : float or None, default=None
    Maximum Euclidean norm of the gradient, penalty included; a longer gradient is
    scaled back to it.
augment : Noise, list of Noise or None, default=None
    Noise on the inputs, drawn for every batch: objects of :mod:`sknn_notes.noise`,
    applied in order.
scoring : str, callable or None, default='loss'
    Score on the validation data that early stopping watches; larger is better. 'loss'
    is the negative loss without the penalty, None the estimator's ``score`` (accuracy
    or R2). Otherwise the name of a scorer, or a callable ``scorer(estimator, X, y)``,
    which gets ``sample_weight`` if it takes it.
dtype : {'auto', 'float32', 'float64'}, default='auto'
    Data type of the computation. 'auto' is that of ``X``: float32 stays float32,
    anything else becomes float64. A fit that continues an earlier one keeps its type.
n_networks : int, default=1
    Number of networks, trained with seeds drawn from ``random_state``. The estimator
    averages their predictions: a classifier's probabilities (raw outputs for a loss
    without probabilities), a regressor's targets. With early stopping, each network
    holds out other rows, so that every row trains some network;
    ``validation_fraction`` may then be up to ``1 - 1 / n_networks``.
n_jobs : int or None, default=None
    Number of networks to train at the same time, on threads; -1 uses all processors.
    None means 1 unless in a :obj:`joblib.parallel_config` context. The results do not
    depend on it. On a device it has no effect, except with 'lbfgs': all networks are
    trained at once.
device : str or None, default=None
    Device to train on: 'cpu', or a device of PyTorch such as 'cuda' or 'cuda:1'. None
    follows ``X``: NumPy arrays are trained on the CPU, a tensor on its device. NumPy
    arrays are copied to the device once; the fitted attributes are then NumPy arrays
    too, and predictions run on the CPU.

Attributes
----------
networks_ : list of estimators or None
    Fitted networks, each an estimator with ``n_networks=1`` and a seed of its own as
    ``random_state``. The other attributes are those of the first network. None if
    ``n_networks=1``.
coefs_ : list of ndarray of shape (fan_in, fan_out)
    Weight matrix of every layer; each column belongs to one unit.
intercepts_ : list of ndarray of shape (fan_out,)
    Biases of every layer.
loss_ : float
    Training loss of the last epoch, penalty included.
loss_curve_ : list of float
    Training loss of every epoch (of every iteration with 'lbfgs').
history_ : list of dict
    The curves of all networks as records, one for every epoch, with the keys
    ``"network"``, ``"epoch"``, ``"loss"``, ``"validation_loss"`` and
    ``"validation_score"``; unknown values are NaN.
    ``pandas.DataFrame(model.history_)`` shows it as a table.
best_loss_ : float or None
    Smallest training loss of this fit; a warm start also counts the loss of the weights
    it starts from. None with early stopping.
best_epoch_ : int
    Epoch of the last call whose weights are kept, counted from 1; without early
    stopping, ``n_iter_``. 0 if a warm start found nothing better than the weights it
    started from.
validation_scores_ : list of float or None
    Score on the validation data after every epoch, as ``scoring`` defines it; by
    default the negative loss. None without early stopping.
validation_loss_curve_ : list of float or None
    Loss on the validation data after every epoch, without the penalty. None without
    early stopping.
best_validation_score_ : float or None
    Best validation score; the weights of its epoch are kept. A warm start also counts
    the score of the weights it starts from, on its own validation data. None without
    early stopping.
batch_norm_ : list of dict or None
    Learned scale and shift, running mean and var of every hidden layer, arrays of
    shape (n_units,). None without batch norm.
layer_norm_ : list of dict or None
    Learned scale and shift of every hidden layer, arrays of shape (n_units,). None
    without layer norm.
residual_coefs_ : list of (ndarray of shape (fan_in, fan_out) or None) or None
    Matrices of the residual connections, None where the widths are equal. None without
    residual connections.
embedding_ : dict of ndarray or None
    Arrays of the embedding by name. 'periodic' has ``frequencies``, ``phases``,
    ``weights`` and ``biases``, feature by feature; 'piecewise_linear' has the
    ``features`` of all components, the ``lower`` edge and ``width`` of their bins,
    ``mean`` and ``scale``. None without an embedding.
feature_scales_ : ndarray of shape (n_inputs,) or None
    Learned factors of the (embedded) inputs. None without feature scaling.
executor_ : str
    What ran the training steps: 'numba', or 'numpy' and the reason.
n_iter_ : int
    Number of epochs (iterations) of the last call; 1 if 'lbfgs' found no descent step.
t_ : int
    Number of training samples seen so far, over all epochs.
n_layers_ : int
    Number of layers, including the input and the output layer.
n_outputs_ : int
    Number of outputs.
out_activation_ : str
    Function that maps raw outputs to predictions.
n_features_in_ : int
    Number of features seen in ``fit``.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features, if ``X`` has names that are all strings.

References
----------
Srivastava, N., Hinton, G., Krizhevsky, A., Sutskever, I. and Salakhutdinov, R.
(2014). Dropout: a simple way to prevent neural networks from overfitting. JMLR 15.

Kingma, D. P. and Ba, J. (2015). Adam: a method for stochastic optimization. ICLR.
"""

DATA = """
Parameters
----------
X : {array-like, sparse matrix} of shape (n_samples, n_features)
    Input data.
y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    Targets: class labels for a classifier (0 and 1 in one column per label for
    multilabel targets), numbers for a regressor.
sample_weight : array-like of shape (n_samples,), default=None
    Non-negative sample weights; None gives every sample weight 1.
"""

PARTIAL_FIT = """
Parameters
----------
X : {array-like, sparse matrix} of shape (n_samples, n_features)
    Training data.
y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    Targets: class labels for a classifier (0 and 1 in one column per label for
    multilabel targets), numbers for a regressor.
sample_weight : array-like of shape (n_samples,), default=None
    Non-negative sample weights; None gives every sample weight 1. Unlike in ``fit``,
    they are not divided by their mean, and samples of weight 0 count in the averages of
    batch norm.

Returns
-------
self : object
    Fitted estimator.

Raises
------
ValueError
    As in ``fit``.
"""
