"""Sharing the data among the processes, and joining what they found.

Evaluation has no gradients to exchange, so that processes may have different
numbers of batches, and no utterance has to be scored twice to fill them up. A
batch stays as it is in one process: its results are the same bit by bit.

Authors
 * The speechbrain-merit developers 2026
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import ReproducibleRandomSampler
from speechbrain_merit.data.batches import take_batches

from .processes import num_processes


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
    # Every n-th one for one of n processes.
    share = list(batches)[torch.distributed.get_rank() :: num_processes()]
    return {**others, "batch_sampler": share}


def gather(own: Any) -> list[Any]:
    """Gives every process what all of them have; call it in all of them.

    Arguments
    ---------
    own : Any
        Of this process; it is pickled.

    Returns
    -------
    list
        One of each process.

    Example
    -------
    >>> gather(1.5)
    [1.5]
    """
    if num_processes() == 1:
        return [own]
    gathered: list[Any] = [None] * num_processes()
    torch.distributed.all_gather_object(gathered, own)
    return gathered


def mean_over_processes(mean: float, count: int) -> float:
    """Averages what every process has averaged; call it in all of them.

    Arguments
    ---------
    mean : float
        Of this process; of no matter where it counts nothing.
    count : int
        What it is a mean of.

    Returns
    -------
    float
        In one process the mean as it was given.

    Example
    -------
    >>> mean_over_processes(0.1, 3)
    0.1
    """
    parts = gather((mean, count))
    if len(parts) == 1:
        return mean
    total = sum(mean * count for mean, count in parts if count)
    return total / max(sum(count for _, count in parts), 1)


def gather_rows(
    rows: Iterable[Mapping[str, Any]], order: Iterable[str]
) -> list[Mapping[str, Any]]:
    """Joins what the processes know of utterances, as one would have it.

    Arguments
    ---------
    rows : iterable of Mapping
        With `id`, of this process.
    order : iterable of str
        All that there are, known or not, in the order of one process.

    Returns
    -------
    list of Mapping
        Of all processes, in that order.

    Raises
    ------
    ValueError
        If there are two rows of an utterance, or one that is not among all.

    Example
    -------
    >>> gather_rows([{"id": "d"}, {"id": "a"}], order=["a", "b", "c", "d"])
    [{'id': 'a'}, {'id': 'd'}]
    """
    found = [row for part in gather(list(rows)) for row in part]
    by_id = {row["id"]: row for row in found}
    if len(by_id) < len(found):
        counts = Counter(row["id"] for row in found)
        twice = sorted(name for name in counts if counts[name] > 1)
        raise ValueError(f"Utterances {twice} are scored by two processes.")
    ordered = [by_id.pop(name) for name in order if name in by_id]
    if by_id:
        raise ValueError(
            f"Utterances {sorted(by_id)} are scored, but not among those to "
            "be scored."
        )
    return ordered
