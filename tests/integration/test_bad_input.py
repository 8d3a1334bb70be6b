"""A training that meets a broken file, and one that is told nonsense."""

from pathlib import Path

import pytest
import torch
from small_run import run

from speechbrain_merit.data.manifests import load_utterances
from speechbrain_merit.pretrained.weights import read_weights


def test_nonsense_is_refused_before_any_work(tmp_path, data):
    result = run(tmp_path / "run", data, top_k=4, bath_size=2)
    assert result.returncode != 0
    assert "bath_size is no key of sparse_merit.yaml. Did you" in result.stdout
    assert not (tmp_path / "run").exists()


# In their order, so that something is done before the broken one.
OPTIONS = {
    "batch_size": 4,
    "number_of_epochs": 1,
    "train_dataloader_opts": "{shuffle: False}",
}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run that meets nothing bad; its folder and that of its corpus."""
    folder = tmp_path_factory.mktemp("straight")
    data = tmp_path_factory.mktemp("corpus")
    result = run(folder, data, **OPTIONS)
    assert result.returncode == 0, result.stdout[-3000:]
    return folder, data


@pytest.mark.long
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_mended_file_leads_to_the_same_end(straight, tmp_path, split):
    folder, data = straight
    manifests = folder / "manifests"
    items = load_utterances(manifests / f"{split}.json", data)
    name, fields = list(items.items())[len(items) // 2]
    path = Path(fields["wav"])
    sound = path.read_bytes()
    options = {**OPTIONS, "skip_prep": "True", "manifest_folder": manifests}
    path.write_bytes(b"no sound")
    broken = run(tmp_path, data, **options)
    path.write_bytes(sound)
    assert broken.returncode != 0
    assert name in broken.stdout
    assert "cannot be read as audio" in broken.stdout
    mended = run(tmp_path, data, **options)
    assert mended.returncode == 0, mended.stdout[-3000:]
    assert "Resuming" in mended.stdout
    expected = read_weights(folder / "pretrained")
    found = read_weights(tmp_path / "pretrained")
    for key, value in expected.items():
        assert torch.equal(found[key], value), key
    results = (folder / "results.json").read_text()
    assert (tmp_path / "results.json").read_text() == results
