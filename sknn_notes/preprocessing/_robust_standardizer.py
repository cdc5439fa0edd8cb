"""Robust standardization by median, interquartile range and smooth clipping."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknn_notes._callbacks import fit_task
from sknn_notes._checks import Interval, plain
from sknn_notes._docstrings import completed
from sknn_notes._encoding import quantiles
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._kernels._numpy.columns import row_blocks
from sknn_notes._sklearn import InvalidParameterError, _fit_context
from sknn_notes._typing import Array, Floats, Integers, MatrixLike
from sknn_notes.preprocessing._base import (
    Channels,
    ColumnwiseMap,
    Per,
    checked_weights,
    in_unit_of_largest,
    quiet,
    raise_if_infinite,
    raise_if_overflowing,
    relative_weights,
    validated,
)
from sknn_notes.preprocessing._docs import METHOD, TRANSFORMER
from sknn_notes.preprocessing._moments import dense_kernel, is_constant, pool_range
from sknn_notes.preprocessing._row_sample import sample_to_extend

# Elements of a block that is clipped; it stays in the cache.
BLOCK_SIZE = 2**15


@completed(TRANSFORMER)
class RobustStandardizer(ColumnwiseMap):
    """Subtract the median, divide by the interquartile range, and clip smoothly.

    Median and quartiles are hardly affected by outliers, unlike mean and standard
    deviation. Smooth clipping then maps all values into (-clip, clip). It hardly
    changes values near the median, and keeps the order of all values.

    Parameters
    ----------
    clip : float or None, default=3.0
        Bound of smooth clipping, in interquartile ranges, at least 0.001. None disables
        clipping.

    Attributes
    ----------
    center_ : ndarray of shape (n_statistics,)
        Medians, in the units of X: ``n_features`` of them for ``per="feature"``, 1 for
        ``"all"``, ``n_channels`` for ``"channel"``. NaN if no value was seen.
    scale_ : ndarray of shape (n_statistics,)
        Divisors: the interquartile range; if that is 0, half the range; if that is 0,
        too, 1.

    See Also
    --------
    Standardizer : Scale by mean and standard deviation; it accepts sparse X.
    PiecewiseLinearEncoder : Encode each feature by its position in quantile bins.

    Notes
    -----
    Computes ``z = (X - center_) / scale_`` and then ``z / sqrt(1 + (z / clip)**2)``
    [1]_. A constant feature maps to 0, and so do unseen values of it; the inverse
    returns the constant. A range below the rounding error of its values counts as 0.

    A quartile between two values is their mean (numpy's "averaged_inverted_cdf"), so
    integer sample weights are equivalent to repeated rows. NaN is ignored in ``fit``
    and kept in ``transform``. Sparse matrices raise an error, since centering makes
    them dense.

    Exact quantiles require all the data at once. ``partial_fit`` keeps a uniform random
    sample of ``subsample`` rows (Vitter's algorithm R [2]_), and the minimum and
    maximum of all rows. The result is exact up to ``subsample`` rows. Beyond that, the
    standard error of a median is that of the median of ``subsample`` rows: for a normal
    feature, 1.25 standard deviations divided by ``sqrt(subsample)``.

    ``inverse_transform`` is exact to rounding. The rounding error increases with the
    distance from the center: the relative error of ``z`` is about
    ``eps * (1 + (z / clip)**2)``. Values beyond ``clip / sqrt(8 * eps)``, by default
    7e7 in float64 and 3,000 in float32, map to a number just below ``clip``, and the
    inverse returns that limit.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong
       pre-tuned MLPs and boosted trees on tabular data", NeurIPS, 2024.
    .. [2] J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on
       Mathematical Software 11, 1985.

    Examples
    --------
    >>> from sknn_notes import RobustStandardizer
    >>> X = [[1.0], [2.0], [3.0], [4.0], [1000.0]]
    >>> standardizer = RobustStandardizer().fit(X)
    >>> standardizer.center_, standardizer.scale_
    (array([3.]), array([2.]))
    >>> standardizer.transform(X).round(2).ravel()
    array([-0.95, -0.49,  0.  ,  0.49,  3.  ])
    >>> RobustStandardizer(clip=None).fit_transform(X).ravel()
    array([ -1. ,  -0.5,   0. ,   0.5, 498.5])
    """

    _parameter_constraints: dict[str, Any] = {
        **ColumnwiseMap._parameter_constraints,
        "clip": [Interval(Real, 0.001, None, closed="left"), None],
        "subsample": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }
    _statistics = "ranges of the features"
    center_: Floats
    scale_: Floats
    _constant: NDArray[np.bool_]
    _bound: float | None

    def __init__(
        self,
        clip: float | None = 3.0,
        *,
        per: Per = "feature",
        n_channels: int | None = None,
        channels: Channels = "last",
        copy: bool = True,
        subsample: int = 10_000,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.clip = clip
        self.per = per
        self.n_channels = n_channels
        self.channels = channels
        self.copy = copy
        self.subsample = subsample
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def fit(
        self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Compute medians and interquartile ranges, discarding any earlier data.

        Returns
        -------
        self : RobustStandardizer
            Fitted transformer.
        """
        bound = self._checked_bound()
        self._raise_if_sparse(X)
        with (
            fit_task(self, X, y, sample_weight=sample_weight),
            unchanged_on_error(self),
        ):
            data = self._check_data(X, reset=True)
            self.__dict__.pop("_sample", None)
            weights = relative_weights(sample_weight, data)
            self._set_quartiles(data, weights, bound)
        return self

    @validated
    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def partial_fit(
        self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Update medians and interquartile ranges with another chunk of data.

        Up to ``subsample`` rows, the statistics are those of all rows. Beyond that,
        they are those of a random sample of ``subsample`` rows. After ``fit``, which
        keeps no rows, ``partial_fit`` starts from scratch.

        Returns
        -------
        self : RobustStandardizer
            Fitted transformer.
        """
        bound = self._checked_bound()
        self._raise_if_sparse(X)
        with (
            fit_task(self, X, y, sample_weight=sample_weight),
            unchanged_on_error(self),
        ):
            sample = sample_to_extend(self)
            data = self._check_data(X, reset=sample.X is None)
            weights = checked_weights(sample_weight, data)
            self._sample = sample = sample.extended(data, None, weights)
            weights = in_unit_of_largest(sample.weights)
            limits = sample.low, sample.high
            self._set_quartiles(sample.X, weights, bound, limits)
        return self

    def _check_data(self, X: MatrixLike, *, reset: bool, **checks: Any) -> Array:
        data = super()._check_data(X, reset=reset, **checks)
        raise_if_infinite(self, data)
        return data

    def _set_quartiles(
        self,
        X: Floats,
        weights: Floats | None,
        bound: float | None,
        limits: tuple[Floats, Floats] | None = None,
    ) -> None:
        """Set the statistics of some rows. ``limits`` is the range of all rows."""
        groups = self._set_groups(X)
        quartiles = _quartiles(X, groups, weights)
        if limits is not None:
            low, high = limits
            quartiles[[0, -1]] = pool_range(low, high, groups)
        self._set_statistics(*quartiles)
        if np.isinf(self.scale_).any():
            raise_if_overflowing(self, X)
        self._bound = bound

    def _checked_bound(self) -> float | None:
        # MinMaxNormalizer has a parameter of this name that is a bool.
        if isinstance(self.clip, bool | np.bool_):
            raise InvalidParameterError(
                f"clip={self.clip} is not a bound. Pass the largest absolute value "
                "after smooth clipping, such as 3.0, or None for no clipping."
            )
        bound: float | None = plain(self.clip)
        return bound

    def _set_statistics(
        self, low: Floats, q25: Floats, median: Floats, q75: Floats, high: Floats
    ) -> None:
        with quiet():
            iqr, half_range = q75 - q25, high / 2 - low / 2
        iqr_is_0 = is_constant(iqr, np.maximum(abs(q25), abs(q75)))
        range_is_0 = is_constant(half_range, np.maximum(abs(low), abs(high)))
        self._constant = iqr_is_0 & range_is_0
        spread = np.where(iqr_is_0, half_range, iqr)
        self.center_ = median
        self.scale_ = np.where(self._constant, 1.0, spread)

    def _vectors(self) -> tuple[Floats, Floats, Floats]:
        """Return shift, divisor and factor of the map before clipping."""
        # All values of a constant feature map to 0, also unseen ones.
        shift = np.where(self._constant, 0.0, self.center_)
        return shift, self.scale_, np.where(self._constant, 0.0, 1.0)

    def _forward(self, X: Floats, out: Floats) -> bool:
        shift, divisor, factor = self._of_features(*self._vectors())
        zeros = np.zeros_like(shift)
        kernel = dense_kernel("affine", X)
        finite: bool = kernel(X, shift, divisor, factor, zeros, out)
        if self._bound is not None:
            smooth_clip(out, self._bound)
        return finite

    def _backward(self, X: Floats, out: Floats) -> bool:
        if self._bound is not None:
            self._raise_if_beyond(X)
            if out is not X:
                np.copyto(out, X)
            undo_smooth_clip(out, self._bound)
            X = out
        factor = np.where(self._constant, 0.0, self.scale_)[self._fitted_groups]
        center = self.center_[self._fitted_groups]
        zeros, ones = np.zeros_like(center), np.ones_like(center)
        return bool(dense_kernel("affine", X)(X, zeros, ones, factor, center, out))

    def __sklearn_tags__(self) -> Any:
        """Tags: those of the other scalers, but only numpy arrays are accepted."""
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags

    def _raise_if_beyond(self, X: Floats) -> None:
        for rows in row_blocks(X, BLOCK_SIZE):
            if (np.abs(X[rows]) >= self._bound).any():
                raise_if_infinite(self, X)
                raise ValueError(
                    f"X has values at or beyond the bound clip={self._bound}. Smooth "
                    "clipping never reaches the bound, so they have no inverse. Clip X "
                    "to a range inside the bound first, for example with np.clip."
                )


def smooth_clip(Z: Floats, bound: float) -> None:
    """Replace ``Z`` by ``Z / sqrt(1 + (Z / bound)**2)``, which is below the bound."""
    limit = clip_limit(bound, Z.dtype)
    for rows in row_blocks(Z, BLOCK_SIZE):
        z = Z[rows]
        np.clip(z, -limit, limit, out=z)
        root = z / bound
        root *= root
        root += 1
        z /= np.sqrt(root, out=root)


def undo_smooth_clip(Z: Floats, bound: float) -> None:
    """Replace ``Z``, below the bound, by ``Z / sqrt(1 - (Z / bound)**2)``."""
    for rows in row_blocks(Z, BLOCK_SIZE):
        z = Z[rows]
        share = z / bound
        z /= np.sqrt((1 - share) * (1 + share))


def clip_limit(bound: float, dtype: Any) -> float:
    """Return the largest value before clipping whose result rounds below the bound."""
    return float(bound) / float(np.sqrt(8 * np.finfo(dtype).eps))


def _quartiles(X: Floats, groups: Integers, weights: Floats | None) -> Floats:
    """Return the minima, quartiles and maxima of the groups of features, in float64."""
    n_groups = groups.max() + 1
    found = np.empty((n_groups, 5))
    for group in range(n_groups):
        features = np.flatnonzero(groups == group)
        values = X[:, features].ravel()
        if weights is not None:
            found[group] = quantiles(values, 4, np.repeat(weights, len(features)))
        else:
            found[group] = quantiles(values, 4)
    return found.T
