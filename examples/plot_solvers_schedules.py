"""
===================================
Solvers and schedules, side by side
===================================

Which way the weights go is the solver's business; how far, the schedule's. Every
schedule goes with every stochastic solver.
"""

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sknn_notes import MLPClassifier
from sknn_notes.schedules import Cosine, Exponential, InverseTime, InvScaling, Step

# A fixed number of epochs is wanted here, not convergence.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
N_EPOCHS = 40

# %%
# A schedule holds no state: it is a function of the epoch and of the samples seen, and
# can be drawn as one. ``"adaptive"`` is left out, since it depends on the training.
# ``"invscaling"`` counts samples, and has lost most of the rate after a single epoch.
epochs = np.arange(N_EPOCHS)
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for schedule, style in (
    (Step(step_size=10, gamma=0.5), "-"),
    (Exponential(), "--"),
    (InverseTime(), "-."),
    (Cosine(), ":"),
    (InvScaling(), "-"),
):
    rates = [
        schedule.rate(
            1.0, epoch=e, n_seen=e * len(X_train), n_plateaus=0, max_iter=N_EPOCHS
        )
        for e in range(N_EPOCHS)
    ]
    for ax in axes:
        ax.plot(epochs, rates, style, linewidth=2, label=str(schedule))
axes[0].set(xlabel="epoch", ylabel="share of learning_rate_init")
axes[1].set(xlabel="epoch", ylabel="the same, logarithmic", yscale="log")
axes[0].legend(fontsize=9)
plt.show()

# %%
# Four solvers from the same weights, each at a learning rate that suits it. Gradient
# descent takes a far larger one than Adam: it multiplies the gradient, while Adam and
# RMSProp divide that by its own size first. The cosine takes the rate to zero, so that
# the curves end smooth and flat; on this easy task a constant rate would have gone on.
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, learning_rate in zip(axes, ("constant", "cosine"), strict=True):
    for solver, rate, style in (
        ("sgd", 0.1, "-."),
        ("rmsprop", 0.003, ":"),
        ("adam", 0.003, "-"),
        ("adamw", 0.003, "--"),
    ):
        model = MLPClassifier(
            solver=solver,
            learning_rate=learning_rate,
            learning_rate_init=rate,
            batch_size=50,
            max_iter=N_EPOCHS,
            n_iter_no_change=N_EPOCHS,
            random_state=0,
        ).fit(X_train, y_train)
        label = f"{solver} {rate}, test accuracy {model.score(X_test, y_test):.3f}"
        ax.plot(model.loss_curve_, style, linewidth=2, label=label)
    ax.set(xlabel="epoch", title=f'learning_rate="{learning_rate}"', yscale="log")
    ax.legend(fontsize=9)
axes[0].set(ylabel="training loss, penalty included")
plt.show()
