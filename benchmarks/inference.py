"""Real-time factor and peak memory of inference against duration.

Run from the top of the project; prints one table.
> python benchmarks/inference.py
> python benchmarks/inference.py --sources results/mini/sparse_merit/... \
>   --durations_s 10 60 600 3600
> python benchmarks/inference.py --device cuda:0 --durations_s 10 60 600 \
>   --batch_sizes 1 32

Files are processed in chunks, as `process_file` does by default, and in one
piece; batches of decoded utterances as `process_batch` does. Without a source,
or for the source `none`, the model has the paper's sizes, with an encoder of
WavLM-Large's configuration, and random weights. The real-time factor is the
time taken per second of audio, with files reading and writing included. GiB are the peak
beyond the model's weights.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
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


def load(
    source: str, corpus: str, device: str, precision: str
) -> JointEnhancementClassifier:
    """Loads a trained model, or makes one of random weights."""
    run_opts = {"device": device, "precision": precision}
    if source != "none":
        return JointEnhancementClassifier.from_hparams(
            source, run_opts=run_opts
        )
    torch.manual_seed(0)
    labels = CategoricalEncoder()
    labels.update_from_iterable(EMOTIONS)
    # Random weights are made there too, which takes a CPU many seconds.
    with torch.device(device):
        model = load_model("sparse_merit", corpus, None)
    return JointEnhancementClassifier(
        modules={"model": model},
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
    process: Callable[[], object], arguments: argparse.Namespace
) -> tuple[float, float]:
    """Gives seconds, the least of the repetitions, and GiB."""
    before = start_peak(arguments.device)
    least_s = float("inf")
    for _ in range(arguments.repetitions):
        start = time.perf_counter()
        process()
        synchronize(arguments.device)
        least_s = min(least_s, time.perf_counter() - start)
    return least_s, peak_gib(arguments.device) - before


def print_row(
    name: str,
    duration_s: float,
    batch_size: int,
    process: Callable[[], object],
    arguments: argparse.Namespace,
) -> None:
    """Measures one way of processing with one model."""
    seconds, memory_gib = measure(process, arguments)
    factor = seconds / (duration_s * batch_size)
    print(
        f"{name} | {duration_s:g} | {batch_size} | {seconds:.3f} | "
        f"{factor:.2e} | {memory_gib:.2f} |",
        flush=True,
    )


def print_file_rows(
    begin: str, model, folder: Path, arguments: argparse.Namespace
) -> None:
    """Measures every duration, in chunks and in one piece."""
    for duration_s in arguments.durations_s:
        path = write_noise(folder, duration_s)
        ways = {"chunks": (arguments.chunk_s, arguments.overlap_s)}
        if arguments.chunk_s < duration_s <= arguments.max_whole_s:
            ways["one piece"] = (duration_s, 0.0)
        for name, (chunk_s, overlap_s) in ways.items():
            process = functools.partial(
                model.process_file,
                path,
                path.with_suffix(".flac"),
                chunk_s=chunk_s,
                overlap_s=overlap_s,
                return_enhanced=False,
            )
            name = f"{begin} | file, {name}"
            print_row(name, duration_s, 1, process, arguments)


def print_batch_rows(begin: str, model, arguments: argparse.Namespace) -> None:
    """Measures batches of utterances that are decoded already."""
    duration_s = arguments.batch_duration_s
    for batch_size in arguments.batch_sizes:
        batch = torch.randn(batch_size, round(duration_s * SAMPLE_RATE_HZ))
        process = functools.partial(model.process_batch, 0.1 * batch)
        process()  # Once uncounted: a new size is prepared for.
        name = f"{begin} | batch"
        print_row(name, duration_s, batch_size, process, arguments)


def main() -> None:
    """Parses the options and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sources", nargs="+", default=["none"])
    parser.add_argument(
        "--corpus", default="none", help="whose sizes; none: the paper's"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["fp32"],
        choices=["fp32", "fp16", "bf16"],
    )
    parser.add_argument(
        "--durations_s", type=float, nargs="+", default=[5.0, 20.0, 40.0]
    )
    parser.add_argument("--chunk_s", type=float, default=20.0)
    parser.add_argument("--overlap_s", type=float, default=2.0)
    parser.add_argument("--max_whole_s", type=float, default=60.0)
    parser.add_argument("--batch_sizes", type=int, nargs="*", default=[])
    parser.add_argument("--batch_duration_s", type=float, default=10.0)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument(
        "--num_threads", type=int, default=torch.get_num_threads()
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    print(
        f"{describe_device(arguments.device)}, sizes of {arguments.corpus} "
        f"where there is no source, chunks of {arguments.chunk_s} s that "
        f"overlap by {arguments.overlap_s} s, least of "
        f"{arguments.repetitions}\n"
    )
    print(
        "| source | precision | way | duration, s | batch | s | "
        "real-time factor | GiB |\n"
        "| --- | --- | --- | --: | --: | --: | --: | --: |"
    )
    with tempfile.TemporaryDirectory() as folder:
        for source in arguments.sources:
            for precision in arguments.precisions:
                model = load(
                    source, arguments.corpus, arguments.device, precision
                )
                # Once uncounted: libraries load, and allocate, at first.
                model.process_batch(torch.randn(1, SAMPLE_RATE_HZ))
                begin = f"| {source} | {precision}"
                print_batch_rows(begin, model, arguments)
                print_file_rows(begin, model, Path(folder), arguments)


if __name__ == "__main__":
    main()
