"""train.py as its users run it, on the embedded corpus made small."""

import json
import re

import pytest
import soundfile
import torch
import yaml
from small_run import run

from speechbrain_merit.data.audio import read_mono, resample
from speechbrain_merit.data.manifests import read_manifest
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.pretrained.weights import read_weights


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data):
    """A run from start to end; its folder and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    result = run(folder, data, draw=True)
    assert result.returncode == 0, result.stdout[-3000:]
    return folder, result.stdout


def test_results_are_written_and_printed(finished):
    folder, printed = finished
    results = json.loads((folder / "results.json").read_text())
    assert results["system"] == "sparse_merit"
    assert (results["corpus"], results["fold"]) == ("mini", 0)
    found = [(c["noise"], c["snr_db"]) for c in results["conditions"]]
    assert found == [("clean", None), ("seen", -5), ("unseen", -5)]
    for condition in results["conditions"]:
        assert condition["num_utterances"] == 8
        assert 0 <= condition["ser"]["f1_macro"] <= 1
        assert condition["se"].keys() == condition["noisy"].keys()
    for shares in results["routing"].values():
        assert sum(shares) == pytest.approx(1)
    table = (folder / "results.md").read_text().splitlines()[2]
    assert table in printed
    assert (folder / "confusion_seen_-5dB.png").stat().st_size > 0
    rows = (folder / "per_utterance.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 8


def test_the_development_set_selects_the_checkpoint(finished):
    folder, printed = finished
    scores = re.findall(r"valid score: ([-\d.e]+)", printed)
    assert len(scores) == 2
    checkpoints = {
        yaml.safe_load((path / "CKPT.yaml").read_text())["epoch"]: path
        for path in (folder / "save").glob("CKPT*")
    }
    best = checkpoints[1 + scores.index(max(scores, key=float))]
    expected = torch.load(best / "model.ckpt")
    used = read_weights(folder / "pretrained")
    results = json.loads((folder / "results.json").read_text())
    temperature = results["calibration"]["temperature"]
    for name, value in expected.items():
        if name.startswith("emotion_head.output"):
            value = value / temperature
        assert torch.equal(used[name], value), name


def test_the_result_can_be_used(finished, data, tmp_path):
    folder, _ = finished
    model = JointEnhancementClassifier.from_hparams(
        str(folder / "pretrained"),
        savedir=str(tmp_path / "model"),
        run_opts={"device": "cpu"},
    )
    spoken = sorted(data.rglob("*.wav"))[0]
    samples = resample(read_mono(str(spoken), 16000)[:16000], 16000, 44100)
    stereo = torch.stack([samples, 0.5 * samples], dim=1).numpy()
    soundfile.write(tmp_path / "noisy.wav", 0.3 * stereo, 44100)
    before = set(tmp_path.rglob("*"))
    result = model.process_file(
        str(tmp_path / "noisy.wav"), str(tmp_path / "out" / "clean.wav")
    )
    assert set(tmp_path.rglob("*")) - before == {
        tmp_path / "out",
        tmp_path / "out" / "clean.wav",
    }
    written, rate = soundfile.read(tmp_path / "out" / "clean.wav")
    assert (len(written), rate) == (16000, 16000)
    assert result.emotions == ["angry", "sad", "happy", "neutral"]
    assert result.labels[0] in result.emotions
    total = result.log_posteriors.exp().sum().item()
    assert total == pytest.approx(1, abs=1e-5)
    posteriors, _, index, label = model.classify_file(
        str(tmp_path / "noisy.wav")
    )
    torch.testing.assert_close(posteriors, result.log_posteriors)
    assert [result.emotions[int(index)]] == label


def test_the_same_command_only_tests_again(finished, data):
    folder, _ = finished
    before = json.loads((folder / "results.json").read_text())
    result = run(folder, data)
    assert result.returncode == 0
    assert "Going into epoch" not in result.stdout
    assert json.loads((folder / "results.json").read_text()) == before


def test_another_training_in_the_same_folder_is_refused(finished, data):
    folder, _ = finished
    kept = ("hyperparams.yaml", "results.json", "save/begun_with.json")
    before = [(folder / name).read_bytes() for name in kept]
    result = run(folder, data, lr=0.1, label_smoothing=0.4)
    assert result.returncode != 0
    assert re.search(
        r"- label_smoothing was .*, is 0.4\n- lr was ", result.stdout
    )
    assert [(folder / name).read_bytes() for name in kept] == before


def test_an_unknown_corpus_lists_the_known_ones(tmp_path):
    result = run(tmp_path, tmp_path, corpus="RAVDES")
    assert result.returncode != 0
    assert "RAVDESS" in result.stdout and "mini" in result.stdout


def test_manifests_are_complete(finished):
    folder, _ = finished
    plan = read_manifest(folder / "manifests" / "mixtures_test.json")
    assert len(plan) == 3 * 8


@pytest.mark.parametrize(
    "num_workers",
    [2, pytest.param(1, marks=pytest.mark.long)],
)
def test_loader_processes_change_nothing(finished, tmp_path, data, num_workers):
    """The same seed gives the same end, to the last bit."""
    result = run(tmp_path, data, num_workers=num_workers)
    assert result.returncode == 0, result.stdout[-3000:]
    for name in ("results.json", "manifests/mixtures_test.json"):
        expected = (finished[0] / name).read_text()
        assert (tmp_path / name).read_text() == expected
    expected, found = (
        read_weights(folder / "pretrained")
        for folder in (finished[0], tmp_path)
    )
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
