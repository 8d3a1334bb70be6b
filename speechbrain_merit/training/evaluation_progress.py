"""What a test has found so far, so that an interrupted one goes on.

Scores such as PESQ take longer than the model itself: a large test lasts for
hours. What was found is kept while it runs, and used again by the same test
alone: of the same weights, mixtures, batches and metrics.

Authors
 * The speechbrain-merit developers 2026
"""

import hashlib
import io
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch.utils.data import Sampler

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.batches import take_batches
from speechbrain_merit.training.checksums import sync_to_disk

logger = get_logger(__name__)


class Restorable(Protocol):
    """Statistics with a state of tensors, numbers, strings, lists, dicts."""

    def state_dict(self) -> Any:
        """Gives the state.

        Returns
        -------
        Any
            For `load_state_dict`.
        """

    def load_state_dict(self, state: Any) -> None:
        """Takes a state up again.

        Arguments
        ---------
        state : Any
            As of `state_dict`.
        """


class EvaluationProgress:
    """Keeps the statistics of a test in a file while it runs.

    Arguments
    ---------
    path : str or Path
        The file, which is there while the test is unfinished.
    interval_minutes : float
        How often to write; 0 for not by time.
    interval_batches : int
        After how many batches to write; 0 for not by number.

    Example
    -------
    >>> from speechbrain_merit.metrics import EmotionStats
    >>> path = getfixture("tmpdir") / "test_progress.ckpt"
    >>> def start():
    ...     progress = EvaluationProgress(path, 0, 1)
    ...     progress.open("this test")
    ...     statistics = {"emotion": EmotionStats(["angry", "sad"])}
    ...     progress.restore(statistics)
    ...     return progress, statistics
    >>> progress, statistics = start()
    >>> statistics["emotion"].append(
    ...     ["a"], torch.tensor([[0.0, -9.0]]), torch.tensor([0])
    ... )
    >>> progress.count_batch(statistics)
    >>> progress, statistics = start()
    >>> progress.num_batches, statistics["emotion"].ids
    (1, ['a'])
    """

    def __init__(
        self,
        path: str | Path,
        interval_minutes: float,
        interval_batches: int,
    ) -> None:
        self.path = Path(path)
        self.interval_s = 60 * interval_minutes
        self.interval_batches = interval_batches
        self.identity = ""
        self.num_batches = 0
        self.facts: dict[str, Any] = {}
        self._statistics: dict[str, Any] = {}
        self._written_s = time.monotonic()
        self._num_unwritten = 0

    def open(self, identity: str) -> bool:
        """Looks for what was found before.

        Arguments
        ---------
        identity : str
            Of the test, see `identify`.

        Returns
        -------
        bool
            Whether there is anything.
        """
        self.identity = identity
        saved = self._read()
        if saved is None or saved["identity"] != identity:
            return False
        self.num_batches = saved["num_batches"]
        self.facts = saved["facts"]
        self._statistics = saved["statistics"]
        return True

    def restore(self, statistics: Mapping[str, Restorable]) -> None:
        """Gives statistics what was found before.

        Arguments
        ---------
        statistics : Mapping
            By name, empty.
        """
        for name, state in self._statistics.items():
            statistics[name].load_state_dict(state)
        self._statistics = {}
        self._written_s = time.monotonic()

    def count_batch(self, statistics: Mapping[str, Restorable]) -> None:
        """Takes note of a batch, and writes when it is time.

        Arguments
        ---------
        statistics : Mapping
            By name, with that batch.
        """
        self.num_batches += 1
        self._num_unwritten += 1
        elapsed_s = time.monotonic() - self._written_s
        if (
            0 < self.interval_s < elapsed_s
            or 0 < self.interval_batches <= self._num_unwritten
        ):
            self.write(statistics)

    def write(self, statistics: Mapping[str, Restorable]) -> None:
        """Writes what was found so far.

        Arguments
        ---------
        statistics : Mapping
            By name.
        """
        buffer = io.BytesIO()
        state = {
            "identity": self.identity,
            "num_batches": self.num_batches,
            "facts": self.facts,
            "statistics": {n: s.state_dict() for n, s in statistics.items()},
        }
        torch.save(state, buffer)
        content = buffer.getvalue()
        partial = self.path.with_name(self.path.name + ".partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(hashlib.sha256(content).digest() + content)
        sync_to_disk(partial)
        os.replace(partial, self.path)
        self._written_s = time.monotonic()
        self._num_unwritten = 0

    def remove(self) -> None:
        """Forgets it all, when the test is finished."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        content = self.path.read_bytes()
        size = hashlib.sha256().digest_size
        if hashlib.sha256(content[size:]).digest() != content[:size]:
            logger.warning("%s is damaged: testing from the start.", self.path)
            return None
        return torch.load(io.BytesIO(content[size:]), weights_only=True)


class RemainingBatches(Sampler):
    """The batches that a test has not done when it starts.

    Arguments
    ---------
    batches : sampler
        All batches.
    progress : EvaluationProgress
        Opened before the first batch is asked for.

    Example
    -------
    >>> progress = EvaluationProgress("nowhere", 0, 0)
    >>> progress.num_batches = 2
    >>> list(RemainingBatches([[0, 1], [2, 3], [4]], progress))
    [[4]]
    """

    def __init__(
        self, batches: Sequence[list[int]], progress: EvaluationProgress
    ) -> None:
        self.batches = batches
        self.progress = progress

    def __iter__(self) -> Iterator[list[int]]:
        return itertools.islice(self.batches, self.progress.num_batches, None)

    def __len__(self) -> int:
        return max(len(self.batches) - self.progress.num_batches, 0)


def remaining_options(
    dataset: Sequence, options: Mapping[str, Any], progress: EvaluationProgress
) -> dict[str, Any]:
    """Lets a test's loader leave out what was done before.

    Arguments
    ---------
    dataset : Dataset
        What is to be loaded.
    options : Mapping
        Of `torch.utils.data.DataLoader`, without shuffling.
    progress : EvaluationProgress
        Says how much was done.

    Returns
    -------
    dict
        Options with `batch_sampler`, which holds all `batches`.

    Example
    -------
    >>> progress = EvaluationProgress("nowhere", 0, 0)
    >>> options = remaining_options(range(3), {"batch_size": 2}, progress)
    >>> list(options["batch_sampler"])
    [[0, 1], [2]]
    """
    batches, others = take_batches(dataset, options)
    return {**others, "batch_sampler": RemainingBatches(batches, progress)}


def identify(
    weights: Mapping[str, torch.Tensor], *facts: Any, batches: Iterable
) -> str:
    """Tells one test from another.

    Arguments
    ---------
    weights : Mapping
        Of the model.
    *facts : Any
        All else that the results depend on, as far as its `repr` tells.
    batches : iterable of list of int
        What is tested together.

    Returns
    -------
    str
        The same for the same test.

    Example
    -------
    >>> one = identify({"a": torch.zeros(2)}, ["stoi"], batches=[[0, 1]])
    >>> one == identify({"a": torch.zeros(2)}, ["stoi"], batches=[[0, 1]])
    True
    >>> one == identify({"a": torch.ones(2)}, ["stoi"], batches=[[0, 1]])
    False
    """
    digest = hashlib.sha256(repr((facts, list(batches))).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(repr((name, tensor.dtype, tensor.shape)).encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()
