"""Formulas as MathML, which browsers draw by themselves: no script, no network.

Docutils converts the LaTeX. Sphinx's own renderers need a script from a server or a
LaTeX installation.
"""

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def convert(tex, node, as_block):
    try:
        return tex2mathml(tex, as_block=as_block)
    except MathError as error:
        logger.warning("formula cannot be shown: %s", error, location=node)
        return ""


def visit_inline(translator, node):
    translator.body.append(convert(node.astext(), node, as_block=False))
    raise SkipNode


def visit_block(translator, node):
    # Formulas that a blank line separates stand below each other.
    for tex in node.astext().split("\n\n"):
        formula = convert(tex, node, as_block=True)
        translator.body.append(f'<div class="formula">{formula}</div>\n')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(visit_inline, None),
        block_renderers=(visit_block, None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
