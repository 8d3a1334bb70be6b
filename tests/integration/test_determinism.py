"""The same seed gives the same end, for any number of loader processes."""

import json

import pytest
import torch
from small_run import run


def train(folder, data, num_workers):
    result = run(folder, data, number_of_epochs=1, num_workers=num_workers)
    assert result.returncode == 0, result.stdout[-3000:]
    weights = torch.load(folder / "pretrained" / "model.ckpt")
    results = json.loads((folder / "results.json").read_text())
    plan = (folder / "manifests" / "mixtures_test.json").read_text()
    return weights, results, plan


@pytest.fixture(scope="module")
def alone(tmp_path_factory, data):
    """A run that loads in its own process."""
    return train(tmp_path_factory.mktemp("alone"), data, 0)


@pytest.mark.parametrize(
    "num_workers",
    [2, pytest.param(1, marks=pytest.mark.long)],
)
def test_loader_processes_change_nothing(alone, tmp_path, data, num_workers):
    weights, results, plan = train(tmp_path, data, num_workers)
    assert plan == alone[2]
    assert weights.keys() == alone[0].keys()
    for name, value in alone[0].items():
        assert torch.equal(weights[name], value), name
    assert results == alone[1]
