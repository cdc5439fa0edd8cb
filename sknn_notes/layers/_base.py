"""Base class of layers."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sknn_notes._arrays import namespace
from sknn_notes._typing import Array, Arrays, Graph


class Parameter(NamedTuple):
    """Shape and role of an array that a layer learns.

    ``role`` is "weights", which are penalized, "biases", which may be penalized, or
    "others". If the array is ``transposed``, the columns of the matrix are contiguous.
    """

    shape: tuple[int, ...]
    role: str
    transposed: bool = False


class Fitted(NamedTuple):
    """The learned arrays as attributes of fitted estimators.

    ``coefs`` and ``intercepts`` hold one array per dense layer. ``batch_norms`` and
    ``layer_norms`` hold one dict of arrays per hidden layer, and ``residuals`` a matrix
    or None. All except the first two are None if the network has no such layers.
    """

    coefs: list[Any]
    intercepts: list[Any]
    batch_norms: Any = None
    layer_norms: Any = None
    residuals: Any = None
    embedding: Any = None
    feature_scales: Any = None


class Flow:
    """The context of a batch as it passes through the layers.

    Parameters
    ----------
    like : array
        An array of the namespace in use.
    keys : iterator of int, or None
        One key for each layer that draws random numbers. With None, no layer does.
    rng : numpy.random.Generator or None
        Generator that draws one subnetwork for all rows in prediction.

    Attributes
    ----------
    stack : list of array
        What residual connections carry past the layers between their ends.
    """

    def __init__(
        self,
        like: Array,
        keys: Iterator[int] | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.xp = namespace(like)
        self.keys, self.rng = keys, rng
        self.stack: list[Array] = []


class Layer:
    """Base class of layers.

    ``forward`` and ``backward`` are the definition, in array code. ``record`` adds
    compiled operations that compute the same to a tape. ``p`` is a dict of the arrays
    of ``parameters`` and ``running``, and ``g`` a dict of the gradients.

    Attributes
    ----------
    depth : int
        Index of the hidden layer that it belongs to; the last index is the output.
    is_random : bool
        Whether training draws random numbers, with one key per batch.
    n_units : int
        Number of outputs, where the layer has one for each of its units.
    """

    depth = 0
    is_random = False
    n_units: int

    def __repr__(self) -> str:
        # Without an address, so that ``executor_`` is the same in all processes.
        return type(self).__name__

    @property
    def title(self) -> str:
        """What the summary of a network calls the layer; empty if it is not shown."""
        return f"{type(self).__name__}()"

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a sample."""
        return self.n_units

    def parameters(self) -> dict[str, Parameter]:
        """Return shapes and roles of the learned arrays, by name."""
        return {}

    def running(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the running averages, by name."""
        return {}

    def start(self, p: Arrays) -> None:
        """Set the initial values that are not random."""

    def draw(self, p: Arrays, rng: np.random.Generator) -> None:
        """Draw the random initial values that the initializer does not draw."""

    def forward(self, p: Arrays, A: Array, flow: Flow) -> tuple[Any, Any]:
        """Return the outputs for a batch, and what ``backward`` needs.

        Parameters
        ----------
        p : dict of array
        A : array of shape (..., n_samples, n_inputs)
            Left unchanged.
        flow : Flow

        Returns
        -------
        A : array of shape (..., n_samples, n_outputs)
        kept : object
        """
        raise NotImplementedError

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        flow: Flow,
        needed: bool = True,
    ) -> Array:
        """Write the gradients of the parameters; return the gradient of the inputs.

        Parameters
        ----------
        p, g : dict of array
        delta : array of shape (..., n_samples, n_outputs)
            Gradient of the objective with respect to the outputs; may be changed.
        kept : object
            What ``forward`` returned.
        flow : Flow
        needed : bool
            Whether the gradient of the inputs is needed; otherwise it may be None.
        """
        raise NotImplementedError

    def predict(self, p: Arrays, A: Array, flow: Flow) -> Array:
        """Return the outputs in prediction, with averaged or drawn noise."""
        return self.forward(p, A, flow)[0]

    def update_running(self, p: Arrays, kept: Any) -> None:
        """Add the batch of a ``forward`` to the running averages."""

    def set_running(self, p: Arrays, kept: Any) -> None:
        """Replace the running averages by those of a ``forward`` on all the data."""

    def fitted(self, arrays: Fitted) -> dict[str, np.ndarray]:
        """Return the fitted arrays of this layer, by name."""
        return {}

    def onnx(self, graph: Graph, p: Arrays, A: str, skips: list[str]) -> str:
        """Add the nodes of ``predict`` to an ONNX graph.

        Parameters
        ----------
        graph : Graph
        p : dict of array
            What ``fitted`` returns.
        A : str
            Name of the inputs.
        skips : list of str
            What residual connections carry past the layers between their ends.

        Returns
        -------
        name : str
            Name of the outputs.
        """
        raise NotImplementedError

    def bound(self, p: Arrays, size: float, largest: float) -> float:
        """Return a bound of the absolute outputs, given ``size``, that of the inputs.

        ``largest`` is the largest absolute parameter of the network.
        """
        return size

    def record(self, tape: Any, value: Any) -> Any:
        """Add the compiled operations to a tape.

        Parameters
        ----------
        tape : Recorder
        value : Value
            The inputs.

        Returns
        -------
        value : Value
            The outputs.
        """
        raise NotImplementedError
