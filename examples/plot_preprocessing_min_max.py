"""
=================================
When to use min-max normalization
=================================

Min-max normalization maps the smallest and the largest training value to the ends of a
range. It suits features that are *bounded*, in different units, and equally important.
It depends on two values, so that it is sensitive to a single outlier. It is unnecessary
if all features have the same unit, like pixels.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sknn_notes import Centerer, MinMaxNormalizer, Standardizer

rng = np.random.default_rng(0)
steps = {
    "centered only": Centerer(),
    "min-max": MinMaxNormalizer(),
    "standardized": Standardizer(),
}


def accuracies(X, y):
    """Return the cross-validated accuracy of nearest neighbors after each step."""
    return {
        name: cross_val_score(
            make_pipeline(step, KNeighborsClassifier()), X, y, cv=5
        ).mean()
        for name, step in steps.items()
    }


# %%
# Suitable: bounded features in different units
# ---------------------------------------------
# The data are a questionnaire with answers from 0 to 1, from 1 to 5 and from 0 to 100
# percent, which are equally informative. Without scaling, only the percentages matter.
# Min-max normalization uses the bounds. Standardization is nearly as good.
n = 600
y = rng.integers(2, size=n)
answers = rng.beta(2 + y[:, None], 3 - y[:, None], size=(n, 3))
questionnaire = np.column_stack(
    [answers[:, 0], np.round(1 + 4 * answers[:, 1]), 100 * answers[:, 2]]
)
results = {"bounded answers": accuracies(questionnaire, y)}

# %%
# Unsuitable: outliers
# --------------------
# The answers are the same, but five respondents typed extra zeros in the second
# question, and five in the third. The outliers now determine the range, all other
# answers are in a small part of it, and these two questions hardly have any influence.
typing = questionnaire.copy()
for j, factor in ((1, 100), (2, 10_000)):
    typing[rng.choice(n, size=5, replace=False), j] *= factor
results["with typing errors"] = accuracies(typing, y)

# %%
# Unnecessary: pixels
# -------------------
# Pixels have the same unit and range. Scaling each of them separately gives pixels in
# the corners, which are rarely lit, the same weight as the strokes.
results["pixels"] = accuracies(*load_digits(return_X_y=True))

for data, scores in results.items():
    row = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
    print(f"{data:18} {row}")

# %%
# Results
# -------
# The figure shows the values of the third question after min-max normalization, and the
# accuracies.
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
places = np.arange(len(results))
for i, name in enumerate(steps):
    heights = [scores[name] for scores in results.values()]
    right.bar(places + 0.27 * (i - 1), heights, width=0.25, label=name)
right.set(
    xticks=places, xticklabels=results, ylabel="cross-validated accuracy", ylim=(0.5, 1)
)
right.legend(frameon=False, loc="upper left")
for line, X in enumerate((questionnaire, typing)):
    Z = MinMaxNormalizer().fit_transform(X)[:, 2]
    jitter = line + rng.uniform(-0.15, 0.15, size=n)
    left.scatter(Z, jitter, s=4, alpha=0.5)
left.set(
    yticks=[0, 1],
    yticklabels=["bounded\nanswers", "with typing\nerrors"],
    xlabel="third question after min-max",
    ylim=(-0.5, 1.5),
)
