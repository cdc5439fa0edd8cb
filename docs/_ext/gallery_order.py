"""The order of the examples in the gallery."""


class QuickstartFirst:
    """Sort the quick start before all other examples, which go by file name."""

    def __init__(self, src_dir):
        pass

    def __call__(self, filename):
        return filename != "plot_quickstart.py", filename
