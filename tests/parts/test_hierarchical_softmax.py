"""Hierarchical softmax: its trees, and the loss against a product over the path."""

import copy
import pickle
import tracemalloc
from itertools import pairwise
from math import ceil, log, log2

import numpy as np
import pytest
from sklearn.base import clone

from sknn_notes import MLPClassifier, links
from sknn_notes.losses import HierarchicalSoftmax, LogLoss

# Deeper on one side, with paths of 1, 2, 4, 4 and 3 nodes.
USERS_TREE = ("e", ("a", (("b", "d"), "c")))
TREES = ["balanced", "huffman", USERS_TREE]
every_tree = pytest.mark.parametrize("tree", TREES, ids=["balanced", "huffman", "own"])


def make_loss(tree="balanced", n_classes=5, counts=None):
    """Return the loss, started for the classes "a", "b", ..."""
    loss = HierarchicalSoftmax(tree=tree)
    if counts is None:
        counts = 2 ** np.arange(n_classes)
    loss.start(np.array(list("abcdefghijklmnopqrstuvwxyz"[:n_classes])), counts)
    return loss


def make_raw(n_classes=5, n=20, dtype=np.float64):
    rng = np.random.default_rng(0)
    raw = rng.normal(scale=2, size=(n, n_classes - 1)).astype(dtype)
    return np.asfortranarray(raw), rng.integers(n_classes, size=n)


def path(loss, leaf):
    """Return the (node, right) that lead to a class, from the root."""
    nodes, right = (steps[0, ::-1].tolist() for steps in loss.tree_.paths([leaf]))
    assert len(nodes) == loss.depths_[leaf]
    return list(zip(nodes, right, strict=True))


def path_probability(loss, f, leaf):
    """Return the product of the decisions on the path to a leaf."""
    product = 1.0
    for node, right in path(loss, leaf):
        to_the_right = 1 / (1 + np.exp(-f[node]))
        product *= to_the_right if right else 1 - to_the_right
    return product


# The loss


def test_by_hand(form):
    # Root: right with 3/4; below it on the right: left with 1/3.
    loss = HierarchicalSoftmax(tree=(10, (20, 30)))
    loss.start(np.array([10, 20, 30]), None)
    raw = np.array([[log(3), log(2)]] * 3)
    losses, gradient = form.losses(loss, raw, np.array([0, 1, 2]))
    np.testing.assert_allclose(losses, [log(4), log(4), log(2)], rtol=1e-14)
    expected = [[3 / 4, 0], [-1 / 4, 2 / 3], [-1 / 4, -1 / 3]]
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)
    p = loss.link(multiclass=True).inverse(raw[:1])
    np.testing.assert_allclose(p, [[1 / 4, 1 / 4, 1 / 2]], rtol=1e-14)


@every_tree
def test_the_loss_is_minus_the_log_of_the_product_over_the_path(form, tree):
    loss, (raw, y) = make_loss(tree), make_raw()
    losses, _ = form.losses(loss, raw, y)
    expected = [-log(path_probability(loss, f, k)) for f, k in zip(raw, y, strict=True)]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


@every_tree
def test_the_probabilities_are_those_products_and_sum_to_one(tree):
    loss, (raw, _) = make_loss(tree), make_raw()
    p = loss.link(multiclass=True).inverse(raw)
    expected = [[path_probability(loss, f, k) for k in range(5)] for f in raw]
    np.testing.assert_allclose(p, expected, rtol=1e-12)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    log_p = loss.link(multiclass=True).log_inverse(raw)
    np.testing.assert_allclose(log_p, np.log(expected), rtol=1e-12)
    np.testing.assert_array_equal(loss.link(multiclass=True).scores(raw), log_p)


@every_tree
def test_the_gradient_is_the_slope(form, tree):
    loss, (raw, y), step = make_loss(tree), make_raw(), 1e-5
    _, gradient = form.losses(loss, raw, y)
    slope = np.empty_like(raw)
    for j in range(raw.shape[1]):
        move = step * (np.arange(raw.shape[1]) == j)
        above, below = (
            form.losses(loss, raw + move, y),
            form.losses(loss, raw - move, y),
        )
        slope[:, j] = (above[0] - below[0]) / (2 * step)
    assert np.linalg.norm(gradient - slope) <= 1e-8 * np.linalg.norm(gradient)


@every_tree
def test_the_gradient_touches_the_nodes_of_the_path_alone(form, tree):
    loss, (raw, _) = make_loss(tree), make_raw(n=5)
    _, gradient = form.losses(loss, raw, np.arange(5))
    for leaf in range(5):
        on_path = [node for node, _ in path(loss, leaf)]
        assert np.flatnonzero(gradient[leaf]).tolist() == sorted(on_path)


@every_tree
def test_nodes_off_the_path_do_not_count(form, tree):
    loss, (raw, y) = make_loss(tree), make_raw()
    before, _ = form.losses(loss, raw, y)
    for f, leaf in zip(raw, y, strict=True):
        off_path = set(range(4)) - {node for node, _ in path(loss, leaf)}
        f[list(off_path)] = 1e30
    losses, gradient = form.losses(loss, raw, y)
    np.testing.assert_allclose(losses, before, rtol=1e-14)
    assert not gradient[raw == 1e30].any()


@every_tree
def test_sure_decisions_stay_exact(form, tree):
    loss = make_loss(tree)
    raw = np.array([[1e4] * 4, [-1e4] * 4])
    log_p = loss.link(multiclass=True).log_inverse(raw)
    turns = [[right for _, right in path(loss, leaf)] for leaf in range(5)]
    lefts = [-1e4 * (len(t) - sum(t)) for t in turns]
    rights = [-1e4 * sum(t) for t in turns]
    np.testing.assert_allclose(log_p, [lefts, rights], rtol=1e-12)
    for leaf in range(5):
        losses, gradient = form.losses(loss, raw, np.full(2, leaf))
        np.testing.assert_allclose(losses, -log_p[:, leaf], rtol=1e-12)
        assert np.isfinite(gradient).all()


@every_tree
def test_at_chance_the_loss_is_the_depth_times_ln_2(form, tree):
    loss = make_loss(tree)
    losses, _ = form.losses(loss, np.zeros((5, 4)), np.arange(5))
    np.testing.assert_allclose(losses, loss.depths_ * log(2), rtol=1e-14)


@every_tree
@pytest.mark.parametrize("order", ["C", "F"])
def test_raw_outputs_are_left_alone_in_either_order(form, tree, order):
    loss, (raw, y) = make_loss(tree), make_raw()
    expected, d_expected = form.losses(loss, raw, y)
    ordered = raw.copy(order)
    losses, gradient = form.losses(loss, ordered, y)
    np.testing.assert_array_equal(ordered, raw)
    np.testing.assert_array_equal(losses, expected)
    np.testing.assert_array_equal(gradient, d_expected)


def test_float32_stays_float32(form):
    loss, (raw, y) = make_loss(USERS_TREE), make_raw(dtype=np.float32)
    losses, gradient = form.losses(loss, raw, y)
    wide, d_wide = form.losses(loss, raw.astype(float), y)
    p = loss.link(multiclass=True).inverse(raw)
    log_p = loss.link(multiclass=True).log_inverse(raw)
    assert {a.dtype for a in (losses, gradient, p, log_p)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(losses, wide, rtol=1e-5)
    np.testing.assert_allclose(gradient, d_wide, rtol=1e-5)


def test_nan_on_the_path_is_not_hidden(form):
    loss, (raw, y) = make_loss(), make_raw()
    raw[3, 0] = np.nan
    losses, _ = form.losses(loss, raw, y)
    assert np.flatnonzero(np.isnan(losses)).tolist() == [3]


def test_many_classes(form):
    counts = np.random.default_rng(2).integers(1, 1000, size=700)
    loss = HierarchicalSoftmax(tree="huffman")
    loss.start(np.arange(700), counts)
    raw = np.random.default_rng(0).normal(size=(3, 699))
    p = loss.link(multiclass=True).inverse(raw)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-13)
    for leaf in range(0, 700, 50):
        losses, _ = form.losses(loss, raw, np.full(3, leaf))
        np.testing.assert_allclose(losses, -np.log(p[:, leaf]), rtol=1e-12)


# Two classes are logistic regression


@pytest.mark.parametrize("tree", ["balanced", "huffman", ("a", "b"), ["b", "a"]])
@pytest.mark.parametrize("counts", [[3, 1], [1, 3]])
def test_two_classes_are_the_log_loss(form, tree, counts):
    loss = make_loss(tree, 2, counts)
    raw, y = make_raw(2)
    losses, gradient = form.losses(loss, raw, y)
    expected, d_expected = form.losses(LogLoss(), raw, y[:, None].astype(float))
    np.testing.assert_array_equal(losses, expected)
    np.testing.assert_array_equal(gradient, d_expected)
    assert type(loss.link()) is type(LogLoss().link())


# Trees


@pytest.mark.parametrize("n_classes", range(2, 27))
def test_the_balanced_tree_is_no_deeper_than_need_be(n_classes):
    depths = make_loss("balanced", n_classes).depths_
    assert depths.max() == ceil(log2(n_classes))
    assert depths.max() - depths.min() <= 1


@pytest.mark.parametrize("tree", ["balanced", "huffman"])
@pytest.mark.parametrize("n_classes", [2, 3, 7, 8, 26])
def test_every_path_is_one_of_a_binary_tree(tree, n_classes):
    loss = make_loss(tree, n_classes)
    paths = [path(loss, leaf) for leaf in range(n_classes)]
    assert len(set(map(tuple, paths))) == n_classes
    assert np.sum(0.5 ** loss.depths_.astype(float)) == 1
    # Each node has one parent, and two children.
    turns = {step for steps in paths for step in steps}
    assert turns == {(node, way) for node in range(n_classes - 1) for way in (0, 1)}
    above = {below: step for steps in paths for step, (below, _) in pairwise(steps)}
    for steps in paths:
        assert all(above[below] == step for step, (below, _) in pairwise(steps))


@every_tree
def test_paths_are_filled_up_past_the_root(tree):
    loss = make_loss(tree)
    nodes, right = loss.tree_.paths(np.arange(5))
    assert nodes.shape == right.shape == (5, loss.depths_.max())
    for leaf, depth in enumerate(loss.depths_):
        steps = list(zip(nodes[leaf], right[leaf], strict=True))
        assert steps[:depth] == path(loss, leaf)[::-1]
        assert steps[depth:] == [(-1, False)] * (len(steps) - depth)


@pytest.mark.parametrize("tree", ["balanced", "huffman"])
def test_the_arrays_of_a_tree_agree(tree):
    tree = make_loss(tree, 26).tree_
    for node, pair in enumerate(tree.children.tolist()):
        for right, child in enumerate(pair):
            if child >= 0:
                assert (tree.parents[child], tree.right[child]) == (node, right)
                assert child > node
            else:
                leaf = -1 - child
                assert (tree.leaf_parents[leaf], tree.leaf_right[leaf]) == (node, right)
    assert tree.parents[0] == -1
    # The nodes of a level are contiguous.
    levels = np.searchsorted(tree.levels, np.arange(25), side="right")
    np.testing.assert_array_equal(levels[1:], levels[tree.parents[1:]] + 1)
    np.testing.assert_array_equal(tree.depths, levels[tree.leaf_parents])


@pytest.mark.parametrize(
    ("counts", "depths"),
    [
        # From a textbook: 45, 13, 12, 16, 9 and 5 of a hundred (Cormen et al., 16.3).
        ([45, 13, 12, 16, 9, 5], [1, 3, 3, 3, 4, 4]),
        ([1, 1, 1, 1], [2, 2, 2, 2]),
        ([8, 4, 2, 1, 1], [1, 2, 3, 4, 4]),
        ([0.5, 0.25, 0.125, 0.125], [1, 2, 3, 3]),
    ],
)
def test_the_huffman_tree_gives_frequent_classes_short_paths(counts, depths):
    loss = make_loss("huffman", len(counts), counts)
    np.testing.assert_array_equal(loss.depths_, depths)


def test_the_huffman_tree_is_near_the_entropy_and_beats_the_balanced_one():
    counts = np.random.default_rng(0).exponential(size=20) ** 3
    p = counts / counts.sum()
    entropy = -np.sum(p * np.log2(p))
    mean_depth = p @ make_loss("huffman", 20, counts).depths_
    assert entropy <= mean_depth < entropy + 1
    assert mean_depth < p @ make_loss("balanced", 20).depths_


def test_a_tree_of_a_user_is_followed():
    loss = make_loss(USERS_TREE)
    np.testing.assert_array_equal(loss.depths_, [2, 4, 3, 4, 1])
    assert path(loss, "abcde".index("e")) == [(0, False)]
    (root, right), (below, left) = path(loss, "abcde".index("a"))
    assert (root, right, left) == (0, True, False)
    assert below != 0


def test_lists_are_pairs_too():
    lists = ["e", ["a", [["b", "d"], "c"]]]
    np.testing.assert_array_equal(
        make_loss(lists).tree_.children, make_loss(USERS_TREE).tree_.children
    )


@pytest.mark.parametrize(
    "classes", [np.array([-1, 0, 7]), np.array([0.5, 1.0, 2.0]), np.array([1, 2, 3])]
)
def test_labels_need_not_be_strings(classes):
    first, second, third = classes
    loss = HierarchicalSoftmax(tree=(third, (first, second)))
    loss.start(classes, None)
    np.testing.assert_array_equal(loss.depths_, [2, 2, 1])


# Errors


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ((("a", "b"), "c"), r"no leaf for the classes \['d'\]"),
        ((("a", "b"), ("c", ("d", "a"))), "more than one leaf for the class 'a'"),
        ((("a", "b"), ("c", ("d", "z"))), r"leaf 'z', which is not a class.*'a', 'b'"),
        ((("a", "b"), ("c", {"d"})), "which is not a class"),
        (("a", "b", "c", "d"), r"pair \(left, right\).*Got 4 of them"),
        ((("a", "b"), (("c",), "d")), r"Got 1 of them in \('c',\)"),
    ],
)
def test_a_tree_that_does_not_hold_every_class_once_raises(tree, message):
    with pytest.raises(ValueError, match=message):
        make_loss(tree, 4)


@pytest.mark.parametrize("tree", ["deep", 3, None])
def test_a_tree_must_be_a_name_or_pairs(tree):
    with pytest.raises(ValueError, match="'tree' parameter of HierarchicalSoftmax"):
        HierarchicalSoftmax(tree=tree).check()


def test_huffman_without_frequencies_raises():
    loss = HierarchicalSoftmax(tree="huffman")
    with pytest.raises(ValueError, match=r"'huffman'.*partial_fit.*Call fit"):
        loss.start(np.arange(3), None)


@pytest.mark.parametrize("tree", ["balanced", USERS_TREE])
def test_other_trees_need_no_frequencies(tree):
    HierarchicalSoftmax(tree=tree).start(np.array(list("abcde")), None)


def test_labels_raise():
    loss, raw = make_loss(), np.zeros((2, 4))
    with pytest.raises(ValueError, match=r"'hierarchical_softmax'.*multilabel"):
        loss.per_sample(raw, np.ones((2, 4)), np)


# Interface to the classifier


def test_what_it_tells_the_classifier():
    assert HierarchicalSoftmax.tasks == ("binary", "multiclass")
    assert HierarchicalSoftmax().link().gives_probabilities
    assert HierarchicalSoftmax.indices_for_two
    loss = HierarchicalSoftmax()
    assert [loss.n_raw(n_outputs) for n_outputs in (1, 3, 10)] == [1, 2, 9]


@pytest.mark.parametrize(
    ("n_classes", "expected"),
    # 2**d leaves of depth d: 8 * 32 is the first product that is small enough.
    [(128, False), (256, True), (512, True)],
)
def test_single_nodes_are_computed_where_paths_are_short(n_classes, expected):
    loss = HierarchicalSoftmax()
    assert not loss.chooses
    loss.start(np.arange(n_classes), None)
    assert loss.chooses == expected


def test_samples_share_no_nodes():
    choice = make_loss().choose(np.array([0, 1, 2]), [7, 8], np.float64)
    assert choice.shared.shape == choice.shift.shape == (2, 0)
    assert not HierarchicalSoftmax().is_random


@every_tree
def test_the_tree_survives_pickle_and_not_clone(form, tree):
    loss, (raw, y) = make_loss(tree), make_raw()
    copy = pickle.loads(pickle.dumps(loss))
    np.testing.assert_array_equal(
        form.losses(copy, raw, y)[1], form.losses(loss, raw, y)[1]
    )
    fresh = clone(loss)
    assert fresh.tree == loss.tree
    assert not hasattr(fresh, "depths_")


# Trees as deep as there are classes


def chain(n_classes, right=False):
    """Return the tree that separates one class at each node."""
    tree = 0
    for label in range(1, n_classes):
        tree = (label, tree) if right else (tree, label)
    return tree


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("n_classes", [3, 500, 5000])
def test_a_chain_of_any_length_is_followed(n_classes, right):
    loss = HierarchicalSoftmax(tree=chain(n_classes, right))
    loss.start(np.arange(n_classes), counts=None)
    # The last class hangs at the root, the first two at the end.
    depths = n_classes - np.arange(n_classes)
    depths[0] = n_classes - 1
    np.testing.assert_array_equal(loss.depths_, depths)
    # All nodes of the chain, in order, and the turn away from it at the leaf.
    leaf = n_classes // 2
    depth = depths[leaf]
    turns = [right] * (depth - 1) + [not right]
    assert path(loss, leaf) == list(zip(range(depth), turns, strict=True))


def test_a_chain_is_a_product_of_decisions():
    n_classes, rng = 300, np.random.default_rng(0)
    loss = HierarchicalSoftmax(tree=chain(n_classes))
    loss.start(np.arange(n_classes), counts=None)
    raw = rng.normal(size=(2, n_classes - 1))
    right = 1 / (1 + np.exp(-raw))
    # From the root: class n - 1 to the right, n - 2 at the next node, and so on.
    passed = np.cumprod(np.hstack([np.ones((2, 1)), 1 - right]), axis=1)
    expected = np.hstack([passed[:, -1:], (passed[:, :-1] * right)[:, ::-1]])
    np.testing.assert_allclose(loss.link(True).inverse(raw), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "n_classes", [50, 500, pytest.param(2000, marks=pytest.mark.nightly)]
)
def test_a_deep_tree_survives_all_that_happens_to_a_model(n_classes):
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(n_classes), 2)
    X = rng.normal(size=(len(y), 2))
    tree = chain(n_classes)
    model = MLPClassifier(
        (2,), loss=HierarchicalSoftmax(tree=tree), max_iter=1, random_state=0
    )
    model.fit(X, y)
    predicted = model.predict(X[:20])
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.predict(X[:20]), predicted)
    for loaded in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(loaded.predict(X[:20]), predicted)
        loaded.set_params(warm_start=True).fit(X, y)
    assert model.loss.tree is tree


def test_a_deep_tree_that_lacks_a_class_raises():
    loss = HierarchicalSoftmax(tree=chain(400))
    with pytest.raises(ValueError, match=r"no leaf for the classes \[400\]"):
        loss.start(np.arange(401), counts=None)
    with pytest.raises(ValueError, match=r"leaf 399, which is not a class"):
        loss.start(np.arange(399), counts=None)
    triple = HierarchicalSoftmax(tree=(chain(400), 1, 2))
    with pytest.raises(ValueError, match="must be a pair"):
        triple.start(np.arange(400), counts=None)


def test_a_huffman_tree_may_be_as_deep_as_the_classes_are_many():
    n_classes = 500
    counts = 2.0 ** np.arange(n_classes)
    loss = HierarchicalSoftmax(tree="huffman")
    loss.start(np.arange(n_classes), counts)
    assert loss.depths_.max() == n_classes - 1


# Many classes


def random_tree(n_classes, rng):
    """Return a tree of labels 0, 1, ... that joins two random ones at a time."""
    trees = list(range(n_classes))
    while len(trees) > 1:
        left = trees.pop(rng.integers(len(trees)))
        right = trees.pop(rng.integers(len(trees)))
        trees.append((left, right))
    return trees[0]


def random_link(n_classes, rng):
    loss = HierarchicalSoftmax(tree=random_tree(n_classes, rng))
    loss.start(np.arange(n_classes), None)
    return loss, loss.link(multiclass=True)


@pytest.mark.parametrize("seed", range(5))
def test_random_trees_are_products_over_their_paths(form, seed):
    rng = np.random.default_rng(seed)
    n_classes = 12
    loss, link = random_link(n_classes, rng)
    raw = np.asfortranarray(rng.normal(scale=2, size=(6, n_classes - 1)))
    expected = [[path_probability(loss, f, k) for k in range(n_classes)] for f in raw]
    np.testing.assert_allclose(link.inverse(raw), expected, rtol=1e-12)
    for k in range(n_classes):
        losses, gradient = form.losses(loss, raw, np.full(6, k))
        np.testing.assert_allclose(
            losses, -np.log(np.array(expected)[:, k]), rtol=1e-12
        )
        right = 1 / (1 + np.exp(-raw))
        slopes = np.zeros_like(raw)
        for node, turn in path(loss, k):
            slopes[:, node] = right[:, node] - turn
        np.testing.assert_allclose(gradient, slopes, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_pairs", [7, 2**17])
def test_the_best_leaf_is_the_first_of_the_largest_scores(monkeypatch, dtype, n_pairs):
    monkeypatch.setattr(links, "_N_PAIRS", n_pairs)
    rng = np.random.default_rng(0)
    for n_classes in [2, 3, *rng.integers(4, 40, size=15)]:
        _, link = random_link(int(n_classes), rng)
        shape = 40, n_classes - 1
        for raw in (
            rng.normal(scale=rng.choice([0.1, 1, 30]), size=shape),
            rng.integers(-1, 2, size=shape) * 1e4,  # ties
            rng.integers(-1, 2, size=shape),
            np.zeros((2, n_classes - 1)),
        ):
            raw = raw.astype(dtype)
            found = link.best_leaf(lambda rows, nodes, f=raw: f[rows, nodes], len(raw))
            np.testing.assert_array_equal(found, np.argmax(link.scores(raw), axis=1))


def test_the_search_for_the_best_leaf_visits_few_nodes():
    n_classes, n_rows = 4096, 50
    loss = HierarchicalSoftmax()
    loss.start(np.arange(n_classes), None)
    raw = np.random.default_rng(0).normal(scale=8, size=(n_rows, n_classes - 1))
    visited = []

    def decide(rows, nodes):
        visited.append(len(rows))
        return raw[rows, nodes]

    link = loss.link(multiclass=True)
    found = link.best_leaf(decide, n_rows)
    np.testing.assert_array_equal(found, np.argmax(link.scores(raw), axis=1))
    # The path to a leaf has 12 nodes.
    assert 12 * n_rows <= sum(visited) < 40 * n_rows


def test_a_chain_needs_memory_for_its_classes_alone(form):
    n_classes = 3000
    tree = chain(n_classes)
    tracemalloc.start()
    loss = HierarchicalSoftmax(tree=tree)
    loss.start(np.arange(n_classes), counts=None)
    table = loss.table()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1000 * n_classes
    assert len(table) == 4 * n_classes - 1
    raw = np.asfortranarray(np.random.default_rng(0).normal(size=(3, n_classes - 1)))
    y = np.array([0, 1500, n_classes - 1])
    losses, _ = form.losses(loss, raw, y)
    # The last class hangs at the root; class k is left after n - 1 - k passes.
    log_right, log_left = -np.log1p(np.exp(-raw)), -np.log1p(np.exp(raw))
    expected = [
        log_left[0].sum(),
        log_left[1, : n_classes - 1501].sum() + log_right[1, n_classes - 1501],
        log_right[2, 0],
    ]
    np.testing.assert_allclose(losses, -np.array(expected), rtol=1e-12)
    scores = loss.link(multiclass=True).scores(raw)
    np.testing.assert_allclose(scores[range(3), y], expected, rtol=1e-12)


def test_a_graph_that_would_be_huge_is_not_made():
    loss = HierarchicalSoftmax()
    loss.start(np.arange(20_000), None)
    with pytest.raises(ValueError, match=r"over 20000 classes.*pickle"):
        loss.link(multiclass=True).onnx_scores(None, "raw")
