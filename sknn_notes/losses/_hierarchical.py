"""Hierarchical softmax: the classes are the leaves of a binary tree."""

from collections.abc import Hashable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sknn_notes._arrays import (
    astype,
    concatenated,
    expit,
    logistic_cost,
    put_along_last_axis,
)
from sknn_notes._checks import shown
from sknn_notes._compile import cast, fill, math
from sknn_notes._sklearn import StrOptions
from sknn_notes._trees import Tree
from sknn_notes._typing import Array, ArrayNamespace, Floats, Integers
from sknn_notes.links import Link, Logit, TreePaths
from sknn_notes.losses._base import Choice, ClassificationLoss

# A node of a path takes as much time as so many of a product of matrices.
_SPEED = 32


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
    tree_ : Tree
        The tree as arrays over its ``K - 1`` inner nodes, which are numbered level by
        level from the root, 0: ``children``, ``parents``, ``right``; and over its
        leaves, the classes: ``leaf_parents``, ``leaf_right``. A child below 0 is the
        leaf ``-1 - child``. ``tree_.paths(leaves)`` returns the nodes on the paths up
        from some leaves, and whether a path turns right at each.
    depths_ : ndarray of shape (n_classes,)
        Number of nodes on every class's path.

    Notes
    -----
    With at least 32 times as many classes as nodes on the longest path, a step of
    training computes and updates the nodes on the paths of its batch alone. With fewer
    classes it computes all nodes, which takes less time then. ``predict`` searches for
    the most probable class without visiting all nodes; ``predict_proba`` visits them.

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
        # scikit-learn's own recurses into the pairs, which may be as deep as there are
        # classes. So does pickle.
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
            tree = Tree.balanced(len(classes))
        elif counts is None:
            raise ValueError(
                "tree='huffman' needs to know how frequent the classes are, which "
                "partial_fit can't tell from its first batch. Call fit, or choose "
                "tree='balanced' or a tree of your own."
            )
        else:
            tree = Tree.huffman(counts)
        if len(classes) == 2:
            # Both trees are the same model; this one's output is the log-odds.
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
        # A column more takes the zeros past the roots.
        n_raw = raw.shape[-1]
        places = xp.where(on_path, nodes, xp.zeros_like(nodes) + n_raw)
        places = xp.broadcast_to(places, shape)
        gradient = concatenated([xp.zeros_like(raw), xp.zeros_like(raw[..., :1])], xp)
        return losses, put_along_last_axis(gradient, places, pull, xp)[..., :n_raw]

    def of_paths(
        self, decisions: Array, right: Array, on_path: Array, xp: ArrayNamespace
    ) -> tuple[Array, Array]:
        """Return the loss of every path, and its gradient at the decisions.

        Parameters
        ----------
        decisions : array of shape (..., n_samples, longest)
            Raw outputs of the nodes on the paths; any numbers off them.
        right : array of bool of shape (..., n_samples, longest)
            Whether the path turns right at each node.
        on_path : array of bool of shape (..., n_samples, longest)
            Whether there is a node.
        xp : module
            The array namespace.

        Returns
        -------
        losses : array of shape (..., n_samples)
        pull : array of shape (..., n_samples, longest)
            0 off the path.
        """
        right, zero = astype(right, decisions.dtype, xp), xp.zeros_like(decisions)
        costs = xp.where(on_path, logistic_cost(decisions, right, xp), zero)
        pull = xp.where(on_path, expit(decisions, xp) - right, zero)
        return xp.sum(costs, axis=-1), pull

    @property
    def chooses(self) -> bool:
        """Whether a step needs so few nodes that it computes them one by one."""
        depths = vars(self).get("depths_")
        return depths is not None and len(depths) >= _SPEED * np.max(depths)

    @property
    def n_chosen(self) -> tuple[int, int]:
        """The number of nodes on the longest path, which no others share."""
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
        for i in range(own.shape[0]):
            losses[i] = 0
            for j in range(own.shape[1]):
                z, right = own[i, j], targets[i, j]
                cost, pull = math.softplus(z) - right * z, math.logistic(z) - right
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
                z, right = raw[node, i], one if turn else zero
                total += math.softplus(z) - right * z
                out[node, i] = math.logistic(z) - right
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
            "loss='hierarchical_softmax' is for classes that exclude each other, and "
            "this is a multilabel problem. Choose loss='log_loss' or a hinge loss."
        )

    def link(self, multiclass: bool = False) -> Link:
        return TreePaths(self.tree_) if multiclass else Logit()


def _tree_of_indices(tree: Any, classes: list[Any]) -> Tree:
    """Return a user's tree with class indices in place of labels, checked."""
    indices = {label: i for i, label in enumerate(classes)}
    seen = set()
    # The trees that wait for what they are joined with, as numbers.
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
                f"The tree has a leaf {item!r}, which is no class. The classes are "
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


# Joins the two trees before it in postfix order. It is no label, and can be pickled.
_JOIN = ...


# Python's own recursion reaches deeper than this.
_DEEP = 100


def _depth(tree: Any) -> int:
    """Return how deep pairs are nested."""
    depth, level = 0, [tree]
    while pairs := [node for node in level if isinstance(node, tuple | list)]:
        level = [branch for pair in pairs for branch in pair]
        depth += 1
    return depth


def _postfix(tree: Any) -> list[Any]:
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


def _nested(order: list[Any]) -> Any:
    """Return the nested pairs that ``_postfix`` has put in order."""
    trees: list[Any] = []
    for item in order:
        if item is _JOIN:
            right, left = trees.pop(), trees.pop()
            item = left, right
        trees.append(item)
    return trees[0]
