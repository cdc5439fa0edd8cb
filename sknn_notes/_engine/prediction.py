"""The network in prediction: from fitted arrays to raw outputs."""

from collections.abc import Iterable

import numpy as np
from sklearn.utils import gen_batches

from sknn_notes._engine.rows import as_matrix, blocks_of
from sknn_notes._threads import threads_for
from sknn_notes.embeddings._base import check_dense
from sknn_notes.layers._base import Flow
from sknn_notes.layers._embeddings import Embed
from sknn_notes.layers._input_noise import InputNoise
from sknn_notes.noise._base import check_inputs

# Prediction handles this many rows at a time, which bounds its memory.
_CHUNK_ROWS = 4096


class Predictor:
    """What prediction needs besides the fitted arrays.

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
        """The noise parts, with what they have drawn once."""
        return [x.noise for x in self.layers if isinstance(x, InputNoise)]

    @property
    def embedding(self):
        """The embedding, with what it learned at the start, or None."""
        return next((x.embedding for x in self.layers if isinstance(x, Embed)), None)

    def check_inputs(self, X):
        """Raise ValueError if the noise parts or the embedding can't take ``X``."""
        for block in blocks_of(X) if self.augment else ():
            check_inputs(self.augment, block)
        check_dense(self.embedding, X)

    # Numbers that overflow end in outputs that are not finite, which callers look for.
    @np.errstate(all="ignore")
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
        with _threads(X, fitted.coefs):
            if X.shape[0] <= _CHUNK_ROWS:
                return self._forward(as_matrix(X), fitted)
            last = fitted.coefs[-1]
            raw = np.empty((X.shape[0], last.shape[1]), last.dtype)
            for rows in gen_batches(X.shape[0], _CHUNK_ROWS):
                raw[rows] = self._forward(X[rows], fitted)
            return raw

    def passes(self, X, fitted, n_passes):
        """Yield the raw outputs of sampled sub-networks, for a chunk of rows.

        Each pass draws one sub-network for all rows, from a seed of its own that does
        not change, so that a row's prediction depends on nothing else.

        Parameters
        ----------
        X : {ndarray, sparse array} of shape (n_samples, n_features)
        fitted : Fitted
        n_passes : int or None
            None yields once, with the noise averaged analytically.
        """
        generators: Iterable = [None]
        if n_passes is not None:
            seeds = ([self.seed, number] for number in range(n_passes))
            generators = (np.random.Generator(np.random.SFC64(s)) for s in seeds)
        for rng in generators:
            with _threads(X, fitted.coefs):
                raw = self._forward(X, fitted, rng)
            yield raw

    def _forward(self, A, fitted, rng=None):
        """Raw outputs of the average network or, with ``rng``, of a sampled one."""
        flow = Flow(fitted.coefs[0], rng=rng)
        for layer in self.layers:
            A = layer.predict(layer.fitted(fitted), A, flow)
        return A


@np.errstate(all="ignore")
def averaged(networks, X, n_passes, average=np.mean):
    """Return mean and standard deviation over all networks and their passes.

    Parameters
    ----------
    networks : list of (Predictor, Fitted, callable)
        The last one turns raw outputs into what is averaged.
    X : {ndarray, sparse array} of shape (n_samples, n_features)
    n_passes : int or None
        Passes with noise of each network; None makes one, with the noise averaged
        analytically.
    average : callable, default=numpy.mean
        Takes the stacked passes and ``axis``.

    Returns
    -------
    mean, spread : ndarray of shape (n_samples, n_outputs)
    """
    means, spreads = [], []
    for rows in gen_batches(X.shape[0], _CHUNK_ROWS):
        passes = [
            transform(raw)
            for predictor, fitted, transform in networks
            for raw in predictor.passes(X[rows], fitted, n_passes)
        ]
        means.append(average(passes, axis=0))
        spreads.append(spread_of(passes))
    return np.concatenate(means), np.concatenate(spreads)


def _threads(X, coefs):
    """Give BLAS the threads that a chunk of rows is worth."""
    units = len(coefs[0]), *(W.shape[1] for W in coefs)
    return threads_for(min(X.shape[0], _CHUNK_ROWS), units)


def spread_of(passes):
    """Return the standard deviation over passes, whether squares overflow or vanish."""
    spread, size = np.std(passes, axis=0), np.max(np.abs(passes))
    limits = np.finfo(spread.dtype)
    vanishes = 0 < size < np.sqrt(limits.tiny) / limits.eps
    if vanishes or not np.isfinite(spread).all():
        spread = size * np.std(np.divide(passes, size), axis=0)
    return spread
