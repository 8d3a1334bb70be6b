"""Reading audio as mono at one sample rate, with errors that name the file.

A file is read whole, or block by block where it may be of any length.

Authors
 * The speechbrain-merit developers 2026
"""

import functools
import math
import os
from collections.abc import Iterable, Iterator

import soundfile
import torch
import torchaudio

from speechbrain.dataio import audio_io

# Larger than in any format of 32 bits, also where the numbers are taken as they
# are; the squares of larger ones soon exceed float32.
LOUDEST_SAMPLE = 2.0**32
# Below it there is no speech, and a second becomes many.
LOWEST_RATE_HZ = 1000
# Taps of the filter that changes a rate: a gigabyte while it is made. It takes
# a pair of rates with hardly a common divisor to exceed that.
MOST_TAPS = 2**24
# What opening and decoding raise; the last one for names not in UTF-8.
_UNREADABLE = (RuntimeError, OSError, MemoryError, UnicodeEncodeError)


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
        a sample that is not a finite number, or larger than any format has.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "stereo.wav")
    >>> audio_io.save(path, torch.zeros(2, 48000), 48000)
    >>> read_mono(path, 16000, start_s=0.25).shape
    torch.Size([12000])
    """
    try:
        file_rate_hz = audio_io.info(path).sample_rate
        _check_rate(file_rate_hz, sample_rate_hz)
        samples, _ = audio_io.load(
            path,
            dtype=torch.float32,
            frame_offset=round(start_s * file_rate_hz),
            num_frames=(
                -1 if duration_s is None else round(duration_s * file_rate_hz)
            ),
        )
    except (RuntimeError, OSError, MemoryError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as audio: {_reason(path, error)}. Remove "
            "it from the "
            "corpus or replace it by a sound copy."
        ) from error
    if samples.shape[1] == 0:
        raise ValueError(f"{path} holds no samples from {start_s:.3f} s on.")
    _check_samples(samples, path)
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
            _check_rate(file.samplerate, sample_rate_hz)
            yield from resample_blocks(
                _mono_blocks(file, path, block_s),
                file.samplerate,
                sample_rate_hz,
            )
    except (*_UNREADABLE, _UnusableRate) as error:
        raise ValueError(
            f"{path} cannot be read as audio: {_reason(path, error)}"
        ) from error


def _mono_blocks(
    file: soundfile.SoundFile, path: str, block_s: float
) -> Iterator[torch.Tensor]:
    block_size = max(round(block_s * file.samplerate), 1)
    empty = True
    # Read until nothing comes: some containers do not know their length.
    while len(frames := file.read(block_size, "float32", always_2d=True)):
        block = torch.from_numpy(frames).mean(dim=1)
        _check_samples(block, path)
        yield block
        empty = False
    if empty:
        raise ValueError(f"{path} holds no samples.")


def _check_samples(samples: torch.Tensor, path: str) -> None:
    # One comparison: it is false for what is no number, too.
    if not (samples.abs() <= LOUDEST_SAMPLE).all():
        raise ValueError(
            f"{path} holds samples that are not finite numbers, or beyond "
            f"{LOUDEST_SAMPLE:g}, where full scale is 1: write the file anew."
        )


def _reason(path: str, error: Exception) -> str:
    """Says why a file cannot be read, where the library does not."""
    if not os.path.exists(path):
        return "there is no such file"
    if os.path.isdir(path):
        return "it is a folder"
    # Bytes that are no text become characters that no text has.
    if any("\udc80" <= letter <= "\udcff" for letter in os.fspath(path)):
        return "its name is not in UTF-8: rename it"
    if not os.access(path, os.R_OK):
        return "nobody allows this program to read it"
    return str(error)


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


class _UnusableRate(ValueError):
    pass


def _check_rate(from_hz: int, to_hz: int) -> None:
    if from_hz == to_hz:
        return
    if min(from_hz, to_hz) < LOWEST_RATE_HZ:
        raise _UnusableRate(
            f"a sample rate of {min(from_hz, to_hz)} Hz is below that of any "
            "speech"
        )
    divisor = math.gcd(from_hz, to_hz)
    period, new_period = from_hz // divisor, to_hz // divisor
    # Of torchaudio's default width.
    width = math.ceil(6 * period / (0.99 * min(period, new_period)))
    if new_period * (2 * width + period) > MOST_TAPS:
        raise _UnusableRate(
            f"getting from {from_hz} Hz to {to_hz} Hz takes too large a "
            "filter: convert it to a usual sample rate, if it really has that "
            "one"
        )


@functools.lru_cache(maxsize=8)
def _resampler(from_hz: int, to_hz: int) -> torch.nn.Module:
    # Building the filter costs more than applying it to one utterance.
    return torchaudio.transforms.Resample(from_hz, to_hz)
