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
        color="tab:blue",
        alpha=shade,
        linewidth=0,
        label=f"mean ± {width} spread",
    )
axes.plot(grid, mean, color="tab:blue", label="mean of 200 passes")
axes.plot(grid, np.sin(1.5 * grid), "k--", linewidth=1, label="the curve itself")
axes.plot(x, y, "o", color="tab:orange", markersize=3, label="training points")
axes.set(xlabel="x", ylabel="y", ylim=(-3, 3))
axes.legend(ncols=2, fontsize=8)
plt.show()

# %%
# Analytic and Monte Carlo averages
# ---------------------------------
#
# ``marginalization="analytic"`` runs once through the whole network instead. For a
# linear network both are the same average, and their difference falls as the passes
# grow, as that of any sample mean. Behind an activation they are averages of different
# things (the output at the mean of the activations, the mean of the outputs), and a gap
# remains.
n_passes = np.array([10, 30, 100, 300, 1000])
gaps = {}
for activation in ("identity", "relu"):
    network = MLPRegressor(
        hidden_layer_sizes=(50, 50),
        activation=activation,
        dropout=0.3,
        learning_rate_init=0.005,
        max_iter=300,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(x[:, None], y)
    analytic = network.predict(x[:, None])
    network.set_params(marginalization="monte_carlo")
    gaps[activation] = [
        np.sqrt(
            np.mean(
                (network.set_params(n_mc_samples=n).predict(x[:, None]) - analytic) ** 2
            )
        )
        for n in n_passes
    ]

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for (activation, gap), color, marker in zip(
    gaps.items(), ("tab:green", "tab:blue"), "os", strict=True
):
    axes.loglog(n_passes, gap, color=color, marker=marker, label=activation)
axes.loglog(
    n_passes,
    gaps["identity"][0] * np.sqrt(n_passes[0] / n_passes),
    "k:",
    label="1 / sqrt(passes)",
)
axes.set(
    xlabel="passes",
    ylabel="distance of the two averages (root mean square)",
    title="two hidden layers, dropout 0.3",
)
axes.legend()
plt.show()
