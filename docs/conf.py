"""Sphinx' settings: the documentation is Markdown, and every warning is an error."""

from __future__ import annotations

import pgqmodel

project = "pgqmodel"
author = "pgqmodel contributors"
release = version = pgqmodel.__version__
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "pgqmodel"
