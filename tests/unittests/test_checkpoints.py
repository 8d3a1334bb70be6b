"""Checkpoints: whole or not there, checked, and never fewer than needed."""

import errno
import logging
import shutil

import pytest
import torch

from speechbrain_merit.training.checkpoints import WholeCheckpointer
from speechbrain_merit.training.checksums import find_damage, write_checksums


@pytest.fixture
def saved(tmp_path):
    """A model, its checkpointer, and three checkpoints: 1, 2 and 3."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    checkpointer = WholeCheckpointer(
        tmp_path, {"model": model, "optimizer": optimizer}
    )
    checkpoints = []
    for value in (1.0, 2.0, 3.0):
        fill(model, value)
        checkpoints.append(checkpointer.save_checkpoint({"score": -value}))
    fill(model, 0.0)
    return model, checkpointer, checkpoints


def fill(model, value):
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, value)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


def reshape(path):
    torch.save(torch.nn.Linear(3, 2).state_dict(), path)


def truncate_by_lines(path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1]))


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (flip, "model.ckpt"),
        (truncate, "model.ckpt"),
        (empty, "model.ckpt"),
        (remove, "model.ckpt"),
        (reshape, "model.ckpt"),
        (flip, "optimizer.ckpt"),
        (remove, "optimizer.ckpt"),
        (flip, "CKPT.yaml"),
        (truncate, "CKPT.yaml"),
        (empty, "CKPT.yaml"),
        (remove, "CKPT.yaml"),
        (truncate, "SHA256SUMS"),
        (truncate_by_lines, "SHA256SUMS"),
        (empty, "SHA256SUMS"),
    ],
)
def test_the_one_before_a_damaged_one_is_used(saved, caplog, damage, name):
    model, checkpointer, checkpoints = saved
    damage(checkpoints[2].path / name)
    with caplog.at_level(logging.WARNING):
        found = checkpointer.recover_if_possible()
    assert found.path == checkpoints[1].path
    assert all((p == 2.0).all() for p in model.parameters())
    assert "is damaged and not used" in caplog.text
    assert name in caplog.text or name == "SHA256SUMS"
    # What is there of it is kept, and counts no more.
    aside = checkpoints[2].path.with_name(f"DAMAGED+{checkpoints[2].path.name}")
    assert aside.is_dir()
    assert checkpointer.recover_if_possible().path == checkpoints[1].path


def test_two_damaged_ones_are_passed_over(saved):
    _, checkpointer, checkpoints = saved
    for checkpoint in checkpoints[1:]:
        flip(checkpoint.path / "model.ckpt")
    assert checkpointer.recover_if_possible().path == checkpoints[0].path


def test_nothing_starts_anew_where_all_are_damaged(saved):
    _, checkpointer, checkpoints = saved
    for checkpoint in checkpoints:
        flip(checkpoint.path / "model.ckpt")
    for _ in range(2):
        with pytest.raises(ValueError, match="No whole checkpoint is left"):
            checkpointer.recover_if_possible()
    for path in checkpointer.checkpoints_dir.glob("DAMAGED+*"):
        shutil.rmtree(path)
    assert checkpointer.recover_if_possible() is None


def test_what_is_averaged_is_whole(saved):
    _, checkpointer, checkpoints = saved
    flip(checkpoints[0].path / "model.ckpt")
    found = checkpointer.find_whole_checkpoints(2, max_key="score")
    assert [c.path for c in found] == [c.path for c in checkpoints[1:]]


def test_another_model_is_no_damage(saved):
    _, checkpointer, checkpoints = saved
    checkpointer.recoverables["model"] = torch.nn.Linear(3, 2)
    with pytest.raises(ValueError, match="does not fit"):
        checkpointer.recover_if_possible()
    assert all(c.path.is_dir() for c in checkpoints)


def test_checkpoints_without_checksums_are_used(saved, caplog):
    _, checkpointer, checkpoints = saved
    remove(checkpoints[2].path / "SHA256SUMS")
    with caplog.at_level(logging.WARNING):
        found = checkpointer.recover_if_possible()
    assert found.path == checkpoints[2].path
    assert "without being checked" in caplog.text


def test_what_the_system_or_a_person_adds_is_no_damage(saved):
    _, checkpointer, checkpoints = saved
    (checkpoints[2].path / ".DS_Store").write_text("")
    (checkpoints[2].path / "notes.txt").write_text("the good one")
    assert checkpointer.recover_if_possible().path == checkpoints[2].path


def test_a_full_disk_leaves_the_earlier_ones(saved, monkeypatch):
    model, checkpointer, checkpoints = saved
    save = torch.save
    calls = []

    def fail_at_second(state, path):
        save(state, path)
        calls.append(path)
        if len(calls) == 2:
            truncate(path)
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fail_at_second)
        with pytest.raises(OSError, match="MB are free.*make room"):
            checkpointer.save_checkpoint()
    names = {path.name for path in checkpointer.checkpoints_dir.iterdir()}
    assert names == {c.path.name for c in checkpoints}
    assert checkpointer.recover_if_possible().path == checkpoints[2].path
    fill(model, 4.0)
    assert checkpointer.save_checkpoint().path.is_dir()


def test_other_errors_while_saving_stay_what_they_are(saved, monkeypatch):
    _, checkpointer, checkpoints = saved

    def fail(state, path):
        raise RuntimeError("CUDA error")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RuntimeError, match="^CUDA error$"):
        checkpointer.save_checkpoint()
    assert len(checkpointer.list_checkpoints()) == len(checkpoints)


@pytest.mark.parametrize("interrupted", ["write_checksums", "os.replace"])
def test_one_without_its_name_is_none(saved, monkeypatch, interrupted):
    _, checkpointer, checkpoints = saved

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            f"speechbrain_merit.training.checkpoints.{interrupted}", interrupt
        )
        with pytest.raises(KeyboardInterrupt):
            checkpointer.save_checkpoint()
    assert len(checkpointer.list_checkpoints()) == 3
    assert list(checkpointer.checkpoints_dir.glob("UNFINISHED+*"))
    assert checkpointer.recover_if_possible().path == checkpoints[2].path
    assert not list(checkpointer.checkpoints_dir.glob("UNFINISHED+*"))


def test_one_that_is_half_deleted_is_none(saved, monkeypatch):
    _, checkpointer, checkpoints = saved

    def interrupt(path):
        remove(next(path.glob("*.ckpt")))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            checkpointer.delete_checkpoints(num_to_keep=1)
    assert len(checkpointer.list_checkpoints()) == 2
    assert checkpointer.recover_if_possible().path == checkpoints[2].path
    assert not list(checkpointer.checkpoints_dir.glob("DAMAGED+*"))


def test_the_two_newest_and_the_best_are_kept(saved):
    _, checkpointer, checkpoints = saved
    for _ in range(3):
        checkpointer.save_and_keep_only({"score": -9.0}, max_keys=["score"])
    kept = checkpointer.find_checkpoints()
    assert len(kept) == 3
    assert kept[-1].path == checkpoints[0].path


def test_scores_that_are_no_numbers_keep_what_they_should(tmp_path):
    checkpointer = WholeCheckpointer(tmp_path)
    for score in (1.0, float("nan"), float("nan"), float("nan")):
        checkpointer.save_and_keep_only({"score": score}, max_keys=["score"])
    newest = checkpointer.find_checkpoints()[0]
    assert checkpointer.recover_if_possible().path == newest.path


def test_a_name_of_ones_own_is_written_over(tmp_path):
    model = torch.nn.Linear(1, 1)
    checkpointer = WholeCheckpointer(tmp_path, {"model": model})
    for value in (1.0, 2.0):
        fill(model, value)
        checkpointer.save_checkpoint(name="mine")
    fill(model, 0.0)
    assert checkpointer.recover_if_possible().path.name == "CKPT+mine"
    assert model.bias.item() == 2.0


def test_the_sums_are_those_of_sha256sum(tmp_path):
    (tmp_path / "abc.txt").write_bytes(b"abc")
    write_checksums(tmp_path)
    # The example of FIPS 180-4.
    assert (tmp_path / "SHA256SUMS").read_text() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        "  abc.txt\n"
    )
    assert find_damage(tmp_path) is None
    assert find_damage(tmp_path, required=["other"]) is not None


def test_the_newest_is_the_last_saved_though_the_clock_was_set_back(
    saved, monkeypatch
):
    model, checkpointer, checkpoints = saved
    monkeypatch.setattr("time.time", lambda: 1e9)
    for value in (4.0, 5.0):
        fill(model, value)
        last = checkpointer.save_checkpoint()
        assert last.meta["unixtime"] > checkpoints[-1].meta["unixtime"]
    fill(model, 0.0)
    assert checkpointer.recover_if_possible().path == last.path
    assert model.bias.tolist() == [5.0, 5.0]
    # Nor are the last ones deleted as the oldest.
    checkpointer.delete_checkpoints(num_to_keep=1)
    assert checkpointer.find_checkpoint().path == last.path
