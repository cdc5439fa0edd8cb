"""Time of a training step against the size of the network, the batch and the classes.

    python benchmarks/scaling.py --threads 1 --plot scaling.svg

One network of 64 inputs, two hidden layers of 128 units, 10 classes and batches of 200
is varied in one direction at a time. The interleaved measurements are a step of this
library with every kernel set, of scikit-learn's MLPClassifier, and of the matrix
products alone.
"""

import argparse
from statistics import median

from _steps import Configuration, epochs_for, our_step, products_step, sklearn_step
from _timing import interleaved, ratio, start, write_json
from sknn_notes import _kernels

BASE = Configuration(64, (128, 128), 10, 200)

# What grows -> the configuration at each size.
SWEEPS = {
    "width": {n: BASE._replace(hidden=(n, n)) for n in (32, 64, 128, 256, 512, 1024)},
    "depth": {n: BASE._replace(hidden=(128,) * n) for n in range(1, 7)},
    "batch size": {
        n: BASE._replace(batch_size=n) for n in (16, 32, 64, 128, 256, 512, 1024, 2048)
    },
    "classes": {n: BASE._replace(n_classes=n) for n in (2, 5, 10, 30, 100, 300, 1000)},
}


def measure(configuration, options):
    """Return the seconds per step of every contender, a list of the repeats by name."""
    data = configuration.data()
    n_epochs = epochs_for(configuration, options.seconds)
    contenders = {}
    for kernels in _kernels.available():
        our_step(configuration, data, 1, kernels)()  # compiles
        contenders[f"ours, {kernels}"] = our_step(
            configuration, data, n_epochs, kernels
        )
    contenders["scikit-learn"] = sklearn_step(configuration, data, n_epochs)
    contenders["products"] = products_step(configuration, n_epochs)
    return interleaved(contenders, options.repeats)


def plot(results, path):
    """Draw the median time of every contender, a panel for each sweep."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    figure = Figure(figsize=(9, 7), layout="constrained")
    panels = figure.subplots(2, 2).flat
    for panel, (what, sweep) in zip(panels, results.items(), strict=True):
        sizes = list(sweep)
        for name in sweep[sizes[0]]:
            panel.loglog(
                sizes,
                [1e6 * median(sweep[size][name]) for size in sizes],
                marker="o",
                linestyle="--" if name == "products" else "-",
                color="0.4" if name == "products" else None,
                label="matrix products alone" if name == "products" else name,
            )
        panel.set_xticks(sizes)
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set(xlabel=what, ylabel="µs per step")
        panel.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.savefig(path)


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one run of ours")
    parser.add_argument("--plot", metavar="FILE", help="draw the times (.png, .svg)")
    options = start(parser)
    results: dict[str, dict] = {}
    for what, sweep in SWEEPS.items():
        results[what] = {}
        for size, configuration in sweep.items():
            times = results[what][size] = measure(configuration, options)
            others = [name for name in times if name != "products"]
            if len(results) == len(results[what]) == 1:
                print(f"{'':16} {'products':>12}", *(f"{n:>16}" for n in others))
            print(
                f"{what:10} {size:5} {1e6 * median(times['products']):9.0f} us",
                *(f"{ratio(times, name, 'products'):15.2f}x" for name in others),
                flush=True,
            )
    write_json(options, seconds_per_step=results)
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
