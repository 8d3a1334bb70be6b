"""train.py with what makes it faster: the same results, or finite ones."""

import json
import re

import pytest
import torch
import yaml
from small_run import run

from speechbrain_merit.pretrained.weights import read_weights

ONE_EPOCH = {"number_of_epochs": 1}


def weights(folder):
    return read_weights(folder / "pretrained")


@pytest.mark.long
def test_workers_and_caches_change_nothing(tmp_path, data):
    """An encoder at rest, whose hidden states and audio are kept."""
    frozen = {"freeze_encoder": "all", "number_of_epochs": 2}
    caches = {
        "num_workers": 1,
        "audio_cache_folder": tmp_path / "cache",
    }
    for name, options in (("plain", {}), ("cached", caches)):
        result = run(tmp_path / name, data, **frozen, **options)
        assert result.returncode == 0, result.stdout[-3000:]
    expected, found = weights(tmp_path / "plain"), weights(tmp_path / "cached")
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    first, second = (
        json.loads((tmp_path / name / "results.json").read_text())
        for name in ("plain", "cached")
    )
    assert first == second
    assert list((tmp_path / "cache").rglob("*.npy"))


@pytest.mark.long
def test_dynamic_batches_in_bf16_with_checkpoints(tmp_path, data):
    result = run(
        tmp_path,
        data,
        precision="bf16",
        eval_precision="bf16",
        dynamic_batching="True",
        max_batch_duration_s=15,
        num_length_buckets=2,
        checkpoint_activations="True",
        **ONE_EPOCH,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    assert "--precision=bf16" in result.stdout
    losses = re.findall(r"(?:loss|enhance|emotion): ([-\d.e]+)", result.stdout)
    assert losses and all(0 < float(loss) < 10 for loss in losses)
    results = json.loads((tmp_path / "results.json").read_text())
    assert all(0 <= c["ser"]["f1_macro"] <= 1 for c in results["conditions"])


@pytest.mark.long
def test_dynamic_batches_in_two_processes(tmp_path, data):
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node=2")
    result = run(
        tmp_path,
        data,
        launcher=launcher,
        distributed_backend="gloo",
        dynamic_batching="True",
        max_batch_duration_s=15,
        num_length_buckets=2,
        **ONE_EPOCH,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    (checkpoint,) = (tmp_path / "save").glob("CKPT*")
    meta = yaml.safe_load((checkpoint / "CKPT.yaml").read_text())
    assert meta["epoch"] == 1
