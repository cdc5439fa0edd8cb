"""The layer of a numerical embedding."""

from sknn_notes._part import form_of
from sknn_notes.layers._base import Layer, Parameter


class Embed(Layer):
    """What stands for each feature: ``A = embedding(X)``.

    What lies before it learns nothing, so that nobody needs the gradient of its inputs.

    Parameters
    ----------
    embedding : Embedding
        Started.
    """

    def __init__(self, embedding):
        self.embedding, self.n_units = embedding, embedding.n_outputs_

    @property
    def title(self):
        return repr(self.embedding)

    def parameters(self):
        shapes = self.embedding.parameters()
        return {name: Parameter(shape, "others") for name, shape in shapes.items()}

    def running(self):
        arrays = self.embedding.constants()
        return {name: array.shape for name, array in arrays.items()}

    def start(self, p):
        for name, array in self.embedding.constants().items():
            p[name][...] = array

    def draw(self, p, rng):
        self.embedding.draw(p, rng)

    def forward(self, p, A, flow):
        return self.embedding.forward(p, A, flow.xp)

    def backward(self, p, g, delta, kept, flow, needed=True):
        self.embedding.backward(p, g, delta, kept, flow.xp)

    def fitted(self, arrays):
        names = [*self.embedding.parameters(), *self.embedding.constants()]
        return {name: arrays.embedding[name] for name in names}

    def onnx(self, graph, p, A, skips):
        return form_of(self.embedding, "onnx", "forward")(graph, p, A)

    def bound(self, p, size, largest):
        return self.embedding.bound(p, size)

    def record(self, tape, value):
        part, learns = self.embedding, bool(self.embedding.parameters())
        loops = form_of(part, "loops", "forward")
        out = tape.value(self.n_units, has_delta=learns)
        names = [*part.parameters(), *part.constants()]
        at = (
            value.start,
            out.start,
            out.delta,
            tape.room(part.n_spare),
            *(tape.place(self, name) for name in names),
            *part.table(),
        )
        tape.forward(loops, at=at)
        if learns:
            tape.backward(form_of(part, "backward_loops", "backward"), at=at)
        return out
