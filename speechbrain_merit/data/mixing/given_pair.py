"""Noisy speech that comes with its clean version, instead of being mixed.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable

import torch

from speechbrain_merit.data.audio import read_mono

from .mixture import Mixture


def read_pair(
    wav: str,
    noisy_wav: str,
    sample_rate_hz: int,
    start_s: float = 0.0,
    duration_s: float | None = None,
    read: Callable[..., torch.Tensor] = read_mono,
) -> Mixture:
    """Reads the same stretch of clean speech and of its noisy version.

    Arguments
    ---------
    wav : str
        File of the clean speech.
    noisy_wav : str
        File of the same speech in noise, sample by sample.
    sample_rate_hz : int
        Sample rate of the result.
    start_s : float
        Where to start, in seconds.
    duration_s : float, optional
        How much to read, in seconds; to the end by default.
    read : callable
        Reads as `read_mono` does, e.g. an `AudioCache`.

    Returns
    -------
    Mixture
        The noisy speech, the clean speech, and what lies between them.

    Raises
    ------
    ValueError
        If a file cannot be read, or the two differ in length.

    Example
    -------
    >>> from speechbrain.dataio import audio_io
    >>> folder = getfixture("tmpdir")
    >>> clean, noisy = str(folder / "clean.wav"), str(folder / "noisy.wav")
    >>> audio_io.save(clean, torch.full((1, 4), 0.25), 16000)
    >>> audio_io.save(noisy, torch.full((1, 4), 0.75), 16000)
    >>> read_pair(clean, noisy, 16000).noise
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    speech = read(wav, sample_rate_hz, start_s, duration_s)
    noisy = read(noisy_wav, sample_rate_hz, start_s, duration_s)
    if len(speech) != len(noisy):
        raise ValueError(
            f"{wav} has {len(speech)} samples and {noisy_wav} {len(noisy)}: "
            "the two must be the same speech, sample by sample."
        )
    return Mixture(noisy, speech, noisy - speech)
