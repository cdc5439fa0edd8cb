"""
===================================================
Batch norm makes a network robust to initialization
===================================================

The scale of the initial weights determines whether a deep network can be trained. Batch
norm removes this dependence: it gives every unit mean zero and variance one over the
batch, whatever the scale of its weights. This example trains the same network with
initial weights that are far too small, suitable and far too large, with and without
batch norm.
"""

# %%
# The data are the standardized digits, and the network has six hidden layers. The
# initializer ``Normal(std=...)`` draws all weights with the same standard deviation.
# The one called "right" below is that of He's initialization. Every layer has as many
# units as there are pixels, so that it is the same for all hidden layers.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sknn_notes import MLPClassifier, Standardizer
from sknn_notes.initializers import HeNormal, Normal

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, stratify=y, test_size=0.3, random_state=0
)
scaler = Standardizer().fit(X_train)
X_train = scaler.transform(X_train).astype(np.float32)
X_test = scaler.transform(X_test).astype(np.float32)
width, depth, n_epochs = X.shape[1], 6, 30
right = HeNormal().variance(width, width) ** 0.5
factors = [0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0]


def train(std, batch_norm, seed):
    return MLPClassifier(
        hidden_layer_sizes=width,
        n_hidden_layers=depth,
        init=Normal(std=std),
        batch_norm=batch_norm,
        penalty=None,
        batch_size=50,
        learning_rate_init=0.001,
        max_iter=n_epochs,
        n_iter_no_change=np.inf,
        random_state=seed,
    ).fit(X_train, y_train)


seeds = range(3)
models = {
    (factor, batch_norm): [train(factor * right, batch_norm, seed) for seed in seeds]
    for factor in factors
    for batch_norm in (False, True)
}
print(f"right: standard deviation {right:.3f}, by He's rule")

# %%
# Training loss
# -------------
# Each line is one seed. If the weights are far too small, the loss of the plain network
# stays at the level of chance: the signal vanishes, and so does the gradient. If they
# are too large, the initial loss is huge, since every layer amplifies the signal, and
# the network spends its epochs on reducing it. With batch norm the curves for small
# weights are the same as for suitable ones. They end higher than the best curves of the
# plain network: the statistics of a batch change from step to step, and this noise
# prevents overfitting.
shown = [0.01, 0.2, 1.0, 5.0]
figure, axes = plt.subplots(
    1, len(shown), figsize=(10.5, 3.6), sharey=True, layout="constrained"
)
styles = {False: ("C0", "-", "without"), True: ("C2", "--", "with batch norm")}
epochs = np.arange(1, n_epochs + 1)
for ax, factor in zip(axes, shown, strict=True):
    ax.axhline(np.log(10), color="0.5", linestyle=":", label="chance")
    for batch_norm, (color, line, label) in styles.items():
        curves = [model.loss_curve_ for model in models[factor, batch_norm]]
        lines = ax.semilogy(epochs, np.transpose(curves), line, color=color)
        lines[0].set_label(label)
    ax.set(xlabel="epoch", title=f"{factor:g} × the right scale")
axes[0].set_ylabel("training loss")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# Test accuracy
# -------------
# The lines are means over the seeds, the dots single seeds. Without batch norm, only a
# narrow range of scales trains well. With batch norm, all scales below the right one
# are as good as the right one.
#
# Scales far above it are not, for two reasons. The output layer is not normalized, so
# that its large weights still cause a large loss at first. And with batch norm only the
# direction of a unit's weights matters, which a step of a given size changes less if
# the weights are large. With batch norm, small initial weights are therefore the safe
# choice.
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for batch_norm, (color, line, label) in styles.items():
    scores = np.array(
        [
            [model.score(X_test, y_test) for model in models[factor, batch_norm]]
            for factor in factors
        ]
    )
    ax.semilogx(
        factors, scores.mean(axis=1), line, color=color, marker="o", label=label
    )
    ax.plot(factors, scores, ".", color=color, alpha=0.5)
ax.axvline(1, color="0.5", linestyle=":", zorder=0)
ax.set(
    xlabel="scale of the initial weights relative to the right one",
    ylabel="test accuracy",
    ylim=(0, 1.03),
)
ax.legend()
plt.show()
