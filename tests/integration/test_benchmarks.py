"""The benchmarks run and print a table, at sizes that measure nothing."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from small_run import ROOT

SMALL = {
    "data_loading": ["--workers", "0", "--num_utterances", "4"],
    "inference": [
        *("--corpus", "mini", "--durations_s", "1", "3"),
        *("--batch_sizes", "1", "2", "--batch_duration_s", "1"),
    ],
    "moe_layer": [
        *("--experts", "2", "--num_frames", "6", "9", "--num_layers", "2"),
        *("--input_size", "8", "--hidden_size", "16", "--output_size", "4"),
    ],
    "training_step": ["--corpus", "mini", "--duration_s", "0.5"],
    "wavlm_attention": ["--num_layers", "1", "--duration_s", "0.5"],
}
NUM_ROWS = {
    "data_loading": 3,
    "inference": 5,
    "moe_layer": 8,
    "training_step": 3,
    "wavlm_attention": 4,
}


@pytest.mark.long
@pytest.mark.parametrize("name", SMALL)
def test_a_table_is_printed(name):
    options = SMALL[name]
    if name != "inference":
        options = [*options, "--repetitions", "1"]
    else:
        options = [*options, "--chunk_s", "2", "--overlap_s", "0.5"]
    result = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", *options],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    table = [line for line in result.stdout.splitlines() if line[:1] == "|"]
    assert len(table) == 2 + NUM_ROWS[name]
    assert len({line.count("|") for line in table}) == 1


@pytest.mark.long
def test_peers_are_scored_where_their_delay_ends(tmp_path):
    random = np.random.default_rng(0)
    clean = 0.1 * random.standard_normal(16000)
    noisy = clean + 0.1 * random.standard_normal(16000)
    late = np.pad(clean, (320, 0))[:16000]
    for name, samples in (("clean", clean), ("noisy", noisy), ("late", late)):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", samples, 16000)
    result = subprocess.run(
        [
            *(sys.executable, "benchmarks/peers.py", str(tmp_path)),
            *("--models", "--peers", "--outputs", f"late={tmp_path / 'late'}"),
        ],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    noisy, late = (
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in result.stdout.splitlines()[-2:]
    )
    assert (noisy[2], noisy[7]) == ("noisy", "0.0")
    assert float(noisy[6]) == pytest.approx(0.0, abs=0.3)
    # 320 samples; what the file lost at its end is all that is wrong.
    assert (late[2], late[7]) == ("late", "20.0")
    assert float(late[6]) > 15


def gpu_check(*options):
    return subprocess.run(
        ["bash", "benchmarks/gpu_check.sh", *options],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )


# Every change runs it as well, by .ci/run: as many imports as trainings.
@pytest.mark.long
def test_the_check_of_a_gpu_runs_on_a_cpu(tmp_path):
    result = gpu_check("--device", "cpu", "--small", str(tmp_path))
    assert result.returncode == 0, result.stdout[-3000:]
    names = {"gpu_check.md", "gpu_check.json", "gpu_check.log"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert (tmp_path / "gpu_check.md").read_text() == result.stdout
    check = json.loads((tmp_path / "gpu_check.json").read_text())
    tests, agreement, step, inference, experts = (
        section["rows"] for title, section in list(check.items())[1:]
    )
    assert [row["failed"] for row in tests] == [0]
    # The device is the CPU itself.
    assert all(
        row["error of the logits"] == row["error of the spectrum"] == 0
        for row in agreement
        if row["precision"] == "fp32"
    )
    assert [row["steps"] for row in step] == [2, 4, 2]
    assert {row["finite"] for row in step} == {"yes"}
    assert {row["way"] for row in inference} >= {"batch", "file, chunks"}
    assert len(experts) == 4


@pytest.mark.long
def test_a_part_that_fails_is_not_the_end(tmp_path):
    result = gpu_check("--device", "nonsense", "--small", str(tmp_path))
    assert result.returncode == 1
    assert result.stdout.count("Exit status 1 ") == 5


@pytest.mark.parametrize("options", [[], ["--device"], ["--fast", "folder"]])
def test_wrong_options_are_refused(options):
    result = gpu_check(*options)
    assert result.returncode == 2
    assert "[--device cuda:0] [--small] FOLDER" in result.stderr
