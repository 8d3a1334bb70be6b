"""Results as JSON, one line for every file, also after an interruption.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import errno
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

import filelock

from speechbrain_merit.data.atomic_write import (
    atomic_write,
    is_device,
    naming_path,
)
from speechbrain_merit.data.reading_errors import naming_file

_BEGINNING = '{"file": '
# What a line's results were made of.
MADE_FROM = "made_from"


class ResultLines:
    """A JSONL file that grows by a line for every file that is processed.

    A line that an interrupted run, or one without room on the disk, did not
    finish counts for nothing, and goes with the next `forget`. Until the
    program ends, no other one can write there. Devices and pipes are only
    written to.

    Arguments
    ---------
    path : Path
        The file; what it holds already stays.

    Raises
    ------
    ValueError
        If a line is not one of this program's, or another program writes.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "results.jsonl"
    >>> with ResultLines(path) as lines:
    ...     lines.append({"file": "a.wav", "emotion": "sad"})
    ...     sorted(lines.of("a.wav"))
    ['emotion', 'file']
    """

    def __init__(self, path: Path) -> None:
        self._keeps = not is_device(path)
        # A link stays, and is written through.
        self.path = Path(os.path.realpath(path)) if self._keeps else path
        self._lines: dict[str, str] = {}
        self._held = contextlib.ExitStack()
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> "ResultLines":
        if self._keeps:
            lock = f".{self.path.name.lstrip('.')}.lock"
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._held.enter_context(
                    filelock.FileLock(self.path.with_name(lock), timeout=0)
                )
            except filelock.Timeout as error:
                raise ValueError(
                    f"Another program writes into {self.path}: wait for it, "
                    "or name another file."
                ) from error
            self._lines = _read_lines(self.path)
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def of(self, file: str | Path) -> dict[str, Any]:
        """Gives a file's line.

        Arguments
        ---------
        file : str or Path
            Its name.

        Returns
        -------
        dict
            Empty where there is no line.
        """
        return json.loads(self._lines.get(os.path.abspath(file), "{}"))

    def forget(self, files: Collection[str | Path | None]) -> None:
        """Takes out the lines of files, because new ones will come.

        Arguments
        ---------
        files : collection of str or Path or None
            Names of recordings and of what will be made of them, whether they
            have lines or not.
        """
        if not self._keeps:
            return
        gone = {os.path.abspath(file) for file in files if file is not None}
        for place, line in list(self._lines.items()):
            made_from = json.loads(line).get(MADE_FROM) or {}
            if {place, made_from.get("output")} & gone:
                del self._lines[place]
        with atomic_write(self.path) as partial:
            partial.write_text("".join(self._lines.values()), encoding="utf-8")
        self._stream = None

    def append(self, record: Mapping[str, Any]) -> None:
        """Adds a line, whole or not at all.

        Arguments
        ---------
        record : Mapping
            Values for JSON, first of all the name of the file under `file`.

        Raises
        ------
        ValueError
            If a number is not finite.
        OSError
            If there is no room for it; the message names the file.
        """
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        with naming_path(self.path):
            # Kept open: whoever reads a pipe takes its closing for the end.
            if self._stream is None:
                stream = self.path.open("ab", 0)
                self._stream = self._held.enter_context(stream)
            start = self._keeps and self._stream.tell()
            if self._stream.write(line) < len(line):
                if self._keeps:
                    self._stream.truncate(start)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._lines[_place(record)] = line.decode()


def _place(record: Mapping[str, Any]) -> str:
    """Where a line's file lies; lines of before tell its name only."""
    made_from = record.get(MADE_FROM) or {}
    return made_from.get("path") or os.path.abspath(record["file"])


def _read_lines(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with naming_file(path, "Name another file."):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    found = {}
    for number, line in enumerate(lines, start=1):
        try:
            found[_place(json.loads(line))] = line
        except Exception as error:
            # Cut off wherever, also within its beginning.
            if line.startswith(_BEGINNING[: len(line.rstrip("\n"))]):
                continue
            raise ValueError(
                f"{path}, line {number}, is no result of this program: remove "
                "the file or name another one."
            ) from error
    return found
