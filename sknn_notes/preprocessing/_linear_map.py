"""The matrices of whitening, kept as thin factors where the full one would be large."""

import numpy as np
from scipy import linalg

from sknn_notes.preprocessing._moments import dense_kernel


class LinearMap:
    """The matrix ``(analysis.T * weights) @ synthesis + diag(diagonal)``.

    Every part but the first may be missing. Copies of another dtype are kept once
    made, but not saved.
    """

    def __init__(self, analysis, weights=None, synthesis=None, diagonal=None):
        self.parts = analysis, weights, synthesis, diagonal
        self._other = None

    def __getstate__(self):
        return {"parts": self.parts, "_other": None}

    def factors(self):
        """Return left, right and diagonal of ``left @ right + diag(diagonal)``."""
        analysis, weights, synthesis, diagonal = self.parts
        left = analysis.T if weights is None else analysis.T * weights
        return left, synthesis, diagonal

    def matrix(self) -> np.ndarray:
        """Return the full matrix, (n_features, n_outputs)."""
        left, right, diagonal = self.factors()
        full = left.copy() if right is None else left @ right
        if diagonal is not None:
            full[np.diag_indices_from(full)] += diagonal
        return full

    def apply(self, X: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return ``(X - mean)`` times the matrix, in X's dtype, and if X is finite."""
        analysis, weights, synthesis, diagonal = self._parts_in(X.dtype)
        out = np.empty((X.shape[0], len(analysis)), dtype=X.dtype)
        finite = dense_kernel("project", X)(X, mean, analysis.T, out)
        if weights is not None:
            out *= weights
        if synthesis is not None:
            out = out @ synthesis
        if diagonal is not None:
            out += (X - mean) * diagonal
        return out, finite

    def _parts_in(self, dtype):
        if dtype == self.parts[0].dtype:
            return self.parts
        if self._other is None or self._other[0].dtype != dtype:
            self._other = tuple(
                None if part is None else part.astype(dtype) for part in self.parts
            )
        return self._other


def rotation_map(vectors, weights, scale, *, dense, back=False) -> LinearMap:
    """PCA: onto the eigenvectors, each coordinate times its weight, or back.

    Parameters
    ----------
    vectors : ndarray of shape (n_components, n_features)
        Orthonormal rows.
    weights : ndarray of shape (n_components,)
        Factor of each coordinate; 0 drops it both ways.
    scale : ndarray of shape (n_features,) or None
        Factors of the columns beforehand; 0 drops a column both ways.
    dense : bool
        Whether to multiply the factors out.
    back : bool
        Whether to return the way back.

    Returns
    -------
    LinearMap
        Of shape (n_features, n_components), or its transpose for the way back.
    """
    if back:
        rows = vectors if scale is None else vectors * reciprocal(scale)
        return LinearMap((reciprocal(weights)[:, None] * rows).T)
    rows = vectors if scale is None else vectors * scale
    if dense:
        return LinearMap(rows * weights[:, None])
    return LinearMap(rows, weights)


def symmetric_map(vectors, weights, outside, scale, *, dense, back=False) -> LinearMap:
    """ZCA: into the eigenvectors, scaled, and back into the features.

    ``outside`` is the weight of all directions orthogonal to the vectors. Other
    parameters are those of ``rotation_map``.
    """
    ends = [None, None]
    if scale is not None:
        ends[back] = reciprocal(scale) if back else scale
    if back:
        weights, outside = reciprocal(weights), float(reciprocal(np.array(outside)))
    known = np.any(vectors, axis=1)
    weights = np.where(known, weights - outside, 0.0)
    left, right = (vectors if end is None else vectors * end for end in ends)
    diagonal = None
    if outside:
        diagonal = np.full(vectors.shape[1], outside)
        for end in ends:
            diagonal *= 1.0 if end is None else end
    factored = LinearMap(left, weights, right, diagonal)
    return LinearMap(factored.matrix().T) if dense else factored


def cholesky_map(covariance) -> LinearMap:
    """Lower triangular L where ``L L'`` inverts ``covariance``."""
    # covariance = U U' with U upper makes L the inverse of U'; U comes from the
    # ordinary lower factor of the matrix with its order reversed.
    upper = linalg.cholesky(covariance[::-1, ::-1], lower=True)[::-1, ::-1]
    return LinearMap(linalg.solve_triangular(upper, np.eye(len(upper))))


def inverted(triangular: LinearMap) -> LinearMap:
    """Return the way back of ``cholesky_map``."""
    inverse = triangular.parts[0]
    return LinearMap(linalg.solve_triangular(inverse, np.eye(len(inverse))))


def reciprocal(values: np.ndarray) -> np.ndarray:
    """One over the values, and 0 for 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)
