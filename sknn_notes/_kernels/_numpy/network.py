"""Kernels of the network in plain numpy: the definition of what each computes.

All arrays are C-contiguous but for ``raw`` and its gradient, whose memory order is
Fortran's: reductions over the few outputs then run along the many samples.
"""

import numpy as np
from scipy.special import expit

__all__ = [
    "activation_backward",
    "adam_step",
    "add_l2_gradient",
    "batch_norm_backward",
    "batch_norm_forward",
    "bias_activation",
    "binary_hinge",
    "binary_squared_hinge",
    "dropout_mask",
    "l1_norm",
    "logistic_log_loss",
    "multiclass_hinge",
    "multiclass_squared_hinge",
    "project_columns",
    "random_bits",
    "random_bits_at",
    "rmsprop_step",
    "sgd_step",
    "soft_threshold",
    "softmax_log_loss",
]

# Elements handled at a time where several passes are made over parameter-sized arrays:
# four arrays of this length stay in a core's cache between the passes.
_BLOCK = 32768


# The multiples that tell the places of random words apart.
_PLACES = np.arange(_BLOCK, dtype=np.uint32) * np.uint32(0x9E3779B9)


def _blocks(n):
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))


# Layers


def bias_activation(Z, b, activation, out):
    """Write ``activation(Z + b)`` to ``out``; ``Z`` becomes ``Z + b``."""
    Z += b
    activation.forward(Z, out)


def activation_backward(delta, A, Z, activation, mask):
    """Turn the gradient at a layer's output into that at its pre-activation."""
    if mask is not None:
        delta *= mask
    activation.backward(delta, A, Z)


def random_bits(key, out):
    """Fill the flat uint32 array ``out`` with random bits, told by the 64-bit ``key``.

    Word ``i`` is a hash of ``i`` and the key alone (Wellons' "lowbias32", with half of
    the key before each multiplication), so that it can be made anywhere, and many at a
    time.
    """
    high = np.uint32(key >> 32)
    for block in _blocks(len(out)):
        words = out[block]
        start = (key + block.start * 0x9E3779B9) & 0xFFFFFFFF
        np.add(_PLACES[: len(words)], np.uint32(start), out=words)
        _hash(words, high)


def random_bits_at(key, places):
    """Return the words that ``random_bits`` writes at ``places``."""
    words = np.asarray(places).astype(np.uint32)
    words *= np.uint32(0x9E3779B9)
    words += np.uint32(key & 0xFFFFFFFF)
    _hash(words, np.uint32(key >> 32))
    return words


def _hash(words, high):
    shifted = words >> 16
    words ^= shifted
    words *= np.uint32(0x21F0AAAD)
    words ^= high
    words ^= np.right_shift(words, 15, out=shifted)
    words *= np.uint32(0xD35A2D97)
    words ^= np.right_shift(words, 15, out=shifted)


def dropout_mask(bits, threshold, scale, out):
    """Write ``scale`` where ``bits < threshold``, else 0.

    ``bits`` are uniform on 0..65535, so the keep probability is ``threshold / 65536``.
    """
    np.less(bits, threshold, out=out)
    out *= scale


def batch_norm_forward(X, scale, eps, mean, var, out):
    """Normalize the columns of ``X`` in place; write ``scale * X`` to ``out``.

    ``mean`` and ``var`` receive the batch's mean and biased variance.
    """
    shares = np.full(len(X), 1 / len(X), X.dtype)
    mean[...] = shares @ X
    X -= mean
    np.einsum("ij,ij->j", X, X, out=var)
    var /= len(X)
    # What rounding left of a mean that is far from 0 would count as variance.
    rest = shares @ X
    if np.any(rest * rest > np.finfo(X.dtype).eps * var):
        X -= rest
        mean += rest
        np.einsum("ij,ij->j", X, X, out=var)
        var /= len(X)
    X *= 1 / np.sqrt(var + eps)
    np.multiply(X, scale, out=out)


def batch_norm_backward(delta, normalized, scale, eps, var, dshift, dscale):
    """Turn the gradient at batch norm's output into that at its input, in place.

    ``dshift`` is the sum of ``delta``; ``dscale`` receives the gradient of the scale.
    ``normalized`` is lost.
    """
    np.einsum("ij,ij->j", delta, normalized, out=dscale)
    delta -= dshift / len(delta)
    normalized *= dscale / len(delta)
    delta -= normalized
    delta *= scale / np.sqrt(var + eps)


# Losses: each writes the gradient of every sample's loss to ``out`` and returns the
# losses, shape (n_samples,).


def softmax_log_loss(raw, y, out):
    """``-raw_y + logsumexp(raw)``; ``y`` holds class indices."""
    rows = np.arange(len(y))
    np.subtract(raw, np.maximum.reduce(raw, axis=1, keepdims=True), out=out)
    target = out[rows, y]
    np.exp(out, out=out)
    total = np.add.reduce(out, axis=1)
    out /= total[:, None]
    out[rows, y] -= 1
    return np.log(total) - target


def logistic_log_loss(raw, y, out):
    """``sum_j softplus(raw_j) - y_j raw_j``; ``y`` is in [0, 1], of raw's shape."""
    # softplus(r) - y r = log(1 + exp(-|r|)) + max(r, 0) - y r, which never overflows.
    np.abs(raw, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)
    np.log1p(out, out=out)
    out += np.maximum(raw, 0) - y * raw
    losses = np.add.reduce(out, axis=1)
    expit(raw, out=out)
    out -= y
    return losses


def multiclass_hinge(raw, y, margin, out):
    """``sum_{j != y} max(0, raw_j - raw_y + margin)``, Weston and Watkins' hinge."""
    rows = np.arange(len(y))
    np.subtract(raw, (raw[rows, y] - margin)[:, None], out=out)
    out[rows, y] = 0
    np.maximum(out, 0, out=out)
    losses = np.add.reduce(out, axis=1)
    np.greater(out, 0, out=out)
    out[rows, y] = -np.add.reduce(out, axis=1)
    return losses


def binary_hinge(raw, y, margin, out):
    """``sum_j max(0, margin - s_j raw_j)``, ``s = 2 y - 1``; ``y`` in {0, 1}."""
    sign = 2 * y - 1
    np.multiply(raw, sign, out=out)
    np.subtract(margin, out, out=out)
    np.maximum(out, 0, out=out)
    losses = np.add.reduce(out, axis=1)
    np.greater(out, 0, out=out)
    out *= sign
    np.negative(out, out=out)
    return losses


def multiclass_squared_hinge(raw, y, margin, out):
    """``sum_{j != y} max(0, raw_j - raw_y + margin)**2``."""
    rows = np.arange(len(y))
    np.subtract(raw, (raw[rows, y] - margin)[:, None], out=out)
    out[rows, y] = 0
    np.maximum(out, 0, out=out)
    losses = np.add.reduce(out * out, axis=1)
    out *= 2
    out[rows, y] = -np.add.reduce(out, axis=1)
    return losses


def binary_squared_hinge(raw, y, margin, out):
    """``sum_j max(0, margin - s_j raw_j)**2`` with ``s = 2 y - 1``; ``y`` in {0, 1}."""
    sign = 2 * y - 1
    np.multiply(raw, sign, out=out)
    np.subtract(margin, out, out=out)
    np.maximum(out, 0, out=out)
    losses = np.add.reduce(out * out, axis=1)
    out *= -2
    out *= sign
    return losses


# Penalties and solvers


def add_l2_gradient(weights, alpha, grad):
    """Add ``alpha * weights`` to ``grad``; return ``alpha / 2 * sum(weights**2)``."""
    scaled = np.empty(min(_BLOCK, len(weights)), weights.dtype)
    for block in _blocks(len(weights)):
        w = weights[block]
        grad[block] += np.multiply(w, alpha, out=scaled[: len(w)])
    return 0.5 * alpha * float(np.dot(weights, weights))


def sgd_step(theta, grad, velocity, rate, momentum, nesterov):
    """Step of gradient descent with momentum."""
    for block in _blocks(len(theta)):
        th, g, v = theta[block], grad[block], velocity[block]
        g *= rate
        v *= momentum
        v -= g
        if nesterov:
            th -= g
            np.multiply(v, momentum, out=g)
            th += g
        else:
            th += v


def adam_step(theta, grad, m, v, rate, beta_1, beta_2, epsilon):
    """Step of Adam on the moments ``m = beta_1 m + g``, ``v = beta_2 v + g**2``."""
    for block in _blocks(len(theta)):
        th, g, m_, v_ = theta[block], grad[block], m[block], v[block]
        m_ *= beta_1
        m_ += g
        g *= g
        v_ *= beta_2
        v_ += g
        np.sqrt(v_, out=g)
        g += epsilon
        np.divide(m_, g, out=g)
        g *= rate
        th -= g


def rmsprop_step(theta, grad, v, rate, rho, epsilon):
    """Step of RMSProp on the unscaled moment ``v = rho v + g**2``."""
    scaled = np.empty(min(_BLOCK, len(theta)), theta.dtype)
    for block in _blocks(len(theta)):
        th, g, v_ = theta[block], grad[block], v[block]
        s = np.multiply(g, g, out=scaled[: len(g)])
        v_ *= rho
        v_ += s
        np.sqrt(v_, out=s)
        s += epsilon
        g /= s
        g *= rate
        th -= g


def l1_norm(weights):
    """Sum of absolute values."""
    size = np.empty(min(_BLOCK, len(weights)), weights.dtype)
    return sum(
        float(np.add.reduce(np.abs(w, out=size[: len(w)])))
        for w in (weights[block] for block in _blocks(len(weights)))
    )


def soft_threshold(weights, alpha, step):
    """Move every weight towards 0 by ``alpha * step``, at most to 0."""
    cut = np.empty(min(_BLOCK, len(weights)), weights.dtype)
    for block in _blocks(len(weights)):
        w = weights[block]
        t = alpha * (step if np.isscalar(step) else step[block])
        w -= np.clip(w, -t, t, out=cut[: len(w)])


def project_columns(W, norm):
    """Scale the columns of ``W`` whose length is above ``norm`` back to it."""
    squares = np.einsum("ij,ij->j", W, W)
    longest = np.maximum.reduce(squares)
    if not longest <= norm * norm:
        if longest == np.inf:
            # Columns whose squares overflow, scaled to elements of up to ``norm``.
            huge = squares == np.inf
            W[:, huge] *= norm / np.max(np.abs(W[:, huge]), axis=0)
            squares = np.einsum("ij,ij->j", W, W)
        np.maximum(squares, norm * norm, out=squares)
        W *= norm / np.sqrt(squares)
