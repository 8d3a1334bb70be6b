"""Tables in Markdown, LaTeX and HTML.

Authors
 * The speechbrain-merit developers 2026
"""

import html
import re

from .tables import Cell, Table

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


def markdown_text(table: Table) -> str:
    """Writes a table in Markdown.

    Arguments
    ---------
    table : Table
        What to write.

    Returns
    -------
    str
        The caption in bold, and the table with aligned columns.

    Example
    -------
    >>> print(markdown_text(Table("Scores", (), ("a", "b"), (("x", None),))))
    **Scores**
    <BLANKLINE>
    | a   |   b |
    | --- | --: |
    | x   |   - |
    <BLANKLINE>
    """
    # There is one line of headings in Markdown.
    groups = [title for title, span in table.groups for _ in range(span)]
    groups = ["", *groups] if groups else [""] * len(table.columns)
    head = [
        f"{group} {column}".strip()
        for group, column in zip(groups, table.columns, strict=True)
    ]
    lines = [head, *([_markdown_cell(c) for c in row] for row in table.rows)]
    widths = [max(3, *map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    text = [
        " | ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(
                zip(line, widths, strict=True)
            )
        )
        for line in (head, rule, *lines[1:])
    ]
    body = "\n".join(f"| {line} |" for line in text)
    return f"**{table.caption}**\n\n{body}\n"


def _markdown_cell(cell: str | Cell | None) -> str:
    if not isinstance(cell, Cell):
        return "-" if cell is None else cell.replace("|", "\\|")
    value = f"**{cell.value}**" if cell.is_best else cell.value
    # As it is, the mark would make what stands between two of them italic.
    mark = f"\\{MARK}" if cell.is_significant else ""
    return f"{value}{mark} {cell.interval}"


def latex_text(table: Table) -> str:
    r"""Writes a table in LaTeX, for the package `booktabs`.

    Arguments
    ---------
    table : Table
        What to write.

    Returns
    -------
    str
        A `table*` environment.

    Example
    -------
    >>> print(latex_text(Table("Scores", (), ("a", "b"), (("x_1", None),))))
    \begin{table*}
    \centering\footnotesize\setlength{\tabcolsep}{3pt}
    \caption{Scores}
    \begin{tabular}{lr}
    \toprule
    a & b \\
    \midrule
    x\_1 & -- \\
    \bottomrule
    \end{tabular}
    \end{table*}
    <BLANKLINE>
    """
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_latex_escaped(table.caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"\toprule",
    ]
    if table.groups:
        spans = [
            rf"\multicolumn{{{span}}}{{c}}{{{_latex_escaped(title)}}}"
            for title, span in table.groups
        ]
        lines.append(" & ".join(["", *spans]).lstrip() + r" \\")
    lines.append(" & ".join(map(_latex_escaped, table.columns)) + r" \\")
    lines.append(r"\midrule")
    lines += [" & ".join(map(_latex_cell, row)) + r" \\" for row in table.rows]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table*}"]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: str | Cell | None) -> str:
    if not isinstance(cell, Cell):
        return "--" if cell is None else _latex_escaped(cell)
    value, interval = map(_latex_escaped, (cell.value, cell.interval))
    value = rf"\textbf{{{value}}}" if cell.is_best else value
    mark = rf"\rlap{{{MARK}}}" if cell.is_significant else ""
    # Two lines, for a row of a page has no room for both.
    return rf"\shortstack[r]{{{value}{mark}\\{{\scriptsize {interval}}}}}"


def _latex_escaped(text: str) -> str:
    arrows = text.replace("->", "\0")
    escaped = re.sub(
        r"[\\~^<>&%$#_{}]", lambda found: _LATEX_SPECIAL[found[0]], arrows
    )
    signed = re.sub(r"(?<!\w)-(?=\d)", "$-$", escaped)
    return signed.replace("\0", r"$\rightarrow$")


def html_text(table: Table) -> str:
    """Writes a table in HTML.

    Arguments
    ---------
    table : Table
        What to write.

    Returns
    -------
    str
        A `table` element with its caption.

    Example
    -------
    >>> text = html_text(Table("Scores", (), ("a", "b"), (("<x>", None),)))
    >>> "<tr><th scope='row'>&lt;x&gt;</th><td>–</td></tr>" in text
    True
    """
    lines = ["<table>", f"<caption>{html.escape(table.caption)}</caption>"]
    lines.append("<thead>")
    if table.groups:
        spans = "".join(
            f"<th colspan='{span}'>{html.escape(title)}</th>"
            for title, span in table.groups
        )
        lines.append(f"<tr><td></td>{spans}</tr>")
    titles = (f"<th>{html.escape(column)}</th>" for column in table.columns)
    lines += [f"<tr>{''.join(titles)}</tr>", "</thead>", "<tbody>"]
    for name, *cells in table.rows:
        row = "".join(f"<td>{_html_cell(cell)}</td>" for cell in cells)
        lines.append(
            f"<tr><th scope='row'>{html.escape(str(name))}</th>{row}</tr>"
        )
    return "\n".join([*lines, "</tbody>", "</table>"]) + "\n"


def _html_cell(cell: str | Cell | None) -> str:
    if not isinstance(cell, Cell):
        return "–" if cell is None else html.escape(cell)
    value = f"<b>{cell.value}</b>" if cell.is_best else cell.value
    mark = MARK if cell.is_significant else ""
    return f"{value}{mark} <small>{cell.interval}</small>"
