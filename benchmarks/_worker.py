"""Time training steps of one revision for ``compare.py``: one request per line."""

import json
import os
import pathlib
import sys
import warnings
from functools import cache

import sknn_notes
from _steps import Configuration, our_step


@cache
def contender(request):
    """Return the contender that a line requests."""
    wanted = json.loads(request)
    configuration = Configuration(*wanted.pop("configuration"))
    return our_step(configuration, configuration.data(), **wanted)


def main():
    """Answer every request with the seconds per step."""
    asked, found = os.environ["PYTHONPATH"], pathlib.Path(sknn_notes.__file__)
    if pathlib.Path(asked).resolve() not in found.resolve().parents:
        sys.exit(f"The package is imported from {found}, not from {asked}.")
    warnings.simplefilter("ignore")
    for request in sys.stdin:
        print(contender(request)(), flush=True)


if __name__ == "__main__":
    main()
