"""
====================
Comparison of losses
====================

The losses for classification differ in two ways: whether samples that are classified
correctly with a large margin still have a gradient, and how large the gradient of
misclassified samples is.
"""

# %%
# The curves are computed by the losses, for two classes and for one regression target.
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

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")


def values(loss, raw, target):
    """Return the loss of every raw output."""
    raw = raw[:, None]
    losses, _ = loss.per_sample(raw, np.full_like(raw, target), np)
    return losses


# %%
# Left: two classes. Both hinge losses are zero once the correct class leads by the
# margin; the log loss is always positive. For misclassified samples, the gradient of
# the log loss and of the hinge loss is bounded, and that of the squared hinge loss
# increases with the distance. With label smoothing, the loss increases again if the
# lead is too large.
#
# Right: one regression target. The gradient of the squared error is proportional to the
# residual. The gradient of the Huber loss is proportional to the residual up to
# ``delta``, and constant beyond it, like that of the absolute error. The quantile loss
# is asymmetric: for the quantile 0.8, a prediction that is too low costs four times as
# much as one that is too high.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
ahead = np.linspace(-3, 3, 301)
for loss, style in (
    (LogLoss(), "-"),
    (Hinge(), "-."),
    (SquaredHinge(), ":"),
    (LogLoss(label_smoothing=0.2), "--"),
):
    left.plot(ahead, values(loss, ahead, 1.0), style, linewidth=2, label=str(loss))
left.set(xlabel="lead of the correct class", ylabel="loss", ylim=(-0.1, 6))
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
# With small weights, the loss before training is that of chance: ``ln 10`` for the log
# loss, 9 for the hinge losses, and for the hierarchical softmax the mean depth of the
# leaves, weighted by the class frequencies, times ``ln 2``. One epoch with a learning
# rate of nearly zero measures it. If the first loss of a network differs, the loss and
# the targets may not match, or the weights are too large.
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
# Training on digits
# ------------------
# There are five seeds for each loss, and the dotted line is the loss at chance. All
# losses fall far below it. The values of different losses cannot be compared, but the
# accuracies on held-out digits on the right can. Both hinge losses come close to the
# log loss. The hierarchical softmax is less accurate: its tree halves the sorted
# digits, so that its root has to separate 0 to 4 from 5 to 9, which have little in
# common except for their value.
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
