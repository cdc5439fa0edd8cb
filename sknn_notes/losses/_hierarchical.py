"""Hierarchical softmax: the classes are the leaves of a binary tree."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from sknn_notes._arrays import (
    astype,
    expit,
    from_numpy,
    logistic_cost,
    put_along_last_axis,
)
from sknn_notes._checks import shown
from sknn_notes._compile import cast, fill, math
from sknn_notes._sklearn import StrOptions
from sknn_notes.links import Logit, TreePaths
from sknn_notes.losses._base import ClassificationLoss


class HierarchicalSoftmax(ClassificationLoss):
    """Minus the log-probability of the path to the class's leaf in a binary tree.

    The classes are the leaves of a tree, and each of its ``K - 1`` inner nodes decides
    between its two branches: to the right with probability ``1 / (1 + exp(-f))`` of
    its raw output ``f``. A sample trains the nodes on its own path alone, about
    ``log2 K`` of them, and the probabilities of the leaves sum to 1. The structure of
    the tree strongly affects the result: it is best to part early what is easy to tell
    apart. A network that knows nothing starts at the mean depth of the leaves times
    ``ln 2``. For two classes the loss is ``log_loss``.

    Parameters
    ----------
    tree : {"balanced", "huffman"} or nested pair, default="balanced"
        "balanced" halves the sorted classes at every node: no path is longer than
        ``ceil(log2 K)``. "huffman" gives frequent classes short paths, so that the mean
        path over the training data is as short as it can be; it needs ``fit``, since
        ``partial_fit`` sees no frequencies. Or a tree of one's own, a pair (left,
        right) of class labels or of pairs again: ``(("cat", "dog"), "car")``.

    Attributes
    ----------
    path_nodes_ : ndarray of shape (max_depth, n_classes)
        Indices of the nodes on every class's path, from the root, 0; filled up with
        nodes off the path.
    path_right_ : ndarray of bool of shape (max_depth, n_classes)
        Whether the path turns right at each of them.
    depths_ : ndarray of shape (n_classes,)
        Number of nodes on every class's path.

    Notes
    -----
    Only the loss and its gradient skip the nodes off a sample's path: the network's
    last layer is dense and computes the outputs of all nodes.

    References
    ----------
    Morin, F. and Bengio, Y. (2005). Hierarchical probabilistic neural network language
    model. AISTATS.

    Mikolov, T., Sutskever, I., Chen, K., Corrado, G. and Dean, J. (2013). Distributed
    representations of words and phrases and their compositionality. NeurIPS. (Huffman
    trees.)

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import HierarchicalSoftmax
    >>> loss = HierarchicalSoftmax(tree=(("cat", "dog"), "car"))
    >>> loss.start(np.array(["car", "cat", "dog"]), counts=None)
    >>> loss.depths_
    array([1, 2, 2])
    >>> raw = np.zeros((1, 2))
    >>> loss.link(multiclass=True).inverse(raw)
    array([[0.5 , 0.25, 0.25]])
    """

    tasks = ("binary", "multiclass")
    indices_for_two = True
    _parameter_constraints = {
        "tree": [StrOptions({"balanced", "huffman"}), tuple, list]
    }

    def __init__(self, *, tree="balanced"):
        self.tree = tree

    def __sklearn_clone__(self):
        # scikit-learn's own recurses into the pairs, which may be as deep as there are
        # classes. So does pickle.
        return type(self)(**self.get_params(deep=False))

    def __getstate__(self):
        state = super().__getstate__()
        if _depth(self.tree) <= _DEEP:
            return state
        return {**state, "tree": None, "_postfix": _postfix(self.tree)}

    def __setstate__(self, state):
        state = dict(state)
        order = state.pop("_postfix", None)
        super().__setstate__(state)
        if order is not None:
            self.tree = _nested(order)

    def start(self, classes, counts):
        """Build the tree and the paths to its leaves.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            Sorted class labels.
        counts : ndarray of shape (n_classes,) or None
            How often each class occurs; needed for "huffman".

        Raises
        ------
        ValueError
            If ``counts`` are needed and None, or a tree of one's own does not hold
            every class exactly once.
        """
        if not isinstance(self.tree, str):
            tree = _tree_of_indices(self.tree, classes.tolist())
        elif self.tree == "balanced":
            tree = _balanced_tree(0, len(classes))
        elif counts is None:
            raise ValueError(
                "tree='huffman' needs to know how frequent the classes are, which "
                "partial_fit can't tell from its first batch. Call fit, or choose "
                "tree='balanced' or a tree of your own."
            )
        else:
            tree = _huffman_tree(counts)
        if len(classes) == 2:
            # Both trees are the same model; this one's output is the log-odds.
            tree = (0, 1)
        self.path_nodes_, self.path_right_, self.depths_ = _paths(tree, len(classes))

    def n_raw(self, n_outputs):
        return max(1, n_outputs - 1)

    def multiclass(self, raw, y, xp):
        flat = xp.reshape(y, (-1,))
        nodes, right, on_path = (
            xp.reshape(
                xp.take(from_numpy(array.T, y, xp), flat, axis=0),
                (*y.shape, len(array)),
            )
            for array in (self.path_nodes_, self.path_right_, self._paths.on_path)
        )
        shape = (*raw.shape[:-1], nodes.shape[-1])
        nodes = xp.broadcast_to(nodes, shape)
        decisions = xp.take_along_axis(raw, nodes, axis=-1)
        # Past its leaf a path turns left for sure, which costs nothing.
        decisions = xp.where(on_path, decisions, xp.zeros_like(decisions) - 1e4)
        right = astype(right, raw.dtype, xp)
        losses = xp.sum(logistic_cost(decisions, right, xp), axis=-1)
        pull = expit(decisions, xp) - right
        return losses, put_along_last_axis(xp.zeros_like(raw), nodes, pull, xp)

    @property
    def _paths(self):
        return TreePaths(self.path_nodes_, self.path_right_, self.depths_)

    def table(self):
        paths = [self.path_nodes_.T, self.path_right_.T]
        return np.concatenate(
            [np.array(paths[0].shape), self.depths_, *(path.ravel() for path in paths)]
        )

    @staticmethod
    def class_loops(raw, y, out, losses, spare, numbers, table):
        n_classes, longest = table[0], table[1]
        depths = table[2 : 2 + n_classes]
        nodes = table[2 + n_classes :]
        rights = nodes[n_classes * longest :]
        one, zero = cast(1, raw[0, 0]), cast(0, raw[0, 0])
        for k in range(raw.shape[0]):
            fill(out[k], 0)
        for i in range(raw.shape[1]):
            total, first = zero, y[i] * longest
            for step in range(first, first + depths[y[i]]):
                z, right = raw[nodes[step], i], one if rights[step] else zero
                total += math.softplus(z) - right * z
                out[nodes[step], i] = math.logistic(z) - right
            losses[i] = total

    def constant(self, y, sample_weight, n_raw):
        return self._paths.raw(self.shares(y, sample_weight, len(self.depths_)))

    def labels(self, raw, y, xp):
        raise ValueError(
            "loss='hierarchical_softmax' is for classes that exclude each other, and "
            "this is a multilabel problem. Choose loss='log_loss' or a hinge loss."
        )

    def link(self, multiclass=False):
        return self._paths if multiclass else Logit()


def _balanced_tree(start, stop):
    """Return the tree over class indices that halves them at every node."""
    if stop - start == 1:
        return start
    middle = (start + stop + 1) // 2
    return _balanced_tree(start, middle), _balanced_tree(middle, stop)


def _huffman_tree(counts):
    """Return the tree over class indices of the shortest mean path."""
    # Of equally frequent trees the older comes first, which keeps the deepest leaf low.
    queue: list[tuple[float, int, Any]] = [
        (float(count), age, age) for age, count in enumerate(counts)
    ]
    heapify(queue)
    for age in range(len(counts), 2 * len(counts) - 1):
        (rarest, _, left), (rare, _, right) = heappop(queue), heappop(queue)
        heappush(queue, (rarest + rare, age, (left, right)))
    return queue[0][2]


def _tree_of_indices(tree, classes):
    """Return a user's tree with class indices in place of labels, checked."""
    indices = {label: i for i, label in enumerate(classes)}
    seen = set()
    order = _postfix(tree)
    for i, item in enumerate(order):
        if item is _JOIN:
            continue
        if not isinstance(item, Hashable) or item not in indices:
            raise ValueError(
                f"The tree has a leaf {item!r}, which is no class. The classes are "
                f"{classes}."
            )
        if item in seen:
            raise ValueError(f"The tree has more than one leaf for the class {item!r}.")
        seen.add(item)
        order[i] = indices[item]
    missing = [label for label in classes if label not in seen]
    if missing:
        raise ValueError(f"The tree has no leaf for the classes {missing}.")
    return _nested(order)


# Joins the two trees before it in postfix order. It is no label, and can be pickled.
_JOIN = ...


# Python's own recursion reaches deeper than this.
_DEEP = 100


def _depth(tree):
    """Return how deep pairs are nested."""
    depth, level = 0, [tree]
    while pairs := [node for node in level if isinstance(node, tuple | list)]:
        level = [branch for pair in pairs for branch in pair]
        depth += 1
    return depth


def _postfix(tree):
    """Return the leaves of nested pairs, and a ``_JOIN`` after each pair's two trees.

    A loop in place of recursion, since a tree may be as deep as there are classes.
    """
    order: list[Any] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        if not isinstance(node, tuple | list):
            order.append(node)
            continue
        if len(node) != 2:
            raise ValueError(
                "Every inner node of a tree must be a pair (left, right) of class "
                f"labels or pairs. Got {len(node)} of them in {shown(node)}."
            )
        order.append(_JOIN)
        pending += node
    return order[::-1]


def _nested(order):
    """Return the nested pairs that ``_postfix`` has put in order."""
    trees: list[Any] = []
    for item in order:
        if item is _JOIN:
            right, left = trees.pop(), trees.pop()
            item = left, right
        trees.append(item)
    return trees[0]


def _paths(tree, n_classes):
    """Return (nodes, turns, depths): how to get from the root to every leaf.

    Nodes are numbered from the root, 0, each before the nodes below it.
    """
    paths: list[Any] = [None] * n_classes
    # The path to the branch at hand; what lies past its depth is left from others.
    path, turns = np.zeros(n_classes, int), np.zeros(n_classes, bool)
    n_nodes = 0
    pending: list[tuple[Any, int, int, bool]] = [(tree, 0, 0, False)]
    while pending:
        branch, depth, parent, right = pending.pop()
        if depth:
            path[depth - 1], turns[depth - 1] = parent, right
        if isinstance(branch, tuple):
            pending += [
                (branch[1], depth + 1, n_nodes, True),
                (branch[0], depth + 1, n_nodes, False),
            ]
            n_nodes += 1
        else:
            paths[branch] = path[:depth].copy(), turns[:depth].copy()
    depths = np.array([len(on_path) for on_path, _ in paths])
    nodes = np.zeros((depths.max(), n_classes), int)
    rights = np.zeros(nodes.shape, bool)
    for leaf, (on_path, right) in enumerate(paths):
        depth = depths[leaf]
        nodes[:depth, leaf], rights[:depth, leaf] = on_path, right
        # Past a leaf, a node off its path, so that no gradient is written twice.
        # Numbers grow along a path: the first that is skipped is off it.
        off_path = np.sum(on_path == np.arange(depth))
        nodes[depth:, leaf] = off_path if off_path < n_nodes else 0
    return nodes, rights, depths
