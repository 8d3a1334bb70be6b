"""Reading audio as mono at one sample rate, with errors that name the file.

Authors
 * The speechbrain-merit developers 2026
"""

import functools

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


@functools.lru_cache(maxsize=8)
def _resampler(from_hz: int, to_hz: int) -> torch.nn.Module:
    # Building the filter costs more than applying it to one utterance.
    return torchaudio.transforms.Resample(from_hz, to_hz)
