"""Bands of equal width in hearing above bins of equal width in hertz.

Authors
 * The speechbrain-merit developers 2026
"""

import math

import torch
from torch import nn


class SubbandBands(nn.Module):
    """Keeps the low bins of a spectrum and joins the high ones into bands.

    The centres of the high bands are equally spaced on the scale of equivalent
    rectangular bandwidths, 21.4 log10(1 + 0.00437 f) with f in hertz (Glasberg
    and Moore, "Derivation of auditory filter shapes from notched-noise data",
    Hearing Research 47, 1990), and no closer than bins. From bands to bins is
    linear interpolation; from bins to bands its transpose, scaled to means.

    Arguments
    ---------
    num_bins : int
        Bins of the spectrum, from 0 to half the sampling rate.
    num_low : int
        Bins that stay as they are.
    num_high : int
        Bands that the others are joined into.
    sample_rate_hz : int
        Sampling rate of the waveform.

    Example
    -------
    >>> bands = SubbandBands(num_bins=257, num_low=65, num_high=64)
    >>> bands.join(torch.ones(2, 7, 257)).shape
    torch.Size([2, 7, 129])
    >>> bands.spread(torch.ones(2, 7, 129)).shape
    torch.Size([2, 7, 257])
    """

    def __init__(
        self,
        num_bins: int,
        num_low: int,
        num_high: int,
        sample_rate_hz: int = 16000,
    ) -> None:
        super().__init__()
        self.num_low = num_low
        num_joined = num_bins - num_low
        spacing_hz = sample_rate_hz / 2 / (num_bins - 1)
        centres = _centres(num_low, num_bins - 1, num_high, spacing_hz)
        bins = torch.arange(num_low, num_bins, dtype=torch.float64)
        above = torch.searchsorted(centres, bins).clamp(1, num_high - 1)
        lower, upper = centres[above - 1], centres[above]
        share = ((bins - lower) / (upper - lower)).clamp(0, 1)
        spread = torch.zeros(num_high, num_joined, dtype=torch.float64)
        columns = torch.arange(num_joined)
        spread[above, columns] = share
        spread[above - 1, columns] = 1 - share
        join = spread.t() / spread.sum(dim=1)
        self.register_buffer("spreading", spread.float(), persistent=False)
        self.register_buffer("joining", join.float(), persistent=False)

    @property
    def num_bands(self) -> int:
        """Low bins and high bands."""
        return self.num_low + len(self.spreading)

    def join(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Means over bands, `[..., bin]` to `[..., band]`.

        Arguments
        ---------
        spectrum : torch.Tensor
            Values of bins, `[..., bin]`.

        Returns
        -------
        torch.Tensor
            Values of bands, `[..., band]`.
        """
        low, high = spectrum.tensor_split([self.num_low], dim=-1)
        return torch.cat([low, high @ self.joining.to(high.dtype)], dim=-1)

    def spread(self, bands: torch.Tensor) -> torch.Tensor:
        """Interpolates between bands, `[..., band]` to `[..., bin]`.

        Arguments
        ---------
        bands : torch.Tensor
            Values of bands, `[..., band]`.

        Returns
        -------
        torch.Tensor
            Values of bins, `[..., bin]`.
        """
        low, high = bands.tensor_split([self.num_low], dim=-1)
        return torch.cat([low, high @ self.spreading.to(high.dtype)], dim=-1)


def _centres(
    first: int, last: int, number: int, spacing_hz: float
) -> torch.Tensor:
    """Positions of the bands in bins, at least one bin apart."""
    # Without tensors, which have no values on the meta device.
    low, high = (
        21.4 * math.log10(1 + 0.00437 * end * spacing_hz)
        for end in (first, last)
    )
    scale = torch.linspace(low, high, number, dtype=torch.float64)
    centres = ((10 ** (scale / 21.4) - 1) / 0.00437) / spacing_hz
    steps = torch.arange(number, dtype=torch.float64)
    # Bands stay at least a bin apart, which leaves none of them empty.
    return torch.cummax(centres - steps, dim=0).values + steps
