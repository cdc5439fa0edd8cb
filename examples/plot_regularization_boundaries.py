"""
======================================
Decision boundaries and regularization
======================================

The same network is trained twenty times on the same noisy points. Each row is one
regularizer, whose strength increases from left to right, from none to too strong.
"""

# %%
# The data are two interleaving half moons with so much noise that they overlap. The
# network has far more weights than there are training points, and is trained for a
# fixed number of epochs, long enough to overfit without regularization. (The warning
# about convergence is disabled.)
import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning

from sknn_notes import MLPClassifier, Standardizer

warnings.filterwarnings("ignore", category=ConvergenceWarning)
X_train, y_train = make_moons(80, noise=0.35, random_state=0)
X_test, y_test = make_moons(2000, noise=0.35, random_state=1)
scaler = Standardizer().fit(X_train)
X_train = scaler.transform(X_train).astype(np.float32)
X_test = scaler.transform(X_test).astype(np.float32)


def train(**parameters):
    model = MLPClassifier(
        hidden_layer_sizes=(100, 100),
        learning_rate_init=0.01,
        max_iter=400,
        n_iter_no_change=np.inf,
        random_state=0,
        **{"penalty": None, **parameters},
    )
    return model.fit(X_train, y_train)


# %%
# ``max_norm`` is the maximum norm of the incoming weights of a unit, so that smaller
# values regularize more.
rows = {
    "L2: alpha": [
        (f"{a:g}", {"penalty": "l2", "alpha": a}) for a in [0, 1e-3, 1e-2, 3e-2, 1e-1]
    ],
    "L1: alpha": [
        (f"{a:g}", {"penalty": "l1", "alpha": a}) for a in [0, 3e-4, 1e-3, 3e-3, 1e-2]
    ],
    "max_norm": [
        ("none" if c is None else f"{c:g}", {"max_norm": c})
        for c in [None, 2, 1, 0.7, 0.4]
    ],
    "dropout": [(f"{p:g}", {"dropout": p}) for p in [0, 0.25, 0.5, 0.75, 0.95]],
}

# %%
# The colors show the probability of the second class, and the black line is the
# decision boundary, where both classes are equally probable. The numbers are the
# accuracies on the training points and on 2,000 test points.
#
# On the left the network overfits: its boundary follows single points, and it is
# confident nearly everywhere. From left to right the boundary becomes smoother, and the
# probabilities change more gradually. The accuracy on the training points decreases,
# while that on the test points first increases. On the right the regularization is too
# strong: the boundary is too simple to follow the moons.
colors = LinearSegmentedColormap.from_list("two", ["#0072B2", "#F7F7F7", "#E69F00"])
grid_x, grid_y = np.meshgrid(np.linspace(-2.6, 2.6, 160), np.linspace(-2.6, 2.6, 160))
grid = np.column_stack([grid_x.ravel(), grid_y.ravel()]).astype(np.float32)

figure, axes = plt.subplots(4, 5, figsize=(10, 8.8), layout="constrained")
for line, (name, panels) in zip(axes, rows.items(), strict=True):
    for ax, (value, parameters) in zip(line, panels, strict=True):
        model = train(**parameters)
        probability = model.predict_proba(grid)[:, 1].reshape(grid_x.shape)
        ax.imshow(
            probability,
            extent=(-2.6, 2.6, -2.6, 2.6),
            origin="lower",
            cmap=colors,
            vmin=0,
            vmax=1,
            alpha=0.75,
        )
        ax.contour(grid_x, grid_y, probability, [0.5], colors="black", linewidths=1.2)
        for label, marker in [(0, "o"), (1, "^")]:
            ax.scatter(
                *X_train[y_train == label].T,
                color=colors(float(label)),
                marker=marker,
                s=16,
                edgecolor="black",
                linewidth=0.5,
            )
        train_accuracy = model.score(X_train, y_train)
        test_accuracy = model.score(X_test, y_test)
        ax.set(xticks=[], yticks=[], title=f"{name.split(': ')[-1]} = {value}")
        ax.set_xlabel(f"train {train_accuracy:.3f}, test {test_accuracy:.3f}")
    line[0].set_ylabel(name.split(":")[0], fontsize=12)
plt.show()
