"""Centering: subtract the mean of the training data."""

from typing import Self

from numpy.typing import ArrayLike

from sknn_notes._arrays import namespace
from sknn_notes._callbacks import fit_task
from sknn_notes._docstrings import completed
from sknn_notes._fitting import unchanged_on_error
from sknn_notes._sklearn import _fit_context
from sknn_notes._typing import Array, Floats, MatrixLike
from sknn_notes.preprocessing._base import Channels, ColumnwiseMap, Per, validated
from sknn_notes.preprocessing._docs import METHOD, WEIGHING_TRANSFORMER


@completed(WEIGHING_TRANSFORMER)
class Centerer(ColumnwiseMap):
    """Subtract the mean of the training data.

    The mean is computed per feature, per channel of flattened images, or over all the
    data; never per sample. ``fit`` computes it, and ``transform`` applies it unchanged
    to any later data.

    Attributes
    ----------
    mean_ : ndarray of shape (n_statistics,)
        Means, in the units of X: ``n_features`` of them for ``per="feature"``, 1 for
        ``"all"``, ``n_channels`` for ``"channel"``. NaN if no value was seen.

    See Also
    --------
    Standardizer : Also divide by the standard deviation.
    Whitener : Also remove correlations.

    Notes
    -----
    Computes ``X - mean_``. The mean is accumulated in float64 as the unevaluated sum of
    two numbers (Chan, Golub and LeVeque [1]_), so that it is accurate to the last digit
    for any split of the data into chunks. NaN is ignored in ``fit`` and kept in
    ``transform``. Sparse matrices raise an error, since centering makes them dense.

    With scikit-learn's array API dispatch enabled, X may be an array of PyTorch or
    another library, on any device. ``fit`` and ``transform`` then run on that device;
    results and fitted attributes are arrays of that library on that device.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the
       sample variance: analysis and recommendations", The American Statistician 37,
       1983.

    Examples
    --------
    >>> from sknn_notes import Centerer
    >>> X = [[1.0, 10.0], [3.0, 30.0]]
    >>> centerer = Centerer().fit(X)
    >>> centerer.mean_
    array([ 2., 20.])
    >>> centerer.transform(X)
    array([[ -1., -10.],
           [  1.,  10.]])
    >>> Centerer(per="all").fit(X).mean_
    array([11.])
    """

    mean_: Floats
    n_samples_seen_: int | float | Floats

    def __init__(
        self,
        *,
        per: Per = "feature",
        n_channels: int | None = None,
        channels: Channels = "last",
        copy: bool = True,
    ) -> None:
        self.per = per
        self.n_channels = n_channels
        self.channels = channels
        self.copy = copy

    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def fit(
        self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Compute the means, discarding any earlier data.

        Returns
        -------
        self : Centerer
            Fitted transformer.
        """
        return self._fit(X, y, sample_weight, reset=True, whole=True)

    @validated
    @_fit_context(prefer_skip_nested_validation=True)
    @completed(METHOD)
    def partial_fit(
        self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Update the means with another chunk of training data.

        Any split of the data into chunks gives the result of a single ``fit``, to
        rounding.

        Returns
        -------
        self : Centerer
            Fitted transformer.
        """
        reset = not hasattr(self, "_moments")
        return self._fit(X, y, sample_weight, reset=reset, whole=False)

    def _fit(
        self, X: MatrixLike, y: object, sample_weight: ArrayLike | None, **chunk: bool
    ) -> Self:
        with (
            fit_task(self, X, y, sample_weight=sample_weight),
            unchanged_on_error(self),
        ):
            _, pooled = self._accumulate(X, sample_weight, **chunk)
            xp = namespace(pooled.n)
            self.mean_ = xp.where(pooled.n > 0, pooled.full_mean(), xp.nan)
        return self

    def _vectors(self) -> tuple[Array, Array]:
        return self.mean_, namespace(self.mean_).ones_like(self.mean_)
