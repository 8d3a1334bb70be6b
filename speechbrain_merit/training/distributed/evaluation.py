"""Sharing the data among the processes, and joining what they found.

Evaluation has no gradients to exchange, so that processes may have different
numbers of batches, and no utterance has to be scored twice to fill them up. A
batch stays as it is in one process: its results are the same bit by bit.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch.utils.data import Sampler

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import ReproducibleRandomSampler
from speechbrain_merit.data.batches import take_batches

from .processes import num_processes


class Mergeable(Protocol):
    """Statistics that take in those of other processes."""

    def merge(
        self, others: Sequence["Mergeable"], order: Sequence[str]
    ) -> None:
        """Takes in what other processes have found.

        Arguments
        ---------
        others : sequence of Mergeable
            Statistics of the same kind, of other utterances.
        order : sequence of str
            Identity of all utterances, in the order of one process.
        """
        ...


@dataclasses.dataclass
class SharedMean:
    """A mean over batches, of which a process has a share.

    Arguments
    ---------
    mean : float
        Over this process's batches; of no matter where it has none.
    count : int
        Number of them.

    Example
    -------
    >>> mean = SharedMean(1.0, 3)
    >>> mean.merge([SharedMean(2.0, 1)], order=[])
    >>> mean.mean
    1.25
    """

    mean: float
    count: int

    def merge(
        self, others: Sequence["SharedMean"], order: Sequence[str]
    ) -> None:
        """Averages over the batches of all processes.

        Arguments
        ---------
        others : sequence of SharedMean
            Of other batches.
        order : sequence of str
            Of no use here: sums have no order.
        """
        parts = [part for part in (self, *others) if part.count]
        count = sum(part.count for part in parts)
        total = sum(part.mean * part.count for part in parts)
        self.mean, self.count = total / max(count, 1), count


class ProcessShare(Sampler):
    """Every n-th batch of a sampler of batches, for one of n processes.

    Arguments
    ---------
    batches : Sampler
        Gives the batches of one process.
    rank : int
        Which process this is.
    num_processes : int
        How many there are.

    Example
    -------
    >>> from torch.utils.data import BatchSampler, SequentialSampler
    >>> batches = BatchSampler(range(7), batch_size=2, drop_last=False)
    >>> [list(ProcessShare(batches, rank, 3)) for rank in range(3)]
    [[[0, 1], [6]], [[2, 3]], [[4, 5]]]
    """

    def __init__(
        self, batches: Sampler[list[int]], rank: int, num_processes: int
    ) -> None:
        self.batches = batches
        self.rank = rank
        self.num_processes = num_processes

    def __iter__(self) -> Iterator[list[int]]:
        return itertools.islice(
            iter(self.batches), self.rank, None, self.num_processes
        )

    def __len__(self) -> int:
        return len(range(self.rank, len(self.batches), self.num_processes))


def share_data(
    dataset: DynamicItemDataset,
    training: bool,
    seed: int,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Divides a dataset among the processes by its loader's options.

    For training upstream deals a sampler's utterances out in turn, the same
    number to every process, the first ones a second time if need be. It gets
    the sampler that it would make in one process. So the batches of all
    processes together are those of one process with as many times the batch
    size. Batches that a sampler of batches gives are shared as they are.

    Arguments
    ---------
    dataset : DynamicItemDataset
        What is to be loaded.
    training : bool
        Whether upstream will divide it.
    seed : int
        Of the order in training.
    options : Mapping
        Of `torch.utils.data.DataLoader`.

    Returns
    -------
    dict
        Options for this process.

    Example
    -------
    >>> share_data(range(8), False, 1986, {"batch_size": 4, "num_workers": 1})
    {'batch_size': 4, 'num_workers': 1}
    """
    options = dict(options)
    if num_processes() == 1:
        return options
    if training:
        if options.pop("shuffle", False) and "batch_sampler" not in options:
            options["sampler"] = ReproducibleRandomSampler(dataset, seed=seed)
        return options
    batches, others = take_batches(dataset, options)
    share = ProcessShare(batches, torch.distributed.get_rank(), num_processes())
    return {**others, "batch_sampler": share}


def merge_over_processes(
    statistics: Mapping[str, Mergeable], order: Sequence[str]
) -> None:
    """Gives every process the statistics of all; call it in all of them.

    Arguments
    ---------
    statistics : Mapping
        By name, the same names in every process; changed in place. They are
        pickled.
    order : sequence of str
        Identity of all utterances, in the order of one process.

    Example
    -------
    >>> merge_over_processes({}, ["u0", "u1"])  # one process has it all
    """
    if num_processes() == 1:
        return
    gathered: list = [None] * num_processes()
    torch.distributed.all_gather_object(gathered, dict(statistics))
    del gathered[torch.distributed.get_rank()]
    for name, own in statistics.items():
        own.merge([others[name] for others in gathered], order)
