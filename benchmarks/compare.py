"""Time of a training step in one revision of this repository relative to another.

    python benchmarks/compare.py main HEAD

Both revisions are checked out in temporary worktrees, which are removed at the end, and
train in separate processes that alternate. The measuring programs are those next to
this file, whatever the revisions contain. Each revision runs with its fastest kernels,
and with those in plain numpy.

The table shows the time of HEAD divided by that of BASE: the median and the range over
all repeats, and the ratio of the shortest times, which is least affected by noise.
Compare a revision with itself to measure the noise. Uncommitted changes are not
measured.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from statistics import median

from _steps import CONFIGURATIONS, epochs_for
from _timing import interleaved, start, write_json

HERE = pathlib.Path(__file__).resolve().parent


def git(*arguments):
    """Run git on this repository and return what it prints."""
    command = ["git", "-C", str(HERE), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return done.stdout


@contextmanager
def checkout(revision, path):
    """Check out a revision in a worktree at ``path``."""
    git("worktree", "add", "--quiet", "--detach", str(path), revision)
    try:
        yield path
    finally:
        git("worktree", "remove", "--force", str(path))


@contextmanager
def worker(path):
    """Start a process that trains with the package at ``path``; yield its interface."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "_worker.py")],
        env=os.environ | {"PYTHONPATH": str(path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def step(**request):
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The process that trains with {path} has ended.")
        return float(answer)

    try:
        yield step
    finally:
        process.kill()
        process.communicate()


def compare(paths, cases, options):
    """Return the seconds per step, {case: {"base": [...], "head": [...]}}."""
    times = {case: {name: [] for name in paths} for case in cases}
    for _ in range(options.rounds):
        # New processes, since the location of their memory affects the speed.
        with ExitStack() as stack:
            steps = {
                name: stack.enter_context(worker(path)) for name, path in paths.items()
            }
            for case, request in cases.items():
                contenders = {
                    name: lambda step=step, request=request: step(**request)
                    for name, step in steps.items()
                }
                interleaved(contenders, 1)  # compiles
                for name, runs in interleaved(contenders, options.repeats).items():
                    times[case][name] += runs
    return times


def report(times):
    """Print one line per case."""
    print(f"{'head / base':32} {'median':>8} {'range':>14} {'shortest':>9}")
    for case, runs in times.items():
        ratios = [
            head / base for base, head in zip(runs["base"], runs["head"], strict=True)
        ]
        spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
        shortest = min(runs["head"]) / min(runs["base"])
        print(f"{case:32} {median(ratios):8.3f} {spread:>14} {shortest:9.3f}")


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("head")
    parser.add_argument("--only", default="", help="part of a configuration's name")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of processes")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each pair")
    parser.add_argument("--seconds", type=float, default=0.2, help="of one turn")
    options = start(parser)
    # Remove the worktrees on termination.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cases = {
        f"{configuration.name} {kernels or 'fastest'}": {
            "configuration": configuration,
            "kernels": kernels,
            "n_epochs": epochs_for(configuration, options.seconds),
        }
        for configuration in CONFIGURATIONS[:6]
        if options.only in configuration.name
        for kernels in (None, "numpy")
    }
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        paths = {
            name: stack.enter_context(checkout(revision, pathlib.Path(scratch, name)))
            for name, revision in (("base", options.base), ("head", options.head))
        }
        times = compare(paths, cases, options)
    report(times)
    revisions = {
        name: git("rev-parse", getattr(options, name)).strip()
        for name in ("base", "head")
    }
    write_json(options, revisions=revisions, seconds_per_step=times)


if __name__ == "__main__":
    main()
