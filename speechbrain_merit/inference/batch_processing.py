"""Batches of waveforms through a trained model.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from speechbrain_merit.data.samples import as_samples
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE

from .loaded_model import LoadedModel
from .stock_adapters import EmotionEmbedding
from .timeline import EmotionSegment

# Where floats are taken for numbers as integers have them.
FAR_BEYOND_FULL_SCALE = 10.0


@dataclasses.dataclass
class ProcessedSpeech:
    """Both results for a batch; what was not asked for is None.

    Arguments
    ---------
    enhanced : torch.Tensor or None
        Enhanced speech, zero on padding, `[batch, time]`.
    log_posteriors : torch.Tensor or None
        Logarithm of every emotion's probability, `[batch, class]`.
    labels : list of str or None
        Most probable emotion of every utterance.
    emotions : list of str
        Names of the classes in the order of the posteriors.
    timeline : list of EmotionSegment, optional
        Emotions over the course of a file.
    """

    enhanced: torch.Tensor | None
    log_posteriors: torch.Tensor | None
    labels: list[str] | None
    emotions: list[str]
    timeline: list[EmotionSegment] | None = None

    @classmethod
    def of(
        cls,
        emotions: list[str],
        enhanced: torch.Tensor | None,
        log_posteriors: torch.Tensor | None,
    ) -> "ProcessedSpeech":
        """Names the most probable emotions.

        Arguments
        ---------
        emotions : list of str
            Names of the classes in the order of the posteriors.
        enhanced : torch.Tensor or None
            Enhanced speech.
        log_posteriors : torch.Tensor or None
            Logarithm of every emotion's probability.

        Returns
        -------
        ProcessedSpeech
            With its labels.
        """
        labels = None
        if log_posteriors is not None:
            labels = [emotions[best] for best in log_posteriors.argmax(dim=1)]
        return cls(enhanced, log_posteriors, labels, emotions)

    @property
    def probabilities(self) -> list[dict[str, float]] | None:
        """Probability of every emotion by its name, for every utterance."""
        if self.log_posteriors is None:
            return None
        rows = self.log_posteriors.exp().tolist()
        return [dict(zip(self.emotions, row, strict=True)) for row in rows]

    def scored(
        self,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """Gives what `EncoderClassifier` returns.

        Returns
        -------
        tuple
            Log-posteriors `[batch, class]`, the best one's score `[batch]`,
            its index `[batch]` and its name.
        """
        log_posteriors = found(self.log_posteriors)
        score, index = log_posteriors.max(dim=1)
        return log_posteriors, score, index, found(self.labels)


class BatchProcessor(LoadedModel):
    """Enhances batches and names their emotions, in one pass of the encoder.

    Made by `from_hparams` or `from_plain`.
    """

    def process_batch(
        self,
        wavs: Any,
        wav_lens: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
    ) -> ProcessedSpeech:
        """Enhances and classifies a batch in one pass.

        Arguments
        ---------
        wavs : torch.Tensor or array or list
            Samples at the model's `sample_rate_hz`, `[batch, time]`, or of
            one utterance, `[time]`, as for `as_samples`. What is far beyond
            full scale is processed at full scale, and comes back as loud.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`, and nothing else is computed; all
            that the model has by default.

        Returns
        -------
        ProcessedSpeech
            Enhanced speech, posteriors and labels.

        Raises
        ------
        ValueError
            If a sample is not a finite number.
        """
        wavs, wav_lens, scales = self._prepared(wavs, wav_lens)
        model = self.mods.model
        with torch.no_grad(), self.inference_ctx:
            output = model(wavs, wav_lens, tasks)
        enhanced = log_posteriors = None
        if output.enhanced_log1p is not None:
            enhanced = scales * model.enhanced_waveform(output, wav_lens)
        if output.logits is not None:
            log_posteriors = output.logits.float().log_softmax(dim=1)
        return ProcessedSpeech.of(self.emotions, enhanced, log_posteriors)

    def _prepared(
        self, wavs: Any, wav_lens: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Gives a batch as the model takes it, lengths, and taken levels."""
        wavs = torch.atleast_2d(as_samples(wavs)).to(self.device)
        _check_finite(wavs)
        if wav_lens is not None:
            wav_lens = torch.as_tensor(wav_lens).to(self.device)
        peaks = wavs.abs().amax(dim=1, keepdim=True)
        scales = torch.where(peaks > FAR_BEYOND_FULL_SCALE, peaks, 1.0)
        return wavs / scales, wav_lens, scales

    def encode_batch(
        self, wavs: Any, wav_lens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Represents the emotion of a batch, as `EncoderClassifier` does.

        Arguments
        ---------
        wavs : torch.Tensor or array or list
            As for `process_batch`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Input of the emotion head's last layer, `[batch, 1, channel]`.
        """
        wavs, wav_lens, _ = self._prepared(wavs, wav_lens)
        embed = EmotionEmbedding(self.mods.model)
        with torch.no_grad(), self.inference_ctx:
            return embed(wavs, wav_lens)

    def classify_batch(
        self, wavs: Any, wav_lens: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """Names the emotions of a batch, as `EncoderClassifier` does.

        Arguments
        ---------
        wavs : torch.Tensor or array or list
            As for `process_batch`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        tuple
            Log-posteriors `[batch, class]`, the best one's score `[batch]`,
            its index `[batch]` and its name.
        """
        return self.process_batch(wavs, wav_lens, [EMOTION]).scored()

    def enhance_batch(
        self, noisy: Any, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Enhances a batch, as `WaveformEnhancement` does.

        Arguments
        ---------
        noisy : torch.Tensor or array or list
            As for `process_batch`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Enhanced samples, `[batch, time]`.
        """
        return found(self.process_batch(noisy, lengths, [ENHANCE]).enhanced)

    def forward(
        self, wavs: Any, wav_lens: torch.Tensor | None = None
    ) -> ProcessedSpeech:
        """Runs `process_batch`.

        Arguments
        ---------
        wavs : torch.Tensor or array or list
            As for `process_batch`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        ProcessedSpeech
            Enhanced speech, posteriors and labels.
        """
        return self.process_batch(wavs, wav_lens)


def found(value: Any) -> Any:
    """Gives what a result has, because its task was asked for.

    Arguments
    ---------
    value : object or None
        A part of a `ProcessedSpeech`.

    Returns
    -------
    object
        The same.

    Raises
    ------
    ValueError
        If it is None.

    Example
    -------
    >>> found(["sad"])
    ['sad']
    """
    if value is None:
        raise ValueError("The result lacks a task that was not asked for.")
    return value


def _check_finite(wavs: torch.Tensor) -> None:
    # A sum of squares is finite only where all samples are, and not too large.
    bad = ~wavs.square().sum(dim=1).isfinite()
    if bool(bad.any()):
        raise ValueError(
            f"The utterances {bad.nonzero().flatten().tolist()} of the batch "
            "hold samples that are not finite numbers, or far beyond full "
            "scale, which is 1."
        )
