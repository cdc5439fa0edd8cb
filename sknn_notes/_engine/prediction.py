"""Raw outputs of fitted networks."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from sknn_notes._arrays import to_numpy
from sknn_notes._engine.rows import as_matrix, blocks_of
from sknn_notes._numpy import errstate
from sknn_notes._threads import threads_for
from sknn_notes.embeddings._base import check_dense
from sknn_notes.layers._base import Flow
from sknn_notes.layers._embeddings import Embed
from sknn_notes.layers._input_noise import InputNoise
from sknn_notes.noise._base import check_inputs

# Maximum numbers of rows and of raw outputs in a chunk of a prediction, which bound its
# memory.
_CHUNK_ROWS, _CHUNK_OUTPUTS = 4096, 2**22

# Number of units at the top of a tree whose outputs are computed for all rows.
_FIRST_UNITS = 256

# Number of rows in the first chunk of a search for the best leaves.
_TRIAL_ROWS = 256


class Predictor:
    """State that prediction needs besides the fitted arrays.

    Parameters
    ----------
    network : Network
        The network that was trained.
    seed : int
        Seeds the sub-networks of Monte Carlo passes.
    """

    def __init__(self, network, seed):
        self.layers, self.has_noise = network.layers, network.has_noise
        self.seed = seed

    @property
    def augment(self):
        """The noise parts, with their random state."""
        return [x.noise for x in self.layers if isinstance(x, InputNoise)]

    @property
    def embedding(self):
        """The initialized embedding, or None."""
        return next((x.embedding for x in self.layers if isinstance(x, Embed)), None)

    def check_inputs(self, X):
        """Raise ValueError if the noise parts or the embedding don't support ``X``."""
        for block in blocks_of(X) if self.augment else ():
            check_inputs(self.augment, block)
        check_dense(self.embedding, X)

    def raw(self, X, fitted):
        """Return the raw outputs, with the noise averaged analytically.

        Parameters
        ----------
        X : {ndarray, sparse array, Rows} of shape (n_samples, n_features)
        fitted : Fitted

        Returns
        -------
        raw : ndarray of shape (n_samples, n_outputs)
        """
        return gathered(X.shape[0], self.chunks(X, fitted))

    def mapped(self, function, X, fitted):
        """Return the results of a function of the raw outputs, chunk by chunk.

        Parameters
        ----------
        function : callable
            Takes raw outputs, and returns an array with the same number of rows.
        X, fitted
            As in ``raw``.

        Returns
        -------
        results : ndarray of shape (n_samples, ...)

        Raises
        ------
        ValueError
            If some raw outputs are not finite.
        """
        n, n_outputs = X.shape[0], fitted.coefs[-1].shape[1]
        # A shortcut for few rows.
        if n <= _CHUNK_ROWS and n * n_outputs <= _CHUNK_OUTPUTS:
            return function(check_predicted(self._of_chunk(X, fitted)))

        def compute(function):
            chunks = self.chunks(X, fitted)
            return gathered(n, ((rows, function(raw)) for rows, raw in chunks))

        return checked(compute, function)

    def chunks(self, X, fitted):
        """Yield the raw outputs, with analytically averaged noise, in chunks.

        Parameters
        ----------
        X, fitted
            As in ``raw``.

        Yields
        ------
        rows : slice
        raw : ndarray of shape (n_rows, n_outputs)
        """
        n_rows = chunk_rows(fitted.coefs[-1].shape[1])
        for rows in gen_batches(X.shape[0], n_rows):
            yield rows, self._of_chunk(X[rows], fitted)

    # Overflows lead to outputs that are not finite, which callers check.
    @errstate(all="ignore")
    def _of_chunk(self, X, fitted):
        with _threads(X, fitted.coefs):
            return self._forward(as_matrix(X), fitted)

    def best_leaves(self, X, fitted, link):
        """Return the most probable leaf of each row, or None if that is too slow.

        Parameters
        ----------
        X, fitted
            As in ``raw``.
        link : TreePaths

        Returns
        -------
        leaves : ndarray of int of shape (n_samples,) or None
            None if the search ends early because it visits too many nodes, as with
            nearly equal probabilities, or because an output is not finite.
        """
        last = self.layers[-1]
        W, b = last.fitted(fitted).values()
        if last.dropconnect is not None or (len(self.layers) == 1 and issparse(X)):
            return None
        # Reading columns is fast if they are contiguous. A copy is worth it if more
        # columns are read than there are.
        if X.shape[0] * len(link.tree.levels) > W.shape[1]:
            W = np.asfortranarray(W)
        n = X.shape[0]
        leaves = np.empty(n, np.int64)
        # A few rows show whether the search is worth it.
        edges = [0, *range(_TRIAL_ROWS, n, _CHUNK_ROWS), n]
        for rows in map(slice, edges[:-1], edges[1:]):
            with np.errstate(all="ignore"), _threads(X[rows], fitted.coefs):
                A = self._forward(X[rows], fitted, layers=self.layers[:-1])
                try:
                    leaves[rows] = link.best_leaf(_Nodes(A, W, b), len(A))
                except _CutShort:
                    return None
        return leaves

    def passes(self, X, fitted, n_passes):
        """Yield the raw outputs of sampled sub-networks, for a chunk of rows.

        Each pass draws one sub-network for all rows, from a fixed seed, so that the
        prediction for a row does not depend on the other rows.

        Parameters
        ----------
        X : {ndarray, sparse array} of shape (n_samples, n_features)
        fitted : Fitted
        n_passes : int or None
            None yields once, with analytically averaged noise.
        """
        generators: Iterable = [None]
        if n_passes is not None:
            seeds = ([self.seed, number] for number in range(n_passes))
            generators = (np.random.Generator(np.random.SFC64(s)) for s in seeds)
        for rng in generators:
            with _threads(X, fitted.coefs):
                raw = self._forward(X, fitted, rng)
            yield raw

    def _forward(self, A, fitted, rng=None, layers=None):
        """Return raw outputs of the average or, with ``rng``, of a sampled network."""
        flow = Flow(fitted.coefs[0], rng=rng)
        if flow.xp is np:  # Inputs may be on another device than the network.
            A = to_numpy(A)
        for layer in self.layers if layers is None else layers:
            A = layer.predict(layer.fitted(fitted), A, flow)
        return to_numpy(A)


def chunk_rows(n_outputs):
    """Return the number of rows of a chunk."""
    return max(1, min(_CHUNK_ROWS, _CHUNK_OUTPUTS // n_outputs))


class _CutShort(Exception):
    """A search for the most probable leaf takes too long."""


class _Nodes:
    """Raw outputs of a dense layer at pairs of a row and a unit.

    Those of the first units, the upper levels of a tree, are computed for all rows by
    one product, since most rows need them.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_inputs)
    W : ndarray of shape (n_inputs, n_units)
    b : ndarray of shape (n_units,)
    """

    def __init__(self, A, W, b):
        self._A, self._columns, self._b = A, W.T, b
        self._first = A @ W[:, :_FIRST_UNITS] + b[:_FIRST_UNITS]
        # A pair costs four times as much here as in a product of matrices and its link.
        self._n_left = len(A) * W.shape[1] // 16

    def __call__(self, rows, nodes):
        self._n_left -= len(rows)
        if self._n_left < 0:
            raise _CutShort
        raw = np.empty(len(rows), self._first.dtype)
        is_first = nodes < _FIRST_UNITS
        raw[is_first] = self._first[rows[is_first], nodes[is_first]]
        (others,) = np.nonzero(~is_first)
        size = max(1, _CHUNK_OUTPUTS // (4 * self._A.shape[1]))
        for start in range(0, len(others), size):
            pairs = others[start : start + size]
            at, columns = nodes[pairs], self._columns[nodes[pairs]]
            raw[pairs] = np.einsum("ij,ij->i", self._A[rows[pairs]], columns)
            raw[pairs] += self._b[at]
        if not np.isfinite(raw).all():
            raise _CutShort
        return raw


def check_predicted(outputs):
    """Return outputs; raise ValueError if some are not finite."""
    if np.isfinite(outputs).all():
        return outputs
    return checked(lambda function: function(outputs), lambda outputs: outputs)


def checked(compute, function):
    """Return ``compute(function)``; raise ValueError if outputs are not finite.

    Parameters
    ----------
    compute : callable
        Takes a function of the outputs for a chunk of samples, and returns its results
        for all samples.
    function : callable
        Function of the outputs.
    """

    def of_finite(outputs):
        if not np.isfinite(outputs).all():
            finite = compute(_are_rows_finite)
            wrong = np.flatnonzero(~finite)
            raise ValueError(
                f"The predictions for {len(wrong)} of {len(finite)} samples, the "
                f"first of them row {wrong[0]} of X, overflow {outputs.dtype.name}. "
                "Look for extreme values in X; if there are none, the weights have "
                "become too large: scale the training data, lower learning_rate_init "
                "or raise alpha."
            )
        return function(outputs)

    return compute(of_finite)


def _are_rows_finite(outputs):
    return np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1)


def gathered(n_samples, results):
    """Return the results of chunks, pairs of a slice and an array, as one array."""
    every: Any = None
    for rows, result in results:
        if every is None:
            every = np.empty((n_samples, *result.shape[1:]), result.dtype)
        every[rows] = result
    return every


def averages(networks, X, n_passes, average=np.mean):
    """Yield the mean over all networks and their passes, in chunks of rows.

    Parameters
    ----------
    networks : list of (Predictor, Fitted, callable)
        The callable transforms raw outputs to the quantities that are averaged.
    X : {ndarray, sparse array} of shape (n_samples, n_features)
    n_passes : int or None
        Number of passes with noise of each network. None makes a single pass, with
        analytically averaged noise.
    average : callable, default=numpy.mean
        Takes the stacked passes and ``axis``.

    Yields
    ------
    rows : slice
    mean : ndarray of shape (n_rows, n_outputs)
    passes : list of ndarray of shape (n_rows, n_outputs)
        The averaged passes.
    """
    n_outputs = networks[0][1].coefs[-1].shape[1] * len(networks) * (n_passes or 1)
    for rows in gen_batches(X.shape[0], chunk_rows(n_outputs)):
        # Not around the yield, where the caller's code runs.
        with np.errstate(all="ignore"):
            passes = [
                transform(raw)
                for predictor, fitted, transform in networks
                for raw in predictor.passes(X[rows], fitted, n_passes)
            ]
            mean = average(passes, axis=0)
        yield rows, mean, passes


def averaged(networks, X, n_passes, average=np.mean):
    """Return mean and standard deviation over all networks and their passes.

    Parameters
    ----------
    networks, X, n_passes, average
        As in ``averages``.

    Returns
    -------
    mean, spread : ndarray of shape (n_samples, n_outputs)
    """
    means, spreads = [], []
    for _, mean, passes in averages(networks, X, n_passes, average):
        means.append(mean)
        spreads.append(spread_of(passes))
    return np.concatenate(means), np.concatenate(spreads)


def _threads(X, coefs):
    """Limit the threads of BLAS to those that a chunk of rows is worth."""
    units = len(coefs[0]), *(W.shape[1] for W in coefs)
    return threads_for(min(X.shape[0], _CHUNK_ROWS), units)


@errstate(all="ignore")
def spread_of(passes):
    """Return the standard deviation over passes, also if squares over- or underflow."""
    spread, size = np.std(passes, axis=0), np.max(np.abs(passes))
    limits = np.finfo(spread.dtype)
    vanishes = 0 < size < np.sqrt(limits.tiny) / limits.eps
    if vanishes or not np.isfinite(spread).all():
        spread = size * np.std(np.divide(passes, size), axis=0)
    return spread
