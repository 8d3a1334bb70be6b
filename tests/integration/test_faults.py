"""A training that the machine fails, time and again, ends as if it had not."""

import subprocess
import sys

import pytest
from faulty_machine import Fault, assert_same_end, train

KILLED = -9


@pytest.fixture(scope="module")
def straight(tmp_path_factory, data):
    """A training without faults."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    status, output = train(folder, data)
    assert status == 0, output[-3000:]
    return folder


def test_a_training_survives_one_fault_after_the_other(
    straight, data, tmp_path
):
    folder = tmp_path / "run"

    def fail(fault, message, **options):
        status, output = train(folder, data, fault, **options)
        assert status == (KILLED if message is None else 1), output[-3000:]
        assert message is None or message in output, output[-3000:]
        return output

    # A model's file is larger than a file can get.
    fail(Fault("limit", number=130_000), "make room on that disk")
    assert not list((folder / "save").glob("*CKPT*"))
    # In a file of the second checkpoint, once the first has its name.
    fail(Fault("kill", "writing", 9), None)
    output = fail(Fault("out_of_memory", number=3), "Not enough memory for")
    (message,) = [li for li in output.splitlines() if "Not enough" in li]
    for key in ("mini_", " s)", "batch_size", "max_duration_s", "--precision"):
        assert key in message
    assert "Resuming after" not in output
    output = fail(
        Fault("lost_loader", number=2),
        "A process that loads data was ended from outside",
        num_workers=1,
    )
    assert "Resuming after 0 epochs and 2 optimizer steps" in output
    fail(Fault("full_disk", "writing", 8), "make room on that disk")
    fail(Fault("kill", "deleting", 3), None)
    fail(Fault("kill", "testing", 4), None)
    assert (folder / "test_progress_0.jsonl").exists()
    status, output = train(folder, data)
    assert status == 0, output[-3000:]
    assert "Resuming the test after 8 utterances" in output
    assert_same_end(folder, straight)


def test_two_at_once_are_refused(straight, data):
    """The one that has the folder goes on; nothing of it is touched."""
    before = {path: path.stat().st_mtime_ns for path in straight.rglob("*")}
    holding = (
        "import sys; from speechbrain_merit.training.folder_lock import claim_folder;"
        "claim = claim_folder(sys.argv[1]); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, straight],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        holder.stdout.readline()
        status, output = train(straight, data)
        assert status == 1
        assert f"in use by process {holder.pid}" in output
        assert "another output_folder" in output
        holder.communicate("\n")
    changed = {
        path.name
        for path, time in before.items()
        if path.is_file() and path.stat().st_mtime_ns != time
    }
    assert changed <= {"train.lock", "train.holder"}
