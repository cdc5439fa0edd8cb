"""
==================================
Batch norm rescues a bad beginning
==================================

How large the first weights are decides whether a deep network trains at all. Batch norm
takes the decision away from them: it gives every unit a mean of zero and a variance of
one over the batch, whatever the scale of its weights. Here the same network starts from
weights that are far too small, right, and far too large, with and without it.
"""

# %%
# The digits, standardized, and a network of six hidden layers. The initializer
# ``Normal(std=...)`` draws all weights with one standard deviation; for these layers
# He's rule asks for the one that is called right below. There are as many units in
# every layer as there are pixels, so that it is right for all hidden layers.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sknn_notes import MLPClassifier, Standardizer
from sknn_notes.initializers import HeNormal, Normal

# A fixed number of epochs is wanted here, not convergence.
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
# The way down
# ------------
# A line is one seed. From far too small weights the plain network does not leave the
# loss of chance: nothing arrives at the output, and the gradient is as small on its way
# back. From too large ones it starts with a loss that is huge, since every layer has
# multiplied the signal, and spends its epochs on coming down. With batch norm the
# curves of small weights are those of right ones. They end higher than the plain
# network at its best: the statistics of a batch change from step to step, and this
# noise keeps it from learning the digits by heart.
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
# Where they end
# --------------
# The line is the mean over the seeds, the dots are the seeds. Without batch norm the
# window of scales that train well is narrow. With it all scales below the right one are
# as good as the right one.
#
# Those far above are not, and for two reasons. Nothing normalizes behind the output
# layer, so that its own large weights still make large mistakes at first. And a step of
# a given size turns large weights by less: where batch norm makes only the direction of
# a unit's weights count, longer ones need more steps to turn. So batch norm opens the
# window to one side, and to start small with it is the safe side.
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
    xlabel="scale of the first weights, in units of the right one",
    ylabel="test accuracy",
    ylim=(0, 1.03),
)
ax.legend()
plt.show()
