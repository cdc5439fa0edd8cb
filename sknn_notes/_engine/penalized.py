"""The parameters that a penalty applies to, and its strengths."""

import math
from functools import partial

import numpy as np

from sknn_notes._arrays import equal_numbers
from sknn_notes._part import NoLoopsError, form_of
from sknn_notes.schedules import Schedule


class Penalized:
    """A penalty and the parameters that it applies to; false if there are none.

    Parameters
    ----------
    layout : Layout
    penalty : Penalty or None
    alphas : sequence of (float, Schedule or array)
        Strengths, one per weight matrix of the dense layers.
    penalize_bias : bool

    Attributes
    ----------
    scheduled : list of (callable, Schedule, float)
        A function that sets a strength, its schedule, and an upper bound.
    """

    def __init__(self, layout, penalty, alphas, penalize_bias):
        self.penalty, self.penalize_bias = penalty, penalize_bias
        # Without a penalty, strengths have no effect.
        self.specs = [] if penalty is None else list(alphas)
        self.alphas, self.scheduled = list(self.specs), []
        self._matrices, self._places = [], []
        if penalty is None:
            return
        # Adjacent matrices with equal strengths are handled in one pass.
        first = [self._first_like(depth) for depth in range(len(alphas))]
        self._matrices = [x for x in layout.matrices() if self._is_on(x.depth)]
        if penalty.sees_matrices:
            self._places = [(x.start, x.stop, x.depth) for x in self._matrices]
        else:
            slices = layout.slices(first, penalize_bias)
            self._places = [place for place in slices if place[2] is not None]
        for spec in dict.fromkeys(a for a in alphas if isinstance(a, Schedule)):
            depths = [i for i, alpha in enumerate(alphas) if alpha is spec]
            change = partial(self._set, depths)
            change(spec.start)
            self.scheduled.append((change, spec, math.inf))

    def _first_like(self, depth):
        """Return the first depth with the same strength, None without a penalty."""
        if not self._is_on(depth):
            return None
        alpha = self.alphas[depth]
        alike = (a is alpha or equal_numbers(a, alpha) for a in self.alphas)
        return next(i for i, same in enumerate(alike) if same and self._is_on(i))

    def _is_on(self, depth):
        zero = equal_numbers(self.alphas[depth], 0)
        return self.penalty.covers(depth) and not zero

    def _set(self, depths, alpha):
        for depth in depths:
            self.alphas[depth] = alpha

    def __bool__(self):
        return bool(self._places)

    @property
    def sees_matrices(self):
        """Whether the penalty depends on the rows and columns of matrices."""
        return bool(self) and self.penalty.sees_matrices

    def views(self, vector, xp=np):
        """Return (view of a vector, strength) of all penalized arrays."""
        if self.sees_matrices:
            return [(x.view(vector, xp), self.alphas[x.depth]) for x in self._matrices]
        return [
            (vector[..., None, start:stop], self.alphas[depth])
            for start, stop, depth in self._places
        ]

    def value(self, theta, xp=np):
        """Return the penalty."""
        return sum(self.penalty.value(W, a, xp) for W, a in self.views(theta, xp))

    def depth_at(self, place):
        """Return the depth of the strength at a position in theta, None without one."""
        depths = [depth for start, stop, depth in self._places if start <= place < stop]
        return depths[0] if depths else None

    # For the compiled step.

    def ends(self, size):
        """Return the ends of slices that cover theta, and their depth or None."""
        ends, last = [], 0
        for start, stop, depth in sorted(self._places):
            ends += [(start, None)] if start > last else []
            ends.append((stop, depth))
            last = stop
        return ends + ([(size, None)] if size > last else [])

    def strengths(self, depth):
        """Return the strengths of the L1 and the L2 term of a slice."""
        if depth is None:
            return 0.0, 0.0
        alpha = self.alphas[depth]
        if self.sees_matrices:
            return 0.0, self.penalty.decay(alpha)
        return self.penalty.strengths(alpha)

    def record(self, tape, function, name):
        """Add an operation of the loops of the penalty for each matrix to a tape."""
        for entry in self._matrices:
            if entry.transposed:
                raise NoLoopsError(self.penalty)

            def numbers(depth=entry.depth):
                return self.alphas[depth], *self.penalty.numbers()

            spare = tape.room(3 * entry.shape[1], per_row=False)
            at = entry.start, *entry.shape, spare
            tape.update(function, getattr(self.penalty, name), at=at, numbers=numbers)

    def check_loops(self):
        """Raise NoLoopsError if the compiled step does not support the penalty."""
        if not self:
            return
        definition = "value", "gradient", "prox", "decay"
        if not self.sees_matrices:
            form_of(self.penalty, "strengths", *definition)
            strengths = self.penalty.strengths(1.0)
            if strengths is None or (self.penalty.smooth and strengths[0]):
                raise NoLoopsError(self.penalty)
            return
        # The gradient is that of ``decay``, or zero.
        form_of(self.penalty, "decay", "gradient")
        form_of(self.penalty, "value_loops", *definition)
        if not self.penalty.smooth:
            form_of(self.penalty, "prox_loops", *definition)
