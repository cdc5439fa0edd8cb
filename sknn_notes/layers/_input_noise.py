"""The layers of the noise on the inputs."""

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
    def has_loops(self):
        """Whether the compiled step knows the noise."""
        try:
            return form_of(self.noise, "loops", *_DEFINITION) is not None
        except NoLoopsError:
            return False

    def forward(self, p, A, flow):
        if flow.keys is None:
            return self.noise.predict(A), None
        return self.noise.noisy(A, next(flow.keys)), None

    def backward(self, p, g, delta, kept, flow, needed=True):
        return None

    def predict(self, p, A, flow):
        if flow.rng is None:
            return self.noise.predict(A)
        return self.noise.sample(A, flow.rng)

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
