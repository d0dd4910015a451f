"""Sphinx settings of the documentation site. `docs/build.py` copies docs/ and the executed notebooks together and calls Sphinx."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

project = "quanticity"
author = "The quanticity authors"
copyright = "The quanticity authors"
extensions = ["myst_nb", "mathtext"]
root_doc = "index"
exclude_patterns = ["_build"]

# the notebooks come with their outputs: build.py has run them
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, Any] = {}
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type", "misc.highlighting_failure"]

html_theme = "furo"
html_title = "quanticity"
html_static_path = ["_static"]
html_css_files = ["quanticity.css"]
html_math_renderer = "mathtext"
html_copy_source = False
html_show_sourcelink = False


def plotly_where_needed(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Load plotly.js (4.6 MB) on those pages only that show a figure."""
    if "q-figure" in context.get("body", ""):
        app.add_js_file("plotly.min.js")


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("html-page-context", plotly_where_needed)
