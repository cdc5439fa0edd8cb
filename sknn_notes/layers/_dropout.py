"""Dropout: random masks that drop units, inputs or single weights."""

import numpy as np
from scipy.sparse import issparse

from sknn_notes._arrays import (
    astype,
    equal_numbers,
    fill_bits,
    random_mask,
    random_words,
)
from sknn_notes._compile import cast, helper
from sknn_notes.layers._base import Layer


class Mask:
    """Masks that are 0 with probability ``rate``.

    What is kept is scaled by ``1 / (1 - rate)`` in training where ``inverted``, by
    ``1 - rate`` in prediction otherwise. An element is decided by 16 random bits, so
    ``rate`` is rounded to a multiple of 2**-16; both scales are those of the rounded
    rate.

    Parameters
    ----------
    rate : float
        In [0, 1).
    inverted : bool, default=True
    """

    def __init__(self, rate, inverted=True):
        self.inverted = inverted
        self.set_rate(rate)

    def __str__(self):
        return f"{1 - self.threshold / 65536:.3g}"

    def set_rate(self, rate):
        """Drop with another probability from now on."""
        self.threshold = max(1, round((1 - rate) * 65536))
        keep = self.threshold / 65536
        self.training_scale = 1 / keep if self.inverted else 1.0
        self.prediction_scale = 1.0 if self.inverted else keep

    def numbers(self):
        """Return what ``mask_rows`` takes."""
        return self.threshold, self.training_scale

    def draw(self, key, shape, like, xp):
        """Return a mask for training, of the dtype of ``like``."""
        mask = random_mask(key, shape, self.threshold, xp, like)
        mask = astype(mask, like.dtype, xp)
        mask *= self.training_scale
        return mask

    def predict(self, A, shape, flow):
        """Return arrays under the mean of the mask, or under a mask that is drawn."""
        scale = self.prediction_scale
        if flow.rng is not None:
            scale = self.draw(flow.rng.bit_generator.random_raw(), shape, A, flow.xp)
        elif equal_numbers(scale, 1):
            return A
        return A.multiply(scale).tocsr() if issparse(A) else A * scale


class Dropout(Layer):
    """Drops outputs of the layer before, others in every batch and for every sample.

    Parameters
    ----------
    mask : Mask
    depth : int
    n_units : int
    schedule : Schedule or None, default=None
        What the rate of the mask follows in training.
    """

    is_random = True

    def __init__(self, mask, depth, n_units, schedule=None):
        self.mask, self.depth, self.n_units = mask, depth, n_units
        self.schedule = schedule

    @property
    def title(self):
        return f"Dropout({self.schedule or self.mask})"

    def forward(self, p, A, flow):
        if flow.keys is None:
            return A, None
        key = next(flow.keys)
        if issparse(A):
            return self._drop_entries(key, A), None
        mask = self.mask.draw(key, A.shape[-2:], A, flow.xp)
        return A * mask, mask

    def _drop_entries(self, key, A):
        # The mask is one of inputs, of which several entries may be parts.
        n_samples, n_features = A.shape
        n_words = -(-n_features // 2)
        rows = np.repeat(np.arange(n_samples), np.diff(A.indptr))
        words = random_words(key, rows * n_words + A.indices // 2)
        bits = np.where(A.indices % 2, words >> 16, words & 0xFFFF)
        A = A.copy()
        A.data *= (bits < self.mask.threshold).astype(A.dtype)
        A.data *= A.dtype.type(self.mask.training_scale)
        return A

    def backward(self, p, g, delta, kept, flow, needed=True):
        if kept is not None and needed:
            delta *= kept
        return delta

    def predict(self, p, A, flow):
        return self.mask.predict(A, (1, A.shape[-1]), flow)

    def onnx(self, graph, p, A, skips):
        scale = self.mask.prediction_scale
        return A if scale == 1 else graph.add("Mul", A, scale)

    def record(self, tape, value):
        # Inputs stay as they are; what a layer put out is its own to change.
        out = value
        if value.start < 0:
            out = tape.value(self.n_units, has_delta=False)
        at = value.start, out.start, value.delta, self.n_units
        key = tape.forward(forward, at=at, numbers=self.mask.numbers, random=True)
        if value.delta >= 0 and not value.is_flat_at_zero:
            tape.backward(backward, at=at, numbers=self.mask.numbers, key=key)
        return out


@helper
def mask_rows(key, n, width, bits, numbers, source, out):
    """Write rows under their mask, flat arrays; ``numbers`` are threshold and scale.

    ``source`` is empty where the rows are those in ``out``: a loop that reads and
    writes one place is vectorized where it names one array.
    """
    # Rows of an even number of columns are one long row: their words have no gaps.
    size = width if width % 2 else min(n * width, 2 * len(bits))
    # The threshold itself may be 2**16.
    last, scale = np.uint16(numbers[0] - 1), cast(numbers[1], out[0])
    zero, halves, word = cast(0, out[0]), bits.view(np.uint16), 0
    for start in range(0, n * width, size):
        row = out[start : start + size]
        n_words = (len(row) + 1) // 2
        fill_bits(key, word, n_words, bits)
        word += n_words
        if len(source):
            given = source[start : start + size]
            for j in range(len(row)):
                row[j] = given[j]
        for j in range(len(row)):
            # NaN times 0 is NaN.
            row[j] *= scale if halves[j] <= last else zero


def forward(m, at, numbers, n, key, t):
    # Inputs are not the layer's to change.
    source = m.x if at[0] < 0 else m.x[:0]
    out = m.work[at[1] : at[1] + n * at[3]]
    mask_rows(key, n, at[3], m.bits, numbers, source, out)
    return 0.0


def backward(m, at, numbers, n, key, t):
    delta = m.work[at[2] : at[2] + n * at[3]]
    mask_rows(key, n, at[3], m.bits, numbers, delta[:0], delta)
    return 0.0
