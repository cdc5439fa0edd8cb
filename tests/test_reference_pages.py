"""Pages of the documentation that are kept in step with the code and with results."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from sknn_notes import MLPClassifier, MLPRegressor

ROOT = Path(__file__).resolve().parents[1]
DOCS, BENCHMARKS = ROOT / "docs", ROOT / "benchmarks"

pytestmark = pytest.mark.skipif(
    not (DOCS.exists() and BENCHMARKS.exists()), reason="needs a checkout"
)


def literal_names(text):
    """Return the names that stand alone or before "=" in literal text."""
    return set(re.findall(r"``(\w+)(?:=[^`]*)?``", text))


@pytest.mark.parametrize("network", [MLPClassifier, MLPRegressor])
def test_hyperparameters_by_task_names_every_parameter(network):
    text = (DOCS / "hyperparameters.rst").read_text(encoding="utf-8")
    assert set(inspect.signature(network).parameters) - literal_names(text) == set()


@pytest.mark.parametrize("program", ["quality", "tuning"])
def test_tables_are_those_of_the_stored_results(program, monkeypatch):
    pytest.importorskip("fcntl", reason="the programs lock their files of results")
    monkeypatch.syspath_prepend(BENCHMARKS)
    written = importlib.import_module(program).tables_for_docs()
    path = DOCS / f"{program}_results.rst"
    assert path.read_text(encoding="utf-8") == written
