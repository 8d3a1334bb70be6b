"""Pooling over the true frames of an utterance.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn

from .lengths import absolute_lengths, step_mask


class AttentiveStatisticsPooling(nn.Module):
    """Attention-weighted mean and standard deviation over time.

    Okabe, Koshinaka, Shinoda, "Attentive Statistics Pooling for Deep Speaker
    Embedding", Interspeech 2018, equations 1 to 6, with one attention vector
    as Sparse MERIT has it.

    Arguments
    ---------
    input_size : int
        Width of a frame.
    minimum_variance : float
        Floor under the variance, which keeps the gradient of its root finite.

    Example
    -------
    >>> pooling = AttentiveStatisticsPooling(8)
    >>> pooling(torch.rand(2, 7, 8), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 16])
    """

    def __init__(self, input_size: int, minimum_variance: float = 1e-5) -> None:
        super().__init__()
        self.minimum_variance = minimum_variance
        self.output_size = 2 * input_size
        self.projection = nn.Linear(input_size, input_size)
        self.attention = nn.Parameter(torch.empty(input_size, 1))
        nn.init.normal_(self.attention, std=input_size**-0.5)

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Pools a batch.

        Arguments
        ---------
        features : torch.Tensor
            Frames, `[batch, time, channel]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Mean, then standard deviation, `[batch, 2 * channel]`, float32.
        """
        scores = torch.tanh(self.projection(features)) @ self.attention
        counts = absolute_lengths(lengths, *features.shape[:2])
        mask = step_mask(counts.to(features.device), features.shape[1])
        # A variance as difference of moments does not survive half precision.
        with torch.autocast(features.device.type, enabled=False):
            scores = scores.float().masked_fill(~mask.unsqueeze(-1), -torch.inf)
            weights = scores.softmax(dim=1)
            features = features.float().masked_fill(~mask.unsqueeze(-1), 0.0)
            mean = (weights * features).sum(dim=1)
            second_moment = (weights * features.square()).sum(dim=1)
            variance = second_moment - mean.square()
            deviation = variance.clamp(min=self.minimum_variance).sqrt()
            return torch.cat([mean, deviation], dim=1)


class MeanPooling(nn.Module):
    """Mean over time, the plain alternative to attention.

    SpeechBrain's `StatisticsPooling` adds noise to the mean, also in
    evaluation, where two runs would differ.

    Arguments
    ---------
    input_size : int
        Width of a frame.

    Example
    -------
    >>> features = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> MeanPooling(1)(features, torch.tensor([2 / 3]))
    tensor([[2.]])
    """

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = input_size

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Pools a batch.

        Arguments
        ---------
        features : torch.Tensor
            Frames, `[batch, time, channel]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Mean, `[batch, channel]`, float32.
        """
        counts = absolute_lengths(lengths, *features.shape[:2])
        counts = counts.to(features.device)
        mask = step_mask(counts, features.shape[1]).unsqueeze(-1)
        with torch.autocast(features.device.type, enabled=False):
            total = features.float().masked_fill(~mask, 0.0).sum(dim=1)
            return total / counts.unsqueeze(-1)


POOLINGS = {
    "attentive": AttentiveStatisticsPooling,
    "mean": MeanPooling,
}


def make_pooling(kind: str, input_size: int) -> nn.Module:
    """Makes a pooling by name, so that the command line can choose it.

    Arguments
    ---------
    kind : str
        `attentive` or `mean`.
    input_size : int
        Width of a frame.

    Returns
    -------
    torch.nn.Module
        With `output_size`.

    Raises
    ------
    ValueError
        If the name is unknown.

    Example
    -------
    >>> make_pooling("mean", 8).output_size
    8
    """
    if kind not in POOLINGS:
        raise ValueError(
            f"Unknown pooling {kind!r}: use one of {', '.join(POOLINGS)}."
        )
    return POOLINGS[kind](input_size)
