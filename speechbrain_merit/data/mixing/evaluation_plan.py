"""Evaluation mixtures that are the same for every system.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from speechbrain_merit.data.audio import read_mono
from speechbrain_merit.data.manifests import (
    UTTERANCE_DEFAULTS,
    UTTERANCE_KEYS,
    read_manifest,
    write_manifest,
)

from .given_pair import read_pair
from .mixture import Mixture, mix_at_snr
from .noise_source import NoiseCrop, NoiseSource
from .seeding import generator_for

MIXTURE_KEYS = (
    "utterance",
    *UTTERANCE_KEYS,
    *UTTERANCE_DEFAULTS,
    "condition",
    "noise",
    "noise_type",
    "noise_offset",
    "snr_db",
)
CLEAN = "clean"
# In the noise that the corpus itself gives.
GIVEN = "given"


def plan_mixtures(
    path: str | Path,
    utterances: str | Path,
    sources: Mapping[str, NoiseSource],
    snrs_db: Sequence[float],
    seed: int,
    max_duration_s: float,
) -> None:
    """Writes which noise, from where and how loud, goes with every utterance.

    Every utterance occurs once without noise and once for each SNR and
    source; one that has a noisy version occurs with that instead. A source
    without recordings makes no mixtures. The draws depend on the seed, the
    utterance and the condition.

    Arguments
    ---------
    path : str or Path
        Manifest to write, with `MIXTURE_KEYS` and whatever more the
        utterances have. The offset counts samples at the sources' rate.
    utterances : str or Path
        Manifest of the utterances.
    sources : Mapping
        Noises by the name of their condition, e.g. `seen` and `unseen`.
    snrs_db : sequence of float
        SNRs in dB.
    seed : int
        Seed of all draws.
    max_duration_s : float
        Longer utterances are cut at their end.

    Example
    -------
    >>> from speechbrain.dataio import audio_io
    >>> from speechbrain_merit.data.manifests import NOISE_KEYS, UTTERANCE_KEYS
    >>> folder = getfixture("tmpdir")
    >>> speech = {"wav": "{data_root}/a.wav", "start_s": 0.0, "duration_s": 1.0}
    >>> speech = {**speech, "emotion": "sad", "speaker": "s1"}
    >>> write_manifest(folder / "test.json", {"a": speech}, UTTERANCE_KEYS)
    >>> noise = {"wav": "{noise_root}/n.wav", "duration_s": 2.0}
    >>> noise = {"n": {**noise, "noise_type": "white"}}
    >>> write_manifest(folder / "noise.json", noise, NOISE_KEYS)
    >>> audio_io.save(folder / "n.wav", torch.rand(32000) - 0.5, 16000)
    >>> source = NoiseSource(folder / "noise.json", folder, 16000)
    >>> plan = folder / "mixtures.json"
    >>> plan_mixtures(
    ...     plan, folder / "test.json", {"seen": source}, [-5, 5], 1, 12.0
    ... )
    >>> list(read_manifest(plan))
    ['a_clean', 'a_seen_-5dB', 'a_seen_5dB']
    """
    entries: dict[str, dict[str, Any]] = {}
    sources = {name: source for name, source in sources.items() if len(source)}
    for utterance_id, fields in read_manifest(utterances).items():
        duration_s = min(fields["duration_s"], max_duration_s)
        base = {**UTTERANCE_DEFAULTS, **fields, "utterance": utterance_id}
        base["duration_s"] = duration_s
        name = f"{utterance_id}_{CLEAN}"
        entries[name] = {**base, **_condition(CLEAN)}
        if base["noisy_wav"] is not None:
            name = f"{utterance_id}_{GIVEN}"
            entries[name] = {**base, **_condition(GIVEN)}
            continue
        for condition, source in sources.items():
            for snr_db in snrs_db:
                name = f"{utterance_id}_{condition}_{snr_db:g}dB"
                drawn = _draw(source, duration_s, snr_db, (seed, name))
                entries[name] = {**base, **_condition(condition, **drawn)}
    write_manifest(path, entries, MIXTURE_KEYS)


def _condition(condition: str, **drawn: Any) -> dict[str, Any]:
    silent = dict.fromkeys(("noise", "noise_type", "noise_offset", "snr_db"))
    return {"condition": condition, **silent, **drawn}


def _draw(
    source: NoiseSource,
    duration_s: float,
    snr_db: float,
    purpose: tuple[int | str, ...],
) -> dict[str, Any]:
    num_samples = round(duration_s * source.sample_rate_hz)
    crop, _ = source.draw(num_samples, generator_for(*purpose))
    return {
        "noise": crop.noise_id,
        "noise_type": source.entries[crop.noise_id]["noise_type"],
        "noise_offset": crop.offset,
        "snr_db": snr_db,
    }


class EvaluationMixer:
    """Makes the mixtures of a plan.

    Arguments
    ---------
    sources : Mapping
        Noises by the name of their condition, as given to `plan_mixtures`.
    sample_rate_hz : int
        Sample rate of the mixtures.
    read : callable
        Reads speech as `read_mono` does, e.g. an `AudioCache`.
    """

    def __init__(
        self,
        sources: Mapping[str, NoiseSource],
        sample_rate_hz: int,
        read: Callable[..., torch.Tensor] = read_mono,
    ) -> None:
        self.sources = dict(sources)
        self.sample_rate_hz = sample_rate_hz
        self.read = read

    def __call__(
        self,
        mixture_id: str,
        wav: str,
        start_s: float,
        duration_s: float,
        condition: str,
        noise: str | None,
        noise_offset: int | None,
        snr_db: float | None,
        noisy_wav: str | None = None,
    ) -> Mixture:
        """Makes one mixture.

        Arguments
        ---------
        mixture_id : str
            Identity of the mixture in the plan.
        wav : str
            File of the speech.
        start_s : float
            Start of the utterance in its file, in seconds.
        duration_s : float
            Duration of the utterance in seconds.
        condition : str
            `clean`, `given`, or the name of a noise source.
        noise : str or None
            Identity of the noise recording.
        noise_offset : int or None
            Its first sample.
        snr_db : float or None
            SNR in dB.
        noisy_wav : str or None
            File of the noisy version, for the condition `given`.

        Returns
        -------
        Mixture
            Noisy speech and its parts, `[time]` each.

        Raises
        ------
        ValueError
            If a file cannot be read or is silent; the message names the
            mixture.
        """
        stretch = (self.sample_rate_hz, start_s, duration_s)
        try:
            if condition == GIVEN:
                if noisy_wav is None:
                    raise ValueError("it has no noisy_wav.")
                return read_pair(wav, noisy_wav, *stretch, read=self.read)
            speech = self.read(wav, *stretch)
            if condition == CLEAN:
                return Mixture(speech, speech, 0 * speech)
            if noise is None or noise_offset is None or snr_db is None:
                raise ValueError("it has no noise, noise_offset or snr_db.")
            source = self.sources[condition]
            crop = NoiseCrop(noise, noise_offset)
            return mix_at_snr(speech, source.read(crop, len(speech)), snr_db)
        # Whatever is wrong with a plan of strangers.
        except Exception as error:
            raise ValueError(f"Mixture {mixture_id}: {error}") from error
