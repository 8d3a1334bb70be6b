"""Enhancement as a pre-processing step of emotion recognition.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from .joint_model import EMOTION, ENHANCE, JointModel, JointOutput
from .waveform_normalization import WaveformStatistics


class EnhanceThenClassify(nn.Module):
    """A trained enhancer's output goes into an emotion classifier.

    The enhancer stays as it was trained; nothing of it is updated. Otherwise
    used as a `JointModel` is.

    Arguments
    ---------
    enhancer : JointModel
        A trained model with the task `enhance`.
    classifier : JointModel
        A model with the task `emotion`, which hears enhanced speech only.

    Raises
    ------
    ValueError
        If one of the two does not have its task.

    Example
    -------
    >>> from speechbrain_merit.lobes import (
    ...     AttentiveStatisticsPooling,
    ...     EmotionHead,
    ...     SpectralFrontend,
    ...     SpectralMaskHead,
    ...     SpeechEncoder,
    ...     WeightedSumIntegrator,
    ... )
    >>> config = {
    ...     "model_type": "wavlm",
    ...     "hidden_size": 16,
    ...     "num_hidden_layers": 1,
    ...     "num_attention_heads": 2,
    ...     "num_conv_pos_embedding_groups": 2,
    ... }
    >>> heads = {
    ...     "enhancement_head": SpectralMaskHead(16, hidden_size=8),
    ...     "emotion_head": EmotionHead(AttentiveStatisticsPooling(16), 4),
    ... }
    >>> enhancer, classifier = (
    ...     JointModel(
    ...         SpeechEncoder(config=config),
    ...         WeightedSumIntegrator(2, 16),
    ...         SpectralFrontend(),
    ...         **{name: head},
    ...     )
    ...     for name, head in heads.items()
    ... )
    >>> model = EnhanceThenClassify(enhancer, classifier)
    >>> model(torch.rand(2, 1600)).logits.shape
    torch.Size([2, 4])
    """

    tasks = (ENHANCE, EMOTION)

    def __init__(self, enhancer: JointModel, classifier: JointModel) -> None:
        super().__init__()
        for task, model in ((ENHANCE, enhancer), (EMOTION, classifier)):
            if task not in model.tasks:
                raise ValueError(
                    f"The model for the task {task} has the tasks "
                    f"{list(model.tasks)} only."
                )
        self.enhancer = enhancer.requires_grad_(False)
        self.classifier = classifier
        self.train(self.training)

    @property
    def encoder(self) -> nn.Module:
        """The encoder that trains: the classifier's."""
        return self.classifier.encoder

    def train(self, mode: bool = True) -> "EnhanceThenClassify":
        """Sets training mode; the enhancer stays deterministic.

        Arguments
        ---------
        mode : bool
            Whether to train.

        Returns
        -------
        EnhanceThenClassify
            The module itself.
        """
        super().train(mode)
        self.enhancer.eval()
        return self

    def forward(
        self,
        waveform: torch.Tensor,
        lengths: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
        statistics: WaveformStatistics | None = None,
    ) -> JointOutput:
        """Enhances, and classifies what comes out unless told otherwise.

        Arguments
        ---------
        waveform : torch.Tensor
            Noisy samples at 16 kHz, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`; both by default. Without
            `emotion` the classifier does not run.
        statistics : WaveformStatistics, optional
            As for `JointModel`, of the enhancer.

        Returns
        -------
        JointOutput
            The enhancer's, with the classifier's logits, losses and routing.

        Raises
        ------
        ValueError
            If a task is unknown.
        """
        tasks = self.tasks if tasks is None else tuple(tasks)
        unknown = [task for task in tasks if task not in self.tasks]
        if unknown or not tasks:
            raise ValueError(
                f"The model cannot do {unknown or 'nothing'}: ask for some of "
                f"{list(self.tasks)}."
            )
        with torch.no_grad():
            output = self.enhancer(waveform, lengths, [ENHANCE], statistics)
            if EMOTION not in tasks:
                return output
            enhanced = self.enhancer.enhanced_waveform(output, lengths)
        classified = self.classifier(enhanced, lengths, [EMOTION])
        output.logits = classified.logits
        if ENHANCE not in tasks:
            output.enhanced_log1p = output.spectrum = None
        output.integration = classified.integration
        output.counts = classified.counts
        return output

    def fit_standardization(
        self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]
    ) -> None:
        """Fits the classifier's hidden states to what it will hear.

        Arguments
        ---------
        batches : iterable of tuple of torch.Tensor
            Training mixtures, `[batch, time]`, with relative lengths.
        """
        self.classifier.fit_standardization(
            (self._enhance(*batch), batch[1]) for batch in batches
        )

    @torch.no_grad()
    def _enhance(
        self, waveform: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        output = self.enhancer(waveform, lengths, [ENHANCE])
        return self.enhancer.enhanced_waveform(output, lengths)

    def apply_temperature(self, temperature: float) -> None:
        """Divides the logits by a temperature, see `EmotionHead`.

        Arguments
        ---------
        temperature : float
            Positive.
        """
        self.classifier.apply_temperature(temperature)

    def target_log1p(
        self,
        clean: torch.Tensor,
        lengths: torch.Tensor | None,
        output: JointOutput,
    ) -> torch.Tensor:
        """Computes what the enhanced spectrum should be, as `JointModel` does.

        Arguments
        ---------
        clean : torch.Tensor
            The speech as it is in the mixture, `[batch, time]`.
        lengths : torch.Tensor or None
            Relative lengths, `[batch]`.
        output : JointOutput
            What `forward` said about the mixture.

        Returns
        -------
        torch.Tensor
            `[batch, time, bin]`.
        """
        return self.enhancer.target_log1p(clean, lengths, output)

    def enhanced_waveform(
        self, output: JointOutput, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Synthesizes the enhanced speech, as `JointModel` does.

        Arguments
        ---------
        output : JointOutput
            What `forward` returned.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            `[batch, time]`.
        """
        return self.enhancer.enhanced_waveform(output, lengths)
