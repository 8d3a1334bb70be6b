"""`speechbrain-merit process`: many files with a trained model.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile
from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.preparation.files import printable
from speechbrain_merit.inference import (
    JointEnhancementClassifier,
    ProcessedSpeech,
)
from speechbrain_merit.inference.chunking import CHUNK_S, OVERLAP_S
from speechbrain_merit.inference.spectrograms import plot_files
from speechbrain_merit.lobes.joint_model import ENHANCE

from .jobs import Job, find_jobs, make_batches
from .loading import load
from .result_lines import ResultLines

logger = get_logger(__name__)

# What may be wrong with one file and leaves the others alone.
FAILURES = (OSError, RuntimeError, ValueError)


def run(
    inputs: Sequence[str],
    *,
    model: str = "merit-mini",
    safe: bool = False,
    out: Path | None = None,
    json: Path | None = None,
    timeline: bool = False,
    device: str | None = None,
    keep_sample_rate: bool = False,
    chunk_s: float = CHUNK_S,
    overlap_s: float = OVERLAP_S,
    batch_size: int = 1,
    plot: bool = False,
    overwrite: bool = False,
) -> int:
    """Enhances recordings and names the speaker's emotion.

    A run that was interrupted goes on where it stopped when the command is
    given again.

    Arguments
    ---------
    inputs : sequence of str
        Recordings of any rate, length and number of channels, or folders of
        them.
    model : str
        Folder of a trained model or experiment, or a name on the hub; without
        --safe it runs code, so it must be trusted; merit-mini is the small
        model that comes with this package.
    safe : bool
        Run nothing of the model's folder: build only parts of this package.
    out : Path, optional
        Folder for the enhanced speech, as WAV; without it, only the emotion
        is named.
    json : Path, optional
        File for the results, one line per file.
    timeline : bool
        Write the emotions over time as well, into the file of --json.
    device : str, optional
        Such as cpu or cuda:0; the best there is by default.
    keep_sample_rate : bool
        Write at the recording's sample rate, not at the model's.
    chunk_s : float
        Seconds that are processed at once, and steps of the time line.
    overlap_s : float
        Seconds that two of these share.
    batch_size : int
        How many files that are no longer than --chunk_s are processed at
        once, sorted by length.
    plot : bool
        Draw the spectrograms before and after and the emotions over time, as
        PNG beside the enhanced speech.
    overwrite : bool
        Process again what is finished.

    Returns
    -------
    int
        Exit status: one where a file could not be processed, else zero.

    Raises
    ------
    FileNotFoundError
        If there is nothing to process.
    ValueError
        If the options do not go together or with the model.

    Example
    -------
    >>> run(["noisy.wav"], timeline=True)
    Traceback (most recent call last):
    ...
    ValueError: --timeline goes into the file of --json: give one.
    """
    if timeline and json is None:
        raise ValueError("--timeline goes into the file of --json: give one.")
    if plot and out is None:
        raise ValueError("--plot goes into the folder of --out: give one.")
    if batch_size < 1:
        raise ValueError(f"--batch_size is {batch_size}: give at least 1.")
    jobs = find_jobs(inputs, out)
    lines = None if json is None else ResultLines(json)
    outputs = Outputs(lines, timeline, plot)
    waiting = [job for job in jobs if overwrite or not outputs.has(job)]
    if len(waiting) < len(jobs):
        tqdm.write(f"{len(jobs) - len(waiting)} files are finished already.")
    if not waiting:
        return 0
    loaded = load(model, safe, device)
    tasks = _tasks(loaded, out)
    # What is wrong with the options shows before any result is given up.
    loaded.stream(chunk_s, overlap_s, tasks)
    if lines is not None:
        lines.forget(str(job.source) for job in waiting)
    failures: dict[Path, Exception] = {}
    with tqdm(total=len(waiting), unit="file", disable=None) as progress:
        for batch in make_batches(waiting, batch_size, chunk_s):
            results = _process(
                loaded,
                batch,
                chunk_s,
                overlap_s,
                tasks=tasks,
                timeline=timeline or plot,
                keep_sample_rate=keep_sample_rate,
                return_enhanced=False,
            )
            for job, result in zip(batch, results, strict=True):
                try:
                    if isinstance(result, Exception):
                        raise result
                    outputs.write(job, result, loaded.hparams.sample_rate_hz)
                except FAILURES as error:
                    failures[job.source] = error
                progress.update()
    for source, failure in failures.items():
        name, reason = printable(str(source)), printable(str(failure))
        logger.error("%s failed: %s", name, reason)
    if failures:
        logger.error("%d of %d files failed.", len(failures), len(jobs))
    return int(bool(failures))


def _tasks(model: JointEnhancementClassifier, out: Path | None) -> list[str]:
    tasks = list(model.mods.model.tasks)
    if out is None:
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


def _process(
    model: JointEnhancementClassifier,
    batch: Sequence[Job],
    chunk_s: float,
    overlap_s: float,
    **options: Any,
) -> list[ProcessedSpeech | Exception]:
    """Processes files together, or one by one where that fails."""
    if len(batch) > 1:
        outputs = [job.output for job in batch if job.output is not None]
        sources = [job.source for job in batch]
        try:
            return list(model.process_files(sources, outputs, **options))
        except FAILURES as error:
            logger.info("A batch is processed one by one: %s", error)
    results: list[ProcessedSpeech | Exception] = []
    for job in batch:
        try:
            result = model.process_file(
                job.source,
                job.output,
                chunk_s=chunk_s,
                overlap_s=overlap_s,
                **options,
            )
            results.append(result)
        except FAILURES as error:
            results.append(error)
    return results


@dataclasses.dataclass
class Outputs:
    """What is written of every file beside its enhanced speech.

    Arguments
    ---------
    lines : ResultLines or None
        Where results go.
    timeline : bool
        Whether the emotions over time are among them.
    plot : bool
        Whether to draw spectrograms.

    Example
    -------
    >>> outputs = Outputs(None, timeline=False, plot=False)
    >>> outputs.has(Job(Path("a.wav"), Path("enhanced/a.wav")))
    False
    """

    lines: ResultLines | None
    timeline: bool
    plot: bool

    def has(self, job: Job) -> bool:
        """Tells whether a file is finished.

        Arguments
        ---------
        job : Job
            The file.

        Returns
        -------
        bool
            False where nothing is written that it could be known from.
        """
        found = []
        if job.output is not None:
            found.append(job.output.exists())
        if self.lines is not None:
            wanted = "timeline" if self.timeline else "file"
            found.append(wanted in self.lines.keys_of(str(job.source)))
        if self.plot and job.plot is not None:
            found.append(job.plot.exists())
        return bool(found) and all(found)

    def write(
        self, job: Job, result: ProcessedSpeech, sample_rate_hz: int
    ) -> None:
        """Writes what became of a file, also to the terminal.

        Arguments
        ---------
        job : Job
            The file.
        result : ProcessedSpeech
            What the model says.
        sample_rate_hz : int
            Of the model.
        """
        record = self._record(job, result)
        emotion = ""
        if "emotion" in record:
            probability = record["posteriors"][record["emotion"]]
            emotion = f"{record['emotion']} ({probability:.0%})"
        if self.plot and job.output is not None and job.plot is not None:
            title = ": ".join(filter(None, [job.source.name, emotion]))
            plot_files(
                job.source,
                job.output,
                result.timeline,
                sample_rate_hz,
                title,
                job.plot,
            )
        if self.lines is not None:
            self.lines.append(record)
        arrow = f"-> {job.output}" if job.output else ""
        parts = filter(None, [record["file"], arrow, emotion])
        tqdm.write(printable("  ".join(parts)))

    def _record(self, job: Job, result: ProcessedSpeech) -> dict[str, Any]:
        """Gives a file's line."""
        record: dict[str, Any] = {
            "file": str(job.source),
            "duration_s": soundfile.info(str(job.source)).duration,
        }
        if job.output is not None:
            record["output"] = str(job.output)
        if self.plot:
            record["plot"] = str(job.plot)
        if result.labels is not None and result.log_posteriors is not None:
            posteriors = result.log_posteriors[0].exp().tolist()
            record["emotion"] = result.labels[0]
            record["posteriors"] = dict(
                zip(result.emotions, posteriors, strict=True)
            )
        if self.timeline:
            segments = result.timeline or ()
            record["timeline"] = [segment._asdict() for segment in segments]
        return record
