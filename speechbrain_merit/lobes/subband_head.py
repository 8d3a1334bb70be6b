"""Small enhancement head: sub-band convolutions and dual-path recurrence.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses

import torch
from torch import nn

from .bidirectional_lstm import BidirectionalLSTM
from .lengths import step_mask
from .spectral_frontend import Spectrum
from .subband_bands import SubbandBands


class SubbandHead(nn.Module):
    """Masks the magnitude and turns the phase of a compressed spectrum.

    Bins are joined into bands and convolved along frequency to a quarter of
    them; dilated convolutions look around in time. A recurrent layer reads
    all bands and the features of the encoder, another each band by itself, as
    Hao et al., "FullSubNet", ICASSP 2021, join the two; the mirrored
    convolutions give a mask in [0, 1] and a turn of the phase, which starts as
    none. Both directions of time are read.

    Arguments
    ---------
    feature_size : int
        Width of the task's features.
    num_bins : int
        Frequency bins of the spectrum.
    num_low_bins : int
        Bins that stay as they are.
    num_high_bands : int
        Bands that the other bins are joined into.
    channels : int
        Channels of every band.
    hidden_size : int
        Width of the recurrent layer that reads all bands.
    compression : float
        Power that the magnitudes are compressed by.
    frame_ratio : float
        Spectral frames per feature frame: 20 ms over the hop.
    dropout : float
        Dropout on the features.

    Raises
    ------
    ValueError
        If the bands cannot be halved twice.

    Example
    -------
    >>> from speechbrain_merit.lobes import SpectralFrontend
    >>> head = SubbandHead(8, channels=8, hidden_size=16).eval()
    >>> spectrum = SpectralFrontend(512, 256).analyze(torch.rand(2, 1600))
    >>> enhanced = head(spectrum, torch.rand(2, 5, 8), torch.tensor([5, 5]))
    >>> enhanced.log1p.shape
    torch.Size([2, 7, 257])
    """

    def __init__(
        self,
        feature_size: int,
        num_bins: int = 257,
        num_low_bins: int = 65,
        num_high_bands: int = 64,
        channels: int = 32,
        hidden_size: int = 192,
        compression: float = 0.3,
        frame_ratio: float = 1.25,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.compression = compression
        self.frame_ratio = frame_ratio
        self.bands = SubbandBands(num_bins, num_low_bins, num_high_bands)
        num_bands, rest = divmod(self.bands.num_bands - 1, 4)
        if rest:
            raise ValueError(
                f"num_low_bins + num_high_bands is {self.bands.num_bands}, "
                "but must be a multiple of 4 plus 1, so that it can be halved "
                "twice."
            )
        num_bands += 1
        self.analysis = nn.ModuleList(
            [HalfBands(3, channels), HalfBands(channels, channels)]
        )
        self.feature_dropout = nn.Dropout(dropout)
        self.contexts = nn.ModuleList(
            TimeContext(channels, dilation) for dilation in (1, 2, 4)
        )
        self.full_band = FullBand(
            channels, num_bands, feature_size, hidden_size
        )
        self.sub_band = SubBand(channels)
        self.synthesis = nn.ModuleList(
            [
                nn.Sequential(
                    DoubleBands(channels, channels),
                    nn.BatchNorm2d(channels),
                    nn.PReLU(channels),
                ),
                DoubleBands(channels, 3),
            ]
        )
        # Starts near a pass-through: a mask of 0.95 and no turn.
        last = self.synthesis[-1].convolution
        nn.init.normal_(last.weight, std=0.01)
        last.bias.data = torch.tensor([3.0, 3.0, 0.0, 0.0, 0.0, 0.0])

    def forward(
        self,
        spectrum: Spectrum,
        features: torch.Tensor,
        feature_counts: torch.Tensor,
    ) -> Spectrum:
        """Estimates the clean spectrum.

        Arguments
        ---------
        spectrum : Spectrum
            The noisy one.
        features : torch.Tensor
            Features of the enhancement task, `[batch, time, channel]`.
        feature_counts : torch.Tensor
            True feature frames of every utterance, `[batch]`.

        Returns
        -------
        Spectrum
            The enhanced one, zero on padding.
        """
        magnitude = spectrum.log1p.expm1()
        phase = spectrum.phase
        gain, real, imaginary = self.masks(
            (magnitude, phase.real, phase.imag),
            spectrum.counts,
            features,
            feature_counts,
        )
        with torch.autocast(features.device.type, enabled=False):
            return dataclasses.replace(
                spectrum,
                log1p=(magnitude * gain).log1p(),
                phase=phase * torch.complex(real, imaginary),
            )

    def masks(
        self,
        noisy: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        counts: torch.Tensor,
        features: torch.Tensor,
        feature_counts: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Estimates what the noisy spectrum is multiplied by, in real numbers.

        Arguments
        ---------
        noisy : tuple of torch.Tensor
            Magnitudes, and the phase as cosine and sine, `[batch, time, bin]`
            each.
        counts : torch.Tensor
            True frames of every utterance, `[batch]`.
        features : torch.Tensor
            Features of the enhancement task, `[batch, time, channel]`.
        feature_counts : torch.Tensor
            True feature frames of every utterance, `[batch]`.

        Returns
        -------
        tuple of torch.Tensor
            Gain in [0, 1], zero on padding, and the turn of the phase as
            cosine and sine, `[batch, time, bin]` each.
        """
        num_frames = noisy[0].shape[1]
        mask = step_mask(counts, num_frames)[:, None, :, None]
        hidden = self._compressed(*noisy)
        skips = []
        for layer in self.analysis:
            hidden = layer(hidden)
            skips.append(hidden)
        for context in self.contexts:
            hidden = context(hidden * mask)
        aligned = self._align(features, feature_counts, num_frames)
        hidden = hidden.permute(0, 2, 3, 1)
        hidden = self.full_band(hidden, aligned, counts)
        hidden = self.sub_band(hidden, counts)
        hidden = hidden.permute(0, 3, 1, 2)
        for layer, skip in zip(self.synthesis, reversed(skips), strict=True):
            hidden = layer(hidden + skip)
        with torch.autocast(hidden.device.type, enabled=False):
            gain, real, imaginary = self.bands.spread(hidden.float()).unbind(1)
            length = ((1 + real).square() + imaginary.square() + 1e-8).sqrt()
            gain = torch.sigmoid(gain) * mask[:, 0]
            return gain, (1 + real) / length, imaginary / length

    def _compressed(
        self,
        magnitude: torch.Tensor,
        real: torch.Tensor,
        imaginary: torch.Tensor,
    ) -> torch.Tensor:
        """Magnitude, real and imaginary part by bands, `[batch, 3, ...]`."""
        magnitude = magnitude.clamp(min=1e-6) ** self.compression
        parts = [magnitude, magnitude * real, magnitude * imaginary]
        return self.bands.join(torch.stack(parts, dim=1))

    def _align(
        self, features: torch.Tensor, counts: torch.Tensor, num_frames: int
    ) -> torch.Tensor:
        """Features at the frames of the spectrum, `[batch, time, feature]`."""
        steps = torch.arange(num_frames, device=features.device)
        steps = (steps / self.frame_ratio).long().unsqueeze(0)
        last = (counts.to(features.device) - 1).unsqueeze(1)
        index = torch.minimum(steps, last).unsqueeze(-1)
        aligned = features.gather(1, index.expand(-1, -1, features.shape[2]))
        return self.feature_dropout(aligned)


class TimeContext(nn.Module):
    """Residual depthwise convolution over time and bands.

    Arguments
    ---------
    channels : int
        Channels of every band.
    dilation : int
        Frames between the convolution's taps in time.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels,
            channels,
            3,
            padding=(dilation, 1),
            dilation=(dilation, 1),
            groups=channels,
        )
        self.pointwise = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Transforms `[batch, channel, time, band]`, zero on padding.

        Arguments
        ---------
        hidden : torch.Tensor
            `[batch, channel, time, band]`.

        Returns
        -------
        torch.Tensor
            The same shape, without meaning on padding.
        """
        return hidden + self.pointwise(self.depthwise(hidden))


class FullBand(nn.Module):
    """A recurrent layer along time that reads all bands and the features.

    Arguments
    ---------
    channels : int
        Channels of every band.
    num_bands : int
        Number of bands.
    feature_size : int
        Width of the features.
    hidden_size : int
        Width of one direction.
    """

    def __init__(
        self,
        channels: int,
        num_bands: int,
        feature_size: int,
        hidden_size: int,
    ) -> None:
        super().__init__()
        width = channels * num_bands
        self.reading = nn.Linear(width + feature_size, hidden_size)
        self.recurrence = BidirectionalLSTM(hidden_size, hidden_size, 1)
        self.writing = nn.Linear(hidden_size, width)
        self.norm = nn.LayerNorm(channels)

    def forward(
        self,
        hidden: torch.Tensor,
        features: torch.Tensor,
        counts: torch.Tensor,
    ) -> torch.Tensor:
        """Adds what all bands together say.

        Arguments
        ---------
        hidden : torch.Tensor
            `[batch, time, band, channel]`.
        features : torch.Tensor
            `[batch, time, feature]`.
        counts : torch.Tensor
            True frames of every utterance, `[batch]`.

        Returns
        -------
        torch.Tensor
            As `hidden`, without meaning on padding.
        """
        joined = torch.cat([hidden.flatten(2), features], dim=2)
        result = self.recurrence(torch.relu(self.reading(joined)), counts)
        result = self.writing(result).unflatten(2, hidden.shape[2:])
        return hidden + self.norm(result)


class SubBand(nn.Module):
    """A recurrent layer along time, the same for every band.

    Arguments
    ---------
    channels : int
        Channels of every band, and the width of one direction.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.recurrence = BidirectionalLSTM(channels, channels, 1)
        self.writing = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(
        self, hidden: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Adds what each band's own past and future say.

        Arguments
        ---------
        hidden : torch.Tensor
            `[batch, time, band, channel]`.
        counts : torch.Tensor
            True frames of every utterance, `[batch]`.

        Returns
        -------
        torch.Tensor
            As `hidden`, without meaning on padding.
        """
        batch_size, _, num_bands, _ = hidden.shape
        steps = hidden.transpose(1, 2).flatten(0, 1)
        repeated = counts.repeat_interleave(num_bands)
        result = self.norm(self.writing(self.recurrence(steps, repeated)))
        result = result.unflatten(0, (batch_size, num_bands))
        return hidden + result.transpose(1, 2)


class HalfBands(nn.Sequential):
    """Convolution along the bands to about half of them.

    Arguments
    ---------
    in_channels : int
        Channels of every band.
    out_channels : int
        Channels of every second band.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels, out_channels, (1, 5), stride=(1, 2), padding=(0, 2)
            ),
            nn.BatchNorm2d(out_channels),
            nn.PReLU(out_channels),
        )


class DoubleBands(nn.Module):
    """Convolution that gives two bands for one, less the last.

    Arguments
    ---------
    in_channels : int
        Channels of every band.
    out_channels : int
        Channels of the new bands.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels, 2 * out_channels, (1, 3), padding=(0, 1)
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Transforms `[batch, channel, time, band]`.

        Arguments
        ---------
        hidden : torch.Tensor
            `[batch, in_channels, time, band]`.

        Returns
        -------
        torch.Tensor
            `[batch, out_channels, time, 2 * band - 1]`.
        """
        halves = self.convolution(hidden).unflatten(1, (-1, 2))
        return halves.permute(0, 1, 3, 4, 2).flatten(3)[..., :-1]
