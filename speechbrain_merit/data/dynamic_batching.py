"""Batches of utterances of like length, as many as fit.

Authors
 * The speechbrain-merit developers 2026
"""

from typing import Any

import numpy as np

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import DynamicBatchSampler

# What a sampler of batches decides in the place of a loader.
_REPLACED = ("batch_size", "shuffle", "sampler", "drop_last")


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

    Raises
    ------
    ValueError
        If there are no buckets, or one utterance is longer than a batch.

    Example
    -------
    >>> data = {f"u{n}": {"duration_s": float(n)} for n in range(1, 11)}
    >>> batches = make_batch_sampler(
    ...     DynamicItemDataset(data), 12.0, 3, max_duration_s=6.0, seed=1
    ... )
    >>> sorted(map(sorted, batches))
    [[0, 1, 2], [3], [4, 7], [5, 6], [8, 9]]
    """
    if num_buckets < 1:
        raise ValueError(
            f"num_length_buckets is {num_buckets}: give 1 or more."
        )
    durations_s = [
        min(dataset.data[name]["duration_s"], max_duration_s)
        for name in dataset.data_ids
    ]
    if max(durations_s) > max_batch_duration_s:
        raise ValueError(
            f"max_batch_duration_s is {max_batch_duration_s}, but an "
            f"utterance takes {max(durations_s)} s: raise it, or lower "
            "max_duration_s."
        )
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
