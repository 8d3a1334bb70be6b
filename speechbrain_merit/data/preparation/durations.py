"""Durations of many files, measured in parallel and remembered.

WAV and FLAC are measured by their headers. Those of MP3 and Ogg may tell too
little, see `open_audio`, so these are decoded, a thousand times as fast as they
would play.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import functools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from speechbrain_merit.data.atomic_write import naming_path
from speechbrain_merit.data.decoding import audio_info

from .files import printable, read_sound

# Part of every entry; to be raised when files are measured otherwise.
_VERSION = 2
# A path, its size and time of change, whether it was decoded, the version: what
# an entry of the cache holds for.
_Stamp = tuple[str, int, int, bool, int]


def measure_durations(
    folder: str | Path,
    paths: Sequence[str],
    cache_file: str | Path,
    num_jobs: int = 8,
    decode: bool = False,
) -> tuple[dict[str, float], dict[str, str]]:
    """Measures files, unless it has done so before.

    The cache file grows while files are measured, a JSON list per line, so
    that a run that was killed goes on where it was. A file that has changed
    in size or time is measured again.

    Arguments
    ---------
    folder : str or Path
        Folder of the files.
    paths : sequence of str
        Paths relative to it; absolute ones stay as they are.
    cache_file : str or Path
        What was measured before; made where needed, with its folder.
    num_jobs : int
        Threads; more than processors pay where the disk is far away.
    decode : bool
        Whether to decode every file to its end, which finds damage and
        digital silence, and takes much longer.

    Returns
    -------
    dict
        Duration in seconds by path.
    dict
        Reason by path for every file that has none.

    Example
    -------
    >>> import soundfile
    >>> folder = Path(getfixture("tmpdir"))
    >>> soundfile.write(folder / "a.wav", [0.5] * 8000, 16000)
    >>> measure_durations(folder, ["a.wav", "b.wav"], folder / "cache.jsonl")
    ({'a.wav': 0.5}, {'b.wav': '...b.wav is missing.'})
    """
    cache_file = Path(cache_file)
    known = _read_cache(cache_file)
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    measure = functools.partial(_measure, Path(folder), decode, known)
    durations, faults = {}, {}
    with (
        naming_path(cache_file),
        cache_file.open("a", encoding="utf-8") as stream,
        ThreadPoolExecutor(num_jobs) as executor,
    ):
        outcomes = zip(paths, executor.map(measure, paths), strict=True)
        for path, (stamp, outcome) in outcomes:
            if isinstance(outcome, str):
                faults[path] = outcome
                continue
            durations[path] = outcome
            if stamp not in known:
                stream.write(json.dumps([*stamp, outcome]) + "\n")
    return durations, faults


def _read_cache(cache_file: Path) -> dict[_Stamp, float]:
    if not cache_file.is_file():
        return {}
    known = {}
    text = cache_file.read_text(encoding="utf-8", errors="replace")
    # What follows the last line break was cut off by a kill.
    whole, _, rest = text.rpartition("\n")
    if rest:
        cache_file.write_text(whole + "\n" if whole else "", encoding="utf-8")
    for line in whole.splitlines():
        # What is damaged is measured again.
        with contextlib.suppress(Exception):
            *stamp, duration_s = json.loads(line)
            known[tuple(stamp)] = float(duration_s)
    return known


def _measure(
    folder: Path, decode: bool, known: Mapping[_Stamp, float], path: str
) -> tuple[Any, float | str]:
    """Gives a file's stamp and its duration, or the reason for none."""
    file = folder / path
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return None, f"The name of {printable(str(file))} is not in UTF-8."
    try:
        status = file.stat()
    except OSError:
        return None, f"{file} is missing."
    stamp = (path, status.st_size, status.st_mtime_ns, decode, _VERSION)
    if stamp in known:
        return stamp, known[stamp]
    try:
        if decode:
            _, duration_s = read_sound(file)
        else:
            duration_s = audio_info(file).duration
    except ValueError as error:
        return stamp, str(error)
    return stamp, round(duration_s, 6)
