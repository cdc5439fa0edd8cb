"""
========================================
Diagnosing a network that does not learn
========================================

If a network does not learn, the cause can often be found before the first epoch.
``sanity_check`` checks for the usual causes within a second or two and recommends
changes. The displays then show the problem in the network.
"""

# %%
# The digits are not scaled, and the network is poorly initialized: it has two layers of
# ReLU units, whose weights are drawn from a standard normal distribution.
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
# The report
# ----------
# Guessing would give an accuracy of 0.1. The report lists the checks from the data to
# the training. Fix the first failure first, since later ones are often its
# consequences. Here the loss and its gradient are correct, but the inputs and the
# weights are large: the first loss is more than a thousand times that of chance, and
# the first steps change the weights so much that most units are dead afterwards.
print(sanity_check(careless, X, y))

# %%
# The corrected network
# ---------------------
# Add a scaler before the network, in a pipeline, and use the default initializer. The
# learning rate, which could also explain the poor accuracy, does not have to be
# changed.
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
# Activations and gradients
# -------------------------
# The first row of panels shows the outputs of the units of each layer for 300 digits,
# the second row their gradients. A ReLU unit that is zero for a digit passes no
# gradient; one that is zero for all of them is dead. In the first network, nearly every
# unit of the first layer is dead, so that the second layer receives almost no
# information about the digits.
ActivationsDisplay.from_estimator(careless, X[:300], y[:300])
plt.show()

# %%
# In the corrected network half of the outputs are 0, as expected with ReLU, hardly any
# unit is dead, and the gradients of both layers have about the same size.
ActivationsDisplay.from_estimator(careful, X[:300], y[:300])
plt.show()

# %%
# The size of the steps
# ---------------------
# A step should change the weights by about a thousandth of their norm. This is the case
# for the learning rate in the middle. With a tenth of it, training takes more epochs
# than necessary. With ten times this rate, steps change the weights by up to three
# percent until the gradient has become small.
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True, layout="constrained")
for ax, rate in zip(axes, [0.0003, 0.003, 0.03], strict=True):
    careful.set_params(mlpclassifier__learning_rate_init=rate)
    UpdateRatioDisplay.from_estimator(careful, X, y, n_epochs=12, ax=ax)
    ax.set_title(f"learning_rate_init={rate}")
for ax in axes[1:]:
    ax.set_ylabel("")
    ax.get_legend().remove()
plt.show()
