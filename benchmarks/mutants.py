"""Mutation testing: does a test fail if the source is changed?

    python benchmarks/mutants.py --seed 0 --sample 300
    python benchmarks/mutants.py --replay sknn_notes/penalties.py:154:38:...

It draws changes of the source (see ``_mutations.py``), and runs the family's tests on
each, with steps by numpy. A mutant is killed if a test fails or takes several times as
long as it should; tests that it survives show what no test asserts.

Everything happens in a copy of the package and its tests in a temporary folder. Every
mutant has a process of its own, forked from one that has imported the dependencies, but
not the package. A first run on the unchanged package tells how long each test takes,
and which lines of the family it runs. A mutant then only needs the tests that run its
statement, the fastest first, until one fails. Statements that run on import need all
tests of the family.

Results are appended to ``--store``, one JSON object per line; what is there already is
not computed again. ``--again`` computes the survivors again, after a new test;
``--tests parts/test_penalties.py`` does that with this file alone.
``--json benchmarks/mutants.json`` writes the summary, and keeps the reasons that people
have added there to survivors.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

os.environ |= dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "1")
os.environ |= {"SKNN_NOTES_KERNELS": "numpy", "MPLBACKEND": "agg"}

import _mutations

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = {
    "losses": ["sknn_notes/losses/*.py"],
    "penalties": ["sknn_notes/penalties.py"],
    "optimizers": ["sknn_notes/optimizers.py"],
    "layers": ["sknn_notes/layers/*.py"],
    "program": [
        f"sknn_notes/_engine/{name}.py"
        for name in ("program", "operations", "penalized", "objective", "network")
    ],
    "preprocessing": [
        "sknn_notes/preprocessing/*.py",
        "sknn_notes/_kernels/_numpy/*.py",
    ],
}
ENGINE = [
    f"engine/test_{name}.py"
    for name in ("agreement_with_torch", "constraints", "gradients", "objective")
]
TESTS = {
    "losses": [
        *ENGINE,
        "parts/test_array_code.py",
        "parts/test_*softmax.py",
        "parts/test_losses.py",
        "parts/test_loss_formulas.py",
        "parts/test_extreme_outputs.py",
        "neural_network/test_chance.py",
        "neural_network/test_distributions.py",
        "neural_network/test_many_classes.py",
        "engine/test_wrong_parts.py",
    ],
    "penalties": [
        *ENGINE,
        "parts/test_array_code.py",
        "parts/test_*lasso.py",
        "parts/test_penalties.py",
        "neural_network/test_group_lasso.py",
        "engine/test_active_rows.py",
        "engine/test_wrong_parts.py",
    ],
    "optimizers": [
        *ENGINE,
        "parts/test_array_code.py",
        "parts/test_optimizers.py",
        "engine/test_active_rows.py",
        "engine/test_lbfgs.py",
        "engine/test_training.py",
        "engine/test_wrong_parts.py",
    ],
    "layers": [
        *ENGINE,
        "parts/test_embeddings.py",
        "engine/test_active_rows.py",
        "engine/test_finite.py",
        "engine/test_layers.py",
        "engine/test_layout.py",
        "engine/test_network.py",
        "engine/test_prediction.py",
        "engine/test_stacks.py",
        "neural_network/test_batch_norm.py",
        "neural_network/test_dropout.py",
        "neural_network/test_embeddings.py",
        "neural_network/test_layers.py",
        "test_onnx.py",
    ],
    "program": [
        *ENGINE,
        "engine/test_active_rows.py",
        "engine/test_finite.py",
        "engine/test_layers.py",
        "engine/test_layout.py",
        "engine/test_network.py",
        "engine/test_prediction.py",
        "engine/test_stacks.py",
        "engine/test_training.py",
        "engine/test_wrong_parts.py",
        "neural_network/test_max_norm.py",
        "neural_network/test_group_lasso.py",
    ],
    "preprocessing": ["preprocessing/test_*.py", "kernels/test_columns.py"],
}
COPIED = ["sknn_notes", "tests", "pyproject.toml", "README.md", "docs"]
STORE = ROOT / "benchmarks" / "results" / "mutants.jsonl"
# Share of the mutants that must be killed.
LEAST = 0.9
# Bytes that a mutant may allocate, and seconds that it has beside those of its tests.
MEMORY = 6 * 2**30
PATIENCE = 30


def preload():
    """Import what the tests need besides the package."""
    # Without it, neither steps nor transformers are compiled.
    sys.modules["numba"] = None  # type: ignore[assignment]
    import pytest  # noqa: F401

    for name in [
        "hypothesis",
        "hypothesis.extra.numpy",
        "pandas",
        "polars",
        "scipy.optimize",
        "scipy.sparse.linalg",
        "scipy.stats",
        "sklearn.datasets",
        "sklearn.ensemble",
        "sklearn.linear_model",
        "sklearn.model_selection",
        "sklearn.neural_network",
        "sklearn.pipeline",
        "sklearn.preprocessing",
        "sklearn.utils.estimator_checks",
        "torch",
    ]:
        try:
            __import__(name)
        except ImportError:
            print(f"{name} is not installed: its tests skip.", file=sys.stderr)


class Watch:
    """Plugin of pytest: how long each test takes, and which lines of files it runs."""

    def __init__(self, files):
        import coverage

        self.seconds = Counter()
        os.environ["COVERAGE_CORE"] = "ctrace"  # The one that knows which test runs.
        self._files = files
        self._coverage = coverage.Coverage(
            data_file=None, config_file=False, include=files
        )

    def pytest_collection_finish(self):
        self._coverage.start()

    def pytest_runtest_logstart(self, nodeid):
        self._coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration

    def lines(self):
        """Return the tests that run each line of each file."""
        self._coverage.stop()
        data = self._coverage.get_data()
        return {path: data.contexts_by_lineno(path) for path in self._files}


class Order:
    """Plugin of pytest: run given tests in their order; keep what failed first."""

    def __init__(self, tests):
        self.places = {test: place for place, test in enumerate(tests)}
        self.failed = ""

    def pytest_collection_modifyitems(self, items):
        items[:] = [x for x in items if x.nodeid in self.places]
        items.sort(key=lambda x: self.places[x.nodeid])

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.failed:
            self.failed = report.nodeid


def in_fork(work, timeout, log):
    """Return what ``work`` returns in a process of its own, None after the timeout."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            os.close(reader)
            if log is not None:
                with open(log, "w") as file:
                    os.dup2(file.fileno(), 1)
                    os.dup2(file.fileno(), 2)
            answer = json.dumps(work())
            with os.fdopen(writer, "w") as pipe:
                pipe.write(answer)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    os.close(writer)
    os.set_blocking(reader, False)
    answer, end, ended = b"", time.monotonic() + timeout, False
    try:
        while not ended and time.monotonic() < end:
            ended = os.waitpid(child, os.WNOHANG)[0] != 0
            with suppress(BlockingIOError):
                while part := os.read(reader, 2**16):
                    answer += part
            time.sleep(0.02)
    finally:
        # With all that it has started itself.
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if not ended:
            os.waitpid(child, 0)
        os.close(reader)
    if not ended:
        return None
    return json.loads(answer) if answer else {"code": "crash", "failed": ""}


def pytest(folder, files, plugin, *options):
    """Run tests of a copy; return pytest's exit code."""
    import pytest

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ |= {"PYTHONPATH": str(folder), "TMPDIR": str(folder / "tmp")}
    tempfile.tempdir = None
    options = "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options
    # What was imported before the fork.
    options += "-W", "ignore:Module already imported"
    options += (f"--basetemp={folder / 'tmp' / 'pytest'}", "--rootdir=.")
    return int(pytest.main([*options, *files], plugins=[plugin]))


class Family:
    """The tests of a family in a copy, with what the unchanged package tells."""

    def __init__(self, folder, name, patterns=None):
        self.folder, self.name = folder, name
        self.files = []
        for pattern in patterns or TESTS[name]:
            found = sorted((folder / "tests").glob(pattern))
            if not found:
                sys.exit(f"There is no tests/{pattern} for {name}.")
            self.files += [path.relative_to(folder).as_posix() for path in found]
        log = folder / "tmp" / f"{name}.log"
        paths = _mutations.package_files(folder, {name: FAMILIES[name]})

        def watched():
            watch = Watch(paths)
            code = pytest(folder, self.files, watch)
            return {"code": code, "seconds": watch.seconds, "lines": watch.lines()}

        start = time.monotonic()
        found = in_fork(watched, 3600, log)
        if found is None or found["code"] != 0:
            print(log.read_text()[-3000:])
            sys.exit(f"The tests of {name} fail on the unchanged package.")
        self.seconds, self.tests = found["seconds"], found["lines"]
        by_time = sorted(self.seconds, key=self.seconds.get)
        # A mutant's tests run in another order, and with less memory.
        found = in_fork(lambda: self.outcome(by_time), 3600, log)
        if found is None or found["code"] != 0:
            print(log.read_text()[-3000:])
            sys.exit(f"The tests of {name} fail in another order.")
        took = time.monotonic() - start
        print(f"{name}: {len(self.seconds)} tests, twice in {took:.0f} s", flush=True)

    def outcome(self, tests):
        """Return the exit code of tests, in their order, and the first that fails."""
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        order, names = Order(tests), {test.partition("::")[0] for test in tests}
        files = [x for x in self.files if x in names]
        return {"code": pytest(self.folder, files, order, "-x"), "failed": order.failed}

    def tests_of(self, mutant, source):
        """Return the tests that can see a mutant, the most promising first."""
        lines, scope = _mutations.statement_at(source, mutant.line)
        tests = self.tests.get(str(self.folder / mutant.path), {})

        def running(places):
            found = (x for line in places or () for x in tests.get(str(line), ()))
            return {test for test in found if test in self.seconds}

        if scope is None:
            return sorted(running(lines), key=self.seconds.get)
        near = running(scope)
        return sorted(self.seconds, key=lambda x: (x not in near, self.seconds[x]))

    def run(self, mutant, log=None):
        """Return what the tests tell about a mutant."""
        path = self.folder / mutant.path
        source = path.read_text()
        changed = mutant.apply(source)
        before, after = _mutations.texts(source, changed)
        tests = self.tests_of(mutant, source)
        start = time.monotonic()
        timeout = PATIENCE + 4 * sum(self.seconds[x] for x in tests)
        path.write_text(changed)
        try:
            nothing = {"code": 0, "failed": ""}
            work = partial(self.outcome, tests)
            done = in_fork(work, timeout, log) if tests else nothing
        finally:
            path.write_text(source)
        outcome = "timed out" if done is None else "survived"
        if done is not None and done["code"] not in (0, 5):
            outcome = "killed"
        return {
            "id": mutant.id,
            "family": self.name,
            "before": before,
            "after": after,
            "outcome": outcome,
            "by": done["failed"] if done else "",
            "n_tests": len(tests),
            "seconds": round(time.monotonic() - start, 1),
        }


def summary(results):
    """Return the counts of each family, and the survivors."""
    counts = {}
    for family in [*FAMILIES, "all"]:
        own = [x for x in results if family in ("all", x["family"])]
        found = Counter(x["outcome"] for x in own)
        if own:
            outcomes = {x: found[x] for x in ("killed", "timed out", "survived")}
            counts[family] = {"mutants": len(own)} | outcomes
    survivors = [x for x in results if x["outcome"] == "survived"]
    fields = "id", "before", "after"
    return {
        "families": counts,
        "survivors": [{field: x[field] for field in fields} for x in survivors],
    }


def show(report):
    """Print a summary; return the share of killed mutants."""
    share = 0.0
    for family, counts in report["families"].items():
        share = 1 - counts["survived"] / counts["mutants"]
        slow = f", {counts['timed out']} by the time" if counts["timed out"] else ""
        print(f"{family:14} {counts['mutants']:4} mutants, {share:.1%} killed{slow}")
    for x in report["survivors"]:
        print(f"{x['id']}\n    - {x['before']}\n    + {x['after']}")
        if x.get("reason"):
            print(f"    {x['reason']}")
    return share


def write(report, path):
    """Store a summary, with the reasons that the file has for the same survivors."""
    old = json.loads(path.read_text())["survivors"] if path.exists() else []
    reasons = {(x["id"], x["after"]): x.get("reason", "") for x in old}
    for x in report["survivors"]:
        x["reason"] = reasons.get((x["id"], x["after"]), "")
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def end(*_):
    """End on a signal, so that the folder is removed; a second one changes nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("Ended by a signal; the same command goes on.")


def main():
    """Run a sample, or one mutant of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, default=300, metavar="N")
    parser.add_argument("--family", choices=FAMILIES, help="only the part of it")
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--json", type=Path, help="where to write the summary")
    parser.add_argument("--tests", nargs="+", help="files, in place of the family's")
    parser.add_argument("--again", action="store_true", help="run survivors again")
    parser.add_argument("--replay", metavar="ID", help="show one mutant and its tests")
    options = parser.parse_args()

    mutants, counts = _mutations.sample(ROOT, FAMILIES, options.sample, options.seed)
    print("places:", ", ".join(f"{k} {v}" for k, v in counts.items()), flush=True)
    options.store.parent.mkdir(exist_ok=True)
    stored = {}
    if options.store.exists() and not options.replay:
        lines = map(json.loads, options.store.read_text().splitlines())
        stored = {x["id"]: x for x in lines}
    redone = {"survived"} if options.again else set()
    wanted = [
        mutant
        for mutant in mutants
        if options.family in (None, mutant.family)
        and options.replay in (None, mutant.id)
        and (mutant.id not in stored or stored[mutant.id]["outcome"] in redone)
    ]
    if options.replay and not wanted:
        sys.exit(f"{options.replay} is not in the sample.")
    # The package is imported by forks alone, each with its own version of it.
    preload()
    signal.signal(signal.SIGTERM, end)
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name).resolve()
        ignored = shutil.ignore_patterns("__pycache__", "_build", "auto_examples")
        for part in COPIED:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, folder / part, ignore=ignored)
            else:
                shutil.copy(ROOT / part, folder / part)
        (folder / "tmp").mkdir()
        families = {}
        for i, mutant in enumerate(wanted):
            if mutant.family not in families:
                families[mutant.family] = Family(folder, mutant.family, options.tests)
            log = None if options.replay else folder / "tmp" / "log"
            result = families[mutant.family].run(mutant, log)
            print(f"{i + 1}/{len(wanted)}", *list(result.values()), flush=True)
            if not options.replay:
                stored[mutant.id] = result
                with options.store.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    if options.replay:
        return
    results = [stored[x.id] for x in mutants if x.id in stored]
    report = {"seed": options.seed, "places": counts} | summary(results)
    if options.json:
        write(report, options.json)
    if show(report) < LEAST:
        sys.exit(f"Fewer than {LEAST:.0%} of the mutants are killed.")


if __name__ == "__main__":
    main()
