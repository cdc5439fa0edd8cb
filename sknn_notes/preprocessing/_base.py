"""What the column-wise transformers share: input checks and the affine map."""

from functools import partial, wraps
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.sparsefuncs import inplace_column_scale
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_notes._base import BaseObject
from sknn_notes._callbacks import CallbackSupportMixin
from sknn_notes._kernels._numpy.columns import Moments, merge_moments
from sknn_notes._sklearn import (
    Interval,
    StrOptions,
    _check_sample_weight,
    validate_parameter_constraints,
)
from sknn_notes.preprocessing._moments import (
    dense_kernel,
    feature_groups,
    matrix_moments,
    pool_moments,
    samples_seen,
)

FLOATS = (np.float64, np.float32)
# The types that scaling keeps; products of half precision would be of little use.
SCALED_FLOATS = (*FLOATS, np.float16)


def quiet():
    """Return a context without numpy's floating-point errors: results are checked."""
    return np.errstate(all="ignore")


def validated(method):
    """Check the estimator's parameters at every call of ``partial_fit``.

    scikit-learn's context checks them at the first one only.
    """

    @wraps(method)
    def checked(estimator, *args, **kwargs):
        if not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        return method(estimator, *args, **kwargs)

    return checked


def check_fit_data(estimator, X, *, reset, floats=FLOATS, **checks):
    """Validate the X of a fit but for NaN and infinity, which the statistics show.

    Integer arrays stay as they are, so that a memory-mapped set of images is
    converted block by block only.
    """
    integer = isinstance(X, np.ndarray) and X.dtype.kind in "biu"
    return validate_data(
        estimator,
        X,
        reset=reset,
        dtype=None if integer else floats,
        ensure_all_finite=False,
        **checks,
    )


def raise_if_infinite(estimator, X, *, allow_nan=True):
    """Raise scikit-learn's error if X holds infinity, or NaN unless allowed."""
    assert_all_finite(
        X,
        allow_nan=allow_nan,
        estimator_name=type(estimator).__name__,
        input_name="X",
    )


def raise_if_overflowing(estimator, X, *, allow_nan=True):
    """Raise the error for statistics of X that are not finite."""
    raise_if_infinite(estimator, X, allow_nan=allow_nan)
    raise ValueError(
        f"The statistics of X overflow float64: {type(estimator).__name__} needs the "
        f"{estimator._statistics} to be finite. Divide X by a constant first."
    )


def checked_weights(sample_weight, X):
    """Check the weights of the rows, of which one has to be positive, or None."""
    if sample_weight is None:
        return None
    return _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )


def in_unit_of_largest(weights):
    """Return weights in units of the largest one's size, a power of two; None stays.

    In that unit weights of any size can be added.
    """
    if weights is None:
        return None
    return weights / np.ldexp(1.0, np.frexp(weights.max())[1] - 1)


def relative_weights(sample_weight, X):
    """Check the weights of the rows; return them in units of the largest one's size."""
    return in_unit_of_largest(checked_weights(sample_weight, X))


class ColumnwiseMap(
    OneToOneFeatureMixin, TransformerMixin, CallbackSupportMixin, BaseObject
):
    """Base of the transformers that map columns by ``(X - shift) / divisor``.

    A subclass turns its statistics into fitted attributes and gives the two vectors of
    the map, one number a statistic, in ``_vectors``.
    """

    _parameter_constraints: dict = {
        "per": [StrOptions({"feature", "all", "channel"})],
        "n_channels": [Interval(Integral, 1, None, closed="left"), None],
        "channels": [StrOptions({"first", "last"})],
        "copy": ["boolean"],
    }
    _sparse_error: type[Exception] = TypeError
    # What has to be finite besides X.
    _statistics = "sums of X"
    _moments: Moments | None
    _weighted: bool
    _whole_weights: bool
    _weight_unit: float
    _fitted_groups: np.ndarray

    def _groups(self) -> np.ndarray:
        return feature_groups(
            self.per, self.n_features_in_, self.n_channels, self.channels
        )

    def _sparse_advice(self, fitted: bool = False) -> str | None:
        """Return what to do instead of passing a sparse matrix, None if accepted."""
        return (
            "Use Standardizer(with_mean=False), which only divides and keeps zeros, or "
            "pass X.toarray() if that fits in memory."
        )

    def _raise_if_sparse(self, X, fitted=False):
        """Raise if X is sparse and the parameters, or what was fitted, center it."""
        advice = self._sparse_advice(fitted)
        if advice is not None and sparse.issparse(X):
            raise self._sparse_error(
                f"Sparse data was passed to {type(self).__name__}, which would make it "
                f"dense. {advice}"
            )

    def _accumulate(self, X, sample_weight, *, reset, whole):
        """Merge the moments of X into ``_moments``; NaN is ignored.

        Returns the validated X, and the moments pooled over what shares a statistic.
        """
        self._raise_if_sparse(X)
        data = check_fit_data(
            self, X, reset=reset, floats=SCALED_FLOATS, accept_sparse=("csr", "csc")
        )
        self._fitted_groups = self._groups()
        if reset:
            self._moments, self._weight_unit = None, 1.0
            self._weighted, self._whole_weights = False, True
        weights = self._scaled_weights(sample_weight, data, whole)
        with quiet():
            moments = matrix_moments(data, weights)
            if self._moments is not None:
                moments = merge_moments(self._moments, moments)
            pooled = pool_moments(moments, self._fitted_groups)
            count = moments.n * self._weight_unit
        if not np.isfinite(count).all():
            raise ValueError(
                "The sum of sample_weight overflows float64. Divide the weights by a "
                "constant first."
            )
        if not (np.isfinite(moments.mean).all() and np.isfinite(pooled.mean).all()):
            raise_if_overflowing(self, data)
        self._moments = moments
        self.n_samples_seen_ = samples_seen(count, self._weighted)
        return data, pooled

    def _scaled_weights(self, sample_weight, X, whole):
        """Return the weights in units of the first one's size, None if all are 1.

        Statistics don't depend on the unit, a power of two, but with it weights of any
        size can be multiplied by squares.
        """
        if sample_weight is None:
            if self._weight_unit == 1.0:
                return None
            return np.full(X.shape[0], 1 / self._weight_unit)
        weights = _check_sample_weight(
            sample_weight,
            X,
            dtype=np.float64,
            ensure_non_negative=True,
            allow_all_zero_weights=not whole,
        )
        self._weighted = True
        self._whole_weights &= bool((weights == np.floor(weights)).all())
        if self._moments is None or not self._moments.n.any():
            self._weight_unit = np.ldexp(1.0, np.frexp(weights.max() or 1.0)[1] - 1)
        return weights / self._weight_unit

    def _vectors(self):
        """Return shift and divisor of the map, one number a statistic."""
        raise NotImplementedError

    def _forward(self, X, out):
        """Write the transformed X into ``out``; return if all is finite."""
        shift, divisor = (vector[self._fitted_groups] for vector in self._vectors())
        if sparse.issparse(X):
            inplace_column_scale(out, 1 / divisor)
            return True
        zeros, ones = np.zeros_like(shift), np.ones_like(shift)
        return dense_kernel("affine", X)(X, shift, divisor, ones, zeros, out)

    def _backward(self, X, out):
        """Write X in its original units into ``out``; return if all is finite."""
        shift, factor = (vector[self._fitted_groups] for vector in self._vectors())
        if sparse.issparse(X):
            inplace_column_scale(out, factor)
            return True
        zeros, ones = np.zeros_like(shift), np.ones_like(shift)
        return dense_kernel("affine", X)(X, zeros, ones, factor, shift, out)

    def transform(self, X, copy=None):
        """Apply the statistics found by ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data to transform. NaN stays NaN; infinity raises an error.
        copy : bool, default=None
            Whether to leave X as it is; None takes the parameter ``copy``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The transformed data, of X's type where that is a float, else float64. It
            is X itself if ``copy`` is False and X is a writeable array of floats.

        Raises
        ------
        ValueError
            If X holds infinity or its columns are not those of ``fit``.
        """
        check_is_fitted(self)
        check = partial(validate_data, self, reset=False)
        return self._run(X, check, copy, self._forward)

    def inverse_transform(self, X, copy=None):
        """Undo ``transform``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Transformed data.
        copy : bool, default=None
            Whether to leave X as it is; None takes the parameter ``copy``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The data in its original units.

        Raises
        ------
        ValueError
            If X holds infinity or another number of columns than ``fit`` saw.
        """
        check_is_fitted(self)
        check = partial(check_array, input_name="X", estimator=self)
        return self._run(X, check, copy, self._backward)

    def _run(self, X, check, copy, map_columns):
        """Validate X and map it, in place if the array is ours or the user says so."""
        self._check_parameters("copy")
        self._raise_if_sparse(X, fitted=True)
        copy = self.copy if copy is None else copy
        converted = isinstance(X, np.ndarray) and X.dtype not in SCALED_FLOATS
        in_place = converted or not copy
        data = check(
            X,
            dtype=SCALED_FLOATS,
            accept_sparse=("csr", "csc"),
            force_writeable=in_place,
            ensure_all_finite="allow-nan" if in_place else False,
        )
        if data.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {data.shape[1]} features, but {type(self).__name__} was fitted "
                f"with {self.n_features_in_}. Pass the same columns."
            )
        if sparse.issparse(data):
            raise_if_infinite(self, data)
            out = data.copy() if copy else data
        else:
            out = data if in_place else np.empty_like(data)
        with quiet():
            finite = map_columns(data, out)
        if not finite:
            if not in_place:
                raise_if_infinite(self, data)
            if np.isinf(out).any():
                raise ValueError(
                    f"{type(self).__name__} makes of X values that overflow "
                    f"{out.dtype}. Pass X as float64, or drop columns whose training "
                    "data spread far less than X."
                )
        return out

    def _check_parameters(self, *names):
        """Check parameters that are read after ``fit``."""
        if not get_config()["skip_parameter_validation"]:
            validate_parameter_constraints(
                self._parameter_constraints,
                {name: getattr(self, name) for name in names},
                caller_name=type(self).__name__,
            )

    def __sklearn_tags__(self):
        """Tags: NaN passes through and both float types are kept."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = self._sparse_advice() is None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
