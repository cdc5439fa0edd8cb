"""
==================================
The group lasso drops whole inputs
==================================

L1 sets single weights to zero. The group lasso sets all weights of an input to zero at
once: an input that does not improve the loss loses all of its connections. In this
example, each digit is surrounded by a wide frame of random pixels, which contain no
information about it.
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

# Every fit uses a fixed number of epochs, whether or not it has converged.
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
    """Return the norm of the outgoing weights of each input."""
    return np.linalg.norm(model.coefs_[0], axis=1)


# %%
# Effect of alpha
# ---------------
# An input is dropped if all of its 24 weights are exactly zero. With L2 this only
# happens to pixels that are blank in every image, and never to noise. L1 has to remove
# the weights of a noisy pixel one by one: when it has removed all of them, it has also
# shrunk the weights that the digits need, and the accuracy is lower. The group lasso
# removes all of the noise, and is then as accurate as L2 with its best ``alpha``. It
# predicts best with a smaller ``alpha``, where the weights of the frame are small but
# not zero. If ``alpha`` is too large, L1 and the group lasso remove all inputs, and
# their curves leave the axes.
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
# The remaining inputs
# --------------------
# For L1 and the group lasso, ``alpha`` is the smallest value that drops all but a few
# of the noisy pixels; for L2 it is the one with the best accuracy. Each image shows the
# norm of the weights of every pixel, and gray if all of them are zero.
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
