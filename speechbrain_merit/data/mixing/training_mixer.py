"""Training examples: augmented speech in noise that is new every epoch.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable
from typing import Any

import torch

from speechbrain.augment.augmenter import Augmenter
from speechbrain_merit.data.audio import read_mono

from .given_pair import read_pair
from .mixture import Mixture, mix_at_snr
from .noise_source import NoiseSource
from .seeding import generator_for, seeded


class TrainingMixer:
    """Reads an utterance, augments it and adds noise to it.

    An utterance that has a noisy version is not mixed but taken with that.
    The result is a function of the seed, the epoch and the utterance, for any
    number of loader processes.

    Arguments
    ---------
    noises : NoiseSource
        Training noises.
    sample_rate_hz : int
        Sample rate of the mixtures.
    snr_low_db : float
        Lowest SNR, in dB; drawn uniformly.
    snr_high_db : float
        Highest SNR, in dB.
    clean_probability : float
        Share of the utterances that stay without noise.
    seed : int
        Seed of all draws.
    max_duration_s : float
        Longer utterances are cut at their end.
    speech_augmentation : Augmenter, optional
        Changes the speech before noise is added, e.g. its speed;
        the target changes with it, and so does a noisy version that is given.
    mixture_augmentation : Augmenter, optional
        Changes the mixture alone, e.g. dropped bands or chunks, and must keep
        its length; the target stays whole.
    read : callable
        Reads speech as `read_mono` does, e.g. an `AudioCache`.
    num_mixtures : int
        So many mixtures of every utterance, one an epoch, which then come
        again in the same order; 0: another one in every epoch.
    generated_noise : callable, optional
        Makes of the noises a source that draws other kinds, too, as
        `GeneratedNoise` does.
    rooms : callable, optional
        Gives speech as it is heard and as it is to be restored, as
        `put_in_room` does; not that of given pairs.
    channel_augmentation : Augmenter, optional
        Changes the mixture and the target alike, e.g. their bandwidth.
    """

    def __init__(
        self,
        noises: NoiseSource,
        sample_rate_hz: int,
        snr_low_db: float,
        snr_high_db: float,
        clean_probability: float,
        seed: int,
        max_duration_s: float,
        speech_augmentation: Augmenter | None = None,
        mixture_augmentation: Augmenter | None = None,
        read: Callable[..., torch.Tensor] = read_mono,
        num_mixtures: int = 0,
        generated_noise: Callable[[NoiseSource], Any] | None = None,
        rooms: Callable[..., tuple[torch.Tensor, ...]] | None = None,
        channel_augmentation: Augmenter | None = None,
    ) -> None:
        self.noises = generated_noise(noises) if generated_noise else noises
        self.sample_rate_hz = sample_rate_hz
        self.snr_low_db = snr_low_db
        self.snr_high_db = snr_high_db
        self.clean_probability = clean_probability
        self.seed = seed
        self.max_duration_s = max_duration_s
        self.speech_augmentation = speech_augmentation
        self.mixture_augmentation = mixture_augmentation
        self.read = read
        self.rooms = rooms
        self.channel_augmentation = channel_augmentation
        self.num_mixtures = num_mixtures
        # Shared memory, so that loader processes see the epoch change.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Tells which epoch the next mixtures are for.

        Arguments
        ---------
        epoch : int
            Number of the epoch.
        """
        if self.num_mixtures:
            epoch = (epoch - 1) % self.num_mixtures + 1
        self._epoch[0] = epoch

    def __call__(
        self,
        utterance_id: str,
        wav: str,
        start_s: float,
        duration_s: float,
        noisy_wav: str | None = None,
    ) -> Mixture:
        """Makes the mixture of an utterance for the current epoch.

        Arguments
        ---------
        utterance_id : str
            Identity of the utterance.
        wav : str
            Its file.
        start_s : float
            Its start in the file, in seconds.
        duration_s : float
            Its duration in seconds.
        noisy_wav : str or None
            File of its noisy version, if there is one.

        Returns
        -------
        Mixture
            Noisy speech and its parts, `[time]` each.

        Raises
        ------
        ValueError
            If speech or noise cannot be read or is silent; the message names
            the utterance.
        """
        purpose = (self.seed, int(self._epoch), utterance_id)
        stretch = (start_s, min(duration_s, self.max_duration_s))
        try:
            signals = self._read(wav, noisy_wav, stretch)
            signals = _augment(
                self.speech_augmentation, signals, ("speech", *purpose)
            )
            mixture = self._add_noise(signals, generator_for("mix", *purpose))
        except ValueError as error:
            raise ValueError(f"Utterance {utterance_id}: {error}") from error
        mixture.noisy, mixture.speech = _augment(
            self.channel_augmentation,
            torch.stack([mixture.noisy, mixture.speech]),
            ("channel", *purpose),
        )
        mixture.noisy = _augment(
            self.mixture_augmentation,
            mixture.noisy.unsqueeze(0),
            ("mixture", *purpose),
        ).squeeze(0)
        return mixture

    def _read(
        self, wav: str, noisy_wav: str | None, stretch: tuple[float, float]
    ) -> torch.Tensor:
        """Speech and, where it is given, its noisy version, `[1 or 2, time]`."""
        if noisy_wav is None:
            speech = self.read(wav, self.sample_rate_hz, *stretch)
            return speech.unsqueeze(0)
        pair = read_pair(
            wav, noisy_wav, self.sample_rate_hz, *stretch, read=self.read
        )
        return torch.stack([pair.speech, pair.noisy])

    def _add_noise(
        self, signals: torch.Tensor, generator: torch.Generator
    ) -> Mixture:
        speech = target = signals[0]
        clean, position = torch.rand(2, generator=generator).tolist()
        if self.rooms is not None and len(signals) == 1:
            speech, target = self.rooms(speech, generator)
        if clean < self.clean_probability:
            return Mixture(speech, target, torch.zeros_like(speech))
        if len(signals) == 2:
            return Mixture(signals[1], speech, signals[1] - speech)
        _, noise = self.noises.draw(len(speech), generator)
        width = self.snr_high_db - self.snr_low_db
        mixture = mix_at_snr(speech, noise, self.snr_low_db + position * width)
        if target is not speech:
            # As loud as the speech is in the mixture.
            gain = mixture.speech.abs().max() / speech.abs().max()
            mixture.speech = target * gain
        return mixture


def _augment(
    augmentation: Augmenter | None,
    waveforms: torch.Tensor,
    purpose: tuple[int | str, ...],
) -> torch.Tensor:
    if augmentation is None:
        return waveforms
    with seeded(*purpose):
        augmented, _ = augmentation(waveforms, torch.ones(len(waveforms)))
    return augmented
