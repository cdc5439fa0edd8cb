"""Odd parameters, odd data and odd sequences of calls, and what becomes of them.

    python benchmarks/fuzz.py --cases 20000 --seed 0
    python benchmarks/fuzz.py --seed 0 --case 123

A case is an estimator of the public API with a few parameters, and calls of its methods
with data of any kind. Every call must work, with finite results, or raise a ValueError,
a TypeError or, for a method that the estimator lacks, an AttributeError, with a message
of the library or scikit-learn. Anything else is a finding:

- another type of error, or an error that numpy or Python raised without a message that
  names the cause;
- a warning that is not about the data or about convergence, such as numpy's
  RuntimeWarning;
- input that a call has changed, unless ``copy=False`` asks for it;
- an attribute that a failed fit has changed;
- predictions, probabilities, transformed data or fitted attributes that aren't finite,
  though the data are; probabilities that don't sum to 1; labels of no class;
- a call that takes more than a minute.

Findings are printed by kind, each with its smallest case. The exit status is 1 if there
are any. Steps are computed by the numpy kernels; cases whose number is divisible by
``--numba-every`` use numba, which compiles code for each new structure.
"""

import argparse
import faulthandler
import logging
import os
import signal
import sys
import time
from collections import Counter

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

from _fuzz_cases import Hang, draw, run, smaller
from _timing import use_kernels
from sknn_notes import _kernels

SECONDS = 60


def main():
    """Run the cases, and print the findings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="replay this case and show its calls")
    parser.add_argument("--numba-every", type=int, default=100, metavar="N")
    options = parser.parse_args()
    faulthandler.enable()
    logging.disable()
    numbers = range(options.first, options.first + options.cases)
    if options.case is not None:
        numbers = [options.case]
    found, outcomes, slowest, by_class = {}, Counter(), [], Counter()
    begin = time.perf_counter()
    for number in numbers:
        has_numba = "numba" in _kernels.available()
        compiled = has_numba and number % options.numba_every == 0
        use_kernels("numba" if compiled else "numpy")
        case = draw(options.seed, number)
        start = time.perf_counter()
        results, findings = in_time(run, case)
        slowest = sorted([*slowest, (time.perf_counter() - start, number)])[-5:]
        outcomes.update(results)
        by_class[case.cls.__name__, kind_of(results)] += 1
        for finding in findings:
            found.setdefault(finding.key, []).append((number, finding))
        if options.case is not None:
            print(case, *results, *findings, sep="\n")
        elif number % 500 == 499:
            print(f"{number + 1} cases, {len(found)} kinds of findings", flush=True)
    report(options, found, outcomes, by_class)
    took = time.perf_counter() - begin
    slow = ", ".join(f"{number} ({seconds:.1f} s)" for seconds, number in slowest)
    print(f"\n{took:.0f} s; slowest cases: {slow}")
    sys.exit(bool(found))


def in_time(function, *arguments):
    """Call a function; raise Hang in it after a minute, where signals allow."""

    def stop(signal_number, frame):
        raise Hang(f"took more than {SECONDS} s")

    if not hasattr(signal, "SIGALRM"):
        return function(*arguments)
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        return function(*arguments)
    finally:
        signal.alarm(0)


def kind_of(results):
    """Return what became of a case: all calls work, some, or none."""
    n_works = results.count("works")
    return "all" if n_works == len(results) else "some" if n_works else "none"


def report(options, found, outcomes, by_class):
    """Print the findings with the smallest case of each, and counts of all outcomes."""
    for key, examples in sorted(found.items(), key=lambda item: -len(item[1])):
        number, finding = examples[0]
        print(f"\n{len(examples)} x {finding.kind}: {finding.text[:300]}")
        print(f"  at {finding.where}; cases {[n for n, _ in examples[:6]]}")
        use_kernels("numpy")
        print(in_time(smaller, draw(options.seed, number), key))
    print("\ncalls:", ", ".join(f"{n} {name}" for name, n in outcomes.most_common()))
    print("cases in which all calls work, some, none:")
    for name in sorted({name for name, _ in by_class}):
        print(f"  {name}:", *(by_class[name, kind] for kind in ("all", "some", "none")))
    print(f"{len(found)} kinds of findings")


if __name__ == "__main__":
    main()
