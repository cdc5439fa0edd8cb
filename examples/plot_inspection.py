"""
=============================
Displays of a trained network
=============================

A score measures how well a network predicts, but does not show how it works. The
displays of ``sknn_notes.inspection`` show the training, the weights, the effect of a
penalty, and the uncertainty of predictions.
"""

# %%
# The network is trained on the digits with dropout and early stopping.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sknn_notes import MLPClassifier, MLPRegressor, Whitener
from sknn_notes.inspection import (
    RegularizationPathDisplay,
    TrainingCurveDisplay,
    UncertaintyDisplay,
    WeightsDisplay,
)

# The networks of a path train for a fixed number of epochs.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)

model = MLPClassifier(
    hidden_layer_sizes=36,
    dropout=0.2,
    alpha=0.003,
    learning_rate_init=0.01,
    early_stopping=True,
    random_state=0,
)
model.fit(X, y)
print(f"test accuracy {model.score(X_test, y_test):.3f}")

# %%
# Learning curves
# ---------------
# Training continued for some epochs after the best one, and then restored the weights
# of the best epoch. The training loss includes the noise of dropout and the penalty,
# and is therefore larger than the validation loss. The training loss of a network
# without them, on the same axes, is smaller.
display = TrainingCurveDisplay.from_estimator(model, name="regularized")
plain = clone(model).set_params(dropout=0.0, alpha=0.0).fit(X, y)
TrainingCurveDisplay.from_estimator(plain, name="plain", ax=display.axes_)
plt.show()

# %%
# Weights
# -------
# The inputs are pixels, so that the incoming weights of a hidden unit can be shown as
# an image: the unit responds to strokes in red regions, and to their absence in blue
# regions. At the border, where no digit has ink, the penalty has reduced the weights to
# nearly zero.
WeightsDisplay.from_estimator(model)
plt.show()

# %%
# The same display shows the filters of a whitener. Those of ZCA take a pixel and
# subtract the part that its neighbors predict.
whitener = Whitener(method="zca", eps=0.05).fit(X)
WeightsDisplay.from_estimator(whitener, units=range(18, 43))
plt.show()

# %%
# Regularization path
# -------------------
# L1 sets weights to exactly 0. The panels show, from left to right, the scores on the
# training data and on the held-out data, the norm of the weights, and the share of
# zeros, against ``alpha``. More than half of the weights can be zero without a loss of
# accuracy.
lasso = MLPClassifier(
    hidden_layer_sizes=36,
    penalty="l1",
    learning_rate_init=0.01,
    max_iter=40,
    random_state=0,
)
RegularizationPathDisplay.from_estimator(
    lasso, X, y, alphas=np.logspace(-5, -1, 7), cv=3
)
plt.show()

# %%
# Uncertainty
# -----------
# Each of 30 passes drops different units. The figure shows three test digits. The
# passes agree on the first one; on the other two, which have the largest spread, they
# disagree.
spread = model.predict_spread(X_test).max(axis=1)
chosen = np.argsort(spread)[[0, -2, -1]]
figure, axes = plt.subplots(
    2, 3, figsize=(9, 5.2), layout="constrained", height_ratios=[1, 2]
)
for i, row in enumerate(chosen):
    axes[0, i].imshow(X_test[row].reshape(8, 8), cmap="gray_r")
    axes[0, i].set_title(f"a {y_test[row]}")
    axes[0, i].set_axis_off()
    UncertaintyDisplay.from_estimator(model, X_test[[row]], ax=axes[1, i])
    axes[1, i].set_ylim(-0.1, 1.1)
plt.show()

# %%
# With one feature, the display shows a band. It widens where there are no training
# points.
rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-3, -1, 60), rng.uniform(1, 3, 60)])[:, None]
target = np.sin(1.5 * x[:, 0]) + rng.normal(scale=0.1, size=120)
curve = MLPRegressor(
    hidden_layer_sizes=(100, 100),
    dropout=0.1,
    learning_rate_init=0.005,
    max_iter=400,
    n_iter_no_change=np.inf,
    random_state=0,
).fit(x, target)
display = UncertaintyDisplay.from_estimator(curve, np.linspace(-5, 5, 200)[:, None])
display.ax_.plot(x, target, "o", color="C2", markersize=3)
plt.show()
