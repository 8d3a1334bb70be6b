"""The tables of a report, whatever they are written in.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from speechbrain_merit.metrics.conditions import NOISES, WITHOUT_SNR
from speechbrain_merit.metrics.results_table import (
    EMOTION_HEADINGS,
    ENHANCEMENT_HEADINGS,
)

from .runs import Run, by_system
from .scores import UNPROCESSED, Estimate, Row, Scores, group_by_fold
from .significance import Comparison

HEADINGS = EMOTION_HEADINGS | ENHANCEMENT_HEADINGS
# Metrics that a summary has room for.
SUMMARY_METRICS = ("f1_macro", "pesq_wb", "stoi", "ssnr_db")


class Cell(NamedTuple):
    """A score in a table.

    Arguments
    ---------
    estimate : Estimate
        Score and interval.
    decimals : int
        How many are worth printing.
    is_best : bool
        Whether no system has a higher one.
    is_significant : bool
        Whether it differs from the baseline's significantly.
    """

    estimate: Estimate
    decimals: int
    is_best: bool = False
    is_significant: bool = False

    @property
    def value(self) -> str:
        """The score, rounded."""
        return _rounded(self.estimate.value, self.decimals)

    @property
    def interval(self) -> str:
        """The interval, rounded, such as `[0.61, 0.68]`."""
        ends = (_rounded(end, self.decimals) for end in self.estimate[1:])
        return f"[{', '.join(ends)}]"


def _rounded(value: float, decimals: int) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text and scores, the first column being the name of each.

    Arguments
    ---------
    caption : str
        What it shows.
    groups : tuple
        Headings above those of the columns, each with the number of columns
        that it spans; together they span all but the first.
    columns : tuple of str
        Headings, that of the first column too.
    rows : tuple
        Each the cells of a row: text, a `Cell`, or None for nothing.
    """

    caption: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple["str | Cell | None", ...], ...]


def heading(metric: str) -> tuple[str, int]:
    """Names a metric for readers.

    Arguments
    ---------
    metric : str
        As in results.json.

    Returns
    -------
    tuple
        How it is usually written, or the name itself if it is not known; and
        how many decimals are worth printing.

    Example
    -------
    >>> heading("pesq_wb"), heading("mine")
    (('PESQ-WB', 2), ('mine', 3))
    """
    return HEADINGS.get(metric, (metric, 3))


def metrics_of(scores: Scores) -> list[str]:
    """Lists what some system was scored by.

    Arguments
    ---------
    scores : Scores
        Of all systems.

    Returns
    -------
    list of str
        Recognition first, each in the usual order.

    Example
    -------
    >>> metrics_of(Scores((), {"a": {"stoi": None, "uar": None}}))
    ['uar', 'stoi']
    """
    found = {metric for own in scores.values.values() for metric in own}
    return [m for m in HEADINGS if m in found] + sorted(found - set(HEADINGS))


def summary_table(scores: Scores, comparisons: Sequence[Comparison]) -> Table:
    """Tabulates clean speech and the means over SNRs, by the main metrics.

    Arguments
    ---------
    scores : Scores
        Of all systems.
    comparisons : sequence of Comparison
        With the baseline, for marks; empty without one.

    Returns
    -------
    Table
        A row for every system.

    Example
    -------
    >>> summary_table(Scores((), {}), []).columns
    ('system',)
    """
    found = metrics_of(scores)
    columns = [
        (heading(metric)[0], row.noise, metric, row)
        for metric in SUMMARY_METRICS
        for row in scores.rows
        if metric in found
        and row.in_summary
        # There is nothing to enhance in clean speech.
        and (metric == "f1_macro" or row.noise != "clean")
    ]
    caption = "Means over the SNRs, with 95 % intervals"
    return _score_table(caption, columns, scores, comparisons)


def metric_table(
    scores: Scores, comparisons: Sequence[Comparison], metric: str
) -> Table:
    """Tabulates all conditions by one metric.

    Arguments
    ---------
    scores : Scores
        Of all systems.
    comparisons : sequence of Comparison
        With the baseline, for marks; empty without one.
    metric : str
        Which one.

    Returns
    -------
    Table
        A row for every system that has the metric.

    Example
    -------
    >>> metric_table(Scores((), {}), [], "stoi").caption
    'STOI'
    """
    columns = []
    for row in scores.rows:
        titles = f"{row.noise} noise", "mean"
        if row.noise in WITHOUT_SNR:
            titles = "", row.noise
        elif row.snr_db is not None:
            titles = titles[0], f"{row.snr_db:g} dB"
        columns.append((*titles, metric, row))
    return _score_table(heading(metric)[0], columns, scores, comparisons)


def _score_table(
    caption: str,
    columns: Sequence[tuple[str, str, str, Row]],
    scores: Scores,
    comparisons: Sequence[Comparison],
) -> Table:
    """Makes a table of columns: their group, title, metric and condition."""
    significant = {
        (c.system, c.metric, c.row) for c in comparisons if c.is_significant
    }
    cells: dict[str, list[Cell | None]] = {s: [] for s in scores.values}
    for _, _, metric, row in columns:
        decimals = heading(metric)[1]
        found = {s: scores.estimate(s, metric, row) for s in cells}
        # Best as far as can be read.
        rounded = {
            s: round(estimate.value, decimals)
            for s, estimate in found.items()
            if estimate and s != UNPROCESSED
        }
        for system, estimate in found.items():
            is_best = rounded.get(system) == max(rounded.values(), default=0)
            is_significant = (system, metric, row) in significant
            cells[system].append(
                estimate and Cell(estimate, decimals, is_best, is_significant)
            )
    groups = itertools.groupby(group for group, *_ in columns)
    return Table(
        caption,
        tuple((group, len(list(same))) for group, same in groups),
        ("system", *(title for _, title, *_ in columns)),
        tuple((s, *row) for s, row in cells.items() if any(row)),
    )


def significance_table(
    comparisons: Sequence[Comparison], baseline: str, metric: str
) -> Table:
    """Tabulates the differences from the baseline with their probabilities.

    Arguments
    ---------
    comparisons : sequence of Comparison
        All of them.
    baseline : str
        Name of the baseline.
    metric : str
        Which one to show.

    Returns
    -------
    Table
        A row for every comparison.

    Example
    -------
    >>> significance_table([], "naive_mtl", "stoi").caption
    'STOI: difference from naive_mtl'
    """
    rows = [
        (
            c.system,
            c.row.name,
            Cell(
                c.difference,
                heading(metric)[1],
                is_significant=c.is_significant,
            ),
            probability(c.p),
            probability(c.adjusted_p),
        )
        for c in comparisons
        if c.metric == metric
    ]
    columns = ("system", "condition", "difference", "p", "p by Holm")
    caption = f"{heading(metric)[0]}: difference from {baseline}"
    return Table(caption, (), columns, tuple(rows))


def probability(p: float) -> str:
    """Rounds a probability.

    Arguments
    ---------
    p : float
        From 0 to 1.

    Returns
    -------
    str
        With two significant digits where it is small.

    Example
    -------
    >>> probability(0.0004), probability(0.0123), probability(0.256)
    ('<0.001', '0.012', '0.26')
    """
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def calibration_table(runs: Sequence[Run]) -> Table:
    """Tabulates temperature and expected calibration error.

    Arguments
    ---------
    runs : sequence of Run
        Of all systems.

    Returns
    -------
    Table
        Means over folds of the means over seeds, a row for every system that
        has them.

    Example
    -------
    >>> calibration_table([]).rows
    ()
    """
    noises = [
        n for n in NOISES if n in {c.noise for r in runs for c in r.conditions}
    ]
    rows = []
    for system, own in by_system(runs).items():
        if not all(run.calibration for run in own):
            continue
        cells = [_mean_text(own, 2, "temperature")]
        for noise in noises:
            before, after = (
                _mean_text(own, 3, key, noise)
                for key in ("uncalibrated_ece", "ece")
            )
            cells.append(after if before is None else f"{before} -> {after}")
        rows.append((system, *cells))
    return Table(
        "Expected calibration error, before -> after the temperature",
        (),
        ("system", "temperature", *noises),
        tuple(rows),
    )


def _mean_text(runs: Sequence[Run], decimals: int, *keys: str) -> str | None:
    """Averages what all runs have there; None where one has nothing."""
    means = []
    for own in group_by_fold(runs).values():
        values: list[Any] = [run.calibration for run in own]
        for key in keys:
            values = [(value or {}).get(key) for value in values]
        if None in values:
            return None
        means.append(np.mean(values))
    return f"{np.mean(means):.{decimals}f}"


def runs_table(runs: Sequence[Run]) -> Table:
    """Lists what a report is made of.

    Arguments
    ---------
    runs : sequence of Run
        Of all systems.

    Returns
    -------
    Table
        A row for every run.

    Example
    -------
    >>> runs_table([]).columns
    ('system', 'fold', 'seed', 'utterances', 'folder')
    """
    return Table(
        "Runs",
        (),
        ("system", "fold", "seed", "utterances", "folder"),
        tuple(
            (r.system, r.fold, r.seed, str(len(r.utterances)), str(r.folder))
            for r in runs
        ),
    )
