"""Min-max normalization to the range [-1, 1]."""

from typing import Any, Self

import numpy as np

from sknn_notes._arrays import namespace
from sknn_notes._callbacks import fit_task
from sknn_notes._docstrings import completed
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._sklearn import _fit_context
from sknn_notes._typing import Array, Floats, MatrixLike
from sknn_notes.preprocessing._array_kernels import larger, smaller
from sknn_notes.preprocessing._base import (
    Channels,
    ColumnwiseMap,
    Per,
    quiet,
    raise_if_infinite,
    raise_if_overflowing,
    validated,
)
from sknn_notes.preprocessing._docs import COUNTING_TRANSFORMER, METHOD
from sknn_notes.preprocessing._moments import dense_kernel, pool_range


@completed(COUNTING_TRANSFORMER)
class MinMaxNormalizer(ColumnwiseMap):
    """Scale the range of the training data to [-1, 1], or to another range.

    Minimum and maximum are computed per feature, per channel of flattened images, or
    over all the data. ``fit`` computes them, and ``transform`` applies them unchanged
    to any later data, which may leave the range unless ``clip=True``.

    Parameters
    ----------
    feature_range : tuple of (low, high), default=(-1, 1)
        Range of the transformed training data; ``low`` must be below ``high``.
    clip : bool, default=False
        Whether ``transform`` clips unseen values to the range.

    Attributes
    ----------
    data_min_ : ndarray of shape (n_statistics,)
        Minima, in the units of X: ``n_features`` of them for ``per="feature"``, 1 for
        ``"all"``, ``n_channels`` for ``"channel"``. NaN if no value was seen.
    data_max_ : ndarray of shape (n_statistics,)
        Maxima.
    data_range_ : ndarray of shape (n_statistics,)
        Ranges, ``data_max_ - data_min_``.
    scale_ : ndarray of shape (n_statistics,)
        Factors, ``(high - low) / data_range_``; ``high - low`` for constant features.
    min_ : ndarray of shape (n_statistics,)
        Offsets after scaling: the result is ``X * scale_ + min_``.

    See Also
    --------
    Standardizer : Scale by the standard deviation, which is less sensitive to outliers.

    Notes
    -----
    Computes ``low + (X - data_min_) / data_range_ * (high - low)``, and the upper half
    relative to ``high``. Both ends are exact, so no value of the training data leaves
    the range by rounding, as it may with ``X * scale_ + min_``. A constant feature maps
    to the middle of the range; unseen values of it map to either side. NaN is ignored
    in ``fit`` and kept in ``transform``. Sparse matrices raise an error, since the
    shift makes them dense.

    With scikit-learn's array API dispatch enabled, X may be an array of PyTorch or
    another library, on any device. ``fit`` and ``transform`` then run on that device;
    results and fitted attributes are arrays of that library on that device.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, "Efficient BackProp", in
       Neural Networks: Tricks of the Trade, Springer, 1998 (section 4.3).

    Examples
    --------
    >>> from sknn_notes import MinMaxNormalizer
    >>> X = [[0.0, 7.0], [5.0, 7.0], [10.0, 7.0]]
    >>> normalizer = MinMaxNormalizer().fit(X)
    >>> normalizer.transform(X)
    array([[-1.,  0.],
           [ 0.,  0.],
           [ 1.,  0.]])
    >>> normalizer.transform([[20.0, 7.5]])
    array([[3., 1.]])
    """

    _parameter_constraints: dict[str, Any] = {
        **ColumnwiseMap._parameter_constraints,
        "feature_range": [tuple],
        "clip": ["boolean"],
    }
    _statistics = "ranges of the features"
    _range: tuple[Array, Array]
    _bounds: tuple[float, float]
    _constant: Array
    data_min_: Floats
    data_max_: Floats
    data_range_: Floats
    scale_: Floats
    min_: Floats
    n_samples_seen_: int

    def __init__(
        self,
        feature_range: tuple[float, float] = (-1, 1),
        *,
        per: Per = "feature",
        clip: bool = False,
        n_channels: int | None = None,
        channels: Channels = "last",
        copy: bool = True,
    ) -> None:
        self.feature_range = feature_range
        self.per = per
        self.clip = clip
        self.n_channels = n_channels
        self.channels = channels
        self.copy = copy

    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def fit(self, X: MatrixLike, y: object = None) -> Self:
        """Compute minimum and maximum, discarding any earlier data.

        Returns
        -------
        self : MinMaxNormalizer
            Fitted transformer.
        """
        return self._fit(X, y, reset=True)

    @validated
    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def partial_fit(self, X: MatrixLike, y: object = None) -> Self:
        """Update minimum and maximum with another chunk of training data.

        Any split of the data into chunks gives the result of a single ``fit``.

        Returns
        -------
        self : MinMaxNormalizer
            Fitted transformer.
        """
        return self._fit(X, y, reset=not hasattr(self, "_range"))

    def _fit(self, X: MatrixLike, y: object, *, reset: bool) -> Self:
        bounds = self._target()
        self._raise_if_sparse(X)
        with fit_task(self, X, y), unchanged_on_error(self):
            data = self._check_data(X, reset=reset)
            low, high = dense_kernel("column_range", data)(data)
            xp = namespace(low)
            if xp.any(xp.isinf(low)) or xp.any(xp.isinf(high)):
                raise_if_infinite(self, data)
            if not reset:
                low = smaller(low, self._range[0], xp)
                high = larger(high, self._range[1], xp)
            self._range = low, high
            seen = 0 if reset else self.n_samples_seen_
            self.n_samples_seen_ = seen + data.shape[0]
            groups = self._set_groups(data)
            self._set_statistics(*pool_range(low, high, groups), bounds)
            if xp.any(xp.isinf(self.data_range_)):
                raise_if_overflowing(self, data)
            if xp.any(xp.isinf(self.min_)):
                raise ValueError(
                    f"feature_range={self.feature_range!r} is so wide that min_ "
                    "overflows. Pass a narrower range, such as (-1, 1)."
                )
        return self

    def _target(self) -> tuple[float, float]:
        """Check ``feature_range`` and return its two ends."""
        try:
            low, high = (float(end) for end in self.feature_range)
        except (TypeError, ValueError):
            low = high = np.nan
        if not (np.isfinite(high - low) and low < high):
            raise ValueError(
                f"feature_range={self.feature_range!r} is not a range. Pass a tuple of "
                "two finite numbers, the smaller one first, such as (-1, 1) or (0, 1)."
            )
        return low, high

    def _set_statistics(
        self, low: Array, high: Array, bounds: tuple[float, float]
    ) -> None:
        xp, width = namespace(low), bounds[1] - bounds[0]
        with quiet():
            self.data_min_, self.data_max_ = low, high
            self.data_range_ = high - low
            scale = width / self.data_range_
            # A range so small that the factor overflows counts as constant.
            constant = xp.isinf(scale)
            self.scale_ = xp.where(constant, width, scale)
            start = _where_constant(constant, bounds[0] + width / 2, bounds[0], low)
            self.min_ = start - low * self.scale_
        self._bounds, self._constant = bounds, constant

    def _vectors(self) -> tuple[Array, Array]:
        xp = namespace(self.data_range_)
        return self.data_min_, xp.where(self._constant, 1.0, self.data_range_)

    def _forward(self, X: Array, out: Array) -> bool:
        self._check_parameters("clip")
        start = _where_constant(self._constant, 0.5, 0.0, self.data_min_)
        low, span, start = self._of_features(*self._vectors(), start)
        rescale = dense_kernel("rescale", X)
        return bool(rescale(X, low, span, start, self._bounds, out, self.clip))

    def _backward(self, X: Array, out: Array) -> bool:
        a, b = self._bounds
        start = _where_constant(self._constant, a + (b - a) / 2, a, self.data_min_)
        low, span, start = self._of_features(*self._vectors(), start)
        width = namespace(low).full_like(low, b - a)
        return bool(dense_kernel("affine", X)(X, start, width, span, low, out))


def _where_constant(constant: Array, value: float, other: float, like: Array) -> Array:
    """Return ``value`` for constant statistics and ``other`` elsewhere."""
    xp = namespace(like)
    return xp.where(constant, value, xp.full_like(like, other))
