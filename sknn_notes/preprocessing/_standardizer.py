"""Standardization: zero mean and unit standard deviation on the training data."""

from numbers import Integral
from typing import Any, Literal, Self

from numpy.typing import ArrayLike

from sknn_notes._arrays import namespace
from sknn_notes._callbacks import fit_task
from sknn_notes._checks import plain
from sknn_notes._docstrings import completed
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._kernels._numpy.columns import Moments
from sknn_notes._sklearn import Options, _fit_context
from sknn_notes._typing import Array, Floats, MatrixLike
from sknn_notes.preprocessing._base import (
    Channels,
    ColumnwiseMap,
    Per,
    raise_if_overflowing,
    validated,
)
from sknn_notes.preprocessing._docs import METHOD, WEIGHING_TRANSFORMER
from sknn_notes.preprocessing._moments import is_constant


@completed(WEIGHING_TRANSFORMER)
class Standardizer(ColumnwiseMap):
    """Subtract the mean of the training data and divide by its standard deviation.

    Mean and standard deviation are computed per feature, per channel of flattened
    images, or over all the data. ``fit`` computes them, and ``transform`` applies them
    unchanged to any later data.

    Parameters
    ----------
    with_mean : bool, default=True
        Whether to subtract the mean. Sparse matrices require False.
    with_std : bool, default=True
        Whether to divide by the standard deviation.
    ddof : {0, 1}, default=0
        The variance is divided by ``n - ddof``. With 1, ``sample_weight`` must contain
        whole numbers, which count how often each sample occurs.

    Attributes
    ----------
    mean_ : ndarray of shape (n_statistics,) or None
        Means, in the units of X: ``n_features`` of them for ``per="feature"``, 1 for
        ``"all"``, ``n_channels`` for ``"channel"``. None if ``with_mean=False`` and
        ``with_std=False``.
    var_ : ndarray of shape (n_statistics,) or None
        Variances, in the squared units of X. None if ``with_std=False``.
    scale_ : ndarray of shape (n_statistics,) or None
        Divisors: the standard deviations, 1 for constant features. None if
        ``with_std=False``.

    See Also
    --------
    Centerer : Only subtract the mean.
    MinMaxNormalizer : Scale to a range.
    Whitener : Also remove correlations.

    Notes
    -----
    Computes ``(X - mean_) / scale_``. Mean and variance are computed in float64 from
    one reading of the data, in blocks whose moments are merged pairwise (Chan, Golub
    and LeVeque [1]_). They are accurate even if the mean is 1e8 standard deviations in
    float64 data, or 1e4 in float32 data. A feature counts as constant if its standard
    deviation is below the rounding error of its mean, or its variance is too small for
    float64, below about 1e-308. NaN is ignored in ``fit`` and kept in ``transform``.

    With scikit-learn's array API dispatch enabled, X may be an array of PyTorch or
    another library, on any device. ``fit`` and ``transform`` then run on that device;
    results and fitted attributes are arrays of that library on that device.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the
       sample variance: analysis and recommendations", The American Statistician 37,
       1983.

    Examples
    --------
    >>> from sknn_notes import Standardizer
    >>> X = [[0.0, 5.0], [4.0, 5.0]]
    >>> standardizer = Standardizer().fit(X)
    >>> standardizer.mean_, standardizer.scale_
    (array([2., 5.]), array([2., 1.]))
    >>> standardizer.transform([[6.0, 7.0]])
    array([[2., 2.]])
    """

    _parameter_constraints: dict[str, Any] = {
        **ColumnwiseMap._parameter_constraints,
        "with_mean": ["boolean"],
        "with_std": ["boolean"],
        "ddof": [Options(Integral, {0, 1})],
    }
    # The type that StandardScaler raises.
    _sparse_error = ValueError
    _statistics = "sums of squares of X"
    mean_: Floats | None
    var_: Floats | None
    scale_: Floats | None
    n_samples_seen_: int | float | Floats

    def __init__(
        self,
        *,
        per: Per = "feature",
        with_mean: bool = True,
        with_std: bool = True,
        ddof: Literal[0, 1] = 0,
        n_channels: int | None = None,
        channels: Channels = "last",
        copy: bool = True,
    ) -> None:
        self.per = per
        self.with_mean = with_mean
        self.with_std = with_std
        self.ddof = ddof
        self.n_channels = n_channels
        self.channels = channels
        self.copy = copy

    def _sparse_advice(self, fitted: bool = False) -> str | None:
        # Tags are read before parameters are checked, whatever these hold.
        centers = self._centers if fitted else plain(self.with_mean) is not False
        if not centers:
            return None
        return (
            "Pass with_mean=False to only divide, which keeps zeros, or pass "
            "X.toarray() if that fits in memory."
        )

    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def fit(
        self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Compute mean and standard deviation, discarding any earlier data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. NaN is ignored; infinity raises an error. Sparse matrices
            require ``with_mean=False``.

        Returns
        -------
        self : Standardizer
            Fitted transformer.
        """
        return self._fit(X, y, sample_weight, reset=True, whole=True)

    @validated
    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def partial_fit(
        self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Update mean and standard deviation with another chunk of training data.

        Any split of the data into chunks gives the result of a single ``fit``, to
        rounding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. NaN is ignored; infinity raises an error. Sparse matrices
            require ``with_mean=False``.

        Returns
        -------
        self : Standardizer
            Fitted transformer.
        """
        reset = not hasattr(self, "_moments")
        return self._fit(X, y, sample_weight, reset=reset, whole=False)

    def _fit(
        self, X: MatrixLike, y: object, sample_weight: ArrayLike | None, **chunk: bool
    ) -> Self:
        with (
            fit_task(self, X, y, sample_weight=sample_weight),
            unchanged_on_error(self),
        ):
            data, pooled = self._accumulate(X, sample_weight, **chunk)
            xp = namespace(pooled.n)
            if self.with_std and not xp.all(xp.isfinite(pooled.m2)):
                raise_if_overflowing(self, data)
            self._set_statistics(pooled)
        return self

    def _set_statistics(self, pooled: Moments) -> None:
        xp, seen = namespace(pooled.n), pooled.n > 0
        mean = xp.where(seen, pooled.full_mean(), xp.nan)
        self.mean_ = mean if self.with_mean or self.with_std else None
        self._centers = self.with_mean
        self.var_ = self.scale_ = None
        if not self.with_std:
            return
        if self.ddof and not self._whole_weights:
            raise ValueError(
                f"ddof={self.ddof} counts samples, so sample_weight must contain whole "
                "numbers, which count how often each sample occurs. Pass whole "
                "numbers, or ddof=0, whose variance doesn't depend on the scale of the "
                "weights."
            )
        ddof = self.ddof / self._weight_unit
        # A single sample has no variance to correct.
        n = xp.where(pooled.n > ddof, pooled.n - ddof, 1.0)
        std = xp.sqrt(pooled.m2 / n)
        constant = is_constant(std, pooled.mean)
        self.var_ = xp.where(seen, xp.where(constant, 0.0, pooled.m2 / n), xp.nan)
        self.scale_ = xp.where(seen, xp.where(constant, 1.0, std), xp.nan)

    def _vectors(self) -> tuple[Array, Array]:
        assert self._moments is not None
        # One number per feature; there are at most as many statistics.
        neutral = namespace(self._moments.n).zeros_like(self._moments.n)
        shift = self.mean_ if self._centers else neutral
        return shift, neutral + 1 if self.scale_ is None else self.scale_
