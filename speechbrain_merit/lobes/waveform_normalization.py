"""Scaling of the waveform before the encoder and the spectral front-end.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses

import torch
from torch import nn

from .lengths import absolute_lengths, step_mask

MODES = ("none", "utterance", "corpus", "level")


@dataclasses.dataclass
class WaveformStatistics:
    """What a batch was scaled by, so that another signal can follow it.

    Arguments
    ---------
    mean : torch.Tensor
        What was subtracted, `[batch, 1]`.
    scale : torch.Tensor
        What was divided by, `[batch, 1]`.
    """

    mean: torch.Tensor
    scale: torch.Tensor


class WaveformNormalization(nn.Module):
    """Brings waveforms to the level that the encoder was trained on.

    Padding is zero afterwards, whatever it was before.

    Arguments
    ---------
    mode : str
        `none`; `utterance`: zero mean and unit variance over the true samples
        of every utterance, as wav2vec 2.0 and WavLM-Large were pre-trained;
        `corpus`: one mean and standard deviation of the training set, as
        Sparse MERIT does. The two numbers are stored with the model; `level`:
        a root-mean-square level of 0.05 (-26 dBFS) where the utterance is not
        silent. A gain then changes nothing, and digital silence stays as it
        is. The level is gated as in EBU R128, 2020: that of the 25 ms with at
        most 10 dB less than their mean.
    mean : float, optional
        Mean of the training set's samples; for `corpus`, and only there.
    std : float, optional
        Standard deviation of the training set's samples; for `corpus`, and only
        there.

    Raises
    ------
    ValueError
        If the mode is unknown, or the numbers do not go with it.

    Example
    -------
    >>> normalization = WaveformNormalization("utterance")
    >>> waveform = torch.tensor([[3.0, 5.0, 9.0]])
    >>> result, _ = normalization(waveform, torch.tensor([2 / 3]))
    >>> result.round(decimals=3)
    tensor([[-1.,  1.,  0.]])
    """

    # As in transformers' feature extractors, and in Sparse MERIT's code.
    _utterance_epsilon = 1e-7
    _corpus_epsilon = 1e-8
    _level = 0.05
    _gate_samples = 400
    _gate = 0.1

    def __init__(
        self,
        mode: str = "none",
        mean: float | None = None,
        std: float | None = None,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(
                f"Unknown waveform normalisation {mode!r}: use one of {MODES}."
            )
        given = (mean is not None, std is not None)
        if given != (mode == "corpus",) * 2:
            raise ValueError(
                "The normalisation 'corpus' needs mean and std, and no other "
                f"takes them; {mode!r} was given mean {mean} and std {std}."
            )
        self.mode = mode
        self.register_buffer("mean", torch.tensor(mean or 0.0))
        self.register_buffer("std", torch.tensor(1.0 if std is None else std))

    def forward(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, WaveformStatistics]:
        """Scales a batch.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        tuple of torch.Tensor and WaveformStatistics
            Scaled samples with zeros as padding, `[batch, time]`, and what
            they were scaled by.
        """
        statistics = self.statistics(waveform, lengths)
        return self.normalize_with(waveform, lengths, statistics), statistics

    def normalize_with(
        self,
        waveform: torch.Tensor,
        lengths: torch.Tensor | None,
        statistics: WaveformStatistics,
    ) -> torch.Tensor:
        """Scales a batch by statistics of another, e.g. clean as its mixture.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor or None
            Relative lengths, `[batch]`.
        statistics : WaveformStatistics
            What `forward` returned for the other batch.

        Returns
        -------
        torch.Tensor
            Scaled samples with zeros as padding, `[batch, time]`.
        """
        scaled = (waveform - statistics.mean) / statistics.scale
        return scaled * _sample_mask(waveform, lengths)

    def invert(
        self,
        waveform: torch.Tensor,
        lengths: torch.Tensor | None,
        statistics: WaveformStatistics,
    ) -> torch.Tensor:
        """Brings scaled samples back to the level of the input.

        Arguments
        ---------
        waveform : torch.Tensor
            Scaled samples, `[batch, time]`.
        lengths : torch.Tensor or None
            Relative lengths, `[batch]`.
        statistics : WaveformStatistics
            What `forward` returned.

        Returns
        -------
        torch.Tensor
            Samples with zeros as padding, `[batch, time]`.
        """
        restored = waveform * statistics.scale + statistics.mean
        return restored * _sample_mask(waveform, lengths)

    def statistics(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> WaveformStatistics:
        """Finds what a batch is to be scaled by.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        WaveformStatistics
            For `normalize_with`.
        """
        ones = torch.ones_like(waveform[:, :1])
        if self.mode == "none":
            return WaveformStatistics(mean=0 * ones, scale=ones)
        if self.mode == "corpus":
            scale = self.std + self._corpus_epsilon
            return WaveformStatistics(self.mean * ones, scale * ones)
        mask = _sample_mask(waveform, lengths)
        if self.mode == "level":
            return WaveformStatistics(0 * ones, self._gain(waveform, mask))
        count = mask.sum(dim=1, keepdim=True)
        mean = (waveform * mask).sum(dim=1, keepdim=True) / count
        centred = (waveform - mean) * mask
        variance = centred.square().sum(dim=1, keepdim=True) / count
        return WaveformStatistics(
            mean, (variance + self._utterance_epsilon).sqrt()
        )

    def _gain(self, waveform: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the gated level is above the reference, `[batch, 1]`."""
        missing = -waveform.shape[1] % self._gate_samples
        blocks = (-1, self._gate_samples)
        waveform, mask = (
            nn.functional.pad(x.float(), (0, missing)).unflatten(1, blocks)
            for x in (waveform * mask, mask)
        )
        # Scaled to a peak of 1, or the power of a faint recording would
        # underflow; a power of two, so that the scaling itself is exact.
        peak = waveform.abs().amax(dim=(1, 2))[:, None, None]
        unit = (2.0 ** peak.log2().floor()).where(peak > 0, 1.0)
        energy = (waveform / unit).square().sum(dim=2)
        count = mask.sum(dim=2)
        power = energy / count.clamp(min=1)
        mean = energy.sum(dim=1, keepdim=True) / count.sum(1, keepdim=True)
        gate = power >= self._gate * mean
        level = (energy * gate).sum(1) / (count * gate).sum(1)
        level = level.sqrt().unsqueeze(1) * unit[:, 0]
        return (level / self._level).where(level > 0, 1.0)


def _sample_mask(
    waveform: torch.Tensor, lengths: torch.Tensor | None
) -> torch.Tensor:
    counts = absolute_lengths(lengths, *waveform.shape).to(waveform.device)
    return step_mask(counts, waveform.shape[1]).to(waveform.dtype)
