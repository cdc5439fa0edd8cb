"""Time of a training step with each part, as a multiple of the plain step.

    python benchmarks/parts.py                     # every part
    python benchmarks/parts.py loss                # parts whose name contains this
    python benchmarks/parts.py --executor numpy    # without numba

The plain step is that of 64-100-10 on float32 data: ReLU, log loss, Adam and an L2
penalty. A part that needs other layers or outputs is compared with a plain step of that
network. The parts are read from the registries, so that new ones are included.
Initializers and L-BFGS, which make no steps, are excluded.

Runs are whole fits, alternately with and without a part. A figure is the ratio of the
shortest of many short runs, which are least affected by other programs.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from _steps import fit_step
from _timing import interleaved, start, use_kernels, write_json
from sknn_notes import MLPClassifier, MLPRegressor
from sknn_notes.activations import ACTIVATIONS
from sknn_notes.embeddings import EMBEDDINGS
from sknn_notes.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, LogLoss
from sknn_notes.noise import NOISES, ImageNoise
from sknn_notes.optimizers import OPTIMIZERS
from sknn_notes.penalties import PENALTIES, GroupLasso
from sknn_notes.schedules import SCHEDULES

N_INPUTS, N_OUTPUTS = 64, 10
BATCH_SIZES = 200, 32
# Batches of an epoch: so many that the fixed cost of an epoch is negligible.
N_BATCHES = 50

# The target of a part; None for parts that numpy computes batch by batch.
TARGET = 1.5
TARGETS: dict[str, float | None] = {
    **dict.fromkeys(
        [f"activation {name}" for name in ("elu", "gelu", "logistic", "silu", "tanh")],
        2.0,
    ),
    "loss hierarchical_softmax": 2.0,
    "loss hierarchical_softmax, binary": 2.0,
    "dropconnect": 2.0,
    # The first layer has more inputs.
    **{f"embedding {name}": None for name in EMBEDDINGS},
    "noise gaussian_noise": 2.2,
    **{
        f"noise {name}": None
        for name, noise in NOISES.items()
        if issubclass(noise, ImageNoise)
    },
}


class Step(NamedTuple):
    """A training step: the estimator, what it learns, and its parameters."""

    task: str = "multiclass"
    hidden: tuple = (100,)
    parameters: dict[str, Any] = {}
    weighted: bool = False

    def timed(self, batch_size, n_samples):
        """Return a contender: seconds per step of a fit that sees so many samples."""
        make: Callable = MLPRegressor if "output" in self.task else MLPClassifier
        estimator = make(
            hidden_layer_sizes=self.hidden, batch_size=batch_size, **self.parameters
        )
        n_epochs = max(1, n_samples // (batch_size * N_BATCHES))
        return fit_step(estimator, self.data(batch_size), n_epochs)

    def data(self, batch_size):
        """Return the inputs, the targets and the weights, if there are any."""
        rng = np.random.default_rng(0)
        n = batch_size * N_BATCHES
        # Pooling takes inputs of at least 0.
        X = rng.random((n, N_INPUTS), dtype=np.float32)
        y = {
            "multiclass": lambda: np.arange(n) % N_OUTPUTS,
            "binary": lambda: np.arange(n) % 2,
            "multilabel": lambda: rng.integers(2, size=(n, N_OUTPUTS)),
            # Above 0, as some losses need them.
            "one output": lambda: 1 - rng.random(n, dtype=np.float32),
            "outputs": lambda: 1 - rng.random((n, N_OUTPUTS), dtype=np.float32),
        }[self.task]()
        weights = (rng.random(n, dtype=np.float32) + 0.5,) if self.weighted else ()
        return X, y, *weights


def changed(**parameters):
    """Return the plain step with parameters changed, and the plain step."""
    return Step(parameters=parameters), Step()


def beside(plain, **parameters):
    """Return a plain step with parameters changed, and that step."""
    return plain._replace(parameters=parameters), plain


def cases():
    """Return the steps to compare, by the name of what they differ in."""
    return {
        **{f"activation {x}": changed(activation=x) for x in ACTIVATIONS},
        **loss_cases(),
        **{f"penalty {x}": changed(penalty=x) for x in PENALTIES},
        "penalty group_lasso, units": changed(penalty=GroupLasso(groups="units")),
        "penalty l1, max_norm": changed(penalty="l1", max_norm=1.0),
        **{
            f"solver {name}": changed(solver=name)
            for name, solver in OPTIMIZERS.items()
            if solver.stochastic
        },
        "solver sgd, no Nesterov": changed(solver="sgd", nesterovs_momentum=False),
        "solver sgd, l1": changed(solver="sgd", penalty="l1"),
        "batch_norm": changed(batch_norm=True),
        "layer_norm": changed(layer_norm=True),
        "residual, equal widths": beside(Step(hidden=(64, 64)), residual=True),
        "residual, one of two equal": beside(Step(hidden=(100, 100)), residual=True),
        "dropout": changed(dropout=0.5),
        "dropout, tanh": beside(
            Step(parameters={"activation": "tanh"}), activation="tanh", dropout=0.5
        ),
        "input_dropout": changed(input_dropout=0.2),
        "dropconnect": changed(dropconnect=0.5),
        "label_smoothing": changed(loss=LogLoss(label_smoothing=0.1)),
        # So small that they act in every step.
        "max_norm": changed(max_norm=1.0),
        "clip_norm": changed(clip_norm=1e-3),
        **{f"schedule {x}": changed(learning_rate=x) for x in SCHEDULES},
        "schedule of alpha": changed(alpha=SCHEDULES["cosine"](start=1e-4)),
        "schedule of dropout": (
            Step(parameters={"dropout": SCHEDULES["cosine"](start=0.5)}),
            Step(parameters={"dropout": 0.5}),
        ),
        "sample weights": (Step(weighted=True), Step()),
        "feature_scaling": changed(feature_scaling=True),
        **{f"embedding {x}": changed(embedding=x) for x in EMBEDDINGS},
        **{f"noise {x}": changed(augment=noise()) for x, noise in NOISES.items()},
        "float64": changed(dtype="float64"),
    }


def loss_cases():
    """Return the steps that differ in the loss; those of one output have their own."""
    found = {}
    for name, loss in CLASSIFICATION_LOSSES.items():
        suffixes = {
            "multiclass": "",
            "binary": ", binary",
            "multilabel": ", multilabel",
        }
        for task in loss.tasks:
            # Two classes have one output, as the plainest regression.
            plain = Step("one output") if task == "binary" else Step()
            step = Step(task, parameters={"loss": name})
            found[f"loss {name}{suffixes[task]}"] = step, plain
    for name in REGRESSION_LOSSES:
        for task in "one output", "outputs":
            found[f"loss {name}, {task}"] = beside(Step(task), loss=name)
    return found


def measure(step, plain, batch_size, options):
    """Return the seconds per step with and without a part, lists of the repeats."""
    contenders = {}
    for name, one in ("step", step), ("plain", plain):
        # Compiled functions are compiled before anything is timed.
        one.timed(batch_size, 0)()
        contenders[name] = one.timed(batch_size, options.samples)
    pause = 0.05 if options.threads > 1 else 0
    return interleaved(contenders, options.repeats, pause)


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="?", default="", help="part of a name")
    parser.add_argument("--executor", default="numba", choices=["numba", "numpy"])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--samples", type=int, default=60_000, help="that a fit sees")
    options = start(parser, threads=1)
    use_kernels(options.executor)

    print(f"{'part':34} {'target':>6}", *(f"{f'/{n}':>6}" for n in BATCH_SIZES))
    table, seconds = {}, {}
    for name, (step, plain) in cases().items():
        if options.only not in name:
            continue
        row = {"target": TARGETS.get(name, TARGET)}
        for batch_size in BATCH_SIZES:
            times = measure(step, plain, batch_size, options)
            row[f"/{batch_size}"] = min(times["step"]) / min(times["plain"])
            seconds[f"{name} /{batch_size}"] = {k: min(v) for k, v in times.items()}
        table[name] = row
        target = row["target"] or np.inf
        figures = [row[f"/{batch_size}"] for batch_size in BATCH_SIZES]
        cells = [f"{'' if target == np.inf else target:>6}"]
        cells += [f"{figure:6.2f}" for figure in figures]
        cells += ["above" for _ in [0] if max(figures) > target]
        print(f"{name:34}", *cells, flush=True)
    write_json(options, table=table, seconds_per_step=seconds)


if __name__ == "__main__":
    main()
