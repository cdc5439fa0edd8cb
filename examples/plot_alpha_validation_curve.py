"""
============================
A validation curve for alpha
============================

``alpha`` is the strength of the penalty. The usual recommendation is a single value for
all layers, chosen by cross-validation. This example plots the scores of such a search
with scikit-learn's :func:`~sklearn.model_selection.validation_curve`.
"""

# %%
# The data are 300 digits with Gaussian noise on their pixels, so that a network can
# overfit. The scaler is part of the pipeline: every fold is scaled with the statistics
# of its own training data.
#
# The penalty is not divided by the batch size. scikit-learn's networks divide it, so
# that the same penalty corresponds to this ``alpha`` times the batch size there.
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

# Every fit uses a fixed number of epochs, whether or not it has converged.
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
# The lines are means over the folds, the bands one standard deviation on either side.
# With a weak penalty the network overfits: the training accuracy is one, the training
# loss is nearly zero, and the validation scores are worse. With a penalty that is too
# strong both scores are poor: the network only predicts the class frequencies, and the
# curves leave the axes. The dotted line marks the best value in between.
#
# The best value depends on the metric. The loss also measures the quality of the
# probabilities, the accuracy only depends on the most probable class, and their optima
# may differ. Compared with the bands, both curves are flat near their optimum, so that
# a search over powers of ten is fine enough.
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
