"""Reading audio as mono at one sample rate, with errors that name the file.

A file is read whole, or block by block where it may be of any length.

Authors
 * The speechbrain-merit developers 2026
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import soundfile
import torch
import torchaudio

from speechbrain.utils.logger import get_logger

from .decoding import Source, UnusableAudio, name_of, naming, open_audio

logger = get_logger(__name__)

# Larger than in any format of 32 bits, also where the numbers are taken as they
# are; the squares of larger ones soon exceed float32.
LOUDEST_SAMPLE = 2.0**32
# Below it there is no speech, and a second becomes many.
LOWEST_RATE_HZ = 1000
# Taps of the filter that changes a rate: a gigabyte while it is made. It takes
# a pair of rates with hardly a common divisor to exceed that.
MOST_TAPS = 2**24
# The energy of a mean of channels, as a share of what channels have that have
# nothing in common: below it, they cancel each other.
_CANCELLED = 0.1


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
        Any regular file that `open_audio` opens.
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
        a sample that is not a finite number, or larger than any format has.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "stereo.wav")
    >>> soundfile.write(path, torch.zeros(48000, 2).numpy(), 48000)
    >>> read_mono(path, 16000, start_s=0.25).shape
    torch.Size([12000])
    """
    end_s = math.inf if duration_s is None else start_s + duration_s
    with (
        naming(
            path, ". Remove it from the corpus or replace it by a sound copy."
        ),
        open_audio(path, end_s) as file,
    ):
        file_rate_hz = file.samplerate
        _check_rate(file_rate_hz, sample_rate_hz)
        start = round(start_s * file_rate_hz)
        if isinstance(file, soundfile.SoundFile):
            start = min(start, file.frames)
        file.seek(start)
        count = -1 if duration_s is None else round(duration_s * file_rate_hz)
        samples = torch.from_numpy(file.read(count, "float32", always_2d=True))
    if len(samples) == 0:
        raise ValueError(f"{path} holds no samples from {start_s:.3f} s on.")
    _check_samples(samples, path)
    mono = _mix_down(samples, _loudest_if_cancelled([samples], path))
    return resample(mono, file_rate_hz, sample_rate_hz)


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

    Raises
    ------
    ValueError
        If there is no speech at one of the rates, or it would take a filter
        of gigabytes to get from one to the other.

    Example
    -------
    >>> resample(torch.zeros(48000), 48000, 16000).shape
    torch.Size([16000])
    """
    if from_hz == to_hz:
        return waveform
    _check_rate(from_hz, to_hz)
    return _resampler(from_hz, to_hz)(waveform)


def read_mono_blocks(
    source: Source, sample_rate_hz: int, block_s: float
) -> Iterator[torch.Tensor]:
    """Reads what `read_mono` reads, a block at a time.

    Arguments
    ---------
    source : str or Path or file object
        Anything that `open_audio` opens.
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
    >>> soundfile.write(path, torch.zeros(48000, 2).numpy(), 48000)
    >>> [len(block) for block in read_mono_blocks(path, 16000, 0.4)]
    [6393, 6400, 3200, 7]
    """
    with naming(source):
        with open_audio(source) as file:
            channel = None
            if file.channels > 1:
                frames = _frame_blocks(file, source, block_s)
                channel = _loudest_if_cancelled(frames, source)
        yield from _resampled(
            source,
            sample_rate_hz,
            block_s,
            lambda frames: _mix_down(frames, channel),
        )


def read_channel_blocks(
    source: Source, sample_rate_hz: int, block_s: float
) -> Iterator[torch.Tensor]:
    """Reads as `read_mono_blocks` does, every channel for itself.

    Arguments
    ---------
    source : str or Path or file object
        As for `read_mono_blocks`.
    sample_rate_hz : int
        As for `read_mono_blocks`.
    block_s : float
        As for `read_mono_blocks`.

    Yields
    ------
    torch.Tensor
        The next samples in float32, `[channel, time]`.

    Raises
    ------
    ValueError
        As `read_mono_blocks` does.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "stereo.wav")
    >>> soundfile.write(path, torch.zeros(16000, 2).numpy(), 16000)
    >>> [tuple(b.shape) for b in read_channel_blocks(path, 16000, 0.6)]
    [(2, 9600), (2, 6400)]
    """
    with naming(source):
        yield from _resampled(source, sample_rate_hz, block_s, torch.t)


def _resampled(
    source: Source,
    sample_rate_hz: int,
    block_s: float,
    pick: Callable[[torch.Tensor], torch.Tensor],
) -> Iterator[torch.Tensor]:
    """Resamples what is picked of frames, `[time, channel]`."""
    with open_audio(source) as file:
        _check_rate(file.samplerate, sample_rate_hz)
        blocks = map(pick, _frame_blocks(file, source, block_s))
        yield from resample_blocks(blocks, file.samplerate, sample_rate_hz)


def _frame_blocks(
    file: Any, source: Source, block_s: float
) -> Iterator[torch.Tensor]:
    """Gives all of a file, `[time, channel]` each."""
    block_size = max(round(block_s * file.samplerate), 1)
    empty = True
    # Read until nothing comes: some containers do not know their length.
    while len(frames := file.read(block_size, "float32", always_2d=True)):
        block = torch.from_numpy(frames)
        _check_samples(block, name_of(source))
        yield block
        empty = False
    if empty:
        raise ValueError(f"{name_of(source)} holds no samples.")


def _mix_down(frames: torch.Tensor, channel: int | None) -> torch.Tensor:
    return frames.mean(dim=1) if channel is None else frames[:, channel]


def _loudest_if_cancelled(
    blocks: Iterable[torch.Tensor], source: Source
) -> int | None:
    """Picks a channel where the mean of all, `[time, channel]`, loses them."""
    mixed = each = torch.zeros((), dtype=torch.float64)
    for frames in blocks:
        mixed = mixed + frames.mean(dim=1).double().square().sum()
        each = each + frames.double().square().sum(dim=0)
    # Means of channels with nothing in common have so much.
    independent = each.mean() / each.numel()
    if mixed >= _CANCELLED * independent:
        return None
    loudest = int(each.argmax())
    logger.warning_once(
        f"The channels of {name_of(source)} cancel each other: only channel "
        f"{loudest + 1}, the loudest, is taken."
    )
    return loudest


def _check_samples(samples: torch.Tensor, path: str) -> None:
    # One comparison: it is false for what is no number, too.
    if not (samples.abs() <= LOUDEST_SAMPLE).all():
        raise ValueError(
            f"{path} holds samples that are not finite numbers, or beyond "
            f"{LOUDEST_SAMPLE:g}, where full scale is 1: write the file anew."
        )


def resample_blocks(
    blocks: Iterable[torch.Tensor], from_hz: int, to_hz: int
) -> Iterator[torch.Tensor]:
    """Resamples a signal that comes in blocks, as `resample` does the whole.

    Every sample is computed with all the neighbours that its filter reaches,
    so that nothing is heard of the blocks' ends.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive samples, `[..., time]` each.
    from_hz : int
        Sample rate of the input.
    to_hz : int
        Sample rate of the result.

    Yields
    ------
    torch.Tensor
        The next resampled samples, `[..., time]`; as many in total as `resample`
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
        before = buffer.expand(*block.shape[:-1], -1)
        buffer = torch.cat([before, block], dim=-1)
        ready = max((buffer.shape[-1] - 2 * margin) // period, 0)
        if ready:
            stop = margin + ready * period
            resampled = resampler(buffer[..., : stop + margin])
            stop = new_margin + ready * new_period
            yield resampled[..., new_margin:stop]
            buffer = buffer[..., ready * period :]
    yield resampler(buffer)[..., new_margin:]


def _check_rate(from_hz: int, to_hz: int) -> None:
    if from_hz == to_hz:
        return
    if min(from_hz, to_hz) < LOWEST_RATE_HZ:
        raise UnusableAudio(
            f"a sample rate of {min(from_hz, to_hz)} Hz is below that of any "
            "speech"
        )
    divisor = math.gcd(from_hz, to_hz)
    period, new_period = from_hz // divisor, to_hz // divisor
    # Of torchaudio's default width.
    width = math.ceil(6 * period / (0.99 * min(period, new_period)))
    if new_period * (2 * width + period) > MOST_TAPS:
        raise UnusableAudio(
            f"getting from {from_hz} Hz to {to_hz} Hz takes too large a "
            "filter: convert it to a usual sample rate, if it really has that "
            "one"
        )


@functools.lru_cache(maxsize=8)
def _resampler(from_hz: int, to_hz: int) -> torch.nn.Module:
    # Building the filter costs more than applying it to one utterance.
    return torchaudio.transforms.Resample(from_hz, to_hz)
