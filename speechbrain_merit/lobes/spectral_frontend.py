"""The one spectral front-end, for training and inference.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses

import torch
from torch import nn

from .lengths import absolute_lengths, step_mask


@dataclasses.dataclass
class Spectrum:
    """Short-time spectrum of a padded batch.

    Arguments
    ---------
    log1p : torch.Tensor
        Logarithm of one plus the magnitude, `[batch, time, bin]`, float32,
        zero on padding.
    phase : torch.Tensor
        The spectrum over its floored magnitude, `[batch, time, bin]`,
        complex64.
    counts : torch.Tensor
        True frames of every utterance, `[batch]`, int64.
    sample_counts : torch.Tensor
        True samples of every utterance, `[batch]`, int64.
    num_samples : int
        Padded length of the waveforms.
    """

    log1p: torch.Tensor
    phase: torch.Tensor
    counts: torch.Tensor
    sample_counts: torch.Tensor
    num_samples: int

    @property
    def lengths(self) -> torch.Tensor:
        """Lengths relative to the padded number of frames, `[batch]`."""
        return self.counts / self.log1p.shape[1]


class SpectralFrontend(nn.Module):
    """log1p spectrum of every utterance as if it were alone, and back.

    Unlike `torch.stft` on a padded batch, every utterance is reflected at its
    own end and normalised by its own frames, so that nothing depends on the
    batch. All is in float32: there is no half-precision transform of 400
    points.

    Arguments
    ---------
    n_fft : int
        Points of the transform and of its (periodic) Hamming window.
    hop_length : int
        Samples between frames.
    magnitude_floor : float
        Added to every magnitude, as in BSSE-SE.

    Example
    -------
    >>> frontend = SpectralFrontend()
    >>> waveform = torch.rand(2, 1600)
    >>> spectrum = frontend.analyze(waveform, torch.tensor([1.0, 0.5]))
    >>> spectrum.log1p.shape, spectrum.counts
    (torch.Size([2, 11, 201]), tensor([11,  6]))
    >>> restored = frontend.synthesize(spectrum.log1p, spectrum)
    >>> bool(torch.allclose(restored[0], waveform[0], atol=1e-5))
    True
    """

    def __init__(
        self,
        n_fft: int = 400,
        hop_length: int = 160,
        magnitude_floor: float = 1e-6,
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.magnitude_floor = magnitude_floor
        self.register_buffer(
            "window", torch.hamming_window(n_fft), persistent=False
        )

    @property
    def num_bins(self) -> int:
        """Frequency bins of the spectrum."""
        return self.n_fft // 2 + 1

    def analyze(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> Spectrum:
        """Computes the spectrum, centred, with reflected ends.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        Spectrum
            `1 + samples // hop_length` frames of every utterance.
        """
        counts = absolute_lengths(lengths, *waveform.shape)
        counts = counts.to(waveform.device)
        with torch.autocast(waveform.device.type, enabled=False):
            padded = self._reflect(waveform.float(), counts)
            frames = padded.unfold(1, self.n_fft, self.hop_length)
            spectrum = torch.fft.rfft(frames * self.window)
            magnitude = spectrum.abs() + self.magnitude_floor
            frame_counts = 1 + counts // self.hop_length
            mask = step_mask(frame_counts, frames.shape[1]).unsqueeze(-1)
            return Spectrum(
                log1p=magnitude.log1p() * mask,
                phase=spectrum / magnitude * mask,
                counts=frame_counts,
                sample_counts=counts,
                num_samples=waveform.shape[1],
            )

    def synthesize(
        self, log1p: torch.Tensor, spectrum: Spectrum
    ) -> torch.Tensor:
        """Turns a log1p spectrum with another's phase into samples.

        Arguments
        ---------
        log1p : torch.Tensor
            Logarithm of one plus the magnitude, `[batch, time, bin]`.
        spectrum : Spectrum
            What `analyze` returned: the phase and the lengths.

        Returns
        -------
        torch.Tensor
            Samples, zero on padding, `[batch, time]`.
        """
        with torch.autocast(log1p.device.type, enabled=False):
            magnitude = log1p.float().expm1() - self.magnitude_floor
            frames = torch.fft.irfft(magnitude * spectrum.phase, n=self.n_fft)
            mask = step_mask(spectrum.counts, frames.shape[1]).unsqueeze(-1)
            total = self._overlap_add(frames * self.window * mask)
            envelope = self._overlap_add(self.window.square() * mask)
            num_samples = spectrum.num_samples
            start = self.n_fft // 2
            stretch = slice(start, start + num_samples)
            samples = step_mask(spectrum.sample_counts, num_samples)
            # Without true samples there is no window energy either.
            energy = envelope[:, stretch].where(samples, 1.0)
            return total[:, stretch] * samples / energy

    def _reflect(
        self, waveform: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Mirrors every utterance at its own ends, `n_fft // 2` samples."""
        margin = self.n_fft // 2
        position = torch.arange(
            -margin, waveform.shape[1] + margin, device=waveform.device
        ).unsqueeze(0)
        last = (counts - 1).unsqueeze(1)
        period = (2 * last).clamp(min=1)
        # Folding the line to a triangle also serves clips under the margin.
        folded = torch.remainder(position, period)
        folded = torch.minimum(folded, (period - folded).remainder(period))
        folded = torch.minimum(folded, last)
        within = position < (counts + margin).unsqueeze(1)
        return waveform.gather(1, folded) * within

    def _overlap_add(self, frames: torch.Tensor) -> torch.Tensor:
        num_frames = frames.shape[1]
        num_samples = (num_frames - 1) * self.hop_length + self.n_fft
        return nn.functional.fold(
            frames.transpose(1, 2),
            output_size=(1, num_samples),
            kernel_size=(1, self.n_fft),
            stride=(1, self.hop_length),
        )[:, 0, 0]
