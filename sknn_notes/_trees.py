"""Binary trees over classes, stored as arrays."""

from typing import Any, Self

import numpy as np

from sknn_notes._arrays import from_numpy
from sknn_notes._typing import Array, ArrayNamespace, Integers


class Tree:
    """A binary tree with K leaves and K - 1 inner nodes.

    The inner nodes are numbered level by level from the root, 0: each node comes before
    the nodes below it, and the nodes of a level are contiguous.

    Parameters
    ----------
    children : array-like of int of shape (n_nodes, 2)
        Left and right child of each inner node: another inner node, or ``-1 - leaf``.
        The root is node 0; the other nodes may be in any order.

    Attributes
    ----------
    children : ndarray of int64 of shape (n_nodes, 2)
    parents : ndarray of int64 of shape (n_nodes,)
        The node above each inner node, -1 for the root.
    right : ndarray of bool of shape (n_nodes,)
        Whether each inner node is the right child.
    leaf_parents : ndarray of int64 of shape (n_leaves,)
        The node above each leaf.
    leaf_right : ndarray of bool of shape (n_leaves,)
        Whether each leaf is the right child.
    depths : ndarray of int64 of shape (n_leaves,)
        Number of inner nodes on the path of each leaf.
    levels : ndarray of int64 of shape (n_levels + 1,)
        Index of the first node of each level, followed by ``n_nodes``.

    Examples
    --------
    >>> from sknn_notes._trees import Tree
    >>> tree = Tree([[-1, 1], [-2, -3]])
    >>> tree.depths
    array([1, 2, 2])
    >>> tree.paths([0, 2])
    (array([[ 0, -1],
           [ 1,  0]]), array([[False, False],
           [ True,  True]]))
    """

    def __init__(self, children: Any) -> None:
        children = np.asarray(children, np.int64)
        n_nodes = len(children)
        order, node_depths = _by_level(children.tolist())
        numbers = np.empty(n_nodes, np.int64)
        numbers[order] = np.arange(n_nodes)
        is_inner = children >= 0
        children = np.where(is_inner, numbers[np.maximum(children, 0)], children)
        self.children = children[order]

        self.parents = np.full(n_nodes, -1, np.int64)
        self.right = np.zeros(n_nodes, bool)
        self.leaf_parents = np.empty(n_nodes + 1, np.int64)
        self.leaf_right = np.empty(n_nodes + 1, bool)
        for side in 0, 1:
            child = self.children[:, side]
            nodes = np.flatnonzero(child >= 0)
            self.parents[child[nodes]], self.right[child[nodes]] = nodes, side
            nodes = np.flatnonzero(child < 0)
            leaves = -1 - child[nodes]
            self.leaf_parents[leaves], self.leaf_right[leaves] = nodes, side
        self.depths = 1 + node_depths[self.leaf_parents]
        self.levels = np.searchsorted(node_depths, np.arange(node_depths[-1] + 2))
        # Beyond the root is a node n_nodes that is its own parent, since not every
        # array library supports negative indices.
        parents = np.where(self.parents < 0, n_nodes, self.parents)
        self._upward = np.append(parents, n_nodes), np.append(self.right, False)

    @classmethod
    def balanced(cls, n_leaves: int) -> Self:
        """Return the tree that halves the leaves at each node."""
        children: list[list[int]] = []
        ranges = [(0, n_leaves)]
        for start, stop in ranges:  # The loop appends the ranges of inner nodes.
            middle = (start + stop + 1) // 2
            pair = []
            for first, last in (start, middle), (middle, stop):
                if last - first == 1:
                    pair.append(-1 - first)
                else:
                    pair.append(len(ranges))
                    ranges.append((first, last))
            children.append(pair)
        return cls(children)

    @classmethod
    def huffman(cls, counts: Any) -> Self:
        """Return the tree with the shortest mean path, weighted by the counts."""
        n = len(counts)
        order = np.argsort(counts, kind="stable")
        # Leaves by weight, then joined trees, which also increase in weight: the two
        # smallest weights are at the fronts. Ties prefer leaves, which keeps paths
        # short.
        weights = np.asarray(counts, float)[order].tolist() + [np.inf] * n
        leaf, joined = 0, n
        joins: list[list[int]] = []
        for new in range(n, 2 * n - 1):
            pair = []
            for _ in range(2):
                if leaf < n and weights[leaf] <= weights[joined]:
                    pair.append(leaf)
                    leaf += 1
                else:
                    pair.append(joined)
                    joined += 1
            weights[new] = weights[pair[0]] + weights[pair[1]]
            joins.append(pair)
        pairs = np.array(joins)
        return cls.from_joins(np.where(pairs < n, order[pairs % n], pairs))

    @classmethod
    def from_joins(cls, joins: Any) -> Self:
        """Return the tree that results from joining two trees at a time.

        Parameters
        ----------
        joins : array-like of int of shape (n_leaves - 1, 2)
            A number below ``n_leaves`` is a leaf, and ``n_leaves + i`` the tree that
            row ``i`` has joined, as in scipy's ``linkage``.
        """
        joins = np.asarray(joins, np.int64)
        n_nodes = len(joins)
        children = np.where(joins <= n_nodes, -1 - joins, 2 * n_nodes - joins)
        return cls(children[::-1])

    def paths(self, leaves: Array, xp: ArrayNamespace = np) -> tuple[Array, Array]:
        """Return the paths from leaves up to the root.

        Parameters
        ----------
        leaves : array of int of shape (...,)
        xp : module, default=numpy
            The array namespace of ``leaves``. Except with numpy, ``longest`` is that of
            the whole tree, since reading values would wait for the device.

        Returns
        -------
        nodes : array of int64 of shape (..., longest)
            From the leaf upward; -1 beyond the root.
        right : array of bool of shape (..., longest)
            Whether the path turns right at each node; False beyond the root.
        """
        leaves = np.asarray(leaves) if xp is np else leaves
        shape, leaves = leaves.shape, xp.reshape(leaves, (-1,))
        depths = self.depths[leaves] if xp is np else self.depths
        longest = int(np.max(depths, initial=1))
        n_nodes, tables = len(self.parents), (self.leaf_parents, self.leaf_right)
        of_leaf, leaf_right, parents, turns = (
            from_numpy(table, leaves, xp) for table in (*tables, *self._upward)
        )
        nodes = [xp.take(of_leaf, leaves, axis=0)]
        right = [xp.take(leaf_right, leaves, axis=0)]
        for _ in range(longest - 1):
            right.append(xp.take(turns, nodes[-1], axis=0))
            nodes.append(xp.take(parents, nodes[-1], axis=0))
        nodes, right = (
            xp.reshape(xp.stack(steps, axis=-1), (*shape, longest))
            for steps in (nodes, right)
        )
        return xp.where(nodes == n_nodes, -xp.ones_like(nodes), nodes), right


def _by_level(children: list[list[int]]) -> tuple[Integers, Integers]:
    """Return the nodes level by level, and the level of each node."""
    order, depths = [0], [0]
    for node, depth in zip(order, depths, strict=False):  # The loop appends to both.
        for child in children[node]:
            if child >= 0:
                order.append(child)
                depths.append(depth + 1)
    return np.array(order), np.array(depths)
