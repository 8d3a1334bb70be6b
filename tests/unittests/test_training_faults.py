"""What is said when the machine fails, and who may use a folder."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest
import torch

from speechbrain_merit.data.labels import write_labels_once
from speechbrain_merit.lobes import Routing
from speechbrain_merit.training.checkpoints import WholeCheckpointer
from speechbrain_merit.training.faults import (
    explained_faults,
    naming_utterances,
)
from speechbrain_merit.training.folder_lock import claim_folder
from speechbrain_merit.training.statistics import TrainingStatistics

CLAIM = """
import sys
from speechbrain_merit.training.folder_lock import claim_folder
claim = claim_folder(sys.argv[1])
"""


def claim_elsewhere(folder):
    return subprocess.run(
        [sys.executable, "-c", CLAIM, folder],
        capture_output=True,
        text=True,
        check=False,
    )


def test_too_little_memory_names_utterances_and_keys():
    with pytest.raises(torch.OutOfMemoryError) as caught:
        with naming_utterances(["a1", "b2"], [0.5, 11.25]):
            raise torch.OutOfMemoryError("Tried to allocate 2 GiB.")
    text = str(caught.value)
    for part in (
        "2 utterances, 11.8 s",
        "a1 (0.5 s), b2 (11.2 s)",
        "batch_size",
        "grad_accumulation_factor",
        "max_duration_s",
        "checkpoint_activations",
        "--precision=bf16",
        "Tried to allocate 2 GiB.",
    ):
        assert part in text


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_names_file_and_remedy(tmp_path, code):
    with pytest.raises(OSError, match="table.csv.*MB are free.*Make room"):
        with explained_faults(tmp_path):
            raise OSError(code, os.strerror(code), "table.csv")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file", "a.wav"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        RuntimeError("Caught ValueError in DataLoader worker process 0."),
    ],
)
def test_all_other_errors_stay_what_they_are(tmp_path, error):
    with pytest.raises(type(error)) as caught:
        with explained_faults(tmp_path), naming_utterances(["a"], [1.0]):
            raise error
    assert caught.value is error


def read_from_nobody():
    """What a process that loads data leaves when it is killed in a hand-over."""
    kept, lost = multiprocessing.Pipe()
    lost.close()
    kept.recv()


def read_and_be_told():
    """The signal of the same end comes a little later."""
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    read_from_nobody()


def tell(number, frame):
    raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")


def refuse():
    raise ConnectionResetError(errno.ECONNRESET, "of a server for audio")


class Calls(torch.utils.data.Dataset):
    """One item, which is what a function returns."""

    def __init__(self, function):
        self.function = function

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.function()


def test_a_connection_lost_to_a_loader_is_its_end(tmp_path):
    loader = torch.utils.data.DataLoader(Calls(read_from_nobody))
    with pytest.raises(RuntimeError, match="ended from outside.*EOFError"):
        with explained_faults(tmp_path):
            list(loader)


def test_the_signal_after_a_lost_connection_is_waited_for(tmp_path):
    before = signal.signal(signal.SIGALRM, tell)
    loader = torch.utils.data.DataLoader(Calls(read_and_be_told))
    try:
        with pytest.raises(RuntimeError, match="from outside.*pid 7.*Killed"):
            with explained_faults(tmp_path):
                list(loader)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_connection_of_the_data_is_not_a_loader(tmp_path):
    loader = torch.utils.data.DataLoader(Calls(refuse))
    with pytest.raises(ConnectionResetError, match="server for audio"):
        with explained_faults(tmp_path):
            list(loader)


class Slow(torch.utils.data.Dataset):
    """Ends the process that loads its last item.

    A race: before the signal, the connection may be seen to be lost.
    """

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 3:
            os.kill(os.getpid(), 9)
        return index


@pytest.mark.parametrize("repetition", range(4))
def test_the_message_of_a_lost_loader_is_known(tmp_path, repetition):
    loader = torch.utils.data.DataLoader(Slow(), num_workers=1)
    with pytest.raises(RuntimeError, match="ended from outside.*num_workers"):
        with explained_faults(tmp_path):
            list(loader)


def test_a_folder_is_for_one_process(tmp_path):
    held = claim_folder(tmp_path / "run")
    refused = claim_elsewhere(tmp_path / "run")
    assert refused.returncode == 1
    assert f"in use by process {os.getpid()} on " in refused.stderr
    assert "another output_folder" in refused.stderr
    held.release()
    assert claim_elsewhere(tmp_path / "run").returncode == 0


def test_children_do_not_keep_a_folder(tmp_path):
    """A killed training is continued while its loaders still linger."""
    script = CLAIM + (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    time.sleep(30)\n"
        "    os._exit(0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path])
    assert process.wait() == -9
    claim_folder(tmp_path).release()


def test_labels_are_written_once_and_whole(tmp_path):
    path = tmp_path / "save" / "label_encoder.txt"
    write_labels_once(path, ["sad", "angry"])
    before = path.read_bytes()
    write_labels_once(path, ["happy"])
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_epoch_is_logged_whole_after_an_interruption(tmp_path):
    experts = torch.tensor([[[0], [1], [1], [-1]]])
    routing = {"emotion": Routing(torch.full((1, 4, 2), 0.5), experts)}
    statistics = TrainingStatistics()
    checkpointer = WholeCheckpointer(tmp_path, {"statistics": statistics})
    for loss in (1.0, 0.1):
        statistics.losses.append({"emotion": loss})
        statistics.routing.append(routing)
    checkpointer.save_checkpoint(end_of_epoch=False)
    resumed = TrainingStatistics()
    checkpointer.recoverables["statistics"] = resumed
    checkpointer.recover_if_possible()
    for one in (statistics, resumed):
        one.losses.append({"emotion": 0.7})
        one.routing.append(routing)
    assert resumed.losses == statistics.losses
    assert resumed.routing.summarize() == statistics.routing.summarize()
    resumed.clear()
    assert resumed.losses == [] and resumed.routing.shares() == {}


def test_ctrl_c_says_that_the_same_command_continues(tmp_path, caplog):
    with (
        caplog.at_level("WARNING"),
        pytest.raises(SystemExit) as ended,
        explained_faults(tmp_path),
    ):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert "The same command continues" in caplog.text
    # Else the interpreter would print where it was interrupted.
    assert ended.value.__suppress_context__
