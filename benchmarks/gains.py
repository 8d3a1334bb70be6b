"""Labels and enhanced speech of recordings that are louder or fainter.

Run from the top of the project; prints one table.
> python benchmarks/gains.py pairs --gains_db -40 20
> python benchmarks/gains.py pairs --ways ONNX --onnx model.onnx

`pairs` holds two folders, `noisy` and `clean`, with files of equal names. Every
noisy file is multiplied by the gain and written as WAV with floats, or with 16
bits, which round what is faint; then it is processed as a file, as a stream of
blocks of 0.1 s, or by what `speechbrain-merit export-onnx` wrote. Each way is
compared with itself at 0 dB, and 16 bits with floats at 0 dB.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from peers import SAMPLE_RATE_HZ, find_pairs
from timing import describe_device

from speechbrain_merit import load
from speechbrain_merit.data.audio import read_mono
from speechbrain_merit.inference import NO_SPEECH, JointEnhancementClassifier
from speechbrain_merit.metrics.enhancement import si_sdr_db

BLOCK = SAMPLE_RATE_HZ // 10
# Gives the enhanced speech, `[time]`, and the label of a file.
Way = Callable[[Path], tuple[torch.Tensor, str]]


def ways_of(model: JointEnhancementClassifier, onnx: Path | None) -> dict:
    """All ways, by their names."""

    def process(path: Path) -> tuple[torch.Tensor, str]:
        result = model.process_file(path)
        return result.enhanced[0].cpu(), result.labels[0]

    def stream(path: Path) -> tuple[torch.Tensor, str]:
        running = model.stream()
        samples = read_mono(str(path), SAMPLE_RATE_HZ)
        enhanced = torch.cat([*running.run(samples.split(BLOCK))])
        label = model.emotions[int(running.log_posteriors.argmax())]
        segments = running.timeline.segments()
        if not any(segment.speech_s for segment in segments):
            label = NO_SPEECH
        return enhanced, label

    ways: dict[str, Way] = {"process": process, "stream": stream}
    if onnx is not None:
        # Only this needs it.
        import onnxruntime

        session = onnxruntime.InferenceSession(str(onnx))

        def run_onnx(path: Path) -> tuple[torch.Tensor, str]:
            samples = read_mono(str(path), SAMPLE_RATE_HZ).numpy()
            outputs = session.run(None, {"waveform": samples[None]})
            label = model.emotions[int(outputs[1].argmax())]
            return torch.from_numpy(outputs[0][0]), label

        ways["ONNX"] = run_onnx
    return ways


def compare(
    way: Way,
    pairs: list[tuple[Path, Path]],
    gains_db: list[float],
    folder: Path,
) -> list[list[str]]:
    """Rows of the table for one way: gain, depth, labels, SI-SDR."""
    path = folder / "louder.wav"
    subtypes = ["FLOAT", "PCM_16"] if way.__name__ == "process" else ["FLOAT"]
    cases = [(gain, kind) for kind in subtypes for gain in gains_db]
    same = dict.fromkeys(cases, 0)
    differences = {case: [0.0] for case in cases}
    for noisy_path, clean_path in pairs:
        noisy = read_mono(str(noisy_path), SAMPLE_RATE_HZ)
        clean = read_mono(str(clean_path), SAMPLE_RATE_HZ)
        soundfile.write(path, noisy.numpy(), SAMPLE_RATE_HZ, "FLOAT")
        expected, label = way(path)
        reference_db = si_sdr_db(expected, clean)
        for gain_db, kind in cases:
            # Louder than full scale, 16 bits clip what is not to be measured.
            if kind == "PCM_16" and gain_db > 0:
                continue
            gained = 10 ** (gain_db / 20) * noisy.numpy()
            soundfile.write(path, gained, SAMPLE_RATE_HZ, kind)
            enhanced, found = way(path)
            same[gain_db, kind] += found == label
            difference = abs(si_sdr_db(enhanced, clean) - reference_db)
            differences[gain_db, kind].append(float(difference))
    return [
        [
            f"{gain_db:+g}",
            "floats" if kind == "FLOAT" else "16 bits",
            f"{same[gain_db, kind]} of {len(pairs)}",
            f"{np.percentile(differences[gain_db, kind], 99):.4f}",
            f"{max(differences[gain_db, kind]):.4f}",
        ]
        for gain_db, kind in cases
        if len(differences[gain_db, kind]) > 1
    ]


def main() -> None:
    """Parses the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--model", default="merit-base")
    parser.add_argument("--gains_db", type=float, nargs="+", default=[-40, 20])
    parser.add_argument("--ways", nargs="+", default=["process", "stream"])
    parser.add_argument("--onnx", type=Path, help="the model as ONNX")
    parser.add_argument("--num_files", type=int, help="all by default")
    parser.add_argument("--num_threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    ways = ways_of(load(arguments.model, device="cpu"), arguments.onnx)
    pairs = find_pairs(arguments.pairs, arguments.num_files)
    print(describe_device("cpu"), flush=True)
    print(
        "\n| way | gain, dB | WAV of | same label | SI-SDR differs by, dB: 99 % "
        "below | at most |\n| --- | --: | --- | --: | --: | --: |"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.ways:
            rows = compare(ways[name], pairs, arguments.gains_db, Path(folder))
            for row in rows:
                print("|", " | ".join([name, *row]), "|", flush=True)


if __name__ == "__main__":
    main()
