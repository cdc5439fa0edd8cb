"""The regressor for tables."""

from sklearn.base import RegressorMixin
from sklearn.ensemble import VotingRegressor

from sknn_notes._sklearn import _fit_context
from sknn_notes.neural_network import MLPRegressor
from sknn_notes.tabular._base import BaseTabularMLP


class TabularMLPRegressor(RegressorMixin, BaseTabularMLP):
    """Regressor of tables by neural networks, with nothing to set.

    It takes a table as it is, with numbers, categories, strings and missing values, and
    trains networks whose parameters are tuned. What depends on the data is chosen by
    validation.

    Parameters
    ----------
    quality : {'fast', 'balanced', 'best'}, default='balanced'
        How much to train:

        - 'fast': one network, in a short one-cycle schedule, without validation;
        - 'balanced': three larger networks; rows held out choose whether the inputs
          are embedded, and the number of epochs, before all rows are trained on;
        - 'best': up to two groups of five networks, with the embeddings that rows held
          out favor, in a longer schedule.
    categorical_features : 'from_dtype', array-like or None, default='from_dtype'
        The columns that are categories:

        - 'from_dtype': those of a categorical data type, and those with strings;
        - array-like of bool, of int or of str: a mask, positions or names;
        - None: none.
    time_limit : float or None, default=None
        About how many seconds ``fit`` may take. Where that is too little for
        ``quality``, the comparisons are left out first, then networks, then epochs.
        Results then depend on the machine and do not repeat.
    n_jobs : int or None, default=None
        Number of networks to train at the same time, on threads; -1 is one per core.
    random_state : int, RandomState instance or None, default=None
        Seeds all random draws. An int makes results repeat.
    verbose : bool, default=False
        Whether to print a line for every group of networks.

    Attributes
    ----------
    pipeline_ : Pipeline
        The fitted steps: ``"table"``, a :class:`~sklearn.compose.ColumnTransformer`,
        and ``"networks"``, an :class:`~sknn_notes.MLPRegressor` or, where two groups of
        networks vote, a :class:`~sklearn.ensemble.VotingRegressor`.
    history_ : list of dict
        A record for every network trained: its group, its embedding, its epochs,
        losses and seconds. The groups with a validation loss were compared, those
        without were trained on all rows. ``pandas.DataFrame(model.history_)`` shows it.
    best_epoch_ : int
        Number of epochs that the first group was trained for.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where all are strings.

    See Also
    --------
    TabularMLPClassifier : The same for classes.
    sknn_notes.MLPRegressor : The network, with everything to set.

    Notes
    -----
    Numbers are imputed by the median, with an input that marks missing values, and
    scaled by :class:`~sknn_notes.RobustStandardizer`. A category that has four rows or
    more, and is among the 100 most frequent ones of its column, has an input that is 0
    or 1. Rare, unseen and missing categories have zeros in all inputs of the column.

    The networks have two hidden layers with dropout, and are trained by AdamW in a
    one-cycle schedule [1]_ on the squared error of standardized targets, in single
    precision. Scaling, embeddings and much of the choice of parameters follow RealMLP
    [2]_.

    References
    ----------
    .. [1] L. N. Smith, "A disciplined approach to neural network hyper-parameters",
       arXiv:1803.09820, 2018.
    .. [2] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong
       pre-tuned MLPs and boosted trees on tabular data", NeurIPS, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.tabular import TabularMLPRegressor
    >>> X = np.array([["red", 1.0], ["blue", 2.0], ["red", np.nan]] * 40, dtype=object)
    >>> y = np.array([10.0, 20.0, 30.0] * 40)
    >>> model = TabularMLPRegressor(quality="fast", random_state=0).fit(X, y)
    >>> model.predict([["red", 1.0], ["blue", 2.0]]).round(-1)
    array([10., 20.], dtype=float32)
    """

    def __init__(
        self,
        quality="balanced",
        *,
        categorical_features="from_dtype",
        time_limit=None,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.quality = quality
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit preparation and networks to a table.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The table.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target values, in any unit.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; None is 1 for each.

        Returns
        -------
        self : TabularMLPRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is outside its domain, a column has dates or values of
            several kinds, or a number is infinite.
        TypeError
            If a column has values that are neither strings nor numbers.
        """
        return self._fit(X, y, sample_weight)

    def _network(self, **parameters):
        return MLPRegressor(**parameters)

    def _publish(self, network):
        pass

    def _vote(self, estimators, weights):
        return VotingRegressor(estimators, weights=weights)
