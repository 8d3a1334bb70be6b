"""Noise that no recording has to be there for.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import fftconvolve

from speechbrain_merit.data.audio import read_mono
from speechbrain_merit.data.manifests import load_utterances

from .noise_source import NoiseSource

Random = np.random.Generator


def coloured(
    time_s: np.ndarray, random: Random, slope_db: float | None = None
) -> np.ndarray:
    """Makes stationary noise whose level falls or rises with frequency.

    Arguments
    ---------
    time_s : numpy.ndarray
        Time of every sample in seconds, from 0 on, `[time]`.
    random : numpy.random.Generator
        Source of all randomness.
    slope_db : float, optional
        Decibels per octave; 0 is white, -3 pink noise. Drawn from -9 to 3 by
        default.

    Returns
    -------
    numpy.ndarray
        Samples of any level, `[time]`.

    Example
    -------
    >>> coloured(np.arange(400) / 16000, np.random.default_rng(1)).shape
    (400,)
    """
    slope_db = random.uniform(-9, 3) if slope_db is None else slope_db
    frequencies_hz = np.fft.rfftfreq(len(time_s), time_s[1])
    # Nothing grows without bound towards the lowest frequencies.
    gains = ((frequencies_hz + 20) / 1000) ** (slope_db / (20 * np.log10(2)))
    spectrum = np.fft.rfft(random.standard_normal(len(time_s)))
    return np.fft.irfft(spectrum * gains, len(time_s))


def hum(time_s: np.ndarray, random: Random) -> np.ndarray:
    """Makes the hum of the mains: twelve harmonics of about 50 or 60 Hz.

    Arguments
    ---------
    time_s : numpy.ndarray
        As for `coloured`.
    random : numpy.random.Generator
        As for `coloured`.

    Returns
    -------
    numpy.ndarray
        As of `coloured`.

    Example
    -------
    >>> hum(np.arange(400) / 16000, np.random.default_rng(1)).shape
    (400,)
    """
    base_hz = random.choice([50, 60]) * random.uniform(0.995, 1.005)
    orders = np.arange(1, 13)[:, np.newaxis]
    phases, levels = random.random((2, 12, 1))
    waves = np.sin(2 * np.pi * (orders * base_hz * time_s + phases))
    return (waves * levels / orders**0.7).sum(0)


def tones(time_s: np.ndarray, random: Random) -> np.ndarray:
    """Makes three tones from 100 Hz to 6.3 kHz; some go on and off.

    Arguments
    ---------
    time_s : numpy.ndarray
        As for `coloured`.
    random : numpy.random.Generator
        As for `coloured`.

    Returns
    -------
    numpy.ndarray
        As of `coloured`.

    Example
    -------
    >>> tones(np.arange(400) / 16000, np.random.default_rng(1)).shape
    (400,)
    """
    rates_hz = np.concatenate(
        [10 ** random.uniform(2, 3.8, (3, 1)), random.uniform(0.2, 4, (3, 1))]
    )
    phases = random.random((6, 1))
    waves, swings = np.split(
        np.sin(2 * np.pi * (rates_hz * time_s + phases)), 2
    )
    gates = 1 / (1 + np.exp(-8 * swings - random.uniform(-4, 12, (3, 1))))
    return (random.uniform(0.1, 1, (3, 1)) * gates * waves).sum(0)


def bursts(time_s: np.ndarray, random: Random) -> np.ndarray:
    """Makes knocks: coloured noise that decays, 0.5 to 16 times a second.

    Arguments
    ---------
    time_s : numpy.ndarray
        As for `coloured`.
    random : numpy.random.Generator
        As for `coloured`.

    Returns
    -------
    numpy.ndarray
        As of `coloured`.

    Example
    -------
    >>> bursts(np.arange(400) / 16000, np.random.default_rng(1)).shape
    (400,)
    """
    levels = random.uniform(0.2, 1, len(time_s))
    probability = 10 ** random.uniform(-0.3, 1.2) * time_s[1]
    levels *= random.random(len(time_s)) < probability
    # One at least.
    levels[random.integers(len(time_s))] = 1.0
    decay = np.exp(-time_s / 10 ** random.uniform(-2.3, -0.6))
    envelope = fftconvolve(levels, decay)[: len(time_s)]
    return envelope * coloured(time_s, random)


_KINDS: dict[str, Callable[[np.ndarray, Random], np.ndarray]] = {
    "coloured": coloured,
    "hum": hum,
    "tones": tones,
    "bursts": bursts,
}


@dataclasses.dataclass
class GeneratedNoise:
    """Draws noise of several kinds, recorded noise among them.

    Arguments
    ---------
    recorded : NoiseSource
        Recordings.
    weights : Mapping
        How often each kind is drawn, in proportion: `recorded`, `coloured`,
        `hum`, `tones`, `bursts`, or `babble` of the training speakers.
    sample_rate_hz : int
        Sample rate.
    manifest : str or Path
        That of the training utterances, which babble is made of.
    data_folder : str
        Where they are.
    read : callable
        Reads speech as `read_mono` does, e.g. an `AudioCache`.

    Raises
    ------
    ValueError
        If there is no such kind.

    Example
    -------
    >>> noise = GeneratedNoise(
    ...     None, {"hum": 1.0}, 16000, manifest="train.json", data_folder="here"
    ... )
    >>> noise.draw(400, torch.Generator().manual_seed(1))[1].shape
    torch.Size([400])
    """

    recorded: NoiseSource
    weights: Mapping[str, float]
    sample_rate_hz: int
    manifest: str | Path
    data_folder: str
    read: Callable[..., torch.Tensor] = read_mono

    def __post_init__(self) -> None:
        known = {"recorded", "babble", *_KINDS}
        if unknown := sorted(self.weights.keys() - known):
            raise ValueError(f"Unknown noise {unknown}: use {sorted(known)}.")

    def draw(
        self, num_samples: int, generator: torch.Generator
    ) -> tuple[Any, torch.Tensor]:
        """Draws noise.

        Arguments
        ---------
        num_samples : int
            Its length.
        generator : torch.Generator
            Source of all randomness.

        Returns
        -------
        tuple
            What was drawn, and its samples of any level, `[time]`.
        """
        weights = torch.tensor([*self.weights.values()], dtype=torch.float64)
        place = int(torch.multinomial(weights, 1, generator=generator))
        kind = [*self.weights][place]
        if kind == "recorded":
            return self.recorded.draw(num_samples, generator)
        seed = int(torch.randint(2**62, (1,), generator=generator))
        time_s = np.arange(num_samples) / self.sample_rate_hz
        make = _KINDS.get(kind, self._babble)
        noise = make(time_s, np.random.default_rng(seed))
        return kind, torch.from_numpy(noise).float()

    @functools.cached_property
    def _voices(self) -> list[dict[str, Any]]:
        return [*load_utterances(self.manifest, self.data_folder).values()]

    def _babble(self, time_s: np.ndarray, random: Random) -> np.ndarray:
        """Three to eight voices, each from somewhere on, and over again."""
        total = np.zeros_like(time_s)
        for place in random.integers(
            len(self._voices), size=random.integers(3, 9)
        ):
            wav, *stretch = (
                self._voices[place][key]
                for key in ("wav", "start_s", "duration_s")
            )
            voice = self.read(wav, self.sample_rate_hz, *stretch).numpy()
            level = 10 ** (random.uniform(-8, 0) / 20) / (voice.std() + 1e-9)
            voice = np.roll(voice, random.integers(len(voice)))
            total += level * np.resize(voice, len(time_s))
        return total
