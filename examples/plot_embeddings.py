"""
=================================
Numerical embeddings of a feature
=================================

Networks learn steps and fast oscillations in a single feature late or not at all. An
embedding maps each feature to several functions of it, and the first layer combines
them.
"""

# %%
# There is one feature, and the target consists of a slow wave, a fast wave and a jump.
# The samples are dense on the right and sparse on the left.
import matplotlib.pyplot as plt
import numpy as np

from sknn_notes import MLPRegressor
from sknn_notes.embeddings import Periodic, PiecewiseLinear

plt.style.use("seaborn-v0_8-colorblind")
rng = np.random.default_rng(0)
x = np.sort(2 - rng.exponential(size=600).clip(max=4))


def target(x):
    return np.sin(3 * x) + 0.5 * np.sin(12 * x) + np.where(x > 0.5, 1.0, -1.0)


y = target(x) + rng.normal(scale=0.2, size=len(x))
grid = np.linspace(-2, 2, 800)
X, X_grid = x.reshape(-1, 1), grid.reshape(-1, 1)

EMBEDDINGS = {
    "no embedding": None,
    "periodic": Periodic(sigma=0.5),
    "piecewise_linear": PiecewiseLinear(n_bins=16),
}
models = {
    name: MLPRegressor(
        hidden_layer_sizes=(64, 64),
        embedding=embedding,
        batch_size=32,
        learning_rate="flat_cosine",
        learning_rate_init=4e-3,
        max_iter=100,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X, y)
    for name, embedding in EMBEDDINGS.items()
}

# %%
# This figure shows the functions of the feature, computed from ``embedding_``. The
# three learned functions of the periodic embedding are sums of sixteen cosines, shown
# after training. The standardized functions of the piecewise linear embedding increase
# linearly within their bin. Bins are narrow where samples are dense.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
arrays = models["periodic"].embedding_
turns = grid[:, None] * arrays["frequencies"][0] + arrays["phases"][0]
functions = np.cos(2 * np.pi * turns) @ arrays["weights"][0] + arrays["biases"][0]
left.plot(grid, functions)
left.set(title="periodic: learned functions", xlabel="feature")

arrays = models["piecewise_linear"].embedding_
components = np.clip((X_grid - arrays["lower"]) / arrays["width"], 0, 1)
right.plot(grid, (components - arrays["mean"]) / arrays["scale"], color="C0", lw=0.8)
right.plot(x, np.full_like(x, -5), "|", color="0.5", markersize=6)
right.set(title="piecewise_linear: functions, and the samples", xlabel="feature")
plt.show()

# %%
# The predictions of the networks, and the R2 with respect to the target without noise.
# Without an embedding, the network only fits the slow wave and smooths the jump.
figure, axes = plt.subplots(
    1, 3, figsize=(12, 3.6), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    ax.plot(x, y, ".", color="0.75", markersize=3)
    ax.plot(grid, target(grid), color="0.3", lw=0.8, label="target")
    ax.plot(grid, model.predict(X_grid), color="C3", label="network")
    score = model.score(X_grid, target(grid))
    ax.set(title=f"{name}, R2 {score:.3f}", xlabel="feature")
axes[0].legend()
plt.show()
