"""Time of a training step against the number of classes, and accuracy of the losses.

    python benchmarks/many_classes.py --threads 1
    python benchmarks/many_classes.py --threads 1 --airports

The first trains a network of 64 inputs and 128 hidden units by Adam with L2 on batches
of 128 and 100 to 100,000 classes: with the losses for many classes, with the full
softmax and with PyTorch's. Classes are drawn uniformly, so that most samples of a batch
have different classes, or from a log-uniform distribution, like words.

The time of a step is the difference of two calls of ``partial_fit``, with few and with
many batches, divided by the difference of their steps. For losses with idle rows, 2,048
steps are timed, in which all rows are updated twice.

``--airports`` fits whole models that predict the time zone of an airport, or the
division of its country, from longitude, latitude and elevation, and prints their
accuracies and times. It needs airportsdata.

Times are processor times, which are less affected by other programs.
"""

import argparse
from collections.abc import Callable
from functools import partial
from time import process_time

import numpy as np
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from _airports import Airports, geographic_tree
from _timing import interleaved, processor_seconds, start, write_json
from sknn_notes import MLPClassifier
from sknn_notes.losses import HierarchicalSoftmax, SampledSoftmax

SIZES = 100, 1_000, 10_000, 100_000
N_INPUTS, N_HIDDEN, BATCH = 64, 128, 128
DISTRIBUTIONS = "uniform", "log_uniform"
# Steps of the short run, and how many more the long one has.
LAZY = 200, 2_048
FULL = {100: (20, 1_000), 1_000: (20, 200), 10_000: (2, 20), 100_000: (1, 4)}


def draw(n_classes, n_samples, distribution, rng):
    """Return inputs and classes."""
    X = rng.standard_normal((n_samples, N_INPUTS), dtype=np.float32)
    if distribution == "uniform":
        return X, rng.integers(n_classes, size=n_samples)
    ranks = np.exp(rng.uniform(0, np.log(n_classes + 1), n_samples)) - 1
    return X, ranks.astype(int)


def our_run(loss, n_classes, distribution):
    """Return a function that trains for some steps and returns the seconds."""
    model = MLPClassifier(
        (N_HIDDEN,), loss=loss, batch_size=BATCH, solver="adam", random_state=0
    )
    X, y = draw(n_classes, BATCH, distribution, np.random.default_rng(0))
    model.partial_fit(X, y, classes=np.arange(n_classes))

    def run(n_steps):
        X, y = draw(n_classes, BATCH * n_steps, distribution, np.random.default_rng(1))
        return processor_seconds(lambda: model.partial_fit(X, y))

    return run


def torch_run(n_classes, distribution, threads):
    """Return the same of PyTorch, with its fused Adam."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    net = nn.Sequential(
        nn.Linear(N_INPUTS, N_HIDDEN), nn.ReLU(), nn.Linear(N_HIDDEN, n_classes)
    )
    loss = nn.CrossEntropyLoss()
    adam = torch.optim.Adam(net.parameters(), weight_decay=1e-4, fused=True)

    def run(n_steps):
        data = draw(n_classes, BATCH * n_steps, distribution, np.random.default_rng(1))
        X, y = map(torch.from_numpy, data)
        begin = process_time()
        for rows in torch.randperm(len(X)).split(BATCH):
            adam.zero_grad()
            loss(net(X[rows]), y[rows]).backward()
            adam.step()
        return process_time() - begin

    return run


def contenders_at(n_classes, distribution, options):
    """Return runs by name, and the numbers of their steps."""
    # The distribution of the classes, like "frequency", which partial_fit can't use.
    losses = {
        "hierarchical": HierarchicalSoftmax(),
        "sampled": SampledSoftmax(distribution=distribution),
        "full": "log_loss",
    }
    if distribution != "uniform":
        losses["sampled uniformly"] = SampledSoftmax(distribution="uniform")
    runs = {
        name: our_run(loss, n_classes, distribution) for name, loss in losses.items()
    }
    try:
        runs["PyTorch, full"] = torch_run(n_classes, distribution, options.threads)
    except ImportError:
        print("PyTorch is skipped: torch is not installed")
    steps = {name: FULL[n_classes] if "full" in name else LAZY for name in runs}
    return runs, steps


def steps_at(n_classes, distribution, options):
    """Return the shortest seconds per step by name."""
    runs, steps = contenders_at(n_classes, distribution, options)
    timed: dict[tuple, Callable] = {}
    for name, run in runs.items():
        run(1)
        few, more = steps[name]
        timed[name, "short"] = partial(run, few)
        timed[name, "long"] = partial(run, few + more)
    times = interleaved(timed, options.repeats)
    return {
        name: (min(times[name, "long"]) - min(times[name, "short"])) / steps[name][1]
        for name in runs
    }


def show_steps(distribution, table):
    """Print the steps for a distribution, their growth and the full softmax's ratio."""
    print(f"\nclasses with a {distribution} distribution: ms per step")
    names = list(table[SIZES[0]])
    print(f"{'classes':>18}", *(f"{name:>18}" for name in names))
    for n_classes, times in table.items():
        print(f"{n_classes:18,}", *(f"{1e3 * times[name]:18.3f}" for name in names))
    growth = (table[100_000][name] / table[1_000][name] for name in names)
    print(f"{'100,000 to 1,000':>18}", *(f"{ratio:17.1f}x" for ratio in growth))
    for n_classes in (10_000, 100_000):
        times = table[n_classes]
        ratios = (times["full"] / times[name] for name in names)
        what = f"faster at {n_classes:,}"
        print(f"{what:>18}", *(f"{ratio:17.1f}x" for ratio in ratios), flush=True)


# On airports.

FIT = {
    "hidden_layer_sizes": (128,),
    "embedding": "periodic",
    "batch_size": 128,
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "n_iter_no_change": np.inf,
}


def losses_for(y, places):
    """Return losses by name."""
    own = geographic_tree(y, places)
    return {
        "log_loss": "log_loss",
        "hierarchical, balanced": HierarchicalSoftmax(),
        "hierarchical, huffman": HierarchicalSoftmax(tree="huffman"),
        "hierarchical, geography": HierarchicalSoftmax(tree=own),
        "sampled, 16 drawn": SampledSoftmax(n_negatives=16, distribution="frequency"),
        "sampled, 64 drawn": SampledSoftmax(n_negatives=64, distribution="frequency"),
        "sampled, 256 drawn": SampledSoftmax(distribution="frequency"),
        "sampled, 256, uniform": SampledSoftmax(distribution="uniform"),
    }


def compare_on_airports(options):
    """Return accuracy, seconds of fit and prediction of every seed by task and loss."""
    airports, results = Airports(), {}
    for task in ("zones", "divisions"):
        found = results[task] = {}
        for seed in range(options.seeds):
            places, test_places, y, y_test = airports.located(task, seed)
            scaler = StandardScaler().fit(places)
            X, X_test = scaler.transform(places), scaler.transform(test_places)
            losses = losses_for(y, places)
            if seed == 0:
                print(
                    f"\n{task}: {len(np.unique(y)):,} classes, {len(y):,} rows, "
                    f"{len(y_test):,} for the test, {options.epochs} epochs"
                )
            for name, loss in losses.items():
                model = MLPClassifier(
                    loss=loss, max_iter=options.epochs, random_state=seed, **FIT
                )
                if seed == 0:
                    # Compiles.
                    clone(model).set_params(max_iter=1).fit(X, y)
                fit = processor_seconds(partial(model.fit, X, y))
                begin = process_time()
                accuracy = model.score(X_test, y_test)
                found.setdefault(name, []).append(
                    (accuracy, fit, process_time() - begin)
                )
        print(f"{'':24} {'accuracy':>15} {'fit, s':>8} {'predict, s':>11}")
        for name, rows in found.items():
            accuracies, fits, predictions = zip(*rows, strict=True)
            spread = np.std(accuracies, ddof=1) if len(rows) > 1 else 0.0
            print(
                f"{name:24} {np.mean(accuracies):7.3f} ± {spread:.3f} "
                f"{min(fits):8.1f} {min(predictions):11.2f}",
                flush=True,
            )
    return results


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--distributions", nargs="+", choices=DISTRIBUTIONS, default=DISTRIBUTIONS
    )
    parser.add_argument("--airports", action="store_true", help="fit whole models")
    parser.add_argument("--seeds", type=int, default=3, help="of the fits on airports")
    parser.add_argument("--epochs", type=int, default=20, help="of the same")
    options = start(parser, threads=1)
    if options.airports:
        write_json(options, airports=compare_on_airports(options))
        return
    results: dict[str, dict] = {}
    for distribution in options.distributions:
        results[distribution] = {
            size: steps_at(size, distribution, options) for size in SIZES
        }
        show_steps(distribution, results[distribution])
    write_json(options, seconds_per_step=results)


if __name__ == "__main__":
    main()
