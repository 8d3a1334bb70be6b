"""What microphones and lines do to a signal, as SpeechBrain's augmentations.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class RandomFilter(nn.Module):
    """Filters a batch by one random curve, without delay.

    Arguments
    ---------
    sample_rate_hz : int
        Sample rate.
    deviation_db : float
        Of the curve at nine places, evenly spaced by about an octave.
    low_cut_hz : sequence of float, optional
        Between which two frequencies the lowest one that passes is drawn.
    high_cut_hz : sequence of float, optional
        Between which two frequencies the highest one that passes is drawn.

    Example
    -------
    >>> equalizer = RandomFilter(16000, deviation_db=5.0)
    >>> equalizer(torch.rand(2, 4000)).shape
    torch.Size([2, 4000])
    """

    def __init__(
        self,
        sample_rate_hz: int,
        deviation_db: float = 0.0,
        low_cut_hz: Sequence[float] | None = None,
        high_cut_hz: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.sample_rate_hz = sample_rate_hz
        self.deviation_db = deviation_db
        self.low_cut_hz = low_cut_hz
        self.high_cut_hz = high_cut_hz

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Filters.

        Arguments
        ---------
        waveforms : torch.Tensor
            `[batch, time]`.

        Returns
        -------
        torch.Tensor
            `[batch, time]`.
        """
        rate_hz = self.sample_rate_hz
        # Room for what sounds on after the end.
        num_samples = waveforms.shape[1] + rate_hz // 4
        hz = torch.fft.rfftfreq(num_samples, 1 / rate_hz)
        knots = torch.randn(1, 1, 9) * self.deviation_db
        curve = functional.interpolate(
            knots, 256, mode="linear", align_corners=True
        )
        octaves = torch.log2(1 + hz / 100)
        gains_db = curve[0, 0, (255 * octaves / octaves[-1]).long()]
        gains = 10 ** (gains_db / 20)
        for limits, steepness in (
            (self.low_cut_hz, 10),
            (self.high_cut_hz, -50),
        ):
            if limits is not None:
                cut_hz = torch.empty(()).uniform_(*limits)
                gains *= torch.sigmoid(steepness * (hz / cut_hz - 1))
        spectra = torch.fft.rfft(waveforms, num_samples) * gains
        return torch.fft.irfft(spectra, num_samples)[:, : waveforms.shape[1]]


class RandomClipping(nn.Module):
    """Cuts off what exceeds a random share of the peak.

    SpeechBrain's `DoClip` brings what is left to the old peak: a model would
    learn to undo that gain.

    Arguments
    ---------
    low : float
        Smallest share.
    high : float
        Largest share.

    Example
    -------
    >>> RandomClipping(0.5, 0.5)(torch.tensor([[1.0, -0.75, 0.25]]))
    tensor([[ 0.5000, -0.5000,  0.2500]])
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low = low
        self.high = high

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Clips.

        Arguments
        ---------
        waveforms : torch.Tensor
            `[batch, time]`.

        Returns
        -------
        torch.Tensor
            `[batch, time]`.
        """
        share = torch.empty(()).uniform_(self.low, self.high)
        limit = share * waveforms.abs().amax(dim=1, keepdim=True)
        return waveforms.clamp(-limit, limit)
