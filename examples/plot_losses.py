"""
=====================================
What each loss asks for, on one plate
=====================================

A loss decides which mistakes hurt. Drawn against how far the right answer is ahead, the
losses of classification differ in two ways: whether a sample that is well ahead still
pulls, and how hard one that is far behind does.
"""

# %%
# The curves are computed by the parts themselves, for two classes and for one target.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sknn_notes import MLPClassifier
from sknn_notes.losses import (
    AbsoluteError,
    HierarchicalSoftmax,
    Hinge,
    Huber,
    LogLoss,
    Quantile,
    SquaredError,
    SquaredHinge,
)

# A fixed number of epochs is wanted here, not convergence.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")


def values(loss, raw, target):
    """Return the loss of every raw output."""
    raw = np.asfortranarray(raw[:, None])
    y = np.full_like(raw, target)
    return loss.per_sample(raw, y, np.empty_like(raw))


# %%
# Left, two classes. Both hinges are content with a sample that is ahead by the margin;
# the log loss never is quite. A sample that is behind pulls with a bounded force under
# the log loss and the hinge, and the harder the further it is behind under the squared
# hinge. With label smoothing too far ahead is a mistake, too: the curve rises again.
#
# Right, one target. The squared error minds a residual the more the larger it is;
# Huber's loss does so up to ``delta``, and then pulls as evenly as the absolute error
# does everywhere. The quantile loss is lopsided: at 0.8 it is four times as bad to
# predict too little as to predict too much.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
ahead = np.linspace(-3, 3, 301)
for loss, style in (
    (LogLoss(), "-"),
    (Hinge(), "-."),
    (SquaredHinge(), ":"),
    (LogLoss(label_smoothing=0.2), "--"),
):
    left.plot(ahead, values(loss, ahead, 1.0), style, linewidth=2, label=str(loss))
left.set(xlabel="how far the right class is ahead", ylabel="loss", ylim=(-0.1, 6))
left.legend(fontsize=9)
for loss, style in (
    (SquaredError(), "-"),
    (Huber(), "--"),
    (AbsoluteError(), "-."),
    (Quantile(quantile=0.8), ":"),
):
    right.plot(ahead, values(loss, ahead, 0.0), style, linewidth=2, label=str(loss))
right.set(xlabel="prediction minus target", ylabel="loss", ylim=(-0.1, 4))
right.legend(fontsize=9)
plt.show()

# %%
# The first loss
# --------------
# Before training a network knows nothing, and its loss is that of chance: ``ln 10`` for
# the log loss, 9 for the hinges, and for hierarchical softmax the mean depth of the
# leaves, weighted by how frequent the classes are, times ``ln 2``. One epoch at a
# learning rate of nearly zero measures it. Where a network starts somewhere else,
# look for a loss and labels that do not belong together, or for weights that are too
# large.
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, stratify=y, random_state=0
)

tree = HierarchicalSoftmax()
tree.start(np.unique(y), counts=None)
chance = {
    "log_loss": np.log(10),
    "hinge": 9.0,
    "squared_hinge": 9.0,
    "hierarchical_softmax": tree.depths_[y_train].mean() * np.log(2),
}
print(f"{'':20}  chance  first loss")
for name, expected in chance.items():
    start = MLPClassifier(
        loss=name,
        init="normal",
        penalty=None,
        learning_rate_init=1e-9,
        max_iter=1,
        random_state=0,
    ).fit(X_train, y_train)
    print(f"{name:20}  {expected:6.3f}  {start.loss_:10.3f}")

# %%
# On digits
# ---------
# Five seeds for each loss, and the dotted line is chance. All of them fall far below
# it. Losses of different kinds can't be compared with each other; the accuracies on
# held-out digits, right, can. Both hinges come close to the log loss. The tree lies
# behind: it halves the sorted digits, so that its root has to tell 0 to 4 from 5 to 9,
# which have little in common but their value.
figure, axes = plt.subplots(
    1, 5, figsize=(12, 3.6), layout="constrained", width_ratios=(1, 1, 1, 1, 1.3)
)
scores = {}
for i, name in enumerate(chance):
    scores[name] = []
    for seed in range(5):
        model = MLPClassifier(
            loss=name,
            init="normal",
            max_iter=60,
            n_iter_no_change=np.inf,
            learning_rate_init=0.005,
            random_state=seed,
        ).fit(X_train, y_train)
        axes[i].semilogy(model.loss_curve_, color=f"C{i}", linewidth=1.2)
        scores[name].append(model.score(X_test, y_test))
    axes[i].axhline(chance[name], color="0.5", linestyle=":")
    axes[i].set(xlabel="epoch", title=name.replace("_", " "), ylim=(0.01, 15))
    if i:
        axes[i].tick_params(labelleft=False)
    axes[4].plot(scores[name], np.full(5, i), "o", color=f"C{i}", alpha=0.6)
    axes[4].plot(np.mean(scores[name]), i, "|", color="black", markersize=18)
axes[0].set_ylabel("training loss")
axes[4].set(
    xlabel="test accuracy (bar: mean)",
    yticks=range(len(chance)),
    yticklabels=[name.replace("_", "\n") for name in chance],
    ylim=(len(chance) - 0.5, -0.5),
)
axes[4].yaxis.tick_right()
plt.show()
