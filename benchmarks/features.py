"""Features without additional code in this library, scikit-learn, skorch and Keras.

    KERAS_BACKEND=torch python benchmarks/features.py

Every cell, except for those of the first row, is the result of running a few lines:
"yes", or "no" for an error or no effect. For skorch and Keras the network is defined
below, with the features of the rows that these libraries have, and its lines are
counted. Libraries that are not installed are skipped. Keras is used through its
scikit-learn wrapper.
"""

import argparse
import contextlib
import inspect
import io
import os
import warnings

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.preprocessing import StandardScaler

from sknn_notes import MLPClassifier

os.environ.setdefault("KERAS_BACKEND", "torch")

X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X).astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
LABELS = np.eye(3, dtype=int)[y]


def ours():
    return MLPClassifier((16,), max_iter=5, random_state=0), {
        "dropout": {"dropout": [0.0, 0.5]},
        "batch norm": {"batch_norm": [False, True]},
        "initialization": {"init": ["he_normal", "orthogonal"]},
        "loss": {"loss": ["log_loss", "hinge"]},
        "max norm": {"max_norm": [1.0, 2.0]},
        "class weights": {"class_weight": [None, "balanced"]},
    }


def scikit_learn():
    # Parameters of these names would be the natural interface.
    _, grids = ours()
    return SklearnMLPClassifier((16,), max_iter=5, random_state=0), grids


def skorch():
    from skorch import NeuralNetClassifier
    from torch import nn, optim, tensor

    # begin
    class Network(nn.Module):
        def __init__(self, dropout=0.0, batch_norm=False, init="kaiming_normal_"):
            super().__init__()
            hidden = nn.Linear(4, 16)
            getattr(nn.init, init)(hidden.weight)
            norm = nn.BatchNorm1d(16) if batch_norm else nn.Identity()
            layers = [hidden, norm, nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3)]
            self.layers = nn.Sequential(*layers)

        def forward(self, X):
            return self.layers(X)

    # end
    estimator = NeuralNetClassifier(
        Network,
        criterion=nn.CrossEntropyLoss,
        optimizer=optim.Adam,
        max_epochs=5,
        train_split=None,
        verbose=0,
    )
    return estimator, {
        "dropout": {"module__dropout": [0.0, 0.5]},
        "batch norm": {"module__batch_norm": [False, True]},
        "initialization": {"module__init": ["kaiming_normal_", "orthogonal_"]},
        "loss": {"criterion": [nn.CrossEntropyLoss, nn.MultiMarginLoss]},
        "class weights": {"criterion__weight": [None, tensor([1.0, 2.0, 1.0])]},
    }


def keras():
    from keras import Sequential, layers
    from keras.constraints import MaxNorm
    from keras.wrappers import SKLearnClassifier

    # begin
    def network(
        X, y, dropout=0.0, batch_norm=False, init="he_normal", norm=None, **how
    ):
        bound = None if norm is None else MaxNorm(norm)
        hidden = layers.Dense(16, kernel_initializer=init, kernel_constraint=bound)
        middle = [layers.BatchNormalization()] if batch_norm else []
        rest = [layers.ReLU(), layers.Dropout(dropout), layers.Dense(3, "softmax")]
        model = Sequential([layers.Input((4,)), hidden, *middle, *rest])
        model.compile(
            **{"loss": "categorical_crossentropy", "optimizer": "adam", **how}
        )
        return model

    # end
    estimator = SKLearnClassifier(network, fit_kwargs={"epochs": 5, "verbose": 0})

    def grid(name, *values):
        return {"model_kwargs": [{name: value} for value in values]}

    return estimator, {
        "dropout": grid("dropout", 0.0, 0.5),
        "batch norm": grid("batch_norm", False, True),
        "initialization": grid("init", "he_normal", "orthogonal"),
        "loss": grid("loss", "categorical_crossentropy", "categorical_hinge"),
        "max norm": grid("norm", 1.0, 2.0),
        "class weights": {
            "fit_kwargs": [
                {"epochs": 5, "verbose": 0, "class_weight": weights}
                for weights in (None, {0: 1.0, 1: 2.0, 2: 1.0})
            ]
        },
    }


LIBRARIES = {
    "sknn_notes": ours,
    "scikit-learn": scikit_learn,
    "skorch": skorch,
    "Keras": keras,
}


def searchable(name):
    """Test whether a grid search over these values runs to its end."""

    def probe(estimator, grids):
        GridSearchCV(clone(estimator), grids[name], cv=2, error_score="raise").fit(X, y)
        return True

    return probe


def fit(*args, **kwargs):
    """Test whether fit accepts these arguments and the fitted model predicts."""

    def probe(estimator, _):
        predicted = clone(estimator).fit(*args, **kwargs).predict(args[0])
        return np.shape(predicted) == np.shape(args[1])

    return probe


def weights_count(estimator, _):
    """Test whether sample weights change the fit."""

    def proba(**weights):
        np.random.seed(0)  # noqa: NPY002
        with contextlib.suppress(ImportError):
            import torch

            torch.manual_seed(0)
        model = clone(estimator).fit(X, y, **weights)
        if hasattr(model, "predict_proba"):
            return model.predict_proba(X)
        return model.model_.predict(X, verbose=0)

    weighted = proba(sample_weight=np.where(y == 0, 1.0, 0.01))
    return bool(np.abs(weighted - proba()).max() > 1e-3)


def lines(library):
    source = inspect.getsource(library).split("# begin\n")
    return len(source[1].split("# end")[0].split("\n")) - 1 if len(source) > 1 else 0


ROWS = {
    "grid search over dropout": searchable("dropout"),
    "... batch norm": searchable("batch norm"),
    "... initialization": searchable("initialization"),
    "... the loss (log loss, hinge)": searchable("loss"),
    "... max norm": searchable("max norm"),
    "... class weights": searchable("class weights"),
    "`sample_weight` in `fit`": weights_count,
    "`predict_proba`": lambda estimator, _: hasattr(estimator, "predict_proba"),
    "string labels": fit(X, NAMES),
    "multilabel targets with the same network": fit(X, LABELS),
    "sparse input": fit(csr_array(X), y),
    "float64 input": fit(X.astype(np.float64), y),
}


def outcome(probe, estimator, grids):
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            result = probe(estimator, grids)
    except Exception:
        return "no"
    return "yes" if result else "no"


def main():
    """Run the probes and print the table in Markdown."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    warnings.simplefilter("ignore")
    columns = {}
    for name, library in LIBRARIES.items():
        try:
            columns[name] = library()
        except ImportError as error:
            print(f"{name} is skipped: {error}")
    print("| | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    own = [str(lines(LIBRARIES[name])) for name in columns]
    print("| lines of code to define the network | " + " | ".join(own) + " |")
    for row, probe in ROWS.items():
        cells = [outcome(probe, *made) for made in columns.values()]
        print(f"| {row} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
