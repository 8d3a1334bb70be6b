"""Whisper's encoder at the utterance's own length.

Reference: A. Radford et al., "Robust Speech Recognition via Large-Scale Weak
Supervision", arXiv 2212.04356.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn

from .lengths import step_mask

SAMPLE_RATE_HZ = 16000
N_FFT = 400
HOP_LENGTH = 160


class WhisperFeatures(nn.Module):
    """Log-mel spectrum, two convolutions and the Transformer layers.

    Whisper pads every utterance to 30 s. Here the frames after an utterance
    are masked instead, which gives other numbers than 30 s of zeros would,
    but the same ones in every batch, at a fraction of the cost.

    Arguments
    ---------
    model : torch.nn.Module
        `WhisperModel`; its decoder is dropped.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        # Its import takes long, and most models are none of Whisper's.
        from transformers.audio_utils import mel_filter_bank

        self.encoder = model.get_encoder()
        self.encoder.layerdrop = 0.0
        config = model.config
        self.max_source_positions = config.max_source_positions
        filters = mel_filter_bank(
            num_frequency_bins=N_FFT // 2 + 1,
            num_mel_filters=config.num_mel_bins,
            min_frequency=0.0,
            max_frequency=SAMPLE_RATE_HZ / 2,
            sampling_rate=SAMPLE_RATE_HZ,
            norm="slaney",
            mel_scale="slaney",
        )
        self.register_buffer(
            "mel_filters",
            torch.as_tensor(filters, dtype=torch.float32),
            persistent=False,
        )
        self.register_buffer(
            "window", torch.hann_window(N_FFT), persistent=False
        )

    @property
    def transformers_model(self) -> nn.Module:
        """The model of transformers."""
        return self.encoder

    @property
    def layers(self) -> nn.ModuleList:
        """The Transformer layers."""
        return self.encoder.layers

    @property
    def minimum_samples(self) -> int:
        """Samples of one log-mel frame, which gives one encoder frame."""
        return HOP_LENGTH

    @property
    def samples_per_frame(self) -> int:
        """Samples from one frame to the next; a convolution has stride 2."""
        return 2 * HOP_LENGTH

    def freeze_convolutions(self) -> None:
        """Stops training of the two convolutions."""
        self.encoder.conv1.requires_grad_(False)
        self.encoder.conv2.requires_grad_(False)

    def freeze_constants(self) -> None:
        """Stops training of what is constant, or what no layer's output is."""
        self.encoder.embed_positions.requires_grad_(False)
        self.encoder.layer_norm.requires_grad_(False)

    def forward(
        self, waveform: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Runs the encoder; its layers are recorded from outside.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, zero on padding, `[batch, time]`.
        counts : torch.Tensor
            True samples of every utterance, `[batch]`.

        Returns
        -------
        torch.Tensor
            True frames of every utterance, `[batch]`, int64.

        Raises
        ------
        ValueError
            If an utterance is longer than Whisper's 30 s.
        """
        mel_counts = counts // HOP_LENGTH
        frame_counts = (mel_counts - 1) // 2 + 1
        if int(frame_counts.max()) > self.max_source_positions:
            limit_s = (
                self.max_source_positions * 2 * HOP_LENGTH / SAMPLE_RATE_HZ
            )
            raise ValueError(
                f"An utterance of {int(counts.max()) / SAMPLE_RATE_HZ:.1f} s "
                f"is longer than the {limit_s:.0f} s that Whisper takes: cut "
                "it (max_duration_s), or use another encoder."
            )
        hidden = self._convolve(self.log_mel(waveform, counts), mel_counts)
        num_frames = hidden.shape[1]
        hidden = hidden + self.encoder.embed_positions.weight[:num_frames]
        hidden = nn.functional.dropout(
            hidden, self.encoder.dropout, self.training
        )
        keys = step_mask(frame_counts, num_frames)[:, None, None, :]
        attention_mask = hidden.new_zeros(keys.shape).masked_fill(
            ~keys, torch.finfo(hidden.dtype).min
        )
        attention_mask = attention_mask.expand(-1, 1, num_frames, -1)
        for layer in self.layers:
            output = layer(hidden, attention_mask)
            hidden = output[0] if isinstance(output, tuple) else output
        return frame_counts

    def log_mel(
        self, waveform: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Computes Whisper's scaled log-mel spectrum, zero on padding.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, zero on padding, `[batch, time]`.
        counts : torch.Tensor
            True samples of every utterance, `[batch]`.

        Returns
        -------
        torch.Tensor
            Log-mel frames, `[batch, mel, time]`, float32.
        """
        num_mel = waveform.shape[1] // HOP_LENGTH
        with torch.autocast(waveform.device.type, enabled=False):
            # Zeros after the utterance, as in Whisper's 30 s, and its
            # reflection before it.
            margin = N_FFT // 2
            extended = nn.functional.pad(waveform.float(), (0, N_FFT))
            start = extended[:, 1 : margin + 1].flip(1)
            extended = torch.cat([start, extended], dim=1)
            frames = extended.unfold(1, N_FFT, HOP_LENGTH)[:, :num_mel]
            power = torch.fft.rfft(frames * self.window).abs().square()
            log_mel = (power @ self.mel_filters).clamp(min=1e-10).log10()
            mask = step_mask(counts // HOP_LENGTH, num_mel).unsqueeze(-1)
            loudest = log_mel.masked_fill(~mask, -torch.inf)
            loudest = loudest.amax(dim=(1, 2), keepdim=True)
            log_mel = (torch.maximum(log_mel, loudest - 8.0) + 4.0) / 4.0
            return (log_mel * mask).transpose(1, 2)

    def _convolve(
        self, log_mel: torch.Tensor, mel_counts: torch.Tensor
    ) -> torch.Tensor:
        mask = step_mask(mel_counts, log_mel.shape[2]).unsqueeze(1)
        hidden = nn.functional.gelu(self.encoder.conv1(log_mel)) * mask
        return nn.functional.gelu(self.encoder.conv2(hidden)).transpose(1, 2)
