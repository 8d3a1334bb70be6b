"""Encoders of one utterance, in operations that ONNX has.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn

from speechbrain_merit.lobes.speech_encoder import SpeechEncoder, recorded
from speechbrain_merit.lobes.wavlm_attention import (
    FusedWavLMAttention,
    position_buckets,
)
from speechbrain_merit.lobes.whisper_features import (
    HOP_LENGTH,
    N_FFT,
    WhisperFeatures,
)

from .spectrum import Transform


class WhisperStates(nn.Module):
    """All hidden states of Whisper's encoder, as `SpeechEncoder` gives them.

    Arguments
    ---------
    features : WhisperFeatures
        Of the encoder.
    """

    def __init__(self, features: WhisperFeatures) -> None:
        super().__init__()
        self.encoder = features.encoder
        self.transform = Transform(features.window, HOP_LENGTH)
        self.register_buffer(
            "mel_filters", features.mel_filters, persistent=False
        )

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Encodes an utterance.

        Arguments
        ---------
        waveform : torch.Tensor
            Normalised samples, `[1, time]`.

        Returns
        -------
        torch.Tensor
            `[layer, 1, frame, channel]`.
        """
        hidden = nn.functional.gelu(self.encoder.conv1(self.log_mel(waveform)))
        hidden = nn.functional.gelu(self.encoder.conv2(hidden)).transpose(1, 2)
        positions = self.encoder.embed_positions.weight
        hidden = hidden + positions[: hidden.shape[1]]
        states = [hidden]
        for layer in self.encoder.layers:
            output = layer(states[-1], None)
            states.append(output[0] if isinstance(output, tuple) else output)
        return torch.stack(states)

    def log_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """Computes Whisper's scaled log-mel spectrum.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[1, time]`.

        Returns
        -------
        torch.Tensor
            Log-mel frames, `[1, mel, time]`.
        """
        margin = N_FFT // 2
        start = waveform[:, 1 : margin + 1].flip(1)
        extended = nn.functional.pad(waveform, (0, N_FFT))
        real, imaginary = self.transform(torch.cat([start, extended], dim=1))
        power = real.square() + imaginary.square()
        power = power[:, : waveform.shape[1] // HOP_LENGTH]
        log_mel = (power @ self.mel_filters).clamp(min=1e-10).log10()
        loudest = log_mel.amax(dim=(1, 2), keepdim=True)
        log_mel = (torch.maximum(log_mel, loudest - 8.0) + 4.0) / 4.0
        return log_mel.transpose(1, 2)


class ConvolutionalStates(nn.Module):
    """All hidden states of a model of the wav2vec 2.0 family.

    Arguments
    ---------
    model : torch.nn.Module
        `WavLMModel`, `HubertModel` or `Wav2Vec2Model`, changed in place: its
        position bias is computed in another way, with the same result.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        for layer in model.encoder.layers:
            if isinstance(layer.attention, FusedWavLMAttention):
                layer.attention = TraceableAttention(layer.attention)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Encodes an utterance.

        Arguments
        ---------
        waveform : torch.Tensor
            Normalised samples, `[1, time]`.

        Returns
        -------
        torch.Tensor
            `[layer, 1, frame, channel]`.
        """
        with recorded(self.model.encoder.layers) as states:
            self.model(waveform)
        return torch.stack(states)


class TraceableAttention(FusedWavLMAttention):
    """WavLM's attention for any number of frames in one graph.

    Made as `FusedWavLMAttention` is, of an attention of either kind.
    """

    def _position_bias(self, num_frames: int) -> torch.Tensor:
        steps = torch.arange(num_frames)
        buckets = position_buckets(
            steps.unsqueeze(0) - steps.unsqueeze(1),
            self.num_buckets,
            self.max_distance,
        )
        return self.rel_attn_embed(buckets).permute(2, 0, 1)


def traceable_states(encoder: SpeechEncoder) -> nn.Module:
    """Gives what encodes one utterance in operations that ONNX has.

    Arguments
    ---------
    encoder : SpeechEncoder
        Trained; it is not to be used for anything else afterwards.

    Returns
    -------
    torch.nn.Module
        From normalised samples, `[1, time]`, to all hidden states before
        standardisation, `[layer, 1, frame, channel]`.

    Example
    -------
    >>> from transformers import WhisperConfig
    >>> config = {"model_type": "whisper", "d_model": 8, "encoder_layers": 1}
    >>> config.update(encoder_attention_heads=2, encoder_ffn_dim=8)
    >>> config.update(vocab_size=8, decoder_layers=0, pad_token_id=0)
    >>> states = traceable_states(SpeechEncoder(config=config))
    >>> states(torch.rand(1, 1600)).shape
    torch.Size([2, 1, 5, 8])
    """
    features = encoder.features
    if isinstance(features, WhisperFeatures):
        return WhisperStates(features)
    model = features.model
    if features.one_by_one:
        model.feature_extractor = model.feature_extractor.convolutions
    return ConvolutionalStates(model)
