"""What to say and do when the machine or the numbers fail a training.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import errno
import multiprocessing.connection
import shutil
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import dataloader

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

# As shells have it after Ctrl-C.
INTERRUPTED = 130
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
            f"{sum(durations_s):.1f} s in all: {named}. Set "
            "checkpoint_activations: the training then continues from its "
            "last checkpoint. Or, in another output_folder, lower batch_size "
            "(and raise grad_accumulation_factor as much, for the same steps) "
            "or max_duration_s, freeze more (freeze_encoder), or give "
            f"--precision=bf16. {error}"
        ) from error


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Ends the program with an error's text alone, as for a wrong option.

    Yields
    ------
    None

    Raises
    ------
    SystemExit
        In place of a ValueError or OSError.

    Example
    -------
    >>> with told_plainly():
    ...     raise ValueError("batch_size is 0.")
    Traceback (most recent call last):
    ...
    SystemExit: batch_size is 0.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None


@contextlib.contextmanager
def explained_faults(folder: str | Path) -> Iterator[None]:
    """Says what to do after a full disk, a lost loading process or Ctrl-C.

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
    SystemExit
        With status 130, in place of KeyboardInterrupt.

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
    except KeyboardInterrupt:
        logger.warning(
            "Interrupted. The same command continues from the last checkpoint "
            "in %s.",
            folder,
        )
        raise SystemExit(INTERRUPTED) from None
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
        "full, train with a lower batch_size in another output_folder. "
        f"{cause}"
    )


def _full_disk(error: OSError, folder: str | Path) -> str:
    free_bytes = shutil.disk_usage(folder).free
    return (
        f"{error.filename or 'A file'} could not be written; "
        f"{free_bytes / 1e6:.0f} MB are free for {folder}: {error}. Make "
        "room on that disk, and the same command continues."
    )


def drop_nonfinite_gradients(parameters: Iterable[nn.Parameter]) -> bool:
    """Removes all gradients where their norm is not finite.

    An optimizer then leaves everything as it is. Processes whose gradients
    are averaged agree about it.

    Arguments
    ---------
    parameters : iterable of torch.nn.Parameter
        All that are trained.

    Returns
    -------
    bool
        Whether they were removed.

    Example
    -------
    >>> weight = nn.Parameter(torch.ones(2))
    >>> weight.grad = torch.tensor([1.0, float("nan")])
    >>> drop_nonfinite_gradients([weight]), weight.grad
    (True, None)
    """
    found = [p for p in parameters if p.grad is not None]
    if not found:
        return False
    norm = nn.utils.get_total_norm([p.grad for p in found])
    if bool(torch.isfinite(norm)):
        return False
    for parameter in found:
        parameter.grad = None
    return True


class NonfiniteSteps:
    """Names the utterances of steps that are left out, and ends too many.

    SpeechBrain counts losses that are not finite and stops after
    `nonfinite_patience` of them in an epoch, but steps with them all the same,
    after which no weight is finite.

    Example
    -------
    >>> steps = NonfiniteSteps()
    >>> steps.add(["a", "b"])
    >>> steps.report("The loss is nan", count=4, patience=3)
    Traceback (most recent call last):
    ...
    ValueError: The loss is nan for the utterances a, b; ...
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begins another step."""
        self.ids: list[str] = []
        self.is_reported = False

    def add(self, ids: Sequence[str]) -> None:
        """Takes note of a batch of the step.

        Arguments
        ---------
        ids : sequence of str
            Identity of every utterance.
        """
        self.batch_ids = list(ids)
        self.ids += ids

    def report(
        self, what: str, count: int, patience: int, of_batch: bool = True
    ) -> None:
        """Says what is not finite, and for which utterances.

        Arguments
        ---------
        what : str
            Beginning of a sentence.
        count : int
            How many steps of the epoch were left out, with this one.
        patience : int
            How many may be.
        of_batch : bool
            Whether it is the last batch's, or that of the whole step.

        Raises
        ------
        ValueError
            If there are too many of them.
        """
        self.is_reported = True
        ids = self.batch_ids if of_batch else self.ids
        message = f"{what} for the utterances {', '.join(ids)}"
        if count > patience:
            raise ValueError(
                f"{message}; {count} steps of this epoch had to be left out, "
                f"and nonfinite_patience is {patience}. Look at these files: "
                "no such step was taken, and when they are mended, the same "
                "command continues from the last checkpoint. If they are "
                "sound, train in another output_folder with a lower lr or "
                "--max_grad_norm, or with --precision=fp32."
            )
        logger.warning(
            "%s: this step is left out, %d of at most %d in an epoch",
            message,
            count,
            patience,
        )
