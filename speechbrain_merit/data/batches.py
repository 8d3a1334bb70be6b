"""Batches of a loader or from all over a dataset, and the steps of an epoch.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    SequentialSampler,
    Subset,
)

from speechbrain.dataio.batch import PaddedBatch


def spread_batches(
    dataset: Dataset, num_utterances: int, batch_size: int
) -> DataLoader:
    """Batches so many utterances, spread over the whole dataset.

    Arguments
    ---------
    dataset : torch.utils.data.Dataset
        Of dictionaries, as a `DynamicItemDataset`.
    num_utterances : int
        How many; all that there are if they are fewer.
    batch_size : int
        How many together.

    Returns
    -------
    torch.utils.data.DataLoader
        Of `PaddedBatch`.

    Example
    -------
    >>> dataset = [{"id": f"u{number}"} for number in range(10)]
    >>> [batch.id for batch in spread_batches(dataset, 3, batch_size=2)]
    [['u0', 'u3'], ['u6']]
    """
    step = max(len(dataset) // max(num_utterances, 1), 1)
    indices = range(0, len(dataset), step)[:num_utterances]
    return DataLoader(
        Subset(dataset, indices), batch_size=batch_size, collate_fn=PaddedBatch
    )


def take_batches(
    dataset: Sequence, options: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Parts a loader's batches from what else it is told.

    Arguments
    ---------
    dataset : Dataset
        What is to be loaded.
    options : Mapping
        Of `torch.utils.data.DataLoader`, without shuffling.

    Returns
    -------
    tuple of Sampler and dict
        The batches that a loader with these options gives; the options that
        go with a `batch_sampler`.

    Example
    -------
    >>> batches, others = take_batches(
    ...     range(3), {"batch_size": 2, "num_workers": 1}
    ... )
    >>> list(batches), others
    ([[0, 1], [2]], {'num_workers': 1})
    """
    others = dict(options)
    batches = others.pop("batch_sampler", None)
    if batches is None:
        batches = BatchSampler(
            others.pop("sampler", SequentialSampler(dataset)),
            others.pop("batch_size", 1),
            others.pop("drop_last", False),
        )
    return batches, others


def count_optimizer_steps(
    num_utterances: int,
    batch_size: int,
    grad_accumulation_factor: int,
    num_processes: int = 1,
) -> int:
    """Counts the optimizer's steps in an epoch, as SpeechBrain makes them.

    Batches that are left over at the end of an epoch make no step.

    Arguments
    ---------
    num_utterances : int
        In the training set.
    batch_size : int
        Utterances in a batch of one process.
    grad_accumulation_factor : int
        Batches of one process in a step.
    num_processes : int
        How many share the utterances.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        If the utterances do not suffice for one step.

    Example
    -------
    >>> count_optimizer_steps(100, batch_size=4, grad_accumulation_factor=8)
    3
    """
    shared = math.ceil(num_utterances / num_processes)
    steps = math.ceil(shared / batch_size) // grad_accumulation_factor
    if steps == 0:
        raise ValueError(
            f"{num_utterances} training utterances make no optimizer step in "
            f"batches of {batch_size} with grad_accumulation_factor "
            f"{grad_accumulation_factor}: lower one of the two."
        )
    return steps
