"""How Sphinx builds this site.

From the top of the project:

> sphinx-build -W -n docs build/docs

Authors
 * The speechbrain-merit developers 2026
"""

import re
from importlib import metadata

project = "speechbrain-merit"
author = "The speechbrain-merit developers"
copyright = "2026, the speechbrain-merit developers"
release = metadata.version(project)
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    # Brings MyST's Markdown too.
    "myst_nb",
]
templates_path = ["templates"]
# Pages that are not in a table of contents are errors, but these are no pages.
exclude_patterns = ["templates"]

# ################################ Markdown ##################################
# Headings can be linked to.
myst_heading_anchors = 3
# The notebook is shown as it was stored; a test runs it.
nb_execution_mode = "off"
# Tables in its outputs.
nb_render_markdown_format = "myst"

# ############################### Docstrings #################################
# SpeechBrain's docstrings put code between single backticks.
default_role = "literal"
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Types in signatures are short, and full where the mouse rests on them.
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_google_docstring = False
napoleon_use_rtype = False
# With -n, what a signature of this package names must be documented; the types
# of other packages would need their sites to be there.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!speechbrain_merit\.).*"),
]
suppress_warnings = [
    # Docstrings name types shortly, and two classes may be called alike.
    "ref.python",
]

# ################################### Look ###################################
html_theme = "furo"
html_title = "speechbrain-merit"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False


def leave_out_authors(app, what, name, obj, options, lines):
    """Ends a module's docstring before its authors, as upstream's site does."""
    if what == "module" and "Authors" in lines:
        del lines[lines.index("Authors") :]


def leave_out_fields(app, what, name, obj, skip, options):
    """Leaves out the fields of named tuples: their class documents them."""
    if re.match(
        r"Alias for field number \d+", getattr(obj, "__doc__", "") or ""
    ):
        return True
    return skip


def setup(app):
    """Connects what docstrings need beyond Sphinx's own extensions."""
    app.connect("autodoc-process-docstring", leave_out_authors, priority=1)
    app.connect("autodoc-skip-member", leave_out_fields)
