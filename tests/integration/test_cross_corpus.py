"""A trained model tested by another run than the one that trained it.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import json

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from small_run import run
from warm_process import ROOT

from speechbrain_merit.config import check_hyperparameters, compose
from speechbrain_merit.pretrained import MERIT_BASE
from speechbrain_merit.pretrained.borrowing import (
    borrow_model,
    replace_encoder_source,
)
from speechbrain_merit.pretrained.folder import load_model


def scores(folder):
    """The conditions of results.json, without rounding in the last place."""
    results = json.loads((folder / "results.json").read_text())
    return [
        {task: condition[task] for task in ("ser", "num_utterances")}
        for condition in results["conditions"]
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    """A run of one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    result = run(folder, data, number_of_epochs=1)
    assert result.returncode == 0, result.stdout[-3000:]
    return folder


def test_another_run_finds_the_same_and_trains_nothing(trained, data, tmp_path):
    """Also where the YAML's model has another size, its encoder no source."""
    options = {"pretrained_folder": trained, "system": "borrowed"}
    options["encoder_source"] = tmp_path / "nowhere"
    options |= {
        "expert_hidden_size": 8,
        "emotions": "[angry,sad,happy,neutral]",
    }
    result = run(tmp_path / "test", data, "--test_only", **options)
    assert result.returncode == 0, result.stdout[-3000:]
    assert scores(tmp_path / "test") == scores(trained)
    results = json.loads((tmp_path / "test" / "results.json").read_text())
    assert results["system"] == "borrowed"
    assert results["calibration"]["temperature"] is None
    own = json.loads((trained / "results.json").read_text())["calibration"]
    assert results["calibration"]["ece"] == pytest.approx(own["ece"], abs=1e-5)
    assert own["temperature"] > 0
    assert not (tmp_path / "test" / "pretrained").exists()


def test_training_starts_from_the_weights(trained, data, tmp_path):
    """Seen where no step changes them."""
    rates = {"lr": 0.0, "lr_encoder": 0.0, "number_of_epochs": 1}
    result = run(tmp_path, data, pretrained_folder=trained, **rates)
    assert result.returncode == 0, result.stdout[-3000:]
    assert scores(tmp_path) == scores(trained)
    assert (tmp_path / "pretrained" / "model.safetensors").is_file()


def test_labels_are_mapped(trained, data, tmp_path):
    options = {"label_mapping": "{sad: null, neutral: happy}"}
    result = run(
        tmp_path, data, "--test_only", pretrained_folder=trained, **options
    )
    assert result.returncode == 0, result.stdout[-3000:]
    with open(tmp_path / "per_utterance.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["true"] for row in rows} == {"angry", "happy", ""}
    assert {row["true"] for row in rows if "_sad_" in row["id"]} == {""}
    assert all(row["speaker"] and row["utterance"] for row in rows)


@pytest.mark.parametrize(
    ("flags", "options", "message"),
    [
        ([], {"expert_hidden_size": 8}, "other parts or sizes"),
        (["--test_only"], {"variant": "ser_only"}, "tasks"),
        (["--test_only"], {"emotions": "[sad, angry]"}, "emotions"),
    ],
)
def test_what_does_not_fit_is_refused(
    trained, data, tmp_path, flags, options, message
):
    result = run(tmp_path, data, *flags, pretrained_folder=trained, **options)
    assert result.returncode != 0
    assert message in result.stdout


def test_a_training_is_not_written_over(trained, data):
    before = (trained / "results.json").read_bytes()
    result = run(trained, data, "--test_only", pretrained_folder=trained)
    assert result.returncode != 0
    assert "holds a training" in result.stdout
    assert (trained / "results.json").read_bytes() == before


def test_the_shipped_model_is_the_variant_of_its_name():
    """Its weights fit, though the corpus names another encoder and size."""
    composed = compose(
        ROOT / "hparams" / "merit_base.yaml",
        "corpus: RAVDESS\npretrained_folder: merit-base\ndata_folder: here",
        ROOT,
    )
    check_hyperparameters(composed)
    replace_encoder_source(composed)
    own = load_hyperpyyaml(composed.text)
    shipped = load_model(MERIT_BASE)
    assert own["encoder_source"] is None
    model = borrow_model("merit-base", own["model"], own["emotions"], False)
    assert model is own["model"]
    assert str(model) == str(shipped)
    for name, weight in shipped.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name
