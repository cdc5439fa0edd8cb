"""
==================================
The group lasso drops whole inputs
==================================

L1 decides about every weight on its own. The group lasso decides about all weights of
an input at once: an input that does not help loses every connection. Here each digit
stands in a wide frame of random pixels, which say nothing about it.
"""

# %%
# Digits of 8 x 8 pixels in the middle of 12 x 12: 80 of the 144 inputs are noise.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sknn_notes import MLPClassifier

# A fixed number of epochs for every network, whether or not it could go on.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
digits, y = load_digits(return_X_y=True)
inner = np.zeros((12, 12), dtype=bool)
inner[2:10, 2:10] = True
noise = ~inner.ravel()
X = np.random.default_rng(0).uniform(size=(len(digits), 12, 12)).astype(np.float32)
X[:, inner] = digits / 16
X_train, X_test, y_train, y_test = train_test_split(
    X.reshape(-1, 144), y, test_size=0.4, stratify=y, random_state=0
)


def train(penalty, alpha):
    model = MLPClassifier(
        hidden_layer_sizes=24,
        penalty=penalty,
        alpha=alpha,
        batch_size=100,
        learning_rate="flat_cosine",
        learning_rate_init=0.005,
        max_iter=100,
        n_iter_no_change=np.inf,
        random_state=0,
    )
    return model.fit(X_train, y_train)


def lengths(model):
    """Return the length of the weights that leave each input."""
    return np.linalg.norm(model.coefs_[0], axis=1)


# %%
# Along alpha
# -----------
# An input is dropped where all its 24 weights are exactly zero. Under L2 that happens
# to pixels that are blank in every image, and to no noise. L1 has to remove the weights
# of a noisy pixel one by one: where it has removed them all, it has also shrunk the
# weights that the digits need, and accuracy is lost. The group lasso removes all of the
# noise and is as accurate there as L2 at its best. It predicts best at a smaller
# strength, where the frame is quiet but still connected. Too strong a penalty that
# gives zeros removes everything, and its curve leaves the picture.
alphas = np.logspace(-4, -1.5, 11)
penalties = {"l2": ("C0", "o"), "l1": ("C2", "^"), "group_lasso": ("C3", "s")}
models = {penalty: [train(penalty, alpha) for alpha in alphas] for penalty in penalties}

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
for penalty, (color, marker) in penalties.items():
    dropped = [np.mean(lengths(model)[noise] == 0) for model in models[penalty]]
    scores = [model.score(X_test, y_test) for model in models[penalty]]
    left.semilogx(alphas, dropped, color=color, marker=marker, label=penalty)
    right.semilogx(alphas, scores, color=color, marker=marker, label=penalty)
left.set(xlabel="alpha", ylabel="share of the noisy inputs that are dropped")
right.set(xlabel="alpha", ylabel="test accuracy", ylim=(0.85, 1))
left.legend()
right.legend()
plt.show()

# %%
# What is left
# ------------
# For L1 and the group lasso the smallest strength that drops all but a few of the noisy
# pixels; for L2 the one of the best accuracy. Each picture is the image of the inputs:
# the length of a pixel's weights, gray where all of them are zero.
figure, axes = plt.subplots(1, 3, figsize=(9.5, 4.1), layout="constrained")
for ax, penalty in zip(axes, penalties, strict=True):
    scores = [model.score(X_test, y_test) for model in models[penalty]]
    dropped = [np.mean(lengths(model)[noise] == 0) for model in models[penalty]]
    chosen = np.argmax(scores if penalty == "l2" else np.array(dropped) > 0.95)
    image = lengths(models[penalty][chosen])
    image = np.where(image == 0, np.nan, image).reshape(12, 12)
    ax.set_facecolor("0.85")
    ax.imshow(image, cmap="Blues", vmin=0)
    ax.set(xticks=[], yticks=[])
    ax.set_title(
        f"{penalty}, alpha={alphas[chosen]:.2g}\n{dropped[chosen]:.0%} of the noise "
        f"dropped\naccuracy {scores[chosen]:.3f}",
        fontsize="medium",
    )
plt.show()
