"""Hierarchical softmax: the classes are the leaves of a binary tree."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np
from scipy.special import expit, log_expit

from sknn_notes import _kernels
from sknn_notes._checks import shown
from sknn_notes._sklearn import StrOptions
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
    >>> loss.probabilities(raw, multiclass=True)
    array([[0.5 , 0.25, 0.25]])
    """

    has_probabilities = True
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

    def multiclass(self, raw, y, out):
        nodes, rows = self.path_nodes_[:, y], np.arange(len(y))
        decisions = raw[rows, nodes]
        # Ever so surely left, and rightly so, costs exactly 0.
        beyond = np.arange(len(nodes))[:, None] >= self.depths_[y]
        decisions[beyond] = _SURELY_LEFT
        right = self.path_right_[:, y].astype(raw.dtype)
        pull = np.empty_like(decisions)
        losses = _kernels.active().logistic_log_loss(decisions.T, right.T, pull.T)
        out[...] = 0
        out[rows, nodes] = pull
        return losses

    def constant(self, y, sample_weight, n_raw):
        # At every node the log-odds of the classes to the right of it.
        of_class = self.shares(y, sample_weight, len(self.depths_))
        on_path = np.arange(len(self.path_nodes_))[:, None] < self.depths_
        weights = of_class * on_path
        nodes, right = self.path_nodes_.ravel(), self.path_right_
        turns = [(weights * side).ravel() for side in (right, ~right)]
        p, q = (np.bincount(nodes, turn, minlength=n_raw) for turn in turns)
        tiny = np.finfo(np.float32).tiny
        return np.log(np.maximum(p, tiny)) - np.log(np.maximum(q, tiny))

    def labels(self, raw, y, out):
        raise ValueError(
            "loss='hierarchical_softmax' is for classes that exclude each other, and "
            "this is a multilabel problem. Choose loss='log_loss' or a hinge loss."
        )

    @np.errstate(all="ignore")
    def scores(self, raw):
        """Return the leaves' log-probabilities, (n_samples, n_classes).

        For two classes the log-odds of the second one, (n_samples, 1).
        """
        n_nodes = raw.shape[1]
        if n_nodes == 1:
            return raw
        # Rows: the log-probability of left at each node, of right, and 0 past a leaf.
        turns = np.zeros((2 * n_nodes + 1, len(raw)), raw.dtype)
        log_expit(-raw.T, out=turns[:n_nodes])
        log_expit(raw.T, out=turns[n_nodes:-1])
        steps = self.path_nodes_ + n_nodes * self.path_right_
        steps[np.arange(len(steps))[:, None] >= self.depths_] = 2 * n_nodes
        total = turns[steps[0]]
        for step in steps[1:]:
            total += turns[step]
        return total.T

    def out_activation(self, multiclass):
        return "hierarchical_softmax" if multiclass else "logistic"

    @np.errstate(all="ignore")
    def probabilities(self, raw, multiclass):
        """Return the probability of every class."""
        return np.exp(self.scores(raw)) if multiclass else expit(raw)

    def log_probabilities(self, raw, multiclass):
        """Return the logarithm of ``probabilities``, finite where those round to 0."""
        return self.scores(raw) if multiclass else log_expit(raw)


# A raw output so low that its exponential is 0 in any dtype.
_SURELY_LEFT = -1e4


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
