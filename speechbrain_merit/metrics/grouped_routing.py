"""Which experts the utterances of an emotion, or of an SNR, are sent to.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from speechbrain_merit.lobes import Routing
from speechbrain_merit.metrics.routing import add_counts


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
