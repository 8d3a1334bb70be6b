"""Spectral mask estimator of BSSE-SE and Sparse MERIT.

Reference: K.-H. Hung et al., "Boosting Self-Supervised Embeddings for Speech
Enhancement", Interspeech 2022, arXiv 2204.03339.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn

from .bidirectional_lstm import BidirectionalLSTM


class SpectralMaskHead(nn.Module):
    """Masks the noisy log1p spectrum with a bidirectional LSTM.

    The features, one per 20 ms, are repeated to the spectrum's 10 ms, and the
    last true one is held to its end. The two directions of the top layer are
    summed.

    Arguments
    ---------
    feature_size : int
        Width of the task's features.
    num_bins : int
        Frequency bins of the spectrum; 201 in the paper.
    hidden_size : int
        Width of the LSTM; 256 in the paper.
    num_layers : int
        Layers of the LSTM; 2 in the paper.
    frame_ratio : int
        Spectral frames per feature frame.
    dropout : float
        Dropout on the features and between the LSTM's layers; the paper has
        none.

    Example
    -------
    >>> head = SpectralMaskHead(8, num_bins=11, hidden_size=16)
    >>> spectrum, features = torch.rand(2, 9, 11), torch.rand(2, 4, 8)
    >>> head(
    ...     spectrum, torch.tensor([9, 5]), features, torch.tensor([4, 2])
    ... ).shape
    torch.Size([2, 9, 11])
    """

    def __init__(
        self,
        feature_size: int,
        num_bins: int = 201,
        hidden_size: int = 256,
        num_layers: int = 2,
        frame_ratio: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.frame_ratio = frame_ratio
        self.feature_dropout = nn.Dropout(dropout)
        self.input_projection = nn.Linear(num_bins + feature_size, hidden_size)
        self.blstm = BidirectionalLSTM(
            hidden_size, hidden_size, num_layers, dropout
        )
        self.output_projection = nn.Linear(hidden_size, num_bins)

    def forward(
        self,
        log1p_spectrum: torch.Tensor,
        spectrum_counts: torch.Tensor,
        features: torch.Tensor,
        feature_counts: torch.Tensor,
    ) -> torch.Tensor:
        """Estimates the clean spectrum.

        Arguments
        ---------
        log1p_spectrum : torch.Tensor
            Noisy log1p magnitudes, `[batch, time, bin]`.
        spectrum_counts : torch.Tensor
            True spectral frames of every utterance, `[batch]`.
        features : torch.Tensor
            Features of the enhancement task, `[batch, time, channel]`.
        feature_counts : torch.Tensor
            True feature frames of every utterance, `[batch]`.

        Returns
        -------
        torch.Tensor
            Masked log1p magnitudes, zero on padding, `[batch, time, bin]`.
        """
        num_frames = log1p_spectrum.shape[1]
        aligned = self._align(features, feature_counts, num_frames)
        aligned = self.feature_dropout(aligned)
        inputs = torch.cat([log1p_spectrum, aligned], dim=-1)
        hidden = self.blstm(self.input_projection(inputs), spectrum_counts)
        mask = torch.sigmoid(self.output_projection(hidden))
        # The spectrum is zero on padding, and so is the product.
        return mask.float() * log1p_spectrum

    def _align(
        self, features: torch.Tensor, counts: torch.Tensor, num_frames: int
    ) -> torch.Tensor:
        steps = torch.arange(num_frames, device=features.device)
        last = (counts.to(features.device) - 1).unsqueeze(1)
        index = torch.minimum((steps // self.frame_ratio).unsqueeze(0), last)
        rows = torch.arange(len(features), device=features.device)
        return features[rows.unsqueeze(1), index]
