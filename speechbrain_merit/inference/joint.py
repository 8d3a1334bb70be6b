"""Enhanced speech and the speaker's emotion from a trained model.

Authors
 * The speechbrain-merit developers 2026
"""

import io
import numbers
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from speechbrain.utils.data_utils import batch_pad_right
from speechbrain_merit.data.audio import read_channel_blocks, read_mono_blocks
from speechbrain_merit.data.decoding import audio_info
from speechbrain_merit.data.samples import as_source
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE

from .batch_processing import BatchProcessor, ProcessedSpeech, found, kept_share
from .chunking import CHUNK_S, OVERLAP_S
from .output_files import check_output, use_blocks
from .recording import ProcessedRecording
from .stream import STREAM_CHUNK_S, STREAM_OVERLAP_S, SpeechStream
from .timeline import NO_SPEECH, TIMELINE_STEP_S, EmotionTimeline


class JointEnhancementClassifier(BatchProcessor):
    """Enhances speech and names its emotion, from one pass of the encoder.

    Made by `speechbrain_merit.load(source)`, which is `from_hparams(source)`.
    As everywhere in SpeechBrain, that runs what the source's hyperparams.yaml
    says: load only sources that you trust, and others by `from_plain(source)`.
    """

    def __call__(
        self,
        recording: Any,
        sample_rate_hz: int | None = None,
        **options: Any,
    ) -> Any:
        """Enhances a recording of any length and names its emotions.

        Arguments
        ---------
        recording : str or Path or file object or torch.Tensor or array or list
            As for `process_file`; or a list of such recordings, in which a
            tuple is samples and their rate.
        sample_rate_hz : int, optional
            Sample rate of samples; the model's by default.
        **options : Any
            As for `process_file`, e.g. `keep_channels`.

        Returns
        -------
        ProcessedRecording or list of ProcessedRecording
            For a list of recordings, one for each.

        Raises
        ------
        ValueError
            As `process_file` does.
        """
        if isinstance(recording, tuple):
            recording, sample_rate_hz = recording
        if isinstance(recording, list) and not isinstance(
            next(iter(recording), None), numbers.Number
        ):
            return [self(one, sample_rate_hz, **options) for one in recording]
        rate_hz = self.hparams.sample_rate_hz
        source = as_source(
            recording, rate_hz if sample_rate_hz is None else sample_rate_hz
        )
        result = self.process_file(source, **{"timeline": True, **options})
        if options.get("keep_sample_rate"):
            rate_hz = audio_info(source).sample_rate
        if source is recording and hasattr(source, "read"):
            # The result outlives an open file.
            source.seek(0)
            source = io.BytesIO(source.read())
        enhanced, labels = result.enhanced, result.labels
        rows = result.probabilities
        return ProcessedRecording(
            source,
            None if enhanced is None else enhanced.squeeze(0).cpu().numpy(),
            rate_hz,
            labels[0] if labels else None,
            rows[0] if rows else None,
            result.timeline,
        )

    def classify_file(
        self, path: Any, **options: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """Names the emotion of a file of any rate, channels and length.

        Arguments
        ---------
        path : str or Path or file object or torch.Tensor or array or list
            As for `process_file`.
        **options : Any
            As for `process_file`, e.g. `chunk_s`.

        Returns
        -------
        tuple
            As `classify_batch`, for a batch of one.
        """
        return self.process_file(path, tasks=[EMOTION], **options).scored()

    def enhance_file(
        self,
        path: Any,
        output_filename: str | Path | None = None,
        **options: Any,
    ) -> torch.Tensor:
        """Enhances a file, and writes the result where asked.

        Arguments
        ---------
        path : str or Path
            As for `process_file`.
        output_filename : str or Path, optional
            As for `process_file`.
        **options : Any
            As for `process_file`, e.g. `chunk_s`.

        Returns
        -------
        torch.Tensor
            Enhanced samples, `[time]`.
        """
        result = self.process_file(path, output_filename, [ENHANCE], **options)
        return found(result.enhanced)[0]

    def process_file(
        self,
        path: Any,
        output_filename: str | Path | None = None,
        tasks: Sequence[str] | None = None,
        chunk_s: float = CHUNK_S,
        overlap_s: float = OVERLAP_S,
        timeline: bool = False,
        keep_sample_rate: bool = False,
        return_enhanced: bool = True,
        keep_channels: bool = False,
        sample_rate_hz: int | None = None,
        timeline_step_s: float = TIMELINE_STEP_S,
        max_attenuation_db: float | None = None,
    ) -> ProcessedSpeech:
        """Enhances and classifies a file of any length in one pass.

        What is longer than `chunk_s` is read, processed and written in chunks
        that overlap and fade into each other. The model knows nothing beyond
        a chunk but the level of what came before, see `SpeechStream`.

        Emotions are judged in windows of 4 s that do not depend on the
        chunks, by the frames of speech alone; that of the recording is the
        mean of the windows' log-posteriors, weighted by their speech, see
        `EmotionTimeline`. Without speech the label is `no speech`.

        Arguments
        ---------
        path : str or Path or file object or torch.Tensor or array or list
            A recording of any sample rate and number of channels: a file or
            pipe, or samples, `[time]` or `[channel, time]`, see `as_source`.
        output_filename : str or Path, optional
            File for the enhanced speech, mono, at the level and depth of the
            input and as long; its extension tells the format. It appears when
            it is whole, and may be the input itself.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`; all that the model has by default.
        chunk_s : float
            Length of a chunk, in seconds.
        overlap_s : float
            What two chunks share, in seconds; half a chunk at most. Both are
            rounded to whole frames of the encoder.
        timeline : bool
            Whether to give the emotions over time too.
        keep_sample_rate : bool
            Whether the enhanced speech has the sample rate of the input
            rather than the model's `sample_rate_hz`; there is nothing in it
            beyond half of the lower one of the two.
        return_enhanced : bool
            Whether to return the enhanced speech. Without it, memory does not
            grow with the file.
        keep_channels : bool
            Whether to enhance every channel for itself. Otherwise it is their
            mean, or the loudest one where they cancel each other.
        sample_rate_hz : int, optional
            Sample rate of samples; the model's by default.
        timeline_step_s : float
            From one emotion of the time line to the next, in seconds.
        max_attenuation_db : float, optional
            As for `process_batch`.

        Returns
        -------
        ProcessedSpeech
            As `process_batch`, for a batch of one, or of as many as there are
            channels to enhance; the emotion is then that of all together.

        Raises
        ------
        ValueError
            If the file cannot be read, the output not be written, the chunks
            not overlap by so much, or a task is asked for that the model
            does not have.
        """
        tasks = self._checked_tasks(tasks)
        check_output(output_filename, tasks)
        stream = self.stream(
            chunk_s, overlap_s, tasks, timeline_step_s, max_attenuation_db
        )
        rate_hz = self.hparams.sample_rate_hz
        source = as_source(path, sample_rate_hz or rate_hz)
        read = read_channel_blocks if keep_channels else read_mono_blocks
        kept = use_blocks(
            stream.run(read(source, rate_hz, chunk_s)),
            rate_hz,
            source,
            output_filename,
            return_enhanced,
            keep_sample_rate,
        )
        return self._file_result(
            kept if ENHANCE in tasks else None, stream.timeline, timeline
        )

    def process_files(
        self,
        paths: Sequence[Any],
        output_filenames: Sequence[str | Path] | None = None,
        tasks: Sequence[str] | None = None,
        timeline: bool = False,
        keep_sample_rate: bool = False,
        return_enhanced: bool = True,
        sample_rate_hz: int | None = None,
        timeline_step_s: float = TIMELINE_STEP_S,
        max_attenuation_db: float | None = None,
    ) -> list[ProcessedSpeech]:
        """Enhances and classifies files in one batch, all in memory at once.

        Nothing about a file depends on the others, but for rounding; each is
        heard as a whole, as `process_file` does up to its `chunk_s`. A batch
        costs the time and memory of its longest file for every one, so files
        of about the same length belong together.

        Arguments
        ---------
        paths : sequence
            Each as for `process_file`.
        output_filenames : sequence of str or Path, optional
            One for each file, as for `process_file`.
        tasks : sequence of str, optional
            As for `process_file`.
        timeline : bool
            As for `process_file`.
        keep_sample_rate : bool
            As for `process_file`.
        return_enhanced : bool
            As for `process_file`.
        sample_rate_hz : int, optional
            As for `process_file`.
        timeline_step_s : float
            As for `process_file`.
        max_attenuation_db : float, optional
            As for `process_batch`.

        Returns
        -------
        list of ProcessedSpeech
            One for each file, as `process_file` gives it.

        Raises
        ------
        ValueError
            As `process_file` does, and if the encoder cannot take a file as
            a whole, or there are fewer outputs than files, or more.
        """
        tasks = self._checked_tasks(tasks)
        outputs: Sequence[str | Path | None]
        outputs = output_filenames or [None] * len(paths)
        if len(outputs) != len(paths):
            raise ValueError(
                f"There are {len(outputs)} outputs for {len(paths)} files: "
                "name one for each."
            )
        for output in outputs:
            check_output(output, tasks)
        rate_hz = self.hparams.sample_rate_hz
        sources = [as_source(path, sample_rate_hz or rate_hz) for path in paths]
        waveforms = [self.read_file(source) for source in sources]
        padded, lengths = batch_pad_right(waveforms)
        batch = self.hear(
            padded, lengths, tasks, kept=kept_share(max_attenuation_db)
        )
        results = []
        for number, (source, output, samples) in enumerate(
            zip(sources, outputs, waveforms, strict=True)
        ):
            heard = self._new_timeline(0, timeline_step_s)
            if batch.frames is not None:
                own = (
                    slice(number, number + 1),
                    slice(int(batch.output.counts[number])),
                )
                frames = (part[own] for part in batch.frames)
                heard.append(0, len(samples), *frames)
            kept = None
            if ENHANCE in tasks:
                enhanced = found(batch.enhanced)
                blocks = [enhanced[number, : len(samples)].cpu()]
                kept = use_blocks(
                    blocks,
                    rate_hz,
                    source,
                    output,
                    return_enhanced,
                    keep_sample_rate,
                )
            results.append(self._file_result(kept, heard, timeline))
        return results

    def stream(
        self,
        chunk_s: float = STREAM_CHUNK_S,
        overlap_s: float = STREAM_OVERLAP_S,
        tasks: Sequence[str] | None = None,
        timeline_step_s: float = TIMELINE_STEP_S,
        max_attenuation_db: float | None = None,
    ) -> SpeechStream:
        """Starts a stream: blocks of samples in, enhanced samples out.

        Arguments
        ---------
        chunk_s : float
            Length of what the model hears at once, in seconds; this and a
            frame of the encoder is the stream's latency.
        overlap_s : float
            What two of these share, in seconds; half of it at most.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`; all that the model has by default.
        timeline_step_s : float
            As for `process_file`.
        max_attenuation_db : float, optional
            As for `process_batch`.

        Returns
        -------
        SpeechStream
            For one signal.

        Raises
        ------
        ValueError
            If the chunks cannot overlap by so much, or a task is asked for
            that the model does not have.
        """
        return SpeechStream(
            partial(
                self.hear,
                tasks=self._checked_tasks(tasks),
                kept=kept_share(max_attenuation_db),
            ),
            partial(self._new_timeline, step_s=timeline_step_s),
            self.hparams.sample_rate_hz,
            self.mods.model.encoder.samples_per_frame,
            chunk_s,
            overlap_s,
        )

    def _checked_tasks(self, tasks: Sequence[str] | None) -> tuple[str, ...]:
        available = self.mods.model.tasks
        tasks = available if tasks is None else tuple(tasks)
        if not tasks or set(tasks) - set(available):
            raise ValueError(
                f"The model cannot do {list(tasks)}: ask for some of "
                f"{list(available)}."
            )
        return tasks

    def _file_result(
        self,
        enhanced: torch.Tensor | None,
        heard: EmotionTimeline,
        timeline: bool,
    ) -> ProcessedSpeech:
        segments, judged = heard.segments(), None
        if enhanced is not None:
            enhanced = torch.atleast_2d(enhanced).to(self.device)
        if segments:
            judged = heard.log_posteriors().unsqueeze(0).to(self.device)
        result = ProcessedSpeech.of(self.emotions, enhanced, judged)
        if segments:
            result.timeline = segments if timeline else None
            result.speech_s = sum(segment.speech_s for segment in segments)
            if result.speech_s == 0:
                result.labels = [NO_SPEECH]
        return result

    def read_file(
        self, path: Any, sample_rate_hz: int | None = None
    ) -> torch.Tensor:
        """Reads a file as the model takes it; it is neither linked nor copied.

        Arguments
        ---------
        path : str or Path or file object or torch.Tensor or array or list
            As for `process_file`.
        sample_rate_hz : int, optional
            As for `process_file`.

        Returns
        -------
        torch.Tensor
            Samples, mono at the model's `sample_rate_hz`, `[time]`.
        """
        rate_hz = self.hparams.sample_rate_hz
        source = as_source(path, sample_rate_hz or rate_hz)
        return torch.cat(list(read_mono_blocks(source, rate_hz, CHUNK_S)))
