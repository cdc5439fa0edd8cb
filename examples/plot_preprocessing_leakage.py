"""
=============================
Data leakage in preprocessing
=============================

Preprocessing is part of the model: its means, scales and directions are fitted. If they
are fitted on the test data, the test score no longer estimates the score on unseen
data. This example measures the effect in two cases, and shows that a pipeline avoids
it.
"""

# %%
# Whitened test data that looks whiter than it is
# -----------------------------------------------
# Whitening estimates a whole covariance matrix. On its training data the result is
# white by construction: the mean squared norm of a sample is the number of directions.
# For unseen samples it is larger, and much larger if there are few training samples. If
# the whitener is also fitted on the test samples, this cannot be seen.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknn_notes import Standardizer, Whitener

X, y = load_breast_cancer(return_X_y=True)


def squared_length(Z):
    """Return the mean over samples of the squared norm, per direction."""
    return np.mean(Z**2)


sizes = [40, 60, 80, 120, 160, 240, 320]
honest, leaky = [], []
for size in sizes:
    values = []
    for seed in range(20):
        # With the correlation matrix, the units of the features have no effect.
        train, test = train_test_split(
            X, train_size=size, test_size=20, random_state=seed
        )
        own = Whitener("pca_cor", eps=1e-3).fit(train)
        both = Whitener("pca_cor", eps=1e-3).fit(np.vstack([train, test]))
        values.append(
            [squared_length(own.transform(test)), squared_length(both.transform(test))]
        )
    honest.append(np.mean(values, axis=0)[0])
    leaky.append(np.mean(values, axis=0)[1])

# %%
# A scale that adapts to the data it is tested on
# -----------------------------------------------
# The test samples are measured with another device, whose readings are 15 % too high.
# There are three ways to scale the test set: with the statistics of the training data,
# which are all that is known when a sample arrives; with those of all data, which
# differ little here; and with those of the test set, which remove the shift whose
# effect the test should measure.
scores = {"training only": [], "all the data": [], "test set itself": []}
for seed in range(20):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    X_test = 1.15 * X_test
    scaler = Standardizer().fit(X_train)
    model = LogisticRegression().fit(scaler.transform(X_train), y_train)
    together = Standardizer().fit(np.vstack([X_train, X_test]))
    model_together = LogisticRegression().fit(together.transform(X_train), y_train)
    itself = Standardizer().fit_transform(X_test)
    scores["training only"].append(model.score(scaler.transform(X_test), y_test))
    scores["all the data"].append(
        model_together.score(together.transform(X_test), y_test)
    )
    scores["test set itself"].append(model.score(itself, y_test))

# %%
# Results
# -------
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
left.plot(sizes, honest, "o-", label="training data only")
left.plot(sizes, leaky, "s--", label="training and test data")
left.axhline(1, color="0.8", linewidth=1, zorder=0)
left.set(
    xlabel="training samples",
    ylabel="squared norm of test samples\nper direction",
    title="Whitening",
    ylim=(0, None),
)
left.legend(frameon=False, title="statistics from")
names = list(scores)
right.boxplot([scores[name] for name in names], tick_labels=names)
right.set(ylabel="test accuracy", title="Standardizing, readings 15 % too high")

for size, one, two in zip(sizes, honest, leaky, strict=True):
    print(f"{size:4} training samples: {one:6.2f}, {two:5.2f} with leakage")
for name, values in scores.items():
    print(f"statistics from {name:16} accuracy {np.mean(values):.3f}")

# %%
# Pipelines avoid leakage
# -----------------------
# A pipeline fits its steps on the training data only, also in every fold of a
# cross-validation, and applies them unchanged to the test data.
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
pipeline = make_pipeline(Standardizer(), LogisticRegression()).fit(X_train, y_train)
print(f"accuracy of the pipeline on test data: {pipeline.score(X_test, y_test):.3f}")
