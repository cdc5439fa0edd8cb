"""Whitening matrices, stored as thin factors if the full matrix would be large."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from scipy import linalg

from sknn_notes._arrays import astype, copied, full, namespace
from sknn_notes._typing import Array
from sknn_notes.preprocessing._moments import dense_kernel

# Analysis, weights, synthesis and diagonal of a map.
Parts: TypeAlias = tuple[Array, Array | None, Array | None, Array | None]


class LinearMap:
    """The matrix ``(analysis.T * weights) @ synthesis + diag(diagonal)``.

    All parts except the first may be missing. Copies of another dtype are cached, but
    not pickled.
    """

    def __init__(
        self,
        analysis: Array,
        weights: Array | None = None,
        synthesis: Array | None = None,
        diagonal: Array | None = None,
    ) -> None:
        self.parts = analysis, weights, synthesis, diagonal
        self._other: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"parts": self.parts, "_other": None}

    def __sklearn_array_api_convert__(
        self, convert: Callable[[Array], Array]
    ) -> "LinearMap":
        """Return the matrix in another namespace, for ``move_estimator_to``."""
        return LinearMap(*(x if x is None else convert(x) for x in self.parts))

    def factors(self) -> tuple[Array, Array | None, Array | None]:
        """Return left, right and diagonal of ``left @ right + diag(diagonal)``."""
        analysis, weights, synthesis, diagonal = self.parts
        left = analysis.T if weights is None else analysis.T * weights
        return left, synthesis, diagonal

    def matrix(self) -> Array:
        """Return the full matrix, (n_features, n_outputs)."""
        left, right, diagonal = self.factors()
        matrix = copied(left, namespace(left)) if right is None else left @ right
        return matrix if diagonal is None else with_diagonal(matrix, diagonal)

    def apply(self, X: Array, mean: Array) -> tuple[Array, bool]:
        """Return ``(X - mean) @ matrix`` in the dtype of X, and whether X is finite."""
        analysis, weights, synthesis, diagonal = self._parts_in(X.dtype)
        xp, shape = namespace(X), (X.shape[0], analysis.shape[0])
        out = np.empty(shape, X.dtype) if xp is np else full(shape, 0.0, X, xp)
        finite = dense_kernel("project", X)(X, mean, analysis.T, out)
        if weights is not None:
            out *= weights
        if synthesis is not None:
            out = out @ synthesis
        if diagonal is not None:
            addend = (X - mean) * diagonal
            if xp is np:
                out += addend
            else:  # other libraries don't narrow a dtype in place
                out = xp.astype(out + addend, X.dtype)
        return out, finite

    def _parts_in(self, dtype: Any) -> Any:
        if dtype == self.parts[0].dtype:
            return self.parts
        if self._other is None or self._other[0].dtype != dtype:
            xp = namespace(self.parts[0])
            self._other = tuple(
                None if part is None else astype(part, dtype, xp) for part in self.parts
            )
        return self._other


def rotation_map(
    vectors: Array,
    weights: Array,
    scale: Array | None,
    *,
    dense: bool,
    back: bool = False,
) -> LinearMap:
    """Return the map of PCA: weighted coordinates in the eigenvectors, or its inverse.

    Parameters
    ----------
    vectors : ndarray of shape (n_components, n_features)
        Orthonormal rows.
    weights : ndarray of shape (n_components,)
        Factor of each coordinate; 0 drops it in both directions.
    scale : ndarray of shape (n_features,) or None
        Factors that the columns are multiplied by first; 0 drops a column in both
        directions.
    dense : bool
        Whether to multiply out the factors.
    back : bool
        Whether to return the inverse map.

    Returns
    -------
    LinearMap
        Of shape (n_features, n_components), transposed for the inverse map.
    """
    if back:
        rows = vectors if scale is None else vectors * reciprocal(scale)
        return LinearMap((reciprocal(weights)[:, None] * rows).T)
    rows = vectors if scale is None else vectors * scale
    if dense:
        return LinearMap(rows * weights[:, None])
    return LinearMap(rows, weights)


def symmetric_map(
    vectors: Array,
    weights: Array,
    outside: float,
    scale: Array | None,
    *,
    dense: bool,
    back: bool = False,
) -> LinearMap:
    """Return the map of ZCA: as for PCA, rotated back to the features.

    ``outside`` is the weight of all directions orthogonal to the eigenvectors. The
    other parameters are those of ``rotation_map``.
    """
    ends: list[Array | None] = [None, None]
    if scale is not None:
        ends[back] = reciprocal(scale) if back else scale
    if back:
        weights, outside = reciprocal(weights), 1 / outside if outside else 0.0
    xp = namespace(vectors)
    known = xp.any(vectors != 0, axis=1)
    weights = xp.where(known, weights - outside, 0.0)
    left, right = (vectors if end is None else vectors * end for end in ends)
    diagonal = None
    if outside:
        diagonal = full((vectors.shape[1],), outside, vectors, xp)
        for end in ends:
            diagonal *= 1.0 if end is None else end
    factored = LinearMap(left, weights, right, diagonal)
    return LinearMap(factored.matrix().T) if dense else factored


def cholesky_map(covariance: Array) -> LinearMap:
    """Return the lower triangular L with ``L L'`` the inverse of ``covariance``."""
    # If covariance = U U' with U upper triangular, L is the inverse of U'. U is the
    # ordinary lower factor of the matrix with rows and columns in reverse order.
    xp = namespace(covariance)
    turned = xp.flip(covariance, axis=(0, 1))
    if xp is np:
        lower = linalg.cholesky(turned, lower=True)
    else:
        lower = xp.linalg.cholesky(turned)
    return LinearMap(_inverse(xp.flip(lower, axis=(0, 1))))


def inverted(triangular: LinearMap) -> LinearMap:
    """Return the inverse of a ``cholesky_map``."""
    return LinearMap(_inverse(triangular.parts[0]))


def _inverse(upper: Array) -> Array:
    """Return the inverse of an upper triangular matrix."""
    xp = namespace(upper)
    if xp is np:
        return linalg.solve_triangular(upper, np.eye(len(upper)))
    # Elimination does not change a triangular matrix: its zeros stay exact.
    return xp.linalg.solve(upper, with_diagonal(xp.zeros_like(upper), 1.0))


def with_diagonal(matrix: Array, values: Any) -> Array:
    """Add values to the diagonal of a matrix, in place if possible.

    ``values`` is a number, or an array with one number per row.
    """
    xp = namespace(matrix)
    if xp is np:
        matrix[np.diag_indices_from(matrix)] += values
        return matrix
    n = matrix.shape[0]
    return matrix + xp.eye(n, dtype=matrix.dtype, device=matrix.device) * values


def reciprocal(values: Array) -> Array:
    """Return the reciprocals of the values, 0 for 0."""
    xp = namespace(values)
    zero = values == 0
    return xp.where(zero, 0.0, 1 / xp.where(zero, 1.0, values))
