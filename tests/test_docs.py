"""The documentation says what the code does: docstrings, reference, code blocks."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

pytest.importorskip("skl2onnx")
pytest.importorskip("numpydoc")
from numpydoc.validate import validate

from sknn_notes import MLPClassifier
from sknn_notes._base import DOCS_URL, BaseObject

ROOT = Path(__file__).resolve().parents[1]

# What numpydoc checks in every public docstring. A part's methods are for those who
# write a part; there one sentence may be enough.
CHECKS = {
    "GL02": "closing quotes stand on their own line",
    "GL03": "no double blank lines",
    "GL05": "no tabs",
    "GL06": "only numpydoc's sections",
    "GL07": "sections in numpydoc's order",
    "GL08": "there is a docstring",
    "GL09": "deprecation warning before the extended summary",
    "GL10": "directives end with two colons",
    "SS01": "there is a summary",
    "SS02": "the summary starts with a capital letter",
    "SS03": "the summary ends with a period",
    "SS04": "the summary is not indented",
    "SS06": "the summary fits in a line",
    "PR02": "every documented parameter exists",
    "PR03": "parameters are in the order of the signature",
    "PR04": "every parameter has a type",
    "PR05": "no type ends with a period",
    "PR06": "types have Python's names",
    "PR08": "descriptions start with a capital letter",
    "PR09": "descriptions end with a period",
    "PR10": "a space stands before the colon of a parameter",
    "RT05": "its description ends with a period",
    "YD01": "what is yielded is documented",
}
# What users construct and call is documented in full.
USER_CHECKS = CHECKS | {
    "PR01": "every parameter is documented",
    "PR07": "every parameter has a description",
    "RT01": "what is returned is documented",
    "RT03": "every return value has a description",
}
EXAMPLE = {"EX01": "there is an example"}


@pytest.fixture(scope="module")
def api_pages():
    """The extension that writes the API reference."""
    return load_api_pages()


def load_api_pages():
    path = ROOT / "docs" / "_ext" / "api_pages.py"
    spec = importlib.util.spec_from_file_location("api_pages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def public_names():
    """Dotted names of the public classes, functions, methods and properties."""
    pages = load_api_pages()
    names, seen = [], set()
    for module_name in pages.public_modules():
        module = importlib.import_module(module_name)
        for name in pages.public_objects(module_name):
            names.append(f"{module_name}.{name}")
            part = getattr(module, name)
            for member, value in inspect.getmembers_static(part):
                if member.startswith("_") or not is_ours(value) or value in seen:
                    continue
                seen.add(value)
                if not (inherits_docstring(part, member) or is_form(part, member)):
                    names.append(f"{module_name}.{name}.{member}")
    return names


def is_ours(member):
    """Whether a class member is a method or property that this library wrote."""
    function = getattr(member, "fget", None) or getattr(member, "fn", None) or member
    function = inspect.unwrap(getattr(function, "__func__", function))
    return inspect.isfunction(function) and function.__module__.startswith("sknn_notes")


def inherits_docstring(part, member):
    """Whether a method has no docstring because that of its base class says it all."""
    documented = inspect.getdoc(getattr(part, member, None))
    own = inspect.getattr_static(part, member).__doc__
    return own is None and documented is not None


def is_form(part, member):
    """Whether a member is a compiled form, which the base class declares as None."""
    return any(vars(base).get(member, part) is None for base in part.__mro__)


def is_estimator(name):
    """Whether a dotted name is an estimator or transformer, or a member of one."""
    package = importlib.import_module("sknn_notes")
    return name.split(".")[1] in package.__all__


def registered_parts():
    """Dotted names of the classes in the registries."""
    for module_name in load_api_pages().public_modules():
        module = importlib.import_module(module_name)
        for name in module.__all__:
            if isinstance(registry := getattr(module, name), dict):
                yield from (
                    f"{module_name}.{part.__name__}" for part in registry.values()
                )


def is_display(name):
    """Whether a dotted name is a display, or a member of one."""
    return name.startswith("sknn_notes.inspection.") and "Display" in name


def checks_of(name, kind):
    """Return the checks for the docstring of a dotted name of the given kind."""
    for_users = kind == "type" or is_estimator(name) or is_display(name)
    checks = USER_CHECKS if for_users else CHECKS
    if kind == "type" and (is_estimator(name) or name in set(registered_parts())):
        return checks | EXAMPLE
    return checks


@pytest.mark.parametrize("name", public_names())
def test_docstrings_are_complete(name):
    result = validate(name)
    checks = checks_of(name, result["type"])
    broken = [f"{code}: {text}" for code, text in result["errors"] if code in checks]
    assert broken == [], f"{result['file']}:{result['file_line']}"


@pytest.mark.parametrize("name", load_api_pages().public_modules())
def test_modules_say_what_they_hold(name):
    summary, *rest = importlib.import_module(name).__doc__.splitlines()
    assert summary.endswith(".")
    assert rest[:1] in ([], [""])


def test_the_reference_lists_every_public_name(api_pages, tmp_path):
    api_pages.write_pages(tmp_path)
    index = (tmp_path / "index.rst").read_text().split()
    for module_name in api_pages.public_modules():
        assert module_name in index
        page = (tmp_path / f"{module_name}.rst").read_text().split()
        assert set(api_pages.public_objects(module_name)) <= set(page)


def test_every_public_module_has_a_title(api_pages):
    assert [n for n in api_pages.public_modules() if n not in api_pages.TITLES] == []


@pytest.mark.parametrize("room", ["neural_network", "preprocessing"])
def test_what_a_room_exports_is_public_at_the_top(room):
    package = importlib.import_module("sknn_notes")
    module = importlib.import_module(f"sknn_notes.{room}")
    assert set(module.__all__) <= set(package.__all__)


def classes_with_parameters():
    """Public estimators, transformers and parts: dotted names and classes."""
    pages = load_api_pages()
    for module_name in pages.public_modules():
        module = importlib.import_module(module_name)
        for name in pages.public_objects(module_name):
            part = getattr(module, name)
            if inspect.isclass(part) and issubclass(part, BaseObject):
                yield pytest.param(f"{module_name}.{name}", part, id=name)


def made(part):
    """Return an object with its default parameters; a search needs an estimator."""
    required = [
        parameter
        for parameter in inspect.signature(part).parameters.values()
        if parameter.default is parameter.empty
    ]
    return part(*([MLPClassifier(), {}][: len(required)]))


EACH_CLASS = pytest.mark.parametrize(("name", "part"), list(classes_with_parameters()))


@EACH_CLASS
def test_html_links_to_the_page_of_the_reference(name, part):
    # autosummary names the page of an object after its dotted name.
    page = f"{DOCS_URL}api/generated/{name}.html"
    assert f'href="{page}"' in made(part)._repr_html_()


@EACH_CLASS
def test_html_describes_every_parameter(name, part):
    html = made(part)._repr_html_()
    described = re.findall(r'class="param-doc-description"[^>]*>\s*(\w+): ', html)
    parameters = (name.split("__")[-1] for name in made(part).get_params())
    assert sorted(described) == sorted(parameters)


def test_html_of_a_users_own_class_has_no_page():
    class Tuned(MLPClassifier):
        pass

    assert DOCS_URL not in Tuned()._repr_html_()


def code_blocks(path):
    """Return the Python blocks of a Markdown file."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_code_blocks_run(name):
    """The blocks of a file run one after the other, as a reader would paste them."""
    blocks = code_blocks(ROOT / name)
    assert blocks, f"{name} shows no Python"
    namespace = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, name, "exec"), namespace)


def links(path):
    """Return the relative targets of the links of a Markdown file."""
    targets = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    return [target for target in targets if "://" not in target]


@pytest.mark.parametrize("name", [path.name for path in sorted(ROOT.glob("*.md"))])
def test_links_lead_somewhere(name):
    assert [link for link in links(ROOT / name) if not (ROOT / link).exists()] == []
