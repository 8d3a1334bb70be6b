"""Results as JSON, one line for every file, also after an interruption.

Authors
 * The speechbrain-merit developers 2026
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from speechbrain_merit.data.atomic_write import atomic_write

_BEGINNING = '{"file": '


class ResultLines:
    """A JSONL file that grows by a line for every file that is processed.

    A line that an interrupted run did not finish counts for nothing, and goes
    with the next `forget`.

    Arguments
    ---------
    path : Path
        The file; what it holds already stays.

    Raises
    ------
    ValueError
        If a line is not one of this program's.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "results.jsonl"
    >>> ResultLines(path).append({"file": "a.wav", "emotion": "sad"})
    >>> sorted(ResultLines(path).keys_of("a.wav"))
    ['emotion', 'file']
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = _read_lines(path)

    def keys_of(self, file: str) -> set[str]:
        """Tells what a file's line holds.

        Arguments
        ---------
        file : str
            Its name.

        Returns
        -------
        set of str
            The keys; none where there is no line.
        """
        return set(json.loads(self._lines.get(file, "{}")))

    def forget(self, files: Iterable[str]) -> None:
        """Takes out the lines of files, because new ones will come.

        Arguments
        ---------
        files : iterable of str
            Their names, whether they have lines or not.
        """
        for name in files:
            self._lines.pop(name, None)
        with atomic_write(self.path) as partial:
            partial.write_text("".join(self._lines.values()), "utf-8")

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a line.

        Arguments
        ---------
        record : Mapping
            Values for JSON, first of all the name of the file under `file`.

        Raises
        ------
        ValueError
            If a number is not finite.
        """
        line = json.dumps(record, allow_nan=False) + "\n"
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line)
        self._lines[record["file"]] = line


def _read_lines(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        # Cut off wherever, also within its beginning.
        if lines[-1].startswith(_BEGINNING[: len(lines[-1])]):
            lines.pop()
    found = {}
    for number, line in enumerate(lines, start=1):
        try:
            found[json.loads(line)["file"]] = line
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path}, line {number}, is no result of this program: remove "
                "the file or name another one."
            ) from error
    return found
