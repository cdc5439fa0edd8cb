"""Compiled operations on the active rows of a step; see ``ActiveRows``.

They are called with the numbers of ``ActiveRows.numbers``. ``at`` contains: the number
of numbers of the solver; whether iterates are kept; whether steps are proximal; the
size of a row of a ledger; the number of outputs of each sample alone; the number of
steps until all rows catch up; then, for the inputs and the outputs, the start of their
marks (0 if there are none) and the number of rows; last, for each array, its group, its
starts in the parameters of the whole and of the compact network, the width of a row,
the starts of its ledger and its sums, and whether it is the first one with that ledger.
"""

import numpy as np

from sknn_notes._compile import cast, helper, prefetch
from sknn_notes._engine.operations import penalty_value

_GROUPS, _ARRAYS, _N_FIELDS = 6, 10, 7
# How many rows ahead of the one that is copied are prefetched.
_AHEAD = 2


def layout(rows):
    """Return ``at`` for ``ActiveRows``."""
    optimizer, at = rows.optimizer, []
    at += [len(optimizer.numbers()), rows.keeps_iterates, not rows.program.smooth]
    at += [len(rows.start), rows.n_own, len(rows.blocks[0].ledger) - 1]
    for group in (rows.inputs, rows.outputs):
        at += [0, 0] if group is None else [group.start, group.n_rows]
    seen = set()
    for block in rows.blocks:
        at += [block.group is rows.outputs, block.whole.start, block.compact.start]
        at += [block.width, block.ledger_start, block.sums_start]
        at.append(block.ledger_start not in seen)
        seen.add(block.ledger_start)
    return np.array(at, np.int64)


def read_rows(constants, idle_factors, idle, ahead):
    """Return the operation that copies the active rows, caught up.

    The operation returns how many parameters of the compact network are in use.
    """

    def operation(a, m, numbers, n, t):
        at, now, used = a.at, a.marks[0], 0
        find_active(a, m, n)
        like, two = m.theta[0], len(a.second) > 0
        p = constants(numbers[1 : 1 + at[0]], numbers[0], t, 1.0)
        own = constants(numbers[1 : 1 + at[0]], numbers[0], t, like)
        for i in range(_ARRAYS, len(at), _N_FIELDS):
            marks, n_rows = at[_GROUPS + 2 * at[i]], at[_GROUPS + 2 * at[i] + 1]
            n_active, width = a.marks[1 + at[i]], at[i + 3]
            sizes, squares = 0.0, 0.0
            for place in range(n_active):
                row = a.marks[marks + 2 * n_rows + place]
                if place + _AHEAD < n_active:
                    following = a.marks[marks + 2 * n_rows + place + _AHEAD]
                    prefetch_row(a, at[i + 1] + following * width, width)
                start, out = at[i + 1] + row * width, at[i + 2] + place * width
                w, given = m.theta[out : out + width], a.theta[start : start + width]
                g = m.grad[out : out + width]
                size, square = cast(0, like), cast(0, like)
                for j in range(width):
                    size += abs(given[j])
                    square += given[j] * given[j]
                    w[j] = given[j]
                    g[j] = 0
                sizes += size
                squares += square
                first, given = m.first[out : out + width], a.first[start:]
                for j in range(width):
                    first[j] = given[j]
                if two:
                    second, given = m.second[out : out + width], a.second[start:]
                    for j in range(width):
                        second[j] = given[j]
            a.ledger[at[i + 5]] -= sizes
            a.ledger[at[i + 5] + 1] -= squares
            # A separate loop: rows are fetched faster without work in between.
            for place in range(n_active):
                row = a.marks[marks + 2 * n_rows + place]
                out = at[i + 2] + place * width
                last = a.marks[marks + n_rows + row]
                w, first = m.theta[out : out + width], m.first[out : out + width]
                second = m.second[out : out + width] if two else first
                if last < now:
                    c = idle_factors(a.ledger[at[i + 4] + last * at[3] :], p, like)
                    for j in range(width):
                        w[j], x, second[j] = idle(w[j], first[j], second[j], c)
                        first[j] = x
                if at[1]:
                    iterate = m.second[out : out + width]
                    for j in range(width):
                        iterate[j] = w[j]
                        w[j] = ahead(w[j], first[j], own)
            used = at[i + 2] + n_active * width
        return np.float64(used)

    return operation


@helper
def prefetch_row(a, start, width):
    """Prefetch a row."""
    for j in range(start, start + width, 64 // a.theta.itemsize):
        prefetch(a.theta, j)
        prefetch(a.first, j)
        if len(a.second):
            prefetch(a.second, j)


@helper
def find_active(a, m, n):
    """Find the active rows; replace their numbers in the batch by their places."""
    at, e = a.at, m.entries
    count = 0
    if at[_GROUPS]:
        for k in range(e[0], e[n] + n):
            e[k], count = place_of(e[k], count, at[_GROUPS], at[_GROUPS + 1], a.marks)
    a.marks[1], count = count, 0
    if at[_GROUPS + 2]:
        marks, n_rows = at[_GROUPS + 2], at[_GROUPS + 3]
        # The outputs of all samples come first.
        for k in range(n * at[4], len(m.classes)):
            if m.classes[k] >= 0:
                place, count = place_of(m.classes[k], count, marks, n_rows, a.marks)
                m.classes[k] = place
        for k in range(n * at[4]):
            if m.classes[k] >= 0:
                place, count = place_of(m.classes[k], count, marks, n_rows, a.marks)
                m.classes[k] = place
    a.marks[2] = count


@helper
def place_of(row, count, start, n_rows, marks):
    """Return the place of an active row, and the number of active rows so far."""
    place = marks[start + row]
    if place < 0:
        place = count
        marks[start + row] = place
        marks[start + 2 * n_rows + place] = row
        count += 1
    return place, count


def write_rows(constants, idle_step):
    """Return the operation that copies the rows back and records the step.

    The operation returns the penalty of the idle rows.
    """

    def operation(a, m, numbers, n, t):
        at, now, value = a.at, a.marks[0], 0.0
        p = constants(numbers[1 : 1 + at[0]], numbers[0], t, 1.0)
        zero, two = cast(0, m.theta[0]), len(a.second) > 0
        number = 1 + at[0]
        for i in range(_ARRAYS, len(at), _N_FIELDS):
            marks, n_rows = at[_GROUPS + 2 * at[i]], at[_GROUPS + 2 * at[i] + 1]
            n_active, width, sums = a.marks[1 + at[i]], at[i + 3], at[i + 5]
            l1, l2 = numbers[number], numbers[number + 1]
            pull, decay = numbers[number + 2], numbers[number + 3]
            number += 4
            value += penalty_value(l1, l2, a.ledger[sums], a.ledger[sums + 1])
            sizes, squares = 0.0, 0.0
            is_last = i + _N_FIELDS == len(at)
            for place in range(n_active):
                row = a.marks[marks + 2 * n_rows + place]
                if place + _AHEAD < n_active:
                    following = a.marks[marks + 2 * n_rows + place + _AHEAD]
                    prefetch_row(a, at[i + 1] + following * width, width)
                start, source = at[i + 1] + row * width, at[i + 2] + place * width
                out, w = a.theta[start : start + width], m.theta[source:]
                if at[1]:
                    w = m.second[source:]
                size, square = zero, zero
                for j in range(width):
                    size += abs(w[j])
                    square += w[j] * w[j]
                    out[j] = w[j]
                sizes += size
                squares += square
                out, first = a.first[start : start + width], m.first[source:]
                for j in range(width):
                    out[j] = first[j]
                if two:
                    out, second = a.second[start : start + width], m.second[source:]
                    for j in range(width):
                        out[j] = second[j]
                if not is_last:
                    # Zeros, so that unused elements do not count in sums.
                    for j in range(source, source + width):
                        m.theta[j], m.grad[j], m.first[j] = zero, zero, zero
                    if len(m.second):
                        for j in range(source, source + width):
                            m.second[j] = zero
                a.marks[marks + n_rows + row] = now + 1
            a.ledger[sums] += sizes
            a.ledger[sums + 1] += squares
            if at[i + 6]:
                keep, proximal = 1 - numbers[0] * decay, np.float64(at[2])
                for j in range(now + 1):
                    start = at[i + 4] + j * at[3]
                    s = a.ledger[start : start + at[3]]
                    idle_step(s, p, l1, pull, keep, proximal)
                begin(a, at[i + 4] + (now + 1) * at[3])
        for group in range(2):
            start, n_rows = at[_GROUPS + 2 * group], at[_GROUPS + 2 * group + 1]
            for place in range(a.marks[1 + group]):
                a.marks[start + a.marks[start + 2 * n_rows + place]] = -1
            a.marks[1 + group] = 0
        a.marks[0] = now + 1
        return value

    return operation


@helper
def begin(a, place):
    """Set a row of a ledger to that before the first missed step."""
    for j in range(a.at[3]):
        a.ledger[place + j] = a.ledger[j]


def catch_up(constants, idle_factors, idle):
    """Return the operation that lets all rows catch up.

    The operation returns the same as ``ActiveRows.catch_up``.
    """

    def operation(a, m, numbers, n, t):
        at, now = a.at, a.marks[0]
        like, two, change = m.theta[0], len(a.second) > 0, 0.0
        p = constants(numbers[1 : 1 + at[0]], numbers[0], t, 1.0)
        number = 1 + at[0]
        for i in range(_ARRAYS, len(at), _N_FIELDS):
            marks, n_rows = at[_GROUPS + 2 * at[i]], at[_GROUPS + 2 * at[i] + 1]
            width, sizes, squares = at[i + 3], 0.0, 0.0
            l1, l2 = numbers[number], numbers[number + 1]
            number += 4
            for row in range(n_rows):
                start, last = at[i + 1] + row * width, a.marks[marks + n_rows + row]
                w, first = a.theta[start : start + width], a.first[start:]
                second = a.second[start:] if two else first
                before, n_idle = 0.0, now - last
                if n_idle:
                    size, square = cast(0, like), cast(0, like)
                    for j in range(width):
                        size += abs(w[j])
                        square += w[j] * w[j]
                    before = penalty_value(l1, l2, size, square)
                    c = idle_factors(a.ledger[at[i + 4] + last * at[3] :], p, like)
                    for j in range(width):
                        w[j], x, second[j] = idle(w[j], first[j], second[j], c)
                        first[j] = x
                size, square = cast(0, like), cast(0, like)
                for j in range(width):
                    size += abs(w[j])
                    square += w[j] * w[j]
                sizes += size
                squares += square
                if n_idle:
                    after = penalty_value(l1, l2, size, square)
                    change += 0.5 * (n_idle - 1) * (after - before)
            a.ledger[at[i + 5]], a.ledger[at[i + 5] + 1] = sizes, squares
        # Arrays with the same penalty share a ledger.
        for i in range(_ARRAYS, len(at), _N_FIELDS):
            begin(a, at[i + 4])
        for group in range(2):
            start, n_rows = at[_GROUPS + 2 * group], at[_GROUPS + 2 * group + 1]
            for row in range(n_rows):
                a.marks[start + n_rows + row] = 0
        a.marks[0] = 0
        return change

    return operation
