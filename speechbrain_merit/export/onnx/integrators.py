"""Mixtures of experts for one utterance, in operations that ONNX has.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

import torch
from torch import nn

from speechbrain_merit.lobes.shortcut_integrator import ShortcutIntegrator
from speechbrain_merit.lobes.sparse_moe import SparseMoE
from speechbrain_merit.lobes.weighted_sum_integrator import (
    WeightedSumIntegrator,
)


class TraceableMoE(nn.Module):
    """Routes as `SparseMoE` does: an expert sees the frames it is chosen for.

    Arguments
    ---------
    moe : SparseMoE
        Trained.
    tasks : sequence of str
        Tasks to route for.
    """

    def __init__(self, moe: SparseMoE, tasks: Sequence[str]) -> None:
        super().__init__()
        self.moe = moe
        self.tasks = tuple(tasks)

    def forward(self, hidden_states: torch.Tensor) -> dict[str, torch.Tensor]:
        """Routes every frame, once per task.

        Arguments
        ---------
        hidden_states : torch.Tensor
            `[layer, 1, frame, channel]`.

        Returns
        -------
        dict of str to torch.Tensor
            Features of every task, `[1, frame, channel]`.
        """
        moe = self.moe
        if moe.fusion is not None:
            hidden_states = moe.fusion(hidden_states).unsqueeze(0)
        frames = torch.cat(
            [
                norm(hidden_states[n, 0])
                for n, norm in enumerate(moe.layer_norms)
            ],
            dim=1,
        )
        weights = {task: self._weights(task, frames) for task in self.tasks}
        chosen = sum(weights.values()) > 0
        features = dict.fromkeys(self.tasks, torch.zeros(()))
        for number, expert in enumerate(moe.experts):
            rows = chosen[:, number].nonzero().squeeze(1)
            output = expert(frames.index_select(0, rows))
            full = torch.zeros_like(frames[:, :1]).expand(-1, moe.output_size)
            full = full.index_put((rows,), output)
            for task in self.tasks:
                part = weights[task][:, number : number + 1] * full
                features[task] = features[task] + part
        return {task: found.unsqueeze(0) for task, found in features.items()}

    def _weights(self, task: str, frames: torch.Tensor) -> torch.Tensor:
        """Weight of every expert, zero where not chosen, `[frame, expert]`."""
        moe = self.moe
        probabilities = moe.gates[task].fc(frames).softmax(dim=1)
        chosen, experts = probabilities.topk(moe.top_k, dim=1)
        if moe.router_learning != "probability":
            chosen = chosen / chosen.sum(dim=1, keepdim=True)
        return torch.zeros_like(probabilities).scatter(1, experts, chosen)


class TraceableSum(nn.Module):
    """Sums layers as `WeightedSumIntegrator` does.

    Arguments
    ---------
    integrator : WeightedSumIntegrator
        Trained.
    tasks : sequence of str
        Tasks to make features for.
    """

    def __init__(
        self, integrator: WeightedSumIntegrator, tasks: Sequence[str]
    ) -> None:
        super().__init__()
        self.integrator = integrator
        self.tasks = tuple(tasks)

    def forward(self, hidden_states: torch.Tensor) -> dict[str, torch.Tensor]:
        """Sums the layers for every task.

        Arguments
        ---------
        hidden_states : torch.Tensor
            `[layer, 1, frame, channel]`.

        Returns
        -------
        dict of str to torch.Tensor
            Features of every task, `[1, frame, channel]`.
        """
        return self.integrator(hidden_states, None, self.tasks).features


class TraceableShortcut(nn.Module):
    """Adds the shortcut of a `ShortcutIntegrator` to a graph's features.

    Arguments
    ---------
    integrator : ShortcutIntegrator
        Trained.
    tasks : sequence of str
        Tasks to make features for.
    """

    def __init__(
        self, integrator: ShortcutIntegrator, tasks: Sequence[str]
    ) -> None:
        super().__init__()
        self.integrator = traceable_integrator(integrator.integrator, tasks)
        self.with_shortcut = integrator

    def forward(self, hidden_states: torch.Tensor) -> dict[str, torch.Tensor]:
        """Integrates, and adds the shortcut where a task has it.

        Arguments
        ---------
        hidden_states : torch.Tensor
            `[layer, 1, frame, channel]`.

        Returns
        -------
        dict of str to torch.Tensor
            Features of every task, `[1, frame, channel]`.
        """
        features = self.integrator(hidden_states)
        self.with_shortcut.add_shortcut(features, hidden_states)
        return features


def traceable_integrator(
    integrator: nn.Module, tasks: Sequence[str]
) -> nn.Module:
    """Gives what integrates the states of one utterance in a graph.

    Arguments
    ---------
    integrator : torch.nn.Module
        `SparseMoE`, `WeightedSumIntegrator` or `ShortcutIntegrator`, trained.
    tasks : sequence of str
        Tasks to make features for.

    Returns
    -------
    torch.nn.Module
        From `[layer, 1, frame, channel]` to features per task.

    Raises
    ------
    ValueError
        If it is another integrator.

    Example
    -------
    >>> integrator = traceable_integrator(SparseMoE(2, 8, 4, 6), ["emotion"])
    >>> integrator(torch.rand(2, 1, 5, 8))["emotion"].shape
    torch.Size([1, 5, 6])
    """
    if type(integrator) is SparseMoE:
        return TraceableMoE(integrator, tasks)
    if type(integrator) is WeightedSumIntegrator:
        return TraceableSum(integrator, tasks)
    if type(integrator) is ShortcutIntegrator:
        return TraceableShortcut(integrator, tasks)
    raise ValueError(
        f"A {type(integrator).__name__} cannot be exported to ONNX: only "
        "SparseMoE, WeightedSumIntegrator and ShortcutIntegrator can."
    )
