"""Hierarchical softmax: the classes are the leaves of a binary tree."""

from collections.abc import Hashable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import astype, concatenated, put_along_last_axis
from sknn_notes._checks import shown
from sknn_notes._compile import cast, fill, math
from sknn_notes._sklearn import StrOptions
from sknn_notes._trees import Tree
from sknn_notes._typing import Array, ArrayNamespace, Floats, Integers
from sknn_notes.links import Link, Logit, TreePaths
from sknn_notes.losses._base import Choice, ClassificationLoss
from sknn_notes.losses._classification import logistic_terms

# A node on a path takes as much time as this many nodes in a matrix product.
_SPEED = 32


class HierarchicalSoftmax(ClassificationLoss):
    """Minus the log-probability of the path to the true class in a binary tree.

    The classes are the leaves of a tree. Each of its ``K - 1`` inner nodes has a raw
    output ``f``, and turns right with probability ``1 / (1 + exp(-f))``. The
    probabilities of the leaves sum to 1. A sample trains only the nodes on its path,
    about ``log2 K`` of them. The structure of the tree strongly affects the result:
    nodes near the root should separate classes that are easy to tell apart. At chance
    level the loss is ``ln 2`` times the mean depth of the leaves. For two classes it is
    ``log_loss``.

    Parameters
    ----------
    tree : {"balanced", "huffman"} or nested pair, default="balanced"
        "balanced" halves the sorted classes at each node, so that no path is longer
        than ``ceil(log2 K)``. "huffman" gives frequent classes short paths, which
        minimizes the mean length of a path over the training data. It needs ``fit``,
        since ``partial_fit`` does not know the frequencies. A custom tree is a pair
        (left, right) of class labels or further pairs, such as
        ``(("cat", "dog"), "car")``.

    Attributes
    ----------
    tree_ : Tree
        The tree as arrays: ``children``, ``parents`` and ``right`` of its ``K - 1``
        inner nodes, which are numbered level by level from the root, 0;
        ``leaf_parents`` and ``leaf_right`` of its leaves, the classes. A negative child
        is the leaf ``-1 - child``. ``tree_.paths(leaves)`` returns the nodes on the
        paths from leaves up to the root, and whether the path turns right at each of
        them.
    depths_ : ndarray of shape (n_classes,)
        Number of nodes on the path of each class.

    Notes
    -----
    If there are at least 32 times as many classes as nodes on the longest path, a step
    of training computes and updates only the nodes on the paths of its batch. Otherwise
    it computes all nodes, which is then faster. ``predict`` searches for the most
    probable class without visiting all nodes; ``predict_proba`` visits all of them.

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

    depths_: np.ndarray

    def __init__(self, *, tree: Any = "balanced") -> None:
        self.tree = tree

    def __sklearn_clone__(self) -> Self:
        # scikit-learn's clone recurses into the pairs, and so does pickle. The tree may
        # be as deep as there are classes.
        return type(self)(**self.get_params(deep=False))

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        if _depth(self.tree) <= _DEEP:
            return state
        return {**state, "tree": None, "_postfix": _postfix(self.tree)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        order = state.pop("_postfix", None)
        super().__setstate__(state)
        if order is not None:
            self.tree = _nested(order)

    def start(self, classes: NDArray[Any], counts: Floats | None) -> None:
        """Build the tree.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            Sorted class labels.
        counts : ndarray of shape (n_classes,) or None
            Weighted number of samples of each class; needed for "huffman".

        Raises
        ------
        ValueError
            If ``counts`` are needed and None, or if a custom tree does not hold each
            class exactly once.
        """
        if not isinstance(self.tree, str):
            tree = _tree_of_indices(self.tree, classes.tolist())
        elif self.tree == "balanced":
            tree = Tree.balanced(len(classes))
        elif counts is None:
            raise ValueError(
                "tree='huffman' needs the frequencies of the classes, which "
                "partial_fit does not know. Call fit, or pass tree='balanced' or a "
                "custom tree."
            )
        else:
            tree = Tree.huffman(counts)
        if len(classes) == 2:
            # Both trees give the same model; here the output is the log-odds of class
            # 1.
            tree = Tree.balanced(2)
        self.tree_, self.depths_ = tree, tree.depths

    def n_raw(self, n_outputs: int) -> int:
        return max(1, n_outputs - 1)

    def multiclass(
        self, raw: Array, y: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        nodes, right = self.tree_.paths(y, xp)
        on_path = nodes >= 0
        shape = (*raw.shape[:-1], nodes.shape[-1])
        places = xp.broadcast_to(xp.where(on_path, nodes, xp.zeros_like(nodes)), shape)
        decisions = xp.take_along_axis(raw, places, axis=-1)
        losses, pull = self.of_paths(decisions, right, on_path, xp)
        # An additional column takes the zeros beyond the root.
        n_raw = raw.shape[-1]
        places = xp.where(on_path, nodes, xp.zeros_like(nodes) + n_raw)
        places = xp.broadcast_to(places, shape)
        gradient = concatenated([xp.zeros_like(raw), xp.zeros_like(raw[..., :1])], xp)
        return losses, put_along_last_axis(gradient, places, pull, xp)[..., :n_raw]

    def of_paths(
        self, decisions: Array, right: Array, on_path: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """Return the loss of each path, and its gradient.

        Parameters
        ----------
        decisions : array of shape (..., n_samples, longest)
            Raw outputs of the nodes on the paths; any numbers elsewhere.
        right : array of bool of shape (..., n_samples, longest)
            Whether the path turns right at each node.
        on_path : array of bool of shape (..., n_samples, longest)
            Whether the path has a node there.
        xp : module
            The array namespace.

        Returns
        -------
        losses : array of shape (..., n_samples)
        pull : array of shape (..., n_samples, longest)
            The gradient; 0 off the path.
        """
        right, zero = astype(right, decisions.dtype, xp), xp.zeros_like(decisions)
        costs, pull = logistic_terms(decisions, right, 0, xp)
        costs, pull = (xp.where(on_path, each, zero) for each in (costs, pull))
        return xp.sum(costs, axis=-1), pull

    @property
    def chooses(self) -> bool:
        """Whether a step computes only the nodes that it needs, one by one."""
        depths = vars(self).get("depths_")
        return depths is not None and len(depths) >= _SPEED * np.max(depths)

    @property
    def n_chosen(self) -> tuple[int, int]:
        """The number of nodes on the longest path; samples share none."""
        return int(np.max(self.depths_)), 0

    def most_chosen(self, n_samples: int) -> int:
        return int(np.minimum(np.diff(self.tree_.levels), n_samples).sum())

    def choose(self, y: Integers, keys: Sequence[int], dtype: Any) -> Choice:
        nodes, right = self.tree_.paths(y)
        shape = len(y), self.n_chosen[0]
        own, targets = np.full(shape, -1), np.zeros(shape, dtype)
        own[:, : nodes.shape[1]], targets[:, : nodes.shape[1]] = nodes, right
        none = np.empty((len(keys), 0), int)
        return Choice(own, targets, none, none.astype(dtype))

    def of_choice(
        self, raw: Array, choice: Choice, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        return self.of_paths(raw, choice.targets, choice.own >= 0, xp)

    @staticmethod
    def choice_loops(
        own: Any,
        places: Any,
        targets: Any,
        shared: Any,
        own_out: Any,
        shared_out: Any,
        losses: Any,
        spare: Any,
    ) -> None:
        one = cast(1, own[0, 0])
        for i in range(own.shape[0]):
            losses[i] = 0
            for j in range(own.shape[1]):
                sign = one - (targets[i, j] + targets[i, j])
                z = sign * own[i, j]
                cost, pull = math.softplus(z), sign * math.logistic(z)
                on_path = places[i, j] >= 0
                own_out[i, j] = pull if on_path else pull - pull
                losses[i] += cost if on_path else cost - cost

    def table(self) -> Integers:
        tree = self.tree_
        arrays = tree.leaf_parents, tree.leaf_right, tree.parents, tree.right
        return np.concatenate([[len(tree.depths)], *arrays])

    @staticmethod
    def class_loops(
        raw: Any, y: Any, out: Any, losses: Any, spare: Any, numbers: Any, table: Any
    ) -> None:
        n_classes = table[0]
        leaf_parents = table[1 : 1 + n_classes]
        leaf_rights = table[1 + n_classes : 1 + 2 * n_classes]
        parents = table[1 + 2 * n_classes : 3 * n_classes]
        rights = table[3 * n_classes :]
        one, zero = cast(1, raw[0, 0]), cast(0, raw[0, 0])
        for k in range(raw.shape[0]):
            fill(out[k], 0)
        for i in range(raw.shape[1]):
            total = zero
            node, turn = leaf_parents[y[i]], leaf_rights[y[i]]
            while node >= 0:
                sign = -one if turn else one
                z = sign * raw[node, i]
                total += math.softplus(z)
                out[node, i] = sign * math.logistic(z)
                turn = rights[node]
                node = parents[node]
            losses[i] = total

    def constant(
        self, y: NDArray[Any], sample_weight: Floats | None, n_raw: int
    ) -> Floats:
        return TreePaths(self.tree_).raw(
            self.shares(y, sample_weight, len(self.depths_))
        )

    def labels(self, raw: Array, y: Array, xp: ArrayNamespace) -> tuple[Array, Array]:
        raise ValueError(
            "loss='hierarchical_softmax' needs mutually exclusive classes, but the "
            "targets are multilabel. Choose loss='log_loss' or a hinge loss."
        )

    def link(self, multiclass: bool = False) -> Link:
        return TreePaths(self.tree_) if multiclass else Logit()


def _tree_of_indices(tree: Any, classes: list[Any]) -> Tree:
    """Return the ``Tree`` of class indices for a custom tree of labels; check it."""
    indices = {label: i for i, label in enumerate(classes)}
    seen = set()
    # Numbers of the trees that have not been joined yet.
    trees: list[int] = []
    joins: list[tuple[int, int]] = []
    for item in _postfix(tree):
        if item is _JOIN:
            right, left = trees.pop(), trees.pop()
            trees.append(len(classes) + len(joins))
            joins.append((left, right))
            continue
        if not isinstance(item, Hashable) or item not in indices:
            raise ValueError(
                f"The tree has a leaf {item!r}, which is not a class. The classes are "
                f"{shown(classes)}."
            )
        if item in seen:
            raise ValueError(f"The tree has more than one leaf for the class {item!r}.")
        seen.add(item)
        trees.append(indices[item])
    missing = [label for label in classes if label not in seen]
    if missing:
        raise ValueError(f"The tree has no leaf for the classes {shown(missing)}.")
    return Tree.from_joins(joins)


# Joins the two preceding trees in postfix order. It can be pickled, and is no label.
_JOIN = ...


# Recursion in Python works up to this depth.
_DEEP = 100


def _depth(tree: Any) -> int:
    """Return how deep the pairs are nested."""
    depth, level = 0, [tree]
    while pairs := [node for node in level if isinstance(node, tuple | list)]:
        level = [branch for pair in pairs for branch in pair]
        depth += 1
    return depth


def _postfix(tree: Any) -> list[Any]:
    """Return the leaves of nested pairs, with a ``_JOIN`` after the trees of each pair.

    It is not recursive, since a tree may be as deep as there are classes.
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


def _nested(order: list[Any]) -> Any:
    """Return the nested pairs for the order that ``_postfix`` returns."""
    trees: list[Any] = []
    for item in order:
        if item is _JOIN:
            right, left = trees.pop(), trees.pop()
            item = left, right
        trees.append(item)
    return trees[0]
