"""
============================================
Batch norm forgives a bad initialisation
============================================

Six layers of ReLU units, started from gaussian weights of several sizes. Too small, and
no signal arrives; too large, and it explodes. Batch norm scales every unit's input to
variance one whatever the weights are, so that the starts train nearly alike. The
largest stays behind: the output layer has no batch norm, and its weights start as
large.
"""

# %%
# The loss of every epoch without and with batch norm, in the same colour for the same
# start. The dashed line is the loss of a network that knows nothing, ``ln 10``.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sknn_notes import MLPClassifier, Standardizer
from sknn_notes.initializers import Normal

# A fixed number of epochs is wanted here, not convergence.
warnings.filterwarnings("ignore", category=ConvergenceWarning)

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
scaler = Standardizer().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)

figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
scales = (0.01, 0.05, 0.2, 1.0)
colors = plt.colormaps["viridis"](np.linspace(0.0, 0.9, len(scales)))
for batch_norm, ax in zip((False, True), axes, strict=True):
    for std, color in zip(scales, colors, strict=True):
        model = MLPClassifier(
            hidden_layer_sizes=50,
            n_hidden_layers=6,
            init=Normal(std=std),
            batch_norm=batch_norm,
            learning_rate_init=0.002,
            max_iter=40,
            n_iter_no_change=np.inf,
            random_state=0,
        ).fit(X_train, y_train)
        accuracy = model.score(X_test, y_test)
        ax.semilogy(
            model.loss_curve_,
            color=color,
            linewidth=2,
            label=f"std {std:g}: test accuracy {accuracy:.2f}",
        )
    ax.axhline(np.log(10), color="0.5", linestyle="--", linewidth=1)
    ax.set(
        title="with batch norm" if batch_norm else "without batch norm", xlabel="epoch"
    )
    ax.legend(fontsize=8)
axes[0].set_ylabel("training loss")
plt.show()
