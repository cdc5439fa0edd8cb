"""Docstring entries that the transformers share."""

# Of a class.
TRANSFORMER = """
Parameters
----------
per : {"feature", "all", "channel"}, default="feature"
    What each statistic covers: one feature, all the data, or one channel of flattened
    images.
n_channels : int, default=None
    Number of channels of the images. Required by ``per="channel"``, ignored otherwise.
    It must divide the number of features.
channels : {"last", "first"}, default="last"
    Position of the channel axis before the images were flattened: ``"last"`` for
    (height, width, channel), ``"first"`` for (channel, height, width).
copy : bool, default=True
    If False, ``transform`` overwrites X if X is a writeable float array.
subsample : int, default=10000
    Maximum number of rows that ``partial_fit`` keeps. ``fit`` uses all rows.
random_state : int, RandomState instance or None, default=None
    Determines which rows ``partial_fit`` keeps once it has seen more than
    ``subsample``. Pass an int for reproducible results.

Attributes
----------
n_features_in_ : int
    Number of features seen during ``fit``.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features seen during ``fit``. Defined only if X has feature names
    that are all strings.
"""

# Of a class that counts samples.
COUNTING_TRANSFORMER = f"""{TRANSFORMER}
n_samples_seen_ : int
    Number of samples seen.
"""

# Of a class that adds up the weights of samples.
WEIGHING_TRANSFORMER = f"""{TRANSFORMER}
n_samples_seen_ : int, float or ndarray of shape (n_features,)
    Number of samples seen, or the sum of their weights. An array with one entry per
    feature if missing values make these differ.
"""

# Of a method.
METHOD = """
Parameters
----------
X : array-like of shape (n_samples, n_features)
    Training data. NaN is ignored; infinity raises an error.
y : None
    Ignored.
sample_weight : array-like of shape (n_samples,), default=None
    Non-negative weights of the samples. None gives every sample weight 1.
input_features : array-like of str of shape (n_features,), default=None
    Names of the input features. They must match the names seen during ``fit``, if
    there were any. None uses those names, or ``x0``, ``x1``, ....
copy : bool, default=None
    Whether to leave X unchanged. None uses the parameter ``copy`` of the transformer.
"""
