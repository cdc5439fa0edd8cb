"""Whole training steps in one compiled function, for the most usual networks.

A step of a small network is mostly the cost of calling its two dozen operations. Here
many steps are one call, which holds no lock, so that fits in two threads share nothing.
They compute what ``sknn_notes._engine.training`` does batch by batch, for ReLU layers
some losses, Adam and SGD.

What a network does without is None, and a test of an argument for None is decided when
the function is compiled: nothing is compiled that is not used.
"""

from typing import NamedTuple

import numpy as np

from sknn_notes._kernels._numba.compile import compiled, compiled_inside
from sknn_notes._kernels._numba.network import (
    _bias_relu,
    _binary_hinge,
    _multiclass_hinge,
    _normalize,
    _project_columns,
    _random_bits,
    _shift_by_top,
)

LOSSES = {"log_loss": 0, "hinge": 1, "squared_hinge": 2, "squared_error": 3}
_LOG_LOSS, _HINGE, _SQUARED_HINGE, _SQUARED_ERROR = range(4)

# Terms of a sum that are added in the type of the network before float64 takes over.
_SUM_SIZE = 1024


class Rows(NamedTuple):
    """The rows of several batches, one batch after the other.

    ``y`` holds class indices, or targets with a column per output. ``weights`` is empty
    where all are 1. ``keys`` tell the random bits of dropout, batch by batch and layer
    by layer. Batch ``i`` is the rows from ``edges[i]`` to ``edges[i + 1]``.
    """

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    keys: np.ndarray
    edges: np.ndarray


class Layers(NamedTuple):
    """The network: sizes, places within the flat vectors, and what each layer does.

    ``units`` are the numbers of inputs, hidden units and outputs. ``W`` and ``b`` are
    where each layer's parameters start in theta, ``out`` is where its outputs start in
    a buffer. Of a layer that ``drops``, a unit is kept where its bits are at most
    ``threshold``, and multiplied by ``keep_scale``.
    """

    units: np.ndarray
    W: np.ndarray
    b: np.ndarray
    out: np.ndarray
    drops: np.ndarray
    threshold: np.ndarray
    keep_scale: np.ndarray


class Normalizers(NamedTuple):
    """Batch norm: where each layer's scale and averages start, and what it computes.

    ``running`` and ``batch`` are rows of means and of variances; ``normalized`` has the
    place of every layer's outputs for its normalised inputs.
    """

    scale: np.ndarray
    stat: np.ndarray
    momentum: float
    eps: float
    running: np.ndarray
    batch: np.ndarray
    normalized: np.ndarray


class Buffers(NamedTuple):
    """Memory for a batch: outputs, gradients, random bits, losses, a factor a unit."""

    outputs: np.ndarray
    deltas: np.ndarray
    bits: np.ndarray
    losses: np.ndarray
    factor: np.ndarray


class Solver(NamedTuple):
    """The solver's settings, and the penalty of stretches of theta.

    ``settings`` are beta_1, beta_2 and epsilon of Adam, which remembers two arrays;
    momentum and whether it is Nesterov's of SGD, which remembers one. Stretch ``i`` of
    theta ends before ``ends[i]`` and has the strength ``alpha[i]``; ``decoupled`` makes
    it weight decay.
    """

    rate: float
    t: int
    settings: tuple
    ends: np.ndarray
    alpha: np.ndarray
    decoupled: bool


@compiled
def train_steps(
    rows,
    layers,
    norms,
    max_norms,
    buffers,
    theta,
    grad,
    memory,
    loss,
    margin,
    solver,
):
    """Make one step for each batch.

    Returns
    -------
    total : float
        The sum of the objectives of the batches, each times its number of rows; the
        objective itself where it is not finite, and then no step is made after it.
    """
    total, n_keys = 0.0, rows.edges[0]
    for step in range(len(rows.edges) - 1):
        first, last = rows.edges[step], rows.edges[step + 1]
        n = last - first
        X = rows.X[first:last]
        y, weights = rows.y[first:last], rows.weights[first:last]
        n_keys = _forward(X, rows.keys, n_keys, layers, norms, buffers, theta)
        value = _loss(y, weights, layers, buffers, loss, margin) / n
        if not np.isfinite(value):
            return value
        _backward(X, layers, norms, buffers, theta, grad)
        value += _update(theta, grad, memory, solver, solver.t + step + 1)
        _project(max_norms, layers, buffers, theta)
        total += value * n
    return total


@compiled_inside
def _matrix(flat, start, n_rows, n_columns):
    return flat[start : start + n_rows * n_columns].reshape(n_rows, n_columns)


@compiled_inside
def _forward(X, keys, n_keys, layers, norms, buffers, theta):
    """Fill the outputs of all layers; return how many keys are used up by then."""
    units, n = layers.units, len(X)
    A = X
    for i in range(len(units) - 2):
        width = units[i + 1]
        W = _matrix(theta, layers.W[i], units[i], width)
        b = theta[layers.b[i] : layers.b[i] + width]
        Z = _matrix(buffers.outputs, layers.out[i], n, width)
        if norms is None:
            np.dot(A, W, Z)
        else:
            raw = _matrix(norms.normalized, layers.out[i], n, width)
            np.dot(A, W, raw)
            scale = theta[norms.scale[i] : norms.scale[i] + width]
            stat = slice(norms.stat[i], norms.stat[i] + width)
            mean, var = norms.batch[0, stat], norms.batch[1, stat]
            # Where the mean is expected makes one pass over memory enough for both.
            _mean_and_var(raw, norms.running[0, stat], mean, var)
            _norm_relu(raw, mean, var, norms.eps, scale, b, buffers.factor, Z)
            _mix(norms.running[0, stat], mean, norms.momentum, 1.0)
            _mix(norms.running[1, stat], var, norms.momentum, n / (n - 1))
        if norms is None and not layers.drops[i]:
            _bias_relu(Z, b)
        elif layers.drops[i]:
            words = buffers.bits[: (n * width + 1) // 2]
            _random_bits(keys[n_keys], words)
            n_keys += 1
            bits, scale = words.view(np.uint16), layers.keep_scale[i]
            if norms is None:
                _bias_relu_dropout(Z, b, bits, layers.threshold[i], scale)
            else:
                _drop(Z, bits, layers.threshold[i], scale)
        A = Z
    # The raw outputs of all samples lie together: (n_outputs, n).
    i = len(units) - 2
    W = _matrix(theta, layers.W[i], units[i], units[i + 1])
    raw = _matrix(buffers.outputs, layers.out[i], units[i + 1], n)
    np.dot(W.T, A.T, raw)
    for k in range(units[i + 1]):
        b = theta[layers.b[i] + k]
        for j in range(n):
            raw[k, j] += b
    return n_keys


@compiled_inside
def _mix(running, batch, momentum, factor):
    momentum, factor = running.dtype.type(momentum), running.dtype.type(factor)
    for j in range(len(running)):
        running[j] += momentum * (factor * batch[j] - running[j])


@compiled_inside
def _mean_and_var(X, near, mean, var):
    """Mean and biased variance of the columns, in one pass if ``near`` is near."""
    share = X.dtype.type(1) / X.dtype.type(len(X))
    far = _shifted_moments(X, near, mean, var, share)
    if far:
        # The square of the shift would drown the variance: shift by the mean itself.
        _shifted_moments(X, mean.copy(), mean, var, share)


@compiled_inside
def _shifted_moments(X, shift, mean, var, share):
    n, n_units = X.shape
    for j in range(n_units):
        mean[j] = 0
        var[j] = 0
    for i in range(n):
        for j in range(n_units):
            x = X[i, j] - shift[j]
            mean[j] += x
            var[j] += x * x
    far = False
    for j in range(n_units):
        m = mean[j] * share
        var[j] = var[j] * share - m * m
        far |= m * m > var[j]
        mean[j] = m + shift[j]
    return far


@compiled_inside
def _norm_relu(X, mean, var, eps, scale, shift, factor, out):
    """Normalise ``X`` in place; write the ReLU of its scaled and shifted values."""
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
def _drop(A, bits, threshold, scale):
    zero, n_units = A.dtype.type(0), A.shape[1]
    for i in range(A.shape[0]):
        row = bits[i * n_units : (i + 1) * n_units]
        for j in range(n_units):
            A[i, j] *= scale if row[j] <= threshold else zero


@compiled_inside
def _bias_relu_dropout(Z, b, bits, threshold, scale):
    zero = b.dtype.type(0)
    for i in range(Z.shape[0]):
        row = bits[i * len(b) : (i + 1) * len(b)]
        for j in range(len(b)):
            z = Z[i, j] + b[j]
            z = zero if z < 0 else z
            # NaN times 0 is NaN.
            Z[i, j] = z * (scale if row[j] <= threshold else zero)


@compiled_inside
def _loss(y, weights, layers, buffers, loss, margin):
    """Return the sum of the weighted losses; write their gradient, divided by n."""
    i, n = len(layers.units) - 2, len(y)
    n_outputs = layers.units[i + 1]
    raw = _matrix(buffers.outputs, layers.out[i], n_outputs, n)
    out = _matrix(buffers.deltas, layers.out[i], n_outputs, n)
    losses, spare = buffers.losses[0, :n], buffers.losses[1, :n]
    if y.ndim == 1:
        if margin is None:
            _softmax(raw, y, out, losses, spare)
        else:
            squared = loss == _SQUARED_HINGE
            _multiclass_hinge(raw, y, margin, out, losses, spare, squared)
    else:
        for j in range(n):
            losses[j] = 0
        if margin is None:
            if loss == _LOG_LOSS:
                _logistic(raw, y.T, out, losses)
            else:
                _squared_error(raw, y.T, out, losses)
        else:
            squared = loss == _SQUARED_HINGE
            _binary_hinge(raw, y.T, margin, out, losses, squared)
    share = losses.dtype.type(1 / n)
    total = 0.0
    if len(weights) == 0:
        for k in range(n_outputs):
            for j in range(n):
                out[k, j] *= share
        for j in range(n):
            total += losses[j]
    else:
        for k in range(n_outputs):
            for j in range(n):
                out[k, j] *= share * weights[j]
        for j in range(n):
            total += losses[j] * weights[j]
    return total


@compiled_inside
def _softmax(raw, y, out, losses, total):
    _shift_by_top(raw, y, out, losses, total)
    for k in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[k, i] = np.exp(out[k, i])
    _normalize(out, y, total)
    for i in range(len(losses)):
        losses[i] = np.log(total[i]) - losses[i]


@compiled_inside
def _logistic(raw, y, out, losses):
    one, zero = raw.dtype.type(1), raw.dtype.type(0)
    for k in range(raw.shape[0]):
        for i in range(raw.shape[1]):
            z = raw[k, i]
            e = np.exp(-abs(z))
            losses[i] += np.log1p(e) + (zero if z < 0 else z) - y[k, i] * z
            out[k, i] = (e if z < 0 else one) / (one + e) - y[k, i]


@compiled_inside
def _squared_error(raw, y, out, losses):
    half = raw.dtype.type(0.5)
    for k in range(raw.shape[0]):
        for i in range(raw.shape[1]):
            error = raw[k, i] - y[k, i]
            losses[i] += half * error * error
            out[k, i] = error


@compiled_inside
def _backward(X, layers, norms, buffers, theta, grad):
    """Fill the gradients, from the outputs down to the inputs."""
    units, n = layers.units, len(X)
    i = len(units) - 2
    n_outputs = units[i + 1]
    out = _matrix(buffers.deltas, layers.out[i], n_outputs, n)
    for k in range(n_outputs):
        total = grad.dtype.type(0)
        for j in range(n):
            total += out[k, j]
        grad[layers.b[i] + k] = total
    W = _matrix(theta, layers.W[i], units[i], n_outputs)
    dW = _matrix(grad, layers.W[i], units[i], n_outputs)
    if i == 0:
        np.dot(X.T, out.T, dW)
        return
    A = _matrix(buffers.outputs, layers.out[i - 1], n, units[i])
    delta = _matrix(buffers.deltas, layers.out[i - 1], n, units[i])
    np.dot(A.T, out.T, dW)
    np.dot(out.T, W.T, delta)
    for i in range(len(units) - 3, -1, -1):
        width = units[i + 1]
        db = grad[layers.b[i] : layers.b[i] + width]
        if norms is None:
            _relu_backward_bias(delta, A, layers.keep_scale[i], db)
        else:
            normalized = _matrix(norms.normalized, layers.out[i], n, width)
            at = norms.scale[i]
            scale, dscale = theta[at : at + width], grad[at : at + width]
            var = norms.batch[1, norms.stat[i] : norms.stat[i] + width]
            _norm_relu_backward(
                delta,
                A,
                layers.keep_scale[i],
                normalized,
                var,
                norms.eps,
                scale,
                db,
                dscale,
                buffers.factor,
            )
        W = _matrix(theta, layers.W[i], units[i], width)
        dW = _matrix(grad, layers.W[i], units[i], width)
        if i == 0:
            np.dot(X.T, delta, dW)
        else:
            A = _matrix(buffers.outputs, layers.out[i - 1], n, units[i])
            below = _matrix(buffers.deltas, layers.out[i - 1], n, units[i])
            np.dot(A.T, delta, dW)
            np.dot(delta, W.T, below)
            delta = below


@compiled_inside
def _relu_backward_bias(delta, A, scale, db):
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
def _norm_relu_backward(
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
def _update(theta, grad, memory, solver, t):
    """Make the solver's step, penalty included; return the penalty before it."""
    penalty, start = 0.0, 0
    for s in range(len(solver.ends)):
        end, alpha = solver.ends[s], solver.alpha[s]
        w, g, m = theta[start:end], grad[start:end], memory[0][start:end]
        pull = 0.0 if solver.decoupled else alpha
        keep = 1 - solver.rate * alpha if solver.decoupled else 1.0
        if len(memory) == 2:
            v = memory[1][start:end]
            squares = _adam(w, g, m, v, solver.rate, t, solver.settings, pull, keep)
        else:
            squares = _sgd(w, g, m, solver.rate, solver.settings, pull)
        penalty += 0.5 * alpha * squares
        start = end
    return penalty


@compiled_inside
def _adam(theta, grad, m, v, rate, t, settings, pull, keep):
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
def _sgd(theta, grad, velocity, rate, settings, pull):
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


@compiled_inside
def _project(max_norms, layers, buffers, theta):
    if max_norms is not None:
        for i in range(len(max_norms)):
            W = _matrix(theta, layers.W[i], layers.units[i], layers.units[i + 1])
            if max_norms[i] < np.inf:
                _project_columns(W, max_norms[i], buffers.factor[: W.shape[1]])
