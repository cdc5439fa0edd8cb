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
from sknn_notes.schedules import (
    Cosine,
    Exponential,
    FlatCosine,
    InverseTime,
    InvScaling,
    OneCycle,
    Progress,
    Step,
)

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
# On the right are those that plan over all of training, and a warmup of five epochs,
# which every schedule can have.
N_STEPS = 20
epochs = np.arange(N_EPOCHS * N_STEPS) / N_STEPS
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, schedules in zip(
    axes,
    (
        (Step(step_size=10, gamma=0.5), Exponential(), InverseTime(), InvScaling()),
        (Cosine(), FlatCosine(), OneCycle(), Cosine(warmup=5)),
    ),
    strict=True,
):
    for schedule, style in zip(schedules, ("-", "--", "-.", ":"), strict=True):
        rates = [
            schedule.rates(
                1.0,
                Progress(
                    epoch=epoch,
                    n_steps=N_STEPS,
                    n_seen=epoch * len(X_train),
                    max_iter=N_EPOCHS,
                ),
            )
            for epoch in range(N_EPOCHS)
        ]
        ax.plot(epochs, np.ravel(rates), style, linewidth=2, label=str(schedule))
    ax.set(xlabel="epoch")
    ax.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
axes[0].set(ylabel="share of learning_rate_init")
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
