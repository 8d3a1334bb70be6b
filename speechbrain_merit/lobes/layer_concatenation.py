"""An integrator that gives some tasks the layers themselves.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

import torch
from torch import nn

from .integration import Integration


class LayerConcatenation(nn.Module):
    """Gives some tasks chosen layers side by side, past an integrator.

    With little data, experts that learn a task fit the corpus; a linear
    classifier of the layers' means carries over to others better.

    Arguments
    ---------
    integrator : torch.nn.Module
        What the other tasks' features come from, e.g. `SparseMoE`.
    layers : sequence of int
        Numbers of the hidden states that are given, 0 for the input of the
        first Transformer layer.
    tasks : sequence of str
        Tasks that get them; the integrator is not run for these.

    Example
    -------
    >>> from speechbrain_merit.lobes import SparseMoE
    >>> integrator = LayerConcatenation(
    ...     SparseMoE(3, 8, hidden_size=16, output_size=4), layers=[0, 2]
    ... )
    >>> features = integrator(torch.rand(3, 2, 7, 8)).features
    >>> features["enhance"].shape, features["emotion"].shape
    (torch.Size([2, 7, 4]), torch.Size([2, 7, 16]))
    """

    def __init__(
        self,
        integrator: nn.Module,
        layers: Sequence[int],
        tasks: Sequence[str] = ("emotion",),
    ) -> None:
        super().__init__()
        self.output_size = integrator.output_size
        self.layers = tuple(layers)
        self.tasks = tuple(tasks)
        self.integrator = integrator

    def forward(
        self,
        hidden_states: torch.Tensor,
        lengths: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
    ) -> Integration:
        """Integrates for the other tasks and concatenates for these.

        Arguments
        ---------
        hidden_states : torch.Tensor
            All representations of the encoder, zero on padding, `[layer,
            batch, time, channel]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.
        tasks : sequence of str, optional
            Tasks to make features for; by default these and `enhance`.

        Returns
        -------
        Integration
            The integrator's, with `[batch, time, len(layers) * channel]` for
            the tasks that get the layers.

        Raises
        ------
        ValueError
            If a task is unknown.
        """
        asked = ("enhance", *self.tasks) if tasks is None else tuple(tasks)
        others = [task for task in asked if task not in self.tasks]
        result = Integration({})
        if others:
            result = self.integrator(hidden_states, lengths, others)
        for task in set(asked) & set(self.tasks):
            chosen = [hidden_states[layer] for layer in self.layers]
            result.features[task] = torch.cat(chosen, dim=-1)
        return result
