"""Short files that go through the model together.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Sequence
from pathlib import Path

import soundfile

from .input_files import Job


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
