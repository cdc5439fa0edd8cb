"""
=========================================
Five hyperparameters, searched by Optuna
=========================================

A grid over five hyperparameters has thousands of points, most of them bad. Optuna tries
settings one after the other, and draws the next ones near those that did well. Its
``OptunaSearchCV`` takes the place of scikit-learn's searches.
"""

# %%
# The space is given as distributions. ``hidden_layer_sizes`` as one number, repeated
# ``n_hidden_layers`` times, makes depth and width two plain integers. Rates, strengths
# and widths are searched on a logarithmic scale: 0.001 and 0.002 differ as much as 0.1
# and 0.2.
import warnings

import matplotlib.pyplot as plt
import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna_integration import OptunaSearchCV
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknn_notes import MLPClassifier, Standardizer

# A fixed number of epochs for every setting, whether or not it could go on.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
warnings.filterwarnings("ignore", "OptunaSearchCV is experimental")
# The search calls a module of Optuna that is to go.
warnings.filterwarnings("ignore", ".*optuna.terminator", FutureWarning)
optuna.logging.set_verbosity(optuna.logging.WARNING)
plt.style.use("seaborn-v0_8-colorblind")
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X.astype(np.float32), y, train_size=600, stratify=y, random_state=0
)
model = make_pipeline(
    Standardizer(),
    MLPClassifier(batch_size=50, max_iter=30, n_iter_no_change=np.inf, random_state=0),
)
space = {
    "learning_rate_init": FloatDistribution(1e-4, 0.1, log=True),
    "alpha": FloatDistribution(1e-6, 1, log=True),
    "dropout": FloatDistribution(0, 0.8),
    "hidden_layer_sizes": IntDistribution(10, 300, log=True),
    "n_hidden_layers": IntDistribution(1, 3),
}
search = OptunaSearchCV(
    model,
    {f"mlpclassifier__{name}": values for name, values in space.items()},
    cv=3,
    n_trials=60,
    scoring="neg_log_loss",
    random_state=0,
).fit(X_train, y_train)
for name, value in search.best_params_.items():
    print(f"{name:34} {value:.3g}")
print(f"validation log loss {-search.best_score_:.3f}")
print(f"test log loss       {-search.score(X_test, y_test):.3f}")

# %%
# A point is one trial; the later, the darker, and the best has a ring. The first trials
# lie anywhere, the later ones where the loss is low.
#
# The panels differ in how wide that place is. The learning rate has a valley, and the
# loss rises to both sides of it. Wide networks do well, and so does any ``alpha`` that
# is small enough. Dropout and depth leave the search a choice: with another
# ``random_state`` it may end at one layer and little dropout, and do as well. The loss
# of the best trial is the smallest of sixty noisy numbers, and that on new digits is
# the one to report.
losses = [-trial.value for trial in search.trials_]
figure, axes = plt.subplots(
    1, len(space), figsize=(12, 3.4), sharey=True, layout="constrained"
)
for ax, (name, values) in zip(axes, space.items(), strict=True):
    tried = [trial.params[f"mlpclassifier__{name}"] for trial in search.trials_]
    points = ax.scatter(
        tried, losses, c=range(len(losses)), cmap="viridis_r", s=22, alpha=0.9
    )
    ax.plot(
        search.best_params_[f"mlpclassifier__{name}"],
        -search.best_score_,
        "o",
        color="C2",
        markersize=11,
        fillstyle="none",
    )
    ax.set(xlabel=name, xscale="log" if values.log else "linear", yscale="log")
    ax.minorticks_off()
axes[0].set_ylabel("validation log loss")
axes[3].set_xticks([10, 30, 100, 300], [10, 30, 100, 300])
axes[4].set_xticks([1, 2, 3])
axes[0].set_yticks([0.2, 0.5, 1, 2], [0.2, 0.5, 1, 2])
figure.colorbar(points, ax=axes, label="trial")
plt.show()
