"""Losses, defined on the raw outputs of the network: one class each.

``CLASSIFICATION_LOSSES`` and ``REGRESSION_LOSSES`` register them. The loss of a sample
sums over outputs; samples are averaged.
"""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax, xlogy

from sknn_notes import _kernels
from sknn_notes._component import Component
from sknn_notes._sklearn import Interval, StrOptions

__all__ = [
    "CLASSIFICATION_LOSSES",
    "REGRESSION_LOSSES",
    "AbsoluteError",
    "ClassificationLoss",
    "HierarchicalSoftmax",
    "Hinge",
    "Huber",
    "LogLoss",
    "Loss",
    "Poisson",
    "Quantile",
    "RegressionLoss",
    "SquaredError",
    "SquaredHinge",
]


class Loss(Component):
    """Base class of losses."""

    def n_raw(self, n_outputs):
        """Return the number of raw outputs for a problem's number of outputs.

        Parameters
        ----------
        n_outputs : int
            Number of classes, or of labels; 1 for two classes.
        """
        return n_outputs

    def per_sample(self, raw, y, out):
        """Return the loss of every sample and write its gradient to ``out``.

        Parameters
        ----------
        raw : ndarray of shape (n_samples, n_outputs)
            Raw outputs of the network, left unchanged.
        y : ndarray
            Targets, in the form that the loss's family defines.
        out : ndarray of shape (n_samples, n_outputs)
            Where the gradient of each sample's loss at its raw outputs goes.

        Returns
        -------
        losses : ndarray of shape (n_samples,)
        """
        raise NotImplementedError

    def value_and_gradient(self, raw, y, sample_weight, out):
        """Return the weighted mean loss of a batch and write its gradient to ``out``.

        Parameters
        ----------
        raw : ndarray of shape (n_samples, n_outputs)
            As in ``per_sample``.
        y : ndarray
            As in ``per_sample``.
        sample_weight : ndarray of shape (n_samples,) or None
            Weights whose mean over the whole training set is 1.
        out : ndarray of shape (n_samples, n_outputs)
            As in ``per_sample``.

        Returns
        -------
        value : float
            ``sum(w * losses) / n_samples``.
        """
        losses = self.per_sample(raw, y, out)
        n_samples = len(losses)
        if sample_weight is None:
            out *= 1 / n_samples
            return float(np.add.reduce(losses)) / n_samples
        out *= sample_weight[:, None] / n_samples
        return float(np.dot(losses, sample_weight)) / n_samples


class ClassificationLoss(Loss):
    """Base class of classification losses.

    Targets are class indices, shape (n_samples,) of integers, where the classes exclude
    each other and are three or more; else 0 and 1 as floats, shape (n_samples,
    n_labels), with one column for two classes.

    Attributes
    ----------
    has_probabilities : bool
        Whether the raw outputs can be read as probabilities. The loss then has the
        methods ``probabilities(raw, multiclass)`` and ``log_probabilities``; where
        ``multiclass`` is False every column of ``raw`` is a logit of its own.
    tasks : tuple of str
        The kinds of target that the loss is for.
    indices_for_two : bool
        Whether the targets of two classes are class indices, too.
    """

    has_probabilities = False
    tasks: tuple[str, ...] = ("binary", "multiclass", "multilabel")
    indices_for_two = False

    def start(self, classes, counts):
        """Prepare for the classes of a problem, before its first fit.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            Sorted class labels.
        counts : ndarray of shape (n_classes,) or None
            How often each class occurs, sample weights counted; None where
            ``partial_fit`` starts, which sees one batch only.
        """

    def scores(self, raw):
        """Return the decision values, shape (n_samples, n_outputs), for raw outputs.

        The largest one is the predicted class; for two classes, and for each label, a
        positive one is a yes.
        """
        return raw

    def per_sample(self, raw, y, out):
        per_sample = self.multiclass if y.ndim == 1 else self.labels
        return per_sample(raw, y, out)

    def multiclass(self, raw, y, out):
        """``per_sample`` for class indices ``y``."""
        raise NotImplementedError

    def labels(self, raw, y, out):
        """``per_sample`` for 0 and 1 in ``y``, shape (n_samples, n_labels)."""
        raise NotImplementedError

    def out_activation(self, multiclass):
        """Name of the function that turns raw outputs into predictions."""
        return "identity"


class LogLoss(ClassificationLoss):
    """Cross-entropy of the softmax, or of one logistic function a label.

    ``-f_y + logsumexp(f)`` for K classes; ``sum_j softplus(f_j) - y_j f_j`` for two
    classes (one output) and for labels. A network that knows nothing starts at
    ``ln K``, or at ``ln 2`` a label.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Share ``s`` of the target, in [0, 1), that is spread evenly over the classes:
        ``1 - s + s / K`` for the right one and ``s / K`` for each other. For two
        classes and for labels the targets are ``(1 - s) * y + s / 2``.

    References
    ----------
    Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J. and Wojna, Z. (2016). Rethinking
    the Inception architecture for computer vision. CVPR. (Label smoothing.)

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import LogLoss
    >>> raw = np.zeros((1, 4))
    >>> grad = np.empty_like(raw)
    >>> LogLoss().per_sample(raw, np.array([2]), grad)
    array([1.38629436])
    >>> grad
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """

    has_probabilities = True
    _parameter_constraints = {"label_smoothing": [Interval(Real, 0, 1, closed="left")]}

    def __init__(self, *, label_smoothing=0.0):
        self.label_smoothing = label_smoothing

    def multiclass(self, raw, y, out):
        losses = _kernels.active().softmax_log_loss(raw, y, out)
        if self.label_smoothing:
            # Moving the share s from class y to all adds s (f_y - mean(f)) to the loss.
            share, rows = float(self.label_smoothing), np.arange(len(y))
            losses += share * (raw[rows, y] - np.mean(raw, axis=1))
            out[rows, y] += share
            out -= share / raw.shape[1]
        return losses

    def labels(self, raw, y, out):
        if self.label_smoothing:
            share = float(self.label_smoothing)
            y = (1 - share) * y + share / 2
        return _kernels.active().logistic_log_loss(raw, y, out)

    def out_activation(self, multiclass):
        return "softmax" if multiclass else "logistic"

    def probabilities(self, raw, multiclass):
        """Return the probability of every class or label, of raw's shape."""
        return softmax(raw, axis=1) if multiclass else expit(raw)

    def log_probabilities(self, raw, multiclass):
        """Return the logarithm of ``probabilities``, finite where those round to 0."""
        exact = log_softmax(raw, axis=1) if multiclass else log_expit(raw)
        p = self.probabilities(raw, multiclass)
        return np.log(p, out=exact, where=p > np.finfo(p.dtype).tiny)


class Hinge(ClassificationLoss):
    """Hinge loss of the support vector machine.

    ``sum_{j != y} max(0, f_j - f_y + margin)`` for K classes (Weston and Watkins; not
    divided by K); ``sum_j max(0, margin - s_j f_j)`` for two classes (one output) and
    for labels, ``s_j = -1 or +1``. With margin 1 a network that knows nothing starts at
    ``K - 1``, or at 1 a label.

    Parameters
    ----------
    margin : float, default=1.0
        How far the right output must be ahead before the loss is 0.

    References
    ----------
    Weston, J. and Watkins, C. (1999). Support vector machines for multi-class pattern
    recognition. ESANN.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Hinge
    >>> raw = np.array([[2.0, 1.5, 0.0]])
    >>> grad = np.empty_like(raw)
    >>> Hinge().per_sample(raw, np.array([0]), grad)
    array([0.5])
    >>> grad
    array([[-1.,  1.,  0.]])
    """

    _parameter_constraints = {"margin": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, margin=1.0):
        self.margin = margin

    def multiclass(self, raw, y, out):
        return _kernels.active().multiclass_hinge(raw, y, float(self.margin), out)

    def labels(self, raw, y, out):
        return _kernels.active().binary_hinge(raw, y, float(self.margin), out)


class SquaredHinge(Hinge):
    """Squared hinge loss: every term of the hinge loss squared.

    ``sum_{j != y} max(0, f_j - f_y + margin)**2`` for K classes;
    ``sum_j max(0, margin - s_j f_j)**2`` for two classes (one output) and for labels,
    ``s_j = -1 or +1``. It has no kink, and punishes large errors more. With margin 1 a
    network that knows nothing starts at ``K - 1``, or at 1 a label.

    Parameters
    ----------
    margin : float, default=1.0
        How far the right output must be ahead before the loss is 0.

    References
    ----------
    Tang, Y. (2013). Deep learning using linear support vector machines. ICML Workshop
    on Challenges in Representation Learning.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import SquaredHinge
    >>> raw = np.array([[2.0, 1.5, 0.0]])
    >>> grad = np.empty_like(raw)
    >>> SquaredHinge().per_sample(raw, np.array([0]), grad)
    array([0.25])
    >>> grad
    array([[-1.,  1.,  0.]])
    """

    def multiclass(self, raw, y, out):
        kernel = _kernels.active().multiclass_squared_hinge
        return kernel(raw, y, float(self.margin), out)

    def labels(self, raw, y, out):
        kernel = _kernels.active().binary_squared_hinge
        return kernel(raw, y, float(self.margin), out)


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

    def labels(self, raw, y, out):
        raise ValueError(
            "loss='hierarchical_softmax' is for classes that exclude each other, and "
            "this is a multi-label problem. Choose loss='log_loss' or a hinge loss."
        )

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

    def convert(node):
        if isinstance(node, tuple | list):
            if len(node) != 2:
                raise ValueError(
                    "Every inner node of a tree must be a pair (left, right) of class "
                    f"labels or pairs. Got {len(node)} of them in {node!r}."
                )
            return convert(node[0]), convert(node[1])
        if not isinstance(node, Hashable) or node not in indices:
            raise ValueError(
                f"The tree has a leaf {node!r}, which is no class. The classes are "
                f"{classes}."
            )
        if node in seen:
            raise ValueError(f"The tree has more than one leaf for the class {node!r}.")
        seen.add(node)
        return indices[node]

    converted = convert(tree)
    missing = [label for label in classes if label not in seen]
    if missing:
        raise ValueError(f"The tree has no leaf for the classes {missing}.")
    return converted


def _paths(tree, n_classes):
    """Return (nodes, turns, depths): how to get from the root to every leaf.

    Nodes are numbered from the root, 0, each before the nodes below it.
    """
    paths: list[tuple] = [()] * n_classes
    n_nodes = 0
    pending: list[tuple[Any, tuple]] = [(tree, ())]
    while pending:
        branch, path = pending.pop()
        if isinstance(branch, tuple):
            left, right = branch
            pending += [
                (right, (*path, (n_nodes, True))),
                (left, (*path, (n_nodes, False))),
            ]
            n_nodes += 1
        else:
            paths[branch] = path
    depths = np.array([len(path) for path in paths])
    nodes = np.zeros((depths.max(), n_classes), int)
    turns = np.zeros(nodes.shape, bool)
    for leaf, path in enumerate(paths):
        on_path, turns[: len(path), leaf] = zip(*path, strict=True)
        nodes[: len(path), leaf] = on_path
        # Past a leaf, a node off its path, so that no gradient is written twice.
        nodes[len(path) :, leaf] = next(
            (node for node in range(n_nodes) if node not in on_path), 0
        )
    return nodes, turns, depths


class RegressionLoss(Loss):
    """Base class of regression losses; targets have raw's shape."""

    out_activation = "identity"

    def check_targets(self, y):
        """Raise ValueError if some target is outside the loss's domain."""

    def predict(self, raw):
        """Return the predictions that raw outputs stand for."""
        return raw


class SquaredError(RegressionLoss):
    """Half the squared error, ``1/2 * sum_j (f_j - y_j)**2``; predicts the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import SquaredError
    >>> raw = np.array([[1.0, 2.0]])
    >>> grad = np.empty_like(raw)
    >>> SquaredError().per_sample(raw, np.array([[0.0, 4.0]]), grad)
    array([2.5])
    >>> grad
    array([[ 1., -2.]])
    """

    def per_sample(self, raw, y, out):
        np.subtract(raw, y, out=out)
        return 0.5 * np.sum(out * out, axis=1)


class AbsoluteError(RegressionLoss):
    """The absolute error, ``sum_j abs(f_j - y_j)``; predicts the median.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import AbsoluteError
    >>> raw = np.array([[1.0, 2.0]])
    >>> grad = np.empty_like(raw)
    >>> AbsoluteError().per_sample(raw, np.array([[0.0, 4.0]]), grad)
    array([3.])
    >>> grad
    array([[ 1., -1.]])
    """

    def per_sample(self, raw, y, out):
        np.subtract(raw, y, out=out)
        losses = np.sum(np.abs(out), axis=1)
        np.sign(out, out=out)
        return losses


class Huber(RegressionLoss):
    """The squared error of small residuals, the absolute error of large ones.

    With ``r_j = f_j - y_j``, the sum over j of ``1/2 * r_j**2`` where
    ``abs(r_j) <= delta``, else ``delta * (abs(r_j) - delta / 2)``. Outliers pull no
    harder than ``delta``.

    Parameters
    ----------
    delta : float, default=1.0
        The residual at which the loss turns from a parabola into a line.

    References
    ----------
    Huber, P. J. (1964). Robust estimation of a location parameter. Annals of
    Mathematical Statistics 35.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Huber
    >>> raw = np.array([[1.5, 4.0]])
    >>> grad = np.empty_like(raw)
    >>> Huber().per_sample(raw, np.array([[1.0, 0.0]]), grad)
    array([3.625])
    >>> grad
    array([[0.5, 1. ]])
    """

    _parameter_constraints = {"delta": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, *, delta=1.0):
        self.delta = delta

    def per_sample(self, raw, y, out):
        delta = float(self.delta)
        residual = raw - y
        np.clip(residual, -delta, delta, out=out)
        # With c the clipped residual, both pieces are c (r - c / 2).
        residual -= 0.5 * out
        residual *= out
        return np.sum(residual, axis=1)


class Quantile(RegressionLoss):
    """The pinball loss; predicts a quantile.

    ``sum_j (1 - q) * (f_j - y_j)`` where ``f_j > y_j``, else ``q * (y_j - f_j)``. With
    ``q = 0.5`` it is half the absolute error.

    Parameters
    ----------
    quantile : float, default=0.5
        The quantile ``q`` to predict, in (0, 1).

    References
    ----------
    Koenker, R. and Bassett, G. (1978). Regression quantiles. Econometrica 46.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Quantile
    >>> raw = np.array([[1.0, 2.0]])
    >>> grad = np.empty_like(raw)
    >>> Quantile(quantile=0.75).per_sample(raw, np.array([[0.0, 4.0]]), grad)
    array([1.75])
    >>> grad
    array([[ 0.25, -0.75]])
    """

    _parameter_constraints = {"quantile": [Interval(Real, 0, 1, closed="neither")]}

    def __init__(self, *, quantile=0.5):
        self.quantile = quantile

    def per_sample(self, raw, y, out):
        q = float(self.quantile)
        np.subtract(raw, y, out=out)
        losses = np.sum(np.maximum((1 - q) * out, -q * out), axis=1)
        # The slope: 1 - q above the target, -q below, 0 on it.
        np.sign(out, out=out)
        out *= 0.5 + (0.5 - q) * out
        return losses


class Poisson(RegressionLoss):
    """Half the Poisson deviance with a log link; predicts the mean ``exp(f)``.

    ``sum_j exp(f_j) - y_j f_j + y_j ln(y_j) - y_j`` for counts or rates ``y >= 0``.

    Examples
    --------
    >>> import numpy as np
    >>> from sknn_notes.losses import Poisson
    >>> raw = np.array([[0.0]])
    >>> Poisson().per_sample(raw, np.array([[1.0]]), np.empty_like(raw))
    array([0.])
    """

    out_activation = "exp"

    def check_targets(self, y):
        if np.min(y) < 0:
            raise ValueError(
                f"loss='poisson' needs targets y >= 0, got a smallest y of {np.min(y)}."
                " Use loss='squared_error' for targets of both signs."
            )

    def per_sample(self, raw, y, out):
        np.exp(raw, out=out)
        losses = np.sum(out - y * raw + xlogy(y, y) - y, axis=1)
        out -= y
        return losses

    def predict(self, raw):
        return np.exp(raw)


CLASSIFICATION_LOSSES: dict[str, type[ClassificationLoss]] = {
    "hierarchical_softmax": HierarchicalSoftmax,
    "hinge": Hinge,
    "log_loss": LogLoss,
    "squared_hinge": SquaredHinge,
}

REGRESSION_LOSSES: dict[str, type[RegressionLoss]] = {
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
    "quantile": Quantile,
    "squared_error": SquaredError,
}
