"""
==============================================
Successive halving with epochs as the resource
==============================================

Many candidates of a search can be discarded after a few epochs. scikit-learn's
:class:`~sklearn.model_selection.HalvingGridSearchCV` trains all candidates for a few
epochs, keeps the best third, trains these for three times as many epochs, and so on.
"""

# %%
# The resource is ``max_iter``; in a pipeline it would be ``mlpclassifier__max_iter``.
# Each iteration trains its networks from scratch, since a search fits clones;
# ``warm_start`` has no effect on that. With ``n_iter_no_change=np.inf`` every network
# uses all of its epochs.
#
# Thirty candidates are compared by halving from 4 epochs on, by halving from 36 epochs
# on, and by a grid search with 108 epochs for all of them.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    train_test_split,
)

from sknn_notes import MLPClassifier

# The networks of the first iterations are not meant to converge.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
plt.style.use("seaborn-v0_8-colorblind")
X, y = load_digits(return_X_y=True)
X, _, y, _ = train_test_split(X / 16, y, train_size=600, stratify=y, random_state=0)
X = X.astype(np.float32)
model = MLPClassifier(batch_size=50, n_iter_no_change=np.inf, random_state=0)
grid = {
    "learning_rate_init": [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03],
    "dropout": [0.0, 0.15, 0.3, 0.45, 0.6],
}
settings = {"cv": 3, "scoring": "neg_log_loss"}
halvings = {
    n_epochs: HalvingGridSearchCV(
        model,
        grid,
        resource="max_iter",
        min_resources=n_epochs,
        max_resources=108,
        factor=3,
        random_state=0,
        **settings,
    ).fit(X, y)
    for n_epochs in (4, 36)
}
full = GridSearchCV(model.set_params(max_iter=108), grid, **settings).fit(X, y)

# %%
# Each line is one candidate, and ends where it was discarded. The points on the right
# are the results of the full grid for all candidates, on the same folds.
#
# Short training favors candidates that learn fast. After 4 epochs the two largest
# learning rates lead, and every candidate that would have been best in the end is
# discarded; one of the fast candidates even becomes worse again. After 36 epochs the
# best candidates lead, and the search selects the same one as the full grid. The first
# iteration should therefore be long enough for the slowest candidate that you want to
# keep. The savings are then smaller; they are printed below the figure.
figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
rates = grid["learning_rate_init"]
colors = dict(zip(rates, plt.cm.viridis(np.linspace(0, 0.9, len(rates))), strict=True))
for ax, (n_epochs, search) in zip(axes, halvings.items(), strict=True):
    rounds = search.cv_results_
    for params, score in zip(
        full.cv_results_["params"], full.cv_results_["mean_test_score"], strict=True
    ):
        rows = [
            i for i, p in enumerate(rounds["params"]) if params.items() <= p.items()
        ]
        color = colors[params["learning_rate_init"]]
        epochs, losses = rounds["n_resources"][rows], -rounds["mean_test_score"][rows]
        ax.loglog(epochs, losses, "o-", color=color, markersize=3, linewidth=1.2)
        ax.plot(150, -score, "o", color=color, alpha=0.6)
    ax.axhline(-search.best_score_, color="0.5", linestyle=":", zorder=0)
    ticks = [*np.unique(rounds["n_resources"]), 150]
    ax.set_xticks(ticks, [*ticks[:-1], "full\ngrid"])
    ax.set_yticks([0.2, 0.5, 1, 2], [0.2, 0.5, 1, 2])
    ax.minorticks_off()
    ax.set(xlabel="epochs", title=f"from {n_epochs} epochs; dotted: selected")
    spent = np.dot(search.n_candidates_, search.n_resources_)
    print(f"from {n_epochs} epochs, {spent} in all: loss {-search.best_score_:.3f}")
print(f"full grid, {30 * 108} in all: loss {-full.best_score_:.3f}")
axes[0].set_ylabel("validation log loss")
handles = [plt.Line2D([], [], color=colors[r], marker="o", label=r) for r in rates]
axes[1].legend(handles=handles, title="learning rate", fontsize=8)
plt.show()
