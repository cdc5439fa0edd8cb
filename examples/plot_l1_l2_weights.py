"""
======================================================
First-layer weights under L2 and L1, with noisy pixels
======================================================

L2 makes all weights small; L1 makes most of them exactly zero. In this example each
digit is surrounded by a wide frame of random pixels, which contain no information about
it. It shows which penalty removes their weights.
"""

# %%
# The digits of 8 x 8 pixels are in the middle of 12 x 12 pixels: more than half of the
# inputs are noise. The pixels are not standardized, so that the noise has the same
# range as the digits.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sknn_notes import MLPClassifier

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
digits, y = load_digits(return_X_y=True)
digits = digits.reshape(-1, 8, 8) / 16
inner = np.zeros((12, 12), dtype=bool)
inner[2:10, 2:10] = True
pixels = inner.ravel()


def framed(digits, loudness, seed):
    """Surround the digits with uniform noise between 0 and ``loudness``."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, loudness, (len(digits), 12, 12)).astype(np.float32)
    images[:, inner] = digits.reshape(-1, 64)
    return images.reshape(-1, 144)


digits_train, digits_held_out, y_train, y_held_out = train_test_split(
    digits, y, test_size=0.4, stratify=y, random_state=0
)
X_train = framed(digits_train, 1, seed=0)
X_held_out = framed(digits_held_out, 1, seed=1)


def train(penalty, alpha):
    model = MLPClassifier(
        hidden_layer_sizes=24,
        penalty=penalty,
        alpha=alpha,
        batch_size=100,
        learning_rate_init=0.005,
        max_iter=100,
        n_iter_no_change=np.inf,
        random_state=0,
    )
    return model.fit(X_train, y_train)


# %%
# Effect of alpha
# ---------------
# With L2 no weight is exactly zero: weights shrink in proportion to their size. L1 and
# the elastic net, a mixture of L1 and L2, set more and more weights to zero. With a
# small ``alpha`` these are the weights of unused units and of the corners of the
# digits, where there is hardly any ink. With a larger ``alpha`` the noise is removed
# before the digit. The accuracy on held-out digits, in frames with different noise, is
# best for a value in between, and its maximum is higher with L1 and the elastic net
# than with L2. If ``alpha`` is too large, L1 removes all weights: the network only
# guesses, and the curve leaves the axes.
alphas = np.logspace(-4, -1, 9)
models = {
    penalty: [train(penalty, alpha) for alpha in alphas]
    for penalty in ["l2", "elasticnet", "l1"]
}

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
styles = {"l2": ("C0", "o"), "elasticnet": ("C1", "s"), "l1": ("C2", "^")}
for penalty, (color, marker) in styles.items():
    first = [model.coefs_[0] for model in models[penalty]]
    for name, part, line in [("noise", ~pixels, "-"), ("digit", pixels, "--")]:
        left.semilogx(
            alphas,
            [np.mean(W[part] == 0) for W in first],
            line,
            color=color,
            marker=marker,
            label=f"{penalty}, {name} pixels",
        )
    right.semilogx(
        alphas,
        [model.score(X_held_out, y_held_out) for model in models[penalty]],
        color=color,
        marker=marker,
        label=penalty,
    )
left.set(xlabel="alpha", ylabel="share of first-layer weights that are exactly 0")
left.legend(fontsize="small")
right.set(xlabel="alpha", ylabel="accuracy on held-out digits", ylim=(0.78, 1))
right.legend()
plt.show()

# %%
# The weights as images
# ---------------------
# For each penalty, ``alpha`` is at or near the best value. Each tile shows the incoming
# weights of a hidden unit: negative weights in purple, positive ones in orange, and
# zeros in gray. The inner square is the digit. With L2 every pixel has a weight,
# including the noise; the blank tiles are inactive units, whose weights are small but
# not zero. With L1, most of the frame and some units have no weights, and the other
# units use a sparse subset of the pixels of the digit.
#
# On the right, the noise of the held-out digits has a larger range than in training.
# Inputs without weights have no influence: the accuracy decreases least with L1 and
# most with L2, with the elastic net in between.
chosen = {"l2": 5, "elasticnet": 4, "l1": 4}


def mosaic(W, n_columns=4):
    """Tile the weights of the units, sorted by norm, with exact zeros masked."""
    W = W[:, np.argsort(-np.linalg.norm(W, axis=0), kind="stable")]
    n_rows = W.shape[1] // n_columns
    tiles = np.full((13 * n_rows - 1, 13 * n_columns - 1), np.nan)
    for unit, weights in enumerate(W.T):
        row, column = divmod(unit, n_columns)
        tile = np.where(weights == 0, np.inf, weights).reshape(12, 12)
        tiles[13 * row : 13 * row + 12, 13 * column : 13 * column + 12] = tile
    return tiles


figure, axes = plt.subplots(
    1, 3, figsize=(10, 5), layout="constrained", width_ratios=[1, 1, 1.25]
)
for ax, penalty in zip(axes, ["l2", "l1"], strict=False):
    W = models[penalty][chosen[penalty]].coefs_[0]
    tiles = mosaic(W)
    largest = np.quantile(np.abs(W[W != 0]), 0.98)
    ax.imshow(np.where(np.isinf(tiles), 0.0, np.nan), cmap="Greys", vmin=-1, vmax=2)
    visible = np.where(np.isinf(tiles), np.nan, tiles)
    ax.imshow(visible, cmap="PuOr_r", vmin=-largest, vmax=largest)
    ax.set_axis_off()
    alpha = alphas[chosen[penalty]]
    ax.set_title(f"{penalty}, alpha={alpha:.2g}\n{np.mean(W == 0):.0%} exact zeros")

loudness = np.linspace(0, 8, 9)
for penalty, (color, marker) in styles.items():
    model = models[penalty][chosen[penalty]]
    axes[2].plot(
        loudness,
        [
            model.score(framed(digits_held_out, loud, seed=2), y_held_out)
            for loud in loudness
        ],
        color=color,
        marker=marker,
        label=f"{penalty}, alpha={alphas[chosen[penalty]]:.2g}",
    )
axes[2].axvline(1, color="0.6", linewidth=1, zorder=0)
axes[2].annotate(
    "as in training", (1, 0.02), (4, 0), textcoords="offset points", color="0.35"
)
axes[2].set(
    xlabel="largest value of a noisy pixel",
    ylabel="accuracy on held-out digits",
    ylim=(0, 1),
)
axes[2].legend(loc="lower left", bbox_to_anchor=(0, 0.07))
plt.show()
