"""A report in HTML, Markdown and LaTeX, by the files in `templates`.

Authors
 * The speechbrain-merit developers 2026
"""

import base64
import re
from pathlib import Path
from typing import Any

import jinja2

from speechbrain_merit.metrics.results_table import markdown_rows, markdown_text

from .score_tables import Cell, Table

# Of a score that differs significantly from the baseline's.
MARK = "*"
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def render(name: str, **content: Any) -> str:
    """Writes a report.

    Arguments
    ---------
    name : str
        `report.html`, which needs no other file, `report.md` or `tables.tex`;
        or `notes.txt`, what these say of their method.
    **content : Any
        `title`, a text; `notes`, paragraphs of text; `sections`, the tables
        of each heading; `figures`, a caption for each path. For the notes
        `num_resamples` and `baseline`, which may be None.

    Returns
    -------
    str
        Markup, in which everything else is escaped.

    Example
    -------
    >>> table = Table("Scores", (), ("a", "b"), (("x_1", None),))
    >>> content = {"title": "Report", "notes": [], "figures": {}}
    >>> print(render("tables.tex", sections={"Summary": [table]}, **content))
    % \\usepackage{booktabs}
    <BLANKLINE>
    \\begin{table*}
    \\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}
    \\caption{Scores}
    \\begin{tabular}{lr}
    \\toprule
    a & b \\\\
    \\midrule
    x\\_1 & -- \\\\
    \\bottomrule
    \\end{tabular}
    \\end{table*}
    <BLANKLINE>
    """
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("speechbrain_merit.experiments.report"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(
        base64=lambda path: base64.b64encode(Path(path).read_bytes()).decode(),
        latex=_latex,
        markdown=_markdown,
        text=markdown_text,
    )
    if name.endswith(".tex"):
        # LaTeX is full of braces.
        templates = templates.overlay("<%", "%>", "<<", ">>", "<#", "#>")
    return templates.get_template(name).render(mark=MARK, **content)


def _markdown(table: Table) -> str:
    # There is one line of headings in Markdown.
    groups = [title for title, span in table.groups for _ in range(span)]
    groups = ["", *groups] if groups else [""] * len(table.columns)
    titles = map(" ".join, zip(groups, table.columns, strict=True))
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    return markdown_rows([[markdown_text(t.strip()) for t in titles], *rows])


def _markdown_cell(cell: str | Cell | None) -> str:
    if not isinstance(cell, Cell):
        return "-" if cell is None else markdown_text(cell)
    value = f"**{cell.value}**" if cell.is_best else cell.value
    # As it is, the mark would make what stands between two of them italic.
    mark = f"\\{MARK}" if cell.is_significant else ""
    return f"{value}{mark} {cell.interval}"


def _latex(cell: str | Cell | None) -> str:
    if not isinstance(cell, Cell):
        # At the beginning of a row, the row before would take these.
        start = "{}" if cell and cell.lstrip()[:1] in ("[", "*") else ""
        return "--" if cell is None else start + _latex_escaped(cell)
    value, interval = map(_latex_escaped, (cell.value, cell.interval))
    value = rf"\textbf{{{value}}}" if cell.is_best else value
    mark = rf"\rlap{{{MARK}}}" if cell.is_significant else ""
    # Two lines, for a row of a page has no room for both.
    return rf"\shortstack[r]{{{value}{mark}\\{{\scriptsize {interval}}}}}"


def _latex_escaped(text: str) -> str:
    arrows = " ".join(text.split()).replace("->", "\0")
    escaped = re.sub(
        r"[\\~^<>&%$#_{}]", lambda found: _LATEX_SPECIAL[found[0]], arrows
    )
    signed = re.sub(r"(?<!\w)-(?=\d)", "$-$", escaped)
    return signed.replace("\0", r"$\rightarrow$")
