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
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.inference.chunking import CHUNK_S, OVERLAP_S
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE

from .input_files import Job, find_jobs
from .result_lines import ResultLines

logger = get_logger(__name__)


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
    add(
        "--model",
        required=True,
        help="folder of a trained model or experiment, or a name on the hub; "
        "it runs code, so it must be trusted",
    )
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
    ...         timeline=True, json=None, inputs=[], out=None, model=""
    ...     )
    ... )
    Traceback (most recent call last):
    ...
    ValueError: --timeline goes into the file of --json: give one.
    """
    if arguments.timeline and arguments.json is None:
        raise ValueError("--timeline goes into the file of --json: give one.")
    jobs = find_jobs(arguments.inputs, arguments.out)
    lines, waiting = _plan(jobs, arguments.json, arguments.overwrite)
    if len(waiting) < len(jobs):
        tqdm.write(f"{len(jobs) - len(waiting)} files are finished already.")
    failures = _process_all(waiting, lines, arguments) if waiting else {}
    for source, error in failures.items():
        logger.error("%s failed: %s", source, error)
    if failures:
        logger.error("%d of %d files failed.", len(failures), len(jobs))
    return int(bool(failures))


def _plan(
    jobs: Sequence[Job], json_file: Path | None, overwrite: bool
) -> tuple[ResultLines | None, list[Job]]:
    """Opens the file of results and lists what is not finished."""
    lines = None if json_file is None else ResultLines(json_file)
    waiting = [job for job in jobs if overwrite or not _finished(job, lines)]
    if lines is not None:
        lines.forget(str(job.source) for job in waiting)
    return lines, waiting


def _finished(job: Job, lines: ResultLines | None) -> bool:
    found = []
    if job.output is not None:
        found.append(job.output.exists())
    if lines is not None:
        found.append(str(job.source) in lines.files)
    # Where nothing is written there is nothing to know it from.
    return bool(found) and all(found)


def _process_all(
    jobs: Sequence[Job],
    lines: ResultLines | None,
    arguments: argparse.Namespace,
) -> dict[Path, Exception]:
    """Processes file after file; gives those that failed, with the reason."""
    run_opts = {"device": arguments.device} if arguments.device else None
    model = JointEnhancementClassifier.from_hparams(
        arguments.model, run_opts=run_opts
    )
    tasks = _tasks(model.mods.model.tasks, arguments.out)
    failures: dict[Path, Exception] = {}
    with tqdm(jobs, unit="file", disable=None) as progress:
        for job in progress:
            try:
                record = _process(model, job, tasks, arguments)
                if lines is not None:
                    lines.append(record)
            except (OSError, RuntimeError, ValueError) as error:
                failures[job.source] = error
                continue
            tqdm.write(_summary(record))
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


def _process(
    model: JointEnhancementClassifier,
    job: Job,
    tasks: Sequence[str],
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Processes a file and gives its line."""
    result = model.process_file(
        job.source,
        job.output,
        tasks,
        chunk_s=arguments.chunk_s,
        overlap_s=arguments.overlap_s,
        timeline=arguments.timeline,
        keep_sample_rate=arguments.keep_sample_rate,
        return_enhanced=False,
    )
    record: dict[str, Any] = {
        "file": str(job.source),
        "duration_s": soundfile.info(str(job.source)).duration,
    }
    if job.output is not None:
        record["output"] = str(job.output)
    if EMOTION in tasks:
        posteriors = result.log_posteriors[0].exp().tolist()
        record["emotion"] = result.labels[0]
        record["posteriors"] = dict(
            zip(result.emotions, posteriors, strict=True)
        )
    if result.timeline is not None:
        record["timeline"] = [entry._asdict() for entry in result.timeline]
    return record


def _summary(record: dict[str, Any]) -> str:
    parts = [record["file"]]
    if "output" in record:
        parts.append(f"-> {record['output']}")
    if "emotion" in record:
        probability = record["posteriors"][record["emotion"]]
        parts.append(f"{record['emotion']} ({probability:.0%})")
    return "  ".join(parts)
