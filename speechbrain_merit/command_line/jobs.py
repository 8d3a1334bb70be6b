"""Which files to process, where their results go, and which go together.

Authors
 * The speechbrain-merit developers 2026
"""

import functools
import itertools
import math
import os
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.decoding import AUDIO_SUFFIXES, Source, audio_info
from speechbrain_merit.data.preparation.files import find_files, printable
from speechbrain_merit.data.samples import as_source

logger = get_logger(__name__)

# The name of what comes in by the standard input.
STANDARD_INPUT = "-"
_BATCHES_AHEAD = 64
# By the extension of a list, what pyarrow calls its format; text is read here.
LIST_FORMATS = {
    ".txt": "text",
    ".csv": "csv",
    ".jsonl": "json",
    ".parquet": "parquet",
}
# The columns that may hold the paths, the likelier ones first.
COLUMNS = ("file", "path", "wav")
_ROWS = 2**13


class Job(NamedTuple):
    """A file to process.

    Arguments
    ---------
    source : Path
        The recording.
    output : Path or None
        The file for the enhanced speech, where there is to be one.
    contents : file object, optional
        Of a recording that can be read only once.
    stamp : dict, optional
        Path, size and time of change of one that can be read again.
    root : str
        What the recording's path is relative to; with variables of the
        machine's environment, such as `$DATA`.
    """

    source: Path
    output: Path | None
    contents: Source | None = None
    stamp: dict[str, Any] | None = None
    root: str = ""

    @property
    def recording(self) -> Source:
        """What is to be read, on this machine."""
        if self.contents is not None:
            return self.contents
        return Path(os.path.expandvars(self.root), self.source)

    @property
    def plot(self) -> Path | None:
        """The file for the spectrograms, beside the enhanced speech."""
        return None if self.output is None else self.output.with_suffix(".png")


class Jobs:
    """The files to process, listed anew for every pass through them.

    Of every file, no more is kept than some numbers: 8 bytes each that stand
    for its name and for what is made of it.

    Arguments
    ---------
    inputs : sequence of str
        Files and pipes, taken as they are, `-` for the standard input, lists
        of files, see `read_paths`, and folders, searched for audio files at
        any depth by their extension. What is left out of a folder is named in
        the log.
    out : Path or None
        Folder for the enhanced speech. What is found in a folder keeps its
        place relative to that folder, and what is in a list its place
        relative to `root`, if it lies there. All of it becomes WAV; files that
        differ in the extension only keep that, too. Nothing in this folder is
        an input.
    root : str
        As for `Job`.

    Raises
    ------
    FileNotFoundError
        If a folder holds no audio file.
    ValueError
        If an output would take the place of an input or of another output, or
        an input folder lies in the output folder.

    Example
    -------
    >>> names = ["a.flac", "other/b.wav", "other/b.mp3"]
    >>> for job in Jobs(names, Path("enhanced")):
    ...     job.source.as_posix(), job.output.as_posix()
    ('a.flac', 'enhanced/a.wav')
    ('other/b.wav', 'enhanced/b.wav.wav')
    ('other/b.mp3', 'enhanced/b.mp3.wav')
    """

    def __init__(
        self, inputs: Sequence[str], out: Path | None, root: str = ""
    ) -> None:
        self.out, self.root = out, root
        self._base = os.path.expandvars(root)
        self._opened: dict[str, Source] = {}
        self.left_out: Counter[str] = Counter()
        self._inputs = [(given, self._in_folder(given)) for given in inputs]
        files, stems = array("q"), array("q")
        for name, place in self._listed():
            self._check_outside(name)
            files.append(hash(self._path(name)))
            stems.append(hash(os.path.splitext(place)[0]))
        # A file that is given twice is one file.
        self._is_first = np.zeros(len(files), bool)
        self._is_first[np.unique(files, return_index=True)[1]] = True
        self._shared = _repeated(np.asarray(stems)[self._is_first])
        if out is not None:
            self._check_outputs()

    def __len__(self) -> int:
        return int(self._is_first.sum())

    def __iter__(self) -> Iterator[Job]:
        for name, output in self._named():
            source = Path(name)
            yield Job(source, output, *self._read_or_stamp(name), self.root)

    def _path(self, name: str) -> str:
        return os.path.abspath(os.path.join(self._base, name))

    def _in_folder(self, given: str) -> list[str] | None:
        """Lists the audio files of a folder."""
        folder = Path(self._base, given)
        if not folder.is_dir():
            return None
        self._check_outside(given)
        places = list(self._audio_files(folder))
        if not places:
            raise FileNotFoundError(f"{given} holds no audio file.")
        return places

    def _audio_files(self, folder: Path) -> Iterator[str]:
        for place in find_files(folder):
            path = folder / place
            if self.out is not None and _lies_in(str(path), self.out):
                continue
            if path.suffix.lower() not in AUDIO_SUFFIXES:
                reason = "its extension is none of an audio file"
            elif not path.is_file():
                reason = "it is no regular file"
            else:
                yield place
                continue
            self.left_out[reason] += 1
            logger.warning("%s is left out: %s.", printable(str(path)), reason)

    def _listed(self) -> Iterator[tuple[str, str]]:
        """Gives all names, and their places among the outputs."""
        for given, places in self._inputs:
            if places is not None:
                yield from ((os.path.join(given, p), p) for p in places)
            elif given == STANDARD_INPUT:
                yield given, "stdin"
            elif Path(given).suffix.lower() in LIST_FORMATS:
                yield from map(self._placed, read_paths(Path(given)))
            else:
                yield self._placed(given)

    def _placed(self, name: str) -> tuple[str, str]:
        name = os.path.normpath(name)
        if self.root:
            name = os.path.relpath(self._path(name), self._base or None)
        outside = not self.root or name.startswith(os.pardir)
        return name, os.path.basename(name) if outside else name

    def _named(self) -> Iterator[tuple[str, Path | None]]:
        """Gives the names of the files, each once, and their outputs."""
        is_first = self._is_first.tolist()
        for (name, place), first in zip(self._listed(), is_first, strict=True):
            stem = os.path.splitext(place)[0]
            output = f"{place if hash(stem) in self._shared else stem}.wav"
            if first:
                yield name, None if self.out is None else self.out / output

    def _check_outside(self, name: str) -> None:
        if self.out is not None and _lies_in(self._path(name), self.out):
            raise ValueError(
                f"{name} lies in the output folder {self.out}: choose another "
                "folder for the output."
            )

    def _check_outputs(self) -> None:
        outputs = array("q", (hash(output) for _, output in self._named()))
        twice = _repeated(np.asarray(outputs))
        written: dict[Path | None, str] = {}
        for name, output in self._named() if twice else ():
            other = written.setdefault(output, name)
            if hash(output) in twice and other != name:
                raise ValueError(
                    f"{other} and {name} would both be written to {output}: "
                    "name the folder that both are in, or give it as --root "
                    "where they are in a list."
                )

    def _read_or_stamp(
        self, name: str
    ) -> tuple[Source | None, dict[str, Any] | None]:
        """Reads what can be read only once, and tells of the rest as it is."""
        if name in self._opened:
            return self._opened[name], None
        path = self._path(name)
        standard = name == STANDARD_INPUT
        opened = as_source(sys.stdin.buffer if standard else path, 1)
        if opened is not path:
            self._opened[name] = opened
            return opened, None
        try:
            status = os.stat(path)
        except OSError:
            return None, None
        return None, {
            "path": name if self.root else path,
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
        }


def _lies_in(path: str, folder: Path) -> bool:
    top, name = os.path.split(path)
    path = os.path.join(_real(top), name)
    # Each folder's links are resolved once.
    path = os.path.realpath(path) if os.path.islink(path) else path
    return Path(path).is_relative_to(_real(str(folder)))


@functools.lru_cache(maxsize=4096)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _repeated(values: np.ndarray) -> set[int]:
    values = np.sort(values)
    return set(values[1:][values[1:] == values[:-1]].tolist())


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
    try:
        from pyarrow.dataset import dataset
    except ImportError as error:
        raise ImportError(
            f"{path} needs pyarrow: pip install '.[cluster]' in the project's "
            "folder."
        ) from error
    table = dataset(path, format=kind)
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


def make_batches(
    jobs: Iterable[Job], batch_size: int, longest_s: float
) -> Iterator[list[Job]]:
    """Puts files of about the same length together.

    Arguments
    ---------
    jobs : iterable of Job
        The files to process.
    batch_size : int
        Files in a batch; 1 leaves their order as it is. Of 64 times as many,
        those that go together are found.
    longest_s : float
        Files longer than this, in seconds, and those that cannot be read stay
        alone.

    Yields
    ------
    list of Job
        Of those that are looked at together, the shortest ones first, and
        last the ones that stay alone.

    Example
    -------
    >>> jobs = [Job(Path("no-audio"), None)] * 2
    >>> [len(batch) for batch in make_batches(jobs, 2, 20.0)]
    [1, 1]
    """
    if batch_size == 1:
        yield from ([job] for job in jobs)
        return
    jobs = iter(jobs)
    while window := list(itertools.islice(jobs, _BATCHES_AHEAD * batch_size)):
        durations_s = [_duration_s(job.recording) for job in window]
        order = sorted(range(len(window)), key=durations_s.__getitem__)
        short = [window[i] for i in order if durations_s[i] <= longest_s]
        for start in range(0, len(short), batch_size):
            yield short[start : start + batch_size]
        yield from ([window[i]] for i in order[len(short) :])


def _duration_s(recording: Source) -> float:
    try:
        return audio_info(recording).duration
    except ValueError:
        return math.inf
