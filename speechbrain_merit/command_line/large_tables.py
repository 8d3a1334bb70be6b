"""Lists of files and tables of results that no memory holds.

Authors
 * The speechbrain-merit developers 2026
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechbrain_merit.data.atomic_write import atomic_write

from .result_lines import MADE_FROM

# By the extension, what pyarrow calls the format; text has a path a line.
LIST_FORMATS = {
    ".txt": "text",
    ".csv": "csv",
    ".jsonl": "json",
    ".parquet": "parquet",
}
# The columns that may hold the paths, the likelier ones first.
COLUMNS = ("file", "path", "wav")
_ROWS = 2**13


def read_paths(path: Path) -> Iterator[str]:
    """Reads the paths that a list names.

    Arguments
    ---------
    path : Path
        Text with a path on every line; or CSV, JSONL or Parquet with a column
        `file`, `path` or `wav`.

    Yields
    ------
    str
        As they are written.

    Raises
    ------
    ImportError
        If pyarrow is not installed, for other lists than text.
    ValueError
        If there is no such column.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "list.txt"
    >>> _ = path.write_text("a.wav\\nb.wav\\n")
    >>> list(read_paths(path))
    ['a.wav', 'b.wav']
    """
    kind = LIST_FORMATS[path.suffix.lower()]
    if kind == "text":
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            yield from filter(None, (line.rstrip("\n") for line in lines))
        return
    table = _pyarrow().dataset.dataset(path, format=kind)
    columns = [name for name in COLUMNS if name in table.schema.names]
    if not columns:
        raise ValueError(
            f"{path} has the columns {table.schema.names}: call the one with "
            f"the paths {COLUMNS[0]!r}."
        )
    for batch in table.to_batches(
        columns=columns[:1], batch_size=_ROWS, batch_readahead=1
    ):
        yield from batch.column(0).to_pylist()


def write_table(lines: Path, path: Path) -> None:
    """Writes lines of JSON as a Parquet file.

    Arguments
    ---------
    lines : Path
        Of `ResultLines`.
    path : Path
        File to write; its columns are the keys of all lines, but for
        what they were made from.

    Raises
    ------
    ImportError
        If pyarrow is not installed.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> _ = (folder / "a.jsonl").write_text('{"file": "a.wav"}')
    >>> write_table(folder / "a.jsonl", folder / "a.parquet")
    >>> list(read_paths(folder / "a.parquet"))
    ['a.wav']
    """
    pyarrow = _pyarrow()
    schemas = [part.schema for part in _parts(pyarrow, lines)]
    if not schemas:
        return
    schema = pyarrow.unify_schemas(schemas, promote_options="permissive")
    with (
        atomic_write(path) as partial,
        pyarrow.parquet.ParquetWriter(partial, schema) as writer,
    ):
        for part in _parts(pyarrow, lines, schema):
            writer.write_table(part)


def _parts(pyarrow: Any, lines: Path, schema: Any = None) -> Iterator[Any]:
    with lines.open(encoding="utf-8") as file:
        rows = map(json.loads, file)
        while some := list(itertools.islice(rows, _ROWS)):
            for row in some:
                row.pop(MADE_FROM, None)
            kind = schema and pyarrow.struct(schema)
            found = pyarrow.array(some, kind)
            yield pyarrow.Table.from_struct_array(found)


def _pyarrow() -> Any:
    try:
        import pyarrow.dataset
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Tables need pyarrow: pip install 'speechbrain-merit[cluster]'."
        ) from error
    return pyarrow
