"""Manifests and labels that are incomplete, wrong or empty."""

import json

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    UTTERANCE_KEYS,
    load_utterances,
    read_manifest,
    write_manifest,
)
from speechbrain_merit.data.mixing import NoiseSource, plan_mixtures
from speechbrain_merit.losses.task_losses import (
    NO_LABEL,
    class_weights,
    emotion_loss,
)
from speechbrain_merit.metrics import EmotionStats

RATE = 16000
FIELDS = {
    "wav": "{data_root}/a.wav",
    "start_s": 0.0,
    "duration_s": 1.0,
    "emotion": "sad",
    "speaker": "s1",
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read: JSONDecodeError"),
        ('{"a": {', "cannot be read: JSONDecodeError"),
        ("[" * 10**5, "cannot be read: RecursionError"),
        ("\udcff", "cannot be read: UnicodeDecodeError"),
        ('{"a": {}, "b": {}, "a": {}}', "a occurs more than once"),
        ("[1, 2]", "must map the identity of every item"),
        ('{"a": "a.wav"}', "must map the identity of every item"),
    ],
)
def test_files_that_are_no_manifests(tmp_path, text, message):
    path = tmp_path / "train.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=f"train.json .*{message}"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wav": None}, None),
        ({"duration_s": 0.0}, "duration_s 0.0, which must be"),
        ({"duration_s": -1}, "duration_s -1"),
        ({"duration_s": "1"}, "duration_s '1'"),
        ({"duration_s": float("nan")}, "duration_s nan"),
        ({"start_s": -0.5}, "start_s -0.5"),
        ({"start_s": None}, "start_s None"),
        ({"start_s": True}, "start_s True"),
        ({"wav": ["a.wav"]}, r"wav \['a.wav'\], which must be a text"),
        ({"speaker": 3}, "speaker 3"),
        ({"emotion": {}}, "emotion {}"),
        ({"noisy_wav": 1}, "noisy_wav 1"),
    ],
)
def test_utterances_that_cannot_be(tmp_path, change, message):
    path = tmp_path / "train.json"
    fields = {**FIELDS, **change}
    if message is None:
        del fields["wav"]
        message = "has no wav"
    path.write_text(json.dumps({"u1": fields}))
    with pytest.raises(ValueError, match=f"train.json: item u1 .*{message}"):
        load_utterances(path, "speech")


def test_an_empty_split(tmp_path):
    path = tmp_path / "train.json"
    with pytest.raises(ValueError, match="train.json would be empty"):
        write_manifest(path, {}, UTTERANCE_KEYS)
    path.write_text("{}")
    with pytest.raises(ValueError, match="train.json holds no utterance"):
        load_utterances(path, "speech")


def test_one_recording_may_be_several_utterances_with_odd_names(tmp_path):
    path = tmp_path / "train.json"
    name = "{data_root}/Stimme {0} ß 日本.wav"
    fields = {**FIELDS, "wav": name, "emotion": "{sad}"}
    write_manifest(path, {"a": fields, "b": fields}, UTTERANCE_KEYS)
    found = load_utterances(path, "speech")
    assert found["a"] == found["b"]
    assert found["a"]["wav"] == "speech/Stimme {0} ß 日本.wav"
    assert found["a"]["emotion"] == "{sad}"


def test_noise_without_its_fields(tmp_path):
    path = tmp_path / "noise.json"
    path.write_text('{"rain": {"wav": "rain.wav", "duration_s": 1.0}}')
    with pytest.raises(ValueError, match="item rain has no noise_type"):
        NoiseSource(path, "noise", RATE)


def test_no_snr_plans_clean_speech_alone(tmp_path):
    soundfile.write(tmp_path / "n.wav", np.ones(RATE) * 0.1, RATE)
    noise = {"wav": "{noise_root}/n.wav", "duration_s": 1.0, "noise_type": "x"}
    write_manifest(tmp_path / "noise.json", {"n": noise}, NOISE_KEYS)
    write_manifest(tmp_path / "test.json", {"a": FIELDS}, UTTERANCE_KEYS)
    source = NoiseSource(tmp_path / "noise.json", str(tmp_path), RATE)
    plan = tmp_path / "plan.json"
    plan_mixtures(
        plan, tmp_path / "test.json", {"seen": source}, [], 1, max_duration_s=9
    )
    assert list(read_manifest(plan)) == ["a_clean"]


# Labels


def test_a_class_that_training_lacks_weighs_nothing():
    weights = class_weights(["sad", "sad", None], ["angry", "sad"])
    assert weights == [0.0, 0.5]
    logits = torch.zeros(2, 2, requires_grad=True)
    absent = torch.tensor([0, NO_LABEL])
    # In a development batch of that class alone.
    loss = emotion_loss(logits, absent, torch.tensor(weights))
    assert loss.item() == 0
    loss.backward()
    assert not logits.grad.any()
    mixed = emotion_loss(logits, torch.tensor([0, 1]), torch.tensor(weights))
    assert mixed.item() == pytest.approx(np.log(2), abs=1e-6)


def test_a_class_that_the_test_lacks_does_not_count():
    stats = EmotionStats(["angry", "sad", "happy"])
    posteriors = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]).log()
    stats.append(["a", "b"], posteriors, torch.tensor([0, 1]))
    assert stats.summarize("uar") == stats.summarize("f1_macro") == 1.0
