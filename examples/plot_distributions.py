"""
====================================
Predicting distributions of a target
====================================

A predicted mean does not tell how far the targets may lie from it. With two of its
losses, :class:`~sknn_notes.MLPRegressor` predicts more: a normal distribution, or
several quantiles.
"""

# %%
# The noise of this curve increases from left to right, and it is skewed: targets lie
# farther above the curve than below it.
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

from sknn_notes import MLPRegressor
from sknn_notes.losses import Quantile

plt.style.use("seaborn-v0_8-colorblind")

rng = np.random.default_rng(0)


def sample(n):
    """Return a feature, and targets with skewed noise that grows along it."""
    x = rng.uniform(-1, 1, n)
    noise = rng.gamma(2, size=n) - 2
    return x[:, None], 40 + 20 * np.sin(3 * x) + 4 * (x + 1.2) * noise


X_train, y_train = sample(1500)
X_test, y_test = sample(5000)
grid = np.linspace(-1, 1, 201)[:, None]
settings = {
    "hidden_layer_sizes": (50, 50),
    "learning_rate_init": 0.005,
    "early_stopping": True,
    "n_iter_no_change": 20,
    "random_state": 0,
}

# %%
# With ``loss="gaussian_nll"`` the network has two outputs for a target, the mean and
# the logarithm of the variance, and ``predict(X, return_std=True)`` returns mean and
# standard deviation. ``Quantile([0.05, 0.5, 0.95])`` trains three quantiles in one
# network. Each quantile is the previous one plus a positive number, so that they never
# cross, not even far from the data.
gaussian = MLPRegressor("gaussian_nll", **settings).fit(X_train, y_train)
levels = [0.05, 0.5, 0.95]
quantile = MLPRegressor(Quantile(levels), **settings).fit(X_train, y_train)

figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
mean, std = gaussian.predict(grid, return_std=True)
reach = norm.ppf(0.95)
quantiles = quantile.predict_quantiles(grid)
bands = {
    "gaussian_nll: mean and 90 % interval": (
        mean - reach * std,
        mean,
        mean + reach * std,
    ),
    "Quantile([0.05, 0.5, 0.95])": quantiles.T,
}
for i, (ax, (title, (low, middle, high))) in enumerate(
    zip(axes, bands.items(), strict=True)
):
    ax.plot(X_train[:, 0], y_train, ".", color="0.6", markersize=3)
    ax.fill_between(grid[:, 0], low, high, color=f"C{i}", alpha=0.3, linewidth=0)
    ax.plot(grid[:, 0], middle, color=f"C{i}", linewidth=2)
    ax.set(title=title, xlabel="feature")
axes[0].set_ylabel("target")
plt.show()

# %%
# Both intervals widen with the noise. The Gaussian interval is symmetric, so hardly any
# target lies below it; the quantiles adapt to the skew.
mean, std = gaussian.predict(X_test, return_std=True)
intervals = {
    "gaussian_nll": (mean - reach * std, mean + reach * std),
    "Quantile": quantile.predict_quantiles(X_test)[:, [0, 2]].T,
}
print(f"{'':14}{'below':>8}{'above':>8}   (5 % each, on test data)")
for name, (low, high) in intervals.items():
    print(f"{name:14}{np.mean(y_test < low):8.1%}{np.mean(y_test > high):8.1%}")
