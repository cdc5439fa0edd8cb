"""The layer of noise on the inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sknn_notes._arrays import from_numpy, namespace, to_numpy
from sknn_notes._part import NoLoopsError, form_of
from sknn_notes._typing import Array, Arrays, Graph
from sknn_notes.layers._base import Flow, Layer
from sknn_notes.noise import Noise

_DEFINITION = "noisy", "train", "apply", "draw", "_draws"


class InputNoise(Layer):
    """Noise on the inputs, drawn for each batch.

    Parameters
    ----------
    noise : Noise
    n_inputs : int
    """

    is_random = True

    def __init__(self, noise: Noise, n_inputs: int) -> None:
        self.noise, self.n_inputs = noise, n_inputs

    @property
    def title(self) -> str:
        return repr(self.noise)

    @property
    def n_outputs(self) -> int:
        return int(self.noise.n_outputs_)

    @property
    def has_loops(self) -> bool:
        """Whether the noise has loops for the compiled step."""
        try:
            return form_of(self.noise, "loops", *_DEFINITION) is not None
        except NoLoopsError:
            return False

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Array, Any]:
        if flow.keys is None:
            return self._on(A, self.noise.predict), None
        key = next(flow.keys)
        return self._on(A, lambda X: self.noise.noisy(X, key)), None

    def _on(
        self, A: Array, function: Callable[[Any], Any], by_numpy: bool = False
    ) -> Array:
        """Return the result of a method of the noise, with numpy if necessary."""
        xp = namespace(A)
        if xp is np or (self.noise.in_array_code and not by_numpy):
            return function(A)
        return from_numpy(function(to_numpy(A)), A, xp)

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        return None

    def predict(self, p: Arrays, A: Array, flow: Flow) -> Array:
        rng = flow.rng
        if rng is None:
            return self._on(A, self.noise.predict)
        return self._on(A, lambda X: self.noise.sample(X, rng), by_numpy=True)

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        out: str = form_of(self.noise, "onnx", "predict")(graph, A)
        return out

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        # The outputs of pooling are elements of the inputs and their means.
        return size

    def record(self, tape: Any, value: Any) -> Any:
        loops = form_of(self.noise, "loops", *_DEFINITION)
        out = tape.value(self.n_inputs, has_delta=False)
        at = value.start, out.start, self.n_inputs
        tape.forward(loops, at=at, numbers=self.noise.numbers, random=True)
        return out
