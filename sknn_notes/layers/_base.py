"""What every layer of a network does."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sknn_notes._arrays import namespace


class Parameter(NamedTuple):
    """An array that a layer learns: its shape, and what treats it alike.

    ``role`` is "weights", which penalties are on, "biases", on which they may be, or
    "others". Where it is ``transposed``, the columns of the matrix lie together.
    """

    shape: tuple
    role: str
    transposed: bool = False


class Fitted(NamedTuple):
    """The learned arrays in the form that fitted estimators show.

    ``coefs`` and ``intercepts`` have one array a dense layer, the others one a hidden
    layer or are None: dicts of the arrays of a norm, matrices or None of a residual
    connection. The arrays of the embedding and the factors of the features are None
    where there are none.
    """

    coefs: list
    intercepts: list
    batch_norms: list | None = None
    layer_norms: list | None = None
    residuals: list | None = None
    embedding: dict | None = None
    feature_scales: np.ndarray | None = None


class Flow:
    """What goes along with a batch on its way through the layers.

    Parameters
    ----------
    like : array
        Of the namespace of all arrays.
    keys : iterator of int, or None
        One key for every layer that draws random numbers; without, none does.
    rng : numpy.random.Generator or None
        In prediction, draws one sub-network for all rows.

    Attributes
    ----------
    stack : list of array
        What residual connections carry past the layers between their ends.
    """

    def __init__(self, like, keys: Iterator | None = None, rng=None):
        self.xp = namespace(like)
        self.keys, self.rng = keys, rng
        self.stack: list = []


class Layer:
    """Base class of layers.

    ``forward`` and ``backward`` are the definition, in array code; ``record`` adds the
    compiled operations that compute the same to a tape. Arrays are those of
    ``parameters`` and ``running``, in dicts by their names: ``p`` the arrays, ``g``
    the gradients.

    Attributes
    ----------
    depth : int
        Which hidden layer of the network it is part of; the last one is the output.
    is_random : bool
        Whether training draws random numbers, by one key a batch.
    n_units : int
        Number of outputs, where the layer has one for each of its units.
    """

    depth = 0
    is_random = False
    n_units: int

    def __repr__(self):
        # It is part of ``executor_``, which should be the same in every process.
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
        """Return what the layer learns."""
        return {}

    def running(self) -> dict[str, tuple]:
        """Return the shapes of the averages that training keeps for prediction."""
        return {}

    def start(self, p):
        """Set the arrays whose start is not random."""

    def draw(self, p, rng):
        """Set the arrays whose start is random and not the initializer's."""

    def forward(self, p, A, flow) -> tuple[Any, Any]:
        """Return the outputs for a batch, and what ``backward`` needs to know.

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

    def backward(self, p, g, delta, kept, flow, needed=True):
        """Write the gradients of the parameters; return that of the inputs.

        Parameters
        ----------
        p, g : dict of array
        delta : array of shape (..., n_samples, n_outputs)
            Gradient of the objective at the outputs; it may be changed.
        kept : object
            What ``forward`` returned.
        flow : Flow
        needed : bool
            Whether the gradient of the inputs is needed, or may be None.
        """
        raise NotImplementedError

    def predict(self, p, A, flow):
        """Return the outputs in prediction, with the noise averaged or drawn."""
        return self.forward(p, A, flow)[0]

    def update_running(self, p, kept):
        """Mix the batch of a ``forward`` into the running averages."""

    def set_running(self, p, kept):
        """Take the batch of a ``forward``, all the data, as the averages."""

    def fitted(self, arrays: Fitted) -> dict[str, np.ndarray]:
        """Return the layer's part of the arrays that estimators show, by its names."""
        return {}

    def onnx(self, graph, p, A, skips):
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
            Of the outputs.
        """
        raise NotImplementedError

    def bound(self, p, size, largest):
        """Return what no output exceeds in size if no input exceeds ``size``.

        ``largest`` is the largest size of a parameter of the network.
        """
        return size

    def record(self, tape, value):
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
