"""What each hyperparameter moves: one change to the default network at a time.

    python benchmarks/tuning.py                             # what is missing, 2 seeds
    python benchmarks/tuning.py --changes "dropout=0.25" --again
    python benchmarks/tuning.py --table                     # the results so far
    python benchmarks/tuning.py --rst docs/tuning_results.rst

The data sets are the tables of `quality.py`, of at most 4,000 rows. Every result goes
into a JSON file as soon as it is there, and is not measured again. The baseline is the
network as it comes, in a pipeline that standardizes the inputs. ``CHANGES`` are made to
it one at a time, ``STEPS`` on top of each other.
"""

import argparse
import pathlib
import warnings

import numpy as np
from sklearn.preprocessing import StandardScaler

import sknn_notes
from _quality_data import SETS, load
from _quality_models import OUR_PACKAGES, standardized
from _timing import installed_versions, start
from _tuning_tables import rst_tables, text_tables
from quality import measure, read, update
from sknn_notes import RobustStandardizer
from sknn_notes.losses import LogLoss

RESULTS = pathlib.Path(__file__).with_name("tuning.json")
MAX_ROWS = 4000
TABLES = [name for name in SETS if name != "mnist5k"]
ONE_CYCLE = {
    "learning_rate": "onecycle",
    "learning_rate_init": 0.01,
    "max_iter": 30,
    "n_iter_no_change": np.inf,
}

# A change is a dict of the network's parameters, by a name for the table. "scaler" is
# the step before the network.
CHANGES = {
    "default": {},
    "no scaling of inputs": {"scaler": "passthrough"},
    "RobustStandardizer()": {"scaler": RobustStandardizer()},
    "early_stopping=True": {"early_stopping": True},
    "one cycle, 30 epochs": ONE_CYCLE,
    "learning_rate_init=0.0003": {"learning_rate_init": 0.0003},
    "learning_rate_init=0.003": {"learning_rate_init": 0.003},
    "learning_rate_init=0.01": {"learning_rate_init": 0.01},
    "batch_size=32": {"batch_size": 32},
    "max_iter=50": {"max_iter": 50},
    'solver="adamw", alpha=0.1': {"solver": "adamw", "alpha": 0.1},
    'solver="sgd", rate 0.1': {"solver": "sgd", "learning_rate_init": 0.1},
    'solver="lbfgs"': {"solver": "lbfgs"},
    "256 units": {"hidden_layer_sizes": (256,)},
    "two layers of 100": {"hidden_layer_sizes": (100, 100)},
    'activation="gelu"': {"activation": "gelu"},
    'activation="tanh"': {"activation": "tanh"},
    "batch_norm=True": {"batch_norm": True},
    "layer_norm=True": {"layer_norm": True},
    'init="he_uniform"': {"init": "he_uniform"},
    'init="orthogonal"': {"init": "orthogonal"},
    'embedding="piecewise_linear"': {"embedding": "piecewise_linear"},
    'embedding="periodic"': {"embedding": "periodic"},
    "alpha=0.001": {"alpha": 0.001},
    "alpha=0.01": {"alpha": 0.01},
    "dropout=0.1": {"dropout": 0.1},
    "dropout=0.25": {"dropout": 0.25},
    "dropout=0.5": {"dropout": 0.5},
    "input_dropout=0.1": {"input_dropout": 0.1},
    "max_norm=3": {"max_norm": 3.0},
    "label smoothing by 0.1": {"loss": LogLoss(label_smoothing=0.1)},
    "n_networks=3": {"n_networks": 3},
    "n_networks=5, early_stopping=True": {"n_networks": 5, "early_stopping": True},
    'dtype="float32"': {"dtype": "float32"},
}
STEPS = {
    "1. one cycle, 30 epochs": ONE_CYCLE,
    "2. batch_size=64": {"batch_size": 64},
    "3. two layers of 128": {"hidden_layer_sizes": (128, 128)},
    '4. solver="adamw", alpha=0.1': {"solver": "adamw", "alpha": 0.1},
    "5. dropout=0.1": {"dropout": 0.1},
    "6. label smoothing by 0.1": {"loss": LogLoss(label_smoothing=0.1)},
    '7. embedding="piecewise_linear"': {"embedding": "piecewise_linear"},
    "8. n_networks=3": {"n_networks": 3},
}

# The changes of each table: one at a time, on top of each other, by data set.
LISTED = [
    list(CHANGES)[1:],
    list(STEPS),
    {
        "early_stopping=True": "early stopping",
        "dropout=0.25": "dropout 0.25",
        "alpha=0.01": "alpha 0.01",
        "two layers of 100": "two layers",
        'embedding="piecewise_linear"': "piecewise linear",
        **{name: f"step {name[0]}" for name in list(STEPS)[-3:]},
    },
]


def all_changes():
    """Return what is measured, by name: the changes, and the steps added up."""
    changes, so_far = dict(CHANGES), {}
    for name, step in STEPS.items():
        so_far = so_far | step
        changes[name] = so_far
    return changes


def make(change, kind, frame, seed):
    """Return the changed pipeline, or None where the change is for classes alone."""
    parameters = dict(change)
    if kind != "classification" and parameters.pop("loss", None) and not parameters:
        return None
    scaler = parameters.pop("scaler", StandardScaler())
    regression = kind == "regression"
    network = sknn_notes.MLPRegressor if regression else sknn_notes.MLPClassifier
    return standardized(network(random_state=seed, **parameters), frame, scaler)


def run(options, path):
    """Measure what is missing, all changes of a split at once."""
    changes = all_changes()
    for seed in options.seeds:
        for set_name in options.sets:
            split = None
            for name in options.changes:
                key = f"{name}/{set_name}/{seed}"
                if key in read(path) and not options.again:
                    continue
                split = split or load(set_name, seed, MAX_ROWS)
                frame = hasattr(split.X_train, "iloc")
                estimator = make(changes[name], split.kind, frame, seed)
                if estimator is None:
                    continue
                result = measure(estimator, split)
                result["versions"] = installed_versions(OUR_PACKAGES)
                update(path, {key: result})
                print(
                    f"{key:52}{result['score']:8.4f}{result['cpu']:9.2f} s", flush=True
                )


def tables_for_docs(path=RESULTS):
    """Return both tables as reStructuredText."""
    return rst_tables(read(path), TABLES, *LISTED)


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(all_changes())
    parser.add_argument("--changes", nargs="+", choices=names, default=names)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=TABLES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[3, 4])
    parser.add_argument(
        "--again", action="store_true", help="measure what is in the file, too"
    )
    parser.add_argument(
        "--table", action="store_true", help="print the results, measure nothing"
    )
    parser.add_argument("--rst", metavar="FILE", help="write the tables for the docs")
    options = start(parser, threads=1)
    warnings.simplefilter("ignore")
    path = pathlib.Path(options.json or RESULTS)
    if options.rst:
        pathlib.Path(options.rst).write_text(tables_for_docs(path))
    if options.table:
        print(text_tables(read(path), TABLES, *LISTED))
    if not (options.table or options.rst):
        run(options, path)


if __name__ == "__main__":
    main()
