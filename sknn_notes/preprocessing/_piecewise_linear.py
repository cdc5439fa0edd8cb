"""Piecewise linear encoding of features."""

from numbers import Integral, Real
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import OneToOneFeatureMixin, clone, is_regressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from sknn_notes._arrays import input_namespace, unit_near
from sknn_notes._callbacks import fit_task
from sknn_notes._checks import Interval, holding_numbers, plain, shown
from sknn_notes._docstrings import completed
from sknn_notes._encoding import (
    component_scales,
    encode,
    n_components,
    quantile_edges,
)
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._kernels._numpy.columns import row_blocks
from sknn_notes._sklearn import StrOptions, _fit_context, check_array, validate_data
from sknn_notes._typing import Array, Floats, Integers, MatrixLike
from sknn_notes.preprocessing._base import (
    BaseTransformer,
    check_fit_data,
    checked_weights,
    in_unit_of_largest,
    kept_dtypes,
    quiet,
    raise_if_infinite,
    raise_if_overflowing,
    relative_weights,
    validated,
)
from sknn_notes.preprocessing._docs import METHOD, TRANSFORMER
from sknn_notes.preprocessing._row_sample import sample_to_extend

# Elements of the output that are computed at a time; they stay in the cache.
BLOCK_SIZE = 2**16

Bins: TypeAlias = (
    Literal["quantile", "tree"] | DecisionTreeClassifier | DecisionTreeRegressor
)


@completed(TRANSFORMER)
class PiecewiseLinearEncoder(BaseTransformer):
    """Encode each feature by its position in bins.

    A feature with bin edges ``b_0 < ... < b_T`` becomes ``T`` components. Component
    ``t`` is 0 below its bin, 1 above it, and rises linearly within it. A linear layer
    on top of them is a piecewise linear function of the feature, so a network easily
    learns abrupt changes in single features.

    Parameters
    ----------
    n_bins : int, default=8
        Maximum number of bins per feature, at least 2. Features with few distinct
        values have fewer bins.
    bins : {"quantile", "tree"} or decision tree, default="quantile"
        Strategy that determines the bins of a feature.

        - ``"quantile"``: all bins contain about the same number of samples;
        - ``"tree"``: a decision tree of this feature alone, with at most ``n_bins``
          leaves, chooses the cuts that are most informative about ``y``. The tree is a
          classifier if scikit-learn's ``type_of_target`` says that ``y`` contains
          classes, and a regressor if it contains numbers;
        - a ``DecisionTreeClassifier`` or ``DecisionTreeRegressor``: a tree with other
          parameters; ``n_bins`` applies if its ``max_leaf_nodes`` is None. Integers
          that are counts rather than classes require ``DecisionTreeRegressor()``.
    keep_inputs : bool, default=True
        Whether the output contains the features themselves, unchanged, before the
        components. Scale them first.
    scale : float or None, default=0.5
        Standard deviation of each component on the training data, with a mean of 0.
        A scale below 1 keeps the components from outweighing standardized inputs beside
        them. None leaves the components between 0 and 1.
    clip_ends : bool, default=True
        Whether to clip the first component to 0 and the last one to 1 for values
        outside the range of the training data. If False, both continue linearly.

    Attributes
    ----------
    bin_edges_ : list of (ndarray or None)
        Bin edges of each feature, in increasing order. None for features that pass
        through, which have fewer than three distinct values.
    n_bins_ : ndarray of int of shape (n_features_in_,)
        Number of bins of each feature, 0 for those that pass through.
    component_mean_ : ndarray of shape (n_components,) or None
        Means of the components before scaling. None if ``scale=None``.
    component_std_ : ndarray of shape (n_components,) or None
        Standard deviations of the components before scaling, 1 for constant ones. None
        if ``scale=None``.

    See Also
    --------
    RobustStandardizer : Scale the features that are kept.
    sklearn.preprocessing.KBinsDiscretizer : Encode the bin only.
    sklearn.preprocessing.SplineTransformer : Encode by splines.

    Notes
    -----
    Component ``t`` is ``clip((x - b_{t-1}) / (b_t - b_{t-1}), 0, 1)`` [1]_. The output
    contains the kept features, in their order, and then the components, grouped by
    feature. Features with one or two distinct values pass through once, unchanged, for
    any ``keep_inputs``.

    The cuts of a tree are midpoints between two values; the outer edges are the
    smallest and the largest value. NaN is ignored in ``fit``. In ``transform`` all
    components of a NaN are NaN; an imputer after this step may replace them, and 0
    stands for their mean. Sparse matrices raise an error, since the components are not
    sparse. There is no ``inverse_transform``: values outside the outer edges are
    clipped, and kept inputs are part of the output already.

    Exact bins require all the data at once. ``partial_fit`` keeps a uniform random
    sample of ``subsample`` rows (Vitter's algorithm R [2]_), and the minimum and
    maximum of all rows. The result is exact up to ``subsample`` rows. Beyond that, the
    standard error of the fraction of samples below an edge is at most
    ``0.5 / sqrt(subsample)``.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical
       features in tabular deep learning", NeurIPS, 2022.
    .. [2] J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on
       Mathematical Software 11, 1985.

    Examples
    --------
    >>> from sknn_notes import PiecewiseLinearEncoder
    >>> X = [[0.0], [1.0], [3.0], [7.0]]
    >>> encoder = PiecewiseLinearEncoder(2, keep_inputs=False, scale=None).fit(X)
    >>> encoder.bin_edges_
    [array([0., 2., 7.])]
    >>> encoder.transform(X)
    array([[0. , 0. ],
           [0.5, 0. ],
           [1. , 0.2],
           [1. , 1. ]])
    >>> encoder.get_feature_names_out()
    array(['x0_bin1', 'x0_bin2'], dtype=object)
    """

    _parameter_constraints: dict[str, Any] = {
        "n_bins": [Interval(Integral, 2, None, closed="left")],
        "bins": [
            StrOptions({"quantile", "tree"}),
            DecisionTreeClassifier,
            DecisionTreeRegressor,
        ],
        "keep_inputs": ["boolean"],
        "scale": [Interval(Real, 0, None, closed="neither"), None],
        "clip_ends": ["boolean"],
        "subsample": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }
    _statistics = "ranges of the features"
    bin_edges_: list[Floats | None]
    n_bins_: Integers
    component_mean_: Floats | None
    component_std_: Floats | None

    def __init__(
        self,
        n_bins: int = 8,
        *,
        bins: Bins = "quantile",
        keep_inputs: bool = True,
        scale: float | None = 0.5,
        clip_ends: bool = True,
        subsample: int = 10_000,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_bins = n_bins
        self.bins = bins
        self.keep_inputs = keep_inputs
        self.scale = scale
        self.clip_ends = clip_ends
        self.subsample = subsample
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Compute the bins of each feature, discarding any earlier data.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, required by trees: classes, numbers, multilabel indicators or
            several outputs. Ignored if ``bins="quantile"``.

        Returns
        -------
        self : PiecewiseLinearEncoder
            Fitted transformer.

        Raises
        ------
        ValueError
            If ``bins`` is a tree and ``y`` is None, or if X contains infinity.
        """
        self._raise_if_sparse(X)
        with (
            fit_task(self, X, y, sample_weight=sample_weight),
            unchanged_on_error(self),
        ):
            data = self._check_fit_data(X, reset=True)
            y = self._check_targets(data, y)
            self.__dict__.pop("_sample", None)
            self._set_bins(data, y, relative_weights(sample_weight, data))
        return self

    @validated
    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Update the bins with another chunk of training data.

        Up to ``subsample`` rows, the bins are those of all rows. Beyond that, they are
        those of a random sample of ``subsample`` rows. Each call computes all bins
        again, so few large chunks take less time than many small ones. After ``fit``,
        which keeps no rows, ``partial_fit`` starts from scratch.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, required by trees. Ignored if ``bins="quantile"``.

        Returns
        -------
        self : PiecewiseLinearEncoder
            Fitted transformer.

        Raises
        ------
        ValueError
            If ``bins`` is a tree and ``y`` is None, or if X contains infinity.
        """
        self._raise_if_sparse(X)
        with (
            fit_task(self, X, y, sample_weight=sample_weight),
            unchanged_on_error(self),
        ):
            sample = sample_to_extend(self)
            data = self._check_fit_data(X, reset=sample.X is None)
            y = self._check_targets(data, y)
            weights = checked_weights(sample_weight, data)
            self._sample = sample = sample.extended(data, y, weights)
            weights = in_unit_of_largest(sample.weights)
            limits = sample.low, sample.high
            self._set_bins(sample.X, sample.y, weights, limits)
        return self

    def _set_bins(
        self,
        X: Floats,
        y: Any,
        weights: Floats | None,
        limits: tuple[Floats, Floats] | None = None,
    ) -> None:
        """Set the bins of some rows. ``limits`` is the range of all rows."""
        if self._is_quantile():
            edges = quantile_edges(X, self.n_bins, weights)
        else:
            edges = self._tree_edges(X, y, weights)
        if limits is not None:
            for each, low, high in zip(edges, *limits, strict=True):
                if each is not None:
                    each[0], each[-1] = low, high
        with quiet():
            ranges = [each[-1] - each[0] for each in edges if each is not None]
        if np.isinf(ranges).any():
            raise_if_overflowing(self, X)
        self.bin_edges_ = edges
        self.n_bins_ = np.array([n_components([each]) for each in edges])
        self.component_mean_ = self.component_std_ = None
        self._scale = plain(self.scale)
        if self.scale is not None:
            scales = component_scales(X, edges, weights)
            self.component_mean_, self.component_std_ = scales
        kept = self.keep_inputs | (self.n_bins_ == 0)
        self._kept, self._clip_ends = np.flatnonzero(kept), self.clip_ends

    def transform(self, X: MatrixLike) -> Floats:
        """Encode X with the bins computed by ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The data to encode; infinity raises an error.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The features that are kept, and the components, of X's type where that is
            float32 or float64, else float64. All components of NaN are NaN.

        Raises
        ------
        ValueError
            If X holds infinity, its columns are not those of ``fit``, or
            ``clip_ends=False`` and a component overflows.
        """
        check_is_fitted(self)
        self._raise_if_sparse(X)
        data = self._check_data(X, reset=False)
        n_kept = len(self._kept)
        shape = len(data), n_kept + n_components(self.bin_edges_)
        out = np.empty(shape, dtype=data.dtype)
        with quiet():
            factor, offset = (part.astype(data.dtype) for part in self._affine())
            for rows in row_blocks(out, BLOCK_SIZE):
                out[rows, :n_kept] = data[rows, self._kept]
                block = encode(data[rows], self.bin_edges_, clip_ends=self._clip_ends)
                block *= factor
                np.add(block, offset, out=out[rows, n_kept:])
        if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
            raise ValueError(
                f"scale={self._scale} is so large that components overflow "
                f"{data.dtype}. Fit with a smaller scale, such as 0.5."
            )
        if not self._clip_ends and np.isinf(out).any():
            raise ValueError(
                f"Values of X are so far outside the range of the training data that "
                f"components overflow {out.dtype}. Fit with clip_ends=True, or drop "
                "such values."
            )
        return out

    @completed(METHOD)
    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> NDArray[np.object_]:
        """Return the names of the outputs.

        Returns
        -------
        ndarray of str objects
            The names of the features that are kept, and ``x0_bin1``, ``x0_bin2``, ...
            for the components of ``x0``.
        """
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        components = [
            f"{name}_bin{t}"
            for name, n_bins in zip(names, self.n_bins_, strict=True)
            for t in range(1, n_bins + 1)
        ]
        return np.array([*names[self._kept], *components], dtype=object)

    def _affine(self) -> tuple[Floats, Floats]:
        """Return the factor and offset that standardize and scale the components."""
        if self.component_mean_ is None:
            neutral = np.zeros(n_components(self.bin_edges_))
            return neutral + 1, neutral
        factor = self._scale / self.component_std_
        return factor, -self.component_mean_ * factor

    def _is_quantile(self) -> bool:
        return isinstance(self.bins, str) and self.bins == "quantile"

    def _check_data(self, X: MatrixLike, *, reset: bool) -> Array:
        dtypes = kept_dtypes(X, input_namespace(X, self), half=False)
        with holding_numbers("X"):
            return validate_data(
                self, X, reset=reset, dtype=dtypes, ensure_all_finite="allow-nan"
            )

    def _check_fit_data(self, X: MatrixLike, *, reset: bool) -> Array:
        data = check_fit_data(self, X, reset=reset)
        raise_if_infinite(self, data)
        return data

    def _raise_if_sparse(self, X: MatrixLike) -> None:
        if sparse.issparse(X):
            raise TypeError(
                f"Sparse data was passed to {type(self).__name__}, whose components "
                "are dense. Pass X.toarray() if that fits in memory, or encode only "
                "the dense columns with a ColumnTransformer."
            )

    def _check_targets(self, X: Floats, y: Any) -> Array | None:
        """Return the validated targets for trees, None for quantiles."""
        if self._is_quantile():
            return None
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                f"None: bins={shown(self.bins)} chooses the cuts that are most "
                "informative about y. Pass y, or bins='quantile'."
            )
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
        check_consistent_length(X, y)
        return y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y

    def _tree_edges(
        self, X: Floats, y: Any, weights: Floats | None
    ) -> list[Floats | None]:
        """Return the edges of each feature, from a tree of this feature alone."""
        tree = self._tree(y)
        if isinstance(self.bins, str) and is_regressor(tree):
            # One unit for all outputs, whose errors are added.
            y = y.astype(np.float64)
            y /= unit_near(y.ravel())
        return [_cut(tree, x, y, weights) for x in X.T]

    def _tree(self, y: Any) -> Any:
        if not isinstance(self.bins, str):
            own = self.bins.max_leaf_nodes is not None
            n_leaves = self.bins.max_leaf_nodes if own else self.n_bins
            return clone(self.bins).set_params(max_leaf_nodes=n_leaves)
        with quiet():  # scikit-learn casts floats to int to find out.
            kind = type_of_target(y, input_name="y")
        if kind == "unknown":
            raise ValueError(
                f"Unknown label type of y: bins='tree' needs classes or numbers, and y "
                f"of dtype {y.dtype} is neither. Convert y to numbers or to strings."
            )
        numbers = kind.startswith("continuous")
        tree = DecisionTreeRegressor if numbers else DecisionTreeClassifier
        return tree(max_leaf_nodes=self.n_bins, random_state=0)

    def __sklearn_tags__(self) -> Any:
        """Tags: NaN passes through, both float types are kept, trees need y."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = not self._is_quantile()
        return tags


def _cut(tree: Any, x: Floats, y: Any, weights: Floats | None) -> Floats | None:
    """Return the edges of one feature, None if it has fewer than three values."""
    seen = ~np.isnan(x) if weights is None else ~np.isnan(x) & (weights > 0)
    values, codes = np.unique(x[seen], return_inverse=True)
    if len(values) < 3:
        return None
    # Trees round their inputs to float32, which is exact for ranks.
    ranks = codes.reshape(-1, 1).astype(np.float32)
    weights = None if weights is None else weights[seen]
    fitted = clone(tree).fit(ranks, y[seen], sample_weight=weights).tree_
    cuts = fitted.threshold[fitted.children_left >= 0]
    below = np.floor(cuts).astype(np.intp)
    middles = values[below] / 2 + values[below + 1] / 2
    return np.unique(np.concatenate([values[:1], middles, values[-1:]]))
