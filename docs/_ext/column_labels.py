"""Name the columns in the cells of tables of sentences, for narrow screens.

There a table of the class ``sentences`` shows each row as a block, and the style sheet
makes these names visible.
"""

from docutils import nodes


def label_cells(app, doctree):
    """Put the heading of its column before the text of every cell but the first."""
    for table in doctree.findall(nodes.table):
        headers = list(table.findall(nodes.thead))
        if "sentences" not in table["classes"] or not headers:
            continue
        titles = [entry.astext() for entry in headers[0].findall(nodes.entry)]
        for body in table.findall(nodes.tbody):
            for row in body.findall(nodes.row):
                for title, entry in list(zip(titles, row, strict=True))[1:]:
                    label = nodes.inline("", title, classes=["column-label"])
                    entry.insert(0, nodes.paragraph("", "", label))


def setup(app):
    app.connect("doctree-read", label_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
