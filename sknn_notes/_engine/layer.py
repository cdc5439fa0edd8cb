"""One layer of the network: dense, batch norm, activation, dropout."""

import numpy as np

from sknn_notes import _kernels


class _Buffer:
    """A flat buffer for up to ``capacity`` rows, seen as the 2-D array of a batch."""

    def __init__(self, capacity, width, dtype, order="C"):
        self.flat = np.empty(capacity * width, dtype)
        self.width, self.order = width, order

    def rows(self, n):
        return self.flat[: n * self.width].reshape((n, self.width), order=self.order)


class Layer:
    """``A = dropout(activation(batch_norm(X W) + b))``.

    The last layer of a network has ``is_output=True``: no activation and no dropout,
    and Fortran order for its outputs and their gradient, since they are narrow and the
    losses reduce over each row.

    Parameters
    ----------
    W, b, dW, db : ndarray
        Weights (fan_in, fan_out), biases (fan_out,) and their gradients. With batch
        norm ``b`` is its shift.
    activation : Activation
    dropout : Dropout or None
        Drops outputs.
    dropconnect : Dropout or None
        Drops weights.
    batch_norm : BatchNormalizer or None
    is_output : bool

    Attributes
    ----------
    A : ndarray of shape (n_samples, fan_out)
        What the last ``forward`` put out.
    delta : ndarray of shape (n_samples, fan_out)
        Gradient of the objective with respect to ``A``; ``backward`` reads it.
    """

    def __init__(
        self,
        W,
        b,
        dW,
        db,
        *,
        activation,
        dropout=None,
        dropconnect=None,
        batch_norm=None,
        is_output=False,
    ):
        self.W, self.b, self.dW, self.db = W, b, dW, db
        self.activation, self.is_output = activation, is_output
        self.dropout, self.dropconnect = dropout, dropconnect
        self.batch_norm = batch_norm

    def allocate(self, capacity):
        """Allocate the buffers for batches of up to ``capacity`` rows."""
        shape = capacity, self.W.shape[1], self.W.dtype
        order = "F" if self.is_output else "C"
        self._product = _Buffer(*shape, order)
        self._delta = _Buffer(*shape, order)
        # The backward pass needs batch norm's normalized input, the pre-activation of
        # some activations, dropout's input: each then has a buffer of its own.
        self._Z = _Buffer(*shape) if self.batch_norm else self._product
        self._active = _Buffer(*shape) if self.activation.keeps_input else self._Z
        if self.dropout:
            self._mask, self._dropped = _Buffer(*shape), _Buffer(*shape)
        if self.dropconnect:
            self._W_mask, self._W_dropped = np.empty((2, *self.W.shape), self.W.dtype)
        self._ones = np.ones(capacity, self.W.dtype)

    def bind(self, n):
        """Take the views of the buffers for a batch of ``n`` rows."""
        self.product, self.delta = self._product.rows(n), self._delta.rows(n)
        self.Z = self._Z.rows(n) if self.batch_norm else self.product
        self.active = self._active.rows(n) if self.activation.keeps_input else self.Z
        self.ones = self._ones[:n]
        if self.dropout:
            self.mask, self.dropped = self._mask.rows(n), self._dropped.rows(n)

    def forward(self, X, rng=None):
        """Return the layer's outputs for the inputs ``X``; with ``rng``, with noise."""
        self.noisy = rng is not None
        _dot(X, self._weights(rng), self.product)
        if self.is_output:
            self.product += self.b
            self.A = self.product
            return self.A
        if self.batch_norm:
            self.batch_norm.forward(self.product, self.Z)
        _kernels.active().bias_activation(self.Z, self.b, self.activation, self.active)
        self.A = self.active
        if self.dropout and self.noisy:
            self.A = np.multiply(
                self.active, self.dropout.draw(rng, self.mask), out=self.dropped
            )
        return self.A

    def _weights(self, rng):
        if self.dropconnect is None or rng is None:
            return self.W
        mask = self.dropconnect.draw(rng, self._W_mask)
        return np.multiply(self.W, mask, out=self._W_dropped)

    def backward(self, X, delta_in=None):
        """Write the gradients of the parameters, and of the inputs where asked for."""
        if not self.is_output:
            mask = self.mask if self.dropout and self.noisy else None
            _kernels.active().activation_backward(
                self.delta, self.active, self.Z, self.activation, mask
            )
        np.dot(self.ones, self.delta, out=self.db)
        if self.batch_norm:
            self.batch_norm.backward(self.delta, self.product, self.db)
        if not isinstance(X, np.ndarray):  # cheaper than to ask whether it is sparse
            self.dW[...] = X.T @ self.delta
        else:
            np.dot(X.T, self.delta, out=self.dW)
        W = self.W
        if self.dropconnect and self.noisy:
            self.dW *= self._W_mask
            W = self._W_dropped
        if delta_in is not None:
            np.dot(self.delta, W.T, out=delta_in)


class BatchNormalizer:
    """Batch norm of one layer, all but the shift, which is the layer's ``b``.

    Parameters
    ----------
    scale, dscale : ndarray of shape (n_units,)
        Learned scale and its gradient.
    mean, var : ndarray of shape (n_units,)
        Running averages.
    spec : BatchNorm
    """

    def __init__(self, scale, dscale, mean, var, *, spec):
        self.scale, self.dscale, self.mean, self.var = scale, dscale, mean, var
        self.momentum, self.eps = float(spec.momentum), float(spec.eps)
        self.batch_mean, self.batch_var = np.empty((2, len(scale)), scale.dtype)

    def forward(self, X, out):
        """Normalize ``X`` in place; write it times the scale to ``out``."""
        self.n = len(X)
        _kernels.active().batch_norm_forward(
            X, self.scale, self.eps, self.batch_mean, self.batch_var, out
        )

    def backward(self, delta, normalized, dshift):
        """Turn the gradient at the output into that at the input, in place."""
        _kernels.active().batch_norm_backward(
            delta, normalized, self.scale, self.eps, self.batch_var, dshift, self.dscale
        )

    def update_running(self):
        """Mix the last batch into the running averages."""
        self.mean += self.momentum * (self.batch_mean - self.mean)
        self.var += self.momentum * (
            self.batch_var * (self.n / (self.n - 1)) - self.var
        )

    def set_running(self):
        """Take the last batch, all the data, as what prediction uses."""
        self.mean[...], self.var[...] = self.batch_mean, self.batch_var


def _dot(X, W, out):
    """Write ``X @ W`` to ``out``, of either memory order."""
    if not isinstance(X, np.ndarray):
        out[...] = X @ W
    elif out.flags.c_contiguous:
        np.dot(X, W, out=out)
    else:
        np.dot(W.T, X.T, out=out.T)
