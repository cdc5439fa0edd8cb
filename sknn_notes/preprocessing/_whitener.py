"""Whitening: decorrelate the data so that its covariance is the identity."""

import math
import warnings
from numbers import Integral, Real
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    OneToOneFeatureMixin,
)
from sklearn.utils.validation import check_is_fitted

from sknn_notes._arrays import astype, full, namespace
from sknn_notes._callbacks import fit_task
from sknn_notes._checks import holding_numbers, plain
from sknn_notes._docstrings import completed
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._sklearn import (
    Interval,
    Options,
    RealNotInt,
    StrOptions,
    _fit_context,
    check_array,
    has_array_dispatch,
    validate_data,
)
from sknn_notes._typing import Array, Floats, MatrixLike
from sknn_notes.preprocessing import _covariance as cov
from sknn_notes.preprocessing._base import (
    BaseTransformer,
    check_fit_data,
    check_namespace,
    kept_dtypes,
    quiet,
    raise_if_infinite,
    raise_if_overflowing,
    validated,
)
from sknn_notes.preprocessing._docs import COUNTING_TRANSFORMER, METHOD
from sknn_notes.preprocessing._linear_map import (
    LinearMap,
    cholesky_map,
    inverted,
    reciprocal,
    rotation_map,
    symmetric_map,
    with_diagonal,
)
from sknn_notes.preprocessing._row_sample import warn_of_new_stream
from sknn_notes.preprocessing._shrinkage import shrinkage_share

Method: TypeAlias = Literal["pca", "zca", "pca_cor", "zca_cor", "cholesky"]
METHODS = ("pca", "zca", "pca_cor", "zca_cor", "cholesky")
# Methods whose outputs are principal components rather than features.
ROTATIONS = ("pca", "pca_cor")
# Parameters whose values at the fit are used by later calls.
FITTED_WITH = ("method", "n_components", "whiten", "eps", "ddof", "shrinkage")
# Attributes that require a decomposition.
DECOMPOSED = frozenset(
    {
        "components_",
        "explained_variance_",
        "explained_variance_ratio_",
        "n_components_",
        "shrinkage_",
        "_floor",
        "_scale",
        "_forward",
    }
)


@completed(COUNTING_TRANSFORMER)
class Whitener(BaseTransformer):
    """Decorrelate the data, and scale it so that its covariance is the identity.

    ``fit`` computes mean and covariance of the training data, and ``transform`` applies
    them unchanged to any later data.

    Parameters
    ----------
    method : {"pca", "zca", "pca_cor", "zca_cor", "cholesky"}, default="pca"
        Whitening matrix; see Notes.
    n_components : int, float or None, default=None
        For the PCA methods, the number of components to keep, or the fraction of the
        variance to keep if between 0 and 1. None keeps all
        ``min(n_samples, n_features)``. The other methods keep all features, and warn
        that they ignore it.
    whiten : bool, default=True
        For the PCA methods, False only rotates the data: the components are
        uncorrelated and keep their variances.
    eps : float, default=1e-5
        Constant added to the eigenvalues, in the squared units of X (without unit for
        the ``_cor`` methods). Larger values damp directions with little variance
        instead of amplifying their noise.
    ddof : {0, 1}, default=0
        The covariance is divided by ``n_samples - ddof``.
    shrinkage : {"ledoit_wolf", "oas"}, float or None, default=None
        Shrinkage of the covariance towards a multiple of the identity: a coefficient
        between 0 and 1, or a method that estimates it from the data. The ``_cor``
        methods shrink the correlation matrix.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of each feature, in the units of X.
    components_ : ndarray of shape (n_components_, n_features)
        Eigenvectors of the covariance (of the correlation matrix for the ``_cor``
        methods) as rows, by descending eigenvalue. The first of the largest entries of
        each row is positive. Rows of null directions are zero.
    explained_variance_ : ndarray of shape (n_components_,)
        Eigenvalues, after shrinkage and without ``eps``; 0 for null directions.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Eigenvalues divided by the sum of all eigenvalues.
    n_components_ : int
        Number of components.
    shrinkage_ : float
        Shrinkage coefficient.

    Warns
    -----
    UserWarning
        If ``eps`` exceeds the eigenvalues that account for most of the variance, if a
        direction in which the features vary maps to 0, if the method ignores
        ``n_components``, or if ``partial_fit`` is called after ``fit``.

    See Also
    --------
    Standardizer : Scale each feature separately.
    sklearn.decomposition.PCA : Solvers for few components of large data.

    Notes
    -----
    With ``C = V S V'`` the covariance of the centered data ``Xc``, eigenvectors in the
    columns of V, correlations ``P = G T G'`` and standard deviations D (Kessy, Lewin
    and Strimmer [1]_):

    - ``pca``: ``Xc V (S + eps)^(-1/2)``, or ``Xc V`` with ``whiten=False``;
    - ``zca``: ``Xc V (S + eps)^(-1/2) V'``, the whitening transform closest to the
      data; its outputs correspond to features, so images stay images (Bell and
      Sejnowski [2]_);
    - ``pca_cor``: ``Xc D^(-1) G (T + eps)^(-1/2)``;
    - ``zca_cor``: ``Xc D^(-1) G (T + eps)^(-1/2) G'``;
    - ``cholesky``: ``Xc L`` with L lower triangular and ``L L' = (C + eps I)^(-1)``.

    The covariance of the result is ``S / (S + eps)``, the identity for ``eps=0``. A
    direction is zero to working precision if its eigenvalue of the correlation matrix,
    which does not depend on units, is at most ``n_features`` times the float64 spacing
    times the largest eigenvalue (16 times the spacing with fewer features). It maps to
    0, and the inverse returns the mean (except for ``cholesky``, which adds ``eps``
    there). Features in any units are kept: standard deviations may differ by a factor
    of 1e15.

    The covariance is accumulated in float64 from one reading of the data. With fewer
    samples than features, all methods except ``cholesky`` use the smaller Gram matrix
    of the samples in ``fit``, and only ``whitening_matrix`` and ``dewhitening_matrix``
    compute a matrix of features by features.

    ``fit`` stores what ``transform`` and ``inverse_transform`` need. ``partial_fit``
    also stores the matrix of cross products, which takes ``8 * n_features**2`` bytes
    for any number of samples, and decomposes it when a component is first read after a
    chunk.

    Under scikit-learn's array API dispatch X may be an array of PyTorch or another
    library, on any device. Results and fitted attributes are arrays of that library on
    that device, where the decompositions, too, run.

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

    _parameter_constraints: dict[str, Any] = {
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
    _statistics = "sums of squares of X"
    mean_: Floats
    components_: Floats
    explained_variance_: Floats
    explained_variance_ratio_: Floats
    n_components_: int
    shrinkage_: float
    n_samples_seen_: int
    _scatter: cov.Scatter
    _forward: LinearMap

    def __init__(
        self,
        method: Method = "pca",
        *,
        n_components: int | float | None = None,
        whiten: bool = True,
        eps: float = 1e-5,
        ddof: Literal[0, 1] = 0,
        shrinkage: Literal["ledoit_wolf", "oas"] | float | None = None,
    ) -> None:
        self.method = method
        self.n_components = n_components
        self.whiten = whiten
        self.eps = eps
        self.ddof = ddof
        self.shrinkage = shrinkage

    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def fit(self, X: MatrixLike, y: object = None) -> Self:
        """Compute mean and covariance, discarding any earlier data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data; NaN and infinity raise an error.

        Returns
        -------
        self : Whitener
            Fitted transformer.
        """
        with fit_task(self, X, y), unchanged_on_error(self), quiet():
            data = self._check_data(X, reset=True, whole=True)
            for name in ("_scatter", "_n_cut"):
                self.__dict__.pop(name, None)
            scatter = cov.read_rows(data)
            self._begin(scatter, data)
            self._set_components(scatter, data)
            self._forward = self._map(scatter)
        return self

    @validated
    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def partial_fit(self, X: MatrixLike, y: object = None) -> Self:
        """Update mean and covariance with another chunk of training data.

        Any split of the data into chunks gives the result of a single ``fit``, to
        rounding.
        With fewer samples than ``n_components``, the missing components are zero. After
        ``fit``, which stores no statistics, ``partial_fit`` starts from scratch.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data; NaN and infinity raise an error.

        Returns
        -------
        self : Whitener
            Fitted transformer.

        Raises
        ------
        ValueError
            If the matrix of features by features does not fit in the memory of this
            machine.
        """
        if isinstance(self.shrinkage, str) and self.shrinkage == "ledoit_wolf":
            raise ValueError(
                "shrinkage='ledoit_wolf' reads the data twice, which partial_fit "
                "cannot do. Use fit, or shrinkage='oas' or a number."
            )
        seen = vars(self).get("_scatter")
        fitted = "mean_" in vars(self)
        if fitted and seen is None:
            warn_of_new_stream(self)
        with fit_task(self, X, y), unchanged_on_error(self), quiet():
            data = self._check_data(X, reset=not fitted, whole=False)
            scatter = cov.add_rows(seen, data)
            self._begin(scatter, data)
            self._scatter = scatter
        return self

    def transform(self, X: MatrixLike) -> Floats:
        """Whiten X with the statistics computed by ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data to transform; NaN and infinity raise an error.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            Whitened data, float32 if X is float32, otherwise float64. The PCA methods
            have ``n_components_`` outputs, the others ``n_features``.

        Raises
        ------
        ValueError
            If X is not finite, or its columns differ from those seen in ``fit``.
        """
        check_is_fitted(self)
        self._raise_if_sparse(X)
        xp = check_namespace(self, X, "mean_", "transform")
        with holding_numbers("X"):
            data = validate_data(
                self,
                X,
                reset=False,
                dtype=kept_dtypes(X, xp, half=False),
                ensure_all_finite=False,
            )
        with quiet():
            out: Floats
            out, finite = self._forward.apply(data, self.mean_)
        if not finite:
            raise_if_infinite(self, data, allow_nan=False)
        return out

    def inverse_transform(self, X: MatrixLike) -> Floats:
        """Map whitened data back; null and dropped directions become the mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_outputs)
            Whitened data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Data in its original units.

        Raises
        ------
        ValueError
            If X is not finite, or its number of columns differs from that of the
            output of ``transform``.
        """
        check_is_fitted(self)
        self._raise_if_sparse(X)
        xp = check_namespace(self, X, "mean_", "inverse_transform")
        dtypes = kept_dtypes(X, xp, half=False)
        with holding_numbers("X"):
            data = check_array(X, dtype=dtypes, input_name="X", estimator=self)
        rotates = self._fitted_with["method"] in ROTATIONS
        n_outputs = self.n_components_ if rotates else self.n_features_in_
        if data.shape[1] != n_outputs:
            raise ValueError(
                f"X has {data.shape[1]} columns, but {type(self).__name__}.transform "
                f"returns {n_outputs}. Pass what transform returned."
            )
        with quiet():
            no_mean = full((n_outputs,), 0.0, self.mean_, xp)
            out: Floats
            out, _ = self._backward().apply(data, no_mean)
            out += astype(self.mean_, out.dtype, xp)
        if not xp.all(xp.isfinite(out)):
            raise ValueError(
                f"The values that {type(self).__name__} computes from X overflow "
                f"{out.dtype}. Pass X as float64, or check that transform returned it."
            )
        return out

    @completed(METHOD)
    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> NDArray[np.object_]:
        """Return the names of the outputs.

        Returns
        -------
        ndarray of str
            ``whitener0``, ``whitener1``, ... for the PCA methods, the names of the
            features for the others.
        """
        check_is_fitted(self)
        rotates = self._fitted_with["method"] in ROTATIONS
        names = ClassNamePrefixFeaturesOutMixin if rotates else OneToOneFeatureMixin
        found: NDArray[np.object_] = names.get_feature_names_out(self, input_features)
        return found

    def whitening_matrix(self) -> Floats:
        """Return the matrix W of ``Z = (X - mean_) W``.

        Returns
        -------
        ndarray of shape (n_features, n_outputs)
            Whitening matrix, a new array.
        """
        check_is_fitted(self)
        matrix: Floats = self._forward.matrix()
        return matrix

    def dewhitening_matrix(self) -> Floats:
        """Return the matrix W of the inverse, ``X = Z W + mean_``.

        Returns
        -------
        ndarray of shape (n_outputs, n_features)
            Dewhitening matrix, a new array.
        """
        check_is_fitted(self)
        matrix: Floats = self._backward().matrix()
        return matrix

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __getattr__(self, name: str) -> Any:
        # After partial_fit, the decomposition is computed when it is first needed.
        scatter = vars(self).get("_scatter")
        if name not in DECOMPOSED or scatter is None:
            # Raises the usual error, or that of a property.
            return super().__getattribute__(name)
        with quiet():
            if name == "_forward":
                self._forward = self._map(scatter)
            else:
                self._set_components(scatter)
        return vars(self)[name]

    def _raise_if_sparse(self, X: MatrixLike) -> None:
        if sparse.issparse(X):
            raise TypeError(
                "Sparse data was passed to Whitener, which would make it dense: it "
                "centers and combines the columns. Pass X.toarray() if that fits in "
                "memory, or reduce it first with sklearn.decomposition.TruncatedSVD."
            )

    def _check_combination(self) -> None:
        if self.method in ROTATIONS:
            return
        if not self.whiten:
            raise ValueError(
                f"whiten=False requires method='pca' or 'pca_cor', but method is "
                f"{self.method!r}. Set whiten=True, or choose a PCA method."
            )
        if self.n_components is not None:
            warnings.warn(
                f"n_components={self.n_components} is ignored: method={self.method!r} "
                "keeps all features. Set it to None, or choose method='pca' or "
                "'pca_cor' to keep fewer.",
                UserWarning,
                stacklevel=4,
            )

    def _check_data(self, X: MatrixLike, *, reset: bool, whole: bool) -> Array:
        self._check_combination()
        self._raise_if_sparse(X)
        data = check_fit_data(self, X, reset=reset, attribute="mean_")
        self._check_n_components(data, whole)
        return data

    def _begin(self, scatter: cov.Scatter, data: Array) -> None:
        """Set the attributes that need no decomposition; delete the others."""
        moments, xp = scatter.moments, namespace(scatter.moments.n)
        if not xp.all(xp.isfinite(moments.mean + moments.m2)):
            raise_if_overflowing(self, data, allow_nan=False)
        for name in DECOMPOSED:
            self.__dict__.pop(name, None)
        # Parameters that are set later have no effect before the next fit.
        self._fitted_with = {name: plain(getattr(self, name)) for name in FITTED_WITH}
        self.n_samples_seen_ = scatter.n_samples
        self.mean_ = moments.full_mean()
        wanted = self._fitted_with["n_components"]
        if wanted is None or isinstance(wanted, Integral):
            self.n_components_ = self._count_components(None)

    def _check_n_components(self, X: Array, whole: bool) -> None:
        limit = min(X.shape) if whole else X.shape[1]
        wanted: Any = self.n_components
        if self.method in ROTATIONS and isinstance(wanted, Integral) and wanted > limit:
            bound = "min(n_samples, n_features)" if whole else "n_features"
            raise ValueError(
                f"n_components={wanted} exceeds {bound}={limit}. Pass a smaller "
                "number, a fraction of the variance such as 0.99, or None."
            )

    def _set_components(self, scatter: cov.Scatter, data: Array | None = None) -> None:
        """Decompose the statistics, and set all attributes that depend on it."""
        fitted, n, d = self._fitted_with, self.n_samples_seen_, self.n_features_in_
        ddof, correlation = fitted["ddof"], fitted["method"].endswith("_cor")
        spectrum = cov.decompose(scatter, ddof, correlation=correlation)
        scale = None
        if correlation:
            scale = reciprocal(cov.standard_deviations(scatter, ddof))
        share = shrinkage_share(
            fitted["shrinkage"],
            spectrum.values * (max(n - ddof, 1) / n),
            data,
            self.mean_,
            scale,
            n,
        )
        xp = namespace(spectrum.values)
        total = float(xp.sum(spectrum.values))
        # The variance that shrinkage adds to every direction, also outside the span.
        floor = share * total / d
        values = (1 - share) * spectrum.values + floor
        k = self._count_components(values)
        self._warn_of_eps(values)
        if not floor:
            self._warn_of_cut(spectrum, k)
        self.shrinkage_, self._floor, self._scale = share, floor, scale
        self.n_components_ = k
        self.explained_variance_ = cov.padded(values, k)
        self.explained_variance_ratio_ = self.explained_variance_ / (total or 1.0)
        known = values[:, None] > 0
        self.components_ = cov.padded(xp.where(known, spectrum.vectors, 0.0), k)

    def _count_components(self, values: Array) -> int:
        """Return the number of components; ``values`` matter for a fraction only."""
        wanted = self._fitted_with["n_components"]
        if wanted is None or self._fitted_with["method"] not in ROTATIONS:
            return min(self.n_samples_seen_, self.n_features_in_)
        if isinstance(wanted, Integral):
            return int(wanted)
        xp = namespace(values)
        sums = np.cumsum(values) if xp is np else xp.cumulative_sum(values)
        reached = sums / (float(xp.sum(values)) or 1.0)
        return min(cov.count(reached <= wanted) + 1, int(values.shape[0]))

    def _warn_of_eps(self, values: Array) -> None:
        eps, xp = self._fitted_with["eps"], namespace(values)
        total = float(xp.sum(values))
        damped = float(xp.sum(xp.where(values < eps, values, 0.0)))
        if self._fitted_with["whiten"] and damped > 0.5 * total:
            warnings.warn(
                f"eps={eps} exceeds the eigenvalues that account for "
                f"{damped / total:.0%} of the variance, so the result is mostly damped "
                f"rather than white. The largest eigenvalue is {xp.max(values):.3g}: "
                "choose eps well below it, or standardize the data first.",
                UserWarning,
                stacklevel=4,
            )

    def _warn_of_cut(self, spectrum: cov.Spectrum, n_components: int) -> None:
        """Warn about directions that map to 0, once for all chunks."""
        method, n_cut = self._fitted_with["method"], spectrum.n_cut
        if method in ROTATIONS:
            n_cut = min(n_cut, n_components - spectrum.rank)
        warned = vars(self).get("_n_cut", 0)
        self._n_cut = max(n_cut, 0)
        if method == "cholesky" or n_cut <= warned:
            return
        warnings.warn(
            f"{n_cut} of {spectrum.rank + spectrum.n_cut} directions map to 0: X has "
            "no variance along them to working precision, for example because a "
            "feature is a linear combination of others. To keep all information, drop "
            "such features, or set shrinkage.",
            UserWarning,
            stacklevel=4,
        )

    def _map(self, scatter: cov.Scatter) -> LinearMap:
        """Return the linear map of ``transform``."""
        if self._fitted_with["method"] == "cholesky":
            return cholesky_map(self._full_covariance(scatter))
        return self._spectral_map(dense=scatter.gram is not None)

    def _backward(self) -> LinearMap:
        """Return the linear map of ``inverse_transform``."""
        if self._fitted_with["method"] == "cholesky":
            return inverted(self._forward)
        return self._spectral_map(back=True, dense=False)

    def _spectral_map(self, **form: bool) -> LinearMap:
        fitted, values = self._fitted_with, self.explained_variance_
        xp = namespace(values)
        known = xp.any(self.components_ != 0, axis=1)
        eps = fitted["eps"] if fitted["whiten"] else 0.0
        weights = astype(known, values.dtype, xp)
        if fitted["whiten"]:
            weights = xp.sqrt(reciprocal(xp.where(known, values + eps, 0.0)))
        if fitted["method"] in ROTATIONS:
            return rotation_map(self.components_, weights, self._scale, **form)
        outside = 1 / math.sqrt(self._floor + eps) if self._floor else 0.0
        return symmetric_map(self.components_, weights, outside, self._scale, **form)

    def _full_covariance(self, scatter: cov.Scatter) -> Array:
        """Return the shrunk covariance plus ``eps``; raise if it is singular."""
        eps = self._fitted_with["eps"]
        covariance = cov.covariance(scatter, self._fitted_with["ddof"])
        covariance *= 1 - self.shrinkage_
        covariance = with_diagonal(covariance, self._floor + eps)
        xp = namespace(covariance)
        diagonal = np.diagonal if xp is np else xp.linalg.diagonal
        scale = reciprocal(xp.sqrt(diagonal(covariance)))
        values = xp.linalg.eigvalsh(covariance * scale * scale[:, None])
        if values[0] <= cov.null_level(values, scatter):
            raise ValueError(
                f"method='cholesky' requires a covariance that can be inverted, but "
                f"with eps={eps} its smallest eigenvalue is zero to working precision. "
                "Raise eps, set shrinkage, drop dependent columns, or use method='zca'."
            )
        return covariance

    def __sklearn_tags__(self) -> Any:
        """Tags: both float types are kept."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.array_api_support = has_array_dispatch
        return tags
