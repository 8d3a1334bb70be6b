"""Crops of noise recordings, never digital silence.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from speechbrain_merit.data.audio import read_mono
from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    check_items,
    of_corpus,
    read_manifest,
)


@dataclasses.dataclass(frozen=True)
class NoiseCrop:
    """Which stretch of which recording.

    Arguments
    ---------
    noise_id : str
        Identity of the recording in its manifest.
    offset : int
        First sample, at the source's sample rate.
    """

    noise_id: str
    offset: int


class NoiseSource:
    """Draws and reads stretches of the recordings of a manifest.

    A recording that is shorter than the stretch starts over. Recordings stay
    decoded in memory up to `cache_size` of them.

    Arguments
    ---------
    manifest : str or Path
        Noise manifest as data preparation writes it.
    noise_folder : str
        Replaces `{noise_root}` in its paths; of several corpora, see
        `of_corpus`.
    sample_rate_hz : int
        Sample rate of the crops.
    minimum_rms_db : float
        Crops below this level, in dB of full scale, count as silence: many
        recordings are padded with zeros, and such a crop would have to be
        amplified without bound.
    max_draws : int
        Draws before a set of recordings counts as silent altogether.
    cache_size : int
        Number of decoded recordings to keep in memory, the first ones, for
        every loader process.
    read : callable
        Reads recordings as `read_mono` does, e.g. an `AudioCache` with a
        folder.

    Raises
    ------
    FileNotFoundError
        If the manifest does not exist.
    ValueError
        If an item lacks a field.
    """

    def __init__(
        self,
        manifest: str | Path,
        noise_folder: str,
        sample_rate_hz: int,
        minimum_rms_db: float = -70.0,
        max_draws: int = 100,
        cache_size: int = 512,
        read: Callable[..., torch.Tensor] = read_mono,
    ) -> None:
        self.manifest = Path(manifest)
        self.entries = read_manifest(manifest)
        check_items(self.manifest, self.entries, NOISE_KEYS)
        self.noise_ids = sorted(self.entries)
        self.noise_folder = noise_folder
        self.sample_rate_hz = sample_rate_hz
        self.minimum_rms = 10 ** (minimum_rms_db / 20)
        self.max_draws = max_draws
        self.read_audio = read
        self.cache_size = cache_size
        self._decoded: dict[str, torch.Tensor] = {}

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self.noise_ids)

    def draw(
        self, num_samples: int, generator: torch.Generator
    ) -> tuple[NoiseCrop, torch.Tensor]:
        """Draws a recording and a place in it that is not silent.

        Arguments
        ---------
        num_samples : int
            Length of the crop.
        generator : torch.Generator
            Source of all randomness.

        Returns
        -------
        tuple of NoiseCrop and torch.Tensor
            What was drawn, and its samples, `[time]`.

        Raises
        ------
        ValueError
            If nothing but silence was found, a recording cannot be read, or
            there is none.
        """
        if not len(self):
            raise ValueError(f"{self.manifest} has no recordings.")
        for _ in range(self.max_draws):
            noise_id = self.noise_ids[_integer(len(self.noise_ids), generator)]
            available = len(self._read(noise_id))
            # A recording that is long enough is not wrapped around.
            places = max(available - num_samples + 1, 1)
            if available < num_samples:
                places = available
            crop = NoiseCrop(noise_id, _integer(places, generator))
            samples = self.read(crop, num_samples)
            if samples.square().mean().sqrt() >= self.minimum_rms:
                return crop, samples
        raise ValueError(
            f"{self.max_draws} crops of the recordings in {self.manifest} "
            f"were all silent, the last one from {noise_id}: check the files."
        )

    def read(self, crop: NoiseCrop, num_samples: int) -> torch.Tensor:
        """Reads a stretch of a recording.

        Arguments
        ---------
        crop : NoiseCrop
            Which one.
        num_samples : int
            Its length.

        Returns
        -------
        torch.Tensor
            Samples, `[time]`.
        """
        recording = self._read(crop.noise_id)
        stop = crop.offset + num_samples
        if stop <= len(recording):
            return recording[crop.offset : stop].clone()
        index = torch.arange(crop.offset, crop.offset + num_samples)
        return recording[index % len(recording)]

    def path_of(self, noise_id: str) -> str:
        """Names a recording's file.

        Arguments
        ---------
        noise_id : str
            Identity of the recording in its manifest.

        Returns
        -------
        str
            Where it is.
        """
        fields = self.entries[noise_id]
        folder = of_corpus(self.noise_folder, fields.get("corpus"))
        return fields["wav"].replace("{noise_root}", folder)

    def _read(self, noise_id: str) -> torch.Tensor:
        if noise_id in self._decoded:
            return self._decoded[noise_id]
        fields = self.entries[noise_id]
        folder = of_corpus(self.noise_folder, fields.get("corpus"))
        samples = self.read_audio(
            fields["wav"].replace("{noise_root}", folder),
            self.sample_rate_hz,
            fields.get("start_s", 0.0),
            fields["duration_s"],
        )
        if len(self._decoded) < self.cache_size:
            self._decoded[noise_id] = samples
        return samples


def _integer(limit: int, generator: torch.Generator) -> int:
    return int(torch.randint(limit, (1,), generator=generator))
