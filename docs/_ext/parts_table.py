"""The directive ``.. parts-table:: penalties.PENALTIES``: a registry as a table.

Every row is one name that a user may pass, with the class behind it, its parameters and
what it does, all read from the code.
"""

import importlib
import inspect

from sphinx.util.docutils import SphinxDirective


def parameters(part):
    """Return the parameters of a part with their defaults, as text."""
    listed = inspect.signature(part).parameters.values()
    return ", ".join(f"``{p.name}={p.default!r}``" for p in listed) or "–"


def table(registry):
    """Return the lines of the table in reStructuredText."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :class: parts",
        "",
        "   * - Name",
        "     - Part",
        "     - What it is",
        "     - Parameters",
    ]
    for name, part in registry.items():
        lines += [
            f'   * - ``"{name}"``',
            f"     - :class:`~{part.__module__}.{part.__name__}`",
            f"     - {inspect.getdoc(part).splitlines()[0]}",
            f"     - {parameters(part)}",
        ]
    return lines


class PartsTable(SphinxDirective):
    """A table of the registry that the argument names, as ``module.REGISTRY``."""

    required_arguments = 1

    def run(self):
        module_name, registry_name = self.arguments[0].split(".")
        module = importlib.import_module(f"sknn_notes.{module_name}")
        self.env.note_dependency(module.__file__)
        lines = table(getattr(module, registry_name))
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app):
    app.add_directive("parts-table", PartsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
