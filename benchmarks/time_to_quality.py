"""Processor time until a network is as good as scikit-learn's default network.

    python benchmarks/time_to_quality.py                       # five sets, three seeds
    python benchmarks/time_to_quality.py --sets digits --seeds 0
    python benchmarks/time_to_quality.py --plot time_to_quality.svg

The target is the test score of a whole default fit of scikit-learn's network on the
same split. The time of a contestant is the processor time of its training, including
the preparation of the inputs, up to the first epoch whose test score reaches the
target; scoring is not included. Every seed gives a different split and seeds the
networks. Each measurement is preceded by a fit on a few rows, which imports libraries
and compiles loops, or reads them from disk.

Ratios are scikit-learn's time divided by the time of a contestant on the same split, so
that 4 means four times as fast: scikit-learn's time to the target, and in parentheses
that of its whole fit. They are medians over the seeds; a contestant that does not reach
the target on most of them has none. Regression targets are standardized for all.
"""

import argparse
from statistics import median

import numpy as np

from _quality_data import SETS, load
from _quality_traces import CONTESTANTS, trace
from _timing import PACKAGES, start, write_json

FIVE = ["digits", "mnist5k", "letter", "adult", "diamonds"]
ALL = [name for name in SETS if name != "yeast"]  # which has several targets
BASELINE = "scikit-learn"


def measure(name, seeds):
    """Return the traces of all contestants on a set, a list of the seeds each."""
    traces = {contestant: [] for contestant in CONTESTANTS}
    order = list(CONTESTANTS)
    for seed in seeds:
        split = _with_standardized_target(load(name, seed))
        for contestant in order:
            trace(contestant, split.few(), seed)
            traces[contestant].append(trace(contestant, split, seed))
        order.reverse()
    return traces


def _with_standardized_target(split):
    if split.kind != "regression":
        return split
    mean, std = split.y_train.mean(), split.y_train.std()
    return split._replace(
        y_train=(split.y_train - mean) / std, y_test=(split.y_test - mean) / std
    )


def seconds_to(trace, mark):
    """Return the time of the first epoch that reaches the target, or infinity."""
    pairs = zip(trace["seconds"], trace["scores"], strict=True)
    return next((seconds for seconds, score in pairs if score >= mark), np.inf)


def summarize(traces):
    """Return the targets, and the times and ratios of each contestant, by seed."""
    marks = [trace["scores"][-1] for trace in traces[BASELINE]]
    to_mark = {
        contestant: [seconds_to(*pair) for pair in zip(runs, marks, strict=True)]
        for contestant, runs in traces.items()
    }
    whole = [trace["seconds"][-1] for trace in traces[BASELINE]]
    return marks, {
        contestant: {
            "seconds": times,
            "whole fit": [trace["seconds"][-1] for trace in traces[contestant]],
            "ratio": _ratios(to_mark[BASELINE], times),
            "ratio to whole fit": _ratios(whole, times),
            "last score": [trace["scores"][-1] for trace in traces[contestant]],
        }
        for contestant, times in to_mark.items()
    }


def _ratios(ones, others):
    return [one / other for one, other in zip(ones, others, strict=True)]


def print_set(name, traces):
    marks, by_contestant = summarize(traces)
    print(f"{name}: scikit-learn's default score {_range(marks)}")
    for contestant, found in by_contestant.items():
        times = found["seconds"]
        n_never = sum(np.isinf(times))
        never = f"  never on {n_never} of {len(times)}" if n_never else ""
        print(
            f"  {contestant:14}{_seconds(median(times)):>8}"
            f" of {median(found['whole fit']):6.2f} s"
            f"{_times(median(found['ratio'])):>8}"
            f" ({_times(median(found['ratio to whole fit']))})"
            f"  last score {median(found['last score']):.4f}{never}",
            flush=True,
        )


def _range(values):
    return f"{median(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def _seconds(value):
    return "never" if np.isinf(value) else f"{value:.3f}"


def _times(ratio):
    """Return a ratio to two digits, or as a whole number."""
    if ratio == 0:
        return "never"
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:#.2g}"


def print_ratios(results):
    """Print the ratios, a row for each set, and their medians over the sets."""
    names = [name for name in CONTESTANTS if name != BASELINE]
    print(f"\n{'times as fast':16}", *(f"{name:>14}" for name in names))
    columns = {name: [] for name in names}
    for data_set, traces in results.items():
        by_contestant = summarize(traces)[1]
        cells = []
        for name in names:
            found = by_contestant[name]
            pair = median(found["ratio"]), median(found["ratio to whole fit"])
            columns[name].append(pair)
            cells.append(f"{_times(pair[0])} ({_times(pair[1])})")
        print(f"{data_set:16}", *(f"{cell:>14}" for cell in cells))
    medians = [np.median(pairs, axis=0) for pairs in columns.values()]
    cells = [f"{_times(one)} ({_times(other)})" for one, other in medians]
    print(f"{'median':16}", *(f"{cell:>14}" for cell in cells))


def plot(results, path):
    """Draw the scores against processor time, a panel for each set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.5), layout="constrained")
    panels = figure.subplots(2, -(-(len(results) + 1) // 2), squeeze=False).ravel()
    for panel, (name, traces) in zip(panels, results.items(), strict=False):
        mark = median(run["scores"][-1] for run in traces[BASELINE])
        panel.axhline(mark, color="0.4", linestyle="--", label="scikit-learn's default")
        curves = {contestant: _median(runs) for contestant, runs in traces.items()}
        for i, (contestant, (seconds, scores)) in enumerate(curves.items()):
            panel.semilogx(seconds, scores, color=f"C{i}", label=contestant)
            panel.plot(seconds[-1], scores[-1], "o", color=f"C{i}", markersize=4)
        top = max(scores.max() for _, scores in curves.values())
        panel.set(
            title=name, ylim=_limits(mark, top), xlabel="seconds of processor time"
        )
        panel.grid(alpha=0.3)
    for panel in panels[len(results) :]:
        panel.set_axis_off()
    panels[len(results)].legend(*panels[0].get_legend_handles_labels(), loc="center")
    for panel in panels[:: len(panels) // 2]:
        panel.set_ylabel("test score")
    figure.savefig(path)


def _median(runs):
    """Return the medians of times and scores over the seeds, one per epoch.

    A run that has ended is represented by its last epoch.
    """
    n_epochs = max(len(run["scores"]) for run in runs)

    def middle(what):
        missing = [n_epochs - len(run[what]) for run in runs]
        padded = [
            run[what] + run[what][-1:] * n for run, n in zip(runs, missing, strict=True)
        ]
        return np.median(padded, axis=0)

    return middle("seconds"), middle("scores")


def _limits(mark, top):
    height = np.clip(4 * (top - mark), 0.02, 0.06)
    return mark - height, top + height / 10


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=ALL, default=FIVE)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--plot", metavar="FILE", help="draw the scores (.png, .svg)")
    options = start(parser, threads=1)
    results = {}
    for name in options.sets:
        results[name] = measure(name, options.seeds)
        print_set(name, results[name])
    print_ratios(results)
    write_json(options, (*PACKAGES, "torch", "skorch"), traces=results)
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
