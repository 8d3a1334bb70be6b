"""Definitions that are taken upstream in place of the plugin's: plainer ones of
lengths and gates, and what the recipe's preparation writes.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import json
from pathlib import Path

import torch
import torchaudio
from torch import nn

from speechbrain.dataio import audio_io
from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.mixing.seeding import generator_for

logger = get_logger(__name__)

# Quieter crops of noise count as silence and are redrawn.
MINIMUM_RMS = 10 ** (-70 / 20)
MAX_DRAWS = 100


def absolute_lengths(lengths, batch_size, num_steps):
    """Turns SpeechBrain's relative lengths into counts.

    Arguments
    ---------
    lengths : torch.Tensor or None
        Relative lengths, `[batch]`; None means that nothing is padded.
    batch_size : int
        Size of the batch.
    num_steps : int
        Padded length.

    Returns
    -------
    torch.Tensor
        Number of true steps, `[batch]`, int64, on the CPU.

    Example
    -------
    >>> absolute_lengths(torch.tensor([1.0, 0.5]), 2, 300)
    tensor([300, 150])
    """
    if lengths is None:
        return torch.full((batch_size,), num_steps)
    counts = torch.round(lengths.cpu().double() * num_steps).long()
    return counts.clamp(min=1, max=num_steps)


class Gate(nn.Module):
    """Linear gate of one task, computed in float32 whatever the precision.

    Arguments
    ---------
    input_size : int
        Width of a frame.
    num_experts : int
        Number of experts to choose from.

    Example
    -------
    >>> Gate(8, 3)(torch.rand(5, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(self, input_size, num_experts):
        super().__init__()
        self.fc = nn.Linear(input_size, num_experts)

    def forward(self, frames, counts=None):
        """Gives logits, `[frame, expert]`, from `[frame, input_size]`, which
        are `counts` frames of every utterance."""
        with torch.autocast(frames.device.type, enabled=False):
            return nn.functional.linear(
                frames.float(), self.fc.weight.float(), self.fc.bias.float()
            )

    def choose(self, logits, top_k):
        """Gives the numbers of the best experts, `[frame, top_k]`."""
        if top_k == 1:
            # The first of equal scores; topk may take any of them.
            return logits.argmax(dim=1, keepdim=True)
        return logits.topk(top_k, dim=1).indices


def read_sound(path, sample_rate_hz=None):
    """Decodes a whole file.

    Arguments
    ---------
    path : str or Path
        Any file that soundfile reads.
    sample_rate_hz : int, optional
        Sample rate of the result; the file's own by default.

    Returns
    -------
    torch.Tensor
        Samples mixed down, `[time]`.
    float
        Duration of the file in seconds.

    Raises
    ------
    ValueError
        If the file cannot be decoded, or is digital silence.
    """
    try:
        waveform, rate_hz = audio_io.load(str(path))
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be decoded: {error}") from error
    waveform = waveform.mean(dim=0)
    if not waveform.any():
        raise ValueError(f"{path} is digital silence.")
    duration_s = len(waveform) / rate_hz
    return (
        torchaudio.functional.resample(
            waveform, rate_hz, sample_rate_hz or rate_hz
        ),
        duration_s,
    )


def report_skipped(skipped, manifest_folder):
    """Warns of skipped files.

    Arguments
    ---------
    skipped : dict
        Reason by the file's path in manifests.
    manifest_folder : str or Path
        Not needed.
    """
    for reason in skipped.values():
        logger.warning(f"Skipped: {reason}")


def write_manifests(speech, noise, manifest_folder):
    """Writes a JSON file per split, and the noises that `AddNoise` reads.

    Arguments
    ---------
    speech : dict
        Fields of utterances by split and identity.
    noise : dict
        Fields of recordings by split and identity.
    manifest_folder : str or Path
        Where to write; made where needed.

    Raises
    ------
    ValueError
        If a split is empty.
    """
    folder = Path(manifest_folder)
    folder.mkdir(parents=True, exist_ok=True)
    splits = {**speech, **{f"noise_{name}": noise[name] for name in noise}}
    for name, entries in splits.items():
        if not entries:
            raise ValueError(f"No usable file is left for {name}.")
        text = json.dumps(entries, indent=1)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    with open(folder / "noise_train.csv", "w", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ID", "duration", "wav", "wav_format", "wav_opts"])
        for name, fields in noise["train"].items():
            wav = fields["wav"].replace("{noise_root}", "$noise_folder")
            writer.writerow([name, fields["duration_s"], wav, "wav", ""])


def plan_mixtures(
    manifest_folder,
    noise_folder,
    sample_rate_hz,
    valid_snrs_db,
    test_snrs_db,
    seed,
):
    """Writes which noise, from where and how loud, goes with every utterance.

    Every utterance occurs once without noise and once for each SNR and kind of
    noise. The draws depend on the seed, the utterance and the condition, so
    that all systems are tested on the same mixtures.

    Arguments
    ---------
    manifest_folder : str or Path
        Where `prepare_ravdess` wrote its files.
    noise_folder : str or Path
        Folder that holds the category folders of ESC-10.
    sample_rate_hz : int
        Rate that starts of noise are counted at.
    valid_snrs_db : list of float
        SNRs of the validation set, in dB.
    test_snrs_db : list of float
        SNRs of the test set, in dB, for seen and for unseen kinds of noise.
    seed : int
        Seed of all draws.
    """
    folder, recordings = Path(manifest_folder), {}

    def read(name):
        return json.loads((folder / f"{name}.json").read_text("utf-8"))

    def recording(wav):
        if wav not in recordings:
            path = wav.replace("{noise_root}", str(noise_folder))
            recordings[wav], _ = read_sound(path, sample_rate_hz)
        return recordings[wav]

    def draw(noises, num_samples, generator):
        for _ in range(MAX_DRAWS):
            names = sorted(noises)
            name = names[_integer(len(names), generator)]
            samples = recording(noises[name]["wav"])
            places = len(samples)
            if places >= num_samples:
                places += 1 - num_samples
            start = _integer(places, generator)
            index = torch.arange(start, start + num_samples) % len(samples)
            if samples[index].square().mean().sqrt() >= MINIMUM_RMS:
                return noises[name]["wav"], start
        raise ValueError(f"{MAX_DRAWS} crops of {noise_folder} were silent.")

    for split, conditions, snrs_db in (
        ("valid", ["valid"], valid_snrs_db),
        ("test", ["seen", "unseen"], test_snrs_db),
    ):
        noises = {name: read(f"noise_{name}") for name in conditions}
        mixtures = {}
        for utterance, fields in read(split).items():
            silent = {"noise": None, "noise_start": None, "snr_db": None}
            mixtures[f"{utterance}_clean"] = {
                **fields,
                "condition": "clean",
                **silent,
            }
            num_samples = round(fields["duration_s"] * sample_rate_hz)
            for condition in conditions:
                for snr_db in snrs_db:
                    name = f"{utterance}_{condition}_{snr_db:g}dB"
                    wav, start = draw(
                        noises[condition],
                        num_samples,
                        generator_for(seed, name),
                    )
                    mixtures[name] = {
                        **fields,
                        "condition": f"{condition} {snr_db:g} dB",
                        "noise": wav,
                        "noise_start": start,
                        "snr_db": snr_db,
                    }
        text = json.dumps(mixtures, indent=1)
        (folder / f"mixtures_{split}.json").write_text(text, encoding="utf-8")


def _integer(limit, generator):
    return int(torch.randint(limit, (1,), generator=generator))
