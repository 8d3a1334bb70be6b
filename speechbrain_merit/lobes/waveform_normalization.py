"""Scaling of the waveform before the encoder and the spectral front-end.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses

import torch

from .lengths import absolute_lengths, step_mask

MODES = ("none", "utterance", "corpus")


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


class WaveformNormalization(torch.nn.Module):
    """Brings waveforms to the level that the encoder was trained on.

    Padding is zero afterwards, whatever it was before.

    Arguments
    ---------
    mode : str
        `none`; `utterance`: zero mean and unit variance over the true samples
        of every utterance, as wav2vec 2.0 and WavLM-Large were pre-trained;
        `corpus`: one mean and standard deviation of the training set, as
        Sparse MERIT does. The two numbers are stored with the model.
    mean : float
        Mean of the training set's samples; for `corpus` only.
    std : float
        Standard deviation of the training set's samples; for `corpus` only.

    Raises
    ------
    ValueError
        If the mode is unknown, or numbers are given to a mode that has none.

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

    def __init__(
        self, mode: str = "none", mean: float = 0.0, std: float = 1.0
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(
                f"Unknown waveform normalisation {mode!r}: use one of {MODES}."
            )
        if mode != "corpus" and (mean, std) != (0.0, 1.0):
            raise ValueError(
                "mean and std belong to the normalisation 'corpus', not to "
                f"{mode!r}."
            )
        self.mode = mode
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

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
        statistics = self._statistics(waveform, lengths)
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

    def _statistics(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None
    ) -> WaveformStatistics:
        ones = torch.ones_like(waveform[:, :1])
        if self.mode == "none":
            return WaveformStatistics(mean=0 * ones, scale=ones)
        if self.mode == "corpus":
            scale = self.std + self._corpus_epsilon
            return WaveformStatistics(self.mean * ones, scale * ones)
        mask = _sample_mask(waveform, lengths)
        count = mask.sum(dim=1, keepdim=True)
        mean = (waveform * mask).sum(dim=1, keepdim=True) / count
        centred = (waveform - mean) * mask
        variance = centred.square().sum(dim=1, keepdim=True) / count
        return WaveformStatistics(
            mean, (variance + self._utterance_epsilon).sqrt()
        )


def _sample_mask(
    waveform: torch.Tensor, lengths: torch.Tensor | None
) -> torch.Tensor:
    counts = absolute_lengths(lengths, *waveform.shape).to(waveform.device)
    return step_mask(counts, waveform.shape[1]).to(waveform.dtype)
