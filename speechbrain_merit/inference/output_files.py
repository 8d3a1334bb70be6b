"""Writing audio of any length, whole or not at all.

Authors
 * The speechbrain-merit developers 2026
"""

import itertools
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import soundfile
import torch

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.data.audio import resample_blocks
from speechbrain_merit.data.decoding import (
    Source,
    audio_info,
    naming,
    open_audio,
)
from speechbrain_merit.lobes.joint_model import ENHANCE

logger = get_logger(__name__)

_FLOATS = ("FLOAT", "DOUBLE")
_SLICE = 2**16


def write_blocks(
    path: str | Path,
    blocks: Iterable[torch.Tensor],
    sample_rate_hz: int,
    subtype: str | None = None,
) -> None:
    """Writes a file block by block, under another name until it is whole.

    Arguments
    ---------
    path : str or Path
        File to write, of a format that soundfile knows by its extension. Its
        folder is made where needed.
    blocks : iterable of torch.Tensor
        Consecutive samples, `[time]` or `[channel, time]` each; what exceeds
        full scale is clipped, with a warning, unless the file holds floats.
    sample_rate_hz : int
        Sample rate of the file.
    subtype : str, optional
        How samples are kept, see `subtype_like`; by default as soundfile
        does for the format, in WAV with 16 bits.

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
    # No samples may come with any number of channels.
    blocks = (block for block in blocks if block.numel())
    first = next(blocks, torch.zeros(0))
    num_channels, num_clipped = len(torch.atleast_2d(first)), 0
    with atomic_write(path) as partial:
        try:
            file = soundfile.SoundFile(
                partial, "w", sample_rate_hz, num_channels, subtype
            )
        except (RuntimeError, OSError) as error:
            raise ValueError(
                f"{path} cannot be written at {sample_rate_hz} Hz: {error}"
            ) from error
        with file:
            for block in itertools.chain([first], blocks):
                # In slices: the Ogg encoder puts as much on the stack.
                for part in block.split(_SLICE, dim=-1):
                    if file.subtype not in _FLOATS:
                        num_clipped += int((part.abs() > 1).sum())
                        part = part.clamp(-1, 1)
                    _write(file, part, path)
    if num_clipped:
        logger.warning(
            f"{path}: {num_clipped} samples beyond full scale were clipped. "
            "A WAV file of a recording in floats keeps them."
        )


def _write(file: soundfile.SoundFile, part: torch.Tensor, path: Path) -> None:
    try:
        file.write(part.cpu().numpy().T)
    # soundfile asserts that all is written.
    except (soundfile.LibsndfileError, AssertionError) as error:
        raise OSError(
            f"{path} cannot be written to its end: is the disk full?"
        ) from error


def subtype_like(source: Source, path: str | Path) -> str | None:
    """Picks how to keep samples such that none of a recording's depth is lost.

    Arguments
    ---------
    source : str or Path or file object
        The recording.
    path : str or Path
        File to write.

    Returns
    -------
    str or None
        The recording's where it exceeds 16 bits, or 24 bits where the format
        does not have that; None for what the format has by default.

    Raises
    ------
    ValueError
        If the recording cannot be read.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "deep.wav"
    >>> write_blocks(path, [torch.zeros(9)], 16000, "FLOAT")
    >>> [subtype_like(path, name) for name in ("a.wav", "a.flac", "a.mp3")]
    ['FLOAT', 'PCM_24', None]
    """
    with naming(source), open_audio(source) as file:
        found = file.subtype
    if found in ("PCM_24", "PCM_32", *_FLOATS):
        for subtype in (found, "PCM_24"):
            if soundfile.check_format(Path(path).suffix[1:], subtype):
                return subtype
    return None


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
    source: Source,
    output_filename: str | Path | None,
    keep: bool,
    keep_sample_rate: bool = False,
) -> torch.Tensor | None:
    """Runs through blocks, writes them where asked, and joins what is kept.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive samples, `[..., time]` each.
    sample_rate_hz : int
        Their sample rate.
    source : str or Path or file object
        The recording that they were made of.
    output_filename : str or Path or None
        File to write.
    keep : bool
        Whether to keep the samples.
    keep_sample_rate : bool
        Whether to give them the recording's rate and number of samples.

    Returns
    -------
    torch.Tensor or None
        All samples, `[..., time]`, if they are kept.

    Raises
    ------
    ValueError
        If the recording cannot be read, or the output not be written.

    Example
    -------
    >>> blocks = [torch.ones(2), torch.zeros(1)]
    >>> use_blocks(blocks, 16000, "a.wav", None, keep=True)
    tensor([1., 1., 0.])
    """
    kept = [torch.zeros(0)]
    left = sys.maxsize
    if keep_sample_rate:
        info = audio_info(source)
        blocks = resample_blocks(blocks, sample_rate_hz, info.sample_rate)
        left, sample_rate_hz = info.num_frames, info.sample_rate

    def passing() -> Iterator[torch.Tensor]:
        nonlocal left
        for block in blocks:
            # There and back again, rounding adds samples and takes none.
            block = block[..., :left]
            left -= block.shape[-1]
            kept.extend([block] * keep)
            yield block

    if output_filename is None:
        deque(passing(), maxlen=0)
    else:
        subtype = subtype_like(source, output_filename)
        write_blocks(output_filename, passing(), sample_rate_hz, subtype)
    return torch.cat(kept, dim=-1) if keep else None
