"""
====================================
Uncertainty with Monte Carlo dropout
====================================

A network trained with dropout contains many sub-networks. The spread of their
predictions is a measure of the uncertainty of the network.
"""

# %%
# The training points lie on a curve, with a gap in the middle.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPRegressor

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")

rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-3, -1, 60), rng.uniform(1, 3, 60)])
y = np.sin(1.5 * x) + rng.normal(scale=0.1, size=120)
grid = np.linspace(-5, 5, 300)[:, None]

model = MLPRegressor(
    hidden_layer_sizes=(100, 100),
    dropout=0.1,
    marginalization="monte_carlo",
    n_mc_samples=200,
    learning_rate_init=0.005,
    max_iter=600,
    n_iter_no_change=np.inf,
    random_state=0,
).fit(x[:, None], y)

# %%
# ``predict`` returns the mean over the passes, ``predict_spread`` their standard
# deviation. The spread is small near the points, larger in the gap, and largest beyond
# the ends, where the network does not follow the curve. It is not an error bar: it
# measures how much the sub-networks differ, and does not include the error that they
# share.
mean, spread = model.predict(grid), model.predict_spread(grid)[:, 0]

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for width, shade in ((2, 0.2), (1, 0.35)):
    axes.fill_between(
        grid[:, 0],
        mean - width * spread,
        mean + width * spread,
        color="C0",
        alpha=shade,
        linewidth=0,
        label=f"mean ± {width} spread",
    )
axes.plot(grid, mean, color="C0", label="mean of 200 passes")
axes.plot(grid, np.sin(1.5 * grid), "k--", linewidth=1, label="true curve")
axes.plot(x, y, "o", color="C2", markersize=3, label="training points")
axes.set(xlabel="x", ylabel="y", ylim=(-3, 3))
axes.legend(ncols=2, fontsize=8)
plt.show()

# %%
# Analytic and Monte Carlo averages
# ---------------------------------
# ``marginalization="analytic"`` uses a single pass through the whole network instead.
# This section compares both averages for three networks with five seeds each: a linear
# network, one with a single hidden layer of ReLU units, and one with two such layers.
kinds = {
    "linear, two layers": ("C1", "o", {"activation": "identity"}),
    "ReLU, one layer": ("C2", "^", {"hidden_layer_sizes": 50}),
    "ReLU, two layers": ("C0", "s", {}),
}
n_passes = np.array([10, 30, 100, 300, 1000])


def gap_and_error(parameters, seed):
    """Return the distance of both averages and the standard error of the passes."""
    network = MLPRegressor(
        **{"hidden_layer_sizes": (50, 50), **parameters},
        dropout=0.3,
        learning_rate_init=0.005,
        max_iter=300,
        n_iter_no_change=np.inf,
        random_state=seed,
    ).fit(x[:, None], y)
    analytic = network.predict(x[:, None])
    network.set_params(marginalization="monte_carlo")
    gaps, errors = [], []
    for n in n_passes:
        network.set_params(n_mc_samples=n)
        gaps.append(np.mean((network.predict(x[:, None]) - analytic) ** 2))
        errors.append(np.mean(network.predict_spread(x[:, None]) ** 2) / n)
    return gaps, errors


results = {
    name: np.sqrt(
        np.mean([gap_and_error(parameters, seed) for seed in range(5)], axis=0)
    )
    for name, (_, _, parameters) in kinds.items()
}

# %%
# The markers show the distance of both averages on the training points (root mean
# square), the dotted lines the standard error of a mean over the passes, which is the
# expected distance if both averages have the same limit.
#
# For the linear network they have the same limit: more passes reduce the distance
# further and further. This also holds for a single ReLU layer: units are dropped
# *after* their activation, and the rest of the network is linear. With a second layer,
# the noise passes through an activation, and the output for the mean of the units is
# not the mean of the outputs. The distance then remains, however many passes are made.
figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, (gap, error) in results.items():
    color, marker, _ = kinds[name]
    axes.loglog(n_passes, gap, color=color, marker=marker, label=name)
    axes.loglog(n_passes, error, ":", color=color)
axes.plot([], [], ":", color="0.4", label="standard error")
axes.set(
    xlabel="passes",
    ylabel="distance of the two averages",
    title="dropout 0.3",
)
axes.legend()
plt.show()
for name, (gap, error) in results.items():
    print(f"{name:18} {gap[-1]:.4f} apart, standard error {error[-1]:.4f}")
