"""Short-time transforms as convolutions: what ONNX has for any length.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn


class Transform(nn.Module):
    """Windowed discrete Fourier transform of frames.

    Arguments
    ---------
    window : torch.Tensor
        Its length is that of the transform.
    hop_length : int
        Samples between frames.

    Example
    -------
    >>> transform = Transform(torch.ones(8), 4)
    >>> real, imaginary = transform(torch.ones(1, 16))
    >>> real.shape, real[0, 0, 0].item()
    (torch.Size([1, 3, 5]), 8.0)
    """

    def __init__(self, window: torch.Tensor, hop_length: int) -> None:
        super().__init__()
        self.hop_length = hop_length
        basis = torch.cat(_basis(len(window))) * window.double()
        self.register_buffer(
            "kernel", basis.float().unsqueeze(1), persistent=False
        )

    def forward(
        self, waveform: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Transforms all frames that lie in a signal.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.

        Returns
        -------
        tuple of torch.Tensor
            Real and imaginary part, `[batch, frame, bin]` each.
        """
        found = nn.functional.conv1d(
            waveform.unsqueeze(1), self.kernel, stride=self.hop_length
        )
        real, imaginary = found.transpose(1, 2).chunk(2, dim=2)
        return real, imaginary


class InverseTransform(nn.Module):
    """Overlapped and added frames of a spectrum, over the windows' energy.

    Arguments
    ---------
    window : torch.Tensor
        Of the `Transform`.
    hop_length : int
        Samples between frames.

    Example
    -------
    >>> window = torch.hamming_window(8)
    >>> signal = torch.rand(1, 40)
    >>> restored = InverseTransform(window, 4)(*Transform(window, 4)(signal))
    >>> torch.allclose(restored, signal, atol=1e-5)
    True
    """

    def __init__(self, window: torch.Tensor, hop_length: int) -> None:
        super().__init__()
        self.hop_length = hop_length
        size = len(window)
        basis = torch.cat(_basis(size)) / size * window.double()
        # All bins but the first and the last stand for two.
        twice = torch.full((size // 2 + 1,), 2.0, dtype=torch.float64)
        twice[0] = twice[-1] = 1.0
        basis = basis * torch.cat([twice, twice]).unsqueeze(1)
        self.register_buffer(
            "kernel", basis.float().unsqueeze(1), persistent=False
        )
        self.register_buffer(
            "energy_kernel", window.square()[None, None], persistent=False
        )

    def forward(
        self, real: torch.Tensor, imaginary: torch.Tensor
    ) -> torch.Tensor:
        """Turns a spectrum into samples.

        Arguments
        ---------
        real : torch.Tensor
            Real part, `[batch, frame, bin]`.
        imaginary : torch.Tensor
            Imaginary part, `[batch, frame, bin]`.

        Returns
        -------
        torch.Tensor
            Samples from the first to the last frame, `[batch, time]`.
        """
        spectrum = torch.cat([real, imaginary], dim=2).transpose(1, 2)
        total = nn.functional.conv_transpose1d(
            spectrum, self.kernel, stride=self.hop_length
        )
        energy = nn.functional.conv_transpose1d(
            torch.ones_like(spectrum[:, :1]),
            self.energy_kernel,
            stride=self.hop_length,
        )
        return (total / energy).squeeze(1)


def _basis(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and negative sines, `[bin, time]` each, in double precision."""
    bins = torch.arange(size // 2 + 1, dtype=torch.float64).unsqueeze(1)
    # The product is reduced first, so that the angle is exact.
    steps = torch.remainder(bins * torch.arange(size), size)
    angles = 2 * torch.pi * steps / size
    return angles.cos(), -angles.sin()
