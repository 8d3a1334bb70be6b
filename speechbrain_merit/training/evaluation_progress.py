"""What a test has found so far, so that an interrupted one goes on.

Scores such as PESQ take longer than the model itself: a large test lasts for
hours. Every utterance that is scored is a row of a file while the test runs,
and is used again by the same test alone: of the same weights, mixtures, files,
batches and metrics.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


class EvaluationProgress:
    """Keeps the rows of a test in a file while it runs.

    A line is a checksum and JSON; the first one tells which test it is. What
    comes after a line that is not whole, because the process was killed while
    writing or the disk has a fault, is cut off and found once more.

    Arguments
    ---------
    path : str or Path
        The file, which is there while the test is unfinished.

    Example
    -------
    >>> path = getfixture("tmpdir") / "test_progress.jsonl"
    >>> progress = EvaluationProgress(path)
    >>> progress.open("this test")
    >>> progress.append([{"id": "a", "stoi": 0.9}])
    >>> progress = EvaluationProgress(path)
    >>> progress.open("this test")
    >>> progress.rows
    {'a': {'id': 'a', 'stoi': 0.9}}
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.rows: dict[str, dict[str, Any]] = {}

    def open(self, identity: str) -> None:
        """Takes up the rows that were found before.

        Arguments
        ---------
        identity : str
            Of the test, see `identify`. Rows of another one are dropped.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            file.seek(0)
            first, *rows = self._whole_lines(file) or [None]
            if first != identity:
                file.truncate(0)
                self._write(file, [identity])
                rows = []
        self.rows = {row["id"]: row for row in rows}

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes rows, and waits until they are on disk.

        Arguments
        ---------
        rows : iterable of Mapping
            With `id`; those that are there already are left out.
        """
        new = {r["id"]: dict(r) for r in rows if r["id"] not in self.rows}
        with self.path.open("ab") as file:
            self._write(file, new.values())
        self.rows |= new

    def remove(self) -> None:
        """Forgets it all, when the test is finished."""
        self.path.unlink(missing_ok=True)

    def _whole_lines(self, file: Any) -> list[Any]:
        found, size = [], 0
        for line in file:
            checksum, _, content = line[:-1].partition(b" ")
            if line[-1:] != b"\n" or checksum != _checksum(content):
                logger.warning("%s is cut at a damaged line.", self.path)
                file.truncate(size)
                break
            found.append(json.loads(content))
            size += len(line)
        return found

    @staticmethod
    def _write(file: Any, values: Iterable[Any]) -> None:
        lines = [json.dumps(value).encode() for value in values]
        file.write(b"".join(_checksum(x) + b" " + x + b"\n" for x in lines))
        file.flush()
        os.fsync(file.fileno())


def _stamp(path: str) -> tuple[int, int] | None:
    # Whoever reads it says that it is not there.
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    return None


def _checksum(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)


class RemainingBatches(Sampler):
    """The batches of which not every utterance has a row.

    They stay whole: their rounding is that of a test in one go.

    Arguments
    ---------
    batches : sampler
        All batches.
    ids : sequence of str
        Identity of every utterance.
    progress : EvaluationProgress
        Opened before the first batch is asked for.

    Example
    -------
    >>> progress = EvaluationProgress("nowhere")
    >>> progress.rows = {"a": {}, "b": {}, "c": {}}
    >>> list(RemainingBatches([[0, 1], [2, 3], [4]], "abcde", progress))
    [[2, 3], [4]]
    """

    def __init__(
        self,
        batches: Iterable[list[int]],
        ids: Sequence[str],
        progress: EvaluationProgress,
    ) -> None:
        self.batches = batches
        self.ids = ids
        self.progress = progress

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            if any(self.ids[i] not in self.progress.rows for i in batch):
                yield batch

    def __len__(self) -> int:
        return sum(1 for _ in self)


def identify(
    weights: Mapping[str, torch.Tensor],
    *facts: Any,
    batches: Iterable,
    files: Iterable[str] = (),
) -> str:
    """Tells one test from another.

    Arguments
    ---------
    weights : Mapping
        Of the model.
    *facts : Any
        All else that the results depend on, as far as its `repr` tells.
    batches : iterable of list of int
        What is tested together.
    files : iterable of str
        What is read; files of another size or time of change are others.

    Returns
    -------
    str
        The same for the same test.

    Example
    -------
    >>> one = identify({"a": torch.zeros(2)}, ["stoi"], batches=[[0, 1]])
    >>> one == identify({"a": torch.zeros(2)}, ["stoi"], batches=[[0, 1]])
    True
    >>> one == identify({"a": torch.ones(2)}, ["stoi"], batches=[[0, 1]])
    False
    """
    stamps = [(path, _stamp(path)) for path in sorted(set(files))]
    facts = (facts, list(batches), stamps)
    digest = hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape"))
    for name, tensor in sorted(weights.items()):
        digest.update(repr((name, tensor.dtype, tensor.shape)).encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()
