"""Scores and processor time of models with default parameters on tables.

    python benchmarks/quality.py                             # what is missing, 3 seeds
    python benchmarks/quality.py --contestants ours --again  # measure ours again
    python benchmarks/quality.py --table                     # the results so far
    python benchmarks/quality.py --rst docs/quality_results.rst
    python benchmarks/quality.py --plot docs/_static/quality.svg

Every result is written to a JSON file immediately, and is not measured again: an
interrupted run can be continued, and several processes can write to one file. Each seed
gives a different split of the data and seeds the models. The time is the processor time
of ``fit`` on one thread. It is preceded by a fit on a few rows, which imports libraries
and compiles loops, or reads them from disk.
"""

import argparse
import fcntl
import json
import os
import pathlib
import warnings
from time import perf_counter, process_time

from sklearn.base import clone

from _quality_data import SETS, load
from _quality_models import CONTESTANTS, available
from _quality_plot import plot
from _quality_tables import rst_tables, text_tables
from _timing import installed_versions, start

RESULTS = pathlib.Path(__file__).with_name("quality.json")


def update(path, new):
    """Add results to the file, which other processes may be writing to."""
    with open(path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        results = json.loads(file.read() or "{}") | new
        lines = [f"{json.dumps(k)}: {json.dumps(results[k])}" for k in sorted(results)]
        file.truncate(0)
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def read(path):
    """Return the results, by "contestant/set/seed"."""
    if not path.exists():
        return {}
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        return json.loads(file.read() or "{}")


def measure(estimator, split):
    """Return the score of an estimator, and the seconds that its fit takes."""
    few = split.few()
    clone(estimator).fit(few.X_train, few.y_train)
    wall, cpu = perf_counter(), _processor_seconds()
    estimator.fit(split.X_train, split.y_train)
    wall, cpu = perf_counter() - wall, _processor_seconds() - cpu
    score = split.score(estimator.predict(split.X_test))
    return {
        "kind": split.kind,
        "score": round(score, 6),
        "cpu": round(cpu, 3),
        "wall": round(wall, 3),
    }


def _processor_seconds():
    # All threads of this process, and child processes that have ended.
    return process_time() + sum(os.times()[2:4])


def run(options, path):
    """Measure what is missing, one set after another."""
    contestants = available(options.contestants)
    for seed in options.seeds:
        for name in options.sets:
            split = None
            for contestant, make in contestants.items():
                key = f"{contestant}/{name}/{seed}"
                if key in read(path) and not options.again:
                    continue
                split = split or load(name, seed)
                frame = hasattr(split.X_train, "iloc")
                estimator = make(split.kind, frame, seed)
                if estimator is None:
                    continue
                result = measure(estimator, split)
                result["versions"] = installed_versions(CONTESTANTS[contestant][2])
                update(path, {key: result})
                print(
                    f"{key:28}{result['score']:8.4f}{result['cpu']:10.2f} s", flush=True
                )


def tables_for_docs(path=RESULTS):
    """Return both tables as reStructuredText."""
    return rst_tables(read(path), list(SETS))


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS)
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--again", action="store_true", help="measure what is in the file, too"
    )
    parser.add_argument("--merge", metavar="FILE", help="add another file's results")
    parser.add_argument(
        "--table", action="store_true", help="print the results, measure nothing"
    )
    parser.add_argument("--rst", metavar="FILE", help="write the tables for the docs")
    parser.add_argument("--plot", metavar="FILE", help="draw the gains (.png, .svg)")
    options = start(parser, threads=1)
    warnings.simplefilter("ignore")
    path = pathlib.Path(options.json or RESULTS)
    if options.merge:
        update(path, read(pathlib.Path(options.merge)))
    if options.rst:
        pathlib.Path(options.rst).write_text(tables_for_docs(path))
    if options.plot:
        plot(read(path), list(SETS), options.plot)
    if options.table:
        print(text_tables(read(path), list(SETS)))
    if not (options.table or options.rst or options.plot or options.merge):
        run(options, path)


if __name__ == "__main__":
    main()
