"""Time of a training step, compared with other libraries and matrix products alone.

    python benchmarks/training.py --threads 1    # every configuration
    python benchmarks/training.py 64-100-10/200  # networks whose name contains this

All contenders train the same network, ReLU and softmax, with Adam and an L2 penalty on
the same float32 data, in shuffled batches of the same size, for the same number of
epochs and on the same number of threads. The time excludes compilation.

=============  =====================================================================
ours           a whole ``fit``, including validation, with every installed kernel set
scikit-learn   a whole ``fit``
products       the ``np.dot`` calls of a step, into arrays that exist already
PyTorch        the training loop alone, eager, with fused Adam; rows gathered by index
skorch         a whole ``fit`` of that network, without validation split and callbacks
JAX            the training loop alone: an epoch compiled as one function
=============  =====================================================================

A variant, such as dropout, is compared with the network without it, and its additional
time is given in percent. Runs are interleaved and repeated; every figure except the
first is a median of the ratios of two runs in the same repeat.
"""

import argparse
from statistics import median

import _peers
from _steps import CONFIGURATIONS, epochs_for, our_step, products_step, sklearn_step
from _timing import PACKAGES, interleaved, ratio, start, write_json
from sknn_notes import _kernels

VARIANTS = {
    "dropout": {"dropout": 0.5},
    "batch norm": {"batch_norm": True},
    "max norm": {"max_norm": 3.0},
    "hinge": {"loss": "hinge"},
}


def measure(configuration, peers, variants, options):
    """Return the seconds per step of every contender, a list of the repeats by name."""
    data = configuration.data()
    n_epochs = epochs_for(configuration, options.seconds)
    contenders = {}
    for kernels in _kernels.available():
        for variant in ["", *variants]:
            contenders[f"{kernels} {variant}".strip()] = our_step(
                configuration, data, n_epochs, kernels, **VARIANTS.get(variant, {})
            )
            # Compiled functions are compiled before anything is timed.
            our_step(configuration, data, 1, kernels, **VARIANTS.get(variant, {}))()
    contenders["scikit-learn"] = sklearn_step(configuration, data, n_epochs)
    contenders["products"] = products_step(configuration, n_epochs)
    for name, make in peers.items():
        make(configuration, data, 1)()
        contenders[name] = make(configuration, data, n_epochs)
    return interleaved(contenders, options.repeats)


def ratios(times, kernels, peers, variants):
    """Return what the table shows of one kernel set, by the column's name."""
    row = {
        "us/step": 1e6 * median(times[kernels]),
        "/products": ratio(times, kernels, "products"),
    }
    for peer in ["scikit-learn", *peers]:
        row[f"{peer}/"] = ratio(times, peer, kernels)
    for variant in variants:
        row[f"+{variant} %"] = 100 * (ratio(times, f"{kernels} {variant}", kernels) - 1)
    return row


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="?", default="", help="part of a configuration")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one run of ours")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--variants", action=argparse.BooleanOptionalAction, default=True
    )
    options = start(parser)
    peers = _peers.available(options.threads) if options.peers else {}
    variants = list(VARIANTS) if options.variants else []

    results, table = {}, {}
    for configuration in CONFIGURATIONS:
        name = configuration.name
        if options.only not in name:
            continue
        times = results[name] = measure(configuration, peers, variants, options)
        for kernels in _kernels.available():
            row = ratios(times, kernels, peers, variants)
            if not table:
                print(f"{'configuration':26} {'ours':6}", *(f"{c:>13}" for c in row))
            table[f"{name} {kernels}"] = row
            values = (f"{value:13.{0 if value > 99 else 2}f}" for value in row.values())
            print(f"{name:26} {kernels:6}", *values, flush=True)
    packages = (*PACKAGES, "torch", "skorch", "jax", "optax")
    write_json(options, packages, table=table, seconds_per_step=results)


if __name__ == "__main__":
    main()
