"""What a sweep shows while it runs, and what it says in the end.

Authors
 * The speechbrain-merit developers 2026
"""

import datetime
from collections.abc import Sequence

from tqdm import tqdm

from speechbrain_merit.metrics.results_table import markdown_rows, mean_text

from .plan import PlannedRun


class Progress(tqdm):
    """A bar over all runs, with a line for whatever happens.

    Arguments
    ---------
    num_runs : int
        How many there are.

    Example
    -------
    >>> with Progress(1) as progress:
    ...     progress.ended("se_only/fold0_seed1", "finished", 60.0, "")
    [1/1] se_only/fold0_seed1: finished after 0:01:00
    """

    def __init__(self, num_runs: int) -> None:
        # Where there is no terminal, the lines count.
        super().__init__(total=num_runs, unit="run", disable=None)
        self.num_ended = 0
        self._busy: set[str] = set()

    def started(self, name: str, device: str | None) -> None:
        """Says that a run has begun.

        Arguments
        ---------
        name : str
            Name of the run.
        device : str or None
            Where.
        """
        where = "" if device is None else f" on {device}"
        self.write(f"{name}: started{where}")

    def busy(self, name: str) -> None:
        """Says once that a run is under way elsewhere.

        Arguments
        ---------
        name : str
            Name of the run.
        """
        if name not in self._busy:
            self._busy.add(name)
            self.write(f"{name}: waiting for a process that is at it already")

    def ended(
        self, name: str, status: str, duration_s: float, reason: str
    ) -> None:
        """Says what became of a run.

        Arguments
        ---------
        name : str
            Name of the run.
        status : str
            As in `Outcome`.
        duration_s : float
            How long it took.
        reason : str
            Why it failed.
        """
        duration = f" after {_time(duration_s)}" if duration_s else ""
        because = f" ({reason})" if reason else ""
        self.num_ended += 1
        self.write(
            f"[{self.num_ended}/{self.total}] {name}: "
            f"{status}{duration}{because}"
        )
        self.update()


def summary_text(
    rows: Sequence[tuple[PlannedRun, str, float, str]],
) -> str:
    """Tabulates what became of all runs, with their main figures.

    Arguments
    ---------
    rows : sequence of tuple
        For every run, as in `Outcome`: the run, its status, its duration in
        seconds and the reason of a failure.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> print(summary_text([]))
    **Runs of the sweep**
    ...
    """
    columns = {
        f"{title}, {noise}": (task, key, noise)
        for title, task, key in (
            ("F1-macro", "ser", "f1_macro"),
            ("SSNR dB", "se", "ssnr_db"),
        )
        for noise in ("seen", "unseen")
    }
    table = [("run", "status", "time", *columns)]
    for run, status, duration_s, _ in rows:
        conditions = run.conditions or []
        scores = (
            mean_text(
                [c for c in conditions if c["noise"] == noise], task, key, 3
            )
            for task, key, noise in columns.values()
        )
        time = _time(duration_s) if duration_s else "-"
        table.append((run.name, status, time, *scores))
    reasons = [f"- {run.name}: {why}" for run, *_, why in rows if why]
    lines = ["**Runs of the sweep**", "", markdown_rows(table)]
    return "\n".join([*lines, *([""] if reasons else []), *reasons]) + "\n"


def _time(duration_s: float) -> str:
    return str(datetime.timedelta(seconds=round(duration_s)))
