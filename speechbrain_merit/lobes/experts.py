"""Experts: what a frame passes through that a gate sent there.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn

from .weighted_layer_sum import WeightedLayerSum
from .wide_linear import WideLinear


class Expert(nn.Module):
    """Two-layer perceptron on frames: Linear, ReLU, Linear.

    Arguments
    ---------
    input_size : int
        Width of a frame.
    hidden_size : int
        Width of the hidden layer.
    output_size : int
        Width of the result.
    dropout : float
        Probability of dropping a hidden unit; the paper has none.

    Example
    -------
    >>> Expert(8, 16, 4)(torch.rand(5, 8)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.fc1 = WideLinear(input_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden_size, output_size)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Transforms frames, `[frame, input_size]` to `[frame, output_size]`.

        Arguments
        ---------
        frames : torch.Tensor
            Frames, `[frame, input_size]`.

        Returns
        -------
        torch.Tensor
            Transformed frames, `[frame, output_size]`.
        """
        return self.fc2(self.dropout(torch.relu(self.fc1(frames))))


class LayerSumExpert(nn.Module):
    """An expert that is no more than its own weighted sum of the layers.

    Experts whose weights are all equal would be the same one, so they start
    with random weights.

    Arguments
    ---------
    num_layers : int
        Number of hidden states that a frame joins.
    layer_size : int
        Width of a hidden state, and of the result.
    initial_deviation : float
        Standard deviation of the initial logits of the weights.

    Example
    -------
    >>> LayerSumExpert(num_layers=3, layer_size=4)(torch.rand(5, 12)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        num_layers: int,
        layer_size: int,
        initial_deviation: float = 1.0,
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.fusion = WeightedLayerSum(num_layers, layer_size)
        nn.init.normal_(self.fusion.logits, std=initial_deviation)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Sums the layers of frames.

        Arguments
        ---------
        frames : torch.Tensor
            Joined hidden states, `[frame, num_layers * layer_size]`.

        Returns
        -------
        torch.Tensor
            `[frame, layer_size]`.
        """
        layers = frames.unflatten(1, (self.num_layers, -1))
        return self.fusion(layers.transpose(0, 1))
