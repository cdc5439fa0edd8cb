"""Random sample of the rows of a stream, for quantiles."""

import copy
import warnings
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sknn_notes._typing import Array, Floats, Integers
from sknn_notes.preprocessing._moments import dense_kernel


class RowSample:
    """Uniform random sample of the rows seen so far; all rows up to ``size``.

    This is Vitter's algorithm R: row ``i``, counted from 1, replaces one of the
    ``size`` rows of the sample with probability ``size / i`` [1]_. The sample depends
    on the seed and the rows, not on the split into chunks. Rows of weight 0 are left
    out.

    Parameters
    ----------
    size : int
        Maximum number of rows in the sample.
    random_state : int, RandomState instance or None
        Seed of the random draws.

    Attributes
    ----------
    X : ndarray of shape (n_kept, n_features)
        Rows of the sample.
    y : ndarray of shape (n_kept,) or (n_kept, n_outputs), or None
        Targets of the sample.
    n_seen : int
        Number of rows seen.
    low, high : ndarray of shape (n_features,)
        Smallest and largest values of all rows seen. NaN without values.

    References
    ----------
    .. [1] J. S. Vitter, "Random sampling with a reservoir", ACM Transactions on
       Mathematical Software 11, 1985.
    """

    X: Any
    y: Any
    low: Floats
    high: Floats
    _weights: Any

    def __init__(
        self, size: int, random_state: int | np.random.RandomState | None
    ) -> None:
        seed = check_random_state(random_state).randint(2**31 - 1)
        self._rng = np.random.default_rng(seed)
        self.size, self.n_seen = size, 0
        self.X = self.y = self._weights = None
        self._is_weighted = False

    def extended(
        self, X: Floats, y: Array | None = None, weights: Floats | None = None
    ) -> "RowSample":
        """Return the sample after another chunk of rows; this one stays unchanged.

        Raises
        ------
        ValueError
            If earlier chunks had no ``y``, or another number of outputs.
        """
        if y is not None and self.n_seen:
            if self.y is None:
                raise ValueError(
                    "The earlier chunks were passed without y, which trees require. "
                    "Start again with a clone of the encoder."
                )
            if self.y.shape[1:] != y.shape[1:]:
                raise ValueError(
                    f"y has shape {y.shape}, but that of the earlier chunks is "
                    f"{self.y.shape}. Pass the same number of outputs in every chunk."
                )
        sample = copy.copy(self)
        sample._rng = copy.deepcopy(self._rng)
        sample._add(X, y, weights)
        return sample

    def _add(self, X: Floats, y: Array | None, weights: Floats | None) -> None:
        if weights is None:
            weights = np.ones(len(X))
        else:
            self._is_weighted = True
            seen = weights > 0
            X, weights = X[seen], weights[seen]
            y = None if y is None else y[seen]
        low, high = dense_kernel("column_range", X)(X)
        first = self.n_seen == 0
        self.low = low if first else np.fmin(self.low, low)
        self.high = high if first else np.fmax(self.high, high)
        places = np.arange(self.n_seen, self.n_seen + len(X))
        late = places >= self.size
        places[late] = self._rng.integers(places[late] + 1)
        kept = np.flatnonzero(places < self.size)
        places = places[kept]
        self.n_seen += len(X)
        self.X = self._placed(self.X, X[kept], places)
        self._weights = self._placed(self._weights, weights[kept], places)
        self.y = None if y is None else self._placed(self.y, y[kept], places)

    def _placed(self, old: Array | None, new: Array, places: Integers) -> Array:
        """Return an array of the sample, with new rows at some places."""
        n_rows = min(self.n_seen, self.size)
        n_old = 0 if old is None else len(old)
        dtype = new.dtype if old is None else np.result_type(old, new)
        rows = np.empty((n_rows, *new.shape[1:]), dtype)
        if n_old:
            rows[:n_old] = old
        # If a place occurs twice, the later row stays.
        rows[places] = new
        return rows

    @property
    def weights(self) -> Floats | None:
        """Weights of the rows of the sample, None if no chunk had weights."""
        return self._weights if self._is_weighted else None


def sample_to_extend(estimator: Any) -> RowSample:
    """Return the sample of an estimator, a new one if it has none."""
    sample: RowSample | None = vars(estimator).get("_sample")
    if sample is not None:
        return sample
    if hasattr(estimator, "n_features_in_"):
        warn_of_new_stream(estimator, stacklevel=6)
    return RowSample(estimator.subsample, estimator.random_state)


def warn_of_new_stream(estimator: Any, stacklevel: int = 5) -> None:
    """Warn that ``partial_fit`` does not continue from ``fit``."""
    warnings.warn(
        f"{type(estimator).__name__}.fit stores no statistics for partial_fit, which "
        "starts from scratch with this chunk. To include the data passed to fit, pass "
        "it to partial_fit, too.",
        UserWarning,
        stacklevel=stacklevel,
    )
