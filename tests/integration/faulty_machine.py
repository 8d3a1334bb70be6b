"""Trainings that a machine fails: killed, out of disk or out of memory.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import dataclasses
import errno
import os
import resource
import signal
import time
from pathlib import Path

import yaml
from small_run import command, draw_nothing
from warm_process import warm_process

# Learns nothing, but has all that a training has.
TINY = {
    "encoder_config": (
        "{model_type: wavlm, feat_extract_norm: layer, "
        "do_stable_layer_norm: True, conv_dim: [16, 16], "
        "conv_kernel: [160, 16], conv_stride: [40, 8], "
        "num_feat_extract_layers: 2, hidden_size: 16, num_hidden_layers: 1, "
        "num_attention_heads: 2, intermediate_size: 32, "
        "num_conv_pos_embeddings: 4, num_conv_pos_embedding_groups: 2}"
    ),
    "expert_hidden_size": 16,
    "feature_size": 16,
    "emotion_hidden_size": 16,
    "batch_size": 4,
    "enhancement_metrics": "[ssnr_db, si_sdr_db]",
    # All that depends on random numbers while a batch is trained.
    "router_noise": 0.1,
    # Before the first epoch.
    "standardize_hidden_states": "True",
    "standardization_utterances": 8,
    # The mean of two is tested.
    "num_averaged_checkpoints": 2,
    "ckpt_interval_minutes": 0,
    "ckpt_interval_steps": 1,
}


@dataclasses.dataclass
class Fault:
    """What goes wrong, and when.

    Arguments
    ---------
    kind : str
        `kill` or `full_disk` in the middle of a file of a checkpoint; `kill`
        also with `place` naming, deleting or testing; `limit` of the size of
        all files; `out_of_memory` or `lost_loader` in a batch.
    place : str
        Where.
    number : int
        At which file, batch or call, counted from 1; bytes for `limit`.
    """

    kind: str = "none"
    place: str = ""
    number: int = 1


def start_training(folder, data, fault=None, **options):
    """Starts a small training that may fail; gives its process number."""
    phase = _phase_file()
    phase.unlink(missing_ok=True)
    return warm_process().start(
        # Without the interpreter.
        command(folder, data, **{**TINY, **options})[1:],
        before="faulty_machine.prepare",
        given={
            "fault": dataclasses.asdict(fault or Fault()),
            "phase": str(phase),
        },
    )


def train(*args, **kwargs):
    """Runs a training; gives its status, and what it printed."""
    start_training(*args, **kwargs)
    return warm_process().wait()


def train_killed(cpu_s, *args, **kwargs):
    """Starts a training, and kills it when it has taken so much time.

    Time of a processor: it says the same whatever else is running.
    """
    number = start_training(*args, **kwargs)
    ticks = cpu_s * os.sysconf("SC_CLK_TCK")
    while _is_below(number, ticks):
        time.sleep(0.003)
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)
    return warm_process().wait()


def read_phase() -> str:
    """What the last training was doing when it ended."""
    phase = _phase_file()
    return (phase.read_text().strip() if phase.exists() else "") or "starting"


def _phase_file() -> Path:
    return warm_process().log.with_name("phase.txt")


def _is_below(number: int, ticks: float) -> bool:
    """Whether a process goes on and has taken less than so much time."""
    try:
        text = Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return False
    fields = text.rsplit(")", maxsplit=1)[1].split()
    return fields[0] != "Z" and int(fields[11]) + int(fields[12]) < ticks


def assert_same_end(folder: Path, straight: Path) -> None:
    """Compares all that two trainings have come to, bit for bit."""
    import torch

    from speechbrain_merit.pretrained.weights import read_weights

    for path in sorted((straight / "save").glob("CKPT*")):
        epoch = yaml.safe_load((path / "CKPT.yaml").read_text()).get("epoch")
        if epoch:
            other = find_epoch(folder, epoch)
            for name in ("model", "optimizer_model", "optimizer_encoder"):
                states = [
                    torch.load(one / f"{name}.ckpt") for one in (path, other)
                ]
                torch.testing.assert_close(*states, rtol=0, atol=0)
    weights = [read_weights(one / "pretrained") for one in (folder, straight)]
    torch.testing.assert_close(*weights, rtol=0, atol=0)
    for name in ("results.json", "per_utterance.csv"):
        assert (folder / name).read_bytes() == (straight / name).read_bytes()
    # An epoch is logged, then saved: it may be logged twice.
    logs = [
        list(dict.fromkeys((one / "train_log.txt").read_text().splitlines()))
        for one in (folder, straight)
    ]
    assert logs[0] == logs[1]
    assert not list((folder / "save").glob("UNFINISHED+*"))
    assert not list((folder / "save").glob("DAMAGED+*"))
    assert not list(folder.glob("test_progress*"))


def find_epoch(folder: Path, epoch: int) -> Path:
    """The checkpoint of the end of an epoch."""
    for path in (folder / "save").glob("CKPT*"):
        meta = yaml.safe_load((path / "CKPT.yaml").read_text())
        if meta.get("epoch") == epoch:
            return path
    raise AssertionError(f"{folder} has no checkpoint of epoch {epoch}.")


def prepare(fault: dict, phase: str) -> None:
    """What a training's process does before it trains."""
    draw_nothing()
    watch_phases(phase)
    put_in(Fault(**fault))


def watch_phases(path: str) -> None:
    """Keeps the file up to date with what the training is doing."""
    import speechbrain as sb
    from speechbrain_merit.training import checkpoints

    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    phases = ["starting"]

    def note():
        os.pwrite(file, phases[-1].ljust(20).encode(), 0)

    def watch(owner, name, phase):
        inner = getattr(owner, name)

        def outer(*args, **kwargs):
            phases.append(phase)
            note()
            try:
                return inner(*args, **kwargs)
            finally:
                phases.pop()
                note()

        setattr(owner, name, outer)

    note()
    watch(sb.Brain, "_fit_train", "training")
    watch(sb.Brain, "_fit_valid", "validating")
    watch(sb.Brain, "evaluate", "testing")
    watch(checkpoints.WholeCheckpointer, "save_checkpoint", "saving")
    watch(checkpoints.WholeCheckpointer, "delete_checkpoints", "deleting")
    watch(checkpoints.WholeCheckpointer, "recover_if_possible", "recovering")


def put_in(fault: Fault) -> None:
    """Makes the fault happen when it is time."""
    import shutil

    import torch

    import speechbrain as sb
    from speechbrain_merit.training import checkpoints, evaluation_progress

    calls = [0]

    def at_call(owner, name, happen):
        inner = getattr(owner, name)

        def outer(*args, **kwargs):
            calls[0] += 1
            if calls[0] == fault.number:
                happen(*args, **kwargs)
            return inner(*args, **kwargs)

        setattr(owner, name, outer)

    def kill(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    def write_half(state, path, *args):
        whole = Path(str(path) + ".whole")
        save(state, whole)
        content = whole.read_bytes()
        whole.unlink()
        Path(path).write_bytes(content[: len(content) // 2])
        if fault.kind == "kill":
            kill()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def delete_half(path, *args, **kwargs):
        for file in sorted(Path(path).iterdir())[:1]:
            file.unlink()
        kill()

    def run_out(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB.")

    def kill_loader(*args):
        import multiprocessing

        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    save = torch.save
    if fault.kind == "limit":
        size = (fault.number, resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_FSIZE, size)
    elif fault.kind == "out_of_memory":
        at_call(sb.Brain, "fit_batch", run_out)
    elif fault.kind == "lost_loader":
        at_call(sb.Brain, "fit_batch", kill_loader)
    elif fault.place == "writing":
        at_call(torch, "save", write_half)
    elif fault.place == "naming":
        at_call(checkpoints, "write_checksums", kill)
    elif fault.place == "deleting":
        at_call(shutil, "rmtree", delete_half)
    elif fault.place == "testing":
        progress = evaluation_progress.EvaluationProgress
        at_call(progress, "append", kill)
