"""Batches of waveforms through a trained model.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from speechbrain_merit.data.samples import as_samples
from speechbrain_merit.lobes import WaveformNormalization
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE, JointOutput

from .loaded_model import LoadedModel
from .speech_detection import SpeechDetector
from .stock_adapters import EmotionEmbedding, emotion_head
from .timeline import EmotionSegment, EmotionTimeline

# Where floats are taken for numbers as integers have them.
FAR_BEYOND_FULL_SCALE = 10.0
# Of what speech is looked for in.
_LEVEL = WaveformNormalization("level")


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
        Most probable emotion of every utterance, or `no speech`.
    emotions : list of str
        Names of the classes in the order of the posteriors.
    timeline : list of EmotionSegment, optional
        Emotions over the course of a file.
    speech_s : float, optional
        How much of a file is speech, in seconds.
    """

    enhanced: torch.Tensor | None
    log_posteriors: torch.Tensor | None
    labels: list[str] | None
    emotions: list[str]
    timeline: list[EmotionSegment] | None = None
    speech_s: float | None = None

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


@dataclasses.dataclass
class HeardSpeech:
    """What a model makes of a batch before emotions are judged.

    Arguments
    ---------
    enhanced : torch.Tensor or None
        Enhanced speech, zero on padding, `[batch, time]`.
    output : JointOutput
        All that the model says.
    frames : tuple of torch.Tensor or None
        What emotions are judged by, `[batch, frame, channel]`, and which of
        it is speech, `[batch, frame]`.
    """

    enhanced: torch.Tensor | None
    output: JointOutput
    frames: tuple[torch.Tensor, torch.Tensor] | None


class BatchProcessor(LoadedModel):
    """Enhances batches and names their emotions, in one pass of the encoder.

    Made by `from_hparams` or `from_plain`.
    """

    def process_batch(
        self,
        wavs: Any,
        wav_lens: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
        max_attenuation_db: float | None = None,
    ) -> ProcessedSpeech:
        """Enhances and classifies a batch of utterances in one pass.

        Each is judged as a whole, whether it is speech or not, as the model
        was tested; recordings are `process_file`'s.

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
        max_attenuation_db : float, optional
            By how much noise is lowered at most: the enhanced speech is mixed
            with its input such that what is removed altogether is left at so
            many dB less.

        Returns
        -------
        ProcessedSpeech
            Enhanced speech, posteriors and labels.

        Raises
        ------
        ValueError
            If a sample, or what the model makes of it, is no finite number,
            or there is no such attenuation.
        """
        heard = self.hear(
            wavs, wav_lens, tasks, kept=kept_share(max_attenuation_db)
        )
        logits = heard.output.logits
        if logits is not None:
            logits = _checked_output(logits.float().log_softmax(dim=1))
        return ProcessedSpeech.of(self.emotions, heard.enhanced, logits)

    def hear(
        self,
        wavs: Any,
        wav_lens: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
        recent: torch.Tensor | None = None,
        kept: float = 0.0,
    ) -> HeardSpeech:
        """Enhances a batch and finds its speech, for an `EmotionTimeline`.

        Arguments
        ---------
        wavs : torch.Tensor or array or list
            As for `process_batch`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.
        tasks : sequence of str, optional
            As for `process_batch`.
        recent : torch.Tensor, optional
            Samples up to the end of `wavs` whose level counts, `[batch,
            time]`; `wavs` by default.
        kept : float
            Share of the input that stays in the enhanced speech.

        Returns
        -------
        HeardSpeech
            Enhanced speech, and what the emotions are judged by.

        Raises
        ------
        ValueError
            If a sample, or what the model makes of it, is no finite number.
        """
        wavs, wav_lens, scales = self._prepared(wavs, wav_lens)
        known, known_lens = wavs, wav_lens
        if recent is not None:
            known, known_lens = recent.to(wavs) / scales, None
        model = self.mods.model
        normalization = getattr(model, "enhancer", model).encoder.normalization
        statistics = normalization.statistics(known, known_lens)
        with torch.no_grad(), self.inference_ctx:
            output = model(wavs, wav_lens, tasks, statistics)
        heard = HeardSpeech(None, output, None)
        if output.enhanced_log1p is not None:
            enhanced = model.enhanced_waveform(output, wav_lens)
            enhanced = scales * (kept * wavs + (1 - kept) * enhanced)
            heard.enhanced = _checked_output(enhanced)
        if EMOTION in output.integration.features:
            statistics = _LEVEL.statistics(known, known_lens)
            speech = self.speech_detector.frames(
                _LEVEL.normalize_with(wavs, wav_lens, statistics),
                output.counts,
                model.encoder.samples_per_frame,
            )
            heard.frames = (output.integration.features[EMOTION], speech)
        return heard

    @cached_property
    def speech_detector(self) -> SpeechDetector:
        """Finds the speech that emotions are judged by."""
        return SpeechDetector().to(self.device)

    def _new_timeline(self, overlap: int, step_s: float) -> EmotionTimeline:
        return EmotionTimeline(
            self.emotions,
            self._judge,
            self.hparams.sample_rate_hz,
            self.mods.model.encoder.samples_per_frame,
            overlap,
            step_s,
        )

    def _judge(self, features: torch.Tensor) -> torch.Tensor:
        """Log-posteriors, `[batch, class]`, of frames of the emotion task."""
        with torch.no_grad(), self.inference_ctx:
            logits = emotion_head(self.mods.model)(features)
        return _checked_output(logits.float().log_softmax(dim=1))

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
            return _checked_output(embed(wavs, wav_lens))

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


def kept_share(max_attenuation_db: float | None) -> float:
    """Gives what stays of the input where noise is lowered by so much at most.

    Arguments
    ---------
    max_attenuation_db : float or None
        In dB; None for no bound.

    Returns
    -------
    float
        A factor of the samples.

    Raises
    ------
    ValueError
        If it is negative or no number.

    Example
    -------
    >>> kept_share(20.0), kept_share(None)
    (0.1, 0.0)
    """
    if max_attenuation_db is None:
        return 0.0
    if not max_attenuation_db >= 0:
        raise ValueError(
            f"max_attenuation_db is {max_attenuation_db}: give 0 or more."
        )
    return 10 ** (-max_attenuation_db / 20)


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


def _checked_output(values: torch.Tensor) -> torch.Tensor:
    if not bool(values.isfinite().all()):
        raise ValueError(
            "What the model gives is not finite: its weights are damaged, or it "
            "was trained to no end."
        )
    return values


def _check_finite(wavs: torch.Tensor) -> None:
    # A sum of squares is finite only where all samples are, and not too large.
    bad = ~wavs.square().sum(dim=1).isfinite()
    if bool(bad.any()):
        raise ValueError(
            f"The utterances {bad.nonzero().flatten().tolist()} of the batch "
            "hold samples that are not finite numbers, or far beyond full "
            "scale, which is 1."
        )
