"""How much every expert is used, and by which utterances.

Also how sure the gates are, and how much they agree.

Authors
 * The speechbrain-merit developers 2026
"""

import itertools
import math
from collections.abc import Mapping, MutableMapping, Sequence
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
        self._counts: dict[str, torch.Tensor] = {}
        self._entropies: dict[str, float] = {}
        self._frames: dict[str, int] = {}
        self._same: dict[str, int] = {}
        self._compared: dict[str, int] = {}

    def append(self, routing: Mapping[str, Routing]) -> None:
        """Adds the routing of a batch.

        Arguments
        ---------
        routing : Mapping
            One report per task; none for systems without gates.
        """
        for task, report in routing.items():
            add_counts(self._counts, {task: report.counts().cpu()})
            true = report.experts[..., 0] >= 0
            entropy = torch.special.entr(report.probabilities).sum(dim=-1)
            add_counts(self._entropies, {task: float(entropy[true].sum())})
            add_counts(self._frames, {task: int(true.sum())})
        for one, other in itertools.combinations(routing, 2):
            best = routing[one].experts[..., 0], routing[other].experts[..., 0]
            if best[0].shape == best[1].shape:
                self._compare(f"{one}_{other}", *best)

    def merge(
        self, others: Sequence["RoutingStats"], order: Sequence[str]
    ) -> None:
        """Adds what other processes have counted.

        Arguments
        ---------
        others : sequence of RoutingStats
            Of other batches.
        order : sequence of str
            Of no use here: sums have no order.
        """
        for other in others:
            for name, sums in vars(self).items():
                add_counts(sums, vars(other)[name])

    def state_dict(self) -> dict[str, dict]:
        """Gives all that was appended, as plain values.

        Returns
        -------
        dict
            For `load_state_dict`.
        """
        return {key: dict(sums) for key, sums in vars(self).items()}

    def load_state_dict(self, state: Mapping[str, dict]) -> None:
        """Takes up what was appended before.

        Arguments
        ---------
        state : Mapping
            As of `state_dict`.
        """
        vars(self).update({key: dict(sums) for key, sums in state.items()})

    def _compare(
        self, pair: str, one: torch.Tensor, other: torch.Tensor
    ) -> None:
        true = (one >= 0) & (other >= 0)
        same = true & (one == other)
        add_counts(self._same, {pair: int(same.sum())})
        add_counts(self._compared, {pair: int(true.sum())})

    def shares(self) -> dict[str, list[float]]:
        """Gives the share of the choices that fell on every expert.

        Returns
        -------
        dict
            One list per task, which sums to one.
        """
        return {
            task: (counts / counts.sum()).tolist()
            for task, counts in self._counts.items()
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
            pair: self._same[pair] / compared
            for pair, compared in self._compared.items()
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
            mean = self._entropies[task] / self._frames[task]
            summary[f"{task}_gate_entropy"] = mean / most
        for pair, share in self.agreements().items():
            summary[f"{pair}_agreement"] = share
        return summary


class GroupedRoutingStats:
    """Counts the choices of every gate for each group of utterances.

    Arguments
    ---------
    groups : sequence of str
        Names of the groups in the order of the results; others that occur
        follow in the order in which they do.

    Example
    -------
    >>> experts = torch.tensor([[[0], [1]], [[1], [-1]]])
    >>> stats = GroupedRoutingStats(["sad", "angry"])
    >>> stats.append(
    ...     {"emotion": Routing(torch.zeros(2, 2, 2), experts)},
    ...     ["angry", "sad"],
    ... )
    >>> stats.shares()
    {'emotion': {'sad': [0.0, 1.0], 'angry': [0.5, 0.5]}}
    """

    def __init__(self, groups: Sequence[str] = ()) -> None:
        self._order = list(dict.fromkeys(groups))
        self._counts: dict[str, dict[str, torch.Tensor]] = {}

    def append(
        self, routing: Mapping[str, Routing], groups: Sequence[str | None]
    ) -> None:
        """Adds the routing of a batch.

        Arguments
        ---------
        routing : Mapping
            One report per task; none for systems without gates.
        groups : sequence of str or None
            The group of every utterance; None for one that is not counted,
            such as one without a label.

        Raises
        ------
        ValueError
            If there is not one group for each utterance.
        """
        for task, report in routing.items():
            if len(report.experts) != len(groups):
                raise ValueError(
                    f"The routing of {task} has {len(report.experts)} "
                    f"utterances, but groups has {len(groups)}: give one "
                    "group, or None, for each."
                )
        named = [group for group in groups if group is not None]
        self._order += [g for g in dict.fromkeys(named) if g not in self._order]
        for task, report in routing.items():
            counts = self._counts.setdefault(task, {})
            for group in set(named):
                rows = [i for i, name in enumerate(groups) if name == group]
                part = Routing(report.probabilities[rows], report.experts[rows])
                add_counts(counts, {group: part.counts().cpu()})

    def merge(
        self, others: Sequence["GroupedRoutingStats"], order: Sequence[str]
    ) -> None:
        """Adds what other processes have counted.

        Arguments
        ---------
        others : sequence of GroupedRoutingStats
            Of other utterances.
        order : sequence of str
            Of no use here: sums have no order.
        """
        for other in others:
            self._order += [g for g in other._order if g not in self._order]
            for task, found in other._counts.items():
                add_counts(self._counts.setdefault(task, {}), found)

    def state_dict(self) -> dict[str, Any]:
        """Gives all that was appended, as plain values.

        Returns
        -------
        dict
            For `load_state_dict`.
        """
        counts = {task: dict(by) for task, by in self._counts.items()}
        return {"order": list(self._order), "counts": counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what was appended before.

        Arguments
        ---------
        state : Mapping
            As of `state_dict`.
        """
        self._order = list(state["order"])
        self._counts = {t: dict(by) for t, by in state["counts"].items()}

    def shares(self) -> dict[str, dict[str, list[float]]]:
        """Gives the share of the choices that fell on every expert.

        Returns
        -------
        dict
            By task and group a list which sums to one. A group of which no
            frame was routed is left out.
        """
        return {
            task: {
                group: (counts[group] / counts[group].sum()).tolist()
                for group in self._order
                if group in counts and counts[group].sum() > 0
            }
            for task, counts in self._counts.items()
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
