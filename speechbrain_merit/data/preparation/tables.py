"""Label tables of corpora, whose columns differ between releases.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.reading_errors import naming_file

logger = get_logger(__name__)


def read_table(
    path: str | Path, required: Sequence[str], optional: Sequence[str] = ()
) -> list[dict[str, str | None]]:
    """Reads the named columns of a table, and says which are not there.

    Bytes that are not UTF-8 are replaced: they occur in transcripts, which
    nothing here reads.

    Arguments
    ---------
    path : str or Path
        A file with a line of headings, as CSV or with tabs between the
        columns (TSV).
    required : sequence of str
        Headings that must be there.
    optional : sequence of str
        Headings that may be missing; a warning names those that are.

    Returns
    -------
    list of dict
        Text by heading for every row; None where a cell is empty or its
        column missing.

    Raises
    ------
    ValueError
        If a required column is missing; the message lists what is there.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "labels.csv"
    >>> _ = path.write_text("FileName,EmoClass\\na.wav, A\\nb.wav,\\n")
    >>> read_table(path, ["FileName", "EmoClass"])
    [{'FileName': 'a.wav', 'EmoClass': 'A'}, {'FileName': 'b.wav', 'EmoClass': None}]
    """
    with (
        naming_file(path),
        open(
            path, encoding="utf-8-sig", errors="replace", newline=""
        ) as stream,
    ):
        reader = open_table(stream)
        headings = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = headings
        missing = [name for name in required if name not in headings]
        if missing:
            raise ValueError(
                f"it has no column {', '.join(missing)}: its columns are "
                f"{', '.join(headings) or 'none'}"
            )
        absent = [name for name in optional if name not in headings]
        if absent:
            logger.warning(
                f"{path} has no column {', '.join(absent)}; going on without."
            )
        names = (*required, *optional)
        return [
            {name: (row.get(name) or "").strip() or None for name in names}
            for row in reader
        ]


def open_table(stream: TextIO) -> csv.DictReader:
    """Reads rows of a table, whose headings tell what is between columns.

    Arguments
    ---------
    stream : TextIO
        A table with a line of headings, which can be rewound.

    Returns
    -------
    csv.DictReader
        Of columns with tabs between them, if the headings have a tab; else
        with commas.

    Example
    -------
    >>> import io
    >>> list(open_table(io.StringIO("a\\tb, c\\n1\\t2, 3\\n")))
    [{'a': '1', 'b, c': '2, 3'}]
    """
    has_tabs = "\t" in stream.readline()
    stream.seek(0)
    return csv.DictReader(
        stream, delimiter="\t" if has_tabs else ",", skipinitialspace=True
    )


def number_or_none(text: str | None) -> float | None:
    """Reads a number; None for whatever is none.

    Arguments
    ---------
    text : str or None
        A cell of a table.

    Returns
    -------
    float or None
        A finite number, or None.

    Example
    -------
    >>> number_or_none("4.2"), number_or_none("n/a"), number_or_none("nan")
    (4.2, None, None)
    """
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
