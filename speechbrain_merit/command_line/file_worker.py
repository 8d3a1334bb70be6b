"""What becomes of a file, from its recording to its line of results.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain_merit import load
from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.data.decoding import audio_info
from speechbrain_merit.inference import ProcessedSpeech
from speechbrain_merit.inference.batch_processing import found
from speechbrain_merit.inference.spectrograms import compare
from speechbrain_merit.inference.timeline_files import write_timeline
from speechbrain_merit.lobes.joint_model import ENHANCE

from .jobs import Job
from .result_lines import MADE_FROM

logger = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Options:
    """What to do with every file: all that a worker is told.

    Arguments
    ---------
    model : str
        Folder or name of the model.
    model_now : sequence
        What the model is known by in the lines.
    safe : bool
        Whether to run nothing of it.
    devices : sequence of str
        Where the workers run, in turn; the best there is where none is named.
    enhances : bool
        Whether there is a place for enhanced speech.
    timeline : bool
        Whether to give the emotions over time.
    plot : bool
        Whether to draw spectrograms.
    timeline_files : sequence of str
        Formats of files with the emotions over time.
    of_file : Mapping
        What `process_file` takes beside these, and results depend on.
    """

    model: str
    model_now: Sequence[str | int]
    safe: bool
    devices: Sequence[str]
    enhances: bool
    timeline: bool
    plot: bool
    timeline_files: Sequence[str]
    of_file: Mapping[str, Any]

    def made_from(self, job: Job) -> dict[str, Any] | None:
        """Tells what a line depends on.

        Arguments
        ---------
        job : Job
            The file.

        Returns
        -------
        dict or None
            None for a file that cannot be known again.
        """
        if job.stamp is None:
            return None
        output = job.output and os.path.abspath(job.output)
        known = {**job.stamp, "output": output, "model": self.model_now}
        return {**known, **self.of_file}

    def timelines(self, job: Job) -> list[Path]:
        """Names the files with the emotions over time.

        Arguments
        ---------
        job : Job
            The file.

        Returns
        -------
        list of Path
            Beside the enhanced speech.
        """
        kinds = self.timeline_files if job.output else ()
        return [Path(job.output or "").with_suffix(f".{k}") for k in kinds]

    def failed(self, job: Job, error: Exception) -> dict[str, Any]:
        """Gives the line of a file that has no results.

        Arguments
        ---------
        job : Job
            The file.
        error : Exception
            Why.

        Returns
        -------
        dict
            With its `error`.
        """
        line = {"file": str(job.source), "error": str(error)}
        return {**line, MADE_FROM: self.made_from(job)}


class FileWorker:
    """Makes the results of files, in several threads.

    While the model is at one file, others are decoded, resampled and written.

    Arguments
    ---------
    options : Options
        What to do.
    number : int
        Which of the workers this is.

    Raises
    ------
    ValueError
        If the options do not go together with the model.
    """

    def __init__(self, options: Options, number: int) -> None:
        self._options = options
        devices: Sequence[str | None] = options.devices or [None]
        device = devices[number % len(devices)]
        self._model = load(options.model, device, options.safe)
        self._tasks = _tasks(self._model, options.enhances)
        # What is wrong with these shows before the first file.
        chunks = dict(options.of_file)
        for key in ("keep_sample_rate", "keep_channels"):
            del chunks[key]
        self._model.stream(tasks=self._tasks, **chunks)
        self._turn = _Turn(self._model.inference_ctx)
        self._model.inference_ctx = self._turn
        self._drawing = threading.Lock()

    def stop(self) -> None:
        """Ends what is going on, at the next chunk."""
        self._turn.is_over = True

    def __call__(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """Processes files together.

        Arguments
        ---------
        jobs : sequence of Job
            The files.

        Returns
        -------
        list of dict
            Their lines.
        """
        results = self._process(jobs)
        return [self._line(*pair) for pair in zip(jobs, results, strict=True)]

    def _process(
        self, batch: Sequence[Job]
    ) -> Sequence[ProcessedSpeech | Exception]:
        """Processes files together, or one by one where that fails."""
        options = dict(self._options.of_file)
        options["timeline"] = True
        options["return_enhanced"] = False
        try:
            if len(batch) == 1:
                job = batch[0]
                return [
                    self._model.process_file(
                        job.recording, job.output, self._tasks, **options
                    )
                ]
            # Every file is one chunk here, of one channel.
            for key in ("chunk_s", "overlap_s", "keep_channels"):
                del options[key]
            sources = [job.recording for job in batch]
            outputs = [job.output for job in batch if job.output is not None]
            return self._model.process_files(
                sources, outputs, self._tasks, **options
            )
        # Whatever is wrong with one file leaves the others alone.
        except Exception as error:
            if len(batch) == 1:
                return [error]
            logger.info("A batch is processed one by one: %s", error)
        return [result for job in batch for result in self._process([job])]

    def _line(
        self, job: Job, result: ProcessedSpeech | Exception
    ) -> dict[str, Any]:
        if isinstance(result, Exception):
            return self._options.failed(job, result)
        try:
            line = self._results(job, result)
            if self._options.plot and job.output and job.plot:
                title = ": ".join(filter(None, [job.source.name, label(line)]))
                rate_hz = self._model.hparams.sample_rate_hz
                with self._drawing, atomic_write(job.plot) as partial:
                    compare(
                        job.recording,
                        job.output,
                        result.timeline,
                        rate_hz,
                        title,
                    ).savefig(partial, format="png", dpi=150)
            for path in self._options.timelines(job):
                write_timeline(path, found(result.timeline), job.source.stem)
        except Exception as error:
            return self._options.failed(job, error)
        return {**line, MADE_FROM: self._options.made_from(job)}

    def _results(self, job: Job, result: ProcessedSpeech) -> dict[str, Any]:
        line: dict[str, Any] = {
            "file": str(job.source),
            "duration_s": audio_info(job.recording).duration,
        }
        if job.output is not None:
            line["output"] = str(job.output)
        if self._options.plot:
            line["plot"] = str(job.plot)
        if result.labels is not None and result.probabilities is not None:
            line["emotion"] = result.labels[0]
            line["posteriors"] = result.probabilities[0]
            line["speech_s"] = result.speech_s
        if self._options.timeline:
            line["timeline"] = [
                {**segment._asdict(), "emotion": segment.emotion}
                for segment in result.timeline or ()
            ]
        return line


class _Turn:
    """Lets one thread at a time use the model."""

    def __init__(self, context: Any) -> None:
        self._context, self._lock = context, threading.Lock()
        self.is_over = False

    def __enter__(self) -> None:
        self._lock.acquire()
        if self.is_over:
            self._lock.release()
            raise RuntimeError("The work was interrupted.")
        self._context.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)
        self._lock.release()


def label(found: Mapping[str, Any]) -> str:
    """Gives the emotion of a line or a segment, to be read.

    Arguments
    ---------
    found : Mapping
        With an `emotion` and its `posteriors`, or without.

    Returns
    -------
    str
        The emotion with its probability; alone, where there is no speech.

    Example
    -------
    >>> label({"emotion": "sad", "posteriors": {"sad": 0.75, "happy": 0.25}})
    'sad (75%)'
    """
    emotion = found.get("emotion", "")
    probability = found.get("posteriors", {}).get(emotion)
    return emotion if probability is None else f"{emotion} ({probability:.0%})"


def _tasks(model: Any, enhances: bool) -> list[str]:
    tasks = list(model.mods.model.tasks)
    if not enhances:
        tasks = [task for task in tasks if task != ENHANCE]
        if not tasks:
            raise ValueError(
                "The model only enhances: give --out, a folder for the result."
            )
    elif ENHANCE not in tasks:
        raise ValueError(
            "The model does not enhance: leave out --out, and give --json to "
            "have the emotions in a file."
        )
    return tasks
