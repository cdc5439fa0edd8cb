"""Configurations whose results are stored, to compare later fits with them.

``python tests/engine/golden.py`` writes the results to ``golden.json``. Run it after
adding a configuration, and after a change that is meant to change results: of a
default, a definition or the order of random draws. Such a change is listed in
``CHANGES.md``, and changes the results of those configurations only that it concerns.

The data are fractions, which are the same on every platform. Initial weights and the
order of samples come from ``numpy.random.Generator``, whose distributions may change
in a new version of numpy (NEP 19). That would change all results at once, and
``golden.json`` could agree with the older or the newer versions only. Masks and noise
are hashes of the library's own, and depend on numpy only through their keys.
"""

import json
import os
from pathlib import Path

import numpy as np
from scipy import sparse

from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.activations import ELU
from sknn_notes.embeddings import Periodic, PiecewiseLinear
from sknn_notes.losses import HierarchicalSoftmax, LogLoss, Quantile, SampledSoftmax
from sknn_notes.noise import (
    FractionalMaxPooling,
    GaussianNoise,
    RandomCrop,
    RandomFlip,
    RandomShift,
    StochasticPooling,
)
from sknn_notes.optimizers import SGD, Adam
from sknn_notes.penalties import GroupLasso
from sknn_notes.schedules import Cosine, Exponential, FlatCosine, OneCycle, Step

FILE = Path(__file__).with_name("golden.json")

N_SAMPLES, IMAGE = 48, (4, 4)
_i, _j = np.ogrid[:N_SAMPLES, :16]
X = ((_i * _i * (_j + 3) + 7 * _i + 11 * _j * _j) % 61 - 30) / 30
INPUTS = {
    "dense": X,
    "sparse": sparse.csr_array(np.tile(X, 4) * ((_i + 3 * np.arange(64)) % 13 == 0)),
    "positive": abs(X),
}
TARGETS = {
    "classes": np.argmax(X[:, :3] + X[:, 3:6] / 2, axis=1),
    "many classes": _i[:, 0] * 5 % 12,
    "two classes": (X[:, 0] + X[:, 1] > 0).astype(int),
    "labels": (X[:, :3] > X[:, 3:6]).astype(int),
    "number": 100 + 20 * X[:, 0] + 10 * X[:, 1] * X[:, 2],
    "numbers": X[:, :2] + X[:, 2:4] ** 2,
    "counts": np.rint(3 * abs(X[:, 0]) + X[:, 1] ** 2),
    "positive number": 0.1 + abs(X[:, 0]) + X[:, 1] ** 2,
}
WEIGHT = _i[:, 0] % 4 / 2

# The kind of targets, and parameters of the estimator, or of the fit: ``inputs``,
# ``weighted``, the ``method`` of the results, and how to ``train``.
CONFIGURATIONS = {
    "adam": ("classes", {}),
    "adamw, batch norm, dropout": (
        "classes",
        {"solver": "adamw", "batch_norm": True, "dropout": 0.3, "alpha": 0.1},
    ),
    "momentum, L1, sample weights": (
        "classes",
        {"solver": "sgd", "penalty": "l1", "weighted": True, "init": "he_normal"},
    ),
    "rmsprop, elastic net, layer norm": (
        "labels",
        {"solver": "rmsprop", "penalty": "elasticnet", "layer_norm": True},
    ),
    "L-BFGS": ("classes", {"solver": "lbfgs", "activation": "tanh", "max_iter": 8}),
    "L-BFGS, batch norm, counts": (
        "counts",
        {
            "solver": "lbfgs",
            "activation": "silu",
            "batch_norm": True,
            "loss": "poisson",
            "max_iter": 5,
        },
    ),
    "early stopping": (
        "two classes",
        {"early_stopping": True, "n_iter_no_change": 2, "init": "orthogonal"},
    ),
    "early stopping by the score": (
        "number",
        {"early_stopping": True, "scoring": None, "weighted": True, "init": "lsuv"},
    ),
    "hinge, dropconnect": (
        "labels",
        {
            "loss": "hinge",
            "dropconnect": 0.2,
            "input_dropout": 0.1,
            "dropout_scaling": "standard",
            "init": "glorot_normal",
        },
    ),
    "squared hinge, max norm": (
        "classes",
        {
            "loss": "squared_hinge",
            "max_norm": [1.0, None, 0.5],
            "penalize_bias": True,
            "bias_init": 0.1,
            "init": "lecun_normal",
        },
    ),
    "hierarchical softmax": (
        "many classes",
        {
            "loss": HierarchicalSoftmax(tree="huffman"),
            "weighted": True,
            "init": "uniform",
        },
    ),
    "sampled softmax": (
        "many classes",
        {
            "loss": SampledSoftmax(n_negatives=4, distribution="frequency"),
            "batch_size": 4,
            # Steps on the classes that were drawn estimate the penalty on the others.
            "penalty": None,
            "solver": SGD(nesterovs_momentum=False),
            "init": "lecun_uniform",
        },
    ),
    "sparse inputs": (
        "classes",
        {"inputs": "sparse", "solver": "sgd", "init": "he_uniform"},
    ),
    "sparse inputs of few active rows": (
        "counts",
        {"inputs": "sparse", "solver": "adamw", "batch_size": 3, "dropout": 0.2},
    ),
    "class weights, label smoothing": (
        "classes",
        {
            "loss": LogLoss(label_smoothing=0.1),
            "class_weight": "balanced",
            "learning_rate": OneCycle(pct_start=0.4),
            "init": "normal",
        },
    ),
    "Monte Carlo dropout": (
        "classes",
        {
            "dropout": [0.4, 0.2],
            "marginalization": "monte_carlo",
            "n_mc_samples": 5,
            "method": "predict_spread",
        },
    ),
    "three networks": ("two classes", {"n_networks": 3, "method": "predict_proba"}),
    "noise on images": (
        "classes",
        {
            "inputs": "positive",
            "augment": [
                GaussianNoise(std=0.1),
                RandomShift(image_shape=IMAGE),
                RandomFlip(image_shape=IMAGE),
                RandomCrop(image_shape=IMAGE, crop_shape=(4, 3)),
            ],
        },
    ),
    "stochastic pooling": (
        "classes",
        {"inputs": "positive", "augment": StochasticPooling(image_shape=IMAGE)},
    ),
    "fractional max pooling": (
        "classes",
        {"augment": FractionalMaxPooling(image_shape=IMAGE, ratio=1.5)},
    ),
    "float32": ("classes", {"dtype": "float32", "init": "glorot_uniform"}),
    "periodic embedding, residual connections": (
        "classes",
        {
            "embedding": Periodic(n_frequencies=3, n_units=2),
            "residual": True,
            "feature_scaling": True,
            "activation": "gelu",
            "clip_norm": 0.5,
        },
    ),
    "piecewise linear embedding": (
        "number",
        {
            "embedding": PiecewiseLinear(n_bins=3),
            "loss": "huber",
            "learning_rate": "adaptive",
            "solver": "sgd",
            "tol": 0.05,
            "n_iter_no_change": 1,
        },
    ),
    "squared error": (
        "numbers",
        {"learning_rate": Cosine(warmup=1.5), "hidden_layer_sizes": ()},
    ),
    "absolute error": (
        "numbers",
        {
            "loss": "absolute_error",
            "solver": "sgd",
            "learning_rate": "invscaling",
            "standardize_target": False,
            "init": "sparse",
        },
    ),
    "gamma": (
        "positive number",
        {
            "loss": "gamma",
            "activation": [ELU(alpha=0.5), "logistic"],
            "learning_rate": Step(step_size=2, gamma=0.5),
        },
    ),
    "tweedie, units of group lasso": (
        "positive number",
        {
            "loss": "tweedie",
            "activation": "leaky_relu",
            "penalty": GroupLasso(groups="units"),
            "learning_rate": "inverse_time",
        },
    ),
    "inputs of group lasso": (
        "labels",
        {
            "penalty": "group_lasso",
            "alpha": 0.03,
            "solver": Adam(epsilon=1e-4),
            "activation": "identity",
        },
    ),
    "mean and variance": ("number", {"loss": "gaussian_nll", "shuffle": False}),
    "three quantiles": (
        "numbers",
        {"loss": Quantile([0.1, 0.5, 0.9]), "method": "predict_quantiles"},
    ),
    "schedules of other numbers": (
        "classes",
        {
            "alpha": Exponential(start=0.1, gamma=0.7),
            "dropout": FlatCosine(start=0.4),
            "learning_rate": "exponential",
        },
    ),
    "three calls of partial_fit": ("classes", {"train": "partial_fit"}),
    "a warm start": ("number", {"train": "warm_start"}),
    "zeros": ("two classes", {"init": "zeros", "max_iter": 2}),
}


def configured(name):
    """Return an estimator without a fit, and a function that fits it."""
    kind, own = CONFIGURATIONS[name]
    own, y = own.copy(), TARGETS[kind]
    inputs = INPUTS[own.pop("inputs", "dense")]
    weight = WEIGHT if own.pop("weighted", False) else None
    train, method = own.pop("train", "fit"), own.pop("method", None)
    is_regressor = y.dtype.kind == "f"
    method = method or ("predict" if is_regressor else "decision_function")
    options = {
        "hidden_layer_sizes": (6, 5),
        "alpha": 0.01,
        "batch_size": 16,
        "learning_rate_init": 0.02,
        "max_iter": 5,
        "random_state": 0,
    }
    model = (MLPRegressor if is_regressor else MLPClassifier)(**(options | own))

    def fit(model):
        if train == "partial_fit":
            for _ in range(3):
                model.partial_fit(inputs, y, classes=np.unique(y))
        else:
            model.fit(inputs, y, sample_weight=weight)
        if train == "warm_start":
            model.set_params(warm_start=True, learning_rate_init=0.01).fit(inputs, y)
        return model

    def results(model):
        networks = model.networks_ if model.n_networks > 1 else [model]
        found = {
            "loss_curve": [network.loss_curve_ for network in networks],
            "first weights": [W.flat[:2] for net in networks for W in net.coefs_],
            "norms": [np.linalg.norm(W) for net in networks for W in net.coefs_],
            "intercepts": [b[-1] for net in networks for b in net.intercepts_],
            method: np.ravel(getattr(model, method)(inputs[:4])),
        }
        if model.early_stopping:
            found["validation_scores"] = networks[0].validation_scores_
        return {key: np.array(value).tolist() for key, value in found.items()}

    return model, fit, results


def write():
    """Store the results of all configurations, with the steps of numpy."""
    os.environ["SKNN_NOTES_KERNELS"] = "numpy"
    blocks = []
    for name in CONFIGURATIONS:
        model, fit, results = configured(name)
        lines = [
            f"  {json.dumps(key)}: {json.dumps(value)}"
            for key, value in results(fit(model)).items()
        ]
        blocks.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    FILE.write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
