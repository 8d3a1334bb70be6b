"""Time of the mask estimator's LSTM: packed sequences against reversal.

Prints the seconds of a forward and backward pass of `torch.nn.LSTM` on packed
sequences and of this project's `BidirectionalLSTM`, which computes the same.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import time
from collections.abc import Callable

import torch

from speechbrain_merit.lobes import BidirectionalLSTM


def seconds_per_step(step: Callable[[], torch.Tensor], repeats: int) -> float:
    """Times a forward and backward pass, after one that is not counted.

    Arguments
    ---------
    step : callable
        Computes a result.
    repeats : int
        Number of timed passes.

    Returns
    -------
    float
        The fastest pass, in seconds.
    """
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        step().sum().backward()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main() -> None:
    """Parses the sizes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--num_frames", type=int, default=200)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    size = options.size
    inputs = torch.randn(options.batch_size, options.num_frames, size)
    counts = torch.linspace(
        options.num_frames / 2, options.num_frames, options.batch_size
    ).long()
    packing = torch.nn.LSTM(size, size, 2, batch_first=True, bidirectional=True)
    reversing = BidirectionalLSTM(size, size, 2)

    def packed() -> torch.Tensor:
        sequences = torch.nn.utils.rnn.pack_padded_sequence(
            inputs, counts, batch_first=True, enforce_sorted=False
        )
        return packing(sequences)[0].data

    rows = {
        "torch.nn.LSTM, packed": packed,
        "BidirectionalLSTM": lambda: reversing(inputs, counts),
    }
    print(
        f"cpu, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"batch {options.batch_size}, {options.num_frames} frames, "
        f"2 layers of {size}"
    )
    print("| LSTM | s per step | ratio |\n|---|---:|---:|")
    slowest = None
    for name, step in rows.items():
        seconds = seconds_per_step(step, options.repeats)
        slowest = slowest or seconds
        print(f"| {name} | {seconds:.3f} | {slowest / seconds:.2f} |")


if __name__ == "__main__":
    main()
