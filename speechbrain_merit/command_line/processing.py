"""Many files with a trained model, on one worker or many.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.preparation.files import printable
from speechbrain_merit.pretrained.folder import find_pretrained_folder

from .file_worker import FileWorker, Options, label
from .jobs import Job, Jobs, make_batches
from .result_lines import MADE_FROM, ResultLines
from .workers import WorkerDied, Workers

logger = get_logger(__name__)

# In the folder of --out, where --json names no file for the results.
LINES_FILE = ".results.jsonl"
# Failures that are told one by one, and reasons that are counted.
_MOST_TOLD = 20


def process_files(
    inputs: Sequence[str],
    out: Path | None,
    json: Path | None,
    options: Options,
    batch_size: int,
    root: str,
    overwrite: bool,
    **where: Any,
) -> int:
    """Processes files, but for those that are finished.

    Arguments
    ---------
    inputs : sequence of str
        As for `Jobs`.
    out : Path or None
        As for `Jobs`.
    json : Path or None
        File for the results.
    options : Options
        What to do with every file.
    batch_size : int
        Files that are processed together.
    root : str
        As for `Jobs`.
    overwrite : bool
        Whether to process again what is finished.
    **where : Any
        As for `Workers`.

    Returns
    -------
    int
        Exit status: one where a file could not be processed, else zero.

    Example
    -------
    >>> process_files(["no.txt"], None, None, None, 1, "", False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no.txt'
    """
    jobs = Jobs(inputs, out, root)
    path = Path(os.devnull) if out is None else out / LINES_FILE
    # On a terminal, the bar tells enough of what has another place.
    shown = not sys.stdout.isatty() or (json or out) is None
    with ResultLines(json or path) as lines:
        waiting = bytearray(b"\1") * len(jobs)
        if not overwrite and not lines.is_empty:
            waiting = bytearray(
                not _is_finished(job, lines, options) for job in jobs
            )
        summary = _Summary(len(jobs) - sum(waiting), jobs.left_out)
        make_worker = partial(FileWorker, options)
        if any(waiting):
            with (
                Workers(make_worker, **where) as workers,
                tqdm(total=sum(waiting), unit="file", disable=None) as bar,
            ):
                # Only now: nothing is given up for what cannot be done.
                lines.forget(_paths(compress(jobs, waiting)))
                batches = make_batches(
                    compress(jobs, waiting),
                    batch_size,
                    options.of_file["chunk_s"],
                )
                for batch, made in workers.map(batches):
                    if isinstance(made, WorkerDied):
                        made = [options.failed(job, made) for job in batch]
                    for line in made:
                        line = _written(line, lines)
                        summary.add(line)
                        if shown and "error" not in line:
                            _tell(line, json is None)
                    bar.update(len(made))
    return summary.tell(len(jobs))


def _is_finished(job: Job, lines: ResultLines, options: Options) -> bool:
    made_from = options.made_from(job)
    part = "timeline" if options.timeline else ""
    files = [job.output, job.plot if options.plot else None]
    files += options.timelines(job)
    return (
        made_from is not None
        and lines.has(made_from, part)
        and all(path is None or path.exists() for path in files)
    )


def _paths(jobs: Iterable[Job]) -> Iterator[str]:
    for job in jobs:
        yield (job.stamp or {}).get("path") or os.path.abspath(job.source)
        if job.output is not None:
            yield os.path.abspath(job.output)


def _written(line: dict[str, Any], lines: ResultLines) -> dict[str, Any]:
    try:
        lines.append(line)
    except (OSError, ValueError) as error:
        # Where this cannot be written either, that is what went wrong.
        line = {**line, "error": str(error)}
        failed = {key: line[key] for key in ("file", "error", MADE_FROM)}
        with contextlib.suppress(OSError):
            lines.append(failed)
    return line


class _Summary:
    """Counts what was done, and why the rest was not."""

    def __init__(self, num_before: int, left_out: Mapping[str, int]) -> None:
        self._counts = Counter({"finished before": num_before})
        self._reasons = Counter(
            {f"left out: {reason}": n for reason, n in left_out.items()}
        )
        self._failures: list[tuple[str, str]] = []

    def add(self, line: Mapping[str, Any]) -> None:
        file, error = line["file"], line.get("error")
        self._counts["processed" if error is None else "failed"] += 1
        if error is not None:
            reason = error.replace(file, "the file")
            self._reasons[f"failed: {reason}"] += 1
            if len(self._failures) < _MOST_TOLD:
                self._failures.append((file, error))

    def tell(self, num_files: int) -> int:
        """Says what became of all files; gives the exit status."""
        for file, error in self._failures:
            logger.error("%s failed: %s", printable(file), printable(error))
        if self._counts["failed"]:
            logger.error(
                "%d of %d files failed.", self._counts["failed"], num_files
            )
        parts = (f"{n} {what}" for what, n in self._counts.items() if n)
        lines = [f"{num_files} files: {', '.join(parts)}"]
        lines += [
            f"{n} {why}" for why, n in self._reasons.most_common(_MOST_TOLD)
        ]
        tqdm.write(printable("\n  ".join(lines)), file=sys.stderr)
        return int(bool(self._counts["failed"]))


def model_now(model: str) -> list[str | int]:
    """Names a model, and when it was last changed where it lies here.

    Arguments
    ---------
    model : str
        Folder or name.

    Returns
    -------
    list
        For the lines that are made with it.

    Example
    -------
    >>> model_now("somebody/a-model-of-the-hub")
    ['somebody/a-model-of-the-hub', 0]
    """
    folder = Path(find_pretrained_folder(model))
    times = [path.stat().st_mtime_ns for path in folder.glob("*")]
    return [str(folder.resolve()) if times else model, max(times, default=0)]


def _tell(line: Mapping[str, Any], with_timeline: bool) -> None:
    arrow = f"-> {line['output']}" if "output" in line else ""
    _say("  ".join(filter(None, [line["file"], arrow, label(line)])))
    for part in line.get("timeline", ()) if with_timeline else ():
        times = f"{part['start_s']:.1f}-{part['end_s']:.1f} s"
        _say(f"  {times}  {label(part)}")


def _say(text: str) -> None:
    try:
        tqdm.write(printable(text))
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads on, as in `| head`; what is done is done all the same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
