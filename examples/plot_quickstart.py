"""
==========================================================
Quick start: cross-validating the regularization on digits
==========================================================

This example scales the inputs, trains a network, and chooses its regularization with
:class:`~sknn_notes.model_selection.GridSearchCV`. Only the imports differ from a search
over scikit-learn's estimators.
"""

# %%
# The data are 1,797 handwritten digits of 8 x 8 pixels. A quarter is held out for
# testing.
import sys
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from sknn_notes import MLPClassifier, Standardizer
from sknn_notes.model_selection import GridSearchCV

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.25, stratify=y, random_state=0
)

# %%
# ``alpha`` is the strength of the L2 penalty, and ``dropout`` the probability of
# dropping a hidden unit in a training step. A fit ends when the training loss no longer
# decreases by ``tol``.
model = Pipeline(
    [
        ("scale", Standardizer()),
        (
            "net",
            MLPClassifier(
                hidden_layer_sizes=(200,),
                learning_rate_init=0.005,
                max_iter=300,
                tol=1e-3,
                random_state=0,
            ),
        ),
    ]
)
grid = {
    "net__alpha": [1e-5, 1e-4, 1e-3, 1e-2],
    "net__dropout": [0.0, 0.25, 0.5],
}

# %%
# In a terminal, scikit-learn's progress bar shows the progress of the search, if
# ``rich`` is installed. Otherwise every finished fit prints a line, also to a file.
has_bar = sys.stdout.isatty() and find_spec("rich") is not None
if hasattr(sys.stdout, "reconfigure"):
    sys.stdout.reconfigure(line_buffering=True)
search = GridSearchCV(model, grid, cv=5, n_jobs=2, verbose=0 if has_bar else 2)
if has_bar:
    from sklearn.callback import ProgressBar

    search.set_callbacks(ProgressBar(max_propagation_depth=0))

start = perf_counter()
search.fit(X_train, y_train)
seconds = perf_counter() - start

print(f"best parameters:          {search.best_params_}")
print(f"cross-validated accuracy: {search.best_score_:.4f}")
print(f"test accuracy:            {search.score(X_test, y_test):.4f}")
print(f"total time:               {seconds:.1f} s")

# %%
# The figure shows the cross-validated accuracy of every candidate, and test digits that
# the best one misclassifies.
if find_spec("matplotlib") is not None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    accuracy = search.cv_results_["mean_test_score"].reshape(
        len(grid["net__alpha"]), len(grid["net__dropout"])
    )
    image = left.imshow(accuracy, cmap="viridis", aspect="auto")
    left.set(
        xlabel="dropout",
        ylabel="alpha",
        xticks=range(accuracy.shape[1]),
        xticklabels=grid["net__dropout"],
        yticks=range(accuracy.shape[0]),
        yticklabels=[f"{alpha:g}" for alpha in grid["net__alpha"]],
        title="cross-validated accuracy",
    )
    middle = (accuracy.min() + accuracy.max()) / 2
    for (row, column), value in np.ndenumerate(accuracy):
        color = "black" if value > middle else "white"
        left.text(column, row, f"{value:.3f}", ha="center", va="center", color=color)

    predicted = search.predict(X_test)
    wrong = np.flatnonzero(predicted != y_test)[:8]
    tiles = np.full((2 * 10, 4 * 10), 16.0)
    for position, index in enumerate(wrong):
        row, column = divmod(position, 4)
        top, edge = 10 * row + 1, 10 * column + 1
        tiles[top : top + 8, edge : edge + 8] = 16 - X_test[index].reshape(8, 8)
        right.text(
            edge - 0.5,
            top - 0.8,
            f"{y_test[index]} read as {predicted[index]}",
            fontsize=8,
        )
    right.imshow(tiles, cmap="gray", vmin=0, vmax=16)
    right.set_axis_off()
    right.set_title("misclassified test digits")
    if plt.get_backend().lower() == "agg":  # there is no display
        figure.savefig("quickstart.png")
        print(f"picture:                  {Path('quickstart.png').resolve()}")
    else:
        plt.show()
