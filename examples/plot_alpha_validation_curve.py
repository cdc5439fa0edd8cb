"""
============================
A validation curve for alpha
============================

``alpha`` is the strength of the penalty. The usual advice is a single one for all
layers, found by cross-validation, and scikit-learn's
:func:`~sklearn.model_selection.validation_curve` draws what such a search sees.
"""

# %%
# Three hundred digits only, and gaussian noise on their pixels, so that there is
# something to overfit. The scaler is part of the pipeline: every fold is scaled with
# the statistics of its own training data.
#
# The penalty is not divided by the batch size. Scikit-learn's networks do that, so that
# the same penalty has an ``alpha`` there which is this one times the batch size.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    RepeatedStratifiedKFold,
    train_test_split,
    validation_curve,
)
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, Standardizer

# A fixed number of epochs for every strength, whether or not it could go on.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
X, y = load_digits(return_X_y=True)
X, _, y, _ = train_test_split(X, y, train_size=300, stratify=y, random_state=0)
X += np.random.default_rng(0).normal(0, 5, X.shape)
X = X.astype(np.float32)

model = make_pipeline(
    Standardizer(),
    MLPClassifier(
        hidden_layer_sizes=100,
        batch_size=50,
        learning_rate_init=0.003,
        max_iter=60,
        n_iter_no_change=np.inf,
        random_state=0,
    ),
)
alphas = np.logspace(-5, 0, 11)
folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=3, random_state=0)


def curves(scoring):
    """Scores of all strengths in all folds, on training and on validation data."""
    return validation_curve(
        model,
        X,
        y,
        param_name="mlpclassifier__alpha",
        param_range=alphas,
        cv=folds,
        scoring=scoring,
        n_jobs=2,
    )


# %%
# The line is the mean over the folds, the band one standard deviation to either side.
# A weak penalty leaves the training digits learnt by heart, at an accuracy of one and
# a loss of nearly zero, and a gap to the validation digits. Too strong a one closes the
# gap by making both bad: the curves leave the picture, as little but the frequencies
# of the classes is left. The strength to choose lies in between, and the dotted line
# marks it.
#
# Which one it is depends on the question. The loss also asks how far a probability can
# be trusted, the accuracy only which class is the likeliest, and the two need not
# choose the same. Neither valley nor hill is steep next to the band, so that a search
# over powers of ten is fine enough.
figure, axes = plt.subplots(1, 2, figsize=(10, 4.3), layout="constrained")
scores = {"accuracy": curves("accuracy"), "log loss": curves("neg_log_loss")}
for ax, (metric, (train, validation)) in zip(axes, scores.items(), strict=True):
    sign = 1 if metric == "accuracy" else -1
    best = np.argmax(validation.mean(axis=1))
    for name, values, color, marker in [
        ("training", train, "C2", "^"),
        ("validation", validation, "C0", "o"),
    ]:
        mean, spread = sign * values.mean(axis=1), values.std(axis=1)
        ax.semilogx(alphas, mean, color=color, marker=marker, label=name)
        ax.fill_between(
            alphas, mean - spread, mean + spread, color=color, alpha=0.2, linewidth=0
        )
    ax.axvline(alphas[best], color="0.5", linestyle=":", zorder=0)
    ax.set(xlabel="alpha", ylabel=metric, title=f"best alpha: {alphas[best]:.1g}")
    print(
        f"{metric}: alpha={alphas[best]:.1g}, validation "
        f"{sign * validation[best].mean():.3f} ± {validation[best].std():.3f}"
    )
axes[0].set_ylim(0.55, 1.02)
axes[1].set_ylim(-0.03, 1.2)
axes[0].legend(loc="lower left")
plt.show()
