"""
==========================================
How sure is the network? Ask it many times
==========================================

A network trained with dropout is many networks in one. Asking some of them in turn and
looking at how far their answers lie apart tells where the data left room for doubt.
"""

# %%
# Points of a curve, with a gap in the middle and nothing beyond the ends.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPRegressor

# A fixed number of epochs is wanted here, not convergence.
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
# ``predict`` averages over the passes, ``predict_spread`` is their standard deviation.
# It is small among the points, larger in the gap, and largest beyond the ends, where
# the curve turns back and the network does not. It is no error bar: it knows how far
# the sub-networks differ, not what they all missed.
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
axes.plot(grid, np.sin(1.5 * grid), "k--", linewidth=1, label="the curve itself")
axes.plot(x, y, "o", color="C2", markersize=3, label="training points")
axes.set(xlabel="x", ylabel="y", ylim=(-3, 3))
axes.legend(ncols=2, fontsize=8)
plt.show()

# %%
# Analytic and Monte Carlo averages
# ---------------------------------
# ``marginalization="analytic"`` runs once through the whole network instead. Is that
# the same average? Three networks, five seeds each: a linear one, one with a single
# hidden layer of ReLU units, and one with two such layers.
kinds = {
    "linear, two layers": ("C1", "o", {"activation": "identity"}),
    "ReLU, one layer": ("C2", "^", {"hidden_layer_sizes": 50}),
    "ReLU, two layers": ("C0", "s", {}),
}
n_passes = np.array([10, 30, 100, 300, 1000])


def gap_and_error(parameters, seed):
    """Return the distance of the two averages and the error that passes explain."""
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
# The marks are the distance of the two averages on the training points (root mean
# square), the dotted lines the standard error of a mean of so many passes: what is
# left of the distance if nothing but chance keeps the averages apart.
#
# For the linear network that is all, and more passes bring the two together as far as
# one likes. It is all for a single ReLU layer, too: the units are dropped *behind*
# their activation, and from there on the network is linear. With a second layer, noise
# passes through an activation, and the output at the mean of the units is not the mean
# of the outputs. Marks and line part: the distance stays however many passes are made.
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
