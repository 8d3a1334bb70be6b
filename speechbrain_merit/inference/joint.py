"""Enhanced speech and the speaker's emotion from a trained model.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import soundfile
import torch

from speechbrain.inference.interfaces import Pretrained
from speechbrain_merit.audio import read_mono, read_mono_blocks, resample_blocks
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.pretrained_folder import find_pretrained_folder

from .chunking import (
    CHUNK_S,
    OVERLAP_S,
    Chunk,
    EmotionSegment,
    EmotionTimeline,
    cross_fade,
    split_into_chunks,
)
from .output_files import check_format, take, write_blocks
from .stock_adapters import EmotionEmbedding


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


class JointEnhancementClassifier(Pretrained):
    """Enhances speech and names its emotion, from one pass of the encoder.

    Made by `from_hparams(source)`. Arguments are those of SpeechBrain's
    `Pretrained`. As everywhere in SpeechBrain, loading a source runs what its
    hyperparams.yaml says: load only sources that you trust.
    """

    MODULES_NEEDED = ["model"]
    HPARAMS_NEEDED = ["label_encoder", "sample_rate_hz"]

    @classmethod
    def from_hparams(
        cls,
        source: str | Path,
        hparams_file: str = "hyperparams.yaml",
        **kwargs: Any,
    ) -> "JointEnhancementClassifier":
        """Loads a trained model.

        Arguments
        ---------
        source : str or Path
            A folder that train.py or `speechbrain-merit export` made: an
            experiment's output folder, its `pretrained` folder, or an
            exported one; or the hub's name of such a model.
        hparams_file : str
            Its file of hyperparameters.
        **kwargs : Any
            As for SpeechBrain's `Pretrained.from_hparams`, e.g.
            `run_opts={"device": "cuda:0"}`.

        Returns
        -------
        JointEnhancementClassifier
            Ready to use.
        """
        source = find_pretrained_folder(source)
        return super().from_hparams(source, hparams_file, **kwargs)

    def process_batch(
        self,
        wavs: torch.Tensor,
        wav_lens: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
    ) -> ProcessedSpeech:
        """Enhances and classifies a batch in one pass.

        Arguments
        ---------
        wavs : torch.Tensor
            Samples at the model's `sample_rate_hz`, `[batch, time]`, or of
            one utterance, `[time]`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`, and nothing else is computed; all
            that the model has by default.

        Returns
        -------
        ProcessedSpeech
            Enhanced speech, posteriors and labels.
        """
        if wavs.ndim == 1:
            wavs = wavs.unsqueeze(0)
        wavs = wavs.float().to(self.device)
        if wav_lens is not None:
            wav_lens = wav_lens.to(self.device)
        model = self.mods.model
        with torch.no_grad(), self.inference_ctx:
            output = model(wavs, wav_lens, tasks)
        result = ProcessedSpeech(None, None, None, self.emotions)
        if output.enhanced_log1p is not None:
            result.enhanced = model.enhanced_waveform(output, wav_lens)
        if output.logits is not None:
            self._judge(result, output.logits.float().log_softmax(dim=1))
        return result

    @property
    def emotions(self) -> list[str]:
        """Names of the classes in the order of the posteriors."""
        names = self.hparams.label_encoder.ind2lab
        return [names[index] for index in sorted(names)]

    @staticmethod
    def _judge(result: ProcessedSpeech, log_posteriors: torch.Tensor) -> None:
        result.log_posteriors = log_posteriors
        best = log_posteriors.argmax(dim=1)
        result.labels = [result.emotions[index] for index in best]

    def encode_batch(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Represents the emotion of a batch, as `EncoderClassifier` does.

        Arguments
        ---------
        wavs : torch.Tensor
            Samples, `[batch, time]`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Input of the emotion head's last layer, `[batch, 1, channel]`.
        """
        if wav_lens is not None:
            wav_lens = wav_lens.to(self.device)
        embed = EmotionEmbedding(self.mods.model)
        with torch.no_grad(), self.inference_ctx:
            return embed(wavs.float().to(self.device), wav_lens)

    def classify_batch(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """Names the emotions of a batch, as `EncoderClassifier` does.

        Arguments
        ---------
        wavs : torch.Tensor
            Samples, `[batch, time]`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        tuple
            Log-posteriors `[batch, class]`, the best one's score `[batch]`,
            its index `[batch]` and its name.
        """
        result = self.process_batch(wavs, wav_lens, [EMOTION])
        score, index = result.log_posteriors.max(dim=1)
        return result.log_posteriors, score, index, result.labels

    def classify_file(
        self,
        path: str | Path,
        chunk_s: float = CHUNK_S,
        overlap_s: float = OVERLAP_S,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """Names the emotion of a file of any rate, channels and length.

        Arguments
        ---------
        path : str or Path
            Any audio file that soundfile reads.
        chunk_s : float
            As for `process_file`.
        overlap_s : float
            As for `process_file`.

        Returns
        -------
        tuple
            As `classify_batch`, for a batch of one.
        """
        result = self.process_file(
            path, tasks=[EMOTION], chunk_s=chunk_s, overlap_s=overlap_s
        )
        score, index = result.log_posteriors.max(dim=1)
        return result.log_posteriors, score, index, result.labels

    def enhance_batch(
        self, noisy: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Enhances a batch, as `WaveformEnhancement` does.

        Arguments
        ---------
        noisy : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Enhanced samples, `[batch, time]`.
        """
        return self.process_batch(noisy, lengths, [ENHANCE]).enhanced

    def enhance_file(
        self,
        path: str | Path,
        output_filename: str | Path | None = None,
        chunk_s: float = CHUNK_S,
        overlap_s: float = OVERLAP_S,
        keep_sample_rate: bool = False,
    ) -> torch.Tensor:
        """Enhances a file, and writes the result where asked.

        Arguments
        ---------
        path : str or Path
            Any audio file that soundfile reads.
        output_filename : str or Path, optional
            As for `process_file`.
        chunk_s : float
            As for `process_file`.
        overlap_s : float
            As for `process_file`.
        keep_sample_rate : bool
            As for `process_file`.

        Returns
        -------
        torch.Tensor
            Enhanced samples, `[time]`.
        """
        result = self.process_file(
            path,
            output_filename,
            [ENHANCE],
            chunk_s=chunk_s,
            overlap_s=overlap_s,
            keep_sample_rate=keep_sample_rate,
        )
        return result.enhanced[0]

    def process_file(
        self,
        path: str | Path,
        output_filename: str | Path | None = None,
        tasks: Sequence[str] | None = None,
        chunk_s: float = CHUNK_S,
        overlap_s: float = OVERLAP_S,
        timeline: bool = False,
        keep_sample_rate: bool = False,
        return_enhanced: bool = True,
    ) -> ProcessedSpeech:
        """Enhances and classifies a file of any length in one pass.

        What is longer than `chunk_s` is read, processed and written in chunks
        that overlap and fade into each other. The model knows nothing beyond
        a chunk, and normalises each by itself where it normalises utterances.
        The emotion is then the mean of the chunks' log-posteriors, weighted
        by the time that each of them stands for, see `EmotionTimeline`.

        Arguments
        ---------
        path : str or Path
            Any audio file that soundfile reads, of any sample rate and
            number of channels.
        output_filename : str or Path, optional
            File for the enhanced speech, mono, at the level of the input and
            as long; its extension tells the format. It appears when it is
            whole, and may be the input itself.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`; all that the model has by default.
        chunk_s : float
            Length of a chunk, in seconds.
        overlap_s : float
            What two chunks share, in seconds; half a chunk at most. Both are
            rounded to whole frames of the encoder.
        timeline : bool
            Whether to give the emotions over time too, one for every chunk.
        keep_sample_rate : bool
            Whether the enhanced speech has the sample rate of the input
            rather than the model's `sample_rate_hz`; there is nothing in it
            beyond half of the lower one of the two.
        return_enhanced : bool
            Whether to return the enhanced speech. Without it, memory does not
            grow with the file.

        Returns
        -------
        ProcessedSpeech
            As `process_batch`, for a batch of one.

        Raises
        ------
        ValueError
            If the file cannot be read, the output not be written, the chunks
            not overlap by so much, or a task is asked for that the model
            does not have.
        """
        tasks = self.mods.model.tasks if tasks is None else tuple(tasks)
        if output_filename is not None:
            _check_output(output_filename, tasks)
        rate_hz = self.hparams.sample_rate_hz
        chunk_size, overlap = self._on_grid(chunk_s), self._on_grid(overlap_s)
        chunks = split_into_chunks(
            read_mono_blocks(str(path), rate_hz, chunk_s),
            chunk_size,
            overlap,
            self.mods.model.encoder.samples_per_frame,
        )
        heard = EmotionTimeline(self.emotions, rate_hz, overlap)
        blocks = cross_fade(self._enhance_chunks(chunks, tasks, heard), overlap)
        if keep_sample_rate:
            blocks, rate_hz = _at_rate_of(path, blocks, rate_hz)
        enhanced = self._use(blocks, output_filename, rate_hz, return_enhanced)
        result = ProcessedSpeech(None, None, None, self.emotions)
        if ENHANCE in tasks and return_enhanced:
            result.enhanced = enhanced.unsqueeze(0).to(self.device)
        if EMOTION in tasks:
            judged = heard.log_posteriors().unsqueeze(0).to(self.device)
            self._judge(result, judged)
            result.timeline = heard.segments() if timeline else None
        return result

    def _on_grid(self, duration_s: float) -> int:
        """Samples in a duration, in whole frames of the encoder."""
        grid = self.mods.model.encoder.samples_per_frame
        return round(duration_s * self.hparams.sample_rate_hz / grid) * grid

    def _enhance_chunks(
        self,
        chunks: Iterable[Chunk],
        tasks: Sequence[str],
        heard: EmotionTimeline,
    ) -> Iterator[Chunk]:
        """Gives every chunk enhanced, and its emotions to the time line."""
        for chunk in chunks:
            result = self.process_batch(chunk.samples, tasks=tasks)
            if result.log_posteriors is not None:
                heard.append(chunk.start, chunk.end, result.log_posteriors[0])
            if result.enhanced is not None:
                yield Chunk(chunk.start, result.enhanced[0].cpu())

    @staticmethod
    def _use(
        blocks: Iterable[torch.Tensor],
        output_filename: str | Path | None,
        sample_rate_hz: int,
        keep: bool,
    ) -> torch.Tensor:
        """Runs through the blocks, writes them, and joins what is kept."""
        kept = [torch.zeros(0)]

        def passing() -> Iterator[torch.Tensor]:
            for block in blocks:
                if keep:
                    kept.append(block)
                yield block

        if output_filename is None:
            for _ in passing():
                pass
        else:
            write_blocks(output_filename, passing(), sample_rate_hz)
        return torch.cat(kept)

    def read_file(self, path: str | Path) -> torch.Tensor:
        """Reads a file as the model takes it; it is neither linked nor copied.

        Arguments
        ---------
        path : str or Path
            Any audio file that soundfile reads.

        Returns
        -------
        torch.Tensor
            Samples, mono at the model's `sample_rate_hz`, `[time]`.
        """
        return read_mono(str(path), self.hparams.sample_rate_hz)

    def forward(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None
    ) -> ProcessedSpeech:
        """Runs `process_batch`.

        Arguments
        ---------
        wavs : torch.Tensor
            Samples, `[batch, time]`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        ProcessedSpeech
            Enhanced speech, posteriors and labels.
        """
        return self.process_batch(wavs, wav_lens)


def _check_output(output_filename: str | Path, tasks: Sequence[str]) -> None:
    check_format(output_filename)
    if ENHANCE not in tasks:
        raise ValueError(
            f"{output_filename} cannot be written: this model or call does "
            f"{list(tasks)} only, not {ENHANCE!r}."
        )


def _at_rate_of(
    path: str | Path, blocks: Iterable[torch.Tensor], sample_rate_hz: int
) -> tuple[Iterator[torch.Tensor], int]:
    """Gives blocks the rate and the number of samples of a file."""
    try:
        file = soundfile.info(str(path))
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{path} cannot be read as audio: {error}") from error
    resampled = resample_blocks(blocks, sample_rate_hz, file.samplerate)
    # There and back again, rounding adds samples and never takes any.
    return take(resampled, file.frames), file.samplerate
