"""The layer of a numerical embedding."""

from typing import Any

import numpy as np

from sknn_notes._part import form_of
from sknn_notes._typing import Array, Arrays, Graph
from sknn_notes.embeddings import Embedding
from sknn_notes.layers._base import Fitted, Flow, Layer, Parameter


class Embed(Layer):
    """Embedding of each feature: ``A = embedding(X)``.

    No layer before it has parameters, so the gradient of its inputs is not needed.

    Parameters
    ----------
    embedding : Embedding
        An embedding after ``start``.
    """

    def __init__(self, embedding: Embedding) -> None:
        self.embedding = embedding

    @property
    def n_units(self) -> int:  # type: ignore[override]
        return self.embedding.n_outputs_

    @property
    def title(self) -> str:
        return repr(self.embedding)

    def parameters(self) -> dict[str, Parameter]:
        shapes = self.embedding.parameters()
        return {name: Parameter(shape, "others") for name, shape in shapes.items()}

    def running(self) -> dict[str, tuple[int, ...]]:
        arrays = self.embedding.constants()
        return {name: array.shape for name, array in arrays.items()}

    def start(self, p: Arrays) -> None:
        for name, array in self.embedding.constants().items():
            p[name][...] = array

    def draw(self, p: Arrays, rng: np.random.Generator) -> None:
        self.embedding.draw(p, rng)

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        return self.embedding.forward(p, A, flow.xp)

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        self.embedding.backward(p, g, delta, kept, flow.xp)

    def fitted(self, arrays: Fitted) -> Arrays:
        names = [*self.embedding.parameters(), *self.embedding.constants()]
        return {name: arrays.embedding[name] for name in names}

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        out: str = form_of(self.embedding, "onnx", "forward")(graph, p, A)
        return out

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        return self.embedding.bound(p, size)

    def record(self, tape: Any, value: Any) -> Any:
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
