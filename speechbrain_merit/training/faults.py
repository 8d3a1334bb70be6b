"""What to say when the machine fails a training, not its code.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import errno
import multiprocessing.connection
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch.utils.data import dataloader

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How PyTorch's messages about a loader's process that has ended begin.
_LOST_LOADER = "DataLoader worker (pid"
# What is seen first where the process ends between sending an item and handing
# over its memory, and how long the system may take to tell that it has ended.
_BROKEN_CONNECTION = (ConnectionError, EOFError)
_NOTICE_S = 1.0


@contextlib.contextmanager
def naming_utterances(
    ids: Sequence[str], durations_s: Sequence[float]
) -> Iterator[None]:
    """Says which utterances the accelerator's memory was too small for.

    Arguments
    ---------
    ids : sequence of str
        Identity of every utterance of a batch.
    durations_s : sequence of float
        How long each is, in seconds.

    Yields
    ------
    None

    Raises
    ------
    torch.OutOfMemoryError
        In place of one that is raised within.

    Example
    -------
    >>> with naming_utterances(["a", "b"], [1.5, 12.0]):
    ...     raise torch.OutOfMemoryError("Tried to allocate 1 GiB.")
    Traceback (most recent call last):
    ...
    torch.OutOfMemoryError: Not enough memory for a batch of 2 utterances, ...
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        pairs = zip(ids, durations_s, strict=True)
        named = ", ".join(f"{name} ({length:.1f} s)" for name, length in pairs)
        raise torch.OutOfMemoryError(
            f"Not enough memory for a batch of {len(ids)} utterances, "
            f"{sum(durations_s):.1f} s in all: {named}. Lower batch_size (and "
            "raise grad_accumulation_factor as much, for the same steps) or "
            "max_duration_s, freeze more (freeze_encoder), set "
            "checkpoint_activations, or give --precision=bf16; a training "
            f"then continues from its last checkpoint. {error}"
        ) from error


@contextlib.contextmanager
def explained_faults(folder: str | Path) -> Iterator[None]:
    """Says what to do when the disk is full or a loading process is gone.

    Arguments
    ---------
    folder : str or Path
        Where the training writes.

    Yields
    ------
    None

    Raises
    ------
    OSError
        In place of the system's for a full disk.
    RuntimeError
        In place of PyTorch's for a process that loads data.

    Example
    -------
    >>> with explained_faults("results"):
    ...     raise RuntimeError("DataLoader worker (pid 7) is killed by signal.")
    Traceback (most recent call last):
    ...
    RuntimeError: A process that loads data was ended from outside, most ...
    """
    try:
        yield
    except Exception as error:
        cause = _seen_cause(error)
        if str(cause).startswith(_LOST_LOADER) or _is_broken_loader(cause):
            raise RuntimeError(_lost_loader(cause)) from cause
        if isinstance(error, OSError) and error.errno in _FULL_DISK:
            raise OSError(_full_disk(error, folder)) from error
        raise


def _is_broken_loader(error: Exception) -> bool:
    """Whether a connection to a process that loads data was lost."""
    if not isinstance(error, _BROKEN_CONNECTION):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    files = {frame.filename for frame in frames}
    return {dataloader.__file__, multiprocessing.connection.__file__} <= files


def _seen_cause(error: Exception) -> Exception:
    """The signal of the process's end, where it follows its connection's."""
    try:
        if _is_broken_loader(error):
            time.sleep(_NOTICE_S)
    except RuntimeError as cause:  # raised by PyTorch's handler of the signal
        return cause
    return error


def _lost_loader(error: Exception) -> str:
    cause = str(error) or type(error).__name__
    return (
        "A process that loads data was ended from outside, most often by "
        "the system for lack of memory. The same command continues from "
        "the last checkpoint; for less memory, lower num_workers of "
        "train_dataloader_opts, valid_dataloader_opts and "
        "test_dataloader_opts, or cache_size of noises; where /dev/shm is "
        f"full, also batch_size. {cause}"
    )


def _full_disk(error: OSError, folder: str | Path) -> str:
    free_bytes = shutil.disk_usage(folder).free
    return (
        f"{error.filename or 'A file'} could not be written; "
        f"{free_bytes / 1e6:.0f} MB are free for {folder}: {error}. Make "
        "room on that disk, and the same command continues."
    )
