"""Finding where speech starts and stops in a recording.

Authors
 * The speechbrain-merit developers 2026
"""

import torch

FRAME_S = 0.020
HOP_S = 0.010


def speech_bounds(
    waveform: torch.Tensor,
    sample_rate_hz: int,
    threshold_db: float,
    margin_s: float,
) -> tuple[float, float]:
    """Finds the stretch from the first to the last loud frame.

    A frame of 20 ms (hop 10 ms) is loud if its RMS is less than
    `threshold_db` below that of the loudest frame. Pauses between loud frames
    are kept. Bounds are those of whole frames, so without a margin they lie
    at most one hop outside the sound.

    Arguments
    ---------
    waveform : torch.Tensor
        Samples, `[time]`.
    sample_rate_hz : int
        Sample rate of the waveform; at least 100 Hz.
    threshold_db : float
        Level below the loudest frame down to which a frame is kept; positive.
    margin_s : float
        Kept in addition on both sides, as far as the recording goes; seconds.

    Returns
    -------
    tuple of float
        Start and stop in seconds from the beginning of the waveform.

    Raises
    ------
    ValueError
        If the waveform is not `[time]` or is digital silence, or if the
        threshold is not positive or the margin is negative.

    Example
    -------
    >>> waveform = torch.zeros(16000)
    >>> waveform[8000:12000] = 0.5
    >>> speech_bounds(waveform, 16000, threshold_db=35.0, margin_s=0.1)
    (0.39, 0.86)
    """
    if not threshold_db > 0:
        raise ValueError(
            f"threshold_db must be positive (decibels below the loudest "
            f"frame), not {threshold_db}."
        )
    if not margin_s >= 0:
        raise ValueError(f"margin_s must not be negative: {margin_s}.")
    if waveform.ndim != 1 or not waveform.any():
        raise ValueError(
            f"A waveform of shape {tuple(waveform.shape)} has no speech to "
            "find: it must be [time] and not all zeros."
        )
    hop = round(HOP_S * sample_rate_hz)
    frame = round(FRAME_S * sample_rate_hz)
    power = _frame_power(waveform, frame, hop)
    loud = torch.nonzero(power > power.max() * 10 ** (-threshold_db / 10))
    first, last = int(loud[0]), int(loud[-1])
    start_s = first * hop / sample_rate_hz - margin_s
    stop_s = (last * hop + frame) / sample_rate_hz + margin_s
    end_s = len(waveform) / sample_rate_hz
    return max(0.0, start_s), min(end_s, stop_s)


def _frame_power(waveform: torch.Tensor, frame: int, hop: int) -> torch.Tensor:
    # Zeros complete the last frame, so that no sample goes unheard. Double
    # precision keeps the power of very faint recordings above zero.
    time = len(waveform)
    hops = max(0, -(-(time - frame) // hop))
    padded = torch.nn.functional.pad(
        waveform.double(), (0, frame + hops * hop - time)
    )
    return padded.unfold(0, frame, hop).square().mean(dim=-1)
