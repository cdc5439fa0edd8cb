"""A pytest plugin that writes the names of the skipped tests to a file, one a line.

    PYTHONPATH=.ci SKIPPED=FILE pytest -p skipped
    pytest @FILE

runs in the second line, where more is installed, what the first one skipped.
"""

import os
from pathlib import Path


def pytest_terminal_summary(terminalreporter):
    """Write the tests, and the files that were skipped as a whole."""
    skipped = {report.nodeid for report in terminalreporter.getreports("skipped")}
    Path(os.environ["SKIPPED"]).write_text("\n".join(sorted(skipped)))
