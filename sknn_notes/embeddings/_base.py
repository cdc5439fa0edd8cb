"""What every embedding does."""

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
    defines ``start``, ``forward`` and, if it learns something, ``parameters``, ``draw``
    and ``backward``. ``loops`` and ``backward_loops`` are its compiled form; a class
    that brings none is trained by its definition.

    Attributes
    ----------
    n_features_, n_outputs_ : int
        Numbers of inputs and of embedded inputs, which ``start`` sets.
    loops, backward_loops : callable or None
        Operations of a training step (see ``sknn_notes._compile``). ``at`` are the
        places of the inputs, of the outputs, of their gradient and of ``n_spare``
        numbers for every row, then those of all ``parameters`` and ``constants``, then
        what ``table`` returns.
    """

    loops: Callable[..., Any] | None = None
    backward_loops: Callable[..., Any] | None = None

    n_features_: int
    n_outputs_: int

    def start(self, X: NDArray[Any], sample_weight: Floats | None = None) -> int:
        """Learn from the training rows what stays as it is in training.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The rows to train on.
        sample_weight : ndarray of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        n_outputs : int
            Number of embedded inputs.
        """
        raise NotImplementedError

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the arrays that training learns, by their names."""
        return {}

    def constants(self) -> dict[str, Floats]:
        """Return the arrays that ``start`` learned, by their names."""
        return {}

    def draw(self, p: Arrays, rng: np.random.Generator) -> None:
        """Set the arrays of ``parameters`` to their random start.

        Parameters
        ----------
        p : dict of ndarray
            The arrays, to be written to.
        rng : numpy.random.Generator
            Source of the draws.
        """

    def forward(self, p: Arrays, X: Array, xp: ArrayNamespace) -> tuple[Array, Any]:
        """Return the embedded inputs, and what ``backward`` needs to know.

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
            Handed to ``backward``.
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
            Gradient at the outputs; it may be changed.
        kept : object
            What ``forward`` returned.
        xp : module
            The array namespace.
        """

    def bound(self, p: Arrays, size: float) -> float:
        """Return what no output exceeds in size if no input exceeds ``size``.

        Parameters
        ----------
        p : dict of array
            The arrays of ``parameters`` and ``constants``.
        size : float
            Bound of the inputs.
        """
        raise NotImplementedError

    def table(self) -> Sequence[int]:
        """Return the integers that the loops take."""
        return ()

    @property
    def n_spare(self) -> int:
        """How many numbers for every row of a batch the loops need room for."""
        return 0

    def shown(self, p: Arrays) -> dict[str, Any]:
        """Return the arrays that a fitted estimator shows as ``embedding_``."""
        return dict(p)

    def onnx(self, graph: Graph, p: Arrays, X: str) -> str:
        """Add the nodes of ``forward`` to an ONNX graph; return their output's name.

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
            f"embedding={embedding!r} works on dense inputs; X is sparse. Pass "
            "X.toarray(), or set embedding=None."
        )
