"""Whitening: rotate and scale the data so that its covariance is the identity."""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_notes._base import BaseObject
from sknn_notes._callbacks import CallbackSupportMixin, fit_task
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._sklearn import Interval, Options, RealNotInt, StrOptions, _fit_context
from sknn_notes.preprocessing import _covariance as cov
from sknn_notes.preprocessing._base import (
    FLOATS,
    check_fit_data,
    refuse_infinity,
    refuse_overflow,
)
from sknn_notes.preprocessing._linear_map import (
    cholesky_map,
    reciprocal,
    rotation_map,
    symmetric_map,
)
from sknn_notes.preprocessing._shrinkage import shrinkage_share

METHODS = ("pca", "zca", "pca_cor", "zca_cor", "cholesky")
# Those whose outputs are components, not features.
ROTATIONS = ("pca", "pca_cor")


class Whitener(TransformerMixin, CallbackSupportMixin, BaseObject):
    """Decorrelate the data, and scale it so that its covariance is the identity.

    Mean and covariance are found in ``fit`` on the training data and applied unchanged
    to any later data.

    Parameters
    ----------
    method : {"pca", "zca", "pca_cor", "zca_cor", "cholesky"}, default="pca"
        Which of the matrices that whiten, see the Notes.
    n_components : int, float or None, default=None
        For the pca methods, how many components are kept: a number, a share of the
        variance between 0 and 1, or all ``min(n_samples, n_features)``. The other
        methods keep all features, and warn that they ignore it.
    whiten : bool, default=True
        For the pca methods, False only rotates: components are uncorrelated and keep
        their variances.
    eps : float, default=1e-5
        Added to the eigenvalues, in the squared units of X (no unit for the ``_cor``
        methods). Larger values damp directions of little variance instead of
        amplifying their noise.
    ddof : {0, 1}, default=0
        The covariance divides by ``n_samples - ddof``.
    shrinkage : {"ledoit_wolf", "oas"}, float or None, default=None
        Pull the covariance towards a multiple of the identity, by a share between 0
        and 1 or by one estimated from the data. The ``_cor`` methods shrink the
        correlation matrix.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of each feature, in the units of X.
    components_ : ndarray of shape (n_components_, n_features)
        Eigenvectors of the covariance (of the correlation matrix for the ``_cor``
        methods) as rows, by descending eigenvalue. The first of a row's largest
        entries is positive. Rows of null directions are zero.
    explained_variance_ : ndarray of shape (n_components_,)
        The eigenvalues, after any shrinkage and without ``eps``; 0 for null
        directions.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        The share of each eigenvalue in the sum of all.
    n_components_ : int
        Number of components.
    whitening_ : ndarray of shape (n_features, n_outputs)
        The matrix W of ``Z = (X - mean_) W``. Made anew whenever it is read.
    dewhitening_ : ndarray of shape (n_outputs, n_features)
        The matrix that leads back: ``X = Z dewhitening_ + mean_``. Made anew whenever
        it is read.
    shrinkage_ : float
        The share of shrinkage used.
    n_samples_seen_ : int
        Number of samples seen.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen during ``fit``, if X has names that are strings.

    Warns
    -----
    UserWarning
        If ``eps`` exceeds the eigenvalues that hold most of the variance, or the
        method ignores ``n_components``.

    See Also
    --------
    Standardizer : Scale each feature alone.
    sklearn.decomposition.PCA : Other solvers, for few components of large data.

    Notes
    -----
    With ``C = V S V'`` the covariance of the centered data ``Xc``, eigenvectors in the
    columns of V, correlations ``P = G T G'`` and standard deviations D (Kessy, Lewin
    and Strimmer [1]_):

    - ``pca``: ``Xc V (S + eps)^(-1/2)``, or ``Xc V`` with ``whiten=False``;
    - ``zca``: ``Xc V (S + eps)^(-1/2) V'``, of all whitenings the one closest to the
      data; it stays in feature space, so that images stay images (Bell and
      Sejnowski [2]_);
    - ``pca_cor``: ``Xc D^(-1) G (T + eps)^(-1/2)``;
    - ``zca_cor``: ``Xc D^(-1) G (T + eps)^(-1/2) G'``;
    - ``cholesky``: ``Xc L`` with L lower triangular and ``L L' = (C + eps I)^(-1)``.

    The covariance of the result is ``S / (S + eps)``: the identity for ``eps=0``. A
    direction is null to working precision if its eigenvalue is at most ``max(n_samples,
    n_features)`` times the float64 spacing times the largest; it maps to 0, and comes
    back as the mean (except under ``cholesky``, whose ``eps`` fills it).

    The covariance is accumulated in float64 from one reading of the data. With fewer
    samples than features everything but ``cholesky`` works on the small Gram matrix of
    samples, and only reading ``whitening_`` or ``dewhitening_`` makes a matrix of
    features by features.

    References
    ----------
    .. [1] A. Kessy, A. Lewin and K. Strimmer, "Optimal whitening and decorrelation",
       The American Statistician 72, 2018.
    .. [2] A. J. Bell and T. J. Sejnowski, "The 'independent components' of natural
       scenes are edge filters", Vision Research 37, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes import Whitener
    >>> X = np.array([[0.0, 0.0], [2.0, 1.0], [4.0, 5.0], [6.0, 6.0]])
    >>> Z = Whitener("zca", eps=0).fit_transform(X)
    >>> np.abs(Z.T @ Z / len(Z)).round(6)
    array([[1., 0.],
           [0., 1.]])
    """

    _parameter_constraints: dict = {
        "method": [StrOptions(set(METHODS))],
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "whiten": ["boolean"],
        "eps": [Interval(Real, 0, None, closed="left")],
        "ddof": [Options(Integral, {0, 1})],
        "shrinkage": [
            StrOptions({"ledoit_wolf", "oas"}),
            Interval(Real, 0, 1, closed="both"),
            None,
        ],
    }
    _scatter: cov.Scatter

    def __init__(
        self,
        method="pca",
        *,
        n_components=None,
        whiten=True,
        eps=1e-5,
        ddof=0,
        shrinkage=None,
    ):
        self.method = method
        self.n_components = n_components
        self.whiten = whiten
        self.eps = eps
        self.ddof = ddof
        self.shrinkage = shrinkage

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find mean and covariance, forgetting any earlier data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, finite.
        y : None
            Ignored.

        Returns
        -------
        Whitener
            The fitted transformer.
        """
        with fit_task(self, X), unchanged_on_error(self):
            self._fit(X, reset=True, whole=True)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Update mean and covariance with one more chunk of training data.

        Any split of the data into chunks gives what one ``fit`` gives, to rounding.
        Until there are as many samples as ``n_components``, the missing components
        are zero.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The next chunk, finite.
        y : None
            Ignored.

        Returns
        -------
        Whitener
            The fitted transformer.
        """
        if isinstance(self.shrinkage, str) and self.shrinkage == "ledoit_wolf":
            raise ValueError(
                "shrinkage='ledoit_wolf' reads the data twice, which partial_fit "
                "cannot. Use fit, or shrinkage='oas' or a number."
            )
        with unchanged_on_error(self):
            self._fit(X, reset=not hasattr(self, "_scatter"), whole=False)
        return self

    def transform(self, X):
        """Whiten X with the statistics found by ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data to transform, finite.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            The whitened data: float32 if X is, else float64. There are
            ``n_components_`` outputs for the pca methods, else ``n_features``.

        Raises
        ------
        ValueError
            If X is not finite or its columns are not those of ``fit``.
        """
        check_is_fitted(self)
        self._refuse_sparse(X)
        data = validate_data(
            self, X, reset=False, dtype=FLOATS, ensure_all_finite=False
        )
        out, finite = self._forward.apply(data, self.mean_)
        if not finite:
            refuse_infinity(self, data, allow_nan=False)
        return out

    def inverse_transform(self, X):
        """Undo ``transform``; what null or dropped directions held is the mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_outputs)
            Whitened data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The data in its original units.

        Raises
        ------
        ValueError
            If X is not finite or has another number of columns than ``transform``
            returns.
        """
        check_is_fitted(self)
        self._refuse_sparse(X)
        data = check_array(X, dtype=FLOATS, input_name="X", estimator=self)
        backward = self._map(back=True)
        n_outputs = backward.left.shape[0]
        if data.shape[1] != n_outputs:
            raise ValueError(
                f"X has {data.shape[1]} columns, but {type(self).__name__}.transform "
                f"returns {n_outputs}. Pass what transform returned."
            )
        out, _ = backward.apply(data, np.zeros(n_outputs))
        out += self.mean_.astype(out.dtype)
        return out

    def get_feature_names_out(self, input_features=None):
        """Names of the outputs.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the inputs; they must be those seen during ``fit``, if any were.

        Returns
        -------
        ndarray of str
            ``whitener0``, ``whitener1``, ... for the pca methods; the names of the
            features for the others, which stay in feature space.
        """
        check_is_fitted(self)
        rotates = self._fitted_as[0] in ROTATIONS
        names = ClassNamePrefixFeaturesOutMixin if rotates else OneToOneFeatureMixin
        return names.get_feature_names_out(self, input_features)

    @property
    def whitening_(self):
        """The matrix W of ``Z = (X - mean_) W``, made anew at every reading."""
        check_is_fitted(self)
        return self._forward.matrix()

    @property
    def dewhitening_(self):
        """The matrix that leads back, made anew at every reading."""
        check_is_fitted(self)
        return self._map(back=True).matrix()

    @property
    def _n_features_out(self):
        return self.n_components_

    def _refuse_sparse(self, X):
        if sparse.issparse(X):
            raise TypeError(
                "Sparse data was passed to Whitener, which centers and mixes columns "
                "and so makes it dense. Pass X.toarray() if that fits in memory, or "
                "reduce it first with sklearn.decomposition.TruncatedSVD."
            )

    def _check_combination(self):
        if self.method in ROTATIONS:
            return
        if not self.whiten:
            raise ValueError(
                f"whiten=False belongs to the methods 'pca' and 'pca_cor', but method "
                f"is {self.method!r}. Leave whiten at True, or choose a pca method."
            )
        if self.n_components is not None:
            warnings.warn(
                f"n_components={self.n_components} is ignored: method={self.method!r} "
                "keeps all features. Leave it at None, or choose method='pca' or "
                "'pca_cor' to keep fewer.",
                UserWarning,
                stacklevel=4,
            )

    def _fit(self, X, *, reset, whole):
        self._check_combination()
        self._refuse_sparse(X)
        data = check_fit_data(self, X, reset=reset)
        self._check_n_components(data, whole)
        with np.errstate(over="ignore", invalid="ignore"):
            scatter = cov.add_rows(None if reset else self._scatter, data)
            if not np.isfinite(scatter.moments.mean + scatter.moments.m2).all():
                refuse_overflow(self, data, allow_nan=False)
        self._scatter = scatter
        self.n_samples_seen_ = scatter.n_samples
        self.mean_ = scatter.moments.full_mean()
        self._scale = np.ones(data.shape[1])
        if self.method.endswith("_cor"):
            self._scale = reciprocal(cov.standard_deviations(scatter, self.ddof))
        spectrum = cov.decompose(scatter, self._scale, self.ddof)
        self._set_components(spectrum, data)
        # The way back is made when it is asked for, by the parameters of this fit.
        self._fitted_as = self.method, self.whiten, self.eps, self.ddof
        self._forward = self._map()

    def _check_n_components(self, X, whole):
        limit = min(X.shape) if whole else X.shape[1]
        wanted = self.n_components
        if self.method in ROTATIONS and isinstance(wanted, Integral) and wanted > limit:
            bound = "min(n_samples, n_features)" if whole else "n_features"
            raise ValueError(
                f"n_components={wanted} exceeds {bound}={limit}. Pass a smaller "
                "number, a share of the variance such as 0.99, or None."
            )

    def _set_components(self, spectrum, data):
        """Shrink the eigenvalues and set everything that depends on them."""
        n, d = self.n_samples_seen_, self.n_features_in_
        biased = spectrum.values * (max(n - self.ddof, 1) / n)
        share = shrinkage_share(
            self.shrinkage, biased, data, self.mean_, self._scale, n
        )
        self.shrinkage_ = share
        total = spectrum.values.sum()
        # The variance that shrinkage gives every direction, in and out of the span.
        self._floor = share * total / d
        values = (1 - share) * spectrum.values + self._floor
        null = values <= cov.null_level(values, self._scatter)
        values[null] = 0.0
        self._warn_of_eps(values)
        k = self._count_components(values, total)
        self.n_components_ = k
        self.explained_variance_ = _padded(values, k)
        self.explained_variance_ratio_ = self.explained_variance_ / (total or 1.0)
        self.components_ = _padded(np.where(null[:, None], 0.0, spectrum.vectors), k)

    def _count_components(self, values, total):
        if self.n_components is None or self.method not in ROTATIONS:
            return len(values)
        if isinstance(self.n_components, Integral):
            return int(self.n_components)
        reached = np.cumsum(values) / (total or 1.0)
        k = np.searchsorted(reached, self.n_components, side="right") + 1
        return int(min(k, len(values)))

    def _warn_of_eps(self, values):
        damped = values[values < self.eps].sum()
        if self.whiten and damped > 0.5 * values.sum():
            warnings.warn(
                f"eps={self.eps} exceeds the eigenvalues that hold "
                f"{damped / values.sum():.0%} of the variance, so the result is mostly "
                f"damped, not white. The largest eigenvalue is {values.max():.3g}: "
                "choose eps well below it, or standardize the data first.",
                UserWarning,
                stacklevel=4,
            )

    def _map(self, *, back=False):
        """Return the linear map of ``transform``, or the way back."""
        method, whiten, eps, ddof = self._fitted_as
        if method == "cholesky":
            return cholesky_map(self._full_covariance(eps, ddof), back=back)
        values = self.explained_variance_
        known = np.any(self.components_, axis=1)
        eps = eps if whiten else 0.0
        weights = np.where(known, 1.0, 0.0)
        if whiten:
            weights = np.sqrt(reciprocal(np.where(known, values + eps, 0.0)))
        if method in ROTATIONS:
            return rotation_map(self.components_, weights, self._scale, back=back)
        outside = 1 / np.sqrt(self._floor + eps) if self._floor else 0.0
        dense = self._scatter.gram is not None
        return symmetric_map(
            self.components_, weights, outside, self._scale, dense=dense, back=back
        )

    def _full_covariance(self, eps, ddof):
        """Shrunk covariance plus ``eps``, refused where it cannot be inverted."""
        covariance = cov.covariance(self._scatter, ddof)
        covariance *= 1 - self.shrinkage_
        covariance[np.diag_indices_from(covariance)] += self._floor + eps
        values = self.explained_variance_
        full = self.n_samples_seen_ >= self.n_features_in_
        smallest = (values[-1] if full else self._floor) + eps
        if smallest <= cov.null_level(values + eps, self._scatter):
            raise ValueError(
                f"method='cholesky' needs a covariance that can be inverted, but with "
                f"eps={eps} its smallest eigenvalue is null to working precision. "
                "Raise eps, set shrinkage, drop dependent columns, or use method='zca'."
            )
        return covariance

    def __sklearn_tags__(self):
        """Tags: both float types are kept."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _padded(rows, n_rows):
    """First rows of an array, with zeros where there are too few."""
    missing = max(n_rows - len(rows), 0)
    padding = [(0, missing)] + [(0, 0)] * (rows.ndim - 1)
    return np.pad(rows[:n_rows], padding)
