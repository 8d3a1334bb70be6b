"""Running the trainings of a sweep, each in a process of its own.

What is finished is known by its files alone, so that a sweep that was
interrupted at any moment goes on where it stopped.

Authors
 * The speechbrain-merit developers 2026
"""

import datetime
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from speechbrain_merit.config import (
    TrainingRecord,
    compose,
    parse_arguments,
    training_settings,
)

from .plan import PlannedRun

LOG_FILE = "sweep_log.txt"
# The end of the log of a failed run, in characters.
TAIL = 400

EARLIER, FINISHED = "finished before", "finished"
FAILED, LEFT_OUT = "failed", "left out"


class Outcome(NamedTuple):
    """What became of a run.

    Arguments
    ---------
    run : PlannedRun
        Which one.
    status : str
        `finished before`, `finished`, `failed` or `left out`.
    duration_s : float
        How long it took this time.
    reason : str
        Why it failed or was left out.
    """

    run: PlannedRun
    status: str = FAILED
    duration_s: float = 0.0
    reason: str = ""

    @property
    def is_good(self) -> bool:
        """Whether there are results."""
        return self.status in (EARLIER, FINISHED)

    @property
    def text(self) -> str:
        """All of it in a line."""
        duration = datetime.timedelta(seconds=round(self.duration_s))
        after = f" after {duration}" if duration else ""
        because = f" ({self.reason})" if self.reason else ""
        return f"{self.run.name}: {self.status}{after}{because}"


def chained(runs: Sequence[PlannedRun]) -> list[list[PlannedRun]]:
    """Puts every run before those that need it.

    Arguments
    ---------
    runs : sequence of PlannedRun
        The runs of a sweep.

    Returns
    -------
    list of list of PlannedRun
        What has to go on one after another, in the order of the first ones.

    Example
    -------
    >>> first = PlannedRun(Path("se"), ())
    >>> runs = [
    ...     first,
    ...     PlannedRun(Path("ser"), ()),
    ...     PlannedRun(Path("both"), (), needs=first.folder),
    ... ]
    >>> [[str(run.folder) for run in chain] for chain in chained(runs)]
    [['se', 'both'], ['ser']]
    """
    chains: dict[Path, list[PlannedRun]] = {}
    for run in runs:
        chains.setdefault(run.needs or run.folder, []).append(run)
    return list(chains.values())


class Trainer:
    """Trains and tests runs one after another, and lets nothing stop it.

    Arguments
    ---------
    script : str or Path
        train.py.
    devices : sequence of str or None
        The device of each trainer, for `--device`; None leaves the choice to
        train.py.
    number : int
        Which of the trainers this is.

    Example
    -------
    >>> Trainer("train.py", [None], 0)([])
    []
    """

    def __init__(
        self, script: str | Path, devices: Sequence[str | None], number: int
    ) -> None:
        self._script = script
        self._device = devices[number % len(devices)]
        # The processor's cores are shared among trainings side by side.
        threads = max((os.cpu_count() or 1) // len(devices), 1)
        shared = {"OMP_NUM_THREADS": str(threads)} if len(devices) > 1 else {}
        self._environment = {**shared, **os.environ}
        self._process: subprocess.Popen | None = None

    def stop(self) -> None:
        """Ends what is running, when the sweep is interrupted."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def __call__(self, chain: Sequence[PlannedRun]) -> list[Outcome]:
        """Runs what is not finished.

        Arguments
        ---------
        chain : sequence of PlannedRun
            Each comes after the one that it needs.

        Returns
        -------
        list of Outcome
            One for each.
        """
        outcomes: dict[Path | None, Outcome] = {}
        needed = {run.needs for run in chain}
        for run in chain:
            before, reason = outcomes.get(run.needs), None
            if run.is_finished and (run.has_model or run.folder not in needed):
                reason = self._changes(run)
            if reason is not None:
                outcome = Outcome(run, FAILED if reason else EARLIER, 0, reason)
            elif before is not None and not before.is_good:
                reason = f"{before.run.name}, which it needs, is not there"
                outcome = Outcome(run, LEFT_OUT, 0, reason)
            else:
                try:
                    outcome = self._trained(run)
                except OSError as error:
                    outcome = Outcome(run, FAILED, 0, str(error))
            outcomes[run.folder] = outcome
        return list(outcomes.values())

    def _changes(self, run: PlannedRun) -> str | None:
        """What a finished run has other than is wanted now.

        None where that is the test alone, so that it is to be run again.
        """
        record = TrainingRecord(run.folder / "save")
        if record.before:
            try:
                file, options, overrides = parse_arguments(run.arguments)
                composed = compose(file, overrides, Path(self._script).parent)
                settings = training_settings(composed, options)
                record.check("settings", settings)
                if record.changes_results:
                    return None
            except ValueError as error:
                return str(error)
        return ""

    def _trained(self, run: PlannedRun) -> Outcome:
        command = [sys.executable, str(self._script), *run.arguments]
        command += ["--noprogressbar"]
        command += [] if self._device is None else [f"--device={self._device}"]
        run.folder.mkdir(parents=True, exist_ok=True)
        started_s = time.monotonic()
        with open(run.folder / LOG_FILE, "a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
            status = self._process.wait()
        duration_s = time.monotonic() - started_s
        if status == 0 and run.is_finished:
            return Outcome(run, FINISHED, duration_s)
        reason = f"exit status {status}, {_tail(run.folder)}"
        return Outcome(run, FAILED, duration_s, reason)


def _tail(folder: Path) -> str:
    """The last line of a log, where the error is, and where to read on."""
    path = folder / LOG_FILE
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"see {path}: {last.strip()[-TAIL:]}"
