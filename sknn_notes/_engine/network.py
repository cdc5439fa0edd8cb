"""The network in training: layers over one flat vector of parameters."""

from itertools import accumulate, pairwise

import numpy as np
from scipy.sparse import issparse

from sknn_notes._engine.dropout import make_dropout
from sknn_notes._engine.layer import BatchNormalizer, Layer
from sknn_notes.activations import Identity


class Network:
    """Dense layers whose parameters are views of one vector.

    ``theta`` holds all weight matrices, then all biases, then scale and shift of batch
    norm, which takes the place of a layer's bias; ``grad`` has the same layout.
    ``running`` holds batch norm's running means and variances.

    Parameters
    ----------
    units : list of int
        Number of inputs, of units of each hidden layer, and of outputs.
    activations : list of Activation
        One per hidden layer.
    dtype : dtype
        float32 or float64.
    dropout : sequence of float or None, default=None
        Probability of dropping a unit, one per hidden layer.
    input_dropout, dropconnect : float, default=0.0
        Probability of dropping an input, a weight.
    inverted : bool, default=True
        Whether what dropout keeps is scaled in training, not in prediction.
    batch_norm : BatchNorm or None, default=None
    augment : sequence of Noise, default=()
        Noise on the inputs, in order.
    """

    def __init__(
        self,
        units,
        activations,
        dtype,
        *,
        dropout=None,
        input_dropout=0.0,
        dropconnect=0.0,
        inverted=True,
        batch_norm=None,
        augment=(),
    ):
        self.shapes = list(pairwise(units))
        n_hidden = len(self.shapes) - 1
        hidden = units[1:-1] if batch_norm is not None else []
        self.n_weights = sum(fan_in * fan_out for fan_in, fan_out in self.shapes)
        self.n_biases = sum(units[1:]) - sum(hidden)
        self.theta = np.zeros(self.n_weights + self.n_biases + 2 * sum(hidden), dtype)
        self.grad = np.zeros_like(self.theta)
        self.running = np.zeros(2 * sum(hidden), dtype)
        normalizers = self._normalizers(hidden, batch_norm)
        arrays = zip(*self.views(self.theta), *self.views(self.grad), strict=True)
        self.layers = [
            Layer(
                W,
                b,
                dW,
                db,
                activation=activations[i] if i < n_hidden else Identity(),
                dropout=make_dropout(dropout[i], inverted)
                if dropout is not None and i < n_hidden
                else None,
                dropconnect=make_dropout(dropconnect, inverted),
                batch_norm=normalizers[i] if i < len(normalizers) else None,
                is_output=i == n_hidden,
            )
            for i, (W, b, dW, db) in enumerate(arrays)
        ]
        self.input_dropout = make_dropout(input_dropout, inverted)
        self.augment = augment
        self._bound = 0

    def views(self, vector):
        """Return the weight matrices and the biases (or shifts) within a vector."""
        sizes = [fan_in * fan_out for fan_in, fan_out in self.shapes]
        weights = _split(vector[: self.n_weights], sizes)
        widths = [fan_out for _, fan_out in self.shapes]
        if len(self.running):
            # Biases of the output layer alone, then the shifts.
            biases = vector[self.n_weights :][: self.n_biases]
            shifts = vector[-(len(self.running) // 2) :]
            offsets = [*_split(shifts, widths[:-1]), biases]
        else:
            offsets = _split(vector[self.n_weights :], widths)
        return [
            w.reshape(s) for w, s in zip(weights, self.shapes, strict=True)
        ], offsets

    def _normalizers(self, hidden, spec):
        n = sum(hidden)
        start = self.n_weights + self.n_biases
        scale, dscale = (v[start : start + n] for v in (self.theta, self.grad))
        mean, var = self.running[:n], self.running[n:]
        scale[...] = 1
        var[...] = 1
        return [
            BatchNormalizer(*arrays, spec=spec)
            for arrays in zip(
                *(_split(v, hidden) for v in (scale, dscale, mean, var)), strict=True
            )
        ]

    @property
    def coefs(self):
        """Weight matrices, views of ``theta``."""
        return [layer.W for layer in self.layers]

    @property
    def intercepts(self):
        """Biases, views of ``theta``; zeros where batch norm makes one redundant."""
        return [
            np.zeros_like(layer.b) if layer.batch_norm else layer.b
            for layer in self.layers
        ]

    @property
    def batch_norms(self):
        """A dict of scale, shift, mean and var for every hidden layer, or None."""
        if not len(self.running):
            return None
        return [
            {
                "scale": layer.batch_norm.scale,
                "shift": layer.b,
                "mean": layer.batch_norm.mean,
                "var": layer.batch_norm.var,
            }
            for layer in self.layers[:-1]
        ]

    def initialize(self, init, bias_init, rng):
        """Draw the weights with the initializer ``init``; set all biases."""
        init.start(len(self.layers) - 1)
        with np.errstate(all="ignore"):
            for layer in self.layers:
                layer.W[...] = init.draw(*layer.W.shape, layer.activation, rng)
                if not layer.batch_norm:
                    layer.b[...] = bias_init
                    if not bias_init:
                        layer.b[...] = init.draw_biases(
                            *layer.W.shape, layer.activation, rng
                        )
        self._check_start(init)

    def calibrate(self, init, X):
        """Scale the weights, layer by layer, as ``init`` asks for on ``X``."""
        with np.errstate(all="ignore"):
            self.forward(X)
            A = self._X
            for layer in self.layers:
                layer.W *= init.scale(A @ layer.W)
                A = layer.forward(A)
        self._check_start(init)

    def _check_start(self, init):
        if not np.isfinite(self.theta).all():
            raise ValueError(
                f"With init={init!r} the initial weights and biases are not finite in "
                f"{self.theta.dtype.name}, which the network computes in. Choose "
                "smaller ones, scale X where init depends on it, or set "
                "dtype='float64'."
            )

    def load(self, coefs, intercepts, batch_norms=None):
        """Copy parameters and running averages into the network."""
        for layer, W, b in zip(self.layers, coefs, intercepts, strict=True):
            layer.W[...] = W
            if not layer.batch_norm:
                layer.b[...] = b
        for own, fitted in zip(self.batch_norms or (), batch_norms or (), strict=True):
            for name, array in own.items():
                array[...] = fitted[name]

    def allocate(self, batch_size):
        """Allocate the buffers for training batches of up to ``batch_size`` rows."""
        for layer in self.layers:
            layer.allocate(batch_size)
        if self.input_dropout:
            self._input = np.empty((2, batch_size, self.shapes[0][0]), self.theta.dtype)
        self._bound = 0

    @property
    def delta(self):
        """Where the gradient at the raw outputs goes, before ``backward``."""
        return self.layers[-1].delta

    def forward(self, X, rng=None):
        """Return the raw outputs for a batch; with ``rng``, with the training noise."""
        if X.shape[0] != self._bound:
            self._bound = X.shape[0]
            for layer in self.layers:
                layer.bind(self._bound)
        for noise in self.augment:
            X = noise.predict(X) if rng is None else noise.train(X, rng)
        if self.input_dropout and rng is not None:
            X = self._drop_inputs(X, rng)
        self._X = X
        for layer in self.layers:
            X = layer.forward(X, rng)
        return X

    def _drop_inputs(self, X, rng):
        if issparse(X):
            # The mask is one of inputs, of which several entries may be parts.
            n_samples, n_features = X.shape
            rows = np.repeat(np.arange(n_samples), np.diff(X.indptr))
            places = rows * n_features + X.indices
            X = X.copy()
            X.data *= self.input_dropout.draw_at(rng, places, np.empty_like(X.data))
            return X
        mask, dropped = self._input[:, : len(X)]
        return np.multiply(X, self.input_dropout.draw(rng, mask), out=dropped)

    def backward(self):
        """Fill ``grad`` from ``delta``, for the batch of the last ``forward``."""
        for i in range(len(self.layers) - 1, 0, -1):
            below = self.layers[i - 1]
            self.layers[i].backward(below.A, below.delta)
        self.layers[0].backward(self._X)

    def update_running(self):
        """Mix the last batch into batch norm's running averages."""
        for layer in self.layers:
            if layer.batch_norm:
                layer.batch_norm.update_running()

    def set_running(self):
        """Take the last batch, all the data, as batch norm's averages."""
        for layer in self.layers:
            if layer.batch_norm:
                layer.batch_norm.set_running()


def _split(vector, sizes):
    """Return consecutive views of the given sizes."""
    ends = list(accumulate(sizes, initial=0))
    return [vector[start:end] for start, end in pairwise(ends)]
