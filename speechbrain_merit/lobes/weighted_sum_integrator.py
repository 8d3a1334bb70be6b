"""Integrators without experts: one weighted sum of layers, or one per task.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

import torch
from torch import nn

from .integration import Integration
from .weighted_layer_sum import WeightedLayerSum


class WeightedSumIntegrator(nn.Module):
    """Feeds every task a learned weighted sum of the hidden states.

    Shared, it is the naive multi-task baseline of Sparse MERIT; with a sum
    per task, the task-specific one; with one task, what BSSE-SE does for
    enhancement alone.

    Arguments
    ---------
    num_layers : int
        Number of hidden states.
    input_size : int
        Width of a hidden state, and of the features.
    tasks : sequence of str
        Tasks to make features for.
    shared : bool
        Whether all tasks have the same sum.
    dropout : float
        Probability of dropping a feature.

    Raises
    ------
    ValueError
        If `tasks` is empty or names one twice.

    Example
    -------
    >>> integrator = WeightedSumIntegrator(3, 8, tasks=["enhance", "emotion"])
    >>> result = integrator(torch.rand(3, 2, 7, 8), torch.tensor([1.0, 0.5]))
    >>> result.features["emotion"].shape
    torch.Size([2, 7, 8])
    """

    def __init__(
        self,
        num_layers: int,
        input_size: int,
        tasks: Sequence[str] = ("enhance", "emotion"),
        shared: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not tasks or len(set(tasks)) != len(tasks):
            raise ValueError(f"tasks must be distinct names, not {tasks}.")
        self.output_size = input_size
        self.tasks = tuple(tasks)
        self.sums = nn.ModuleDict()
        for task in tasks:
            first = self.sums[tasks[0]] if shared and self.sums else None
            self.sums[task] = first or WeightedLayerSum(num_layers, input_size)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        hidden_states: torch.Tensor,
        lengths: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
    ) -> Integration:
        """Sums the layers for every asked task.

        Arguments
        ---------
        hidden_states : torch.Tensor
            All representations of the encoder, zero on padding, `[layer,
            batch, time, channel]`.
        lengths : torch.Tensor, optional
            Not needed: the sum of zeros is zero.
        tasks : sequence of str, optional
            All by default.

        Returns
        -------
        Integration
            Features without losses or routing.

        Raises
        ------
        ValueError
            If a task is unknown.
        """
        tasks = self.tasks if tasks is None else tuple(tasks)
        unknown = [task for task in tasks if task not in self.sums]
        if unknown:
            raise ValueError(
                f"Unknown tasks {unknown}: ask for some of {self.tasks}."
            )
        features: dict[nn.Module, torch.Tensor] = {}
        for task in tasks:
            fusion = self.sums[task]
            if fusion not in features:
                features[fusion] = self.dropout(fusion(hidden_states))
        return Integration({task: features[self.sums[task]] for task in tasks})
