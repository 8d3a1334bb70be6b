"""Gates: what scores the experts for every frame, and chooses some of them.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

import torch
from torch import nn


class Gate(nn.Module):
    """Linear gate of one task, computed in float32 whatever the precision.

    Arguments
    ---------
    input_size : int
        Width of a frame.
    num_experts : int
        Number of experts to choose from.
    smoothing_frames : int
        The logits of a frame are the mean over so many frames around it, an
        odd number, of the same utterance: choices change less from frame to
        frame. 1: no smoothing; twice an utterance's frames or more: one choice
        for all of it.
    temperatures : sequence of float, optional
        From dense to sparse, as X. Nie et al., "EvoMoE: an evolutional
        mixture-of-experts training framework via dense-to-sparse gate", arXiv
        2112.14397: in training, all experts are chosen and weighted by
        softmax(logits / T), where T falls from the first of the two numbers
        to the second, by the same factor in every epoch. Evaluation chooses
        `top_k`, as always. By default so does training.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Example
    -------
    >>> Gate(8, 3)(torch.rand(5, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        input_size: int,
        num_experts: int,
        smoothing_frames: int = 1,
        temperatures: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if smoothing_frames < 1 or smoothing_frames % 2 == 0:
            raise ValueError(
                f"smoothing_frames is {smoothing_frames}: give an odd number."
            )
        self.smoothing_frames = smoothing_frames
        self.temperatures = temperatures
        self.set_progress(0.0)
        self.fc = nn.Linear(input_size, num_experts)

    def set_progress(self, share: float) -> None:
        """Tells how much of the training is done, for the temperature.

        Arguments
        ---------
        share : float
            From 0, in the first epoch, to 1, in the last.
        """
        first, last = self.temperatures or (1.0, 1.0)
        self.temperature = first * (last / first) ** share

    @property
    def is_dense(self) -> bool:
        """Whether all experts are chosen, for the sake of training."""
        return self.training and self.temperatures is not None

    def forward(
        self, frames: torch.Tensor, counts: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Scores the experts for every frame.

        Arguments
        ---------
        frames : torch.Tensor
            Frames, `[frame, input_size]`, utterance by utterance.
        counts : torch.Tensor, optional
            How many of them are of each utterance, `[batch]`, int64, on the
            CPU; all of one by default.

        Returns
        -------
        torch.Tensor
            Logits, over the temperature in training, `[frame, expert]`,
            float32.
        """
        with torch.autocast(frames.device.type, enabled=False):
            logits = nn.functional.linear(
                frames.float(), self.fc.weight.float(), self.fc.bias.float()
            )
            if self.smoothing_frames > 1:
                sizes = len(logits) if counts is None else counts.tolist()
                parts = map(self._smooth, logits.split(sizes))
                logits = torch.cat([*parts])
        return logits / self.temperature if self.is_dense else logits

    def _smooth(self, logits: torch.Tensor) -> torch.Tensor:
        """Averages over the frames of one utterance that there are."""
        width = self.smoothing_frames
        smooth = nn.functional.avg_pool1d(
            logits.t().unsqueeze(0),
            width,
            stride=1,
            padding=width // 2,
            count_include_pad=False,
        )
        return smooth.squeeze(0).t()

    def choose(self, logits: torch.Tensor, top_k: int) -> torch.Tensor:
        """Chooses experts for every frame.

        Arguments
        ---------
        logits : torch.Tensor
            What `forward` gave, `[frame, expert]`.
        top_k : int
            How many to choose.

        Returns
        -------
        torch.Tensor
            Their numbers, best first, `[frame, top_k]`; all in training with
            `temperatures`.
        """
        if self.is_dense:
            top_k = logits.shape[1]
        if top_k == 1:
            # The first of equal scores, as in the published code; topk may
            # take any of them.
            return logits.argmax(dim=1, keepdim=True)
        return logits.topk(top_k, dim=1).indices
