"""
============================================
Robust scaling and piecewise linear encoding
============================================

Measurements may have outliers, and targets may jump if a feature crosses a threshold.
With robust standardization and smooth clipping, outliers don't determine the scale of a
feature. With piecewise linear encoding, a network can learn steps and bends of single
features.
"""

# %%
# Outliers
# --------
# The feature is the standard error of the area of cell nuclei: three quarters of the
# values are below 46, and the largest is 542. After standardization, half of the values
# are within 0.6 units, and one is eleven units from the mean. In units of the
# interquartile range, half of the values are within one unit; smooth clipping then maps
# all of them below 3 and preserves their order.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline

from sknn_notes import (
    MLPRegressor,
    PiecewiseLinearEncoder,
    RobustStandardizer,
    Standardizer,
)

plt.style.use("seaborn-v0_8-colorblind")
area = load_breast_cancer(as_frame=True).data[["area error"]].to_numpy()
steps = {
    "standardized": Standardizer(),
    "robust, clip=None": RobustStandardizer(clip=None),
    "robust, clip=3": RobustStandardizer(),
}
scaled = {name: step.fit_transform(area).ravel() for name, step in steps.items()}
for name, z in scaled.items():
    quartiles = np.quantile(z, [0.25, 0.75])
    print(f"{name:18} quartiles {quartiles.round(2)}, largest {z.max():.2f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
z = np.linspace(-12, 12, 500)
left.plot(z, z, "0.6", linestyle=":", label="not clipped")
for clip in (1, 3, 5):
    left.plot(z, z / np.sqrt(1 + (z / clip) ** 2), label=f"clip={clip}")
left.set(
    xlabel="distance from the median in interquartile ranges", ylim=(-6, 6), ylabel="z"
)
left.legend(frameon=False)
jitter = np.random.default_rng(0).uniform(-0.25, 0.25, size=len(area))
for line, values in enumerate(scaled.values()):
    right.scatter(values, line + jitter, s=5, alpha=0.4)
right.set(yticks=range(3), yticklabels=scaled, xlabel="area error", ylim=(2.5, -0.5))
plt.show()

# %%
# Steps
# -----
# The target depends on one feature, with two steps and a bend. Left: the encoding of
# the feature with quantile bins. Each encoded feature is 0 below its bin, 1 above it,
# and linear within it. Right: the predictions of the same network, trained on 400 noisy
# samples with and without the encoding. Steps require large weights, which training
# reaches slowly. The splits of a tree are located where the target changes. The errors
# are root mean squares.
rng = np.random.default_rng(0)


def target(x):
    return np.where(x < -1, 1.0, 0.0) + np.where(x > 1, 1.5 - 0.5 * (x - 1), 0.0)


x = np.sort(rng.normal(size=400))[:, None]
y = target(x[:, 0]) + rng.normal(scale=0.1, size=400)
grid = np.linspace(-2.5, 2.5, 1000)[:, None]
encoders = {
    "the feature alone": [],
    "quantile bins": [PiecewiseLinearEncoder()],
    "tree bins": [PiecewiseLinearEncoder(bins="tree")],
}

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
bare = PiecewiseLinearEncoder(5, keep_inputs=False, scale=None).fit(x)
for t, encoded in enumerate(bare.transform(grid).T, start=1):
    left.plot(grid, encoded, label=f"bin {t}")
for edge in bare.bin_edges_[0]:
    left.axvline(edge, color="0.8", linewidth=0.8, zorder=0)
left.set(xlabel="feature", ylabel="encoded feature", xlim=(-2.5, 2.5))
left.legend(
    frameon=False,
    fontsize="small",
    loc="lower center",
    bbox_to_anchor=(0.5, 1),
    ncols=3,
)
right.scatter(x, y, s=5, color="0.75")
for name, encoder in encoders.items():
    network = MLPRegressor(max_iter=50, random_state=0)
    model = make_pipeline(Standardizer(), *encoder, network).fit(x, y)
    error = np.sqrt(np.mean((model.predict(grid) - target(grid[:, 0])) ** 2))
    right.plot(grid, model.predict(grid), label=f"{name}: error {error:.2f}")
right.set(xlabel="feature", ylabel="target", xlim=(-2.5, 2.5), ylim=(-0.4, 2.6))
right.legend(frameon=False, fontsize="small", loc="upper center")
plt.show()
