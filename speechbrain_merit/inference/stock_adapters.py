"""The joint model in the shapes that SpeechBrain's own interfaces expect.

With these in a folder's hyperparams.yaml, SpeechBrain's `EncoderClassifier`
classifies and its `WaveformEnhancement` enhances. All hold the same model and
no weight of their own.

Authors
 * The speechbrain-merit developers 2026
"""

import torch
from torch import nn

from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE


class UnchangedFeatures(nn.Module):
    """Stands where `EncoderClassifier` normalises: the model does it itself.

    Example
    -------
    >>> UnchangedFeatures()(torch.ones(1, 2), torch.ones(1))
    tensor([[1., 1.]])
    """

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Returns what it is given.

        Arguments
        ---------
        features : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            The same samples.
        """
        return features


class ModelAdapter(nn.Module):
    """What holds a model.

    Arguments
    ---------
    model : torch.nn.Module
        A `JointModel` or `EnhanceThenClassify`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


class EmotionEmbedding(ModelAdapter):
    """What a model knows of an utterance before it decides on the emotion.

    Arguments
    ---------
    model : torch.nn.Module
        A `JointModel` or `EnhanceThenClassify` with the task `emotion`.
    """

    def forward(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Runs the model up to its last layer.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Input of the emotion head's last layer, `[batch, 1, channel]`.
        """
        seen: list[torch.Tensor] = []
        handle = emotion_head(self.model).output.register_forward_pre_hook(
            lambda module, inputs: seen.append(inputs[0])
        )
        try:
            self.model(waveform, lengths, [EMOTION])
        finally:
            handle.remove()
        return seen[0].unsqueeze(1)


class EmotionScores(ModelAdapter):
    """The emotion head's last layer, with log-posteriors as its output.

    Arguments
    ---------
    model : torch.nn.Module
        As for `EmotionEmbedding`.
    """

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Scores the emotions.

        Arguments
        ---------
        embeddings : torch.Tensor
            What `EmotionEmbedding` gives, `[batch, 1, channel]`.

        Returns
        -------
        torch.Tensor
            Logarithm of every emotion's probability, `[batch, 1, class]`.
        """
        logits = emotion_head(self.model).output(embeddings)
        return logits.float().log_softmax(dim=-1)


class WaveformEnhancer(ModelAdapter):
    """Enhances waveforms in one call.

    Arguments
    ---------
    model : torch.nn.Module
        A `JointModel` or `EnhanceThenClassify` with the task `enhance`.
    """

    def forward(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Enhances a batch.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        tuple of torch.Tensor
            Enhanced samples, `[batch, time]`, and their log1p spectrum as the
            model computed it, `[batch, frame, bin]`.
        """
        output = self.model(waveform, lengths, [ENHANCE])
        enhanced = self.model.enhanced_waveform(output, lengths)
        return enhanced, output.enhanced_log1p


def emotion_head(model: nn.Module) -> nn.Module:
    """Finds what names the emotions.

    Arguments
    ---------
    model : torch.nn.Module
        A `JointModel` or `EnhanceThenClassify` with the task `emotion`.

    Returns
    -------
    torch.nn.Module
        The `EmotionHead`, of a cascade the second model's.

    Example
    -------
    >>> emotion_head(nn.ModuleDict({"emotion_head": nn.Identity()}))
    Identity()
    """
    return getattr(model, "classifier", model).emotion_head
