"""Lead links to files of the repository to their page, or else to the repository.

The pages that include a Markdown file of the repository take over its links.
"""

from pathlib import Path

from docutils import nodes
from sphinx import addnodes

# Files that a page of the documentation includes.
PAGES = {
    "CHANGES.md": "changes",
    "CONTRIBUTING.md": "contributing",
    "LICENSE": "license",
    "SECURITY.md": "security",
}


def lead_to_repository(app, doctree):
    """Replace the links of a page to files of the repository."""
    source = app.config.html_context["source_url"]
    for node in list(doctree.findall(addnodes.pending_xref)):
        target = node["reftarget"]
        if node["reftype"] != "myst" or node.get("refdomain"):
            continue
        if target in PAGES:
            node["refdomain"], node["reftype"] = "std", "doc"
            node["reftarget"] = f"/{PAGES[target]}"
        elif (Path(app.srcdir).parent / target).exists():
            address = f"{source}/blob/main/{target}"
            node.replace_self(nodes.reference("", "", *node.children, refuri=address))


def setup(app):
    app.connect("doctree-read", lead_to_repository)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
