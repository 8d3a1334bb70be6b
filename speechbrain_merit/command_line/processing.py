"""What becomes of every file, from its recording to its line of results.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_merit import load
from speechbrain_merit.data.decoding import audio_info
from speechbrain_merit.data.preparation.files import printable
from speechbrain_merit.inference import (
    JointEnhancementClassifier,
    ProcessedSpeech,
)
from speechbrain_merit.inference.spectrograms import plot_files
from speechbrain_merit.lobes.joint_model import ENHANCE
from speechbrain_merit.pretrained.folder import find_pretrained_folder

from .jobs import Job, find_jobs, make_batches
from .result_lines import MADE_FROM, ResultLines

logger = get_logger(__name__)

# In the folder of --out, where --json names no file for the results.
LINES_FILE = ".results.jsonl"


def process_files(
    inputs: Sequence[str],
    model: str,
    safe: bool,
    device: str | None,
    out: Path | None,
    json: Path | None,
    timeline: bool,
    plot: bool,
    batch_size: int,
    overwrite: bool,
    options: Mapping[str, Any],
) -> int:
    """Processes files, but for those that are finished.

    Arguments
    ---------
    inputs : sequence of str
        As for `speechbrain-merit process`, like what follows.
    model : str
        The model.
    safe : bool
        Whether to run nothing of it.
    device : str or None
        Where to run.
    out : Path or None
        Folder for the enhanced speech.
    json : Path or None
        File for the results.
    timeline : bool
        Whether to write the emotions over time.
    plot : bool
        Whether to draw.
    batch_size : int
        Files in a batch.
    overwrite : bool
        Whether to process again what is finished.
    options : Mapping
        What results depend on, beside the file and the model.

    Returns
    -------
    int
        Exit status: one where a file could not be processed, else zero.

    Example
    -------
    >>> options = {"device": "cpu", "out": None, "json": None, "options": {}}
    >>> options |= dict.fromkeys(["safe", "timeline", "plot", "overwrite"])
    >>> folder = str(getfixture("tmpdir"))
    >>> process_files([folder], model="m", batch_size=1, **options)
    Traceback (most recent call last):
    ...
    FileNotFoundError: ... holds no audio file.
    """
    jobs = find_jobs(inputs, out)
    path = Path(os.devnull) if out is None else out / LINES_FILE
    with ResultLines(json or path) as lines:
        wanted = {"model": _model_now(model), **options}
        outputs = Outputs(lines, wanted, timeline, plot, json is None)
        waiting = [job for job in jobs if overwrite or not outputs.has(job)]
        if len(waiting) < len(jobs):
            _say(f"{len(jobs) - len(waiting)} files are finished already.")
        if not waiting:
            return 0
        loaded = load(model, device, safe)
        tasks = _tasks(loaded, out)
        # What is wrong with the options shows before any result is given up.
        checked = {n: v for n, v in options.items() if not n.startswith("keep")}
        loaded.stream(tasks=tasks, **checked)
        lines.forget([path for job in waiting for path in job[:2]])
        # Channels are a batch already.
        batch_size = 1 if options["keep_channels"] else batch_size
        failures: dict[Path, Exception] = {}
        with tqdm(total=len(waiting), unit="file", disable=None) as progress:
            for batch in make_batches(waiting, batch_size, options["chunk_s"]):
                results = _process(
                    loaded, batch, tasks, timeline or plot, options
                )
                for job, result in zip(batch, results, strict=True):
                    failures |= outputs.write(job, result, loaded)
                    progress.update()
    for source, failure in failures.items():
        name, reason = printable(str(source)), printable(str(failure))
        logger.error("%s failed: %s", name, reason)
    if failures:
        logger.error("%d of %d files failed.", len(failures), len(jobs))
    return int(bool(failures))


def _model_now(model: str) -> list[str | int]:
    """Names a model, and when it was last changed where it lies here."""
    folder = Path(find_pretrained_folder(model))
    times = [path.stat().st_mtime_ns for path in folder.glob("*")]
    return [str(folder.resolve()) if times else model, max(times, default=0)]


def _say(text: str) -> None:
    try:
        tqdm.write(printable(text))
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads on, as in `| head`; what is done is done all the same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    tasks: Sequence[str],
    timeline: bool,
    options: Mapping[str, Any],
) -> list[ProcessedSpeech | Exception]:
    """Processes files together, or one by one where that fails."""
    common = {"timeline": timeline, "return_enhanced": False}
    try:
        if len(batch) == 1:
            job, common = batch[0], {**common, **options}
            return [
                model.process_file(job.recording, job.output, tasks, **common)
            ]
        for name in (
            "keep_sample_rate",
            "timeline_step_s",
            "max_attenuation_db",
        ):
            common[name] = options[name]
        sources = [job.recording for job in batch]
        outputs = [job.output for job in batch if job.output is not None]
        return [*model.process_files(sources, outputs, tasks, **common)]
    # Whatever is wrong with one file leaves the others alone.
    except Exception as error:
        if len(batch) == 1:
            return [error]
        logger.info("A batch is processed one by one: %s", error)
    alone = (_process(model, [j], tasks, timeline, options) for j in batch)
    return [result for results in alone for result in results]


@dataclasses.dataclass
class Outputs:
    """What is written of every file beside its enhanced speech.

    Arguments
    ---------
    lines : ResultLines
        Where results go.
    options : Mapping
        What they depend on, beside the file.
    timeline : bool
        Whether the emotions over time are among them.
    plot : bool
        Whether to draw spectrograms.
    says_timeline : bool
        Whether the emotions over time are printed, too.

    Example
    -------
    >>> outputs = Outputs(
    ...     ResultLines(Path(os.devnull)), {}, timeline=False, plot=False
    ... )
    >>> outputs.has(Job(Path("a.wav"), Path("enhanced/a.wav")))
    False
    """

    lines: ResultLines
    options: Mapping[str, Any]
    timeline: bool
    plot: bool
    says_timeline: bool = False

    def has(self, job: Job) -> bool:
        """Tells whether a file is finished.

        Arguments
        ---------
        job : Job
            The file.

        Returns
        -------
        bool
            False, too, where nothing is written that it could be known from.
        """
        record = self.lines.of(job.source)
        made_from = self._made_from(job)
        files = [job.output, job.plot if self.plot else None]
        return (
            made_from is not None
            and record.get(MADE_FROM) == made_from
            and "error" not in record
            and (not self.timeline or "timeline" in record)
            and all(path is None or path.exists() for path in files)
        )

    def _made_from(self, job: Job) -> dict[str, Any] | None:
        if job.stamp is None:
            return None
        output = job.output and os.path.abspath(job.output)
        return {**job.stamp, "output": output, **self.options}

    def write(
        self,
        job: Job,
        result: ProcessedSpeech | Exception,
        model: JointEnhancementClassifier,
    ) -> dict[Path, Exception]:
        """Writes what became of a file, also to the terminal.

        Arguments
        ---------
        job : Job
            The file.
        result : ProcessedSpeech or Exception
            What the model says, or why it says nothing.
        model : JointEnhancementClassifier
            The model.

        Returns
        -------
        dict
            By the file, why there are no results, if so.
        """
        try:
            if isinstance(result, Exception):
                raise result
            record = self._record(job, result)
            emotion = ""
            if "emotion" in record:
                emotion = _with_chance(record["emotion"], record["posteriors"])
            if self.plot and job.output is not None and job.plot is not None:
                plot_files(
                    job.recording,
                    job.output,
                    result.timeline,
                    model.hparams.sample_rate_hz,
                    ": ".join(filter(None, [job.source.name, emotion])),
                    job.plot,
                )
            self.lines.append(record)
        except Exception as error:
            record = {"file": str(job.source), "error": str(error)}
            record[MADE_FROM] = self._made_from(job)
            # Where a line cannot be written, that is what went wrong.
            with contextlib.suppress(OSError):
                self.lines.append(record)
            return {job.source: error}
        arrow = f"-> {job.output}" if job.output else ""
        _say("  ".join(filter(None, [record["file"], arrow, emotion])))
        if self.says_timeline and self.timeline:
            for segment in result.timeline or ():
                said = _with_chance(segment.emotion, segment.posteriors)
                _say(f"  {segment.start_s:.1f}-{segment.end_s:.1f} s  {said}")
        return {}

    def _record(self, job: Job, result: ProcessedSpeech) -> dict[str, Any]:
        """Gives a file's line."""
        record: dict[str, Any] = {
            "file": str(job.source),
            "duration_s": audio_info(job.recording).duration,
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
            record["speech_s"] = result.speech_s
        if self.timeline:
            segments = result.timeline or ()
            record["timeline"] = [
                {**segment._asdict(), "emotion": segment.emotion}
                for segment in segments
            ]
        return {**record, MADE_FROM: self._made_from(job)}


def _with_chance(emotion: str, posteriors: Mapping[str, float]) -> str:
    """An emotion with its probability; where there is no speech, neither."""
    if emotion not in posteriors:
        return emotion
    return f"{emotion} ({posteriors[emotion]:.0%})"
