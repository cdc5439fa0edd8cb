"""The matrices of whitening, kept as thin factors where the full one would be large."""

from typing import NamedTuple

import numpy as np
from scipy import linalg

from sknn_notes.preprocessing._moments import dense_kernel


class LinearMap(NamedTuple):
    """The matrix ``left @ right + diag(diagonal)``; a missing part is left out."""

    left: np.ndarray
    right: np.ndarray | None = None
    diagonal: np.ndarray | None = None

    def matrix(self) -> np.ndarray:
        """Return the full matrix."""
        full = self.left.copy() if self.right is None else self.left @ self.right
        if self.diagonal is not None:
            full[np.diag_indices_from(full)] += self.diagonal
        return full

    def apply(self, X: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return ``(X - mean)`` times the matrix, in X's dtype, and if X is finite."""
        left = np.ascontiguousarray(self.left, dtype=X.dtype)
        out = np.empty((X.shape[0], left.shape[1]), dtype=X.dtype)
        finite = dense_kernel("project", X)(X, mean, left, out)
        if self.right is not None:
            out = out @ self.right.astype(X.dtype)
        if self.diagonal is not None:
            out += (X - mean) * self.diagonal
        return out, finite


def rotation_map(vectors, weights, scale, *, back=False) -> LinearMap:
    """PCA: onto the eigenvectors, each coordinate times its weight, or back.

    Parameters
    ----------
    vectors : ndarray of shape (n_components, n_features)
        Orthonormal rows.
    weights : ndarray of shape (n_components,)
        Factor of each coordinate; 0 drops it both ways.
    scale : ndarray of shape (n_features,)
        Factors of the columns beforehand; 0 drops a column both ways.
    back : bool
        Whether to return the way back.

    Returns
    -------
    LinearMap
        Of shape (n_features, n_components), or its transpose for the way back.
    """
    if back:
        return LinearMap(reciprocal(weights)[:, None] * vectors * reciprocal(scale))
    return LinearMap(scale[:, None] * (vectors.T * weights))


def symmetric_map(vectors, weights, outside, scale, *, dense, back=False) -> LinearMap:
    """ZCA: into the eigenvectors, scaled, and back into the features.

    ``outside`` is the weight of all directions orthogonal to the vectors. Other
    parameters are those of ``rotation_map``; ``dense`` multiplies the factors out.
    """
    ends = (np.ones_like(scale), reciprocal(scale)) if back else (scale, np.ones(1))
    if back:
        weights, outside = reciprocal(weights), float(reciprocal(np.array(outside)))
    known = np.any(vectors, axis=1)
    weights = np.where(known, weights - outside, 0.0)
    left = ends[0][:, None] * (vectors.T * weights)
    right = vectors * ends[1]
    diagonal = outside * ends[0] * ends[1] if outside else None
    factored = LinearMap(left, right, diagonal)
    return LinearMap(factored.matrix()) if dense else factored


def cholesky_map(covariance, *, back=False) -> LinearMap:
    """Lower triangular L where ``L L'`` inverts ``covariance``, or the way back."""
    # covariance = U U' with U upper makes L the inverse of U'; U comes from the
    # ordinary lower factor of the matrix with its order reversed.
    upper = linalg.cholesky(covariance[::-1, ::-1], lower=True)[::-1, ::-1]
    if back:
        return LinearMap(upper.T.copy())
    return LinearMap(linalg.solve_triangular(upper, np.eye(len(upper))).T.copy())


def reciprocal(values: np.ndarray) -> np.ndarray:
    """One over the values, and 0 for 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)
