"""Parameters of the networks for tables, by ``quality``."""

from typing import Any, NamedTuple

import numpy as np

from sknn_notes._typing import Floats
from sknn_notes.embeddings import Embedding, Periodic, PiecewiseLinear

# With this many rows, one validation set is enough to compare candidates.
_MANY_ROWS = 5000
# With fewer rows than this, a validation set is too small to compare candidates.
_TOO_FEW_ROWS = 50


# To compare candidates, each network holds out different rows.
HELD_OUT = {"early_stopping": True, "validation_fraction": 0.2}


class Recipe(NamedTuple):
    """Parameters of one ``quality``.

    Parameters
    ----------
    n_units : int
        Number of units of each of the two hidden layers.
    learning_rate : float
        Largest learning rate of the one-cycle schedule.
    max_iter : int
        Number of epochs.
    dropout : float
    embeddings : tuple of (Embedding or None)
        Embeddings to compare.
    n_networks : int
        Number of networks in a group, whose predictions are averaged.
    n_kept : int, default=1
        Maximum number of groups to keep.
    n_parts : tuple of (int, int), default=(0, 0)
        Number of validation sets (fifths of the rows) that candidates are compared on:
        for few rows, for many rows.
    most_embedded : int, default=100
        Inputs are embedded only if at most this many have three or more values.
    fewest_rows : int, default=0
        Inputs are embedded only if there are at least this many rows.
    """

    n_units: int
    learning_rate: float
    max_iter: int
    dropout: float
    embeddings: tuple[Embedding | None, ...]
    n_networks: int
    n_kept: int = 1
    n_parts: tuple[int, int] = (0, 0)
    most_embedded: int = 100
    fewest_rows: int = 0


_FINE = PiecewiseLinear(n_bins=16)
RECIPES = {
    "fast": Recipe(
        128,
        learning_rate=0.01,
        max_iter=11,
        dropout=0.1,
        embeddings=(PiecewiseLinear(),),
        n_networks=1,
        most_embedded=32,
        fewest_rows=1000,
    ),
    "balanced": Recipe(
        256,
        learning_rate=0.007,
        max_iter=20,
        dropout=0.15,
        embeddings=(None, _FINE),
        n_networks=3,
        n_parts=(3, 1),
    ),
    "best": Recipe(
        256,
        learning_rate=0.007,
        max_iter=30,
        dropout=0.15,
        embeddings=(None, _FINE, Periodic()),
        n_networks=5,
        n_kept=2,
        n_parts=(3, 1),
    ),
}


def recipe_for(quality: str, n_samples: int) -> Recipe:
    """Return the recipe of a quality; with too few rows, that of 'fast'."""
    return RECIPES["fast" if n_samples < _TOO_FEW_ROWS else quality]


def candidates(recipe: Recipe, X: Floats) -> list[dict[str, Any]]:
    """Return the candidates to compare on validation data, as dicts of parameters.

    Parameters
    ----------
    recipe : Recipe
    X : ndarray of shape (n_samples, n_inputs)
    """
    between = (X.min(axis=0) < X) & (X < X.max(axis=0))  # noqa: SIM300
    n_embedded = np.count_nonzero(between.any(axis=0))
    if n_embedded > recipe.most_embedded or len(X) < recipe.fewest_rows:
        return [{"embedding": None}]
    return [{"embedding": embedding} for embedding in recipe.embeddings]


def parameters(recipe: Recipe, n_samples: int) -> dict[str, Any]:
    """Return the parameters that all candidates share."""
    power = 2 ** int(np.log2(max(n_samples, 32) / 32))
    return {
        "hidden_layer_sizes": (recipe.n_units, recipe.n_units),
        "solver": "adamw",
        "alpha": 0.1,
        "beta_2": 0.95,
        "dropout": recipe.dropout,
        "learning_rate": "onecycle",
        "learning_rate_init": recipe.learning_rate,
        "batch_size": min(n_samples, int(np.clip(power, 16, 256))),
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "dtype": "float32",
    }


def n_parts_to_compare_on(recipe: Recipe, n_samples: int) -> int:
    """Return the number of validation sets that candidates are compared on."""
    return recipe.n_parts[n_samples >= _MANY_ROWS]
