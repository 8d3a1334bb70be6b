"""Reading audio as mono at one sample rate, with errors that name the file.

A file is read whole, or block by block where it may be of any length.

Authors
 * The speechbrain-merit developers 2026
"""

import functools
import math
from collections.abc import Iterable, Iterator

import soundfile
import torch
import torchaudio

from speechbrain.dataio import audio_io


def read_mono(
    path: str,
    sample_rate_hz: int,
    start_s: float = 0.0,
    duration_s: float | None = None,
) -> torch.Tensor:
    """Reads a stretch of an audio file, mixes it down and resamples it.

    Arguments
    ---------
    path : str
        Any file that soundfile reads.
    sample_rate_hz : int
        Sample rate of the result.
    start_s : float
        Where to start, in seconds from the beginning of the file.
    duration_s : float, optional
        How much to read, in seconds; to the end of the file by default.

    Returns
    -------
    torch.Tensor
        Samples in float32, `[time]`.

    Raises
    ------
    ValueError
        If the file cannot be decoded, or holds no sample in that stretch, or
        a sample that is not a finite number.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "stereo.wav")
    >>> audio_io.save(path, torch.zeros(2, 48000), 48000)
    >>> read_mono(path, 16000, start_s=0.25).shape
    torch.Size([12000])
    """
    try:
        file_rate_hz = audio_io.info(path).sample_rate
        samples, _ = audio_io.load(
            path,
            dtype=torch.float32,
            frame_offset=round(start_s * file_rate_hz),
            num_frames=(
                -1 if duration_s is None else round(duration_s * file_rate_hz)
            ),
        )
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as audio: {error}. Remove it from the "
            "corpus or replace it by a sound copy."
        ) from error
    if samples.shape[1] == 0:
        raise ValueError(f"{path} holds no samples from {start_s:.3f} s on.")
    if not torch.isfinite(samples).all():
        raise ValueError(f"{path} holds samples that are not finite numbers.")
    return resample(samples.mean(dim=0), file_rate_hz, sample_rate_hz)


def resample(waveform: torch.Tensor, from_hz: int, to_hz: int) -> torch.Tensor:
    """Resamples the last dimension; returns the input where rates agree.

    Arguments
    ---------
    waveform : torch.Tensor
        Samples, `[..., time]`.
    from_hz : int
        Sample rate of the input.
    to_hz : int
        Sample rate of the result.

    Returns
    -------
    torch.Tensor
        Resampled samples, `[..., ceil(time * to_hz / from_hz)]`.

    Example
    -------
    >>> resample(torch.zeros(48000), 48000, 16000).shape
    torch.Size([16000])
    """
    if from_hz == to_hz:
        return waveform
    return _resampler(from_hz, to_hz)(waveform)


def read_mono_blocks(
    path: str, sample_rate_hz: int, block_s: float
) -> Iterator[torch.Tensor]:
    """Reads what `read_mono` reads, a block at a time.

    Arguments
    ---------
    path : str
        Any file that soundfile reads.
    sample_rate_hz : int
        Sample rate of the result.
    block_s : float
        How much of the file to hold in memory, in seconds.

    Yields
    ------
    torch.Tensor
        The next samples in float32, `[time]`; those of `read_mono` when put
        together, but for rounding.

    Raises
    ------
    ValueError
        If the file cannot be decoded, or holds no sample, or a sample that is
        not a finite number.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "stereo.wav")
    >>> audio_io.save(path, torch.zeros(2, 48000), 48000)
    >>> [len(block) for block in read_mono_blocks(path, 16000, 0.4)]
    [6393, 6400, 3200, 7]
    """
    try:
        with soundfile.SoundFile(path) as file:
            yield from resample_blocks(
                _mono_blocks(file, path, block_s),
                file.samplerate,
                sample_rate_hz,
            )
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{path} cannot be read as audio: {error}") from error


def _mono_blocks(
    file: soundfile.SoundFile, path: str, block_s: float
) -> Iterator[torch.Tensor]:
    block_size = max(round(block_s * file.samplerate), 1)
    empty = True
    # Read until nothing comes: some containers do not know their length.
    while len(frames := file.read(block_size, "float32", always_2d=True)):
        block = torch.from_numpy(frames).mean(dim=1)
        if not torch.isfinite(block).all():
            raise ValueError(
                f"{path} holds samples that are not finite numbers."
            )
        yield block
        empty = False
    if empty:
        raise ValueError(f"{path} holds no samples.")


def resample_blocks(
    blocks: Iterable[torch.Tensor], from_hz: int, to_hz: int
) -> Iterator[torch.Tensor]:
    """Resamples a signal that comes in blocks, as `resample` does the whole.

    Every sample is computed with all the neighbours that its filter reaches,
    so that nothing is heard of the blocks' ends.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive samples, `[time]` each.
    from_hz : int
        Sample rate of the input.
    to_hz : int
        Sample rate of the result.

    Yields
    ------
    torch.Tensor
        The next resampled samples, `[time]`; as many in total as `resample`
        gives.

    Example
    -------
    >>> signal = torch.rand(1000)
    >>> blocks = resample_blocks(signal.split(300), 44100, 16000)
    >>> whole = resample(signal, 44100, 16000)
    >>> bool(torch.allclose(torch.cat(list(blocks)), whole, atol=1e-6))
    True
    """
    if from_hz == to_hz:
        yield from blocks
        return
    resampler = _resampler(from_hz, to_hz)
    divisor = math.gcd(from_hz, to_hz)
    # After so many samples each, input and output fall together again.
    period, new_period = from_hz // divisor, to_hz // divisor
    num_periods = math.ceil(resampler.width / period)
    margin, new_margin = num_periods * period, num_periods * new_period
    # What precedes a signal is silence, for `resample` too.
    buffer = torch.zeros(margin)
    for block in blocks:
        buffer = torch.cat([buffer, block])
        ready = max((len(buffer) - 2 * margin) // period, 0)
        if ready:
            stop = margin + ready * period
            resampled = resampler(buffer[: stop + margin])
            yield resampled[new_margin : new_margin + ready * new_period]
            buffer = buffer[ready * period :]
    yield resampler(buffer)[new_margin:]


@functools.lru_cache(maxsize=8)
def _resampler(from_hz: int, to_hz: int) -> torch.nn.Module:
    # Building the filter costs more than applying it to one utterance.
    return torchaudio.transforms.Resample(from_hz, to_hz)
