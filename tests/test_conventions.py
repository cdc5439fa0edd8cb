"""Conventions of the code that no linter knows."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import sknn_notes
from sknn_notes._base import DOCS_URL

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sknn_notes"
MODULES = sorted(PACKAGE.rglob("*.py"))
PRIVATE_IMPORTS = PACKAGE / "_sklearn.py"


def private_sklearn_imports(source):
    """Names of scikit-learn that `source` imports and that start with an underscore."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [
            name
            for name in dotted
            if name.split(".")[0] == "sklearn" and re.search(r"\._[a-z]", name, re.I)
        ]
    return found


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn.utils._param_validation import Interval",
        "from sklearn.base import BaseEstimator, _fit_context",
        "import sklearn.utils._param_validation as checks",
        "def f():\n    from sklearn import _loss",
    ],
)
def test_a_private_import_is_found(source):
    assert len(private_sklearn_imports(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn.base import BaseEstimator",
        "from sklearn import __version__",
        "from ._sklearn import _fit_context",
    ],
)
def test_a_public_import_is_allowed(source):
    assert private_sklearn_imports(source) == []


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path != PRIVATE_IMPORTS],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_private_names_of_sklearn_come_from_one_module(path):
    assert private_sklearn_imports(path.read_text(encoding="utf-8")) == [], (
        f"import them through {PRIVATE_IMPORTS.relative_to(ROOT)}"
    )


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_settings_of_numpy_are_not_shared_between_calls(path):
    """As numpy's decorator does before version 2."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    decorators = [ast.unparse(d) for node in functions for d in node.decorator_list]
    assert not any(text.startswith("np.errstate") for text in decorators), (
        "decorate with errstate of sknn_notes/_numpy.py"
    )


def test_the_note_on_private_names_covers_each():
    """Every private name is imported with a word on what replaces it."""
    tree = ast.parse(PRIVATE_IMPORTS.read_text(encoding="utf-8"))
    names = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sklearn")
        for alias in node.names
    }
    note = ast.get_docstring(tree)
    assert [name for name in sorted(names) if f"``{name}``" not in note] == []


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_runtime_needs_scikit_learn_numpy_and_scipy_only():
    required = {re.match(r"[\w-]+", item)[0] for item in PROJECT["dependencies"]}
    assert required == {"scikit-learn", "numpy", "scipy"}


def requirements():
    """Yield the requirements of the package and of all extras, but its own extras."""
    for items in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]:
        yield from (item for item in items if not item.startswith("sknn_notes["))


@pytest.mark.parametrize("requirement", sorted(set(requirements())))
def test_every_requirement_has_a_lower_bound(requirement):
    (operator,) = {each.operator for each in _specifiers(requirement)} - {"<"}
    assert operator in (">=", "==")


def test_the_oldest_session_tests_the_lower_bounds():
    """It replaces >= by ==; continuous integration runs it."""
    extras = PROJECT["optional-dependencies"]
    for item in [*PROJECT["dependencies"], *extras["plot"], *extras["progress"]]:
        (bound,) = _specifiers(item)
        assert bound.operator == ">="
    session = (ROOT / "noxfile.py").read_text().partition("def oldest(")[2]
    session = session.partition("@nox.session")[0]
    assert '[*project["dependencies"], *extras["plot"], *extras["progress"]]' in session
    assert '[item.replace(">=", "==") for item in oldest]' in session
    for name in ("oldest", "audit"):
        checks = (ROOT / ".github" / "workflows" / "checks.yml").read_text()
        assert f"session: {name} }}" in checks


def _specifiers(requirement):
    return list(Requirement(requirement).specifier)


def test_the_changelog_and_the_citation_know_the_version():
    version = sknn_notes.__version__
    changes = (ROOT / "CHANGES.md").read_text(encoding="utf-8")
    (date,) = re.findall(rf"^## \[{version}\] - (\S+)$", changes, re.MULTILINE)
    assert f"\n[{version}]: " in changes
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'\nversion: {version}\ndate-released: "{date}"\n' in citation


@pytest.mark.parametrize(
    "name", ["CHANGES.md", "CITATION.cff", "CODE_OF_CONDUCT.md", "SECURITY.md"]
)
def test_addresses_of_the_project_are_those_of_its_metadata(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"https://(?:github\.com|[\w-]+\.readthedocs\.io)/[^\s)]*", text)
    ours = tuple(PROJECT["urls"].values())
    assert [address for address in found if not address.startswith(ours)] == []
    assert PROJECT["urls"]["Documentation"] == DOCS_URL


def imported_packages(source):
    """Top-level packages that importing a module with this source imports."""
    names = set()
    pending = list(ast.parse(source).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += ast.iter_child_nodes(node)
    return names


# Rooms that an extra brings: they may import what the extra installs.
EXTRA_ROOMS = (
    "_compile/_cache.py",
    "_compile/_math.py",
    "_compile/_numba.py",
    "_kernels/_numba",
    "onnx/",
    "inspection.py",
)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in MODULES
        if not path.relative_to(PACKAGE).as_posix().startswith(EXTRA_ROOMS)
    ],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_importing_needs_no_extra(path):
    # threadpoolctl and joblib come with scikit-learn.
    allowed = {"sklearn", "numpy", "scipy", "threadpoolctl", "joblib", "sknn_notes"}
    allowed |= sys.stdlib_module_names
    assert imported_packages(path.read_text(encoding="utf-8")) - allowed == set()
