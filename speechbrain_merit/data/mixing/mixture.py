"""Adding noise to speech so that the parts still sum to the whole.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses

import torch

from speechbrain.processing.signal_processing import (
    compute_amplitude,
    dB_to_amplitude,
)


@dataclasses.dataclass
class Mixture:
    """Noisy speech and its parts.

    `noisy` is exactly `speech + noise`, unless the mixture was augmented after
    mixing.

    Arguments
    ---------
    noisy : torch.Tensor
        The mixture, `[time]`.
    speech : torch.Tensor
        The speech as it is in the mixture, `[time]`: the target of the
        enhancement.
    noise : torch.Tensor
        The noise as it is in the mixture, `[time]`.
    """

    noisy: torch.Tensor
    speech: torch.Tensor
    noise: torch.Tensor


def mix_at_snr(
    speech: torch.Tensor,
    noise: torch.Tensor,
    snr_db: float,
    peak: float = 1.0,
) -> Mixture:
    """Mixes speech and noise at a ratio of their root mean squares.

    SpeechBrain's `AddNoise` scales the speech by `1 - 1 / (1 + a)` with `a`
    the amplitude ratio, and does not return it: a model trained towards the
    original speech would learn that gain. Here the speech keeps its level and
    only a mixture above `peak` is scaled down, parts and whole alike. The
    ratio itself is SpeechBrain's.

    Arguments
    ---------
    speech : torch.Tensor
        Speech, `[time]`; must not be silent.
    noise : torch.Tensor
        Noise of the same length, `[time]`; must not be silent.
    snr_db : float
        Signal-to-noise ratio over the whole utterance, in dB.
    peak : float
        Largest magnitude of the mixture; full scale is 1.

    Returns
    -------
    Mixture
        The mixture and its parts.

    Raises
    ------
    ValueError
        If lengths differ, or one of the signals is silent.

    Example
    -------
    >>> speech, noise = torch.tensor([1.0, -1.0]), torch.tensor([2.0, 2.0])
    >>> mix_at_snr(speech, noise, snr_db=0.0, peak=10.0).noisy
    tensor([2., 0.])
    """
    if speech.shape != noise.shape:
        raise ValueError(
            f"Speech of {len(speech)} samples cannot be mixed with noise of "
            f"{len(noise)}: bring both to one length first."
        )
    speech_rms = compute_amplitude(speech.unsqueeze(0), amp_type="rms")
    noise_rms = compute_amplitude(noise.unsqueeze(0), amp_type="rms")
    if not speech_rms > 0 or not noise_rms > 0:
        silent = "speech" if not speech_rms > 0 else "noise"
        raise ValueError(
            f"The {silent} is silent: no SNR can be set. Take it out of the "
            "corpus, or prepare with check_audio True, which leaves it out."
        )
    gain = speech_rms / (noise_rms * dB_to_amplitude(snr_db))
    noise = noise * gain.squeeze()
    loudest = (speech + noise).abs().max()
    if loudest > peak:
        speech, noise = speech * (peak / loudest), noise * (peak / loudest)
    return Mixture(noisy=speech + noise, speech=speech, noise=noise)
