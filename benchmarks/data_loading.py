"""Training mixtures per second against loader processes and caches.

Run from the top of the project; prints one table.
> python benchmarks/data_loading.py
> python benchmarks/data_loading.py --workers 0 2 4 8 16 --format WAV \
>   --sample_rate_hz 16000

Utterances and noises of a corpus that is made on the spot are decoded,
resampled, mixed and put into batches as in a training. Every row is the second
epoch of a loader, which finds full what the first one filled: caches, and the
noises in memory. The ratio is to no cache, with as many processes.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from timing import describe_device

from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_merit.data.audio_cache import AudioCache
from speechbrain_merit.data.manifests import NOISE_KEYS, write_manifest
from speechbrain_merit.data.mixing import NoiseSource, TrainingMixer

RATE_HZ = 16000
NUM_NOISES = 20
FIELDS = ["id", "wav", "start_s", "duration_s"]


def write_audio(folder: Path, name: str, arguments: argparse.Namespace) -> Path:
    """Writes a recording of noise; the seed is its name's."""
    generator = np.random.default_rng(list(name.encode()))
    num_samples = round(arguments.duration_s * arguments.sample_rate_hz)
    samples = 0.1 * generator.standard_normal(num_samples)
    path = folder / f"{name}.{arguments.format.lower()}"
    soundfile.write(path, samples, arguments.sample_rate_hz)
    return path


def make_corpus(
    folder: Path, arguments: argparse.Namespace
) -> dict[str, dict[str, object]]:
    """Writes utterances and noises; gives the utterances' fields."""
    utterances, noises = {}, {}
    for number in range(arguments.num_utterances):
        name = f"u{number}"
        utterances[name] = {
            "wav": str(write_audio(folder, name, arguments)),
            "start_s": 0.0,
            "duration_s": arguments.duration_s,
        }
    for number in range(NUM_NOISES):
        name = f"n{number}"
        noises[name] = {
            "wav": str(write_audio(folder, name, arguments)),
            "duration_s": arguments.duration_s,
            "noise_type": "white",
        }
    write_manifest(folder / "noises.json", noises, NOISE_KEYS)
    return utterances


def make_loader(
    folder: Path,
    utterances: dict[str, dict[str, object]],
    read: AudioCache,
    num_workers: int,
    batch_size: int,
) -> tuple[TrainingMixer, torch.utils.data.DataLoader]:
    """Makes a loader of training batches, and what mixes them."""
    mixer = TrainingMixer(
        NoiseSource(folder / "noises.json", str(folder), RATE_HZ),
        RATE_HZ,
        snr_low_db=-5.0,
        snr_high_db=15.0,
        clean_probability=0.1,
        seed=0,
        max_duration_s=12.0,
        read=read,
    )

    def mix(*fields):
        mixture = mixer(*fields)
        yield mixture.noisy
        yield mixture.speech

    dataset = DynamicItemDataset(
        utterances,
        dynamic_items=[
            {"func": mix, "takes": FIELDS, "provides": ["noisy", "clean"]}
        ],
        output_keys=["id", "noisy", "clean"],
    )
    loader = make_dataloader(
        dataset,
        batch_size=batch_size,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )
    return mixer, loader


def utterances_per_second(
    mixer: TrainingMixer, loader: torch.utils.data.DataLoader, repetitions: int
) -> float:
    """Times epochs after the first one, and takes the fastest."""
    least_s, count = float("inf"), 0
    for epoch in range(repetitions + 1):
        mixer.set_epoch(epoch)
        start = time.perf_counter()
        count = sum(len(batch.id) for batch in loader)
        if epoch:
            least_s = min(least_s, time.perf_counter() - start)
    return count / least_s


def print_rows(folder: Path, arguments: argparse.Namespace) -> None:
    """Measures every number of processes with every cache."""
    utterances = make_corpus(folder, arguments)
    caches = {"none": None, "folder": folder / "cache"}
    for num_workers in arguments.workers:
        plain = None
        for name, place in caches.items():
            mixer, loader = make_loader(
                folder,
                utterances,
                AudioCache(place),
                num_workers,
                arguments.batch_size,
            )
            speed = utterances_per_second(mixer, loader, arguments.repetitions)
            plain = plain or speed
            print(
                f"| {num_workers} | {name} | {speed:.1f} | "
                f"{speed * arguments.duration_s:.0f} | {speed / plain:.2f} |",
                flush=True,
            )


def main() -> None:
    """Parses the options and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--num_utterances", type=int, default=200)
    parser.add_argument("--duration_s", type=float, default=4.0)
    parser.add_argument("--sample_rate_hz", type=int, default=48000)
    parser.add_argument("--format", default="FLAC", help="of the files")
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{describe_device('cpu')} in every process, "
        f"{arguments.num_utterances} utterances of {arguments.duration_s} s, "
        f"{arguments.format} at {arguments.sample_rate_hz} Hz, batches of "
        f"{arguments.batch_size}, best of {arguments.repetitions} epochs\n"
    )
    print(
        "| processes | cache | utterances per s | s of audio per s | ratio |\n"
        "| --: | --- | --: | --: | --: |"
    )
    with tempfile.TemporaryDirectory() as folder:
        print_rows(Path(folder), arguments)


if __name__ == "__main__":
    main()
