"""Bidirectional LSTM that never reads padding, without packed sequences.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn


class BidirectionalLSTM(nn.Module):
    """Stack of bidirectional layers; the top layer's directions are summed.

    The backward direction reads every utterance from its own last true step,
    which gives the numbers of a packed `torch.nn.LSTM`. PyTorch runs packed
    sequences on a CPU without its fused kernels: a training step of the mask
    estimator takes about four times as long that way.

    Arguments
    ---------
    input_size : int
        Width of a step.
    hidden_size : int
        Width of one direction, and of the result.
    num_layers : int
        Number of layers; each but the first reads both directions of the one
        below, joined.
    dropout : float
        Dropout between layers.

    Example
    -------
    >>> lstm = BidirectionalLSTM(8, 16, num_layers=2)
    >>> lstm(torch.rand(2, 7, 8), torch.tensor([7, 4])).shape
    torch.Size([2, 7, 16])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = [input_size] + [2 * hidden_size] * (num_layers - 1)
        self.forwards = nn.ModuleList(
            nn.LSTM(size, hidden_size, batch_first=True) for size in sizes
        )
        self.backwards = nn.ModuleList(
            nn.LSTM(size, hidden_size, batch_first=True) for size in sizes
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, inputs: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Reads a padded batch in both directions.

        Arguments
        ---------
        inputs : torch.Tensor
            Steps, `[batch, time, channel]`.
        counts : torch.Tensor
            True steps of every utterance, `[batch]`.

        Returns
        -------
        torch.Tensor
            Sum of the top layer's directions, `[batch, time, hidden_size]`;
            without meaning on padding.
        """
        mirror = _mirror(counts.to(inputs.device), inputs.shape[1])
        directions: tuple[torch.Tensor, ...] = (inputs,)
        for number, (ahead, back) in enumerate(
            zip(self.forwards, self.backwards, strict=True)
        ):
            joined = torch.cat(directions, dim=2)
            if number > 0:
                joined = self.dropout(joined)
            mirrored = back(_reorder(joined, mirror))[0]
            directions = (ahead(joined)[0], _reorder(mirrored, mirror))
        return directions[0] + directions[1]


def _mirror(counts: torch.Tensor, num_steps: int) -> torch.Tensor:
    """Index that reverses the true steps and keeps the padding in place."""
    steps = torch.arange(num_steps, device=counts.device).unsqueeze(0)
    last = counts.unsqueeze(1) - 1
    return torch.where(steps <= last, last - steps, steps)


def _reorder(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return values.gather(1, index.unsqueeze(-1).expand_as(values))
