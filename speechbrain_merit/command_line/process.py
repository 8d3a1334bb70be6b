"""`speechbrain-merit process`: many files with a trained model.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
from collections.abc import Iterable, Sequence
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
from speechbrain_merit.inference.plots import plot_files
from speechbrain_merit.lobes.joint_model import ENHANCE

from .batches import make_batches
from .input_files import Job, find_jobs
from .loading import add_model_options, load
from .result_lines import ResultLines

logger = get_logger(__name__)

# What may be wrong with one file and leaves the others alone.
FAILURES = (OSError, RuntimeError, ValueError)


def add_parser(commands: Any) -> None:
    """Adds the subcommand.

    Arguments
    ---------
    commands : Any
        What `ArgumentParser.add_subparsers` gave.

    Example
    -------
    >>> parser = argparse.ArgumentParser()
    >>> add_parser(parser.add_subparsers())
    >>> parser.parse_args(["process", "a.wav", "--model", "folder"]).model
    'folder'
    """
    parser = commands.add_parser(
        "process",
        help="enhance recordings and name their emotion",
        description="Enhances recordings and names the speaker's emotion. A "
        "run that was interrupted goes on where it stopped when the command "
        "is given again.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        metavar="FILE_OR_FOLDER",
        help="recordings of any rate, length and number of channels",
    )
    add_model_options(parser)
    add(
        "--out",
        type=Path,
        help="folder for the enhanced speech, as WAV; without it, only the "
        "emotion is named",
    )
    add("--json", type=Path, help="file for the results, one line per file")
    add(
        "--timeline",
        action="store_true",
        help="write the emotions over time as well, into the file of --json",
    )
    add("--device", help="e.g. cpu or cuda:0; the best there is by default")
    add(
        "--keep_sample_rate",
        action="store_true",
        help="write at the recording's sample rate, not at the model's",
    )
    add(
        "--chunk_s",
        type=float,
        default=CHUNK_S,
        help="seconds that are processed at once, and steps of the time line "
        "(default: %(default)s)",
    )
    add(
        "--overlap_s",
        type=float,
        default=OVERLAP_S,
        help="seconds that two of these share (default: %(default)s)",
    )
    add(
        "--batch_size",
        type=int,
        default=1,
        help="how many files that are no longer than --chunk_s are processed "
        "at once, sorted by length (default: %(default)s)",
    )
    add(
        "--plot",
        action="store_true",
        help="draw the spectrograms before and after and the emotions over "
        "time, as PNG beside the enhanced speech",
    )
    add(
        "--overwrite",
        action="store_true",
        help="process again what is finished",
    )


def run(arguments: argparse.Namespace) -> int:
    """Processes the files.

    Arguments
    ---------
    arguments : argparse.Namespace
        Of this subcommand.

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
    >>> run(
    ...     argparse.Namespace(
    ...         timeline=True, json=None, plot=False, out=None, batch_size=1
    ...     )
    ... )
    Traceback (most recent call last):
    ...
    ValueError: --timeline goes into the file of --json: give one.
    """
    _check_options(arguments)
    jobs = find_jobs(arguments.inputs, arguments.out)
    lines, waiting = _plan(jobs, arguments)
    if len(waiting) < len(jobs):
        tqdm.write(f"{len(jobs) - len(waiting)} files are finished already.")
    failures = _process_all(waiting, lines, arguments) if waiting else {}
    for source, error in failures.items():
        name, reason = printable(str(source)), printable(str(error))
        logger.error("%s failed: %s", name, reason)
    if failures:
        logger.error("%d of %d files failed.", len(failures), len(jobs))
    return int(bool(failures))


def _check_options(arguments: argparse.Namespace) -> None:
    if arguments.timeline and arguments.json is None:
        raise ValueError("--timeline goes into the file of --json: give one.")
    if arguments.plot and arguments.out is None:
        raise ValueError("--plot goes into the folder of --out: give one.")
    if arguments.batch_size < 1:
        raise ValueError(
            f"--batch_size is {arguments.batch_size}: give at least 1."
        )


def _plan(
    jobs: Sequence[Job], arguments: argparse.Namespace
) -> tuple[ResultLines | None, list[Job]]:
    """Opens the file of results and lists what is not finished."""
    lines = None if arguments.json is None else ResultLines(arguments.json)
    waiting = [
        job
        for job in jobs
        if arguments.overwrite or not _finished(job, lines, arguments)
    ]
    return lines, waiting


def _finished(
    job: Job, lines: ResultLines | None, arguments: argparse.Namespace
) -> bool:
    found = []
    if job.output is not None:
        found.append(job.output.exists())
    if lines is not None:
        wanted = "timeline" if arguments.timeline else "file"
        found.append(wanted in lines.keys_of(str(job.source)))
    if arguments.plot and job.plot is not None:
        found.append(job.plot.exists())
    # Where nothing is written there is nothing to know it from.
    return bool(found) and all(found)


def _process_all(
    jobs: Sequence[Job],
    lines: ResultLines | None,
    arguments: argparse.Namespace,
) -> dict[Path, Exception]:
    """Processes file after file; gives those that failed, with the reason."""
    model = load(arguments.model, arguments.safe, arguments.device)
    tasks = _tasks(model.mods.model.tasks, arguments.out)
    # What is wrong with the options shows before any result is given up.
    model.stream(arguments.chunk_s, arguments.overlap_s, tasks)
    if lines is not None:
        lines.forget(str(job.source) for job in jobs)
    failures: dict[Path, Exception] = {}
    batches = make_batches(jobs, arguments.batch_size, arguments.chunk_s)
    with tqdm(total=len(jobs), unit="file", disable=None) as progress:
        for batch in batches:
            results = _process_batch(model, batch, tasks, arguments)
            for job, result in zip(batch, results, strict=True):
                try:
                    if isinstance(result, Exception):
                        raise result
                    record = _record(job, result, arguments)
                    if arguments.plot:
                        _plot(model, job, result)
                    if lines is not None:
                        lines.append(record)
                    tqdm.write(printable(_summary(record)))
                except FAILURES as error:
                    failures[job.source] = error
                progress.update()
    return failures


def _tasks(available: Iterable[str], out: Path | None) -> list[str]:
    tasks = list(available)
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


def _process_batch(
    model: JointEnhancementClassifier,
    batch: Sequence[Job],
    tasks: Sequence[str],
    arguments: argparse.Namespace,
) -> list[ProcessedSpeech | Exception]:
    """Processes files together, or one by one where that fails."""
    options = {
        "timeline": arguments.timeline or arguments.plot,
        "keep_sample_rate": arguments.keep_sample_rate,
        "return_enhanced": False,
    }
    if len(batch) > 1:
        outputs = [job.output for job in batch if job.output is not None]
        try:
            found = model.process_files(
                [job.source for job in batch],
                None if arguments.out is None else outputs,
                tasks,
                **options,
            )
            return list(found)
        except FAILURES as error:
            logger.info("A batch is processed one by one: %s", error)
    results: list[ProcessedSpeech | Exception] = []
    options["chunk_s"] = arguments.chunk_s
    options["overlap_s"] = arguments.overlap_s
    for job in batch:
        try:
            results.append(
                model.process_file(job.source, job.output, tasks, **options)
            )
        except FAILURES as error:
            results.append(error)
    return results


def _plot(
    model: JointEnhancementClassifier, job: Job, result: ProcessedSpeech
) -> None:
    # Without these, nothing was written that could be drawn.
    if job.output is None or job.plot is None:
        return
    title = job.source.name
    if result.labels is not None and result.log_posteriors is not None:
        probability = result.log_posteriors[0].max().exp().item()
        title += f": {result.labels[0]} ({probability:.0%})"
    plot_files(
        job.source,
        job.output,
        result.timeline,
        model.hparams.sample_rate_hz,
        title,
        job.plot,
    )


def _record(
    job: Job, result: ProcessedSpeech, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Gives a file's line."""
    record: dict[str, Any] = {
        "file": str(job.source),
        "duration_s": soundfile.info(str(job.source)).duration,
    }
    if job.output is not None:
        record["output"] = str(job.output)
    if arguments.plot:
        record["plot"] = str(job.plot)
    if result.labels is not None and result.log_posteriors is not None:
        posteriors = result.log_posteriors[0].exp().tolist()
        record["emotion"] = result.labels[0]
        record["posteriors"] = dict(
            zip(result.emotions, posteriors, strict=True)
        )
    if arguments.timeline:
        segments = result.timeline or ()
        record["timeline"] = [segment._asdict() for segment in segments]
    return record


def _summary(record: dict[str, Any]) -> str:
    parts = [record["file"]]
    if "output" in record:
        parts.append(f"-> {record['output']}")
    if "emotion" in record:
        probability = record["posteriors"][record["emotion"]]
        parts.append(f"{record['emotion']} ({probability:.0%})")
    return "  ".join(parts)
