"""Compiled operations of a step, except layers: loss, penalty and update."""

import numpy as np

from sknn_notes._compile import cast, fill, helper, matrix

# Number of terms that are added in the dtype of the network, before float64.
_SUM_SIZE = 1024


# The loss. Operands: positions of the raw outputs, of their gradient, of the losses,
# and of scratch memory of the same size; numbers of raw outputs and of targets; the
# table of the loss.


def class_loss(loops):
    def operation(m, at, numbers, n, key, t):
        raw, out = matrix(m.work, at[0], at[4], n), matrix(m.work, at[1], at[4], n)
        losses, spare = m.work[at[2] : at[2] + n], m.work[at[3] : at[3] + n]
        loops(raw, m.classes, out, losses, spare, numbers, at[6:])
        return mean_loss(losses, m.weights, out)

    return operation


def loss(loops):
    def operation(m, at, numbers, n, key, t):
        raw, out = matrix(m.work, at[0], at[4], n), matrix(m.work, at[1], at[4], n)
        losses, spare = m.work[at[2] : at[2] + n], m.work[at[3] : at[3] + n]
        y = matrix(m.targets, 0, n, at[5]).T
        loops(raw, y, out, losses, spare, numbers, at[6:])
        return mean_loss(losses, m.weights, out)

    return operation


@helper
def mean_loss(losses, weights, out):
    """Return the mean of the weighted losses; scale their gradient to that of it."""
    n_outputs, n = out.shape
    share = cast(1 / n, losses[0])
    total = 0.0
    if len(weights) == 0:
        for k in range(n_outputs):
            for i in range(n):
                out[k, i] *= share
        for i in range(n):
            total += losses[i]
    else:
        for k in range(n_outputs):
            for i in range(n):
                out[k, i] *= share * weights[i]
        for i in range(n):
            total += losses[i] * weights[i]
    return total / n


def chosen_loss(loops):
    """Return the operation for the mean loss of chosen outputs.

    Operands: positions of the raw outputs, of their gradient, of the losses, and of
    scratch memory of the same size; the number of outputs of each sample alone, and the
    number of rows that there is room for. See ``ChosenOutputs`` for their layout.
    """

    def operation(m, at, numbers, n, key, t):
        n_own = at[4]
        n_shared = 0
        for j in range(n * n_own, len(m.classes)):
            n_shared += m.classes[j] >= 0
        own, out = matrix(m.work, at[0], n, n_own), matrix(m.work, at[1], n, n_own)
        first = at[5] * n_own
        shared = matrix(m.work, at[0] + first, n_shared, n)
        shared_out = matrix(m.work, at[1] + first, n_shared, n)
        losses, spare = m.work[at[2] : at[2] + n], m.work[at[3] : at[3] + n]
        places = m.classes[: n * n_own].reshape(n, n_own)
        targets = matrix(m.targets, 0, n, n_own)
        loops(own, places, targets, shared, out, shared_out, losses, spare)
        share = cast(1 / n, losses[0])
        for i in range(n):
            weight = share * m.weights[i] if len(m.weights) else share
            for j in range(n_own):
                out[i, j] *= weight
        return mean_loss(losses, m.weights, shared_out)

    return operation


# Operations on theta and its gradient, slice by slice. Operands: the ends of the
# slices; the last one ends with the part of theta that is in use.


def penalize(m, at, numbers, n, key, t):
    """Add the gradient of the L2 term; numbers of a slice: L1, L2, L2 to add."""
    value, start = 0.0, 0
    for s in range(len(at)):
        stop = min(at[s], len(m.theta))
        pull = cast(numbers[3 * s + 2], m.theta[0])
        squares, sizes = 0.0, 0.0
        for first in range(start, stop, _SUM_SIZE):
            last = min(stop, first + _SUM_SIZE)
            w, g = m.theta[first:last], m.grad[first:last]
            square, size = cast(0, pull), cast(0, pull)
            for i in range(len(w)):
                square += w[i] * w[i]
                size += abs(w[i])
                g[i] += pull * w[i]
            squares += square
            sizes += size
        value += penalty_value(numbers[3 * s], numbers[3 * s + 1], sizes, squares)
        start = stop
    return value


@helper
def penalty_value(l1, l2, sizes, squares):
    """Return the penalty from sums, avoiding 0 times infinity."""
    value = 0.0
    if l1 > 0:
        value += l1 * sizes
    if l2 > 0:
        value += 0.5 * l2 * squares
    return value


def clip(m, at, numbers, n, key, t):
    """Clip the norm of the gradient."""
    total = 0.0
    for first in range(0, len(m.grad), _SUM_SIZE):
        g = m.grad[first : first + _SUM_SIZE]
        part = cast(0, m.grad[0])
        for i in range(len(g)):
            part += g[i] * g[i]
        total += part
    if total == np.inf:
        # Squares of float32 overflow, those of float64 do not.
        total = 0.0
        for i in range(len(m.grad)):
            total += np.float64(m.grad[i]) ** 2
    if total > numbers[0] ** 2:
        factor = cast(numbers[0] / np.sqrt(total), m.grad[0])
        for i in range(len(m.grad)):
            m.grad[i] *= factor
    return 0.0


# The solver. Numbers: the learning rate, those of the solver, then for each slice the
# strengths of the L1 term, of the L1 and the L2 term in the value, of the L2 term that
# is added to the gradient, and of weight decay. Operands: how many numbers the solver
# has, then the ends of the slices.


def smooth_update(constants, move):
    """Return the step of a solver with one array of memory."""

    def operation(m, at, numbers, n, key, t):
        p = constants(numbers[1 : 1 + at[0]], numbers[0], t, m.theta[0])
        value, start, zero = 0.0, 0, cast(0, m.theta[0])
        for s in range(len(at) - 1):
            stop = min(at[1 + s], len(m.theta))
            _, _, l2, pull, keep = slice_numbers(numbers, at[0], s, m.theta[0])
            squares = 0.0
            for first in range(start, stop, _SUM_SIZE):
                last = min(stop, first + _SUM_SIZE)
                w, g, a = m.theta[first:last], m.grad[first:last], m.first[first:last]
                part = zero
                for i in range(len(w)):
                    part += w[i] * w[i]
                    w[i], a[i], _ = move(keep * w[i], g[i] + pull * w[i], a[i], zero, p)
                squares += part
            value += penalty_value(0.0, l2, 0.0, squares)
            start = stop
        return value

    return operation


def smooth_update_of_two(constants, move):
    """Return the step of a solver with two arrays of memory."""

    def operation(m, at, numbers, n, key, t):
        p = constants(numbers[1 : 1 + at[0]], numbers[0], t, m.theta[0])
        value, start, zero = 0.0, 0, cast(0, m.theta[0])
        for s in range(len(at) - 1):
            stop = min(at[1 + s], len(m.theta))
            _, _, l2, pull, keep = slice_numbers(numbers, at[0], s, m.theta[0])
            squares = 0.0
            for first in range(start, stop, _SUM_SIZE):
                last = min(stop, first + _SUM_SIZE)
                w, g = m.theta[first:last], m.grad[first:last]
                a, b = m.first[first:last], m.second[first:last]
                part = zero
                for i in range(len(w)):
                    part += w[i] * w[i]
                    w[i], a[i], b[i] = move(
                        keep * w[i], g[i] + pull * w[i], a[i], b[i], p
                    )
                squares += part
            value += penalty_value(0.0, l2, 0.0, squares)
            start = stop
        return value

    return operation


def proximal_update(constants, move, size, settle):
    """Return the step of a solver, with the soft threshold of each weight."""

    def operation(m, at, numbers, n, key, t):
        p = constants(numbers[1 : 1 + at[0]], numbers[0], t, m.theta[0])
        value, start, zero = 0.0, 0, cast(0, m.theta[0])
        two = len(m.second) > 0
        for s in range(len(at) - 1):
            stop = min(at[1 + s], len(m.theta))
            l1, shown, l2, pull, keep = slice_numbers(numbers, at[0], s, m.theta[0])
            strength = cast(l1, zero)
            squares, sizes = 0.0, 0.0
            for first in range(start, stop, _SUM_SIZE):
                last = min(stop, first + _SUM_SIZE)
                w, g, a = m.theta[first:last], m.grad[first:last], m.first[first:last]
                # Without a second array, b is the first one, which is written last.
                b = m.second[first:last] if two else a
                square, length = zero, zero
                for i in range(len(w)):
                    square += w[i] * w[i]
                    length += abs(w[i])
                    v, c, d = move(keep * w[i], g[i] + pull * w[i], a[i], b[i], p)
                    cut = strength * size(c, d, p)
                    v -= min(max(v, -cut), cut)
                    w[i], c, b[i] = settle(v, c, d, p)
                    a[i] = c
                squares += square
                sizes += length
            value += penalty_value(shown, l2, sizes, squares)
            start = stop
        return value

    return operation


def begin_proximal(constants, move, size):
    """Return the step before a proximal step; step sizes overwrite the gradient."""

    def operation(m, at, numbers, n, key, t):
        p = constants(numbers[1 : 1 + at[0]], numbers[0], t, m.theta[0])
        start, two = 0, len(m.second) > 0
        for s in range(len(at) - 1):
            stop = min(at[1 + s], len(m.theta))
            _, _, _, pull, keep = slice_numbers(numbers, at[0], s, m.theta[0])
            w, g = m.theta[start:stop], m.grad[start:stop]
            a = m.first[start:stop]
            b = m.second[start:stop] if two else a
            for i in range(len(w)):
                w[i], c, d = move(keep * w[i], g[i] + pull * w[i], a[i], b[i], p)
                b[i] = d
                a[i] = c
                g[i] = size(c, d, p)
            start = stop
        return 0.0

    return operation


def end_proximal(constants, settle):
    """Return the operation after a proximal step."""

    def operation(m, at, numbers, n, key, t):
        p = constants(numbers[1 : 1 + at[0]], numbers[0], t, m.theta[0])
        two = len(m.second) > 0
        b = m.second if two else m.first
        for i in range(len(m.theta)):
            m.theta[i], c, b[i] = settle(m.theta[i], m.first[i], b[i], p)
            m.first[i] = c
        return 0.0

    return operation


@helper
def slice_numbers(numbers, n_solver, s, like):
    """Return the numbers of a slice, for weight decay the factor of a step."""
    first = 1 + n_solver + 5 * s
    return (
        numbers[first],
        numbers[first + 1],
        numbers[first + 2],
        cast(numbers[first + 3], like),
        cast(1 - numbers[0] * numbers[first + 4], like),
    )


def soft_threshold(m, at, numbers, n, key, t):
    """Shrink weights towards 0 by the strength of the slice times the step size."""
    start = 0
    for s in range(len(at)):
        stop = min(at[s], len(m.theta))
        strength = cast(numbers[s], m.theta[0])
        w, g = m.theta[start:stop], m.grad[start:stop]
        for i in range(len(w)):
            cut = strength * g[i]
            w[i] -= min(max(w[i], -cut), cut)
        start = stop
    return 0.0


# Matrices. Operands: position and shape of a matrix, and room for three of its rows.


def matrix_value(loops):
    def operation(m, at, numbers, n, key, t):
        W, spare = matrix(m.theta, at[0], at[1], at[2]), matrix(m.work, at[3], 3, at[2])
        return loops(W, numbers[0], numbers[1:], spare)

    return operation


def matrix_prox(loops):
    def operation(m, at, numbers, n, key, t):
        W = matrix(m.theta, at[0], at[1], at[2])
        steps = matrix(m.grad, at[0], at[1], at[2])
        loops(W, steps, numbers[0], numbers[1:], matrix(m.work, at[3], 3, at[2]))
        return 0.0

    return operation


def project(m, at, numbers, n, key, t):
    """Scale the columns of a matrix to at most a maximum norm.

    The last operand is whether the matrix is transposed.
    """
    W, norm = matrix(m.theta, at[0], at[1], at[2]), cast(numbers[0], m.theta[0])
    if at[4]:
        for j in range(at[2]):
            start = at[0] + j * at[1]
            shorten(m.theta[start : start + at[1]], norm)
        return 0.0
    factor = m.work[at[3] : at[3] + at[2]]
    fill(factor, 0)
    for i in range(at[1]):
        for j in range(at[2]):
            factor[j] += W[i, j] * W[i, j]
    longest = cast(0, norm)
    for j in range(at[2]):
        longest = longest if factor[j] <= longest else factor[j]
    if not longest <= norm * norm:
        for j in range(at[2]):
            if factor[j] == np.inf:
                factor[j] = huge_factor(W, j, norm)
            else:
                factor[j] = norm / np.sqrt(max(factor[j], norm * norm))
        for i in range(at[1]):
            for j in range(at[2]):
                W[i, j] *= factor[j]
    return 0.0


@helper
def shorten(w, norm):
    """Scale a vector to at most a maximum norm."""
    squares = cast(0, norm)
    for i in range(len(w)):
        squares += w[i] * w[i]
    if not squares <= norm * norm:
        if squares == np.inf:
            factor = huge_factor(w.reshape(len(w), 1), 0, norm)
        else:
            factor = norm / np.sqrt(squares)
        for i in range(len(w)):
            w[i] *= factor


@helper
def huge_factor(W, j, norm):
    """Return the factor for a column whose squares overflow."""
    top, squares = cast(0, norm), cast(0, norm)
    for i in range(W.shape[0]):
        top = max(top, abs(W[i, j]))
    for i in range(W.shape[0]):
        squares += (W[i, j] / top) ** 2
    return norm / top / np.sqrt(squares)
