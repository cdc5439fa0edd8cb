"""Links: from the raw outputs of a network to predictions, and back.

Every loss has one. It is the only place that knows what raw outputs stand for, and how
the rest of it is computed: logarithms, decisions and the nodes of an exported graph.
"""

import numpy as np
from scipy.special import log_expit, log_softmax

from sknn_notes._arrays import expit

__all__ = ["Identity", "Link", "Log", "Logit", "Softmax", "TreePaths"]

# In place of a mean of 0, whose logarithm is not finite.
_TINY = np.finfo(np.float32).tiny


class Link:
    """Base class of links: raw outputs that are the predictions.

    Attributes
    ----------
    name : str
        Name of the function from raw outputs to predictions, ``out_activation_``.
    gives_probabilities : bool
        Whether predictions are probabilities.
    """

    name = "identity"
    gives_probabilities = False

    def inverse(self, raw):
        """Return the predictions that raw outputs stand for.

        Parameters
        ----------
        raw : ndarray of shape (n_samples, n_raw)
            Left unchanged.

        Returns
        -------
        predictions : ndarray of shape (n_samples, n_outputs)
            It may be ``raw`` itself.
        """
        return raw

    @np.errstate(all="ignore")
    def log_inverse(self, raw):
        """Return the logarithm of ``inverse``, finite where that rounds to 0."""
        return np.log(self.inverse(raw))

    def scores(self, raw):
        """Return the decision values, shape (n_samples, n_outputs), for raw outputs.

        The largest one is the predicted class; for two classes, and for each label, a
        positive one is a yes. They may be ``raw`` itself.
        """
        return raw

    def raw(self, mean):
        """Return raw outputs, shape (n_raw,), whose prediction is ``mean``.

        They are finite also where ``mean`` holds a number that no raw output gives.
        """
        return mean

    # In an ONNX graph. ``graph.add(op_type, *inputs)`` adds a node and returns the name
    # of its output; numbers and arrays among its inputs become constants.

    def onnx_scores(self, graph, raw):
        """Add the nodes of ``scores``; return the name of their output."""
        return raw

    def onnx(self, graph, scores):
        """Add the nodes from ``scores`` to ``inverse``; return their output's name."""
        return scores


class Identity(Link):
    """The raw outputs are the predictions.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.links import Identity
    >>> Identity().inverse(np.array([[-1.0, 2.0]]))
    array([[-1.,  2.]])
    """


class Log(Link):
    """Raw outputs are the logarithms of positive predictions.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.links import Log
    >>> Log().inverse(np.array([[0.0]]))
    array([[1.]])
    """

    name = "exp"

    @np.errstate(all="ignore")
    def inverse(self, raw):
        return np.exp(raw)

    def log_inverse(self, raw):
        return raw

    def raw(self, mean):
        return np.log(np.maximum(mean, _TINY))

    def onnx(self, graph, scores):
        return graph.add("Exp", scores)


class Logit(Link):
    """Every raw output is the log-odds of a probability of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.links import Logit
    >>> Logit().inverse(np.array([[0.0, np.log(3)]]))
    array([[0.5 , 0.75]])
    """

    name = "logistic"
    gives_probabilities = True

    @np.errstate(all="ignore")
    def inverse(self, raw):
        return expit(raw, np)

    @np.errstate(all="ignore")
    def log_inverse(self, raw):
        return _log(self.inverse(raw), log_expit(raw))

    def raw(self, mean):
        return Log().raw(mean) - Log().raw(1 - mean)

    def onnx(self, graph, scores):
        return graph.add("Sigmoid", scores)


class Softmax(Link):
    """Raw outputs are the logarithms of probabilities that sum to 1, up to a constant.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.links import Softmax
    >>> Softmax().inverse(np.array([[0.0, np.log(3)]]))
    array([[0.25, 0.75]])
    """

    name = "softmax"
    gives_probabilities = True

    @np.errstate(all="ignore")
    def inverse(self, raw):
        p = raw - np.maximum.reduce(raw, axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= np.add.reduce(p, axis=1, keepdims=True)
        return p

    @np.errstate(all="ignore")
    def log_inverse(self, raw):
        return _log(self.inverse(raw), log_softmax(raw, axis=1))

    def raw(self, mean):
        return Log().raw(mean)

    def onnx(self, graph, scores):
        return graph.add("Softmax", scores, axis=1)


class TreePaths(Link):
    """Raw outputs are the log-odds of the right turns at the nodes of a binary tree.

    A leaf's probability is the product of those of the turns on its path.

    Parameters
    ----------
    nodes : ndarray of int of shape (max_depth, n_leaves)
        Nodes on every leaf's path from the root, filled up with any nodes.
    right : ndarray of bool of shape (max_depth, n_leaves)
        Whether the path turns right at each of them.
    depths : ndarray of int of shape (n_leaves,)
        Number of nodes on every leaf's path.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.links import TreePaths
    >>> nodes = np.array([[0, 0, 0], [1, 1, 1]])
    >>> right = np.array([[True, False, False], [False, False, True]])
    >>> link = TreePaths(nodes, right, depths=np.array([1, 2, 2]))
    >>> link.inverse(np.zeros((1, 2)))
    array([[0.5 , 0.25, 0.25]])
    """

    name = "hierarchical_softmax"
    gives_probabilities = True

    def __init__(self, nodes, right, depths):
        self.nodes, self.right, self.depths = nodes, right, depths

    @property
    def on_path(self):
        """Which places of the paths lie before their leaf, (max_depth, n_leaves)."""
        return np.arange(len(self.nodes))[:, None] < self.depths

    @np.errstate(all="ignore")
    def inverse(self, raw):
        return np.exp(self.scores(raw))

    def log_inverse(self, raw):
        return self.scores(raw)

    @np.errstate(all="ignore")
    def scores(self, raw):
        n_nodes = raw.shape[1]
        # Rows: the log-probability of left at each node, of right, and 0 past a leaf.
        turns = np.zeros((2 * n_nodes + 1, len(raw)), raw.dtype)
        log_expit(-raw.T, out=turns[:n_nodes])
        log_expit(raw.T, out=turns[n_nodes:-1])
        steps = np.where(self.on_path, self.nodes + n_nodes * self.right, 2 * n_nodes)
        total = turns[steps[0]]
        for step in steps[1:]:
            total += turns[step]
        return total.T

    def raw(self, mean):
        # At every node the log-odds of the leaves to the right of it.
        weights = mean * self.on_path
        right, left = (
            np.bincount(self.nodes.ravel(), (weights * side).ravel())
            for side in (self.right, ~self.right)
        )
        return Log().raw(right) - Log().raw(left)

    def onnx_scores(self, graph, raw):
        n_nodes, on_path = len(self.depths) - 1, self.on_path
        turns = self.nodes + n_nodes * self.right
        paths = np.zeros((2 * n_nodes, len(self.depths)))
        paths[turns[on_path], np.nonzero(on_path)[1]] = 1
        # The logarithm of the logistic function, left turns first.
        x = graph.concat(graph.add("Neg", raw), raw)
        below = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
        log_1p = graph.add("Log", graph.add("Add", below, 1.0))
        log_expit = graph.add("Sub", graph.add("Min", x, 0.0), log_1p)
        return graph.add("MatMul", log_expit, paths)

    def onnx(self, graph, scores):
        return graph.add("Exp", scores)


def _log(p, exact):
    """Return the logarithms of ``p``, ``exact`` where it is too small for them."""
    return np.log(p, out=exact, where=p > np.finfo(p.dtype).tiny)
