"""Finding and checking the audio files of a corpus.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import os
from pathlib import Path

import torch

from speechbrain.dataio import audio_io
from speechbrain_merit.data.audio import read_mono, resample
from speechbrain_merit.data.decoding import AUDIO_SUFFIXES, audio_info

# An MP3 file without a header of its own tells its length less exactly.
_LEAST_DECODED = 0.99


def audio_files(folder: Path, suffix: str) -> list[Path]:
    """Lists the audio files of a folder in a reproducible order.

    Hidden files, such as the `._*` that some archives add, are left out.

    Arguments
    ---------
    folder : Path
        Where to look; folders below it are not searched.
    suffix : str
        With the dot, in lower case; files may have it in upper case.

    Returns
    -------
    list of Path
        The files, sorted by name.

    Raises
    ------
    FileNotFoundError
        If they lie one folder further down, as where an archive was unpacked
        into a folder of its own name.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> for name in ("b.wav", "a.wav", "._a.wav", "readme.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in audio_files(folder, ".wav")]
    ['a.wav', 'b.wav']
    """
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == suffix and not path.name.startswith(".")
    )
    if not found and any((folder / folder.name).glob(f"*{suffix}")):
        raise layout_error(folder, f"*{suffix}", f"{suffix} files")
    return found


def find_audio(folder: str | Path) -> list[str]:
    """Lists the audio files of a folder and of all folders below it.

    Arguments
    ---------
    folder : str or Path
        Where to look, as `find_files` does.

    Returns
    -------
    list of str
        Those of its files that end with one of `AUDIO_SUFFIXES`.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> for name in ("b.wav", "a.FLAC", "._a.wav", "readme.txt"):
    ...     (folder / name).touch()
    >>> find_audio(folder)
    ['a.FLAC', 'b.wav']
    """
    return [
        path
        for path in find_files(folder)
        if Path(path).suffix.lower() in AUDIO_SUFFIXES
    ]


def find_files(folder: str | Path) -> list[str]:
    """Lists the files of a folder and of all folders below it.

    Links are followed, wherever they lead; a folder that can be reached in
    several ways is listed once. Hidden files and folders are left out.

    Arguments
    ---------
    folder : str or Path
        Where to look.

    Returns
    -------
    list of str
        Paths relative to the folder, with forward slashes, sorted.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> (folder / "rain").mkdir()
    >>> for name in ("b.wav", "rain/a.FLAC", "rain/._a.wav", "readme.txt"):
    ...     (folder / name).touch()
    >>> find_files(folder)
    ['b.wav', 'rain/a.FLAC', 'readme.txt']
    """
    found, seen = [], set()
    for place, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            # Links in a circle have no end, and two of them grow fast.
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if name[0] != ".")
        inside = Path(place).relative_to(folder)
        found += [
            (inside / name).as_posix() for name in names if name[0] != "."
        ]
    return sorted(found)


def printable(path: str) -> str:
    """Writes a path such that it can be printed.

    Arguments
    ---------
    path : str
        Of bytes that may be no UTF-8.

    Returns
    -------
    str
        The same with such bytes as `\\udc` and their two digits.

    Example
    -------
    >>> printable(os.fsdecode(b"caff\\xe9.wav")) == "caff" + r"\\udce9" + ".wav"
    True
    """
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def layout_error(
    folder: Path, pattern: str, looked_for: str
) -> FileNotFoundError:
    """Makes the error for a folder that is not laid out as expected.

    Arguments
    ---------
    folder : Path
        The folder that was given.
    pattern : str
        Glob pattern that the right folder would match.
    looked_for : str
        The same in words.

    Returns
    -------
    FileNotFoundError
        Says what was looked for, what is there, and which folder one or two
        levels below has what was looked for, if any.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> (folder / "speech" / "Actor_01").mkdir(parents=True)
    >>> str(layout_error(folder, "Actor_*", "Actor folders")).split(": ")[1]
    'found speech. Did you mean ...speech?'
    """
    if not folder.is_dir():
        return FileNotFoundError(
            f"{folder} does not exist: give a folder with {looked_for}."
        )
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    found = ", ".join(names[:5]) + more if names else "nothing"
    message = f"{folder} has no {looked_for}: found {found}."
    for nested in (*sorted(folder.glob("*/")), *sorted(folder.glob("*/*/"))):
        if any(nested.glob(pattern)):
            return FileNotFoundError(f"{message} Did you mean {nested}?")
    return FileNotFoundError(message)


def read_sound(
    path: str | Path, sample_rate_hz: int | None = None
) -> tuple[torch.Tensor, float]:
    """Decodes a whole file, to be sure that it is sound throughout.

    Arguments
    ---------
    path : str or Path
        Any file that `read_mono` reads.
    sample_rate_hz : int, optional
        Sample rate of the result; the file's own by default.

    Returns
    -------
    torch.Tensor
        Samples mixed down, `[time]`.
    float
        Duration of the file in seconds.

    Raises
    ------
    ValueError
        If the file cannot be decoded to its end, or is digital silence.

    Example
    -------
    >>> path = getfixture("tmpdir") / "tone.wav"
    >>> audio_io.save(path, torch.ones(1, 24000), 48000)
    >>> waveform, duration_s = read_sound(path, sample_rate_hz=16000)
    >>> waveform.shape, duration_s
    (torch.Size([8000]), 0.5)
    """
    rate_hz = audio_info(path).sample_rate
    waveform = read_mono(str(path), rate_hz)
    # The decoder stops at damage in compressed audio without a word.
    with contextlib.suppress(RuntimeError):
        claimed = audio_io.info(str(path)).num_frames
        if len(waveform) < _LEAST_DECODED * claimed:
            raise ValueError(
                f"{path} is damaged: {len(waveform)} of {claimed} samples can "
                "be decoded."
            )
    if not waveform.any():
        raise ValueError(f"{path} is digital silence.")
    duration_s = len(waveform) / rate_hz
    if sample_rate_hz is not None:
        waveform = resample(waveform, rate_hz, sample_rate_hz)
    return waveform, duration_s
