"""The contestants of the quality benchmark, with their default parameters.

``CONTESTANTS`` lists functions that take the kind of a data set, whether it is a
DataFrame, and a seed. They return an estimator, or None if there is none for this kind.
"""

import importlib.util

import numpy as np
from sklearn import neural_network
from sklearn.base import BaseEstimator
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import sknn_notes


def available(names):
    """Return the contestants whose packages are installed; print the others."""
    usable = {}
    for name in names:
        make, package, _ = CONTESTANTS[name]
        if _exists(package):
            usable[name] = make
        else:
            print(f"{name} is skipped: {package} is not installed")
    return usable


def _exists(module):
    parent, _, _ = module.rpartition(".")
    if parent and importlib.util.find_spec(parent) is None:
        return False
    return importlib.util.find_spec(module) is not None


def as_numbers(frame, numbers):
    """Return a transformer that applies ``numbers`` to numbers and encodes the rest."""
    if not frame:
        return numbers
    categories = make_pipeline(
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_include="category")),
    )


def standardized(network, frame, scaler=None):
    """Return a pipeline of a network that takes numbers only."""
    numbers = SimpleImputer(strategy="median")
    scaler = StandardScaler() if scaler is None else scaler
    return make_pipeline(as_numbers(frame, numbers), scaler, network)


def _ours(kind, frame, seed):
    regression = kind == "regression"
    network = sknn_notes.MLPRegressor if regression else sknn_notes.MLPClassifier
    return standardized(network(random_state=seed), frame)


def _sklearn(kind, frame, seed):
    if kind == "regression":
        network = neural_network.MLPRegressor(random_state=seed)
        return _standardized_target(standardized(network, frame))
    return standardized(neural_network.MLPClassifier(random_state=seed), frame)


def _standardized_target(regressor):
    """Return a wrapper that standardizes targets, which this library does itself."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


def _boosting(kind, frame, seed):
    if kind == "regression":
        return HistGradientBoostingRegressor(random_state=seed)
    # It takes categories by their dtype, and missing values.
    model = HistGradientBoostingClassifier(random_state=seed)
    return MultiOutputClassifier(model) if kind == "multilabel" else model


def _skorch(kind, frame, seed):
    model = standardized(SkorchNet(kind, seed), frame)
    return _standardized_target(model) if kind == "regression" else model


class SkorchNet(BaseEstimator):
    """skorch with the defaults of scikit-learn's networks, always 200 epochs."""

    def __init__(self, kind, seed):
        self.kind = kind
        self.seed = seed

    def fit(self, X, y):
        X, y = self.start(X, y)
        self.net_.fit(X, y)
        return self

    def start(self, X, y):
        """Make the network; return the data in the types that it takes."""
        import torch
        from skorch import NeuralNet
        from torch import nn

        torch.manual_seed(self.seed)
        if self.kind == "classification":
            n_outputs, criterion = y.max() + 1, nn.CrossEntropyLoss
        else:
            y = y.reshape(len(y), -1).astype(np.float32)
            n_outputs = y.shape[1]
            multilabel = self.kind == "multilabel"
            criterion = nn.BCEWithLogitsLoss if multilabel else nn.MSELoss
        self.net_ = NeuralNet(
            nn.Sequential(
                nn.Linear(X.shape[1], 100), nn.ReLU(), nn.Linear(100, n_outputs)
            ),
            criterion=criterion,
            optimizer=torch.optim.Adam,
            optimizer__weight_decay=1e-4 / 200,
            lr=1e-3,
            max_epochs=200,
            batch_size=min(200, len(X)),
            iterator_train__shuffle=True,
            train_split=None,
            callbacks="disable",
            verbose=0,
        )
        return X.astype(np.float32), y

    def predict(self, X):
        raw = self.net_.forward(X.astype(np.float32)).numpy()
        if self.kind == "classification":
            return raw.argmax(axis=1)
        return raw > 0 if self.kind == "multilabel" else raw


def _realmlp(kind, frame, seed):
    if kind == "multilabel":
        return None
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    regression = kind == "regression"
    network = RealMLP_TD_Regressor if regression else RealMLP_TD_Classifier
    return network(device="cpu", n_threads=1, random_state=seed)


def _tabular(quality):
    def make(kind, frame, seed):
        from sknn_notes import tabular

        regression = kind == "regression"
        network = (
            tabular.TabularMLPRegressor if regression else tabular.TabularMLPClassifier
        )
        return network(quality=quality, random_state=seed)

    return make


OUR_PACKAGES = ["sknn_notes", "numba", "numpy"]

# name -> (function, the module that it needs, the packages whose versions count)
CONTESTANTS = {
    "sklearn": (_sklearn, "sklearn", ["scikit-learn", "numpy"]),
    "hgb": (_boosting, "sklearn", ["scikit-learn"]),
    "skorch": (_skorch, "skorch", ["skorch", "torch"]),
    "realmlp": (_realmlp, "pytabkit", ["pytabkit", "torch"]),
    "ours": (_ours, "sknn_notes", OUR_PACKAGES),
    **{
        quality: (_tabular(quality), "sknn_notes.tabular", OUR_PACKAGES)
        for quality in ("fast", "balanced", "best")
    },
}
