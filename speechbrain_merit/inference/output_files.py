"""Writing audio of any length, whole or not at all.

Authors
 * The speechbrain-merit developers 2026
"""

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


def check_output(output_filename: str | Path, tasks: Sequence[str]) -> None:
    """Refuses an output that cannot be written, or will not exist.

    Arguments
    ---------
    output_filename : str or Path
        File for enhanced speech.
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
    check_format(output_filename)
    if ENHANCE not in tasks:
        raise ValueError(
            f"{output_filename} cannot be written: this model or call does "
            f"{list(tasks)} only, not {ENHANCE!r}."
        )


def at_rate_of(
    path: str | Path, blocks: Iterable[torch.Tensor], sample_rate_hz: int
) -> tuple[Iterator[torch.Tensor], int]:
    """Gives blocks the rate and the number of samples of a file.

    Arguments
    ---------
    path : str or Path
        The file.
    blocks : iterable of torch.Tensor
        What was made of all its samples, `[time]` each.
    sample_rate_hz : int
        Their sample rate.

    Returns
    -------
    tuple
        The blocks, and the file's sample rate.

    Raises
    ------
    ValueError
        If the file cannot be read.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "silence.wav"
    >>> write_blocks(path, [torch.zeros(44100)], 44100)
    >>> blocks, rate_hz = at_rate_of(path, [torch.zeros(16000)], 16000)
    >>> sum(map(len, blocks)), rate_hz
    (44100, 44100)
    """
    try:
        file = soundfile.info(str(path))
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{path} cannot be read as audio: {error}") from error
    resampled = resample_blocks(blocks, sample_rate_hz, file.samplerate)
    # There and back again, rounding adds samples and never takes any.
    return take(resampled, file.frames), file.samplerate


def use_blocks(
    blocks: Iterable[torch.Tensor],
    output_filename: str | Path | None,
    sample_rate_hz: int,
    keep: bool,
) -> torch.Tensor | None:
    """Runs through blocks, writes them where asked, and joins what is kept.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive samples, `[time]` each.
    output_filename : str or Path or None
        File to write.
    sample_rate_hz : int
        Its sample rate.
    keep : bool
        Whether to keep the samples.

    Returns
    -------
    torch.Tensor or None
        All samples, `[time]`, if they are kept.

    Example
    -------
    >>> use_blocks([torch.ones(2), torch.zeros(1)], None, 16000, keep=True)
    tensor([1., 1., 0.])
    """
    kept = [torch.zeros(0)]

    def passing() -> Iterator[torch.Tensor]:
        for block in blocks:
            kept.extend([block] * keep)
            yield block

    if output_filename is None:
        deque(passing(), maxlen=0)
    else:
        write_blocks(output_filename, passing(), sample_rate_hz)
    return torch.cat(kept) if keep else None
