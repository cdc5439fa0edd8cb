"""
=========================================
Residual connections train a deep network
=========================================

A residual connection adds the input of a hidden layer to its output, so that the signal
and the gradient can bypass the layer. This example trains networks with up to forty
hidden layers, with and without residual connections and layer norm.
"""

# %%
# The networks have 32 ReLU units in every hidden layer. They only differ in their
# depth, and in the use of residual connections and layer norm.
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
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)

N_EPOCHS, DEPTHS, SEEDS = 30, [2, 5, 10, 20, 40], range(3)
CHOICES = {
    "neither": {},
    "layer_norm": {"layer_norm": True},
    "residual": {"residual": True},
    "residual and layer_norm": {"residual": True, "layer_norm": True},
}
STYLES = {
    "neither": ("C0", "o"),
    "layer_norm": ("C1", "s"),
    "residual": ("C2", "^"),
    "residual and layer_norm": ("C3", "D"),
}


def train(depth, choice, seed):
    return MLPClassifier(
        hidden_layer_sizes=32,
        n_hidden_layers=depth,
        max_iter=N_EPOCHS,
        n_iter_no_change=np.inf,
        random_state=seed,
        **CHOICES[choice],
    ).fit(X_train, y_train)


models = {
    (depth, choice): [train(depth, choice, seed) for seed in SEEDS]
    for depth in DEPTHS
    for choice in CHOICES
}

# %%
# Left: the training loss with forty hidden layers, one line per seed. Right: the
# accuracy against the depth, means over the seeds. The deeper the plain network is, the
# more slowly it learns. Layer norm alone preserves the scale of the signal, but the
# gradient still has to pass through every layer.
#
# Residual connections alone help with up to ten layers and fail with twenty or more:
# every sum increases the signal, so that with forty layers the first loss is above a
# million, far outside of the axes. Layer norm bounds the output of each layer, and with
# both the network trains at every depth.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for choice, (color, marker) in STYLES.items():
    curves = [model.loss_curve_ for model in models[DEPTHS[-1], choice]]
    lines = left.semilogy(np.arange(1, N_EPOCHS + 1), np.transpose(curves), color=color)
    lines[0].set_label(choice)
    scores = np.array(
        [[m.score(X_test, y_test) for m in models[depth, choice]] for depth in DEPTHS]
    )
    right.semilogx(DEPTHS, scores.mean(axis=1), color=color, marker=marker)
    right.plot(DEPTHS, scores, ".", color=color, alpha=0.5)
left.axhline(np.log(10), color="0.5", linestyle=":", label="chance")
left.set(xlabel="epoch", ylabel="training loss", ylim=(0.2, 50))
left.set_title("40 hidden layers; residual alone is off the scale", fontsize="medium")
right.set(xlabel="hidden layers", ylabel="test accuracy", ylim=(0, 1.03))
right.set_xticks(DEPTHS, DEPTHS)
right.minorticks_off()
figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
plt.show()
