"""
======================================
Comparison of optimizers and schedules
======================================

The optimizer computes the direction of a step, and the schedule scales its length.
Every schedule can be combined with every stochastic optimizer.
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

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
N_EPOCHS = 40

# %%
# A schedule is a function of the epoch and of the number of samples seen.
# ``"adaptive"`` is not shown, since it depends on the training loss. ``"invscaling"``
# counts samples, and falls to a small fraction of the rate within the first epoch. The
# panel on the right shows schedules that depend on the number of epochs, and a warmup
# of five epochs, which is available for every schedule.
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
axes[0].set(ylabel="rate / learning_rate_init")
plt.show()

# %%
# The four optimizers start from the same weights, each with a suitable learning rate.
# That of gradient descent is far larger than that of Adam: it is multiplied with the
# gradient, while Adam and RMSProp first divide the gradient by its size. With the
# cosine schedule the rate falls to zero, so that the curves end smooth and flat; on
# this easy task, the loss with a constant rate would continue to fall.
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
