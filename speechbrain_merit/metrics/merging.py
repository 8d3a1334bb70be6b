"""Joining what several processes have scored, each utterance once.

Authors
 * The speechbrain-merit developers 2026
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from speechbrain.utils.metric_stats import MetricStats


def merge_ids(
    parts: Sequence[Sequence[str]], order: Sequence[str]
) -> list[str]:
    """Joins identities in the order in which one process would have them.

    Arguments
    ---------
    parts : sequence
        Identities that each process has scored.
    order : sequence of str
        All that there are, scored or not, in the order of one process.

    Returns
    -------
    list of str
        All that are scored.

    Raises
    ------
    ValueError
        If an utterance is scored twice, or is not among all.

    Example
    -------
    >>> merge_ids([["a", "d"], ["c"]], order=["a", "b", "c", "d"])
    ['a', 'c', 'd']
    """
    found = [name for part in parts for name in part]
    known = set(found)
    if len(known) < len(found):
        twice = sorted(n for n, times in Counter(found).items() if times > 1)
        raise ValueError(f"Utterances {twice} are scored by two processes.")
    merged = [name for name in order if name in known]
    if len(merged) < len(known):
        raise ValueError(
            f"Utterances {sorted(known.difference(order))} are scored, but "
            "not among those to be scored."
        )
    return merged


class MergeableStats(MetricStats):
    """SpeechBrain's `MetricStats`, which processes can share.

    Arguments are those of `MetricStats`.

    Example
    -------
    >>> import torch
    >>> one, other = (MergeableStats(metric=torch.abs) for _ in range(2))
    >>> one.append(["b"], torch.tensor([-2.0]))
    >>> other.append(["a"], torch.tensor([4.0]))
    >>> one.merge([other], order=["a", "b"])
    >>> one.ids, one.summarize("average")
    (['a', 'b'], 3.0)
    """

    def merge(
        self, others: Sequence["MergeableStats"], order: Sequence[str]
    ) -> None:
        """Takes in what other processes have scored.

        Arguments
        ---------
        others : sequence of MergeableStats
            Of other utterances.
        order : sequence of str
            Identity of all utterances, in the order of one process.
        """
        parts = [self, *others]
        scores = {
            name: score
            for part in parts
            for name, score in zip(part.ids, part.scores, strict=True)
        }
        self.ids: list[str] = merge_ids([part.ids for part in parts], order)
        self.scores: list[Any] = [scores[name].cpu() for name in self.ids]

    def __getstate__(self) -> dict[str, Any]:
        # Another process has no use for tensors on this one's device.
        return {**self.__dict__, "scores": [s.cpu() for s in self.scores]}
