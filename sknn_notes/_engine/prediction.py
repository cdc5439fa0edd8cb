"""The network in prediction: from fitted arrays to raw outputs."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from sknn_notes._threads import threads_for
from sknn_notes.noise._base import check_inputs

# Prediction handles this many rows at a time, which bounds its memory.
_CHUNK_ROWS = 4096


class Predictor:
    """What prediction needs besides the fitted arrays.

    Parameters
    ----------
    network : Network
        The network that was trained.
    batch_norm : BatchNorm or None
    seed : int
        Seeds the sub-networks of Monte Carlo passes.
    """

    def __init__(self, network, batch_norm, seed):
        self.activations = [layer.activation for layer in network.layers[:-1]]
        self.dropouts = [layer.dropout for layer in network.layers[:-1]]
        self.dropconnect = network.layers[0].dropconnect
        self.input_dropout = network.input_dropout
        self.augment = network.augment
        self.eps = None if batch_norm is None else batch_norm.eps
        self.seed = seed

    @property
    def has_noise(self):
        """Whether training has noise, so that Monte Carlo passes differ."""
        noises = [*self.dropouts, self.dropconnect, self.input_dropout, *self.augment]
        return any(noise is not None for noise in noises)

    def check_inputs(self, X):
        """Raise ValueError if the noise parts can't take ``X``."""
        check_inputs(self.augment, X)

    # Numbers that overflow end in outputs that are not finite, which callers look for.
    @np.errstate(all="ignore")
    def raw(self, X, coefs, intercepts, batch_norms=None):
        """Return the raw outputs, with the noise averaged analytically.

        Parameters
        ----------
        X : {ndarray, sparse array} of shape (n_samples, n_features)
        coefs, intercepts : list of ndarray
        batch_norms : list of dict or None

        Returns
        -------
        raw : ndarray of shape (n_samples, n_outputs)
        """
        with _threads(X, coefs):
            if X.shape[0] <= _CHUNK_ROWS:
                return self._forward(X, coefs, intercepts, batch_norms)
            raw = np.empty((X.shape[0], coefs[-1].shape[1]), coefs[-1].dtype)
            for rows in gen_batches(X.shape[0], _CHUNK_ROWS):
                raw[rows] = self._forward(X[rows], coefs, intercepts, batch_norms)
            return raw

    @np.errstate(all="ignore")
    def sampled(self, arrays, n_passes, transform, average=np.mean):
        """Return mean and standard deviation of the outputs of sampled sub-networks.

        Each pass draws one sub-network for all rows, from a seed of its own that does
        not change, so that a row's prediction depends on nothing else.

        Parameters
        ----------
        arrays : tuple
            The arguments of ``raw``.
        n_passes : int
        transform : callable
            From raw outputs to what is averaged.
        average : callable, default=numpy.mean
            Takes the stacked passes and ``axis``.

        Returns
        -------
        mean, spread : ndarray of shape (n_samples, n_outputs)
        """
        X, coefs, intercepts, batch_norms = arrays
        means, spreads = [], []
        for rows in gen_batches(X.shape[0], _CHUNK_ROWS):
            passes = []
            for number in range(n_passes):
                rng = np.random.Generator(np.random.SFC64([self.seed, number]))
                with _threads(X, coefs):
                    raw = self._forward(X[rows], coefs, intercepts, batch_norms, rng)
                passes.append(transform(raw))
            means.append(average(passes, axis=0))
            spreads.append(_std(passes))
        return np.concatenate(means), np.concatenate(spreads)

    def _forward(self, A, coefs, intercepts, batch_norms, rng=None):
        """Raw outputs of the average network or, with ``rng``, of a sampled one."""
        for noise in self.augment:
            A = noise.predict(A) if rng is None else noise.sample(A, rng)
        A = _scaled(A, self.input_dropout, rng)
        for i, activation in enumerate(self.activations):
            Z = A @ self._weights(coefs[i], rng)
            if batch_norms is None:
                Z += intercepts[i]
            else:
                fitted = batch_norms[i]
                scale = fitted["scale"] / np.sqrt(fitted["var"] + self.eps)
                Z *= scale
                Z += fitted["shift"] - fitted["mean"] * scale
            A = np.empty_like(Z) if activation.keeps_input else Z
            activation.forward(Z, A)
            A = _scaled(A, self.dropouts[i], rng)
        raw = A @ self._weights(coefs[-1], rng)
        raw += intercepts[-1]
        return raw

    def _weights(self, W, rng):
        if self.dropconnect is None:
            return W
        if rng is not None:
            return W * self.dropconnect.draw(rng, np.empty_like(W))
        scale = self.dropconnect.prediction_scale
        return W if scale == 1 else W * scale


def _threads(X, coefs):
    """Give BLAS the threads that a chunk of rows is worth."""
    units = len(coefs[0]), *(W.shape[1] for W in coefs)
    return threads_for(min(X.shape[0], _CHUNK_ROWS), units)


def _std(passes):
    """Return the standard deviation over passes, also where the squares overflow."""
    spread = np.std(passes, axis=0)
    if not np.isfinite(spread).all():
        size = np.max(np.abs(passes))
        spread = size * np.std(np.divide(passes, size), axis=0)
    return spread


def _scaled(A, dropout, rng):
    """Scale a layer's outputs as dropout's average does, or drop some of its units."""
    if dropout is None:
        return A
    if rng is not None:
        scale = dropout.draw(rng, np.empty(A.shape[1], A.dtype))
    elif dropout.prediction_scale == 1:
        return A
    else:
        scale = np.full(A.shape[1], dropout.prediction_scale, A.dtype)
    return A.multiply(scale).tocsr() if issparse(A) else A * scale
