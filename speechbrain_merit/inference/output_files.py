"""Writing audio of any length, whole or not at all.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import soundfile
import torch


def write_blocks(
    path: str | Path, blocks: Iterable[torch.Tensor], sample_rate_hz: int
) -> None:
    """Writes a mono file block by block, under another name until it is whole.

    Arguments
    ---------
    path : str or Path
        File to write, of a format that soundfile knows by its extension. Its
        folder is made where needed.
    blocks : iterable of torch.Tensor
        Consecutive samples, `[time]` each; what exceeds full scale is
        clipped.
    sample_rate_hz : int
        Sample rate of the file.

    Raises
    ------
    ValueError
        If there is no such format, or the file cannot be made.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "new" / "silence.wav"
    >>> write_blocks(path, [torch.zeros(100), torch.zeros(20)], 16000)
    >>> soundfile.info(str(path)).frames
    120
    """
    path = Path(path)
    check_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The extension comes last: it tells soundfile the format.
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with _create(partial, path, sample_rate_hz) as file:
            for block in blocks:
                file.write(block.clamp(-1, 1).cpu().numpy())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _create(
    partial: Path, path: Path, sample_rate_hz: int
) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(
            partial, "w", samplerate=sample_rate_hz, channels=1
        )
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"{path} cannot be written at {sample_rate_hz} Hz: {error}"
        ) from error


def check_format(path: str | Path) -> None:
    """Refuses a file name that does not tell a format.

    Arguments
    ---------
    path : str or Path
        File to be written.

    Raises
    ------
    ValueError
        If soundfile has no format of that extension.

    Example
    -------
    >>> check_format("speech.flac")
    >>> check_format("speech.doc")
    Traceback (most recent call last):
    ...
    ValueError: speech.doc cannot be written: '.doc' is no audio format ...
    """
    suffix = Path(path).suffix
    # RAW has no header: nobody could read the sample rate again.
    if suffix[1:].upper() not in soundfile.available_formats().keys() - {"RAW"}:
        raise ValueError(
            f"{path} cannot be written: {suffix!r} is no audio format that "
            "soundfile writes. Use e.g. .wav or .flac."
        )


def take(
    blocks: Iterable[torch.Tensor], num_samples: int
) -> Iterator[torch.Tensor]:
    """Ends a signal that comes in blocks after so many samples.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive samples, `[time]` each; all are asked for.
    num_samples : int
        How many to let through.

    Yields
    ------
    torch.Tensor
        The blocks, the last ones shortened.

    Example
    -------
    >>> [len(block) for block in take(torch.zeros(9).split(4), 6)]
    [4, 2, 0]
    """
    for block in blocks:
        block = block[:num_samples]
        num_samples -= len(block)
        yield block
