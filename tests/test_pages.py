"""Pages of the documentation that repeat what stands elsewhere repeat it correctly."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.rst"


def messages():
    """The strings of the package, with a gap for what is filled in at run time."""
    for path in sorted((ROOT / "sknn_notes").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                texts = (getattr(value, "value", "") for value in node.values)
                yield "\n".join(text for text in texts if isinstance(text, str))


@pytest.fixture(scope="module")
def package():
    return list(messages())


def quoted():
    """The messages that the page quotes; ``...`` stands for any text."""
    return re.findall(r"^``(.+)``$", TROUBLESHOOTING.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("message", quoted())
def test_the_package_has_the_messages_of_the_troubleshooting_page(message, package):
    pattern = ".*".join(map(re.escape, message.split("...")))
    assert any(re.search(pattern, text, re.DOTALL) for text in package)


def test_the_installation_page_lists_every_extra_for_users():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (ROOT / "docs" / "install.rst").read_text("utf-8")
    listed = set(re.findall(r"^   \* - ``([\w-]+)``$", page, re.MULTILINE))
    internal = {"test", "test-full", "docs", "bench", "dev"}
    assert listed == set(project["optional-dependencies"]) - internal
