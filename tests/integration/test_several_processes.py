"""train.py under torchrun: two processes on one machine, without a GPU."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_run import ROOT, command, run

from speechbrain_merit.pretrained.weights import read_weights

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
# Each process has half of the batch of one.
TWO = {"launcher": TORCHRUN, "distributed_backend": "gloo", "batch_size": 4}
WITHOUT_DROPOUT = {"emotion_dropout": 0.0, "expert_dropout": 0.0}
# Of the training log, with or without an exponent.
NUMBER = re.compile(r": (-?\d+\.\d+(?:e[-+]\d+)?)")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data):
    """A run of two processes; its folder and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    result = run(folder, data, **TWO)
    assert result.returncode == 0, result.stdout[-3000:]
    return folder, result.stdout


def weights_of(folder):
    """The weights that a training gives to its users."""
    return read_weights(folder / "pretrained")


def test_the_whole_set_is_tested_once(finished):
    folder, printed = finished
    results = json.loads((folder / "results.json").read_text())
    assert [c["num_utterances"] for c in results["conditions"]] == [8, 8, 8]
    rows = (folder / "per_utterance.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 8
    assert len(re.findall(r"\| clean ", printed)) == 1
    assert len(re.findall(r"valid score", printed)) == 2


def test_one_process_finds_the_same_results(finished, tmp_path, data):
    shutil.copytree(finished[0], tmp_path / "copy")
    for name in ("results.json", "per_utterance.csv"):
        (tmp_path / "copy" / name).unlink()
    result = run(tmp_path / "copy", data, "--test_only", batch_size=4)
    assert result.returncode == 0, result.stdout[-3000:]
    for name in ("results.json", "per_utterance.csv"):
        expected = (finished[0] / name).read_text()
        assert (tmp_path / "copy" / name).read_text() == expected
    assert not list((tmp_path / "copy").glob("test_progress*"))


@pytest.mark.long
def test_two_processes_train_as_one(tmp_path, data):
    for name, options in (("one", {}), ("two", TWO)):
        result = run(tmp_path / name, data, **options, **WITHOUT_DROPOUT)
        assert result.returncode == 0, result.stdout[-3000:]
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    for name, value in one.items():
        # A hundredth of the way that weights go here, 5e-3 to 8e-3: AdamW
        # divides by the gradient's size, and so makes rounding larger.
        torch.testing.assert_close(
            two[name], value, rtol=0, atol=5e-5, msg=name
        )
    logs = [
        [float(text) for text in re.findall(NUMBER, log.read_text())]
        for log in (tmp_path / n / "train_log.txt" for n in ("one", "two"))
    ]
    assert logs[1] == pytest.approx(logs[0], rel=1e-2)


def process_of_rank(launcher, rank):
    """The process that torchrun has started for a rank."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children")
    for child in children.read_text().split():
        environment = Path(f"/proc/{child}/environ").read_bytes()
        if f"RANK={rank}".encode() in environment.split(b"\0"):
            return int(child)
    raise AssertionError(f"torchrun has no process of rank {rank}")


def has_checkpoint_within_epoch(folder):
    """Whether there is a whole checkpoint from within an epoch."""
    metas = (folder / "save").glob("CKPT*/CKPT.yaml")
    return any("intra" in meta.read_text() for meta in metas)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_job_which_resumes(
    finished, tmp_path, data, rank
):
    within = {"ckpt_interval_minutes": 0, "ckpt_interval_steps": 1}
    with open(tmp_path / "printed", "w") as printed:
        job = subprocess.Popen(
            command(tmp_path / "run", data, **TWO, **within),
            cwd=ROOT,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 300
    while not has_checkpoint_within_epoch(tmp_path / "run"):
        assert job.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process_of_rank(job.pid, rank), signal.SIGKILL)
    # torchrun ends the other process, and says which one died of what.
    assert job.wait(timeout=120) != 0
    message = (tmp_path / "printed").read_text()
    assert "train.py FAILED" in message
    assert re.search(rf"rank +: {rank} ", message)
    assert "SIGKILL" in message
    assert not (tmp_path / "run" / "results.json").exists()
    result = run(tmp_path / "run", data, **TWO, **within)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "Resuming after" in result.stdout
    expected, resumed = weights_of(finished[0]), weights_of(tmp_path / "run")
    for name, value in expected.items():
        assert torch.equal(resumed[name], value), name
    for name in ("results.json", "per_utterance.csv"):
        expected = (finished[0] / name).read_text()
        assert (tmp_path / "run" / name).read_text() == expected
