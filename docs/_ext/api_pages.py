"""Write the pages of the API reference from the public names of the package.

One page a public module, in `docs/api`, each listing what the module's `__all__` names;
autosummary writes a page for every object listed.
"""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import sknn_notes

# Order and titles of the pages; a public module that is missing here comes last.
TITLES = {
    "sknn_notes": "Estimators and transformers",
    "sknn_notes.tabular": "Tables",
    "sknn_notes.model_selection": "Searches",
    "sknn_notes.losses": "Losses",
    "sknn_notes.links": "Links",
    "sknn_notes.penalties": "Penalties",
    "sknn_notes.initializers": "Initializers",
    "sknn_notes.activations": "Activations",
    "sknn_notes.optimizers": "Optimizers",
    "sknn_notes.schedules": "Schedules",
    "sknn_notes.layers": "Normalization layers",
    "sknn_notes.embeddings": "Numerical embeddings",
    "sknn_notes.noise": "Noise on the inputs",
    "sknn_notes.search_spaces": "Search spaces",
    "sknn_notes.callbacks": "Callbacks",
    "sknn_notes.inspection": "Inspection",
    "sknn_notes.onnx": "Export to ONNX",
    "sknn_notes.compile": "Compiling ahead",
    "sknn_notes.clusters": "Searches on a cluster",
}
# Their names are those of the package itself.
REEXPORTED = {"sknn_notes.neural_network", "sknn_notes.preprocessing"}


def public_modules():
    """Names of the public modules, in the order of the reference."""
    found = {"sknn_notes"} | {
        f"sknn_notes.{module.name}"
        for module in pkgutil.iter_modules(sknn_notes.__path__)
        if not module.name.startswith("_")
    }
    known = [name for name in TITLES if name in found]
    return known + sorted(found - REEXPORTED - set(known))


def public_objects(module_name):
    """Names of the classes and functions that a module's `__all__` lists."""
    module = importlib.import_module(module_name)
    return [
        name
        for name in module.__all__
        if inspect.isclass(getattr(module, name))
        or inspect.isfunction(getattr(module, name))
    ]


def introduction(module_name):
    """Return the line that says what a module is for, with a link to its page."""
    summary = inspect.getdoc(importlib.import_module(module_name)).splitlines()[0]
    link = f":doc:`{module_name} </api/{module_name}>`"
    return f"{link}: {summary[0].lower()}{summary[1:]}"


def module_page(module_name):
    """Return the reStructuredText of one module's page."""
    title = TITLES.get(module_name, module_name)
    lines = [title, "=" * len(title), "", f".. module:: {module_name}", ""]
    lines += [introduction(module_name), ""]
    lines += [".. autosummary::", "   :toctree: generated", "   :nosignatures:", ""]
    lines += [f"   {name}" for name in public_objects(module_name)]
    return "\n".join(lines) + "\n"


def index_page(module_names):
    """Return the reStructuredText of the page that lists all names by module."""
    lines = ["API reference", "=============", "", ".. toctree::", "   :hidden:", ""]
    lines += [f"   {name}" for name in module_names]
    for module_name in module_names:
        title = TITLES.get(module_name, module_name)
        lines += ["", title, "-" * len(title), ""]
        lines += [
            introduction(module_name),
            "",
            f".. currentmodule:: {module_name}",
            "",
        ]
        lines += [".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in public_objects(module_name)]
    return "\n".join(lines) + "\n"


def write_if_changed(path, text):
    """Leave a page alone that is as it should be, so that Sphinx need not read it."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_pages(folder):
    """Write the index and one page per module into `folder`."""
    folder.mkdir(exist_ok=True)
    names = public_modules()
    write_if_changed(folder / "index.rst", index_page(names))
    for name in names:
        write_if_changed(folder / f"{name}.rst", module_page(name))


def unlink_sklearn(app, what, name, obj, options, lines):
    """Turn links into scikit-learn's own pages, which are not here, into plain text."""
    function = getattr(obj, "fget", obj)
    if (getattr(function, "__module__", None) or "").startswith("sklearn."):
        link = re.compile(r":(?:ref|term):`([^<`]*?)(?:\s*<[^>]*>)?`")
        # As code: an underscore at the end would make a link of plain text.
        lines[:] = [link.sub(r"``\1``", line) for line in lines]


def escape_attributes_in_types(app, what, name, obj, options, lines):
    """Keep ``shape (n_features_in_,)`` from being read as a link to n_features_in."""
    for i, line in enumerate(lines):
        if " : " in line:
            entry, kind = line.split(" : ", 1)
            lines[i] = entry + " : " + re.sub(r"(\w)_(?=[,)])", r"\1\_", kind)


def setup(app):
    app.connect("autodoc-process-docstring", unlink_sklearn)
    # Before numpydoc, which takes the sections apart.
    app.connect("autodoc-process-docstring", escape_attributes_in_types, priority=1)
    # At once: autosummary looks for the pages as soon as the builder is ready.
    write_pages(Path(app.srcdir) / "api")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
