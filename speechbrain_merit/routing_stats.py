"""How much every expert is used, and how sure the gates are.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping

import torch

from speechbrain_merit.lobes import Routing


class RoutingStats:
    """Counts the choices of every gate over a stage.

    Example
    -------
    >>> experts = torch.tensor([[[0], [1], [1], [1]]])
    >>> stats = RoutingStats()
    >>> stats.append({"emotion": Routing(torch.full((1, 4, 2), 0.5), experts)})
    >>> stats.shares()
    {'emotion': [0.25, 0.75]}
    >>> round(stats.summarize()["emotion_gate_entropy"], 4)
    1.0
    """

    def __init__(self) -> None:
        self._counts: dict[str, torch.Tensor] = {}
        self._entropies: dict[str, float] = {}
        self._frames: dict[str, int] = {}

    def append(self, routing: Mapping[str, Routing]) -> None:
        """Adds the routing of a batch.

        Arguments
        ---------
        routing : Mapping
            One report per task; none for systems without gates.
        """
        for task, report in routing.items():
            counts = report.counts().cpu()
            self._counts[task] = self._counts.get(task, 0) + counts
            true = report.experts[..., 0] >= 0
            entropy = torch.special.entr(report.probabilities).sum(dim=-1)
            total = float(entropy[true].sum())
            self._entropies[task] = self._entropies.get(task, 0.0) + total
            self._frames[task] = self._frames.get(task, 0) + int(true.sum())

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

    def summarize(self) -> dict[str, float | str]:
        """Gives shares and mean entropy of the gates, for logs.

        Returns
        -------
        dict
            For every task the shares in percent as one word, and the mean
            entropy of its gate over the logarithm of the number of experts,
            1 for a gate without preference.
        """
        summary: dict[str, float | str] = {}
        for task, shares in self.shares().items():
            percent = "/".join(f"{100 * share:.0f}" for share in shares)
            summary[f"{task}_expert_percent"] = percent
            most = torch.log(torch.tensor(float(len(shares)))).item() or 1.0
            mean = self._entropies[task] / self._frames[task]
            summary[f"{task}_gate_entropy"] = mean / most
        return summary
