"""
===================================
A network that will not learn: why?
===================================

Most trainings that fail were bound to before their first epoch. ``sanity_check`` looks
for the usual reasons within a second or two and says what to change; a look at the
units then shows what it talked about.
"""

# %%
# The digits, as they come, and a network put together without much thought: two layers
# of ReLU units, whose weights are drawn from a standard normal law.
import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, Standardizer
from sknn_notes.initializers import Normal
from sknn_notes.inspection import (
    ActivationsDisplay,
    UpdateRatioDisplay,
    sanity_check,
)

# A fixed, small number of epochs.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)

careless = MLPClassifier(
    hidden_layer_sizes=(100, 100),
    init=Normal(std=1.0),
    solver="sgd",
    learning_rate_init=0.003,
    max_iter=30,
    random_state=0,
)
careless.fit(X, y)
print(f"test accuracy {careless.score(X_test, y_test):.3f}")

# %%
# What is wrong?
# --------------
# Guessing would give one in ten. The report goes from the data to the training, and so
# does the cure: what fails further down is often the consequence of what fails first.
# The loss and its gradient are right. But the inputs are large, and so are the weights:
# the first loss is more than a thousand times what guessing costs, and the first steps
# that follow from it throw the weights so far that most units never come back.
print(sanity_check(careless, X, y))

# %%
# Mended
# ------
# A scaler goes in front, in one pipeline, and the initializer back to its default. The
# learning rate, which a look at the accuracy alone might have blamed, stays.
careful = make_pipeline(
    Standardizer(),
    MLPClassifier(
        hidden_layer_sizes=(100, 100),
        solver="sgd",
        learning_rate_init=0.003,
        max_iter=30,
        random_state=0,
    ),
)
print(sanity_check(careful, X, y))

# %%
careful.fit(X, y)
print(f"test accuracy {careful.score(X_test, y_test):.3f}")

# %%
# What the units say
# ------------------
# The first row of panels is what the units of each layer put out over 300 digits, the
# second the gradients that come back to them. A ReLU unit that is off for a digit
# passes no gradient; one that is off for all of them is dead. In the careless network
# that is nearly every unit of the first layer, so that the second sees next to nothing
# of the digits.
ActivationsDisplay.from_estimator(careless, X[:300], y[:300])
plt.show()

# %%
# In the careful one half of the outputs are 0, as they should be behind ReLU, hardly a
# unit is dead, and the gradients of the two layers are of one size.
ActivationsDisplay.from_estimator(careful, X[:300], y[:300])
plt.show()

# %%
# How large is a step?
# --------------------
# A step should change the weights by about a thousandth of their size. That is true of
# the network in the middle; a tenth of its learning rate wastes epochs, and ten times
# as much makes steps of up to three percent until the gradient has become small.
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True, layout="constrained")
for ax, rate in zip(axes, [0.0003, 0.003, 0.03], strict=True):
    careful.set_params(mlpclassifier__learning_rate_init=rate)
    UpdateRatioDisplay.from_estimator(careful, X, y, n_epochs=12, ax=ax)
    ax.set_title(f"learning_rate_init={rate}")
for ax in axes[1:]:
    ax.set_ylabel("")
    ax.get_legend().remove()
plt.show()
