"""Real-time factor and peak memory of inference against duration.

Run from the top of the project; prints one table.
> python benchmarks/inference.py
> python benchmarks/inference.py --source results/mini/sparse_merit/... \
>   --durations_s 10 60 600 3600
> python benchmarks/inference.py --device cuda:0 --durations_s 10 60 600

Files are processed in chunks, as `process_file` does by default, and in one
piece. Without a source, the model has the paper's sizes, with an encoder of
WavLM-Large's configuration, and random weights. The real-time factor is the
time taken per second of audio, reading and writing included. GiB are the peak
beyond the model's weights.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import tempfile
import time
from pathlib import Path

import soundfile
import torch
from memory import peak_gib, start_peak
from system_costs import load_model
from timing import describe_device, synchronize

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_merit.inference import JointEnhancementClassifier

SAMPLE_RATE_HZ = 16000
EMOTIONS = ("angry", "sad", "happy", "neutral")


def load(arguments: argparse.Namespace) -> JointEnhancementClassifier:
    """Loads a trained model, or makes one of random weights."""
    run_opts = {"device": arguments.device}
    if arguments.source is not None:
        return JointEnhancementClassifier.from_hparams(
            arguments.source, run_opts=run_opts
        )
    torch.manual_seed(0)
    labels = CategoricalEncoder()
    labels.update_from_iterable(EMOTIONS)
    return JointEnhancementClassifier(
        modules={"model": load_model("sparse_merit", arguments.corpus, None)},
        hparams={"label_encoder": labels, "sample_rate_hz": SAMPLE_RATE_HZ},
        run_opts=run_opts,
    )


def write_noise(folder: Path, duration_s: float) -> Path:
    """Writes a file of noise of any length, block by block."""
    generator = torch.Generator().manual_seed(0)
    path = folder / f"{duration_s:g}.wav"
    missing = round(duration_s * SAMPLE_RATE_HZ)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1) as file:
        while missing > 0:
            block = torch.randn(min(missing, 160000), generator=generator)
            file.write(0.1 * block.numpy())
            missing -= len(block)
    return path


def measure(
    model: JointEnhancementClassifier,
    path: Path,
    chunk_s: float,
    overlap_s: float,
    arguments: argparse.Namespace,
) -> tuple[float, float]:
    """Gives seconds, the least of the repetitions, and GiB."""
    before = start_peak(arguments.device)
    least_s = float("inf")
    for _ in range(arguments.repetitions):
        start = time.perf_counter()
        model.process_file(
            path,
            path.with_suffix(".flac"),
            chunk_s=chunk_s,
            overlap_s=overlap_s,
            return_enhanced=False,
        )
        synchronize(arguments.device)
        least_s = min(least_s, time.perf_counter() - start)
    return least_s, peak_gib(arguments.device) - before


def print_rows(model, folder: Path, arguments: argparse.Namespace) -> None:
    """Measures every duration, in chunks and in one piece."""
    for duration_s in arguments.durations_s:
        path = write_noise(folder, duration_s)
        ways = {"chunks": (arguments.chunk_s, arguments.overlap_s)}
        if arguments.chunk_s < duration_s <= arguments.max_whole_s:
            ways["one piece"] = (duration_s, 0.0)
        for name, chunk in ways.items():
            seconds, memory_gib = measure(model, path, *chunk, arguments)
            print(
                f"| {duration_s:g} | {name} | {seconds:.2f} | "
                f"{seconds / duration_s:.3f} | {memory_gib:.2f} |",
                flush=True,
            )


def main() -> None:
    """Parses the options and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", default=None)
    parser.add_argument(
        "--corpus", default="none", help="whose sizes; none: the paper's"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--durations_s", type=float, nargs="+", default=[5.0, 20.0, 40.0]
    )
    parser.add_argument("--chunk_s", type=float, default=20.0)
    parser.add_argument("--overlap_s", type=float, default=2.0)
    parser.add_argument("--max_whole_s", type=float, default=60.0)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument(
        "--num_threads", type=int, default=torch.get_num_threads()
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    model = load(arguments)
    # Once uncounted: libraries load, and allocate, at their first use.
    model.process_batch(torch.randn(1, SAMPLE_RATE_HZ))
    name = arguments.source or f"sizes of {arguments.corpus}"
    print(
        f"{describe_device(arguments.device)}, {name}, chunks of "
        f"{arguments.chunk_s} "
        f"s that overlap by {arguments.overlap_s} s, least of "
        f"{arguments.repetitions}\n"
    )
    print(
        "| duration, s | way | s | real-time factor | GiB |\n"
        "| --: | --- | --: | --: | --: |"
    )
    with tempfile.TemporaryDirectory() as folder:
        print_rows(model, Path(folder), arguments)


if __name__ == "__main__":
    main()
