"""A linear layer for inputs that are many thousands wide.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn

# So many rows of a weight lie on few enough memory pages for a processor to
# keep track of. Measured with benchmarks/moe_layer.py.
ROWS_AT_A_TIME = 1024


class WideLinear(nn.Linear):
    """`torch.nn.Linear`, faster without gradients on a CPU.

    There it multiplies by the weight a block of rows at a time. A matrix
    library walks through a weight column block by column block, and where a
    row alone fills many memory pages, it waits for the page table at every
    step; with few rows at a time it does not. The results are the same.

    Arguments
    ---------
    in_features : int
        Width of the input.
    out_features : int
        Width of the result.

    Example
    -------
    >>> WideLinear(8, 16)(torch.rand(5, 8)).shape
    torch.Size([5, 16])
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Multiplies by the weight and adds the bias.

        Arguments
        ---------
        frames : torch.Tensor
            `[..., in_features]`.

        Returns
        -------
        torch.Tensor
            `[..., out_features]`.
        """
        # The gradient of a part of a weight would be copied once more.
        if torch.is_grad_enabled() or frames.device.type != "cpu":
            return super().forward(frames)
        blocks = zip(
            self.weight.split(ROWS_AT_A_TIME),
            self.bias.split(ROWS_AT_A_TIME),
            strict=True,
        )
        return torch.cat(
            [nn.functional.linear(frames, *block) for block in blocks], dim=-1
        )
