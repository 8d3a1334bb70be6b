"""Standardisation of an encoder's hidden states, channel by channel.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Iterable

import torch
from torch import nn


class HiddenStateStandardization(nn.Module):
    """Gives every channel of every hidden state zero mean and unit deviation.

    Channels of a pre-trained encoder differ in scale, and their means exceed
    their deviations; a LayerNorm, which sees one frame at a time, mends
    neither. The statistics are those of a training set, over true frames
    only; unlike SpeechBrain's `InputNormalization`, which follows the data
    while it trains, they are fitted once and then constant, so that training
    and evaluation see the same function.

    Arguments
    ---------
    num_layers : int
        Number of hidden states.
    size : int
        Width of a hidden state.
    minimum_std : float
        Smaller deviations count as this one.

    Example
    -------
    >>> standardization = HiddenStateStandardization(num_layers=2, size=3)
    >>> states = 5 + 2 * torch.randn(2, 4, 50, 3)
    >>> standardization.fit([(states, torch.ones(4, 50, dtype=torch.bool))])
    >>> standardized = standardization(states)
    >>> bool(standardized.mean(dim=(1, 2)).abs().max() < 1e-5)
    True
    """

    def __init__(
        self, num_layers: int, size: int, minimum_std: float = 1e-5
    ) -> None:
        super().__init__()
        self.minimum_std = minimum_std
        self.register_buffer("mean", torch.zeros(num_layers, 1, 1, size))
        self.register_buffer("std", torch.ones(num_layers, 1, 1, size))
        self.register_buffer("fitted", torch.tensor(False))

    def reset(self) -> None:
        """Goes back to changing nothing, so that it can be fitted anew."""
        self.mean.zero_()
        self.std.fill_(1.0)
        self.fitted.fill_(False)

    def fit(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Computes the statistics of a training set.

        Arguments
        ---------
        batches : iterable of tuple of torch.Tensor
            Hidden states, `[layer, batch, time, channel]`, each with the mask
            of its true frames, `[batch, time]`.

        Raises
        ------
        ValueError
            If there is no frame at all.
        """
        total = torch.zeros_like(self.mean[:, 0, 0], dtype=torch.float64)
        squares = torch.zeros_like(total)
        num_frames = 0
        for states, mask in batches:
            frames = states[:, mask].double()
            total += frames.sum(dim=1)
            squares += frames.square().sum(dim=1)
            num_frames += frames.shape[1]
        if num_frames == 0:
            raise ValueError("Hidden states cannot be fitted to no frames.")
        mean = total / num_frames
        variance = (squares / num_frames - mean.square()).clamp(min=0)
        self.mean.copy_(mean[:, None, None])
        self.std.copy_(variance.sqrt()[:, None, None])
        self.std.clamp_(min=self.minimum_std)
        self.fitted.fill_(True)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Standardises hidden states; before `fit` they stay as they are.

        Arguments
        ---------
        hidden_states : torch.Tensor
            `[layer, batch, time, channel]`.

        Returns
        -------
        torch.Tensor
            The same shape; padding is no longer zero.
        """
        return (hidden_states - self.mean) / self.std
