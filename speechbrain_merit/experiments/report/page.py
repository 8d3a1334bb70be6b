"""A report as one HTML page that needs no other file.

Authors
 * The speechbrain-merit developers 2026
"""

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import NamedTuple

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a;
  max-width: 75rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
nav a { margin-right: 1rem; white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.875rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.25rem; }
th, td { padding: 0.2rem 0.6rem; text-align: right; }
th[scope=row], th:first-child { text-align: left; white-space: nowrap; }
thead { border-bottom: 1px solid #1a1a1a; }
thead th[colspan] { text-align: center; }
tbody tr:nth-child(even) { background: #f5f5f5; }
td small { display: block; color: #555; white-space: nowrap; }
figure { margin: 1.5rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { color: #333; font-size: 0.875rem; }
@page { size: A4 landscape; margin: 12mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .wide { overflow: visible; }
  table { font-size: 7.5pt; }
  th, td { padding: 0.1rem 0.3rem; }
  table, figure { break-inside: avoid; }
  h2 { break-after: avoid; }
  figure img { max-height: 160mm; }
}
</style>
</head>
<body>
<h1>$title</h1>
<nav>$links</nav>
$body</body>
</html>
""")


class Section(NamedTuple):
    """A part of the page.

    Arguments
    ---------
    title : str
        Its heading.
    body : str
        HTML.
    """

    title: str
    body: str


def paragraph(text: str) -> str:
    """Writes a paragraph.

    Arguments
    ---------
    text : str
        Plain text.

    Returns
    -------
    str
        HTML.

    Example
    -------
    >>> paragraph("p < 0.05")
    '<p>p &lt; 0.05</p>\\n'
    """
    return f"<p>{html.escape(text)}</p>\n"


def wide(text: str) -> str:
    """Lets what is too wide for the screen scroll by itself.

    Arguments
    ---------
    text : str
        HTML.

    Returns
    -------
    str
        HTML.

    Example
    -------
    >>> wide("<table></table>")
    "<div class='wide'><table></table></div>\\n"
    """
    return f"<div class='wide'>{text}</div>\n"


def embedded_figure(path: Path, caption: str) -> str:
    """Puts an image into the page itself.

    Arguments
    ---------
    path : Path
        A PNG file.
    caption : str
        What it shows.

    Returns
    -------
    str
        HTML.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "image.png"
    >>> _ = path.write_bytes(b"image")
    >>> "data:image/png;base64,aW1hZ2U=" in embedded_figure(path, "An image")
    True
    """
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = html.escape(caption)
    return (
        f"<figure><img src='data:image/png;base64,{data}' alt='{text}'>"
        f"<figcaption>{text}</figcaption></figure>\n"
    )


def page_text(title: str, sections: Sequence[Section]) -> str:
    """Puts a page together.

    Arguments
    ---------
    title : str
        Of the page.
    sections : sequence of Section
        What it says.

    Returns
    -------
    str
        HTML that refers to no other file.

    Example
    -------
    >>> "<h2 id='s0'>Scores</h2>" in page_text(
    ...     "Report", [Section("Scores", "")]
    ... )
    True
    """
    links = "".join(
        f"<a href='#s{number}'>{html.escape(section.title)}</a> "
        for number, section in enumerate(sections)
    )
    body = "".join(
        f"<section><h2 id='s{number}'>{html.escape(section.title)}</h2>\n"
        f"{section.body}</section>\n"
        for number, section in enumerate(sections)
    )
    return _PAGE.substitute(title=html.escape(title), links=links, body=body)
