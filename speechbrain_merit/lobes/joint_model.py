"""The joint model: encoder, integrator and one head per task.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from .integration import Integration
from .spectral_frontend import SpectralFrontend, Spectrum
from .subband_head import SubbandHead
from .waveform_normalization import WaveformStatistics

ENHANCE = "enhance"
EMOTION = "emotion"


@dataclasses.dataclass
class JointOutput:
    """What the model says about a batch; absent tasks are None.

    Arguments
    ---------
    logits : torch.Tensor or None
        Emotion logits, `[batch, class]`.
    enhanced_log1p : torch.Tensor or None
        Enhanced spectrum of the normalised waveform, `[batch, time, bin]`.
    spectrum : Spectrum or None
        Spectrum of the normalised waveform: the noisy one, or the enhanced
        one of a head that also changes the phase.
    statistics : WaveformStatistics
        What the waveform was normalised by.
    integration : Integration
        Features, auxiliary losses and routing.
    counts : torch.Tensor
        True frames of the features of every utterance, `[batch]`.
    """

    logits: torch.Tensor | None
    enhanced_log1p: torch.Tensor | None
    spectrum: Spectrum | None
    statistics: WaveformStatistics
    integration: Integration
    counts: torch.Tensor


class JointModel(nn.Module):
    """Enhances speech and names its emotion from one pass of an encoder.

    Arguments
    ---------
    encoder : SpeechEncoder
        Gives all hidden states; its normalisation also sets the scale that
        the spectral front-end works in.
    integrator : torch.nn.Module
        Turns hidden states into an `Integration`, e.g. `SparseMoE`.
    frontend : SpectralFrontend
        Spectrum of the noisy waveform.
    enhancement_head : torch.nn.Module, optional
        Estimates the clean spectrum; without it there is no such task.
    emotion_head : torch.nn.Module, optional
        Gives the emotion logits; without it there is no such task.

    Raises
    ------
    ValueError
        If there is no head at all.
    """

    def __init__(
        self,
        encoder: nn.Module,
        integrator: nn.Module,
        frontend: SpectralFrontend,
        enhancement_head: nn.Module | None = None,
        emotion_head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        heads = {ENHANCE: enhancement_head, EMOTION: emotion_head}
        self.tasks = tuple(task for task in heads if heads[task] is not None)
        if not self.tasks:
            raise ValueError(
                "A joint model needs an enhancement_head, an emotion_head, or "
                "both."
            )
        self.encoder = encoder
        self.integrator = integrator
        self.frontend = frontend
        self.enhancement_head = enhancement_head
        self.emotion_head = emotion_head

    def forward(
        self,
        waveform: torch.Tensor,
        lengths: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
        statistics: WaveformStatistics | None = None,
    ) -> JointOutput:
        """Runs the asked tasks, and nothing that only the others need.

        Arguments
        ---------
        waveform : torch.Tensor
            Noisy samples at 16 kHz, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`; all that the model has by
            default.
        statistics : WaveformStatistics, optional
            What to normalise by, e.g. of more than a part of a signal; those
            of the waveform by default.

        Returns
        -------
        JointOutput
            Logits and enhanced spectrum with what belongs to them.

        Raises
        ------
        ValueError
            If a task is asked for that the model does not have.
        """
        tasks = self.tasks if tasks is None else tuple(tasks)
        unknown = [task for task in tasks if task not in self.tasks]
        if unknown or not tasks:
            raise ValueError(
                f"The model cannot do {unknown or 'nothing'}: ask for some of "
                f"{list(self.tasks)}."
            )
        normalization = self.encoder.normalization
        if statistics is None:
            statistics = normalization.statistics(waveform, lengths)
        normalised = normalization.normalize_with(waveform, lengths, statistics)
        encoded = self.encoder.encode(normalised, lengths)
        integration = self.integrator(
            encoded.hidden_states, encoded.lengths, tasks
        )
        output = JointOutput(
            None, None, None, statistics, integration, encoded.counts
        )
        if ENHANCE in tasks and self.enhancement_head is not None:
            output.enhanced_log1p, output.spectrum = _enhance(
                self.enhancement_head,
                self.frontend.analyze(normalised, lengths),
                integration.features[ENHANCE],
                encoded.counts,
            )
        if EMOTION in tasks and self.emotion_head is not None:
            output.logits = self.emotion_head(
                integration.features[EMOTION], encoded.lengths
            )
        return output

    def shared_parameters(self) -> list[nn.Parameter]:
        """Lists what all tasks go through: encoder and integrator.

        Returns
        -------
        list of torch.nn.Parameter
            Frozen ones included.
        """
        return [*self.encoder.parameters(), *self.integrator.parameters()]

    def fit_standardization(
        self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]
    ) -> None:
        """Fits the standardisation of the encoder's hidden states.

        Arguments
        ---------
        batches : iterable of tuple of torch.Tensor
            Training mixtures, `[batch, time]`, with relative lengths.
        """
        self.encoder.fit_standardization(batches)

    def apply_temperature(self, temperature: float) -> None:
        """Divides the logits by a temperature, see `EmotionHead`.

        Arguments
        ---------
        temperature : float
            Positive.

        Raises
        ------
        ValueError
            If the model does not have the task `emotion`.
        """
        if self.emotion_head is None:
            raise ValueError("The model recognises no emotions.")
        self.emotion_head.apply_temperature(temperature)

    def target_log1p(
        self,
        clean: torch.Tensor,
        lengths: torch.Tensor | None,
        output: JointOutput,
    ) -> torch.Tensor:
        """Computes what the enhanced spectrum should be.

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
            log1p magnitudes on the scale of the normalised mixture, zero on
            padding, `[batch, time, bin]`.
        """
        scaled = self.encoder.normalization.normalize_with(
            clean, lengths, output.statistics
        )
        return self.frontend.analyze(scaled, lengths).log1p

    def enhanced_waveform(
        self, output: JointOutput, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Synthesizes the enhanced speech with the phase of the spectrum.

        Arguments
        ---------
        output : JointOutput
            What `forward` returned, with the task `enhance`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Samples at the level of the input, zero on padding,
            `[batch, time]`.

        Raises
        ------
        ValueError
            If the output has no enhanced spectrum.
        """
        if output.enhanced_log1p is None or output.spectrum is None:
            raise ValueError("The model was not asked to enhance.")
        waveform = self.frontend.synthesize(
            output.enhanced_log1p, output.spectrum
        )
        return self.encoder.normalization.invert(
            waveform, lengths, output.statistics
        )


def _enhance(
    head: nn.Module,
    noisy: Spectrum,
    features: torch.Tensor,
    feature_counts: torch.Tensor,
) -> tuple[torch.Tensor, Spectrum]:
    """Gives the enhanced log1p spectrum and the spectrum with its phase."""
    if isinstance(head, SubbandHead):
        enhanced = head(noisy, features, feature_counts)
        return enhanced.log1p, enhanced
    return head(noisy.log1p, noisy.counts, features, feature_counts), noisy
