"""The layers of the noise on the inputs."""

import numpy as np

from sknn_notes._arrays import from_numpy, namespace, to_numpy
from sknn_notes._part import NoLoopsError, form_of
from sknn_notes.layers._base import Layer

_DEFINITION = "noisy", "train", "apply", "draw", "_draws"


class InputNoise(Layer):
    """Noise on the inputs, drawn anew in every batch.

    Parameters
    ----------
    noise : Noise
    n_inputs : int
    """

    is_random = True

    def __init__(self, noise, n_inputs):
        self.noise, self.n_inputs = noise, n_inputs

    @property
    def title(self):
        return repr(self.noise)

    @property
    def n_outputs(self):
        return self.noise.n_outputs_

    @property
    def has_loops(self):
        """Whether the compiled step knows the noise."""
        try:
            return form_of(self.noise, "loops", *_DEFINITION) is not None
        except NoLoopsError:
            return False

    def forward(self, p, A, flow):
        if flow.keys is None:
            return self._on(A, self.noise.predict), None
        key = next(flow.keys)
        return self._on(A, lambda X: self.noise.noisy(X, key)), None

    def _on(self, A, function, by_numpy=False):
        """Return what a method of the noise makes of inputs, by numpy if need be."""
        xp = namespace(A)
        if xp is np or (self.noise.in_array_code and not by_numpy):
            return function(A)
        return from_numpy(function(to_numpy(A)), A, xp)

    def backward(self, p, g, delta, kept, flow, needed=True):
        return None

    def predict(self, p, A, flow):
        if flow.rng is None:
            return self._on(A, self.noise.predict)
        return self._on(A, lambda X: self.noise.sample(X, flow.rng), by_numpy=True)

    def onnx(self, graph, p, A, skips):
        return form_of(self.noise, "onnx", "predict")(graph, A)

    def bound(self, p, size, largest):
        # What pooling puts out are means and elements.
        return size

    def record(self, tape, value):
        loops = form_of(self.noise, "loops", *_DEFINITION)
        out = tape.value(self.n_inputs, has_delta=False)
        at = value.start, out.start, self.n_inputs
        tape.forward(loops, at=at, numbers=self.noise.numbers, random=True)
        return out
