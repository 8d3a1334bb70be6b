"""Statistics that several processes share, each utterance once.

Authors
 * The speechbrain-merit developers 2026
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from speechbrain.utils.logger import get_logger
from speechbrain.utils.metric_stats import MetricStats

logger = get_logger(__name__)


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


def merge_rows(
    parts: Iterable[Iterable[tuple[str, Any]]], order: Sequence[str]
) -> dict[str, Any]:
    """Joins what is known about utterances as `merge_ids` joins identities.

    Arguments
    ---------
    parts : iterable
        Identities, and what each process knows about them.
    order : sequence of str
        All that there are, scored or not, in the order of one process.

    Returns
    -------
    dict
        What is known by identity.

    Raises
    ------
    ValueError
        If an utterance is scored twice, or is not among all.

    Example
    -------
    >>> merge_rows([[("b", 2.0)], [("a", 1.0)]], order=["a", "b"])
    {'a': 1.0, 'b': 2.0}
    """
    pairs = [pair for part in parts for pair in part]
    rows = dict(pairs)
    names = merge_ids([[name for name, _ in pairs]], order)
    return {name: rows[name] for name in names}


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
        parts = (self, *others)
        scores = merge_rows(
            [zip(part.ids, part.scores, strict=True) for part in parts], order
        )
        self.ids: list[str] = list(scores)
        self.scores: list[Any] = [score.cpu() for score in scores.values()]

    def __getstate__(self) -> dict[str, Any]:
        # Another process has no use for tensors on this one's device.
        return {**self.__dict__, "scores": [s.cpu() for s in self.scores]}


class JsonStats(MetricStats):
    """SpeechBrain's `MetricStats` for a summary of one's own.

    Arguments are those of `MetricStats`; `summarize` is to be given.

    Example
    -------
    >>> import io
    >>> class Count(JsonStats):
    ...     def summarize(self, field=None):
    ...         return {"count": len(self.ids)}
    >>> stream = io.StringIO()
    >>> Count(metric=None).write_stats(stream)
    >>> stream.getvalue()
    '{\\n "count": 0\\n}\\n'
    """

    def write_stats(self, filestream: TextIO, verbose: bool = False) -> None:
        """Writes the summary as JSON.

        Arguments
        ---------
        filestream : file-like object
            Where to write.
        verbose : bool
            Whether to log it too.
        """
        text = json.dumps(self.summarize(), indent=1)
        filestream.write(text + "\n")
        if verbose:
            logger.info(text)
