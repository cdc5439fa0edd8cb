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
    CLASSIFICATION_LOSSES,
    AbsoluteError,
    Hinge,
    Huber,
    LogLoss,
    Quantile,
    SquaredError,
    SquaredHinge,
)

# A fixed number of epochs is wanted here, not convergence.
warnings.filterwarnings("ignore", category=ConvergenceWarning)


def values(loss, raw, target):
    """Return the loss of every raw output."""
    raw = np.asfortranarray(raw[:, None])
    y = np.full_like(raw, target)
    return loss.per_sample(raw, y, np.empty_like(raw))


figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
ahead = np.linspace(-3, 3, 301)
for loss, style in (
    (LogLoss(), "-"),
    (LogLoss(label_smoothing=0.2), "--"),
    (Hinge(), "-."),
    (SquaredHinge(), ":"),
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
# On digits
# ---------
#
# Before training a network knows nothing, and its loss is that of chance: ``ln 10`` for
# the log loss, 9 for the hinges, and the mean depth of the tree times ``ln 2`` for
# hierarchical softmax. The curves start there. Losses of different kinds can't be
# compared with each other; the accuracies can.
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)

figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained", sharex=True)
for name, ax in zip(CLASSIFICATION_LOSSES, axes.flat, strict=True):
    accuracies = []
    for seed in range(3):
        model = MLPClassifier(
            loss=name,
            init="normal",
            max_iter=60,
            n_iter_no_change=np.inf,
            learning_rate_init=0.005,
            random_state=seed,
        ).fit(X_train, y_train)
        ax.semilogy(model.loss_curve_, color="tab:blue", alpha=0.6)
        accuracies.append(model.score(X_test, y_test))
    chance = {
        "hierarchical_softmax": 3.4 * np.log(2),
        "log_loss": np.log(10),
    }.get(name, 9)
    ax.axhline(chance, color="tab:orange", linestyle="--", label="chance")
    ax.set_title(
        f"{name}: test accuracy {np.mean(accuracies):.3f} ± {np.std(accuracies):.3f}",
        fontsize=10,
    )
    ax.legend(loc="upper right", fontsize=8)
for ax in axes[1]:
    ax.set_xlabel("epoch")
for ax in axes[:, 0]:
    ax.set_ylabel("training loss")
plt.show()
