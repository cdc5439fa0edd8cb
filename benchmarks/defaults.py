"""Scores of the networks with default parameters, compared with scikit-learn's.

    python benchmarks/defaults.py                    # every data set, ten seeds
    python benchmarks/defaults.py friedman --seeds 5

Each seed gives a different split of the data and seeds both networks. Inputs and
targets are standardized, except for names with "raw". The margin is the score of this
library minus that of scikit-learn, as the mean over seeds with its standard error; the
score is the accuracy for classifiers and R2 for regressors. A data set is marked if the
mean is more than two standard errors below 0.
"""

import argparse
import json
import warnings
from functools import partial

import numpy as np
from sklearn import datasets, neural_network
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknn_notes
from _timing import start


def _made(make, **parameters):
    return lambda seed: make(random_state=seed, **parameters)


def _shipped(load):
    return lambda seed: load(return_X_y=True)


# Data of a seed: (inputs, targets), whether inputs and targets are standardized.
CLASSIFICATION = {
    "iris": _shipped(datasets.load_iris),
    "wine": _shipped(datasets.load_wine),
    "wine, raw": _shipped(datasets.load_wine),
    "breast cancer": _shipped(datasets.load_breast_cancer),
    "digits": _shipped(datasets.load_digits),
    "circles": _made(datasets.make_circles, n_samples=300, noise=0.1, factor=0.5),
    "moons": _made(datasets.make_moons, n_samples=300, noise=0.2),
    "300 x 20, three classes": _made(
        datasets.make_classification,
        n_samples=300,
        n_features=20,
        n_informative=8,
        n_classes=3,
    ),
}
REGRESSION = {
    "diabetes": _shipped(datasets.load_diabetes),
    "friedman1": _made(datasets.make_friedman1, n_samples=300, noise=1.0),
    "friedman2": _made(datasets.make_friedman2, n_samples=300, noise=1.0),
    "friedman3": _made(datasets.make_friedman3, n_samples=300, noise=0.1),
}


def score(network, data, seed, raw):
    """Return the score on a test set, of a third of the data."""
    X, y = data(seed)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=1 / 3, random_state=seed, stratify=_strata(network, y)
    )
    model = network if raw else make_pipeline(StandardScaler(), network)
    if not is_classifier(network):
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return model.fit(X, y).score(X_test, y_test)


def _strata(network, y):
    return y if is_classifier(network) else None


def margins(data, kind, n_seeds, raw, parameters):
    """Return the scores of ours and of scikit-learn's, one a seed."""
    ours, theirs = [], []
    for seed in range(n_seeds):
        mine = getattr(sknn_notes, kind)(random_state=seed, **parameters)
        peer = getattr(neural_network, kind)(
            random_state=seed,
            **{k: v for k, v in parameters.items() if k == "hidden_layer_sizes"},
        )
        ours.append(score(mine, data, seed, raw))
        theirs.append(score(peer, data, seed, raw))
    return np.array(ours), np.array(theirs)


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="?", default="", help="part of a name")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--init", default=None, help="of ours, in place of 'auto'")
    parser.add_argument("--hidden", type=json.loads, default=None, help="as [100, 100]")
    options = start(parser, threads=1)
    warnings.simplefilter("ignore")
    parameters = {"init": options.init, "hidden_layer_sizes": options.hidden}
    parameters = {name: value for name, value in parameters.items() if value}
    measure = partial(margins, n_seeds=options.seeds, parameters=parameters)
    print(f"{'data set':26}{'ours':>8}{'theirs':>8}{'margin':>9}{'+-':>8}")
    for kind, sets in (("MLPClassifier", CLASSIFICATION), ("MLPRegressor", REGRESSION)):
        for name, data in sets.items():
            if options.only not in name:
                continue
            ours, theirs = measure(data, kind, raw="raw" in name)
            margin = ours - theirs
            error = np.std(margin, ddof=1) / np.sqrt(len(margin))
            mark = "  below" if np.mean(margin) < -2 * error else ""
            print(
                f"{name:26}{ours.mean():8.3f}{theirs.mean():8.3f}"
                f"{margin.mean():9.3f}{error:8.3f}{mark}",
                flush=True,
            )


if __name__ == "__main__":
    main()
