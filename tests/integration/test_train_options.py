"""Options of train.py: debugging, stages, accumulation, task balancing."""

import json

import pytest
import torch
from small_run import run

ONE_EPOCH = {"number_of_epochs": 1}


def test_debugging_leaves_the_results_of_a_real_run(tmp_path, data):
    (tmp_path / "results.json").write_text("real")
    result = run(tmp_path, data, "--debug", **ONE_EPOCH)
    assert result.returncode == 0, result.stdout[-3000:]
    assert (tmp_path / "results.json").read_text() == "real"
    assert (tmp_path / "debug" / "results.md").is_file()


def test_testing_without_training_says_what_is_missing(tmp_path, data):
    result = run(tmp_path, data, "--test_only")
    assert result.returncode != 0
    assert "train before testing" in result.stdout


def test_stages_accumulation_and_standardisation(tmp_path, data):
    """The encoder rests in the first stage and moves in the second.

    Its hidden states are kept while it rests, and the gates always do.
    """
    options = {
        "number_of_frozen_epochs": 1,
        "num_averaged_checkpoints": 2,
        "grad_accumulation_factor": 2,
        "standardize_hidden_states": "True",
        "standardization_utterances": 4,
        "use_tensorboard": "True",
        "gradient_cosine_interval": 2,
        "mixtures_per_utterance": 1,
        "hidden_state_cache_folder": tmp_path / "states",
        "lr_gates": 0.0,
        "make_gate": "{temperatures: [2.0, 0.5]}",
    }
    result = run(tmp_path, data, **options)
    assert result.returncode == 0, result.stdout[-3000:]
    first, second = (
        torch.load(path / "model.ckpt")
        for path in sorted((tmp_path / "save").glob("CKPT*"))
    )
    assert first["encoder.standardization.fitted"]
    assert list((tmp_path / "tensorboard").iterdir())
    moved = {n for n in first if not torch.equal(first[n], second[n])}
    assert any(name.startswith("encoder.features") for name in moved)
    assert not any(name.startswith("encoder.standard") for name in moved)
    assert not any(".gates." in name for name in moved)
    assert any(".experts." in name for name in moved)
    # Every utterance of training, and the mixtures of development.
    assert len(list((tmp_path / "states").rglob("*.pt"))) == 24 + 8
    found = json.loads((tmp_path / "gradient_cosines.json").read_text())
    rest, all_groups = map(set, (found["1"], found["2"]))
    assert "integrator.experts.0" in rest < all_groups
    assert {name.split(".")[0] for name in all_groups - rest} == {"encoder"}
    assert all(-1 <= cosine <= 1 for cosine in found["2"].values())
    fresh = run(
        tmp_path / "fresh",
        data,
        **{**options, "number_of_epochs": 1, "lr_encoder": 1.0},
    )
    assert fresh.returncode == 0, fresh.stdout[-3000:]
    # The first one is from before the first epoch.
    _, checkpoint = sorted((tmp_path / "fresh" / "save").glob("CKPT*"))
    frozen = torch.load(checkpoint / "model.ckpt")
    for name in first:
        if name.startswith("encoder"):
            assert torch.equal(first[name], frozen[name]), name


@pytest.mark.parametrize("kind", ["uncertainty", "pcgrad"])
def test_task_balancing_trains_and_is_saved(tmp_path, data, kind):
    options = {"task_balancing_kind": kind, "grad_accumulation_factor": 2}
    result = run(tmp_path, data, batch_size=4, **ONE_EPOCH, **options)
    assert result.returncode == 0, result.stdout[-3000:]
    (checkpoint,) = (tmp_path / "save").glob("CKPT*")
    state = torch.load(checkpoint / "balancing.ckpt", weights_only=False)
    if kind == "uncertainty":
        assert (state["log_variances"] != 0).all()
    else:
        # Orders were drawn: the generator is not where it started.
        start = torch.Generator().manual_seed(1986).get_state()
        assert not torch.equal(state["random_state"], start)
