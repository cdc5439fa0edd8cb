"""What the column-wise transformers share: input checks and the affine map."""

from functools import partial
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_notes._base import BaseObject
from sknn_notes._callbacks import CallbackSupportMixin
from sknn_notes._sklearn import Interval, StrOptions, _check_sample_weight
from sknn_notes.preprocessing._moments import (
    Moments,
    dense_kernel,
    feature_groups,
    matrix_moments,
    merge_moments,
)

FLOATS = (np.float64, np.float32)


def check_fit_data(estimator, X, *, reset, **checks):
    """Validate the X of a fit but for NaN and infinity, which the statistics show.

    Integer arrays stay as they are, so that a memory-mapped set of images is
    converted block by block only.
    """
    integer = isinstance(X, np.ndarray) and X.dtype.kind in "biu"
    return validate_data(
        estimator,
        X,
        reset=reset,
        dtype=None if integer else FLOATS,
        ensure_all_finite="allow-nan" if sparse.issparse(X) else False,
        **checks,
    )


def refuse_infinity(estimator, X, *, allow_nan=True):
    """Raise scikit-learn's error if X holds infinity, or NaN unless allowed."""
    assert_all_finite(
        X,
        allow_nan=allow_nan,
        estimator_name=type(estimator).__name__,
        input_name="X",
    )


def refuse_overflow(estimator, X, *, allow_nan=True):
    """Raise the error for statistics of X that are not finite."""
    refuse_infinity(estimator, X, allow_nan=allow_nan)
    raise ValueError(
        f"The statistics of X overflow float64: {type(estimator).__name__} accepts "
        "values whose squares can be summed, about 1e150 at most. Divide X by a "
        "constant first."
    )


class ColumnwiseMap(
    OneToOneFeatureMixin, TransformerMixin, CallbackSupportMixin, BaseObject
):
    """Base of the transformers that map columns by ``(X - shift) * scale + offset``.

    A subclass turns its statistics into fitted attributes and gives the three vectors
    of the map, one number a statistic, in ``_vectors``.
    """

    _parameter_constraints: dict = {
        "per": [StrOptions({"feature", "all", "channel"})],
        "n_channels": [Interval(Integral, 1, None, closed="left"), None],
        "channels": [StrOptions({"first", "last"})],
        "copy": ["boolean"],
    }
    _moments: Moments
    _weighted: bool

    def _groups(self) -> np.ndarray:
        return feature_groups(
            self.per, self.n_features_in_, self.n_channels, self.channels
        )

    def _sparse_advice(self) -> str | None:
        """Return what to do instead of passing a sparse matrix, None if accepted."""
        return (
            "Use Standardizer(with_mean=False), which only divides and keeps zeros, or "
            "pass X.toarray() if that fits in memory."
        )

    def _refuse_sparse(self, X):
        advice = self._sparse_advice()
        if advice is not None and sparse.issparse(X):
            raise TypeError(
                f"Sparse data was passed to {type(self).__name__}, which would make it "
                f"dense. {advice}"
            )

    def _accumulate(self, X, sample_weight, *, reset):
        """Merge the moments of X into ``_moments``; NaN is ignored."""
        self._refuse_sparse(X)
        data = check_fit_data(self, X, reset=reset, accept_sparse=("csr", "csc"))
        self._groups()
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight,
                data,
                dtype=np.float64,
                ensure_non_negative=True,
                allow_all_zero_weights=not reset,
            )
        with np.errstate(over="ignore", invalid="ignore"):
            moments = matrix_moments(data, sample_weight)
            if not reset:
                moments = merge_moments(self._moments, moments)
        if not np.isfinite(moments.mean).all():
            refuse_overflow(self, data)
        self._moments = moments
        self._weighted = sample_weight is not None or (not reset and self._weighted)
        return data

    def _vectors(self):
        """Return shift, scale and offset of the map, one number a statistic."""
        raise NotImplementedError

    def _bounds(self):
        """Return the interval that outputs of ``transform`` are clipped to."""
        return -np.inf, np.inf

    def transform(self, X):
        """Apply the statistics found by ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data to transform. NaN stays NaN; infinity is refused.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The transformed data: float32 if X is, else float64. It is X itself if
            ``copy=False`` and X is a writeable array of these types.

        Raises
        ------
        ValueError
            If X holds infinity or its columns are not those of ``fit``.
        """
        check_is_fitted(self)
        self._refuse_sparse(X)
        shift, scale, offset = self._vectors()
        check = partial(validate_data, self, reset=False)
        return self._run(X, check, (shift, scale, offset), self._bounds())

    def inverse_transform(self, X):
        """Undo ``transform``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Transformed data.

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
        self._refuse_sparse(X)
        shift, scale, offset = self._vectors()
        check = partial(check_array, input_name="X", estimator=self)
        return self._run(X, check, (offset, 1 / scale, shift), (-np.inf, np.inf))

    def _run(self, X, check, vectors, bounds):
        """Validate X and map it, in place if the array is ours or the user says so."""
        converted = isinstance(X, np.ndarray) and X.dtype not in FLOATS
        in_place = converted or not self.copy
        data = check(
            X,
            dtype=FLOATS,
            accept_sparse=("csr", "csc"),
            force_writeable=in_place,
            ensure_all_finite="allow-nan" if in_place else False,
        )
        if data.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {data.shape[1]} features, but {type(self).__name__} was fitted "
                f"with {self.n_features_in_}. Pass the same columns."
            )
        groups = self._groups()
        shift, scale, offset = (vector[groups] for vector in vectors)
        if sparse.issparse(data):
            return self._scale_sparse(data, scale)
        out = data if in_place else np.empty_like(data)
        finite = dense_kernel("affine", data)(data, shift, scale, offset, out, *bounds)
        if not (finite or in_place):
            refuse_infinity(self, data)
        return out

    def _scale_sparse(self, X, scale):
        """Multiply the columns of a CSR or CSC matrix; zeros stay unstored."""
        refuse_infinity(self, X)
        out = X.copy() if self.copy else X
        column = (
            X.indices
            if X.format == "csr"
            else np.repeat(np.arange(X.shape[1]), np.diff(X.indptr))
        )
        out.data[:] = out.data * scale[column]
        return out

    def __sklearn_tags__(self):
        """Tags: NaN passes through and both float types are kept."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = self._sparse_advice() is None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
