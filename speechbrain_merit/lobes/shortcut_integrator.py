"""An integrator with a learned weighted sum of the layers past it.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

import torch
from torch import nn

from .integration import Integration


class ShortcutIntegrator(nn.Module):
    """Adds a projection of a learned sum of the layers to some tasks' features.

    All that a mixture of experts tells a task goes through the experts that
    its gate favours in a frame, and changes with them. The shortcut is the same
    for all frames, as in a residual block with a projection (He et al., "Deep
    residual learning for image recognition", arXiv 1512.03385): the integrator
    learns what it lacks.

    Arguments
    ---------
    integrator : torch.nn.Module
        What the shortcut leads past, e.g. `SparseMoE`.
    shortcut : torch.nn.Module
        Joins the hidden states into one, `[layer, ..., channel]` to `[...,
        channel]`, zero where they are, e.g. `WeightedLayerSum`.
    input_size : int
        Width of what `shortcut` gives.
    shortcut_tasks : sequence of str
        Tasks whose features it is added to.

    Raises
    ------
    ValueError
        If `shortcut_tasks` is empty or names one twice.

    Example
    -------
    >>> from speechbrain_merit.lobes import SparseMoE, WeightedLayerSum
    >>> integrator = ShortcutIntegrator(
    ...     SparseMoE(3, 8, hidden_size=16, output_size=4),
    ...     WeightedLayerSum(3, 8),
    ...     input_size=8,
    ...     shortcut_tasks=["enhance"],
    ... )
    >>> result = integrator(torch.rand(3, 2, 7, 8), torch.tensor([1.0, 0.5]))
    >>> result.features["enhance"].shape
    torch.Size([2, 7, 4])
    """

    def __init__(
        self,
        integrator: nn.Module,
        shortcut: nn.Module,
        input_size: int,
        shortcut_tasks: Sequence[str] = ("enhance",),
    ) -> None:
        super().__init__()
        if not shortcut_tasks or len(set(shortcut_tasks)) != len(
            shortcut_tasks
        ):
            raise ValueError(
                f"shortcut_tasks must be distinct names, not {shortcut_tasks}."
            )
        self.output_size = integrator.output_size
        self.shortcut_tasks = tuple(shortcut_tasks)
        self.integrator = integrator
        self.shortcut = shortcut
        # Without a bias, padding stays zero.
        self.projection = nn.Linear(input_size, self.output_size, bias=False)

    def forward(
        self,
        hidden_states: torch.Tensor,
        lengths: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
    ) -> Integration:
        """Integrates, and adds the shortcut where a task has it.

        Arguments
        ---------
        hidden_states : torch.Tensor
            All representations of the encoder, zero on padding, `[layer,
            batch, time, channel]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.
        tasks : sequence of str, optional
            All that the integrator has by default.

        Returns
        -------
        Integration
            The integrator's, with the shortcut added to the features.

        Raises
        ------
        ValueError
            If a task is unknown.
        """
        result = self.integrator(hidden_states, lengths, tasks)
        self.add_shortcut(result.features, hidden_states)
        return result

    def add_shortcut(
        self, features: dict[str, torch.Tensor], hidden_states: torch.Tensor
    ) -> None:
        """Adds the shortcut to those features, in place, that have it.

        Arguments
        ---------
        features : dict of str to torch.Tensor
            By task, `[batch, time, output_size]`.
        hidden_states : torch.Tensor
            All representations of the encoder, zero on padding, `[layer,
            batch, time, channel]`.
        """
        asked = [task for task in self.shortcut_tasks if task in features]
        if asked:
            added = self.projection(self.shortcut(hidden_states))
            for task in asked:
                features[task] = features[task] + added
