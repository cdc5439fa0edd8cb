"""
=====================================
The effect of each preprocessing step
=====================================

This example shows the same cloud of points after each step. Centering moves it to the
origin, standardization gives both axes unit variance, decorrelation rotates it so that
its principal axes are the coordinate axes, and whitening gives it unit variance in
every direction.
"""

# %%
# A correlated cloud far from the origin, whose features have different units.
import matplotlib.pyplot as plt
import numpy as np

from sknn_notes import Centerer, Standardizer, Whitener

rng = np.random.default_rng(0)
covariance = [[4.0, 1.5], [1.5, 0.9]]
X = rng.multivariate_normal([4.0, 2.0], covariance, size=400)
# The angle around the mean shows where each point goes.
angle = np.arctan2(*(X - X.mean(axis=0)).T)


def show(panels):
    """Draw point clouds side by side on the same scale."""
    _, axes = plt.subplots(
        1, len(panels), figsize=(3.1 * len(panels), 3), layout="constrained"
    )
    for ax, (title, Z) in zip(axes, panels.items(), strict=True):
        ax.axhline(0, color="0.8", linewidth=1, zorder=0)
        ax.axvline(0, color="0.8", linewidth=1, zorder=0)
        ax.scatter(*Z.T, c=angle, cmap="hsv", s=7)
        ax.set(title=title, xlim=(-6, 11), ylim=(-6, 7.5), aspect="equal")


# %%
# Original, zero-centered, normalized
# -----------------------------------
# None of these steps rotates the cloud: the features remain correlated.
centered = Centerer().fit_transform(X)
normalized = Standardizer().fit_transform(X)
show(
    {
        "original data": X,
        "zero-centered": centered,
        "normalized": normalized,
    }
)

# %%
# Original, decorrelated, whitened
# --------------------------------
# PCA rotates the principal axes of the cloud to the coordinate axes and preserves its
# variances. Whitening divides by the *square roots* of the eigenvalues.
decorrelated = Whitener("pca", whiten=False).fit_transform(X)
whitened = Whitener("pca").fit_transform(X)
zca = Whitener("zca").fit_transform(X)
show(
    {
        "original data": X,
        "decorrelated (PCA)": decorrelated,
        "whitened (PCA)": whitened,
        "whitened (ZCA)": zca,
    }
)

# %%
# The covariance of both whitened clouds is the identity: they differ by a rotation. ZCA
# moves the points as little as possible, so that the colors of its cloud are arranged
# as in the original.
steps = {
    "zero-centered": centered,
    "normalized": normalized,
    "decorrelated": decorrelated,
    "whitened (PCA)": whitened,
    "whitened (ZCA)": zca,
}
for name, Z in steps.items():
    distance = np.sqrt(np.mean(np.sum((Z - centered) ** 2, axis=1)))
    rows = np.round(Z.T @ Z / len(Z), 3) + 0.0
    print(f"{name:15} covariance {rows.tolist()}, moved by {distance:.2f}")
