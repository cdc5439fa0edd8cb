"""Time of a step of one network on the device, on the CPU and in other libraries."""

import importlib.util
from functools import lru_cache
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np

from _device import classifier, compiled, on_card, sample, say, timed_fit
from _steps import Configuration

RATE, PENALTY, DROPOUT = 1e-3, 1e-4, 0.2
TARGETS = {256: 25, 2048: 40}
WIDTHS = 100, 256, 512, 1024, 2048, 4096
# A step of the CPU that would take longer is skipped.
LONGEST = 0.15


def configurations(card):
    """Return the networks to time."""
    if not card.is_gpu:
        return [Configuration(20, (16, 16), 10, 32)]
    wide = [Configuration(784, (1024,) * 3, 10, size) for size in TARGETS]
    return [*wide, Configuration(64, (100,), 10, 200)]


def network(configuration, n_epochs, device=None):
    """Return this library's classifier for a configuration."""
    return classifier(
        configuration.hidden,
        batch_size=configuration.batch_size,
        dropout=DROPOUT,
        learning_rate_init=RATE,
        alpha=PENALTY,
        max_iter=n_epochs,
        device=device,
    )


@lru_cache(maxsize=4)
def data(configuration, n_batches):
    """Return the data of an epoch of full batches."""
    n_rows = n_batches * configuration.batch_size
    return sample(n_rows, configuration.n_inputs, configuration.n_classes)


def ours(card, configuration, n_batches, n_epochs, always=False):
    """Return the seconds of a step of this library on the device, and of its set-up."""
    with compiled(always):
        estimator = network(configuration, n_epochs, card.name)
        spans = timed_fit(estimator, *data(configuration, n_batches))
    return spans.epoch() / n_batches, spans.set_up()


def on_cpu(configuration, n_threads, n_batches=6, n_epochs=4):
    """Return the seconds of a step of this library on the CPU."""
    estimator = network(configuration, n_epochs)
    spans = timed_fit(estimator, *data(configuration, n_batches), n_threads)
    return spans.epoch() / n_batches


def _net(configuration):
    from torch import nn

    *hidden, n_classes = configuration.units[1:]
    layers, n_inputs = [], configuration.n_inputs
    for width in hidden:
        layers += [nn.Linear(n_inputs, width), nn.ReLU(), nn.Dropout(DROPOUT)]
        n_inputs = width
    return nn.Sequential(*layers, nn.Linear(n_inputs, n_classes))


def eager(card, configuration, n_batches, n_epochs):
    """Return the seconds of a step of PyTorch: eager, fused Adam, data on the device.

    Rows are gathered by a permutation that the device draws.
    """
    torch = card.torch
    X, y = (
        torch.asarray(each, device=card.name) for each in data(configuration, n_batches)
    )
    net, loss = _net(configuration).to(card.name), torch.nn.CrossEntropyLoss()
    adam = torch.optim.Adam(net.parameters(), RATE, weight_decay=PENALTY, fused=True)

    def epoch():
        order = torch.randperm(len(X), device=card.name)
        for rows in order.split(configuration.batch_size):
            adam.zero_grad()
            loss(net(X[rows]), y[rows]).backward()
            adam.step()

    return _per_step(card, epoch, n_batches, n_epochs)


def skorch(card, configuration, n_batches, n_epochs):
    """Return the seconds of a step of skorch; None where it is not installed."""
    if importlib.util.find_spec("skorch") is None:
        return None
    import torch
    from skorch import NeuralNetClassifier

    X, y = data(configuration, n_batches)
    net = NeuralNetClassifier(
        _net(configuration),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        optimizer__weight_decay=PENALTY,
        lr=RATE,
        max_epochs=1,
        batch_size=configuration.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks="disable",
        verbose=0,
        device=card.name,
    ).initialize()
    return _per_step(card, lambda: net.partial_fit(X, y), n_batches, n_epochs)


def _per_step(card, epoch, n_batches, n_epochs):
    seconds = []
    for _ in range(1 + n_epochs):
        card.synchronize()
        begin = perf_counter()
        epoch()
        card.synchronize()
        seconds.append(perf_counter() - begin)
    return median(seconds[1:]) / n_batches


def one(card, configuration, report, options):
    """Time a configuration in all libraries; print and return its row."""
    # 60,000 rows in an epoch.
    n_batches = card.pick(-(-60_000 // configuration.batch_size), 5)
    n_epochs, few = card.pick(8, 3), min(n_batches, 30)
    # Exclude the one-time set-up of the libraries of the device.
    ours(card, configuration, 2, 2)
    row = {}
    row["GPU"], row["set-up"] = ours(card, configuration, n_batches, n_epochs)
    if options.compiled:
        row["compiled"], row["set-up, compiled"] = ours(
            card, configuration, n_batches, n_epochs, always=True
        )
    row["PyTorch eager"] = eager(card, configuration, few, 5)
    row["skorch"] = skorch(card, configuration, min(few, 12), 3)
    for n_threads in card.pick([8, 16], [1, 2]):
        row[f"CPU, {n_threads}"] = on_cpu(configuration, n_threads)
    products = 6 * configuration.batch_size * n_weights(configuration)
    row["TFLOP/s"] = 1e-12 * products / row["GPU"]
    row = {name: value for name, value in row.items() if value is not None}
    say(configuration.name)
    for name, value in row.items():
        if name == "TFLOP/s":
            say(f"  {name:18} {value:8.2f}")
        elif "set-up" in name:
            say(f"  {name:18} {value:8.2f} s")
        else:
            say(f"  {name:18} {1e3 * value:8.3f} ms {value / row['GPU']:8.2f} x ours")
    compare(configuration, row, report)
    return row


def compare(configuration, row, report):
    """Compare a row with the targets."""
    name, size, best = configuration.name, configuration.batch_size, row["GPU"]
    if size in TARGETS:
        for step in sorted({"GPU", "compiled"} & row.keys()):
            ratio = row["CPU, 8"] / row[step]
            what = f"{name}: {step}, times as fast as 8 threads of the CPU"
            report.target(what, ratio, least=TARGETS[size])
    for other in ("PyTorch eager", "skorch"):
        if other in row:
            report.target(
                f"{name}: times as fast as {other}", row[other] / best, least=1
            )


def n_weights(configuration):
    """Return how many weights the matrices of a network have."""
    return sum(fan_in * fan_out for fan_in, fan_out in pairwise(configuration.units))


def sizes(card):
    """Time two hidden layers of several widths; return where the GPU is faster."""
    all_cores = card.pick([1, 8], [1, 2])
    say(f"64-w-w-10, {'w':>5} {'batch':>6} {'GPU ms':>9}")
    rows = []
    for size in card.pick([200, 2048], [50]):
        found = []
        for width in card.pick(WIDTHS, [16, 32]):
            configuration = Configuration(64, (width, width), 10, size)
            row = {"width": width, "batch": size, "weights": n_weights(configuration)}
            row["GPU"], _ = ours(card, configuration, card.pick(20, 3), 6)
            line = f"{width:16} {size:6} {1e3 * row['GPU']:9.3f}"
            for n_threads in all_cores:
                name = f"CPU, {n_threads}"
                if _expected(found, name, row) < LONGEST:
                    row[name] = on_cpu(configuration, n_threads, 3)
                    ratio = row[name] / row["GPU"]
                    line += f"  {name}: {1e3 * row[name]:8.2f} ms ({ratio:5.1f} x)"
            say(line)
            found.append(row)
        for n_threads in all_cores:
            name = f"CPU, {n_threads}"
            ahead = [row["width"] for row in found if row.get(name, 0) > row["GPU"]]
            first = f"from width {min(ahead)}" if ahead else "at none of these"
            say(f"  batches of {size}: ahead of {name} {first}")
        rows += found
    return rows


def _expected(rows, name, row):
    """Return the expected seconds of a step from the previous network; 0 if unknown."""
    if not rows:
        return 0.0
    return rows[-1].get(name, np.inf) * row["weights"] / rows[-1]["weights"]


@on_card
def run(card, report, options):
    """Time the three networks, and the sizes."""
    options.compiling.wait()
    rows = {c.name: one(card, c, report, options) for c in configurations(card)}
    return {"networks": rows, "sizes": sizes(card)}
