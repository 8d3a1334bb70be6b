"""WavLM, HuBERT and wav2vec 2.0: convolutions on the waveform.

Authors
 * The speechbrain-merit developers 2026
"""

import math

import torch
from torch import nn

from .lengths import step_mask


class ConvolutionalFeatures(nn.Module):
    """Runs a transformers model of the wav2vec 2.0 family on a padded batch.

    Models whose convolutions are group-normalised over time (the base ones)
    would mix an utterance with its padding; their convolutions therefore see
    the utterances one by one.

    Arguments
    ---------
    model : torch.nn.Module
        `WavLMModel`, `HubertModel` or `Wav2Vec2Model`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.one_by_one = model.config.feat_extract_norm == "group"
        if self.one_by_one:
            self.model.feature_extractor = _OneByOne(model.feature_extractor)

    @property
    def transformers_model(self) -> nn.Module:
        """The model of transformers."""
        return self.model

    @property
    def layers(self) -> nn.ModuleList:
        """The Transformer layers."""
        return self.model.encoder.layers

    @property
    def minimum_samples(self) -> int:
        """Samples that the convolutions need for one frame."""
        config = self.model.config
        samples = 1
        for kernel, stride in zip(
            reversed(config.conv_kernel),
            reversed(config.conv_stride),
            strict=True,
        ):
            samples = (samples - 1) * stride + kernel
        return samples

    @property
    def samples_per_frame(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(self.model.config.conv_stride)

    def freeze_convolutions(self) -> None:
        """Stops training of the convolutional feature extractor."""
        self.model.feature_extractor.requires_grad_(False)
        self._track_convolutions(False)

    def freeze_constants(self) -> None:
        """Stops training of parameters that no frame depends on."""
        # SpecAugment is off, so that this embedding never has a gradient.
        if hasattr(self.model, "masked_spec_embed"):
            self.model.masked_spec_embed.requires_grad_(False)
        # Where this norm follows the last layer, nothing here uses it.
        if self.model.config.do_stable_layer_norm:
            self.model.encoder.layer_norm.requires_grad_(False)

    def requires_grad_(
        self, requires_grad: bool = True
    ) -> "ConvolutionalFeatures":
        """Sets whether all of it trains.

        Arguments
        ---------
        requires_grad : bool
            Whether to train.

        Returns
        -------
        ConvolutionalFeatures
            The module itself.
        """
        self._track_convolutions(requires_grad)
        return super().requires_grad_(requires_grad)

    def _track_convolutions(self, track: bool) -> None:
        convolutions = self.model.feature_extractor
        if self.one_by_one:
            convolutions = convolutions.convolutions
        # transformers makes the waveform require a gradient where this is
        # set, and would then go back through frozen convolutions.
        convolutions._requires_grad = track

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
            True frames of every utterance by the convolutions' own formula,
            `[batch]`, int64.
        """
        frames_of = self.model._get_feat_extract_output_lengths
        if self.one_by_one:
            convolutions = self.model.feature_extractor
            convolutions.counts = counts.tolist()
            convolutions.num_frames = int(frames_of(waveform.shape[1]))
        self.model(
            waveform, attention_mask=step_mask(counts, waveform.shape[1])
        )
        return frames_of(counts).long()


class _OneByOne(nn.Module):
    """Convolves every utterance alone and pads the results."""

    def __init__(self, convolutions: nn.Module) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.counts: list[int] = []
        self.num_frames = 0

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Convolves `[batch, time]` to `[batch, channel, frame]`."""
        results = []
        for utterance, count in zip(waveform, self.counts, strict=True):
            result = self.convolutions(utterance[None, :count])[0]
            missing = self.num_frames - result.shape[1]
            results.append(nn.functional.pad(result, (0, missing)))
        return torch.stack(results)
