"""
=================================
Several networks are surer of it
=================================

Networks that start from different weights end in different places. Their average is
better than most of them, and how far they lie apart tells where the data left room for
doubt.
"""

# %%
# How many networks
# -----------------
# The handwritten digits and the breast cancer data, with a new split for each seed.
# Training stops by the loss on a fifth of the training rows. With ``n_networks=5`` each
# network holds out another fifth, so that all rows are trained on.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer

# A fixed number of epochs is wanted here, not convergence.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
SEEDS, SIZES = range(10), (1, 3, 5)


def scores(load, n_networks, seed):
    """Return accuracy and log loss on test data."""
    X, y = load(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=seed
    )
    model = make_pipeline(
        Standardizer(),
        MLPClassifier(
            early_stopping=True,
            validation_fraction=0.2,
            learning_rate_init=0.003,
            n_networks=n_networks,
            random_state=seed,
        ),
    ).fit(X_train, y_train)
    return model.score(X_test, y_test), log_loss(y_test, model.predict_proba(X_test))


results = {
    (load, n): np.array([scores(load, n, seed) for seed in SEEDS])
    for load in (load_digits, load_breast_cancer)
    for n in SIZES
}

# %%
# Means over ten splits, with the standard error of the gain over one network, which is
# taken split by split.
for load in (load_digits, load_breast_cancer):
    print(f"{load.__name__[5:]:15} networks  accuracy  gain            log loss")
    for n in SIZES:
        accuracy, loss = results[load, n].mean(axis=0)
        gains = 100 * (results[load, n] - results[load, 1])[:, 0]
        error = gains.std(ddof=1) / np.sqrt(len(gains))
        print(
            f"{n:24}  {100 * accuracy:7.2f}%  {gains.mean():+.2f} +- {error:.2f}  "
            f"{loss:9.4f}"
        )

# %%
# On the digits the first networks help the most, and the log loss gains more than the
# accuracy: an average of networks that disagree is less sure of itself. On the breast
# cancer data, which is nearly linear, all networks make the same mistakes.
#
# Where the networks disagree
# ---------------------------
# Points of a curve, with a gap in the middle and nothing beyond the ends. No noise is
# in these networks: the spread comes from the seeds alone.
rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-3, -1, 60), rng.uniform(1, 3, 60)])
y = np.sin(1.5 * x) + rng.normal(scale=0.1, size=120)
grid = np.linspace(-5, 5, 300)[:, None]

model = MLPRegressor(
    hidden_layer_sizes=(50, 50),
    init="he_normal",
    learning_rate_init=0.005,
    max_iter=300,
    n_iter_no_change=np.inf,
    n_networks=10,
    random_state=0,
).fit(x[:, None], y)
mean, spread = model.predict(grid), model.predict_spread(grid)[:, 0]

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for i, network in enumerate(model.networks_):
    label = "the ten networks" if i == 0 else None
    axes.plot(grid, network.predict(grid), color="0.6", linewidth=0.8, label=label)
axes.fill_between(
    grid[:, 0],
    mean - 2 * spread,
    mean + 2 * spread,
    color="C0",
    alpha=0.2,
    linewidth=0,
    label="mean ± 2 spread",
)
axes.plot(grid, mean, color="C0", label="their mean")
axes.plot(grid, np.sin(1.5 * grid), "k--", linewidth=1, label="the curve itself")
axes.plot(x, y, "o", color="C2", markersize=3, label="training points")
axes.set(xlabel="x", ylabel="y", ylim=(-3, 3))
axes.legend(ncols=2, fontsize=8)
plt.show()

# %%
# Among the points all networks agree. In the gap and beyond the ends nothing tells them
# what to do, and each does something else. The spread is no error bar: beyond the ends
# no network turns back as the curve does, and what all of them miss is no disagreement.
inside = np.isin(np.abs(np.round(grid[:, 0], 1)), np.arange(1.2, 2.9, 0.1).round(1))
print(f"mean spread among the points {spread[inside].mean():.3f}")
print(f"mean spread elsewhere {spread[~inside].mean():.3f}")
