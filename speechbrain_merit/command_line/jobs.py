"""Which files to process, where their results go, and which go together.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import soundfile

# Extensions of soundfile's formats that are not the format's name.
_OTHER_EXTENSIONS = {"AIF", "AIFC", "OGA", "OPUS", "SND"}


class Job(NamedTuple):
    """A file to process.

    Arguments
    ---------
    source : Path
        The recording.
    output : Path or None
        The file for the enhanced speech, where there is to be one.
    """

    source: Path
    output: Path | None

    @property
    def plot(self) -> Path | None:
        """The file for the spectrograms, beside the enhanced speech."""
        return None if self.output is None else self.output.with_suffix(".png")


def find_jobs(inputs: Sequence[str], out: Path | None) -> list[Job]:
    """Lists the files to process.

    Arguments
    ---------
    inputs : sequence of str
        Files, taken as they are, and folders, searched for audio files at any
        depth by their extension.
    out : Path or None
        Folder for the enhanced speech. What is found in a folder keeps its
        place relative to that folder, and all of it becomes WAV. Nothing in
        this folder is an input.

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
    >>> for job in find_jobs(["a.flac", "other/b.wav"], Path("enhanced")):
    ...     job.source.as_posix(), job.output.as_posix()
    ('a.flac', 'enhanced/a.wav')
    ('other/b.wav', 'enhanced/b.wav')
    """
    jobs: dict[Job, None] = {}
    for given in map(Path, inputs):
        if given.is_dir():
            if out is not None and _lies_in(given, out):
                raise ValueError(
                    f"{given} lies in the output folder {out}: choose another "
                    "folder for the output."
                )
            sources = sorted(_audio_files(given, out))
            if not sources:
                raise FileNotFoundError(f"{given} holds no audio file.")
            places = [source.relative_to(given) for source in sources]
        else:
            sources, places = [given], [Path(given.name)]
        for source, place in zip(sources, places, strict=True):
            output = None if out is None else out / place.with_suffix(".wav")
            jobs[Job(source, output)] = None
    if out is not None:
        _check_outputs(jobs)
    return list(jobs)


def _audio_files(folder: Path, out: Path | None) -> Iterator[Path]:
    extensions = _OTHER_EXTENSIONS.union(soundfile.available_formats())
    for path in folder.rglob("*"):
        # Hidden files are those that are not yet whole.
        if path.name.startswith(".") or not path.is_file():
            continue
        if out is not None and _lies_in(path, out):
            continue
        if path.suffix[1:].upper() in extensions:
            yield path


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
    durations_s = [_duration_s(job.source) for job in jobs]
    order = sorted(range(len(jobs)), key=durations_s.__getitem__)
    short = [jobs[i] for i in order if durations_s[i] <= longest_s]
    alone = [jobs[i] for i in order if not durations_s[i] <= longest_s]
    return [
        short[start : start + batch_size]
        for start in range(0, len(short), batch_size)
    ] + [[job] for job in alone]


def _duration_s(path: Path) -> float:
    try:
        return soundfile.info(str(path)).duration
    # The last one for names that are not in UTF-8.
    except (RuntimeError, OSError, UnicodeEncodeError):
        return math.inf
