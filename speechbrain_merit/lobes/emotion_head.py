"""Utterance-level emotion classifier of Sparse MERIT.

Authors
 * The speechbrain-merit developers 2026
"""

import math

import torch
from torch import nn


class EmotionHead(nn.Module):
    """Pooling, a hidden layer and the class logits.

    Arguments
    ---------
    pooling : torch.nn.Module
        Turns `[batch, time, channel]` and relative lengths into
        `[batch, pooling.output_size]`.
    num_classes : int
        Number of emotions.
    hidden_size : int
        Width of the hidden layer; 1,024 in the paper. With 0 there is none:
        the logits are linear in what the pooling gives.
    dropout : float
        Dropout before the hidden layer and before the logits; 0.5 in the
        paper.

    Example
    -------
    >>> from speechbrain_merit.lobes import AttentiveStatisticsPooling
    >>> head = EmotionHead(AttentiveStatisticsPooling(8), 4, hidden_size=16)
    >>> head(torch.rand(2, 7, 8), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        pooling: nn.Module,
        num_classes: int,
        hidden_size: int = 1024,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.num_classes = num_classes
        self.hidden = nn.Sequential(nn.Dropout(dropout))
        if hidden_size > 0:
            self.hidden.extend(
                [
                    nn.Linear(pooling.output_size, hidden_size),
                    nn.LayerNorm(hidden_size),
                    nn.ReLU(),
                    nn.Dropout(dropout),
                ]
            )
        self.output = nn.Linear(hidden_size or pooling.output_size, num_classes)

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Scores the emotions of every utterance.

        Arguments
        ---------
        features : torch.Tensor
            Features of the emotion task, `[batch, time, channel]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Logits, `[batch, class]`.
        """
        return self.output(self.hidden(self.pooling(features, lengths)))

    @torch.no_grad()
    def apply_temperature(self, temperature: float) -> None:
        """Divides all logits by a temperature from now on.

        It goes into the weights of the last layer, so that whoever uses or
        passes on the model has it.

        Arguments
        ---------
        temperature : float
            Positive; above 1 for a model that is too sure of itself.

        Raises
        ------
        ValueError
            If it is not a positive number.
        """
        if not 0 < temperature < math.inf:
            raise ValueError(
                f"The temperature is {temperature}; it must be positive."
            )
        self.output.weight /= temperature
        self.output.bias /= temperature
