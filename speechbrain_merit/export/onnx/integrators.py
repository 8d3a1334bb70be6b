"""Mixtures of experts for one utterance, in operations that ONNX has.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

import torch
from torch import nn

from speechbrain_merit.lobes import (
    Integration,
    LayerConcatenation,
    ShortcutIntegrator,
    SparseMoE,
    WeightedSumIntegrator,
)


class TraceableMoE(SparseMoE):
    """Routes as `SparseMoE` does: an expert sees the frames it is chosen for.

    The number of frames of an expert is part of the graph, where `SparseMoE`
    has it as numbers of Python.
    """

    def forward(
        self,
        hidden_states: torch.Tensor,
        lengths: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
    ) -> Integration:
        """Gives the features of one utterance, and no losses."""
        tasks = tasks or list(self.gates)
        if self.fusion is not None:
            hidden_states = self.fusion(hidden_states).unsqueeze(0)
        frames = self._join_layers(hidden_states, None)
        weights = {task: self._expert_weights(task, frames) for task in tasks}
        chosen = sum(weights.values()) > 0
        features = dict.fromkeys(tasks, torch.zeros(()))
        for number, expert in enumerate(self.experts):
            rows = chosen[:, number].nonzero().squeeze(1)
            output = expert(frames.index_select(0, rows))
            full = torch.zeros_like(frames[:, :1]).expand(-1, self.output_size)
            full = full.index_put((rows,), output)
            for task in tasks:
                part = weights[task][:, number : number + 1] * full
                features[task] = features[task] + part
        return Integration({t: features[t].unsqueeze(0) for t in tasks})

    def _expert_weights(self, task: str, frames: torch.Tensor) -> torch.Tensor:
        """Weight of every expert, zero where not chosen, `[frame, expert]`."""
        logits = self._score(task, frames, None)
        probabilities = logits.softmax(dim=1)
        experts = self.gates[task].choose(logits, self.top_k)
        return torch.zeros_like(probabilities).scatter(
            1, experts, self._weights(probabilities, experts)
        )


def make_traceable(integrator: nn.Module) -> None:
    """Lets an integrator be traced for one utterance, in place.

    Arguments
    ---------
    integrator : torch.nn.Module
        `SparseMoE`, `WeightedSumIntegrator`, or one that holds such a one,
        trained.

    Raises
    ------
    ValueError
        If it is another integrator.

    Example
    -------
    >>> integrator = SparseMoE(2, 8, 4, 6).eval()
    >>> make_traceable(integrator)
    >>> found = integrator(torch.rand(2, 1, 5, 8), None, ["emotion"])
    >>> found.features["emotion"].shape
    torch.Size([1, 5, 6])
    """
    if type(integrator) is SparseMoE:
        # It has the same parts, and no more.
        integrator.__class__ = TraceableMoE
    elif type(integrator) in (ShortcutIntegrator, LayerConcatenation):
        make_traceable(integrator.integrator)
    elif type(integrator) is not WeightedSumIntegrator:
        raise ValueError(
            f"A {type(integrator).__name__} cannot be exported to ONNX: only "
            "SparseMoE, WeightedSumIntegrator, ShortcutIntegrator and "
            "LayerConcatenation can."
        )
