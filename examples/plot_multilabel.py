"""
=========================
Multilabel classification
=========================

Genes of yeast have several functions in the cell. Each function is a label, 0 or 1, and
the network has one raw output per label. With the log loss, the output layer is a
logistic regression per label on shared hidden units, and with the hinge loss a support
vector machine per label.
"""

# %%
# The package ``river`` ships the data: for every gene, measurements of its activity,
# and its functional classes.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from river.datasets import Yeast
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, Standardizer

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
samples = list(Yeast())
X = np.array([list(x.values()) for x, _ in samples])
Y = np.array([list(y.values()) for _, y in samples]).astype(int)
names = list(samples[0][1])
print(f"{X.shape[0]} genes, {X.shape[1]} measurements, {Y.shape[1]} labels")
print(f"{Y.sum(axis=1).mean():.1f} labels per gene")

# %%
# The same network is trained with both losses on five splits. The loss of a gene is the
# sum over its labels. The baseline predicts the more frequent value of each label for
# every gene.
losses = ("log_loss", "hinge")
f1, auc, right, share = {}, {}, {}, []
for seed in range(5):
    X_train, X_test, Y_train, Y_test = train_test_split(X, Y, random_state=seed)
    share.append(Y_train.mean(axis=0))
    for loss in losses:
        model = make_pipeline(
            Standardizer(),
            MLPClassifier(
                loss=loss,
                dropout=0.5,
                input_dropout=0.1,
                learning_rate_init=0.003,
                max_iter=40,
                n_iter_no_change=np.inf,
                random_state=seed,
            ),
        ).fit(X_train, Y_train)
        scores, predicted = model.decision_function(X_test), model.predict(X_test)
        f1.setdefault(loss, []).append(
            f1_score(Y_test, predicted, average=None, zero_division=0.0)
        )
        auc.setdefault(loss, []).append(roc_auc_score(Y_test, scores, average=None))
        right.setdefault(loss, []).append(np.mean(predicted == Y_test))
    always = np.broadcast_to(share[-1] > 0.5, Y_test.shape).astype(int)
    f1.setdefault("always the same", []).append(
        f1_score(Y_test, always, average=None, zero_division=0.0)
    )
    right.setdefault("always the same", []).append(np.mean(always == Y_test))
for name, values in right.items():
    print(f"{name:15} {np.mean(values):.3f} of all labels correct")

# %%
# The labels are sorted by frequency. The bars are means over the splits, with the
# standard deviation, and the gray bars show the share of genes with the label.
#
# Top: F1 of the predicted labels. For frequent labels the losses differ little. The
# rarer a label, the less often either loss predicts 1: F1, which measures the
# prediction of ones, falls to nearly zero, and earlier for the hinge loss.
#
# Bottom: ROC AUC, which measures whether genes with the label are ranked before those
# without it. Guessing gives 0.5, and the scores of the rarest labels are about as good
# as those of the most frequent ones: the raw outputs contain information that is lost
# by the threshold at 0. To find rare labels, rank by ``decision_function``, or change
# the threshold.
order = np.argsort(-np.mean(share, axis=0))
place = np.arange(len(order))
figure, axes = plt.subplots(2, 1, figsize=(9, 6.4), sharex=True, layout="constrained")
colors = {"log_loss": "C0", "hinge": "C2", "always the same": "0.4"}
axes[0].bar(
    place,
    np.mean(share, axis=0)[order],
    width=1.0,
    color="0.88",
    label="share of genes with the label",
)
for ax, results, low, title in (
    (axes[0], f1, 0.0, "F1"),
    (axes[1], auc, 0.5, "area under the ROC curve"),
):
    width = 0.8 / len(results)
    for i, (name, values) in enumerate(results.items()):
        mean, spread = np.mean(values, axis=0)[order], np.std(values, axis=0)[order]
        ax.bar(
            place + (i - (len(results) - 1) / 2) * width,
            mean - low,
            width,
            bottom=low,
            yerr=spread,
            error_kw={"elinewidth": 1, "ecolor": "0.2"},
            color=colors[name],
            label=f"{name}: mean {mean.mean():.2f}",
        )
    ax.set(ylabel=title)
    ax.legend(fontsize=9, loc="upper right")
axes[1].set(ylim=(0.5, 0.95))
axes[1].set_xticks(place, [names[i] for i in order], rotation=45, fontsize=8)
plt.show()
