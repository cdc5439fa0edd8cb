"""Dropout: random masks that drop units, inputs or single weights."""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from sknn_notes._arrays import (
    astype,
    equal_numbers,
    fill_bits,
    random_mask,
    random_words,
)
from sknn_notes._compile import Memory, cast, helper
from sknn_notes._typing import (
    Array,
    ArrayNamespace,
    Arrays,
    Floats,
    Graph,
    Integers,
    Numbers,
)
from sknn_notes.layers._base import Flow, Layer
from sknn_notes.schedules import Schedule


class Mask:
    """Masks that are 0 with probability ``rate``.

    If ``inverted``, the elements that are kept are scaled by ``1 / (1 - rate)`` in
    training. Otherwise all elements are scaled by ``1 - rate`` in prediction. Each
    element of a mask uses 16 random bits, so ``rate`` is rounded to a multiple of
    2**-16. Both scales belong to the rounded rate.

    Parameters
    ----------
    rate : float
        In [0, 1).
    inverted : bool, default=True
    """

    def __init__(self, rate: float, inverted: bool = True) -> None:
        self.inverted = inverted
        self.set_rate(rate)

    def __str__(self) -> str:
        return f"{1 - self.threshold / 65536:.3g}"

    def set_rate(self, rate: float) -> None:
        """Change the probability."""
        self.threshold = max(1, round((1 - rate) * 65536))
        keep = self.threshold / 65536
        self.training_scale = 1 / keep if self.inverted else 1.0
        self.prediction_scale = 1.0 if self.inverted else keep

    def numbers(self) -> Numbers:
        """Return the numbers that ``mask_rows`` takes."""
        return self.threshold, self.training_scale

    def draw(
        self, key: Any, shape: tuple[int, ...], like: Array, xp: ArrayNamespace
    ) -> Array:
        """Return a mask for training, of the dtype of ``like``."""
        mask = random_mask(key, shape, self.threshold, xp, like)
        mask = astype(mask, like.dtype, xp)
        mask *= self.training_scale
        return mask

    def predict(self, A: Array, shape: tuple[int, ...], flow: Flow) -> Array:
        """Return arrays multiplied by the mean of the mask, or by a drawn mask."""
        scale = self.prediction_scale
        if flow.rng is not None:
            scale = self.draw(flow.rng.bit_generator.random_raw(), shape, A, flow.xp)
        elif equal_numbers(scale, 1):
            return A
        return A.multiply(scale).tocsr() if issparse(A) else A * scale


class Dropout(Layer):
    """Drops outputs of the previous layer, independently for each sample and batch.

    Parameters
    ----------
    mask : Mask
    depth : int
    n_units : int
    schedule : Schedule or None, default=None
        Schedule of the rate in training.
    """

    is_random = True

    def __init__(
        self, mask: Mask, depth: int, n_units: int, schedule: Schedule | None = None
    ) -> None:
        self.mask, self.depth, self.n_units = mask, depth, n_units
        self.schedule = schedule

    @property
    def title(self) -> str:
        return f"Dropout({self.schedule or self.mask})"

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        if flow.keys is None:
            return A, None
        key = next(flow.keys)
        if issparse(A):
            return self._drop_entries(key, A), None
        mask = self.mask.draw(key, A.shape[-2:], A, flow.xp)
        return A * mask, mask

    def _drop_entries(self, key: Any, A: Any) -> Any:
        # The mask is for inputs, and several entries may add up to one input.
        n_samples, n_features = A.shape
        n_words = -(-n_features // 2)
        rows = np.repeat(np.arange(n_samples), np.diff(A.indptr))
        words = random_words(key, rows * n_words + A.indices // 2)
        bits = np.where(A.indices % 2, words >> 16, words & 0xFFFF)
        A = A.copy()
        A.data *= (bits < self.mask.threshold).astype(A.dtype)
        A.data *= A.dtype.type(self.mask.training_scale)
        return A

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        if kept is not None and needed:
            delta *= kept
        return delta

    def predict(self, p: Arrays, A: Array, flow: Flow) -> Array:
        return self.mask.predict(A, (1, A.shape[-1]), flow)

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        scale = self.mask.prediction_scale
        return A if scale == 1 else graph.add("Mul", A, scale)

    def record(self, tape: Any, value: Any) -> Any:
        # The inputs of the network must not change; outputs of layers may.
        out = value
        if value.start < 0:
            out = tape.value(self.n_units, has_delta=False)
        at = value.start, out.start, value.delta, self.n_units
        key = tape.forward(forward, at=at, numbers=self.mask.numbers, random=True)
        if value.delta >= 0 and not value.is_flat_at_zero:
            tape.backward(backward, at=at, numbers=self.mask.numbers, key=key)
        return out


@helper
def mask_rows(
    key: Any, n: int, width: int, bits: Any, numbers: Any, source: Any, out: Any
) -> None:
    """Write masked rows, as flat arrays; ``numbers`` are the threshold and the scale.

    ``source`` is empty if the rows are already in ``out``: a loop in place is
    vectorized only if it uses a single array.
    """
    # Rows with an even number of columns form one long row, since words have no gaps.
    size = width if width % 2 else min(n * width, 2 * len(bits))
    # The threshold may be 2**16, which uint16 can't hold.
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
            # NaN stays NaN, since NaN * 0 is NaN.
            row[j] *= scale if halves[j] <= last else zero


def forward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    # The inputs of the network must not change.
    source = m.x if at[0] < 0 else m.x[:0]
    out = m.work[at[1] : at[1] + n * at[3]]
    mask_rows(key, n, at[3], m.bits, numbers, source, out)
    return 0.0


def backward(
    m: Memory, at: Integers, numbers: Floats, n: int, key: int, t: int
) -> float:
    delta = m.work[at[2] : at[2] + n * at[3]]
    mask_rows(key, n, at[3], m.bits, numbers, delta[:0], delta)
    return 0.0
