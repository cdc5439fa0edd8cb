"""Whole training steps in one compiled function, for the most usual networks.

A step of a small network is mostly the cost of calling its two dozen operations. Here
many steps are one call, which holds no lock, so that fits in two threads share nothing.
They compute what ``sknn_notes._engine.training`` does batch by batch, for ReLU layers,
some losses, Adam and SGD.

What a network does without is an empty tuple, and the length of an argument that is a
tuple is decided when the function is compiled: nothing is compiled that is not used.
"""

from typing import NamedTuple

import numpy as np

from sknn_notes._kernels._numba import passes
from sknn_notes._kernels._numba.compile import compiled, compiled_inside
from sknn_notes._kernels._numba.network import (
    _bias_relu,
    _binary_hinge,
    _multiclass_hinge,
    _project_columns,
    _random_bits,
)


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
    place of every layer's outputs for its normalized inputs.
    """

    scale: np.ndarray
    stat: np.ndarray
    momentum: float
    eps: float
    running: np.ndarray
    batch: np.ndarray
    normalized: np.ndarray


class Buffers(NamedTuple):
    """Memory for a batch: outputs, gradients, random bits, losses, numbers a unit.

    ``bits`` are the same as ``words``.
    """

    outputs: np.ndarray
    deltas: np.ndarray
    words: np.ndarray
    bits: np.ndarray
    losses: np.ndarray
    factor: np.ndarray
    center: np.ndarray


class Solver(NamedTuple):
    """The solver's settings, and the penalty of stretches of theta.

    ``rates`` are those of the steps. ``settings`` are beta_1, beta_2 and epsilon of
    Adam, which remembers two arrays; momentum and whether it is Nesterov's of SGD,
    which remembers one. Stretch ``i`` of theta ends before ``ends[i]`` and has the
    strength ``alpha[i]``; ``decoupled`` makes it weight decay.
    """

    rates: np.ndarray
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
    squared,
    margin,
    solver,
):
    """Make one step for each batch.

    The loss is a hinge with this ``margin``, ``squared`` or not; without a margin it is
    the squared error or else the log loss.

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
        value = _loss(y, weights, layers, buffers, squared, margin) / n
        if not np.isfinite(value):
            return value
        _backward(X, layers, norms, buffers, theta, grad)
        value += _update(theta, grad, memory, solver, step)
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
        if layers.drops[i]:
            _random_bits(keys[n_keys], buffers.words[: (n * width + 1) // 2])
            n_keys += 1
        threshold, keep_scale = layers.threshold[i], layers.keep_scale[i]
        if len(norms) == 0:
            np.dot(A, W, Z)
            if layers.drops[i]:
                passes.bias_relu_dropout(Z, b, buffers.bits, threshold, keep_scale)
            else:
                _bias_relu(Z, b)
        else:
            raw = _matrix(norms.normalized, layers.out[i], n, width)
            np.dot(A, W, raw)
            scale = theta[norms.scale[i] : norms.scale[i] + width]
            stat = slice(norms.stat[i], norms.stat[i] + width)
            mean, var = norms.batch[0, stat], norms.batch[1, stat]
            center = buffers.center[:width]
            # Where the mean is expected makes one pass over memory enough for both.
            passes.mean_and_var(raw, norms.running[0, stat], mean, var, center)
            passes.norm_relu(raw, center, var, norms.eps, scale, b, buffers.factor, Z)
            passes.mix(norms.running[0, stat], mean, norms.momentum, 1.0)
            passes.mix(norms.running[1, stat], var, norms.momentum, n / (n - 1))
            if layers.drops[i]:
                passes.drop(Z, buffers.bits, threshold, keep_scale)
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
def _loss(y, weights, layers, buffers, squared, margin):
    """Return the sum of the weighted losses; write their gradient, divided by n."""
    i, n = len(layers.units) - 2, len(y)
    n_outputs = layers.units[i + 1]
    raw = _matrix(buffers.outputs, layers.out[i], n_outputs, n)
    out = _matrix(buffers.deltas, layers.out[i], n_outputs, n)
    losses, spare = buffers.losses[0, :n], buffers.losses[1, :n]
    if y.ndim == 1:
        if len(margin) == 0:
            passes.softmax(raw, y, out, losses, spare)
        else:
            _multiclass_hinge(raw, y, margin[0], out, losses, spare, squared)
    else:
        for j in range(n):
            losses[j] = 0
        if len(margin) == 0:
            if squared:
                passes.squared_error(raw, y.T, out, losses)
            else:
                passes.logistic(raw, y.T, out, losses)
        else:
            _binary_hinge(raw, y.T, margin[0], out, losses, squared)
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
        if len(norms) == 0:
            passes.relu_backward_bias(delta, A, layers.keep_scale[i], db)
        else:
            normalized = _matrix(norms.normalized, layers.out[i], n, width)
            at = norms.scale[i]
            scale, dscale = theta[at : at + width], grad[at : at + width]
            var = norms.batch[1, norms.stat[i] : norms.stat[i] + width]
            passes.norm_relu_backward(
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
def _update(theta, grad, memory, solver, step):
    """Make the solver's step, penalty included; return the penalty before it."""
    penalty, start = 0.0, 0
    rate, t = solver.rates[step], solver.t + step + 1
    for s in range(len(solver.ends)):
        end, alpha = solver.ends[s], solver.alpha[s]
        w, g, m = theta[start:end], grad[start:end], memory[0][start:end]
        pull = 0.0 if solver.decoupled else alpha
        keep = 1 - rate * alpha if solver.decoupled else 1.0
        if len(memory) == 2:
            v = memory[1][start:end]
            squares = passes.adam(w, g, m, v, rate, t, solver.settings, pull, keep)
        else:
            squares = passes.sgd(w, g, m, rate, solver.settings, pull)
        if alpha > 0:  # 0 times infinity is NaN.
            penalty += 0.5 * alpha * squares
        start = end
    return penalty


@compiled_inside
def _project(max_norms, layers, buffers, theta):
    if len(max_norms) > 0:
        for i in range(len(layers.units) - 1):
            W = _matrix(theta, layers.W[i], layers.units[i], layers.units[i + 1])
            if max_norms[0][i] < np.inf:
                _project_columns(W, max_norms[0][i], buffers.factor[: W.shape[1]])
