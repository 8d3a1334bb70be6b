"""How much every expert is used, and by which utterances.

Also how sure the gates are, and how much they agree.

Authors
 * The speechbrain-merit developers 2026
"""

import itertools
import math
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any

import torch

from speechbrain_merit.lobes import Routing


class RoutingStats:
    """Counts the choices of every gate over a stage.

    Example
    -------
    >>> experts = torch.tensor([[[0], [1], [1], [1]]])
    >>> stats = RoutingStats()
    >>> even = torch.full((1, 4, 2), 0.5)
    >>> stats.append(
    ...     {
    ...         "enhance": Routing(even, 1 - experts),
    ...         "emotion": Routing(even, experts),
    ...     }
    ... )
    >>> stats.shares()
    {'enhance': [0.75, 0.25], 'emotion': [0.25, 0.75]}
    >>> round(stats.summarize()["emotion_gate_entropy"], 4)
    1.0
    >>> stats.agreements()
    {'enhance_emotion': 0.0}
    """

    def __init__(self) -> None:
        # By task, or by pair of tasks. Plain values: checkpoints hold them.
        self.sums: dict[str, dict[str, Any]] = {
            "choices": {},
            "entropy": {},
            "frames": {},
            "same": {},
            "compared": {},
        }

    def append(self, routing: Mapping[str, Routing]) -> None:
        """Adds the routing of a batch.

        Arguments
        ---------
        routing : Mapping
            One report per task; none for systems without gates.
        """
        for task, report in routing.items():
            true = report.experts[..., 0] >= 0
            entropy = torch.special.entr(report.probabilities).sum(dim=-1)
            add_counts(self.sums["choices"], {task: report.counts().cpu()})
            add_counts(self.sums["entropy"], {task: float(entropy[true].sum())})
            add_counts(self.sums["frames"], {task: int(true.sum())})
        for pair in itertools.combinations(routing, 2):
            one, other = (routing[task].experts[..., 0] for task in pair)
            if one.shape == other.shape:
                true = (one >= 0) & (other >= 0)
                same, name = true & (one == other), "_".join(pair)
                add_counts(self.sums["same"], {name: int(same.sum())})
                add_counts(self.sums["compared"], {name: int(true.sum())})

    def add(self, sums: Mapping[str, Mapping[str, Any]]) -> None:
        """Adds what was counted elsewhere.

        Arguments
        ---------
        sums : Mapping
            The `sums` of other statistics.
        """
        for kind, others in sums.items():
            add_counts(self.sums[kind], others)

    def shares(self) -> dict[str, list[float]]:
        """Gives the share of the choices that fell on every expert.

        Returns
        -------
        dict
            One list per task, which sums to one.
        """
        return {
            task: (counts / counts.sum()).tolist()
            for task, counts in self.sums["choices"].items()
        }

    def agreements(self) -> dict[str, float]:
        """Gives how often two tasks send a frame to the same best expert.

        Gates that know nothing of each other agree too: where `p` and `q` are
        their shares, in `sum(p * q)` of the frames.

        Returns
        -------
        dict
            For every pair of tasks, such as `enhance_emotion`, the share of
            the frames that are true for both. There is no pair with fewer
            than two tasks, nor of tasks that route different frames.
        """
        return {
            pair: self.sums["same"][pair] / compared
            for pair, compared in self.sums["compared"].items()
            if compared > 0
        }

    def summarize(self) -> dict[str, float]:
        """Gives shares, mean entropy and agreement of the gates, for logs.

        Returns
        -------
        dict
            For every task the share of every expert, e.g. `emotion_expert_0`,
            and the mean entropy of its gate over the logarithm of the number
            of experts, 1 for a gate without preference; for every pair of
            tasks their agreement, e.g. `enhance_emotion_agreement`.
        """
        summary: dict[str, float] = {}
        for task, shares in self.shares().items():
            for number, share in enumerate(shares):
                summary[f"{task}_expert_{number}"] = share
            most = math.log(len(shares)) or 1.0
            mean = self.sums["entropy"][task] / self.sums["frames"][task]
            summary[f"{task}_gate_entropy"] = mean / most
        for pair, share in self.agreements().items():
            summary[f"{pair}_agreement"] = share
        return summary


def choices_of_utterances(
    routing: Mapping[str, Routing],
) -> list[dict[str, list[int]]]:
    """Counts the choices of every gate utterance by utterance.

    Arguments
    ---------
    routing : Mapping
        One report per task, of a batch.

    Returns
    -------
    list of dict
        By task the number of frames sent to every expert; nothing for a
        system without gates.

    Example
    -------
    >>> experts = torch.tensor([[[0], [1]], [[1], [-1]]])
    >>> choices_of_utterances(
    ...     {"emotion": Routing(torch.zeros(2, 2, 2), experts)}
    ... )
    [{'emotion': [1, 1]}, {'emotion': [0, 1]}]
    """
    counts = [
        [
            Routing(*pair).counts().tolist()
            for pair in zip(r.probabilities, r.experts, strict=True)
        ]
        for r in routing.values()
    ]
    return [
        dict(zip(routing, row, strict=True))
        for row in zip(*counts, strict=True)
    ]


def shares_by_group(
    choices: Iterable[Mapping[str, Sequence[int]]],
    groups: Iterable[str | None],
    order: Sequence[str] = (),
) -> dict[str, dict[str, list[float]]]:
    """Gives the share of the choices of a group that fell on every expert.

    Arguments
    ---------
    choices : iterable of Mapping
        Of every utterance, as of `choices_of_utterances`.
    groups : iterable of str or None
        The group of every utterance; None for one that is not counted, such
        as one without a label.
    order : sequence of str
        Names of groups in the order of the results; others follow in the order
        in which they occur.

    Returns
    -------
    dict
        By task and group a list which sums to one. A group of which no frame
        was routed is left out.

    Example
    -------
    >>> choices = [{"emotion": [1, 1]}, {"emotion": [0, 1]}]
    >>> shares_by_group(choices, ["angry", "sad"], order=["sad", "angry"])
    {'emotion': {'sad': [0.0, 1.0], 'angry': [0.5, 0.5]}}
    """
    counts: dict[str, dict[str, torch.Tensor]] = {}
    for chosen, group in zip(choices, groups, strict=True):
        if group is None:
            continue
        for task, numbers in chosen.items():
            by_group = counts.setdefault(task, {})
            add_counts(by_group, {group: torch.tensor(numbers)})
    return {
        task: {
            group: (by_group[group] / by_group[group].sum()).tolist()
            for group in dict.fromkeys((*order, *by_group))
            if group in by_group and by_group[group].sum() > 0
        }
        for task, by_group in counts.items()
    }


def add_counts(
    sums: MutableMapping[str, Any], others: Mapping[str, Any]
) -> None:
    """Adds to sums, which start from zero.

    Arguments
    ---------
    sums : MutableMapping
        Numbers or tensors by key; changed in place, its tensors are not.
    others : Mapping
        What to add to them.

    Example
    -------
    >>> sums = {"a": 1}
    >>> add_counts(sums, {"a": 2, "b": 3})
    >>> sums
    {'a': 3, 'b': 3}
    """
    for key, value in others.items():
        sums[key] = sums.get(key, 0) + value
