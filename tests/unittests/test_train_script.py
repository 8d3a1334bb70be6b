"""Steps of an epoch, and batches from all over a dataset."""

import json
import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from speechbrain_merit.config import TrainingRecord
from speechbrain_merit.data.batches import count_optimizer_steps, spread_batches
from speechbrain_merit.data.mixing import NoiseSource

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def train():
    """What train.py defines."""
    found = runpy.run_path(str(ROOT / "train.py"), run_name="train")
    return SimpleNamespace(**found)


def test_manifests_of_refused_data_stay_as_they_were(train, tmp_path):
    hparams = {"manifest_folder": tmp_path}
    names = ("train", "valid", "noise_train", "noise_valid", "mixtures_test")
    for name in names:
        (tmp_path / f"{name}.json").write_text("{}")
    train.check_data(hparams, TrainingRecord(tmp_path), {})
    (tmp_path / "CKPT+1").mkdir()
    before = {p: p.read_bytes() for p in tmp_path.glob("*.json")}
    for name in names:
        (tmp_path / f"{name}.json").write_text('{"a": 1}')
    with pytest.raises(ValueError, match=r"(?s)data:\n- noise_train.json was"):
        train.check_data(hparams, TrainingRecord(tmp_path), before)
    assert {p: p.read_bytes() for p in before} == before


def test_a_test_reads_its_speech_and_its_noise(train, tmp_path):
    noise = {"wav": "{noise_root}/n.wav", "duration_s": 1, "noise_type": "x"}
    for split in ("seen", "unseen"):
        text = json.dumps({"n": {**noise, "wav": f"{{noise_root}}/{split}"}})
        (tmp_path / f"noise_{split}.json").write_text(text)
    hparams = {
        "manifest_folder": tmp_path,
        "noises": lambda manifest: NoiseSource(manifest, "/noise", 16000),
    }
    clean = {"wav": "a.wav", "noisy_wav": None, "noise": None}
    plan = {
        "a_clean": clean,
        "a_given": {**clean, "noisy_wav": "given.wav"},
        "a_seen": {**clean, "noise": "n", "condition": "seen"},
        "a_unseen": {**clean, "noise": "n", "condition": "unseen"},
    }
    assert set(train.test_files(hparams, plan)) == {
        *("a.wav", "given.wav", "/noise/seen", "/noise/unseen")
    }


@pytest.mark.parametrize(
    ("utterances", "batch_size", "factor", "processes", "steps"),
    [
        (448, 16, 1, 1, 28),
        (100, 4, 8, 1, 3),  # 25 batches: the last one is left over
        (500, 32, 12, 1, 1),
        (448, 16, 1, 4, 7),
        (1, 16, 1, 1, 1),
    ],
)
def test_optimizer_steps(utterances, batch_size, factor, processes, steps):
    shared = math.ceil(utterances / processes)
    batches = math.ceil(shared / batch_size)
    assert count_optimizer_steps(1, batches, factor) == steps
    assert count_optimizer_steps(12, batches, factor) == 12 * steps


def test_no_step_at_all_is_refused():
    with pytest.raises(ValueError, match="28 batches of a process make no"):
        count_optimizer_steps(12, 28, 32)


@pytest.mark.parametrize(
    ("num_utterances", "ids"),
    [(3, ["u0", "u3", "u6"]), (0, []), (99, [f"u{i}" for i in range(10)])],
)
def test_spread_batches(num_utterances, ids):
    dataset = [{"id": f"u{i}", "x": torch.zeros(i + 1)} for i in range(10)]
    batches = spread_batches(dataset, num_utterances, batch_size=2)
    assert [name for batch in batches for name in batch.id] == ids
