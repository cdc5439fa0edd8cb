"""
===============================
Ensembles and their uncertainty
===============================

Networks with different initial weights make different predictions. Their average is
more accurate than most of them, and the spread of their predictions is a measure of
uncertainty.
"""

# %%
# The number of networks
# ----------------------
# The data are the handwritten digits and the breast cancer data, with a different split
# for each seed. Early stopping monitors the loss on a fifth of the training rows. With
# ``n_networks=5`` each network holds out a different fifth, so that all rows are used
# for training.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, MLPRegressor, Standardizer

# Some fits end at ``max_iter``, before they have converged.
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
# The results are means over ten splits. The gain over one network is computed for each
# split, and is shown with its standard error.
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
# On the digits the first networks give most of the gain, and the log loss improves more
# than the accuracy: an average of networks that disagree is less confident. On the
# breast cancer data, which are nearly linear, all networks make the same errors.
#
# The spread of the networks
# --------------------------
# The training points lie on a curve, with a gap in the middle. The networks have no
# dropout or other noise: the spread is only due to their seeds.
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
axes.plot(grid, mean, color="C0", label="mean")
axes.plot(grid, np.sin(1.5 * grid), "k--", linewidth=1, label="true curve")
axes.plot(x, y, "o", color="C2", markersize=3, label="training points")
axes.set(xlabel="x", ylabel="y", ylim=(-3, 3))
axes.legend(ncols=2, fontsize=8)
plt.show()

# %%
# The networks agree near the training points. In the gap and beyond the ends there are
# no data, and the networks differ. The spread is not an error bar: beyond the ends no
# network follows the curve, and the spread does not include the error that all networks
# share.
inside = np.isin(np.abs(np.round(grid[:, 0], 1)), np.arange(1.2, 2.9, 0.1).round(1))
print(f"mean spread near the points {spread[inside].mean():.3f}")
print(f"mean spread elsewhere {spread[~inside].mean():.3f}")
