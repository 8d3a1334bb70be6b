"""A learned weighted sum of an encoder's hidden states.

Reference: S. Yang et al., "SUPERB: Speech processing Universal PERformance
Benchmark", Interspeech 2021, arXiv 2105.01051.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn


class WeightedLayerSum(nn.Module):
    """Adds up all layers with softmax weights, equal ones at first.

    Arguments
    ---------
    num_layers : int
        Number of hidden states.
    input_size : int
        Width of a hidden state.
    normalize : bool
        Whether every hidden state first passes a LayerNorm without learned
        parameters, so that weights mean the same for all of them.

    Example
    -------
    >>> fusion = WeightedLayerSum(num_layers=3, input_size=8)
    >>> fusion(torch.rand(3, 2, 7, 8)).shape
    torch.Size([2, 7, 8])
    """

    def __init__(
        self, num_layers: int, input_size: int, normalize: bool = False
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.normalize = normalize
        self.logits = nn.Parameter(torch.zeros(num_layers))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Sums over the layers.

        Arguments
        ---------
        hidden_states : torch.Tensor
            `[layer, ..., channel]`.

        Returns
        -------
        torch.Tensor
            `[..., channel]`.

        Raises
        ------
        ValueError
            If the number of layers is not the module's.
        """
        if len(hidden_states) != len(self.logits):
            raise ValueError(
                f"The encoder gave {len(hidden_states)} representations, but "
                f"num_layers is {len(self.logits)}."
            )
        if self.normalize:
            hidden_states = nn.functional.layer_norm(
                hidden_states, (self.input_size,)
            )
        return torch.tensordot(self.logits.softmax(dim=0), hidden_states, 1)
