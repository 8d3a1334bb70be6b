"""What a restart into the same folder may change, and what it may not."""

import logging

import pytest

from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.config import (
    TrainingRecord,
    compose,
    file_sums,
    training_settings,
)

VARIANT = """\
seed: 1
lr: 0.00005
label_smoothing: 0.0
number_of_epochs: 2
num_workers: 0
test_snrs_db: [-5, 0]
valid_snrs_db: [-5, 0]
loaders:
    batch_size: 4
    num_workers: !ref <num_workers>
opt_class: !name:torch.optim.AdamW
    lr: !ref <lr>
"""


def start(folder, overrides="", options=None, files=()):
    """What a start of train.py compares, and keeps where it is allowed."""
    variant = folder / "variant.yaml"
    variant.write_text(VARIANT)
    options = RunOptions.from_dictionary(options or {})
    record = TrainingRecord(folder, options.test_only)
    record.check(
        "settings", training_settings(compose(variant, overrides), options)
    )
    record.check("data", file_sums(files))
    record.write()
    (folder / "CKPT+1").mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("overrides", "options", "said"),
    [
        ("lr: 0.1", {}, ["lr was 5e-05, is 0.1"]),
        (
            "{seed: 7, label_smoothing: 0.4}",
            {},
            ["label_smoothing was 0.0, is 0.4", "seed was 1, is 7"],
        ),
        ("loaders: {batch_size: 8}", {}, ["loaders.batch_size was 4, is 8"]),
        ("valid_snrs_db: [-5, 5]", {}, ["valid_snrs_db.1 was 0, is 5"]),
        (
            "opt_class: !name:torch.optim.SGD {lr: 0.1}",
            {},
            [
                "opt_class was '!name:torch.optim.AdamW', "
                "is '!name:torch.optim.SGD'",
                "opt_class.lr was '!ref <lr>', is 0.1",
            ],
        ),
        ("number_of_epochs: 1", {}, ["number_of_epochs was 2, is 1"]),
        (
            "number_of_epochs: !ref <seed>",
            {},
            ["number_of_epochs was 2, is '!ref <seed>'"],
        ),
        ("", {"precision": "bf16"}, ["precision was 'not set', is 'bf16'"]),
        # A test would give the results of the old seed the new one's name.
        ("seed: 7", {"test_only": True}, ["seed was 1, is 7"]),
    ],
)
def test_what_shapes_a_training_is_refused(tmp_path, overrides, options, said):
    start(tmp_path)
    before = (tmp_path / "begun_with.json").read_bytes()
    with pytest.raises(ValueError, match="with other settings") as refused:
        start(tmp_path, overrides, options)
    lines = str(refused.value).splitlines()
    assert lines[1:-1] == [f"- {line}" for line in said]
    assert "begun_with.json" in lines[-1]
    assert (tmp_path / "begun_with.json").read_bytes() == before
    start(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "options"),
    [
        ("lr: 5e-5", {}),
        ("{num_workers: 2, test_snrs_db: [5]}", {}),
        ("loaders: {num_workers: 2}", {}),
        ("number_of_epochs: 3", {}),
        ("", {"device": "cuda:0", "noprogressbar": True, "debug": True}),
        ("number_of_epochs: 1", {"test_only": True}),
    ],
)
def test_what_changes_nothing_is_taken(tmp_path, overrides, options):
    start(tmp_path)
    start(tmp_path, overrides, options)


def test_more_epochs_are_remembered(tmp_path):
    start(tmp_path)
    start(tmp_path, "number_of_epochs: 5")
    with pytest.raises(ValueError, match="number_of_epochs was 5, is 2"):
        start(tmp_path)


def test_changed_data_are_refused(tmp_path):
    manifest = tmp_path / "train.json"
    manifest.write_text("{}")
    start(tmp_path, files=[manifest])
    manifest.write_text('{"a": 1}')
    with pytest.raises(ValueError, match=r"other data:\n- train.json was "):
        start(tmp_path, files=[manifest])


def test_anything_goes_before_the_first_checkpoint(tmp_path):
    start(tmp_path)
    (tmp_path / "CKPT+1").rmdir()
    start(tmp_path, "seed: 2")
    with pytest.raises(ValueError, match="seed was 2, is 1"):
        start(tmp_path)


def test_a_folder_of_before_continues_with_a_warning(tmp_path, caplog):
    (tmp_path / "CKPT+1").mkdir()
    with caplog.at_level(logging.WARNING):
        start(tmp_path)
    assert "without a check" in caplog.text
    with pytest.raises(ValueError, match="seed was 1, is 2"):
        start(tmp_path, "seed: 2")


@pytest.mark.parametrize("content", ["", "[1", "3"])
def test_a_damaged_record_is_named(tmp_path, content):
    start(tmp_path)
    (tmp_path / "begun_with.json").write_text(content)
    with pytest.raises(
        ValueError, match="begun_with.json cannot be read.*Delete"
    ):
        start(tmp_path)
