"""Kernels of the network, compiled by numba: one pass over memory each.

The twins of ``sknn_notes._kernels._numpy.network``. Where numpy's own loops are as fast
(exponentials and logarithms, for which it has vector code) they are used here, too. A
comparison is written so that NaN takes the branch that keeps it.
"""

import numpy as np

from sknn_notes._kernels._numba.compile import compiled, compiled_inside
from sknn_notes._kernels._numpy import network as reference
from sknn_notes._kernels._numpy.network import logistic_log_loss, random_bits_at

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

# Layers


def _is_relu(activation):
    # Asked of the class itself: a subclass may compute something else.
    return type(activation).__dict__.get("fused_as") == "relu"


def bias_activation(Z, b, activation, out):
    """See the numpy kernel; the ReLU is fused with the bias."""
    if _is_relu(activation) and out is Z:
        _bias_relu(Z, b)
    else:
        reference.bias_activation(Z, b, activation, out)


@compiled
def _bias_relu(Z, b):
    for i in range(Z.shape[0]):
        for j in range(Z.shape[1]):
            z = Z[i, j] + b[j]
            Z[i, j] = b.dtype.type(0) if z < 0 else z


def activation_backward(delta, A, Z, activation, mask):
    """See the numpy kernel; the ReLU is fused with the mask."""
    if not _is_relu(activation):
        reference.activation_backward(delta, A, Z, activation, mask)
    elif mask is None:
        _relu_backward(delta.reshape(-1), A.reshape(-1))
    else:
        _relu_mask_backward(delta.reshape(-1), A.reshape(-1), mask.reshape(-1))


@compiled
def _relu_backward(delta, A):
    one, zero = delta.dtype.type(1), delta.dtype.type(0)
    for i in range(delta.size):
        delta[i] *= one if A[i] > 0 else zero


@compiled
def _relu_mask_backward(delta, A, mask):
    zero = delta.dtype.type(0)
    for i in range(delta.size):
        delta[i] *= mask[i] if A[i] > 0 else zero


def random_bits(key, out):
    """See the numpy kernel."""
    _random_bits(np.uint64(key), out)


@compiled
def _random_bits(key, out):
    word = np.uint32  # products of 32 bits are 64 bits wide unless they are cut
    low, high = word(key), word(key >> np.uint64(32))
    for i in range(len(out)):
        x = word(word(word(i) * word(0x9E3779B9)) + low)
        x = word(x ^ (x >> word(16)))
        x = word(word(x * word(0x21F0AAAD)) ^ high)
        x = word(x ^ (x >> word(15)))
        x = word(x * word(0xD35A2D97))
        out[i] = word(x ^ (x >> word(15)))


def dropout_mask(bits, threshold, scale, out):
    """See the numpy kernel."""
    _dropout_mask(bits.reshape(-1), threshold, out.dtype.type(scale), out.reshape(-1))


@compiled
def _dropout_mask(bits, threshold, scale, out):
    zero = out.dtype.type(0)
    for i in range(out.size):
        out[i] = scale if bits[i] < threshold else zero


def batch_norm_forward(X, scale, eps, mean, var, out):
    """See the numpy kernel."""
    _batch_norm_forward(X, scale, X.dtype.type(eps), mean, var, out)


@compiled
def _batch_norm_forward(X, scale, eps, mean, var, out):
    # Loops in place of array expressions, which take much longer to compile.
    n, n_units = X.shape
    one = X.dtype.type(1)
    share = one / X.dtype.type(n)
    for j in range(n_units):
        mean[j] = 0
    for i in range(n):
        for j in range(n_units):
            mean[j] += X[i, j]
    for j in range(n_units):
        mean[j] *= share
    rest, factor = np.empty_like(mean), np.empty_like(var)
    _subtract(X, mean, rest, var)
    for j in range(n_units):
        factor[j] = one / np.sqrt(var[j] + eps)
    for i in range(n):
        for j in range(n_units):
            x = (X[i, j] - rest[j]) * factor[j]
            X[i, j] = x
            out[i, j] = x * scale[j]


@compiled_inside
def _subtract(X, mean, rest, var):
    """Subtract the mean as it was computed; return what is left of it, and var.

    What rounding left of a mean that is far from 0 would count as variance. ``mean``
    becomes the better one.
    """
    n, n_units = X.shape
    zero, share = X.dtype.type(0), X.dtype.type(1) / X.dtype.type(n)
    for j in range(n_units):
        rest[j] = 0
        var[j] = 0
    for i in range(n):
        for j in range(n_units):
            x = X[i, j] - mean[j]
            X[i, j] = x
            rest[j] += x
            var[j] += x * x
    for j in range(n_units):
        r = rest[j] * share
        v = var[j] * share - r * r
        rest[j] = r
        mean[j] += r
        # Of a column that does not vary, rounding may leave less than 0.
        var[j] = zero if v < 0 else v


def batch_norm_backward(delta, normalized, scale, eps, var, dshift, dscale):
    """See the numpy kernel."""
    eps = delta.dtype.type(eps)
    _batch_norm_backward(delta, normalized, scale, eps, var, dshift, dscale)


@compiled
def _batch_norm_backward(delta, normalized, scale, eps, var, dshift, dscale):
    n, n_units = delta.shape
    share = delta.dtype.type(1) / delta.dtype.type(n)
    for j in range(n_units):
        dscale[j] = 0
    for i in range(n):
        for j in range(n_units):
            dscale[j] += delta[i, j] * normalized[i, j]
    factor = np.empty_like(var)
    for j in range(n_units):
        factor[j] = scale[j] / np.sqrt(var[j] + eps)
    for i in range(n):
        for j in range(n_units):
            pull = share * (dshift[j] + normalized[i, j] * dscale[j])
            delta[i, j] = (delta[i, j] - pull) * factor[j]


# Losses: raw outputs come in Fortran order, so that the inner loops run over samples.


def softmax_log_loss(raw, y, out):
    """See the numpy kernel."""
    if not (raw.flags.f_contiguous and out.flags.f_contiguous):
        return reference.softmax_log_loss(raw, y, out)
    target, total = np.empty((2, len(y)), raw.dtype)
    _shift_by_top(raw.T, y, out.T, target, total)
    np.exp(out.T, out=out.T)
    _normalize(out.T, y, total)
    return np.log(total) - target


@compiled
def _shift_by_top(raw, y, out, target, top):
    n_outputs, n = raw.shape
    for i in range(n):
        top[i] = raw[0, i]
    for k in range(1, n_outputs):
        for i in range(n):
            top[i] = top[i] if raw[k, i] < top[i] else raw[k, i]
    for k in range(n_outputs):
        for i in range(n):
            out[k, i] = raw[k, i] - top[i]
    for i in range(n):
        target[i] = out[y[i], i]


@compiled
def _normalize(out, y, total):
    n_outputs, n = out.shape
    for i in range(n):
        total[i] = 0
    for k in range(n_outputs):
        for i in range(n):
            total[i] += out[k, i]
    for k in range(n_outputs):
        for i in range(n):
            out[k, i] /= total[i]
    for i in range(n):
        out[y[i], i] -= 1


def multiclass_hinge(raw, y, margin, out):
    """See the numpy kernel."""
    if not (raw.flags.f_contiguous and out.flags.f_contiguous):
        return reference.multiclass_hinge(raw, y, margin, out)
    losses, bound = np.empty((2, len(y)), raw.dtype)
    _multiclass_hinge(raw.T, y, raw.dtype.type(margin), out.T, losses, bound, False)
    return losses


def multiclass_squared_hinge(raw, y, margin, out):
    """See the numpy kernel."""
    if not (raw.flags.f_contiguous and out.flags.f_contiguous):
        return reference.multiclass_squared_hinge(raw, y, margin, out)
    losses, bound = np.empty((2, len(y)), raw.dtype)
    _multiclass_hinge(raw.T, y, raw.dtype.type(margin), out.T, losses, bound, True)
    return losses


@compiled
def _multiclass_hinge(raw, y, margin, out, losses, bound, squared):
    n_outputs, n = raw.shape
    one, two, zero = margin * 0 + 1, margin * 0 + 2, margin * 0
    for i in range(n):
        bound[i] = raw[y[i], i] - margin
        losses[i] = 0
    for k in range(n_outputs):
        if squared:
            for i in range(n):
                z = raw[k, i] - bound[i]
                z = zero if z <= 0 or k == y[i] else z
                losses[i] += z * z
                out[k, i] = two * z
        else:
            for i in range(n):
                z = raw[k, i] - bound[i]
                z = zero if z <= 0 or k == y[i] else z
                losses[i] += z
                out[k, i] = one if z > 0 else zero
    # The right output is pulled up as hard as all the others are pulled down.
    for i in range(n):
        bound[i] = 0
    for k in range(n_outputs):
        for i in range(n):
            bound[i] += out[k, i]
    for i in range(n):
        out[y[i], i] = -bound[i]


def binary_hinge(raw, y, margin, out):
    """See the numpy kernel."""
    return _binary(raw, y, margin, out, False, reference.binary_hinge)


def binary_squared_hinge(raw, y, margin, out):
    """See the numpy kernel."""
    return _binary(raw, y, margin, out, True, reference.binary_squared_hinge)


def _binary(raw, y, margin, out, squared, otherwise):
    y = np.asfortranarray(y)
    if not (raw.flags.f_contiguous and out.flags.f_contiguous):
        return otherwise(raw, y, margin, out)
    losses = np.zeros(len(raw), raw.dtype)
    _binary_hinge(raw.T, y.T, raw.dtype.type(margin), out.T, losses, squared)
    return losses


@compiled
def _binary_hinge(raw, y, margin, out, losses, squared):
    n_outputs, n = raw.shape
    one, two, zero = margin * 0 + 1, margin * 0 + 2, margin * 0
    for k in range(n_outputs):
        for i in range(n):
            sign = two * y[k, i] - one
            z = margin - sign * raw[k, i]
            z = zero if z <= 0 else z
            if squared:
                losses[i] += z * z
                out[k, i] = -two * sign * z
            else:
                losses[i] += z
                out[k, i] = -sign if z > 0 else zero


# Penalties and solvers


def add_l2_gradient(weights, alpha, grad):
    """See the numpy kernel."""
    return 0.5 * alpha * _add_l2_gradient(weights, weights.dtype.type(alpha), grad)


@compiled
def _add_l2_gradient(weights, alpha, grad):
    total = 0.0
    for i in range(weights.size):
        w = weights[i]
        grad[i] += alpha * w
        total += np.float64(w) * np.float64(w)
    return total


def l1_norm(weights):
    """See the numpy kernel."""
    return _l1_norm(weights)


@compiled
def _l1_norm(weights):
    total = 0.0
    for i in range(weights.size):
        total += np.float64(abs(weights[i]))
    return total


def soft_threshold(weights, alpha, step):
    """See the numpy kernel."""
    if np.isscalar(step):
        _soft_threshold(weights, weights.dtype.type(alpha * step))
    else:
        _soft_thresholds(weights, weights.dtype.type(alpha), step)


@compiled
def _soft_threshold(weights, cut):
    for i in range(weights.size):
        w = weights[i]
        weights[i] -= min(max(w, -cut), cut)


@compiled
def _soft_thresholds(weights, alpha, step):
    for i in range(weights.size):
        w, cut = weights[i], alpha * step[i]
        weights[i] -= min(max(w, -cut), cut)


def project_columns(W, norm):
    """See the numpy kernel."""
    _project_columns(W, W.dtype.type(norm), np.empty(W.shape[1], W.dtype))


@compiled
def _project_columns(W, norm, factor):
    for j in range(W.shape[1]):
        factor[j] = 0
    for i in range(W.shape[0]):
        for j in range(W.shape[1]):
            factor[j] += W[i, j] * W[i, j]
    longest = norm * 0
    for j in range(W.shape[1]):
        longest = longest if factor[j] <= longest else factor[j]
    if not longest <= norm * norm:
        for j in range(W.shape[1]):
            if factor[j] == np.inf:
                factor[j] = _huge_factor(W, j, norm)
            else:
                factor[j] = norm / np.sqrt(max(factor[j], norm * norm))
        for i in range(W.shape[0]):
            for j in range(W.shape[1]):
                W[i, j] *= factor[j]


@compiled_inside
def _huge_factor(W, j, norm):
    """Return what shortens a column whose squares overflow."""
    top, squares = norm * 0, norm * 0
    for i in range(W.shape[0]):
        top = max(top, abs(W[i, j]))
    for i in range(W.shape[0]):
        squares += (W[i, j] / top) ** 2
    return norm / top / np.sqrt(squares)


def sgd_step(theta, grad, velocity, rate, momentum, nesterov):
    """See the numpy kernel."""
    number = theta.dtype.type
    _sgd_step(theta, grad, velocity, number(rate), number(momentum), nesterov)


@compiled
def _sgd_step(theta, grad, velocity, rate, momentum, nesterov):
    for i in range(theta.size):
        g = rate * grad[i]
        v = momentum * velocity[i] - g
        velocity[i] = v
        theta[i] += momentum * v - g if nesterov else v


def adam_step(theta, grad, m, v, rate, beta_1, beta_2, epsilon):
    """See the numpy kernel."""
    number = theta.dtype.type
    _adam_step(
        theta,
        grad,
        m,
        v,
        number(rate),
        number(beta_1),
        number(beta_2),
        number(epsilon),
    )


@compiled
def _adam_step(theta, grad, m, v, rate, beta_1, beta_2, epsilon):
    for i in range(theta.size):
        g = grad[i]
        first = beta_1 * m[i] + g
        second = beta_2 * v[i] + g * g
        m[i] = first
        v[i] = second
        theta[i] -= rate * first / (np.sqrt(second) + epsilon)


def rmsprop_step(theta, grad, v, rate, rho, epsilon):
    """See the numpy kernel."""
    number = theta.dtype.type
    _rmsprop_step(theta, grad, v, number(rate), number(rho), number(epsilon))


@compiled
def _rmsprop_step(theta, grad, v, rate, rho, epsilon):
    for i in range(theta.size):
        g = grad[i]
        second = rho * v[i] + g * g
        v[i] = second
        theta[i] -= rate * g / (np.sqrt(second) + epsilon)
