"""The classifier for tables."""

from sklearn.base import ClassifierMixin
from sklearn.ensemble import VotingClassifier

from sknn_notes._sklearn import StrOptions, _fit_context
from sknn_notes.losses import LogLoss
from sknn_notes.neural_network import MLPClassifier
from sknn_notes.tabular._base import BaseTabularMLP


class TabularMLPClassifier(ClassifierMixin, BaseTabularMLP):
    """Classifier of tables by neural networks, with nothing to set.

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
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes in the loss, as :class:`~sknn_notes.MLPClassifier` takes
        them.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels, or for multilabel targets the numbers of the columns.
    pipeline_ : Pipeline
        The fitted steps: ``"table"``, a :class:`~sklearn.compose.ColumnTransformer`,
        and ``"networks"``, an :class:`~sknn_notes.MLPClassifier` or, where two groups
        of networks vote, a :class:`~sklearn.ensemble.VotingClassifier`.
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
    TabularMLPRegressor : The same for numbers.
    sknn_notes.MLPClassifier : The network, with everything to set.

    Notes
    -----
    Numbers are imputed by the median, with an input that marks missing values, and
    scaled by :class:`~sknn_notes.RobustStandardizer`. A category that has four rows or
    more, and is among the 100 most frequent ones of its column, has an input that is 0
    or 1. Rare, unseen and missing categories have zeros in all inputs of the column.

    The networks have two hidden layers with dropout, and are trained by AdamW in a
    one-cycle schedule [1]_ with label smoothing, in single precision. Scaling,
    embeddings and much of the choice of parameters follow RealMLP [2]_.

    References
    ----------
    .. [1] L. N. Smith, "A disciplined approach to neural network hyper-parameters",
       arXiv:1803.09820, 2018.
    .. [2] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong
       pre-tuned MLPs and boosted trees on tabular data", NeurIPS, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.tabular import TabularMLPClassifier
    >>> X = np.array([["red", 1.0], ["blue", 2.0], ["red", np.nan]] * 40, dtype=object)
    >>> y = np.array(["stop", "go", "stop"] * 40)
    >>> model = TabularMLPClassifier(quality="fast", random_state=0).fit(X, y)
    >>> model.predict([["red", None], [None, 2.0]])
    array(['stop', 'go'], dtype='<U4')
    """

    _parameter_constraints: dict = {
        **BaseTabularMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        quality="balanced",
        *,
        categorical_features="from_dtype",
        class_weight=None,
        time_limit=None,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.quality = quality
        self.categorical_features = categorical_features
        self.class_weight = class_weight
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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 in one column per label.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the samples; None is 1 for each.

        Returns
        -------
        self : TabularMLPClassifier
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
        loss = LogLoss(label_smoothing=0.1)
        return MLPClassifier(loss=loss, class_weight=self.class_weight, **parameters)

    def _publish(self, network):
        self.classes_ = network.classes_

    def _vote(self, estimators, weights):
        # skl2onnx converts it without flatten_transform, which predictions don't use.
        return VotingClassifier(
            estimators, voting="soft", weights=weights, flatten_transform=False
        )

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The table, with the columns that ``fit`` saw.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probability of every class in the order of ``classes_``, or of every label.
        """
        X = self._check_table(X)
        return self.pipeline_.predict_proba(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
