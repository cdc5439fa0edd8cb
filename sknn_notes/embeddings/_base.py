"""Base class of embeddings."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_notes._part import Part
from sknn_notes._typing import Array, ArrayNamespace, Arrays, Floats, Graph


class Embedding(Part):
    """Base class of numerical embeddings.

    An embedding turns each feature into several inputs of the first layer. A subclass
    defines ``start`` and ``forward`` in array code and, if it has learned parameters,
    ``parameters``, ``draw`` and ``backward``. For the compiled step it may add
    ``loops`` and ``backward_loops``. An embedding without loops is trained in array
    code.

    Attributes
    ----------
    n_features_, n_outputs_ : int
        Number of inputs and of embedded inputs, which ``start`` sets.
    loops, backward_loops : callable or None
        Operations of a training step (see ``sknn_notes._compile``). ``at`` holds the
        places of the inputs, of the outputs, of their gradient and of ``n_spare``
        numbers for each row, then the places of all ``parameters`` and ``constants``,
        then the integers of ``table``.
    """

    loops: Callable[..., Any] | None = None
    backward_loops: Callable[..., Any] | None = None

    n_features_: int
    n_outputs_: int

    def start(self, X: NDArray[Any], sample_weight: Floats | None = None) -> int:
        """Learn what training does not change from the training data.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Training data.
        sample_weight : ndarray of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        n_outputs : int
            Number of embedded inputs.
        """
        raise NotImplementedError

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the learned arrays, by name."""
        return {}

    def constants(self) -> dict[str, Floats]:
        """Return the arrays that ``start`` has learned, by name."""
        return {}

    def draw(self, p: Arrays, rng: np.random.Generator) -> None:
        """Draw the initial values of the arrays of ``parameters``.

        Parameters
        ----------
        p : dict of ndarray
            The arrays, which are changed in place.
        rng : numpy.random.Generator
            Generator for the draws.
        """

    def forward(self, p: Arrays, X: Array, xp: ArrayNamespace) -> tuple[Array, Any]:
        """Return the embedded inputs, and what ``backward`` needs.

        Parameters
        ----------
        p : dict of array
            The arrays of ``parameters`` and ``constants``.
        X : array of shape (..., n_samples, n_features)
            Inputs, left unchanged.
        xp : module
            The array namespace.

        Returns
        -------
        out : array of shape (..., n_samples, n_outputs)
            A new array.
        kept : object
            It is passed to ``backward``.
        """
        raise NotImplementedError

    def backward(
        self,
        p: Arrays,
        g: Arrays,
        delta: Array,
        kept: Any,
        xp: ArrayNamespace,
    ) -> None:
        """Write the gradients of the arrays of ``parameters``.

        Parameters
        ----------
        p, g : dict of array
            The arrays, and their gradients.
        delta : array of shape (..., n_samples, n_outputs)
            Gradient with respect to the outputs; it may be changed.
        kept : object
            What ``forward`` returned.
        xp : module
            The array namespace.
        """

    def bound(self, p: Arrays, size: float) -> float:
        """Return a bound of the absolute outputs.

        Parameters
        ----------
        p : dict of array
            The arrays of ``parameters`` and ``constants``.
        size : float
            Bound of the absolute inputs.
        """
        raise NotImplementedError

    def table(self) -> Sequence[int]:
        """Return the integers that the loops take."""
        return ()

    @property
    def n_spare(self) -> int:
        """How many numbers per row of a batch the loops need as scratch space."""
        return 0

    def shown(self, p: Arrays) -> dict[str, Any]:
        """Return the arrays that a fitted estimator has as ``embedding_``."""
        return dict(p)

    def onnx(self, graph: Graph, p: Arrays, X: str) -> str:
        """Add the nodes of ``forward`` to an ONNX graph; return the name of the output.

        Parameters
        ----------
        graph : Graph
            ``graph.add(op_type, *inputs)`` adds a node and returns the name of its
            output; numbers and arrays among its inputs become constants.
        p : dict of array
            The arrays of ``parameters`` and ``constants``.
        X : str
            Name of the inputs.
        """
        raise NotImplementedError


def check_dense(embedding: Embedding | None, X: Any) -> None:
    """Raise ValueError if there is an embedding and ``X`` is sparse."""
    if embedding is not None and issparse(X):
        raise ValueError(
            f"embedding={embedding!r} needs dense inputs, but X is sparse. Pass "
            "X.toarray(), or set embedding=None."
        )
