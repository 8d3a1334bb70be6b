"""Batches: of like length, from all over a dataset, and the steps of an epoch.

Authors
 * The speechbrain-merit developers 2026
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    SequentialSampler,
    Subset,
)

from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import DynamicBatchSampler

# What a sampler of batches decides in the place of a loader.
_REPLACED = ("batch_size", "shuffle", "sampler", "drop_last")
# The name of the class of utterances without a label.
UNLABELLED = "unlabelled"


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
    num_epochs: int, batches_per_epoch: int, grad_accumulation_factor: int
) -> int:
    """Counts the optimizer's steps in a training, as SpeechBrain makes them.

    Batches that are left over at the end of an epoch make no step.

    Arguments
    ---------
    num_epochs : int
        Epochs.
    batches_per_epoch : int
        Of one process.
    grad_accumulation_factor : int
        Batches of one process in a step.

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
    >>> count_optimizer_steps(2, 25, grad_accumulation_factor=8)
    6
    """
    steps = batches_per_epoch // grad_accumulation_factor
    if steps == 0:
        raise ValueError(
            f"{batches_per_epoch} batches of a process make no optimizer step "
            f"with grad_accumulation_factor {grad_accumulation_factor}: lower "
            "it or batch_size."
        )
    return num_epochs * steps


def make_batch_sampler(
    dataset: DynamicItemDataset,
    max_batch_duration_s: float,
    num_buckets: int,
    max_duration_s: float,
    seed: int,
) -> DynamicBatchSampler:
    """Makes SpeechBrain's sampler with buckets that fit the dataset.

    Every bucket holds about the same number of utterances; upstream's own
    buckets reach up to the length of a whole batch, where there are none. An
    epoch's batches are a function of the seed and of the epoch's number,
    which `Brain` sets where the sampler is its `train_sampler`; their number
    is that of every epoch.

    Arguments
    ---------
    dataset : DynamicItemDataset
        Utterances with their `duration_s`.
    max_batch_duration_s : float
        Longest batch in seconds, padding included.
    num_buckets : int
        How many lengths are told apart: more give less padding, and batches
        that differ less from epoch to epoch.
    max_duration_s : float
        Longer utterances are cut at their end.
    seed : int
        Of the order.

    Returns
    -------
    DynamicBatchSampler
        Gives lists of indices into the dataset.

    Example
    -------
    >>> data = {f"u{n}": {"duration_s": float(n)} for n in range(1, 11)}
    >>> batches = make_batch_sampler(
    ...     DynamicItemDataset(data), 12.0, 3, max_duration_s=6.0, seed=1
    ... )
    >>> sorted(map(sorted, batches))
    [[0, 1, 2], [3], [4, 7], [5, 6], [8, 9]]
    """
    durations_s = [
        min(dataset.data[name]["duration_s"], max_duration_s)
        for name in dataset.data_ids
    ]
    shares = np.linspace(0, 1, num_buckets + 1)[1:]
    # Durations that there are, so that rounding moves none beyond the last.
    boundaries_s = np.quantile(durations_s, shares, method="inverted_cdf")
    return DynamicBatchSampler(
        dataset,
        max_batch_duration_s,
        lengths_list=durations_s,
        bucket_boundaries=np.unique(boundaries_s).tolist(),
        seed=seed,
    )


def use_batch_sampler(
    options: dict[str, Any], sampler: DynamicBatchSampler
) -> dict[str, Any]:
    """Lets a sampler decide on a loader's batches.

    Arguments
    ---------
    options : dict
        Of `torch.utils.data.DataLoader`.
    sampler : DynamicBatchSampler
        Gives the batches.

    Returns
    -------
    dict
        Options without those that the sampler replaces.

    Example
    -------
    >>> use_batch_sampler({"batch_size": 4, "num_workers": 1}, "sampler")
    {'num_workers': 1, 'batch_sampler': 'sampler'}
    """
    kept = {key: options[key] for key in options if key not in _REPLACED}
    return {**kept, "batch_sampler": sampler}


def draw_shares(
    groups: Sequence[tuple[str | None, str | None]],
    weights: Mapping[str, float],
) -> list[float]:
    """Tells how much of the draws every utterance gets.

    Corpora share the draws by their weights. Within a corpus, classes share
    them by theirs where a class has a weight; else utterances share alike.

    Arguments
    ---------
    groups : sequence of tuple
        Corpus and class of every utterance; None for the only corpus, and for
        no label.
    weights : Mapping
        By the name of a corpus, of a class, or `UNLABELLED`; 1 where there is
        none. Without any, all utterances are drawn alike.

    Returns
    -------
    list of float
        In order; their sum is their number.

    Raises
    ------
    ValueError
        If a weight is for nothing that there is, or all are 0.

    Example
    -------
    >>> groups = [("A", "sad"), ("A", "sad"), ("B", "sad"), ("B", "happy")]
    >>> draw_shares(groups, {"B": 3.0})
    [0.5, 0.5, 1.5, 1.5]
    >>> draw_shares(groups, {"B": 3.0, "happy": 2.0})
    [0.5, 0.5, 1.0, 2.0]
    """
    if not weights:
        return [1.0] * len(groups)
    named = [(corpus, label or UNLABELLED) for corpus, label in groups]
    known = {name for group in named for name in group if name is not None}
    if unknown := sorted(set(weights) - known):
        raise ValueError(
            f"sampling_weights names {unknown}: the training data have "
            f"{sorted(known)}."
        )
    if not {label for _, label in named} & set(weights):
        named = [(corpus, UNLABELLED) for corpus, _ in named]
    counts = Counter(named)
    shares = []
    for corpus, label in named:
        own = [weights.get(x, 1.0) for c, x in counts if c == corpus]
        weight = weights.get(corpus or "", 1.0) * weights.get(label, 1.0)
        shares.append(weight / (sum(own) or 1.0) / counts[corpus, label])
    if not any(shares):
        raise ValueError(f"sampling_weights is {weights}: all of it is 0.")
    return [share * len(shares) / sum(shares) for share in shares]
