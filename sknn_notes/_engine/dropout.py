"""Random masks that drop units, inputs or single weights."""

import numpy as np

from sknn_notes import _kernels


class Dropout:
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
        self.threshold = max(1, round((1 - rate) * 65536))
        keep = self.threshold / 65536
        self.training_scale = 1 / keep if inverted else 1.0
        self.prediction_scale = 1.0 if inverted else keep

    def draw(self, rng, out):
        """Fill the float array ``out`` with a training mask."""
        words = np.empty(-(-out.size // 2), np.uint32)
        kernels = _kernels.active()
        kernels.random_bits(rng.bit_generator.random_raw(), words)
        bits = words.view(np.uint16)[: out.size].reshape(out.shape)
        kernels.dropout_mask(bits, self.threshold, self.training_scale, out)
        return out

    def draw_at(self, rng, places, out):
        """Fill ``out`` with the elements of a flat mask at ``places``, as ``draw``'s.

        A place that occurs twice is dropped twice or not at all.
        """
        kernels = _kernels.active()
        words = kernels.random_bits_at(rng.bit_generator.random_raw(), places // 2)
        halves = words.view(np.uint16).reshape(-1, 2)
        bits = halves[np.arange(len(places)), places % 2]
        kernels.dropout_mask(bits, self.threshold, self.training_scale, out)
        return out


def make_dropout(rate, inverted):
    """Return a ``Dropout``, or None where nothing is dropped."""
    return Dropout(rate, inverted) if rate else None
