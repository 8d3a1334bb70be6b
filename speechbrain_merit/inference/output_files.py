"""Writing audio of any length, whole or not at all.

Authors
 * The speechbrain-merit developers 2026
"""

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import soundfile
import torch

from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.data.audio import resample_blocks
from speechbrain_merit.lobes.joint_model import ENHANCE


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
    # The extension stays, which tells soundfile the format.
    with atomic_write(path) as partial:
        try:
            file = soundfile.SoundFile(partial, "w", sample_rate_hz, 1)
        except (RuntimeError, OSError) as error:
            raise ValueError(
                f"{path} cannot be written at {sample_rate_hz} Hz: {error}"
            ) from error
        with file:
            for block in blocks:
                file.write(block.clamp(-1, 1).cpu().numpy())


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


def check_output(
    output_filename: str | Path | None, tasks: Sequence[str]
) -> None:
    """Refuses an output that cannot be written, or will not exist.

    Arguments
    ---------
    output_filename : str or Path or None
        File for enhanced speech, if there is to be one.
    tasks : sequence of str
        What the model is asked for.

    Raises
    ------
    ValueError
        If soundfile has no format of that extension, or nothing is enhanced.

    Example
    -------
    >>> check_output("speech.wav", ["emotion"])
    Traceback (most recent call last):
    ...
    ValueError: speech.wav cannot be written: this model or call does ...
    """
    if output_filename is None:
        return
    check_format(output_filename)
    if ENHANCE not in tasks:
        raise ValueError(
            f"{output_filename} cannot be written: this model or call does "
            f"{list(tasks)} only, not {ENHANCE!r}."
        )


def use_blocks(
    blocks: Iterable[torch.Tensor],
    sample_rate_hz: int,
    output_filename: str | Path | None,
    keep: bool,
    like: str | Path | None = None,
) -> torch.Tensor | None:
    """Runs through blocks, writes them where asked, and joins what is kept.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive samples, `[time]` each.
    sample_rate_hz : int
        Their sample rate.
    output_filename : str or Path or None
        File to write.
    keep : bool
        Whether to keep the samples.
    like : str or Path, optional
        File that they were made of, and whose rate and number of samples they
        are given.

    Returns
    -------
    torch.Tensor or None
        All samples, `[time]`, if they are kept.

    Raises
    ------
    ValueError
        If the file cannot be read, or the output not be written.

    Example
    -------
    >>> use_blocks([torch.ones(2), torch.zeros(1)], 16000, None, keep=True)
    tensor([1., 1., 0.])
    """
    kept = [torch.zeros(0)]
    left = sys.maxsize
    if like is not None:
        try:
            file = soundfile.info(str(like))
        except (RuntimeError, OSError) as error:
            raise ValueError(
                f"{like} cannot be read as audio: {error}"
            ) from error
        left, from_hz, sample_rate_hz = (
            file.frames,
            sample_rate_hz,
            file.samplerate,
        )
        blocks = resample_blocks(blocks, from_hz, sample_rate_hz)

    def passing() -> Iterator[torch.Tensor]:
        nonlocal left
        for block in blocks:
            # There and back again, rounding adds samples and takes none.
            block = block[:left]
            left -= len(block)
            kept.extend([block] * keep)
            yield block

    if output_filename is None:
        deque(passing(), maxlen=0)
    else:
        write_blocks(output_filename, passing(), sample_rate_hz)
    return torch.cat(kept) if keep else None
