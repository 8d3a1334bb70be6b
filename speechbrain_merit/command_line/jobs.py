"""Which files to process, where their results go, and which go together.

Authors
 * The speechbrain-merit developers 2026
"""

import math
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.decoding import AUDIO_SUFFIXES, Source, audio_info
from speechbrain_merit.data.preparation.files import find_files, printable
from speechbrain_merit.data.samples import as_source

logger = get_logger(__name__)

# The name of what comes in by the standard input.
STANDARD_INPUT = "-"


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
    """

    source: Path
    output: Path | None
    contents: Source | None = None
    stamp: dict[str, Any] | None = None

    @property
    def recording(self) -> Source:
        """What is to be read."""
        return self.source if self.contents is None else self.contents

    @property
    def plot(self) -> Path | None:
        """The file for the spectrograms, beside the enhanced speech."""
        return None if self.output is None else self.output.with_suffix(".png")


def find_jobs(inputs: Sequence[str], out: Path | None) -> list[Job]:
    """Lists the files to process.

    Arguments
    ---------
    inputs : sequence of str
        Files and pipes, taken as they are, `-` for the standard input, and
        folders, searched for audio files at any depth by their extension.
        What is left out of a folder is named in the log.
    out : Path or None
        Folder for the enhanced speech. What is found in a folder keeps its
        place relative to that folder, and all of it becomes WAV; files that
        differ in the extension only keep that, too. Nothing in this folder
        is an input.

    Returns
    -------
    list of Job
        In the order of the inputs, folders sorted; each of them once.

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
    >>> for job in find_jobs(names, Path("enhanced")):
    ...     job.source.as_posix(), job.output.as_posix()
    ('a.flac', 'enhanced/a.wav')
    ('other/b.wav', 'enhanced/b.wav.wav')
    ('other/b.mp3', 'enhanced/b.mp3.wav')
    """
    found: dict[Path, Path] = {}
    for given in map(Path, inputs):
        if given.is_dir():
            if out is not None and _lies_in(given, out):
                raise ValueError(
                    f"{given} lies in the output folder {out}: choose another "
                    "folder for the output."
                )
            places = list(_audio_files(given, out))
            if not places:
                raise FileNotFoundError(f"{given} holds no audio file.")
            found.update((given / place, Path(place)) for place in places)
        else:
            standard = str(given) == STANDARD_INPUT
            found[given] = Path("stdin" if standard else given.name)
    shared = Counter(place.with_suffix("") for place in found.values())
    jobs = []
    for source, place in found.items():
        output = None
        if out is not None:
            alone = shared[place.with_suffix("")] == 1
            output = out / (place.with_suffix("") if alone else place)
            output = output.with_name(f"{output.name}.wav")
        jobs.append(Job(source, output, *_read_or_stamp(source)))
    _check_outputs(jobs)
    return jobs


def _read_or_stamp(
    source: Path,
) -> tuple[Source | None, dict[str, Any] | None]:
    """Reads what can be read only once, and tells of the rest as it is."""
    standard = str(source) == STANDARD_INPUT
    opened = as_source(sys.stdin.buffer if standard else source, 1)
    if opened is not source:
        return opened, None
    try:
        status = source.stat()
    except OSError:
        return None, None
    return None, {
        "path": os.path.abspath(source),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
    }


def _audio_files(folder: Path, out: Path | None) -> Iterator[str]:
    for place in find_files(folder):
        path = folder / place
        if out is not None and _lies_in(path, out):
            continue
        if path.suffix.lower() not in AUDIO_SUFFIXES:
            reason = "its extension is none of an audio file"
        elif not path.is_file():
            reason = "it is no regular file"
        else:
            yield place
            continue
        logger.warning("%s is left out: %s.", printable(str(path)), reason)


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _check_outputs(jobs: Collection[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        if job.output is None:
            continue
        if job.output.resolve() in sources:
            raise ValueError(
                f"{job.source} would be written over the input {job.output}: "
                "choose another folder for the output."
            )
        other = taken.setdefault(job.output, job.source)
        if other != job.source:
            raise ValueError(
                f"{other} and {job.source} would both be written to "
                f"{job.output}: process them one by one, with an output "
                "folder each."
            )


def make_batches(
    jobs: Sequence[Job], batch_size: int, longest_s: float
) -> list[list[Job]]:
    """Puts files of about the same length together.

    Arguments
    ---------
    jobs : sequence of Job
        The files to process.
    batch_size : int
        Files in a batch; 1 leaves their order as it is.
    longest_s : float
        Files longer than this, in seconds, and those that cannot be read stay
        alone.

    Returns
    -------
    list of list of Job
        The shortest files first, the ones that stay alone last.

    Example
    -------
    >>> jobs = [Job(Path("no-audio"), None)] * 2
    >>> [len(batch) for batch in make_batches(jobs, 2, 20.0)]
    [1, 1]
    """
    if batch_size == 1:
        return [[job] for job in jobs]
    durations_s = [_duration_s(job.recording) for job in jobs]
    order = sorted(range(len(jobs)), key=durations_s.__getitem__)
    short = [jobs[i] for i in order if durations_s[i] <= longest_s]
    alone = [jobs[i] for i in order if not durations_s[i] <= longest_s]
    return [
        short[start : start + batch_size]
        for start in range(0, len(short), batch_size)
    ] + [[job] for job in alone]


def _duration_s(recording: Source) -> float:
    try:
        return audio_info(recording).duration
    except ValueError:
        return math.inf
