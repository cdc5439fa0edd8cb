"""
=======================================
Tuning five hyperparameters with Optuna
=======================================

A grid over five hyperparameters has thousands of candidates, most of which are poor.
Optuna evaluates candidates one after the other, and draws new ones near those with good
scores. Its ``OptunaSearchCV`` replaces scikit-learn's searches.
"""

# %%
# The search space consists of distributions. If ``hidden_layer_sizes`` is a single
# number, repeated ``n_hidden_layers`` times, width and depth are two integers. The
# learning rate, ``alpha`` and the width are searched on a logarithmic scale, where
# 0.001 and 0.002 differ as much as 0.1 and 0.2.
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

# Every fit uses a fixed number of epochs, whether or not it has converged.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
warnings.filterwarnings("ignore", "OptunaSearchCV is experimental")
# The search calls a deprecated module of Optuna.
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
# Each point is one trial; later trials are darker, and the best one is marked by a
# ring. The first trials are spread over the whole space, the later ones are where the
# loss is low.
#
# The hyperparameters differ in the width of this region. The loss has a minimum at some
# learning rate and increases on both sides of it. Wide networks have a low loss, and so
# has every ``alpha`` that is small enough. Dropout and depth matter less: with another
# ``random_state`` the search may select one layer and little dropout, with a similar
# loss. The loss of the best trial is the smallest of sixty noisy numbers; report the
# loss on test data.
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
