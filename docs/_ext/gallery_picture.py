"""The directive ``.. gallery-picture:: plot_losses 1``: a picture that an example drew.

Its content is the caption, which ends with a link to the example. A build that does not
execute the examples has no pictures, and shows the caption alone.
"""

from pathlib import Path

from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


class GalleryPicture(SphinxDirective):
    """A figure with the picture of an example that the arguments name and number."""

    required_arguments = 2
    has_content = True

    def run(self):
        example, number = self.arguments
        image = f"auto_examples/images/sphx_glr_{example}_{int(number):03}.png"
        path = Path(self.env.srcdir) / image
        # Also where it is missing: the page is read again once it is there.
        self.env.note_dependency(str(path))
        caption = " ".join(self.content)
        linked = f"{caption} :ref:`sphx_glr_auto_examples_{example}.py`"
        if not path.is_file():
            if list(path.parent.glob(f"sphx_glr_{example}_*.png")):
                message = "%s drew no picture %s"
                logger.warning(message, example, number, location=self.get_location())
            return self.parse_text_to_nodes(linked)
        figure = [f".. figure:: /{image}", f"   :alt: {caption}", "", f"   {linked}"]
        return self.parse_text_to_nodes("\n".join(figure))


def setup(app):
    app.add_directive("gallery-picture", GalleryPicture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
