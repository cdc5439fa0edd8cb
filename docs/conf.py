"""Configuration of the documentation, built by Sphinx without a network."""

import sys
from pathlib import Path

# The gallery looks up what the examples import, and needs this for the halving search.
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

import sknn_notes

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sknn_notes"
author = "sknn_notes developers"
copyright = author
version = release = sknn_notes.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "gallery_picture",
    "mathml",
    "parts_table",
]
templates_path = ["_templates"]
# Other pages include the results.
exclude_patterns = ["_build", "auto_examples/**/*.ipynb", "*_results.rst"]

# -- API reference ---------------------------------------------------------------------
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

# -- Gallery ---------------------------------------------------------------------------
# A plain build only lists the examples; `-D plot_gallery=1` executes them all.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[\\/]plot_",
    "plot_gallery": "False",
    "min_reported_time": 5,
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "reference_url": {"sknn_notes": None},
    "matplotlib_animations": False,
    "within_subsection_order": "gallery_order.QuickstartFirst",
}

# -- HTML ------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = "sknn_notes"
html_static_path = ["_static"]
html_css_files = ["sknn_notes.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
}
html_sidebars = {
    "index": [],
    "install": [],
    "moving_from_*": [],
    "performance": [],
    "troubleshooting": [],
    "where_this_comes_from": [],
}
