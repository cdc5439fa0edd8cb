"""Links: from the raw outputs of a network to predictions, and back.

Every loss has a link, which alone knows what the raw outputs mean. It computes
predictions, their logarithms and decision values, and exports them to ONNX.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax

from sknn_notes._arrays import expit
from sknn_notes._numpy import errstate
from sknn_notes._part import NoLoopsError, form_of
from sknn_notes._trees import Tree
from sknn_notes._typing import Floats, Graph, Integers

__all__ = [
    "Gaussian",
    "Identity",
    "Link",
    "Log",
    "Logit",
    "Quantiles",
    "Softmax",
    "TreePaths",
]

# Replaces a mean of 0, whose logarithm is not finite.
_TINY = np.finfo(np.float32).tiny

# Number of (row, node) pairs that ``TreePaths.best_leaf`` processes at a time.
_N_PAIRS = 2**17

# Most elements of a matrix in an ONNX graph, of 4 or 8 bytes; a file holds 2 GiB.
_LARGEST_GRAPH = 2**27

# Rows, nodes, and the log-probabilities of the paths to these.
_Block: TypeAlias = tuple[Integers, Integers, Floats]


class Link:
    """Base class of links. Here raw outputs are predictions; subclasses change that.

    Attributes
    ----------
    name : str
        Name of the function from raw outputs to predictions, ``out_activation_``.
    gives_probabilities : bool
        Whether predictions are probabilities.
    unit : callable or None
        ``unit(mean, scale)`` returns the change of raw outputs that turns predictions
        ``p`` into ``mean + scale * p``, where ``mean`` and ``scale`` have the shape
        (n_outputs,): two arrays of shape (n_raw,), the summand and the factor of the
        raw outputs. If None, the unit of predictions is fixed, and targets are not
        standardized.
    std : callable or None
        ``std(raw)`` returns the standard deviations of the predicted distributions, of
        shape (n_samples, n_outputs).
    quantiles : callable or None
        ``quantiles(raw)`` returns the predicted quantiles in increasing order, of shape
        (n_samples, n_outputs, n_quantiles).
    """

    name = "identity"
    gives_probabilities = False
    unit: Callable[..., Any] | None = None
    std: Callable[..., Any] | None = None
    quantiles: Callable[..., Any] | None = None

    def inverse(self, raw: Floats) -> Floats:
        """Return the predictions for raw outputs.

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

    @errstate(all="ignore")
    def log_inverse(self, raw: Floats) -> Floats:
        """Return the logarithm of ``inverse``, finite even if that rounds to 0."""
        return np.log(self.inverse(raw))

    def scores(self, raw: Floats) -> Floats:
        """Return the decision values for raw outputs, of shape (n_samples, n_outputs).

        The predicted class has the largest decision value. For two classes and for
        multilabel targets, a positive value predicts 1. The result may be ``raw``
        itself.
        """
        return raw

    def raw(self, mean: Floats) -> Floats:
        """Return raw outputs of shape (n_raw,) for which the prediction is ``mean``.

        They are finite even if no raw output gives ``mean``, such as a probability of
        0.
        """
        return mean

    def in_unit(self, scale: Floats) -> "Link":
        """Return the link for raw outputs that ``unit`` has changed.

        It is another link if ``unit`` leaves some raw outputs in units of the standard
        deviation of the targets.

        Parameters
        ----------
        scale : ndarray of shape (n_outputs,)
        """
        return self

    # ONNX. ``graph.add(op_type, *inputs)`` adds a node and returns the name of its
    # output; numbers and arrays among its inputs become constants.

    def onnx_scores(self, graph: Graph, raw: str) -> str:
        """Add the nodes of ``scores``; return the name of the output."""
        return raw

    def onnx(self, graph: Graph, scores: str) -> str:
        """Add the nodes from ``scores`` to ``inverse``; return the output's name."""
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

    def unit(self, mean: Floats, scale: Floats) -> tuple[Floats, Floats]:
        return mean, scale


class Gaussian(Link):
    """Raw outputs are means, then logarithms of variances; predictions are the means.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.links import Gaussian
    >>> raw = np.array([[-1.0, np.log(4)]])
    >>> Gaussian().inverse(raw), Gaussian().std(raw)
    (array([[-1.]]), array([[2.]]))
    """

    name = "gaussian"

    def inverse(self, raw: Floats) -> Floats:
        return raw[:, : raw.shape[1] // 2]

    @errstate(all="ignore")
    def std(self, raw: Floats) -> Floats:
        std: Floats = np.exp(0.5 * raw[:, raw.shape[1] // 2 :])
        return std

    def raw(self, mean: Floats) -> Floats:
        return np.concatenate([mean, np.zeros_like(mean)])

    def unit(self, mean: Floats, scale: Floats) -> tuple[Floats, Floats]:
        added = np.concatenate([mean, 2 * np.log(scale)])
        return added, np.concatenate([scale, np.ones_like(scale)])

    def onnx(self, graph: Graph, scores: str) -> str:
        return graph.add("Gather", graph.add("Reshape", scores, [0, 2, -1]), 0, axis=1)


class Quantiles(Link):
    """Raw outputs are the lowest quantiles, then the increments to the next quantiles.

    Each quantile is the previous one plus the softplus of a raw output. Predictions are
    the quantiles closest to the median.

    Parameters
    ----------
    levels : list of float
        Levels of the quantiles, in (0, 1) and increasing.
    scale : ndarray of shape (n_outputs,) or float, default=1.0
        Unit of the increments, a factor of the softplus.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.links import Quantiles
    >>> link = Quantiles([0.1, 0.5, 0.9])
    >>> raw = np.array([[1.0, 0.0, 0.0]])
    >>> link.quantiles(raw).round(3)
    array([[[1.   , 1.693, 2.386]]])
    >>> link.inverse(raw).round(3)
    array([[1.693]])
    """

    def __init__(self, levels: Sequence[float], scale: float | Floats = 1.0) -> None:
        self.levels, self.scale = levels, scale
        self.name = "identity" if len(levels) == 1 else "quantiles"

    @property
    def nearest(self) -> int:
        """Index of the level closest to the median; the lower one in a tie."""
        # In floating point 0.3 and 0.7 are not equally close.
        distances = [round(abs(float(level) - 0.5), 9) for level in self.levels]
        return distances.index(min(distances))

    @errstate(all="ignore")
    def quantiles(self, raw: Floats) -> Floats:
        steps = raw.reshape(len(raw), len(self.levels), -1).copy()
        np.logaddexp(0, steps[:, 1:], out=steps[:, 1:])
        steps[:, 1:] *= self.scale
        return np.cumsum(steps, axis=1, out=steps).swapaxes(1, 2)

    def inverse(self, raw: Floats) -> Floats:
        if len(self.levels) == 1:
            return raw
        return self.quantiles(raw)[:, :, self.nearest]

    def raw(self, mean: Floats) -> Floats:
        lowest = mean - self.nearest * np.log(2) * self.scale
        others = np.zeros((len(self.levels) - 1) * len(mean), mean.dtype)
        return np.concatenate([lowest, others])

    def raw_of_quantiles(self, quantiles: Floats) -> Floats:
        """Return the raw outputs for quantiles of shape (n_quantiles, n_outputs)."""
        steps = np.diff(quantiles, axis=0) / self.scale
        steps = np.maximum(steps, _TINY)
        # The inverse of the softplus; log(expm1(steps)) would overflow.
        increments = steps + np.log(-np.expm1(-steps))
        return np.concatenate([quantiles[:1], increments]).ravel()

    def unit(self, mean: Floats, scale: Floats) -> tuple[Floats, Floats]:
        n_increments = (len(self.levels) - 1) * len(mean)
        added = np.concatenate([mean, np.zeros(n_increments)])
        return added, np.concatenate([scale, np.ones(n_increments)])

    def in_unit(self, scale: Floats) -> Link:
        return Quantiles(self.levels, scale)

    def onnx(self, graph: Graph, scores: str) -> str:
        if len(self.levels) == 1:
            return scores
        steps = graph.add("Reshape", scores, [0, len(self.levels), -1])
        value = graph.add("Gather", steps, 0, axis=1)
        for k in range(1, self.nearest + 1):
            x = graph.add("Gather", steps, k, axis=1)
            below = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
            log_1p = graph.add("Log", graph.add("Add", below, 1.0))
            softplus = graph.add("Add", graph.add("Max", x, 0.0), log_1p)
            step = graph.add("Mul", softplus, np.asarray(self.scale, float))
            value = graph.add("Add", value, step)
        return value


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

    @errstate(all="ignore")
    def inverse(self, raw: Floats) -> Floats:
        return np.exp(raw)

    def log_inverse(self, raw: Floats) -> Floats:
        return raw

    def raw(self, mean: Floats) -> Floats:
        return np.log(np.maximum(mean, _TINY))

    def onnx(self, graph: Graph, scores: str) -> str:
        return graph.add("Exp", scores)


class Logit(Link):
    """Each raw output is the log-odds of a probability.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.links import Logit
    >>> Logit().inverse(np.array([[0.0, np.log(3)]]))
    array([[0.5 , 0.75]])
    """

    name = "logistic"
    gives_probabilities = True

    @errstate(all="ignore")
    def inverse(self, raw: Floats) -> Floats:
        p: Floats = expit(raw, np)
        return p

    @errstate(all="ignore")
    def log_inverse(self, raw: Floats) -> Floats:
        return _log(self.inverse(raw), log_expit(raw))

    def raw(self, mean: Floats) -> Floats:
        return Log().raw(mean) - Log().raw(1 - mean)

    def onnx(self, graph: Graph, scores: str) -> str:
        return graph.add("Sigmoid", scores)


class Softmax(Link):
    """Raw outputs are the logarithms of class probabilities, up to a constant.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.links import Softmax
    >>> Softmax().inverse(np.array([[0.0, np.log(3)]]))
    array([[0.25, 0.75]])
    """

    name = "softmax"
    gives_probabilities = True

    @errstate(all="ignore")
    def inverse(self, raw: Floats) -> Floats:
        p = raw - np.maximum.reduce(raw, axis=1, keepdims=True)
        np.exp(p, out=p)
        p /= np.add.reduce(p, axis=1, keepdims=True)
        return p

    @errstate(all="ignore")
    def log_inverse(self, raw: Floats) -> Floats:
        return _log(self.inverse(raw), log_softmax(raw, axis=1))

    def raw(self, mean: Floats) -> Floats:
        return Log().raw(mean)

    def onnx(self, graph: Graph, scores: str) -> str:
        return graph.add("Softmax", scores, axis=1)


class TreePaths(Link):
    """Raw outputs are the log-odds of turning right at the nodes of a binary tree.

    The probability of a leaf is the product of the probabilities of the turns on its
    path.

    Parameters
    ----------
    tree : Tree
        Such as ``tree_`` of :class:`~sknn_notes.losses.HierarchicalSoftmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes._trees import Tree
    >>> from sknn_notes.links import TreePaths
    >>> link = TreePaths(Tree([[-1, 1], [-2, -3]]))
    >>> link.inverse(np.zeros((1, 2)))
    array([[0.5 , 0.25, 0.25]])
    """

    name = "hierarchical_softmax"
    gives_probabilities = True

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    @errstate(all="ignore")
    def inverse(self, raw: Floats) -> Floats:
        return np.exp(self.scores(raw))

    def log_inverse(self, raw: Floats) -> Floats:
        return self.scores(raw)

    @errstate(all="ignore")
    def scores(self, raw: Floats) -> Floats:
        tree = self.tree
        # Log-probabilities of the left and the right child of each node: first given
        # that the path reaches the node, then, level by level, from the root.
        turns = _log_decisions(raw.T)
        of_child = turns.reshape(-1, len(raw))
        above = _child(tree, tree.parents, tree.right)
        for start, stop in pairwise(tree.levels[1:].tolist()):
            turns[:, start:stop] += of_child[above[start:stop]]
        return of_child[_child(tree, tree.leaf_parents, tree.leaf_right)].T

    def raw(self, mean: Floats) -> Floats:
        # At each node, the log-odds that the leaf is to the right.
        tree = self.tree
        n_nodes = len(tree.parents)
        sums = np.empty((2, n_nodes), mean.dtype)
        of_child = sums.ravel()
        of_child[_child(tree, tree.leaf_parents, tree.leaf_right)] = mean
        above = _child(tree, tree.parents, tree.right)
        for start, stop in reversed(list(pairwise(tree.levels[1:].tolist()))):
            of_child[above[start:stop]] = np.sum(sums[:, start:stop], axis=0)
        return Log().raw(sums[1]) - Log().raw(sums[0])

    @errstate(all="ignore")
    def best_leaf(
        self, decide: Callable[[Integers, Integers], Floats], n_rows: int
    ) -> Integers:
        """Return the most probable leaf for each row, without visiting all of them.

        A path loses probability at every turn, so a node that is less probable than
        some leaf leads to no better leaf. The search first takes the more probable turn
        at each node. It then follows only those of the other turns that are at least as
        probable as the leaf it has found.

        Parameters
        ----------
        decide : callable
            ``decide(rows, nodes)`` returns the raw outputs for pairs of a row and a
            node, two arrays of int of shape (n_pairs,). They must be finite.
        n_rows : int

        Returns
        -------
        leaves : ndarray of int of shape (n_rows,)
            The leaf with the largest of all ``scores``; the first one in a tie.
        """
        leaves = np.empty(n_rows, np.int64)
        # Each row leaves out at most one turn per level.
        size = max(1, _N_PAIRS // len(self.tree.levels))
        for start in range(0, n_rows, size):
            stop = min(start + size, n_rows)
            search = _Search(self.tree, decide, start, stop)
            leaves[start:stop] = search.run()
        return leaves

    def onnx_scores(self, graph: Graph, raw: str) -> str:
        n_leaves = len(self.tree.depths)
        n_nodes = n_leaves - 1
        if 2 * n_nodes * n_leaves > _LARGEST_GRAPH:
            raise ValueError(
                f"The ONNX graph of a hierarchical softmax over {n_leaves} classes "
                f"would hold a matrix of {2 * n_nodes * n_leaves} numbers; up to "
                f"{_LARGEST_GRAPH} are supported. Save the estimator with pickle or "
                "skops, or export one with loss='log_loss'."
            )
        paths = np.zeros((2 * n_nodes, n_leaves))
        nodes, right = self.tree.paths(np.arange(n_leaves))
        leaf, place = np.nonzero(nodes >= 0)
        paths[nodes[leaf, place] + n_nodes * right[leaf, place], leaf] = 1
        # The logarithm of the logistic function, left turns first.
        x = graph.concat(graph.add("Neg", raw), raw)
        below = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
        log_1p = graph.add("Log", graph.add("Add", below, 1.0))
        log_expit = graph.add("Sub", graph.add("Min", x, 0.0), log_1p)
        return graph.add("MatMul", log_expit, paths)

    def onnx(self, graph: Graph, scores: str) -> str:
        return graph.add("Exp", scores)


class _Search:
    """The search of ``TreePaths.best_leaf`` for some rows.

    Parameters
    ----------
    tree : Tree
    decide : callable
    start, stop : int
        The rows.
    """

    def __init__(
        self,
        tree: Tree,
        decide: Callable[[Integers, Integers], Floats],
        start: int,
        stop: int,
    ) -> None:
        self.tree, self.decide, self.start = tree, decide, start
        self.best = np.full(stop - start, -np.inf)
        self.leaf = np.full(stop - start, len(tree.depths))

    def run(self) -> Integers:
        """Return the leaves."""
        waiting = self._descend()
        while waiting:
            rows, nodes, reached = waiting.pop()
            keep = reached >= self.best[rows]
            turns, children = self._turns(rows[keep], nodes[keep], reached[keep])
            rows = np.broadcast_to(rows[keep], turns.shape)
            is_leaf = children < 0
            self._note(rows[is_leaf], children[is_leaf], turns[is_leaf])
            follow = ~is_leaf & (turns >= self.best[rows])
            waiting += _blocks(rows[follow], children[follow], turns[follow])
        return self.leaf

    def _descend(self) -> list[_Block]:
        """Take the more probable turns; return the others as blocks of pairs."""
        rows = np.arange(len(self.best))
        nodes, reached = np.zeros_like(rows), np.zeros(len(rows))
        others = []
        while len(rows):
            turns, children = self._turns(rows, nodes, reached)
            better = (turns[1] > turns[0]).astype(int)
            for side in 1 - better, better:
                turn = np.take_along_axis(turns, side[None], axis=0)[0]
                child = np.take_along_axis(children, side[None], axis=0)[0]
                is_leaf, is_node = child < 0, child >= 0
                self._note(rows[is_leaf], child[is_leaf], turn[is_leaf])
                others.append((rows[is_node], child[is_node], turn[is_node]))
            rows, nodes, reached = others.pop()
        rows, nodes, reached = (np.concatenate(x) for x in zip(*others, strict=True))
        keep = reached >= self.best[rows]
        return _blocks(rows[keep], nodes[keep], reached[keep])

    def _turns(
        self, rows: Integers, nodes: Integers, reached: Floats
    ) -> tuple[Floats, Integers]:
        """Return the log-probabilities of both children of nodes, and the children."""
        raw = self.decide(self.start + rows, nodes)
        turns = _log_decisions(raw)
        # In the dtype of the raw outputs, as in ``scores``.
        turns += reached.astype(raw.dtype)
        return turns, self.tree.children[nodes].T

    def _note(self, rows: Integers, children: Integers, turns: Floats) -> None:
        """Keep the leaves that are more probable than those found so far."""
        leaves = -1 - children
        best = self.best[rows]
        keep = (turns > best) | ((turns == best) & (leaves < self.leaf[rows]))
        rows, leaves, turns = rows[keep], leaves[keep], turns[keep]
        # If a row occurs several times, the last assignment counts.
        order = np.lexsort((-leaves, turns, rows))
        self.best[rows[order]], self.leaf[rows[order]] = turns[order], leaves[order]


def _blocks(*arrays: Any) -> list[_Block]:
    """Split arrays of the same length into blocks of bounded size."""
    starts = range(0, len(arrays[0]), _N_PAIRS)
    return [tuple(x[start : start + _N_PAIRS] for x in arrays) for start in starts]


def _log_decisions(raw: Floats) -> Floats:
    """Return the log-probabilities of turning left and right, of shape (2, ...)."""
    # As exact as two calls of scipy's log_expit, and several times faster.
    rest = np.abs(raw)
    np.log1p(np.exp(np.negative(rest, out=rest), out=rest), out=rest)
    turns = np.empty((2, *raw.shape), raw.dtype)
    np.negative(np.maximum(raw, 0, out=turns[0]), out=turns[0])
    np.minimum(raw, 0, out=turns[1])
    turns -= rest
    return turns


def _child(tree: Tree, parents: Integers, right: NDArray[np.bool_]) -> Integers:
    """Return the indices of children in arrays that hold all left children first."""
    return parents + len(tree.parents) * right


def unit_of(link: Link) -> Callable[..., Any] | None:
    """Return the method ``unit`` that belongs to ``inverse`` of a link, or None.

    Parameters
    ----------
    link : Link
    """
    try:
        unit: Callable[..., Any] = form_of(link, "unit", "inverse")
    except NoLoopsError:
        return None
    return unit


def _log(p: Floats, exact: Floats) -> Floats:
    """Return the logarithms of ``p``, or ``exact`` where ``p`` is too small."""
    return np.log(p, out=exact, where=p > np.finfo(p.dtype).tiny)
