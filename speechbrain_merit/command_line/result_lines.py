"""Results as JSON, one line for every file, also after an interruption.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import errno
import json
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import filelock
import numpy as np

from speechbrain_merit.data.atomic_write import (
    atomic_write,
    is_device,
    naming_path,
)

_BEGINNING = '{"file": '
# What a line's results were made of.
MADE_FROM = "made_from"
# What a line may have beside what every one has.
OPTIONAL = ("timeline",)


class ResultLines:
    """A JSONL file that grows by a line for every file that is processed.

    A line that an interrupted run, or one without room on the disk, did not
    finish counts for nothing, and goes with the next `forget`. Until the
    program ends, no other one can write there. Devices and pipes are only
    written to. Of every line, no more is kept than numbers of 8 bytes that
    stand for its file and for what it was made of.

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
    >>> made_from = {"path": "/a.wav", "size": 7}
    >>> with ResultLines(path) as lines:
    ...     lines.append({"file": "a.wav", MADE_FROM: made_from})
    >>> with ResultLines(path) as lines:
    ...     lines.has(made_from), lines.has(made_from, "timeline")
    (True, False)
    """

    def __init__(self, path: Path) -> None:
        self._keeps = not is_device(path)
        # A link stays, and is written through.
        self.path = Path(os.path.realpath(path)) if self._keeps else path
        self._finished = np.zeros(0, np.int64)
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
            finished = array("q")
            for _, record in self._read():
                if "error" not in record and record.get(MADE_FROM):
                    finished.append(_number(record[MADE_FROM]))
                    parts = (key for key in OPTIONAL if key in record)
                    finished.extend(
                        _number(record[MADE_FROM], p) for p in parts
                    )
            self._finished = np.sort(np.asarray(finished))
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing yet."""
        return not self._keeps or (
            not self.path.exists() or self.path.stat().st_size == 0
        )

    def has(self, made_from: Mapping[str, Any], part: str = "") -> bool:
        """Tells whether there is a good line.

        Arguments
        ---------
        made_from : Mapping
            What it has to be made of.
        part : str
            One of `OPTIONAL` that it has to have.

        Returns
        -------
        bool
            Of the lines that were there in the beginning.
        """
        return _is_among(_number(made_from, part), self._finished)

    def forget(self, files: Iterable[str | Path | None]) -> None:
        """Takes out the lines of files, because new ones will come.

        Arguments
        ---------
        files : iterable of str or Path or None
            Whole paths of recordings and of what will be made of them,
            whether they have lines or not.
        """
        if self.is_empty:
            return
        gone = np.fromiter((hash(f) for f in files if f is not None), np.int64)
        gone.sort()
        with (
            atomic_write(self.path) as partial,
            partial.open("w", encoding="utf-8") as kept,
        ):
            for line, record in self._read():
                output = (record.get(MADE_FROM) or {}).get("output")
                if not any(
                    _is_among(hash(name), gone)
                    for name in (_place(record), output)
                ):
                    kept.write(line)
        self._stream = None

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Gives the lines that are whole, and what they hold."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    record = json.loads(line)
                    _place(record)
                except Exception as error:
                    # Cut off wherever, also within its beginning.
                    if line.startswith(_BEGINNING[: len(line.rstrip("\n"))]):
                        continue
                    raise ValueError(
                        f"{self.path}, line {number}, is no result of this "
                        "program: remove the file or name another one."
                    ) from error
                yield line, record

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


def _place(record: Mapping[str, Any]) -> str:
    """Where a line's file lies; lines of before tell its name only."""
    made_from = record.get(MADE_FROM) or {}
    return made_from.get("path") or os.path.abspath(record["file"])


def _number(made_from: Mapping[str, Any], part: str = "") -> int:
    return hash(json.dumps([made_from, part], sort_keys=True))


def _is_among(number: int, ordered: np.ndarray) -> bool:
    place = ordered.searchsorted(number)
    return bool((ordered[place : place + 1] == number).any())
