"""The benchmarks run and print a table, at sizes that measure nothing."""

import subprocess
import sys

import pytest
from small_run import ROOT

SMALL = {
    "data_loading": ["--workers", "0", "--num_utterances", "4"],
    "inference": ["--corpus", "mini", "--durations_s", "1", "3"],
    "moe_layer": [
        *("--experts", "2", "--num_frames", "6", "9", "--num_layers", "2"),
        *("--input_size", "8", "--hidden_size", "16", "--output_size", "4"),
    ],
    "training_step": ["--corpus", "mini", "--duration_s", "0.5"],
    "wavlm_attention": ["--num_layers", "1", "--duration_s", "0.5"],
}
NUM_ROWS = {
    "data_loading": 3,
    "inference": 3,
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
