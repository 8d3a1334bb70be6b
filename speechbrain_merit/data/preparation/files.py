"""Finding and checking the audio files of a corpus.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from pathlib import Path

import torch

from speechbrain.dataio import audio_io
from speechbrain_merit.data.audio import read_mono, resample

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


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

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> for name in ("b.wav", "a.wav", "._a.wav", "readme.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in audio_files(folder, ".wav")]
    ['a.wav', 'b.wav']
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == suffix and not path.name.startswith(".")
    )


def find_audio(folder: str | Path) -> list[str]:
    """Lists the audio files of a folder and of all folders below it.

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
    >>> find_audio(folder)
    ['b.wav', 'rain/a.FLAC']
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
            (inside / name).as_posix()
            for name in names
            if name[0] != "." and name.lower().endswith(AUDIO_SUFFIXES)
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
        Says what was looked for, what is there, and which folder one level
        below has what was looked for, if any.

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
    for nested in sorted(folder.iterdir()):
        if nested.is_dir() and any(nested.glob(pattern)):
            return FileNotFoundError(f"{message} Did you mean {nested}?")
    return FileNotFoundError(message)


def read_sound(
    path: str | Path, sample_rate_hz: int | None = None
) -> tuple[torch.Tensor, float]:
    """Decodes a whole file, to be sure that it is sound throughout.

    Arguments
    ---------
    path : str or Path
        Any file that soundfile reads.
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
    try:
        header = audio_io.info(str(path))
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    waveform = read_mono(str(path), header.sample_rate)
    # The decoder stops at damage in compressed audio without a word.
    if len(waveform) != header.num_frames:
        raise ValueError(
            f"{path} is damaged: {len(waveform)} of {header.num_frames} "
            "samples can be decoded."
        )
    if not waveform.any():
        raise ValueError(f"{path} is digital silence.")
    if sample_rate_hz is not None:
        waveform = resample(waveform, header.sample_rate, sample_rate_hz)
    return waveform, header.duration
