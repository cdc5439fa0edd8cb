"""Base classes of the transformers, and checks of their inputs."""

import math
from collections.abc import Callable
from functools import partial, wraps
from numbers import Integral, Number
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn import get_config
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.sparsefuncs import inplace_column_scale
from sklearn.utils.validation import check_is_fitted

from sknn_notes._arrays import (
    fitted_elsewhere,
    float_dtypes,
    from_numpy,
    full,
    input_namespace,
    namespace,
    unit_near,
)
from sknn_notes._base import BaseObject
from sknn_notes._callbacks import CallbackSupportMixin
from sknn_notes._checks import holding_numbers
from sknn_notes._docstrings import completed
from sknn_notes._kernels._numpy.columns import Moments, merge_moments
from sknn_notes._sklearn import (
    Interval,
    StrOptions,
    _check_sample_weight,
    assert_all_finite,
    check_array,
    check_same_namespace,
    has_array_dispatch,
    validate_data,
    validate_parameter_constraints,
)
from sknn_notes._typing import (
    Array,
    ArrayNamespace,
    Floats,
    Integers,
    MatrixLike,
    Method,
)
from sknn_notes.preprocessing._docs import METHOD
from sknn_notes.preprocessing._moments import (
    dense_kernel,
    feature_groups,
    matrix_moments,
    pool_moments,
    samples_seen,
)

Per: TypeAlias = Literal["feature", "all", "channel"]
Channels: TypeAlias = Literal["last", "first"]


def kept_dtypes(X: Array, xp: ArrayNamespace, *, half: bool) -> tuple[Any, ...]:
    """Return the float types that a transformer keeps, the default type first.

    Only maps of columns keep half precision, which is too inaccurate for products.
    """
    dtypes = float_dtypes(X, xp)
    return (*dtypes, xp.float16) if half and hasattr(xp, "float16") else dtypes


def check_namespace(estimator: Any, X: Array, attribute: str, method: str) -> Any:
    """Return the namespace of X; raise unless the estimator was fitted in it.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    X : object
        Data, as passed to the method.
    attribute : str
        Name of a fitted attribute that is an array.
    method : str
        Name of the method that is called.

    Raises
    ------
    TypeError
        If X is an array that the estimator doesn't accept.
    ValueError
        If the namespaces or devices differ.
    """
    xp = input_namespace(X, estimator)
    check_same_namespace(X, estimator, attribute=attribute, method=method)
    array = getattr(estimator, attribute)
    if namespace(array) is not xp:
        raise fitted_elsewhere(estimator, array, method)
    return xp


def quiet() -> np.errstate:
    """Return a context without numpy's warnings; the results are checked instead."""
    return np.errstate(all="ignore")


def validated(method: Method) -> Method:
    """Validate the parameters of the estimator in each call of ``partial_fit``.

    scikit-learn's context validates them in the first call only.
    """

    @wraps(method)
    def checked(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        if not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        return method(estimator, *args, **kwargs)

    return cast(Method, checked)


def check_fit_data(
    estimator: Any,
    X: Array,
    *,
    reset: bool,
    half: bool = False,
    attribute: str | None = None,
    **checks: Any,
) -> Array:
    """Validate the X of a fit, except for NaN and infinity.

    NaN and infinity show in the statistics. Integer arrays of numpy are not converted
    here but block by block, so that memory-mapped images stay on disk. Unless it is the
    first chunk, X must have the namespace and device of the array ``attribute``.
    """
    if reset or attribute is None:
        xp = input_namespace(X, estimator)
    else:
        xp = check_namespace(estimator, X, attribute, "partial_fit")
    integer = isinstance(X, np.ndarray) and X.dtype.kind in "biu"
    with holding_numbers("X"):
        return validate_data(
            estimator,
            X,
            reset=reset,
            dtype=None if integer else kept_dtypes(X, xp, half=half),
            ensure_all_finite=False,
            **checks,
        )


def raise_if_infinite(estimator: Any, X: Array, *, allow_nan: bool = True) -> None:
    """Raise scikit-learn's error if X contains infinity, or NaN unless allowed."""
    assert_all_finite(
        X,
        allow_nan=allow_nan,
        estimator_name=type(estimator).__name__,
        input_name="X",
    )


def raise_if_overflowing(
    estimator: Any, X: Array, *, allow_nan: bool = True
) -> NoReturn:
    """Raise the error for statistics of X that are not finite."""
    raise_if_infinite(estimator, X, allow_nan=allow_nan)
    raise ValueError(
        f"The statistics of X overflow float64: {type(estimator).__name__} requires "
        f"finite {estimator._statistics}. Divide X by a constant first."
    )


def checked_weights(sample_weight: ArrayLike | None, X: Array) -> Array | None:
    """Validate sample weights, at least one of which must be positive; None stays."""
    if sample_weight is None:
        return None
    with holding_numbers("sample_weight"):
        return _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )


def in_unit_of_largest(weights: Array | None) -> Array | None:
    """Divide weights by a power of two near the largest one; None stays.

    The sum of the results does not overflow.
    """
    if weights is None:
        return None
    return weights / unit_near(weights)


def relative_weights(sample_weight: ArrayLike | None, X: Array) -> Array | None:
    """Validate sample weights, and divide them by a power of two near the largest."""
    return in_unit_of_largest(checked_weights(sample_weight, X))


class BaseTransformer(TransformerMixin, CallbackSupportMixin, BaseObject):
    """Base of all transformers."""

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    if TYPE_CHECKING:
        # scikit-learn's, which has no types.
        def fit_transform(
            self, X: MatrixLike, y: ArrayLike | None = None, **fit_params: Any
        ) -> Floats: ...


class ColumnwiseMap(OneToOneFeatureMixin, BaseTransformer):
    """Base of the transformers that map columns by ``(X - shift) / divisor``.

    A subclass sets its statistics as fitted attributes. Its ``_vectors`` returns shift
    and divisor, one number per statistic.
    """

    _parameter_constraints: dict[str, Any] = {
        "per": [StrOptions({"feature", "all", "channel"})],
        "n_channels": [Interval(Integral, 1, None, closed="left"), None],
        "channels": [StrOptions({"first", "last"})],
        "copy": ["boolean"],
    }
    _sparse_error: type[Exception] = TypeError
    # What must be finite besides X, for an error message.
    _statistics = "sums of X"
    _moments: Moments | None
    _weighted: bool
    _whole_weights: bool
    _weight_unit: float
    _fitted_groups: Array

    def _groups(self) -> Integers:
        """Return the index of the statistic of each feature, as numpy array."""
        return feature_groups(
            self.per, self.n_features_in_, self.n_channels, self.channels
        )

    def _sparse_advice(self, fitted: bool = False) -> str | None:
        """Return what to do instead of passing sparse X, None if it is accepted."""
        return (
            "Use Standardizer(with_mean=False), which only divides and so keeps zeros, "
            "or pass X.toarray() if that fits in memory."
        )

    def _raise_if_sparse(self, X: MatrixLike, fitted: bool = False) -> None:
        """Raise if X is sparse, and the parameters or the fitted map center it."""
        advice = self._sparse_advice(fitted)
        if advice is not None and sparse.issparse(X):
            raise self._sparse_error(
                f"Sparse data was passed to {type(self).__name__}, which would make it "
                f"dense. {advice}"
            )

    def _accumulate(
        self,
        X: MatrixLike,
        sample_weight: ArrayLike | None,
        *,
        reset: bool,
        whole: bool,
    ) -> tuple[Array, Moments]:
        """Merge the moments of X into ``_moments``; NaN is ignored.

        Returns the validated X, and the moments pooled over the groups of features that
        share a statistic.
        """
        self._raise_if_sparse(X)
        data = self._check_data(X, reset=reset, accept_sparse=("csr", "csc"))
        groups = self._set_groups(data)
        if reset:
            self._moments, self._weight_unit = None, 1.0
            self._weighted, self._whole_weights = False, True
        weights = self._scaled_weights(sample_weight, data, whole)
        with quiet():
            moments = matrix_moments(data, weights)
            xp = namespace(moments.n)
            if self._moments is not None:
                moments = merge_moments(self._moments, moments, xp)
            pooled = pool_moments(moments, groups)
            count = moments.n * self._weight_unit
        if not xp.all(xp.isfinite(count)):
            raise ValueError(
                "The sum of sample_weight overflows float64. Divide the weights by a "
                "constant first."
            )
        if not (xp.all(xp.isfinite(moments.mean)) and xp.all(xp.isfinite(pooled.mean))):
            raise_if_overflowing(self, data)
        self._moments = moments
        self.n_samples_seen_ = samples_seen(count, self._weighted)
        return data, pooled

    def _check_data(self, X: MatrixLike, *, reset: bool, **checks: Any) -> Array:
        return check_fit_data(
            self, X, reset=reset, half=True, attribute="_fitted_groups", **checks
        )

    def _set_groups(self, X: Array) -> Integers:
        """Store the groups of features on the device of X; return them in numpy."""
        groups = self._groups()
        xp = np if sparse.issparse(X) else namespace(X)
        self._fitted_groups = from_numpy(groups, X, xp)
        return groups

    def _of_features(self, *vectors: Array) -> list[Array]:
        """Expand vectors of one number per statistic to one number per feature."""
        xp = namespace(self._fitted_groups)
        return [xp.take(vector, self._fitted_groups, axis=0) for vector in vectors]

    def _scaled_weights(
        self, sample_weight: ArrayLike | None, X: Array, whole: bool
    ) -> Array | None:
        """Divide weights by a power of two, the same for all chunks; None if all 1.

        The statistics don't depend on the scale of the weights, but products of scaled
        weights and squares don't overflow.
        """
        xp = np if sparse.issparse(X) else namespace(X)
        if sample_weight is None:
            if self._moments is None or self._weight_unit == 1.0:
                return None
            return full((X.shape[0],), 1 / self._weight_unit, self._moments.n, xp)
        input_namespace(sample_weight, self)  # raises if numpy can't read it
        if xp is not np and not isinstance(sample_weight, Number):
            # scikit-learn converts arrays, but not lists and columns of frames.
            is_array = hasattr(sample_weight, "__dlpack__")
            sample_weight = sample_weight if is_array else np.asarray(sample_weight)
        with holding_numbers("sample_weight"):
            weights = _check_sample_weight(
                sample_weight,
                X,
                dtype=float_dtypes(X, xp)[0],
                ensure_non_negative=True,
                allow_all_zero_weights=not whole,
            )
        self._weighted = True
        self._whole_weights &= bool(xp.all(weights == xp.floor(weights)))
        if self._moments is None or not xp.any(self._moments.n > 0):
            largest = float(xp.max(weights)) or 1.0
            self._weight_unit = math.ldexp(1.0, math.frexp(largest)[1] - 1)
        return weights / self._weight_unit

    def _vectors(self) -> tuple[Array, ...]:
        """Return shift and divisor of the map, one number per statistic."""
        raise NotImplementedError

    def _forward(self, X: Array, out: Array) -> bool:
        """Write the transformed X into ``out``; return whether all of it is finite."""
        shift, divisor = self._of_features(*self._vectors())
        if sparse.issparse(X):
            inplace_column_scale(out, 1 / divisor)
            return True
        zeros, ones = _neutral(shift)
        return bool(dense_kernel("affine", X)(X, shift, divisor, ones, zeros, out))

    def _backward(self, X: Array, out: Array) -> bool:
        """Write X in its original units into ``out``; return whether it is finite."""
        shift, factor = self._of_features(*self._vectors())
        if sparse.issparse(X):
            inplace_column_scale(out, factor)
            return True
        zeros, ones = _neutral(shift)
        return bool(dense_kernel("affine", X)(X, zeros, ones, factor, shift, out))

    @completed(METHOD)
    def transform(self, X: MatrixLike, copy: bool | None = None) -> Floats:
        """Transform X with the statistics computed by ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data to transform. NaN stays NaN; infinity raises an error. With
            scikit-learn's array API dispatch enabled, X must have the namespace and
            device of the data passed to ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Transformed data, of the dtype of X if that is a float, otherwise float64.
            X itself if ``copy=False`` and X is a writeable float array. A sparse matrix
            if X is sparse, and an array of another library if X is one.

        Raises
        ------
        ValueError
            If X contains infinity, or its columns differ from those seen in ``fit``.
        """
        check_is_fitted(self)
        check = partial(validate_data, self, reset=False)
        out: Floats = self._run(X, check, copy, self._forward, "transform")
        return out

    @completed(METHOD)
    def inverse_transform(self, X: MatrixLike, copy: bool | None = None) -> Floats:
        """Map transformed data back to its original units.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Transformed data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Data in its original units.

        Raises
        ------
        ValueError
            If X contains infinity, or its number of columns differs from that seen in
            ``fit``.
        """
        check_is_fitted(self)
        check = partial(check_array, input_name="X", estimator=self)
        out: Floats = self._run(X, check, copy, self._backward, "inverse_transform")
        return out

    def _run(
        self,
        X: MatrixLike,
        check: Callable[..., Array],
        copy: bool | None,
        map_columns: Callable[[Array, Array], bool],
        method: str,
    ) -> Array:
        """Validate X and map it, in place if X is a copy or ``copy`` is False."""
        self._check_parameters("copy")
        self._raise_if_sparse(X, fitted=True)
        copy = self.copy if copy is None else copy
        xp = check_namespace(self, X, "_fitted_groups", method)
        dtypes = kept_dtypes(X, xp, half=True)
        is_array = xp is not np or isinstance(X, np.ndarray)
        converted = is_array and X.dtype not in dtypes
        in_place = converted or not copy
        with holding_numbers("X"):
            data = check(
                X,
                dtype=dtypes,
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
            out = data if in_place else xp.empty_like(data)
        with quiet():
            finite = map_columns(data, out)
        if not finite:
            if not in_place:
                raise_if_infinite(self, data)
            if xp.any(xp.isinf(out)):
                raise ValueError(
                    f"The values that {type(self).__name__} computes from X overflow "
                    f"{out.dtype}. Pass X as float64, or drop columns that vary far "
                    "less in the training data than in X."
                )
        return out

    def _check_parameters(self, *names: str) -> None:
        """Validate parameters that are read after ``fit``."""
        if not get_config()["skip_parameter_validation"]:
            validate_parameter_constraints(
                self._parameter_constraints,
                {name: getattr(self, name) for name in names},
                caller_name=type(self).__name__,
            )

    def __sklearn_tags__(self) -> Any:
        """Tags: NaN passes through, and both float types are kept."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = self._sparse_advice() is None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.array_api_support = has_array_dispatch
        return tags


def _neutral(shift: Array) -> tuple[Array, Array]:
    """Return zeros and ones like a vector, the neutral elements of the map."""
    xp = namespace(shift)
    return xp.zeros_like(shift), xp.ones_like(shift)
