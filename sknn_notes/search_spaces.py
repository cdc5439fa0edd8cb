"""Search spaces of the networks, to pass to a search or to copy.

A space is an ordinary dictionary whose keys are names of parameters. Change, add or
delete entries before passing it to a search.
"""

from typing import Any

import numpy as np
from scipy.stats import loguniform, uniform

__all__ = [
    "starting_point",
    "grid",
    "distributions",
]


def starting_point() -> dict[str, Any]:
    """Parameters to start with: a short training with one cycle of the learning rate.

    They suit both networks, on standardized inputs. Training always takes 30 epochs.
    The spaces of this module vary some of these parameters and are meant for a network
    that has the others.

    Returns
    -------
    parameters : dict
        Values of constructor parameters.

    See Also
    --------
    sknn_notes.tabular : Estimators that need no search.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sknn_notes import MLPClassifier
    >>> from sknn_notes.search_spaces import starting_point
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> network = MLPClassifier(**starting_point(), random_state=0)
    >>> network = network.fit(X_train, y_train)
    >>> network.n_iter_, round(network.score(X_test, y_test), 2)
    (30, 0.98)
    """
    return {
        "hidden_layer_sizes": 128,
        "n_hidden_layers": 2,
        "solver": "adamw",
        "alpha": 0.1,
        "dropout": 0.1,
        "learning_rate": "onecycle",
        "learning_rate_init": 0.01,
        "batch_size": 64,
        "max_iter": 30,
        "n_iter_no_change": np.inf,
    }


def grid(step: str | None = None) -> dict[str, Any]:
    """Small grid for both networks, 12 candidates.

    Parameters
    ----------
    step : str, default=None
        Name of the network's step in the pipeline that is searched, such as
        'mlpclassifier'. None is for a search over the network itself.

    Returns
    -------
    grid : dict
        Lists of values, for :class:`~sklearn.model_selection.GridSearchCV`.

    Examples
    --------
    >>> from sknn_notes import search_spaces
    >>> for name, values in search_spaces.grid("mlpclassifier").items():
    ...     print(name, values)
    mlpclassifier__learning_rate_init [0.003, 0.01]
    mlpclassifier__dropout [0.0, 0.1, 0.25]
    mlpclassifier__embedding [None, 'piecewise_linear']
    """
    space = {
        "learning_rate_init": [0.003, 0.01],
        "dropout": [0.0, 0.1, 0.25],
        "embedding": [None, "piecewise_linear"],
    }
    return _of_step(step, space)


def distributions(step: str | None = None) -> dict[str, Any]:
    """Distributions for both networks, for 20 draws and more.

    Parameters
    ----------
    step : str, default=None
        Name of the network's step in the pipeline that is searched, such as
        'mlpclassifier'. None is for a search over the network itself.

    Returns
    -------
    distributions : dict
        Lists of values and distributions of scipy, for
        :class:`~sklearn.model_selection.RandomizedSearchCV`.

    Examples
    --------
    >>> from sknn_notes import search_spaces
    >>> list(search_spaces.distributions())
    ['hidden_layer_sizes', 'n_hidden_layers', 'learning_rate_init', 'batch_size',
     'alpha', 'dropout', 'embedding']
    """
    space = {
        "hidden_layer_sizes": [64, 128, 256],
        "n_hidden_layers": [1, 2, 3],
        "learning_rate_init": loguniform(0.002, 0.02),
        "batch_size": [32, 64, 128],
        "alpha": loguniform(0.01, 1.0),
        "dropout": uniform(0.0, 0.4),
        "embedding": [None, "piecewise_linear", "periodic"],
    }
    return _of_step(step, space)


def _of_step(step: str | None, space: dict[str, Any]) -> dict[str, Any]:
    prefix = "" if step is None else f"{step}__"
    return {prefix + name: values for name, values in space.items()}
