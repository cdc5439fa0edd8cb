"""Check the results on a GPU against those on the CPU, and measure its speed.

    python benchmarks/device_check.py --json device.json       # all, in 4 minutes
    python benchmarks/device_check.py --sections parts arrays  # some sections
    python benchmarks/device_check.py --device cpu             # dry run without a GPU

=========  ========================================================================
parts      every part, for two epochs, against the CPU's array code; compiled steps
arrays     scikit-learn's checks of the array API; a pipeline on tensors
network    a step of one network against the CPU, PyTorch and skorch
digits     a search over 12 candidates on the digits
search     a search over 1,000 candidates
ensemble   20 networks of one estimator
=========  ========================================================================

CPU times are extrapolated if a line says so. All products are computed in float32. An
error only ends its section.
"""

import os

# Read when scipy is loaded: scikit-learn dispatches arrays only with it.
os.environ["SCIPY_ARRAY_API"] = "1"

import argparse
import faulthandler
import sys
import traceback
from time import perf_counter

import _device_arrays
import _device_parts
import _device_searches
import _device_steps
from _device import Card, Compiling, Report, say
from _timing import PACKAGES, start, write_json

# name -> (function, about how many seconds it takes on a large GPU)
SECTIONS = {
    "parts": (_device_parts.run, 60),
    "arrays": (_device_arrays.run, 15),
    "network": (_device_steps.run, 70),
    "digits": (_device_searches.digits, 20),
    "search": (_device_searches.large, 60),
    "ensemble": (_device_searches.ensembles, 20),
}


def run_section(name, card, report, options):
    """Run a section; return its results, or the end of the traceback."""
    function, planned = SECTIONS[name]
    say(f"\n== {name} (about {planned} s) ==")
    # Shows where a section hangs.
    faulthandler.dump_traceback_later(3 * planned)
    begin = perf_counter()
    try:
        numbers = function(card, report, options)
    except Exception:
        lines = traceback.format_exc().strip().splitlines()
        say("FAILED", *lines[-8:], sep="\n")
        numbers = {"error": lines}
        report.target(f"{name}: runs through", 0, least=1, always=True)
    finally:
        faulthandler.cancel_dump_traceback_later()
    numbers["seconds of the section"] = elapsed = perf_counter() - begin
    say(f"== {name}: {elapsed:.1f} s ==")
    return numbers


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    parser.add_argument("--device", help="default: cuda where there is one, else cpu")
    parser.add_argument("--candidates", type=int, help="of the large search")
    parser.add_argument(
        "--compiled",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="time compiled steps of one network, too",
    )
    options = start(parser)
    try:
        import torch
    except ImportError:
        sys.exit("This needs PyTorch.")
    found = "cuda" if torch.cuda.is_available() else "cpu"
    card = Card(options.device or found)
    say(card)
    report, sections = Report(card), {}
    begin = perf_counter()
    options.compiling = Compiling()
    try:
        card.set_up()
        for name in options.sections:
            sections[name] = run_section(name, card, report, options)
            # Keep the results if a later section is killed.
            write_json(
                options,
                (*PACKAGES, "torch", "skorch"),
                device=str(card),
                targets=report.targets,
                sections=sections,
            )
    finally:
        options.compiling.close()
    say(f"\n== targets, after {perf_counter() - begin:.0f} s ==")
    for each in report.targets:
        say(
            f"{each['verdict']:10} {each['what']}: {each['value']:.4g}, "
            f"target {each['target']}"
        )


if __name__ == "__main__":
    main()
