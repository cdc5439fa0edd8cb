"""Single passes over memory that whole steps are made of, beside the kernels'."""

import numpy as np

from sknn_notes._kernels._numba.compile import compiled_inside
from sknn_notes._kernels._numba.network import _normalize, _shift_by_top, _subtract

# Terms of a sum that are added in the type of the network before float64 takes over.
_SUM_SIZE = 1024


@compiled_inside
def bias_relu_dropout(Z, b, bits, threshold, scale):
    zero = b.dtype.type(0)
    for i in range(Z.shape[0]):
        row = bits[i * len(b) : (i + 1) * len(b)]
        for j in range(len(b)):
            z = Z[i, j] + b[j]
            z = zero if z < 0 else z
            # NaN times 0 is NaN.
            Z[i, j] = z * (scale if row[j] <= threshold else zero)


@compiled_inside
def drop(A, bits, threshold, scale):
    zero, n_units = A.dtype.type(0), A.shape[1]
    for i in range(A.shape[0]):
        row = bits[i * n_units : (i + 1) * n_units]
        for j in range(n_units):
            A[i, j] *= scale if row[j] <= threshold else zero


@compiled_inside
def relu_backward_bias(delta, A, scale, db):
    """Derivative of the ReLU and of dropout, which ``A`` tells, and its column sums."""
    zero = delta.dtype.type(0)
    for j in range(len(db)):
        db[j] = 0
    for i in range(delta.shape[0]):
        for j in range(delta.shape[1]):
            d = delta[i, j] * (scale if A[i, j] > 0 else zero)
            delta[i, j] = d
            db[j] += d


@compiled_inside
def mean_and_var(X, near, mean, var, center):
    """Mean and biased variance of the columns, in one pass if ``near`` is near.

    Else ``X`` is moved. ``center`` is the mean of ``X`` as it is left.
    """
    n, n_units = X.shape
    share = X.dtype.type(1) / X.dtype.type(n)
    for j in range(n_units):
        mean[j] = 0
        var[j] = 0
    for i in range(n):
        for j in range(n_units):
            x = X[i, j] - near[j]
            mean[j] += x
            var[j] += x * x
    far = False
    for j in range(n_units):
        m = mean[j] * share
        var[j] = var[j] * share - m * m
        far |= m * m > var[j]
        mean[j] = m + near[j]
        center[j] = mean[j]
    if far:
        # The square of the shift would drown the variance.
        _subtract(X, mean, center, var)


@compiled_inside
def norm_relu(X, mean, var, eps, scale, shift, factor, out):
    """Normalize ``X`` in place; write the ReLU of its scaled and shifted values."""
    n, n_units = X.shape
    one, zero = X.dtype.type(1), X.dtype.type(0)
    for j in range(n_units):
        factor[j] = one / np.sqrt(var[j] + eps)
    for i in range(n):
        for j in range(n_units):
            x = (X[i, j] - mean[j]) * factor[j]
            X[i, j] = x
            z = x * scale[j] + shift[j]
            out[i, j] = zero if z < 0 else z


@compiled_inside
def norm_relu_backward(
    delta, A, keep, normalized, var, eps, scale, dshift, dscale, factor
):
    """Derivative of ReLU, dropout and batch norm, in two passes over memory."""
    n, n_units = delta.shape
    zero = delta.dtype.type(0)
    share = delta.dtype.type(1) / delta.dtype.type(n)
    for j in range(n_units):
        dshift[j] = 0
        dscale[j] = 0
        factor[j] = scale[j] / np.sqrt(var[j] + eps)
    for i in range(n):
        for j in range(n_units):
            d = delta[i, j] * (keep if A[i, j] > 0 else zero)
            delta[i, j] = d
            dshift[j] += d
            dscale[j] += d * normalized[i, j]
    for i in range(n):
        for j in range(n_units):
            pull = share * (dshift[j] + normalized[i, j] * dscale[j])
            delta[i, j] = (delta[i, j] - pull) * factor[j]


@compiled_inside
def mix(running, batch, momentum, factor):
    momentum, factor = running.dtype.type(momentum), running.dtype.type(factor)
    for j in range(len(running)):
        running[j] += momentum * (factor * batch[j] - running[j])


@compiled_inside
def softmax(raw, y, out, losses, total):
    _shift_by_top(raw, y, out, losses, total)
    for k in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[k, i] = np.exp(out[k, i])
    _normalize(out, y, total)
    for i in range(len(losses)):
        losses[i] = np.log(total[i]) - losses[i]


@compiled_inside
def logistic(raw, y, out, losses):
    one, zero = raw.dtype.type(1), raw.dtype.type(0)
    for k in range(raw.shape[0]):
        for i in range(raw.shape[1]):
            z = raw[k, i]
            e = np.exp(-abs(z))
            losses[i] += np.log1p(e) + (zero if z < 0 else z) - y[k, i] * z
            out[k, i] = (e if z < 0 else one) / (one + e) - y[k, i]


@compiled_inside
def squared_error(raw, y, out, losses):
    half = raw.dtype.type(0.5)
    for k in range(raw.shape[0]):
        for i in range(raw.shape[1]):
            error = raw[k, i] - y[k, i]
            losses[i] += half * error * error
            out[k, i] = error


@compiled_inside
def adam(theta, grad, m, v, rate, t, settings, pull, keep):
    """Adam as ``sknn_notes.optimizers.Adam`` scales it, with L2 or weight decay."""
    beta_1, beta_2, epsilon = settings
    root = np.sqrt(1 - beta_2)
    correction = np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    number = theta.dtype.type
    rate = number(rate * correction * (1 - beta_1) / root)
    epsilon, beta_1, beta_2 = number(epsilon / root), number(beta_1), number(beta_2)
    pull, keep = number(pull), number(keep)
    squares = 0.0
    for start in range(0, len(theta), _SUM_SIZE):
        w, g = theta[start : start + _SUM_SIZE], grad[start : start + _SUM_SIZE]
        m_, v_ = m[start : start + _SUM_SIZE], v[start : start + _SUM_SIZE]
        part = number(0)
        for i in range(len(w)):
            part += w[i] * w[i]
            slope = g[i] + pull * w[i]
            first = beta_1 * m_[i] + slope
            second = beta_2 * v_[i] + slope * slope
            m_[i] = first
            v_[i] = second
            w[i] = keep * w[i] - rate * first / (np.sqrt(second) + epsilon)
        squares += part
    return squares


@compiled_inside
def sgd(theta, grad, velocity, rate, settings, pull):
    number = theta.dtype.type
    momentum, nesterov = number(settings[0]), settings[1] > 0
    rate, pull = number(rate), number(pull)
    squares = 0.0
    for start in range(0, len(theta), _SUM_SIZE):
        w, g = theta[start : start + _SUM_SIZE], grad[start : start + _SUM_SIZE]
        v = velocity[start : start + _SUM_SIZE]
        part = number(0)
        for i in range(len(w)):
            part += w[i] * w[i]
            step = rate * (g[i] + pull * w[i])
            moved = momentum * v[i] - step
            v[i] = moved
            w[i] += momentum * moved - step if nesterov else moved
        squares += part
    return squares
