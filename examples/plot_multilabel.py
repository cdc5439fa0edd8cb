"""
============================================
Attributes: several labels for one sample
============================================

Genes of yeast take part in several functions of the cell at once. Each function is a
label of its own, 0 or 1, and the network has one raw output for each: the log loss
makes it a logistic regression per label on shared hidden units, the hinge a support
vector machine per label.
"""

# %%
# 2,417 genes, 103 measurements of each, 14 functional classes.
import matplotlib.pyplot as plt
import numpy as np
from river.datasets import Yeast
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, Standardizer

samples = list(Yeast())
X = np.array([list(x.values()) for x, _ in samples])
Y = np.array([list(y.values()) for _, y in samples]).astype(int)
names = list(samples[0][1])
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, random_state=0)
print(f"{len(X)} samples, {X.shape[1]} features, {Y.shape[1]} labels")
print(f"{Y.sum(axis=1).mean():.1f} labels a sample")

# %%
# The same network under both losses, with dropout against the small number of genes,
# and as a yardstick the answer that is the same for every gene.
scores, exact = {}, {}
for loss in ("log_loss", "hinge"):
    model = make_pipeline(
        Standardizer(),
        MLPClassifier(
            loss=loss,
            hidden_layer_sizes=(100,),
            dropout=0.5,
            alpha=1e-3,
            learning_rate_init=0.003,
            early_stopping=True,
            max_iter=300,
            random_state=0,
        ),
    ).fit(X_train, Y_train)
    predicted = model.predict(X_test)
    scores[loss] = f1_score(Y_test, predicted, average=None, zero_division=0.0)
    exact[loss] = np.mean(predicted == Y_test)
majority = np.broadcast_to(Y_train.mean(axis=0) > 0.5, Y_test.shape).astype(int)
scores["most frequent"] = f1_score(Y_test, majority, average=None, zero_division=0.0)
exact["most frequent"] = np.mean(majority == Y_test)
for name, share in exact.items():
    print(f"{name:14} {share:.3f} of all labels right")

# %%
# The score of every label, the frequent ones first. Rare labels are hard: to say 0 is
# nearly always right for them, and both losses are content with that.
order = np.argsort(-Y_train.mean(axis=0))
place = np.arange(len(order))
figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
axes.bar(
    place,
    Y_train.mean(axis=0)[order],
    color="0.85",
    width=0.95,
    label="share of genes with the label",
)
for (name, score), shift, color in zip(
    scores.items(),
    (-0.28, 0.0, 0.28),
    ("tab:blue", "tab:orange", "0.4"),
    strict=True,
):
    axes.bar(
        place + shift,
        score[order],
        width=0.26,
        color=color,
        label=f"{name}: mean F1 {score.mean():.2f}",
    )
axes.set(
    xlabel="label",
    ylabel="F1 on held-out genes",
    xticks=place,
    xticklabels=[names[i] for i in order],
)
axes.tick_params(axis="x", labelsize=8, rotation=45)
axes.legend(fontsize=9)
plt.show()
