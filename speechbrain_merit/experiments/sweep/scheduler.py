"""Running the trainings of a sweep, each in a process of its own.

What is finished is known by its files alone, so that a sweep that was
interrupted at any moment goes on where it stopped.

Authors
 * The speechbrain-merit developers 2026
"""

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
from speechbrain_merit.training.folder_lock import claim_folder

from .plan import PlannedRun
from .progress import Progress

LOG_FILE = "sweep_log.txt"
# What preparation writes last, see train.py.
PREPARED = Path("manifests") / "mixtures_test.json"
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
    status: str
    duration_s: float = 0.0
    reason: str = ""

    @property
    def is_good(self) -> bool:
        """Whether there are results."""
        return self.status in (EARLIER, FINISHED)


class _Active(NamedTuple):
    run: PlannedRun
    process: subprocess.Popen
    slot: int
    started_s: float


class Scheduler:
    """Runs a plan in a number of slots, and lets nothing stop it.

    Arguments
    ---------
    script : str or Path
        train.py.
    slots : sequence of str or None
        The device of every run that may go on at the same time, for
        `--device`; None leaves the choice to train.py.
    progress : Progress
        Gets told what happens.
    poll_s : float
        Seconds between two looks at what is running.

    Example
    -------
    >>> Scheduler("train.py", [None], Progress(0)).run([])
    []
    """

    def __init__(
        self,
        script: str | Path,
        slots: Sequence[str | None],
        progress: Progress,
        poll_s: float = 0.5,
    ) -> None:
        self.script = script
        self.slots = slots
        self.progress = progress
        self.poll_s = poll_s

    def run(self, runs: Sequence[PlannedRun]) -> list[Outcome]:
        """Runs what is not finished.

        Arguments
        ---------
        runs : sequence of PlannedRun
            What to do, in this order as far as possible.

        Returns
        -------
        list of Outcome
            In the order of the runs.
        """
        self.outcomes: dict[Path | None, Outcome] = {}
        self.waiting = list(runs)
        self.active: list[_Active] = []
        # Finished, but with results of other tests than are wanted now.
        self.anew: set[PlannedRun] = set()
        needed = {run.needs for run in runs}
        for run in runs:
            if run.is_finished and (run.has_model or run.folder not in needed):
                reason = self._changes(run)
                status = FAILED if reason else EARLIER
                if run not in self.anew:
                    self._end(Outcome(run, status, reason=reason))
        try:
            while self.waiting or self.active:
                self._collect()
                self._start_what_can()
                if self.waiting or self.active:
                    time.sleep(self.poll_s)
        finally:
            self._stop()
        return [self.outcomes[run.folder] for run in runs]

    def _changes(self, run: PlannedRun) -> str:
        """What a finished run has other than is wanted now."""
        record = TrainingRecord(run.folder / "save")
        if record.before:
            try:
                file, options, overrides = parse_arguments(run.arguments)
                composed = compose(file, overrides, Path(self.script).parent)
                settings = training_settings(composed, options)
                record.check("settings", settings)
                if record.changes_results:
                    self.anew.add(run)
            except ValueError as error:
                return str(error)
        return ""

    def _end(self, outcome: Outcome) -> None:
        self.outcomes[outcome.run.folder] = outcome
        self.waiting = [r for r in self.waiting if r != outcome.run]
        self.progress.ended(outcome.run.name, *outcome[1:])

    def _collect(self) -> None:
        """Takes note of what has ended."""
        for active in list(self.active):
            status = active.process.poll()
            if status is None:
                continue
            self.active.remove(active)
            outcome, reason = FINISHED, ""
            if status != 0 or not active.run.is_finished:
                outcome = FAILED
                reason = f"exit status {status}, {_tail(active.run.folder)}"
            duration_s = time.monotonic() - active.started_s
            self._end(Outcome(active.run, outcome, duration_s, reason))

    def _start_what_can(self) -> None:
        for run in list(self.waiting):
            free = set(range(len(self.slots))) - {a.slot for a in self.active}
            if not free or self._is_preparing():
                return
            before = self.outcomes.get(run.needs)
            if before is not None and not before.is_good:
                reason = f"{before.run.name}, which it needs, is not there"
                self._end(Outcome(run, LEFT_OUT, reason=reason))
            elif run.needs is None or before is not None:
                self._start(run, min(free))

    def _is_preparing(self) -> bool:
        """Whether the first run still makes data that all runs share."""
        begun = [active.run for active in self.active]
        begun += [o.run for o in self.outcomes.values() if o.is_good]
        prepared = any((run.folder / PREPARED).exists() for run in begun)
        return bool(self.active) and not prepared

    def _start(self, run: PlannedRun, slot: int) -> None:
        try:
            claim_folder(run.folder).release()
        except RuntimeError:
            # A process of a sweep that was killed may live on.
            self.progress.busy(run.name)
            return
        if run.is_finished and run.has_model and run not in self.anew:
            # By the process that had the folder until now.
            self._end(Outcome(run, FINISHED))
            return
        device = self.slots[slot]
        command = [sys.executable, str(self.script), *run.arguments]
        command += ["--noprogressbar"]
        command += [] if device is None else [f"--device={device}"]
        with open(run.folder / LOG_FILE, "a", encoding="utf-8") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
            )
        self.waiting.remove(run)
        self.active.append(_Active(run, process, slot, time.monotonic()))
        self.progress.started(run.name, device)

    def _environment(self) -> dict[str, str]:
        """Shares the processor's cores among runs side by side."""
        threads = max((os.cpu_count() or 1) // len(self.slots), 1)
        if len(self.slots) == 1:
            return dict(os.environ)
        return {"OMP_NUM_THREADS": str(threads), **os.environ}

    def _stop(self) -> None:
        """Ends what is running, when the sweep is interrupted."""
        for active in self.active:
            active.process.terminate()
        for active in self.active:
            active.process.wait()


def _tail(folder: Path) -> str:
    """The last line of a log, where the error is, and where to read on."""
    path = folder / LOG_FILE
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"see {path}: {last.strip()[-TAIL:]}"
