"""Compile everything that the networks and transformers may use, ahead of time.

    python -m sknn_notes.compile [--dtype float32]

Compiled code is cached on disk, next to the package or in ``NUMBA_CACHE_DIR``, and
loaded by later processes. Run this once when an image is built, or before many
processes start. It needs the extra ``fast``.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from sknn_notes import (
    Centerer,
    MinMaxNormalizer,
    MLPClassifier,
    MLPRegressor,
    Standardizer,
    Whitener,
    _kernels,
)
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.embeddings import EMBEDDINGS
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from sknn_notes.noise import GaussianNoise
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.penalties import PENALTIES

__all__ = ["main"]


def _settings() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield (name, class, parameters) of networks that together use all parts."""
    for name in ACTIVATIONS:
        yield f"activation {name}", MLPRegressor, {"activation": name}
    for name in REGRESSION_LOSSES:
        yield f"loss {name}", MLPRegressor, {"loss": name}
    for name, loss in CLASSIFICATION_LOSSES.items():
        for task in loss.tasks:
            yield f"loss {name}, {task}", (MLPClassifier, task), {"loss": name}
    for penalty in [*PENALTIES, None]:
        for solver, part in OPTIMIZERS.items():
            smooth = penalty is None or PENALTIES[penalty].smooth
            if not smooth and not part.proximal:
                continue
            settings = {"penalty": penalty, "solver": solver}
            yield f"{solver} with {penalty}", MLPRegressor, settings
            if part.stochastic:
                bounded = settings | {"max_norm": 1.0, "clip_norm": 1.0}
                yield f"{solver} with {penalty}, bounds", MLPRegressor, bounded
            if part.stochastic and penalty not in ("elasticnet", "group_lasso", None):
                name = f"{solver} with {penalty}, sparse inputs"
                yield name, (MLPRegressor, "sparse"), settings
    for name, value in {
        "batch_norm": True,
        "layer_norm": True,
        "residual": True,
        "dropout": 0.5,
        "input_dropout": 0.5,
        "dropconnect": 0.5,
        "augment": GaussianNoise(),
        "feature_scaling": True,
    }.items():
        yield name, MLPRegressor, {name: value}
    for name in ("hierarchical_softmax", "sampled_softmax"):
        yield f"loss {name}, many classes", (MLPClassifier, "many"), {"loss": name}
    for name in EMBEDDINGS:
        yield f"embedding {name}", MLPRegressor, {"embedding": name}


def _fit(cls: Any, settings: dict[str, Any], dtype: str) -> None:
    rng = np.random.default_rng(0)
    X = np.abs(rng.normal(size=(12, 4))).astype(dtype)
    targets = {
        "binary": np.arange(12) % 2,
        "multiclass": np.arange(12) % 3,
        "multilabel": (X[:, :2] > 0.5).astype(int),
    }
    cls, task = cls if isinstance(cls, tuple) else (cls, "")
    if task == "sparse":
        X, targets[task] = csr_array(np.eye(12, 60, dtype=dtype)), X[:, 0]
    if task == "many":
        X, targets[task] = np.ones((300, 4), dtype), np.arange(300)
    options = {"hidden_layer_sizes": (4, 4), "max_iter": 1, "random_state": 0}
    cls(**options | settings).fit(X, targets.get(task, X[:, 0]))


def main(arguments: list[str] | None = None) -> None:
    """Run the module from the command line.

    Parameters
    ----------
    arguments : list of str, default=None
        Arguments; those of the command line by default.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sknn_notes.compile", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--dtype", choices=["float32", "float64"], action="append")
    options = parser.parse_args(arguments)
    if not _kernels.active().__name__.endswith("_numba"):
        sys.exit("Compiling needs numba: pip install numba.")
    from sknn_notes._compile import _cache, _numba

    begin = perf_counter()
    for dtype in options.dtype or ["float32", "float64"]:
        for name, cls, settings in _settings():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _fit(cls, settings, dtype)
            print(f"{perf_counter() - begin:4.0f} s  {dtype}  {name}", flush=True)
        X = np.random.default_rng(0).normal(size=(20, 4)).astype(dtype)
        for transformer in (Centerer, Standardizer, MinMaxNormalizer, Whitener):
            for data in (X, np.asfortranarray(X)):
                transformer().fit(data).transform(data)
            print(f"{perf_counter() - begin:4.0f} s  {dtype}  {transformer.__name__}")
    print(f"{_numba.n_operations()} operations are in {_cache.directory()}.")


if __name__ == "__main__":
    main()
