r"""Makes the small corpora that the lines of tests/recipes train on.

The committed files are what this script writes:

> python tests/samples/joint_enhance_emotion/make_samples.py \
    tests/samples/joint_enhance_emotion

Every sound is arithmetic with a seed; nothing was recorded.

Authors
 * The speechbrain-merit developers 2026
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.seed import seed_everything
from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    UTTERANCE_KEYS,
    manifest_paths,
    write_manifest,
)
from speechbrain_merit.data.mixing import NoiseSource, plan_mixtures
from speechbrain_merit.pretrained.folder import write_pretrained_folder

SEED = 20260101
RATE_HZ = 16000
SPEECH_S = 0.4
NOISE_S = 0.6
PAIR_SNR_DB = 6.0
# Pitch in Hz, peak, and syllables per second of every manner of speaking.
MANNERS = {
    "angry": (240.0, 0.6, 9.0),
    "sad": (110.0, 0.1, 3.0),
    "happy": (320.0, 0.35, 6.0),
    "neutral": (160.0, 0.25, 5.0),
}
SPEAKERS = {"train": ("s1", "s2"), "valid": ("s3",), "test": ("s4",)}
# Pitch of every speaker, relative to the manner's.
VOICES = {"s1": 1.0, "s2": 1.12, "s3": 1.06, "s4": 0.95}
NOISES = {"train": "hiss", "valid": "hiss", "seen": "hiss", "unseen": "hum"}
# A trained enhancer for se_then_ser.yaml, as small as it may be.
ENHANCER = """
sample_rate_hz: 16000
encoder: !new:speechbrain_merit.lobes.SpeechEncoder
    config:
        model_type: wavlm
        feat_extract_norm: layer
        do_stable_layer_norm: True
        conv_dim: [16, 16]
        conv_kernel: [160, 16]
        conv_stride: [40, 8]
        num_feat_extract_layers: 2
        hidden_size: 16
        num_hidden_layers: 1
        num_attention_heads: 2
        intermediate_size: 16
        num_conv_pos_embeddings: 4
        num_conv_pos_embedding_groups: 2
model: !new:speechbrain_merit.lobes.JointModel
    encoder: !ref <encoder>
    integrator: !new:speechbrain_merit.lobes.WeightedSumIntegrator
        num_layers: 2
        input_size: 16
        tasks: [enhance]
        shared: True
    frontend: !new:speechbrain_merit.lobes.SpectralFrontend
    enhancement_head: !new:speechbrain_merit.lobes.SpectralMaskHead
        feature_size: 16
        hidden_size: 4
"""


def make_samples(folder: Path) -> None:
    """Writes both corpora, their manifests and the enhancer.

    Arguments
    ---------
    folder : Path
        Where `speech`, `noise`, `annotation`, `annotation_pairs` and
        `enhancer` go.
    """
    generator = np.random.default_rng(SEED)
    utterances = _write_speech(folder, generator)
    noises = _write_noise(folder, generator)
    _write_manifests(folder, "annotation", utterances, noises)
    pairs = _write_pairs(folder, utterances, generator)
    # Noisy files are given, as in VoiceBank-DEMAND, and no noise is mixed.
    silent = {split: {} for split in noises}
    _write_manifests(folder, "annotation_pairs", pairs, silent)
    _write_enhancer(folder / "enhancer")


def _write_speech(
    folder: Path, generator: np.random.Generator
) -> dict[str, dict[str, Any]]:
    """Writes an utterance for every speaker and manner."""
    manifests: dict[str, dict[str, Any]] = {}
    for split, speakers in SPEAKERS.items():
        manifests[split] = {}
        for speaker in speakers:
            for emotion, manner in MANNERS.items():
                name = f"{speaker}_{emotion}"
                samples = _utterance(*manner, VOICES[speaker], generator)
                _write_sound(folder / "speech" / f"{name}.wav", samples)
                manifests[split][name] = {
                    "wav": f"{{data_root}}/speech/{name}.wav",
                    "start_s": 0.0,
                    "duration_s": SPEECH_S,
                    "emotion": emotion,
                    "speaker": speaker,
                }
    return manifests


def _utterance(
    pitch_hz: float,
    peak: float,
    syllables_hz: float,
    voice: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Harmonics of a falling pitch, opened and closed by syllables."""
    time_s = np.arange(round(SPEECH_S * RATE_HZ)) / RATE_HZ
    pitch = pitch_hz * voice * (1.1 - 0.3 * time_s / SPEECH_S)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    harmonics = [
        np.sin(number * phase + generator.uniform(0, 2 * np.pi)) / number
        for number in range(1, 9)
    ]
    opening = np.sin(np.pi * syllables_hz * time_s) ** 2
    samples = opening * sum(harmonics)
    return peak * samples / np.abs(samples).max()


def _write_noise(
    folder: Path, generator: np.random.Generator
) -> dict[str, dict[str, Any]]:
    """Writes a recording for every part: hiss, and hum for unseen noise."""
    manifests = {}
    size = round(NOISE_S * RATE_HZ)
    for split, kind in NOISES.items():
        samples = 0.1 * generator.standard_normal(size)
        if kind == "hum":
            time_s = np.arange(size) / RATE_HZ
            samples = 0.1 * samples + 0.1 * np.sign(
                np.sin(2 * np.pi * 100 * time_s)
            )
        _write_sound(folder / "noise" / f"{split}.wav", samples)
        manifests[split] = {
            split: {
                "wav": f"{{noise_root}}/{split}.wav",
                "duration_s": NOISE_S,
                "noise_type": kind,
            }
        }
    return manifests


def _write_pairs(
    folder: Path,
    utterances: dict[str, dict[str, Any]],
    generator: np.random.Generator,
) -> dict[str, dict[str, Any]]:
    """Writes noisy versions of half of the utterances."""
    manifests: dict[str, dict[str, Any]] = {}
    for split, entries in utterances.items():
        manifests[split] = {}
        for name, fields in list(entries.items())[::2]:
            clean, _ = soundfile.read(folder / "speech" / f"{name}.wav")
            noise = generator.standard_normal(len(clean))
            gain = np.sqrt(np.mean(clean**2)) * 10 ** (-PAIR_SNR_DB / 20)
            _write_sound(folder / "noisy" / f"{name}.wav", clean + gain * noise)
            manifests[split][name] = {
                **fields,
                "emotion": None,
                "noisy_wav": f"{{data_root}}/noisy/{name}.wav",
            }
    return manifests


def _write_sound(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")


def _write_manifests(
    folder: Path,
    name: str,
    utterances: dict[str, dict[str, Any]],
    noises: dict[str, dict[str, Any]],
) -> None:
    """Writes what a preparation writes, and the plans of the mixtures."""
    paths = manifest_paths(folder / name)
    for split, entries in utterances.items():
        keys = tuple(next(iter(entries.values())))
        assert set(UTTERANCE_KEYS) <= set(keys)
        write_manifest(paths[split], entries, keys)
    for split, entries in noises.items():
        write_manifest(paths[f"noise_{split}"], entries, NOISE_KEYS, True)
    for split, parts in (("valid", ["valid"]), ("test", ["seen", "unseen"])):
        sources = {
            part: NoiseSource(
                paths[f"noise_{part}"], str(folder / "noise"), RATE_HZ
            )
            for part in parts
        }
        plan_mixtures(
            folder / name / f"mixtures_{split}.json",
            paths[split],
            sources,
            snrs_db=[0],
            seed=SEED,
            max_duration_s=SPEECH_S,
        )


def _write_enhancer(folder: Path) -> None:
    """Writes an enhancer that was never trained, as training writes one."""
    seed_everything(SEED)
    model = load_hyperpyyaml(ENHANCER)["model"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hyperparams.yaml").write_text(ENHANCER)
    labels = CategoricalEncoder()
    labels.update_from_iterable(list(MANNERS))
    write_pretrained_folder(folder, folder / "hyperparams.yaml", model, labels)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_samples(Path(sys.argv[1]))
