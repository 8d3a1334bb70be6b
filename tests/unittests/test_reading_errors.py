"""Whatever is wrong with a file, the message names it."""

import json

import pytest
import torch
from synthetic_runs import write_run

from speechbrain_merit.command_line import main
from speechbrain_merit.command_line.result_lines import ResultLines
from speechbrain_merit.config import compose, read_mapping
from speechbrain_merit.data.manifests import NOISE_KEYS, check_items
from speechbrain_merit.data.mixing import EvaluationMixer
from speechbrain_merit.data.preparation.durations import measure_durations
from speechbrain_merit.data.preparation.noise_layouts import _items
from speechbrain_merit.data.preparation.tables import read_table
from speechbrain_merit.experiments.report import find_runs
from speechbrain_merit.pretrained import MERIT_BASE
from speechbrain_merit.pretrained.folder import (
    load_model,
    read_emotions,
    read_encoder_config,
)
from speechbrain_merit.pretrained.weights import read_weights

# Python's own JSON gives up at one depth, ruamel.yaml at another.
DEEP = "[" * 10**5
DEEP_YAML = "[" * 1000


@pytest.mark.parametrize(
    "change",
    [
        "",
        "[]",
        DEEP,
        '{"system": "a"}',
        '{"system": "a", "corpus": "b", "fold": 0, "seed": 1, "calibration": 3}',
        "\udcff",
    ],
    ids=range(6),
)
def test_results_that_are_none(tmp_path, change):
    path = write_run(tmp_path / "run") / "results.json"
    path.write_text(change, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=f"{path} cannot be read.*test_only"):
        find_runs([tmp_path])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",angry,", ",furious,", "KeyError: 'furious'"),
        (",seen,", ",sene,", "'sene' is unknown"),
        (",seen,-5.0", ",seen,low", "'low'"),
        ("\r\n", "\r\n1,2\r\n", "Noise '' is unknown"),
        ("\r\n", f",{'x' * 140_000}\r\n", "field larger than"),
    ],
    ids=range(5),
)
def test_scores_that_are_none(tmp_path, old, new, said):
    path = write_run(tmp_path / "run") / "per_utterance.csv"
    text = path.read_bytes().decode()
    assert old in text
    path.write_text(text.replace(old, new), newline="")
    with pytest.raises(ValueError, match=f"(?s){path} cannot be read.*{said}"):
        find_runs([tmp_path])


@pytest.mark.parametrize("content", [b"", b"x", b"\xff", b"f() => 0\n===\n"])
def test_labels_that_are_none(tmp_path, content):
    path = tmp_path / "label_encoder.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} cannot be read"):
        read_emotions(path)


def test_weights_that_are_none(tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save({"a": torch.ones(1000)}, path)
    whole = path.read_bytes()
    torch.save([1, 2], path)
    for content in (whole[:2000], b"", b"hello", bytes(1000), None):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{path} cannot be read"):
            read_weights(tmp_path)
    path.write_bytes(whole)
    assert torch.equal(read_weights(tmp_path)["a"], torch.ones(1000))


@pytest.mark.parametrize("text", ["", "- a", "a: [1", "a: 1", DEEP_YAML])
def test_descriptions_that_are_none(tmp_path, text):
    path = tmp_path / "hyperparams.yaml"
    path.write_text(text)
    for read in (load_model, read_encoder_config):
        with pytest.raises(ValueError, match=f"{path} cannot be read"):
            read(tmp_path)


@pytest.mark.parametrize("safe", [[], ["--safe"]])
@pytest.mark.parametrize("name", ["hyperparams.yaml", "label_encoder.ckpt"])
def test_a_broken_model_ends_with_a_message(tmp_path, caplog, name, safe):
    for file in MERIT_BASE.iterdir():
        if file.name != name:
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / name).write_text("a: [1" if name.endswith("l") else "")
    wav = tmp_path / "a.wav"
    wav.touch()
    assert main(["process", str(wav), f"--model={tmp_path}", *safe]) == 1
    assert str(tmp_path) in caplog.text


def test_damaged_settings_tables_and_lines(tmp_path):
    (tmp_path / "deep.yaml").write_text(f"a: {DEEP_YAML}")
    for read in (read_mapping, compose):
        with pytest.raises(ValueError, match="deep.yaml .*cannot be read"):
            read(tmp_path / "deep.yaml")
    table = tmp_path / "labels.csv"
    table.write_text(f"a,b\n{'x' * 140_000},1\n")
    for read in (lambda path: read_table(path, ["a"]), _items):
        with pytest.raises(ValueError, match="labels.csv cannot be read"):
            read(table)
    lines = tmp_path / "lines.jsonl"
    for content in (b"\xff\n", DEEP.encode() + b"\n"):
        lines.write_bytes(content)
        with pytest.raises(ValueError, match="lines.jsonl"):
            ResultLines(lines).__enter__()


def test_a_damaged_cache_of_durations_is_measured_again(tmp_path):
    cache = tmp_path / "durations.jsonl"
    cache.write_bytes(b'{"a": 1}\n[3]\n\xff\n[["a"], 1, 2, "x"]\n')
    durations, faults = measure_durations(tmp_path, ["no.wav"], cache)
    assert not durations and list(faults) == ["no.wav"]


def test_wrong_kinds_in_manifests_of_noise_and_mixtures():
    for key, value in (("wav", ["n.wav"]), ("noise_type", 3)):
        item = {"wav": "n.wav", "duration_s": 1.0, "noise_type": "rain"}
        with pytest.raises(ValueError, match=f"n.json: item n has the {key}"):
            check_items("n.json", {"n": {**item, key: value}}, NOISE_KEYS)
    mixer = EvaluationMixer({"seen": None}, 16000, lambda *_: torch.ones(9))
    with pytest.raises(ValueError, match="Mixture a_seen"):
        mixer("a_seen", "a.wav", 0.0, 1.0, "seen", "n", "x", 0.0)


def test_a_run_with_damaged_results_is_not_finished(tmp_path):
    from speechbrain_merit.experiments.sweep import PlannedRun

    run = PlannedRun(tmp_path, ())
    for content in ("", "[]", DEEP):
        (tmp_path / "results.json").write_text(content)
        assert not run.is_finished
    (tmp_path / "results.json").write_text(json.dumps({"conditions": []}))
    assert run.is_finished
